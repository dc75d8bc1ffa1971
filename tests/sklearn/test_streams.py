"""The default estimators, learned from one row after the other, on the streams that River brings."""

import numpy as np
import pytest
from river import datasets, linear_model, preprocessing
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score

from vwlite.sklearn import VWClassifier, VWRegressor


def progressive(dataset, model, rival):
    """Labels, and what was predicted before they were learned: by us, by River, by gradient descent."""
    labels: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    gradient: list[float] = []
    classifies = isinstance(model, VWClassifier)
    classes = {"classes": [False, True]} if classifies else {}
    descent = type(model)("gd")
    for x, y in dataset:
        row = np.array([list(x.values())], float)
        for estimator, predicted in ((model, ours), (descent, gradient)):
            if not labels:
                predicted.append(0.5 if classifies else 0)
            else:
                predicted.append(estimator.predict_proba(row)[0, 1] if classifies else estimator.predict(row)[0])
            estimator.partial_fit(row, [y], **classes)
        theirs.append(rival.predict_proba_one(x)[True] if classifies else rival.predict_one(x))
        rival.learn_one(x, y)
        labels.append(y)
    return labels, ours, theirs, gradient


@pytest.mark.parametrize("dataset", [datasets.TrumpApproval(), datasets.ChickWeights()])
def test_the_default_regressor_is_better_than_the_others(dataset):
    rival = preprocessing.StandardScaler() | linear_model.LinearRegression()
    labels, *found = progressive(dataset, VWRegressor(), rival)
    ours, theirs, gradient = (mean_absolute_error(labels, each) for each in found)
    assert ours < 0.96 * theirs
    assert ours < 0.5 * gradient


def test_the_default_classifier_is_better_than_the_others():
    rival = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    labels, *found = progressive(datasets.Phishing(), VWClassifier(), rival)
    losses, areas = ([measure(labels, each) for each in found] for measure in (log_loss, roc_auc_score))
    assert losses[0] < 0.9 * min(losses[1:])
    assert areas[0] == max(areas)
