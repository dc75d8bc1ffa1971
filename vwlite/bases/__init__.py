"""Base classes of learners."""
