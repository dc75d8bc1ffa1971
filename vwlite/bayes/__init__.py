"""Posteriors of coefficients: learnt from one example, a batch, or all of a pass."""
