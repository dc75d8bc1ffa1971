"""The contracts that all else leans on: options, examples, learners, losses."""
