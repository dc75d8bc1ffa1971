"""Coefficients of each entity, in memory and on disk."""
