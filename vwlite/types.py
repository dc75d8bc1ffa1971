"""What flows between learners: kinds of labels and of predictions."""

from enum import Enum


class LabelType(Enum):
    """What a learner learns from."""

    SIMPLE = "simple"  # label, importance weight, initial prediction
    MULTICLASS = "multiclass"  # class, weight
    COST_SENSITIVE = "cost_sensitive"  # a cost for each class
    CONTEXTUAL_BANDIT = "contextual_bandit"  # action, cost, probability


class PredictionType(Enum):
    """What a learner says."""

    SCALAR = "scalar"
    CLASS = "class"
    SCORES = "scores"
    ACTION_PROBABILITIES = "action_probabilities"
