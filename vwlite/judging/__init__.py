"""Judging of models: metrics with intervals, comparisons, cross-validation, curves."""
