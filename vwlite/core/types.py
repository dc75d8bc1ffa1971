"""Label types and prediction types: the interfaces between learners."""

from enum import Enum


class LabelType(Enum):
    """Type of the labels that a learner learns from."""

    SIMPLE = "simple"  # a number, importance weight, initial prediction
    MULTICLASS = "multiclass"  # class, weight
    MULTILABEL = "multilabel"  # a set of classes
    COST_SENSITIVE = "cost_sensitive"  # a cost for each class, or for each line
    CONTEXTUAL_BANDIT = "contextual_bandit"  # action, cost, probability


def is_multiline(labels: LabelType) -> bool:
    """Whether such labels are always those of multi-line examples."""
    return labels is LabelType.CONTEXTUAL_BANDIT


class PredictionType(Enum):
    """Type of a learner's predictions."""

    SCALAR = "scalar"
    CLASS = "class"
    SCORES = "scores"  # of each class
    PROBABILITIES = "probabilities"  # of each class
    CLASSES = "classes"  # a set of classes
    ACTION = "action"  # one of the lines
    LINE_CHOICE = "line_choice"  # one of the lines, reported line by line
    LINE_PROBABILITIES = "line_probabilities"  # of each line, reported line by line
    ACTION_SCORES = "action_scores"  # of each line, best first
    ACTION_PROBABILITIES = "action_probabilities"  # of each line, the one taken first
