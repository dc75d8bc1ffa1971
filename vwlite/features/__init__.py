"""Which features a learner sees: chosen, crossed."""
