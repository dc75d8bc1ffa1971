"""River's own checks of models, each a test."""

import pytest
from river import checks, compose

from vwlite.river import VWClassifier, VWRegressor

MODELS = {
    "VWRegressor": VWRegressor(),
    "VWClassifier": VWClassifier(),
    "VWRegressor, gd": VWRegressor("gd", learning_rate=2.0, power_t=0.0),
    "VWClassifier, gd": VWClassifier(learner="gd", l2=1e-6),
    "VWClassifier, ftrl": VWClassifier(flags="--ftrl"),
    "a pipeline": compose.Discard("gallup") | VWRegressor(),
}
CHECKS = [(name, check) for name, model in MODELS.items() for check in checks.yield_checks(model)]


@pytest.mark.parametrize(("name", "check"), CHECKS, ids=[f"{name}, {check.__name__}" for name, check in CHECKS])
def test_the_model_keeps_rivers_conventions(name, check):
    check(MODELS[name].clone())
