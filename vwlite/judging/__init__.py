"""Judging of models: metrics with intervals, comparisons, cross-validation, curves."""

from vwlite.judging.comparison import Comparison, Difference
from vwlite.judging.evaluation import Bin, Evaluation, Group, Metric
from vwlite.judging.python import compare, evaluate

__all__ = ["Bin", "Comparison", "Difference", "Evaluation", "Group", "Metric", "compare", "evaluate"]
