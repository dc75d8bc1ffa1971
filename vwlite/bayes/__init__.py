"""Posteriors of coefficients: learned from one example, a batch, or all of a pass."""
