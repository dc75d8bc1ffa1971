"""Gaussian posteriors of coefficients: updates by one example, a batch, or a whole pass."""
