"""scikit-learn's own checks of estimators, each a test."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from vwlite.sklearn import GAMEClassifier, GAMERegressor, VWClassifier, VWRegressor

# An online learner takes a step of a size for a weight, which is not the same as repeating the example. scikit-learn
# expects the same of its SGDClassifier.
IN_STEPS = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a weighted step is not a repeated one"
    for kind in ("dense", "sparse")
}
SPARSE = {name: why for name, why in IN_STEPS.items() if "sparse" in name}  # for which "auto" takes gd
DENSE = {name: why for name, why in IN_STEPS.items() if "dense" in name}

EXPECTED = {
    VWRegressor(): SPARSE,
    VWClassifier(): SPARSE,
    VWRegressor("bayes"): {},
    VWClassifier("bayes"): {},
    VWRegressor("gd", learning_rate=1.0, passes=3): IN_STEPS,
    VWClassifier("gd", learning_rate=1.0, passes=3): IN_STEPS,
    VWClassifier("ftrl"): IN_STEPS,
    VWRegressor(flags="--loss_function quantile"): IN_STEPS,
    GAMERegressor(): {},
    GAMEClassifier(): {},
    GAMERegressor(entities=[0]): DENSE,
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(list(EXPECTED), expected_failed_checks=lambda estimator: EXPECTED[estimator])
def test_the_estimator_keeps_scikit_learns_conventions(estimator, check):
    check(estimator)
