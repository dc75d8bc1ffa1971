"""What the estimators refuse, and that the message says what is wrong."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from vwlite.errors import OptionError
from vwlite.sklearn import GAMEClassifier, GAMERegressor, VWClassifier, VWRegressor

X = np.arange(24.0).reshape(8, 3)
Y = X.sum(axis=1)
CLASSES = np.array(["no", "yes"] * 4)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
MIXED = FRAME.assign(city=["Bonn", "Rome"] * 4)


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (np.array([["a", "b", "c"]] * 8), "could not convert string to float"),
        (np.array([["a", 1, 2.5]] * 8, object), "could not convert string to float"),
        (np.where(X == 5, np.nan, X), "NaN"),
        (np.where(X == 5, np.inf, X), "infinity"),
        (np.where(X == 5, 1e300, X), "too large for dtype"),
        (np.where(X == 5, -1e300, X), "too large for dtype"),
        (sparse.csr_array(np.where(X == 5, 1e300, X)), "too large for dtype"),
        (X[:0], "0 sample"),
        (X[:, :0], "0 feature"),
        (X[0], "Expected 2D array"),
        (X[:5], "inconsistent numbers of samples"),
        (MIXED.assign(b=np.where(X[:, 1] == 4, np.nan, 1)), r"column 'b' contains NaN in row 1"),
        (MIXED.assign(b=np.inf), "column 'b' contains inf"),
        (MIXED.assign(city=["Bonn", 1] * 4), "column 'city' holds values of types int and str"),
        (MIXED.assign(city=[["Bonn"]] * 8), "column 'city' holds values of type list"),
        (MIXED.assign(city=[[1]] * 8), "column 'city' holds values of type list"),
        (MIXED.assign(city=[b"Bonn"] * 8), "column 'city' holds values of type bytes"),
        (MIXED.assign(when=pd.Timestamp("2026-01-01")), "column 'when' holds values of type Timestamp"),
        (MIXED[:0], "0 sample"),
        (MIXED[:5], "inconsistent numbers of samples"),
        ([{"a": 1}] * 8, "dict"),
    ],
)
@pytest.mark.parametrize("model", [VWRegressor(), GAMERegressor(["city"])], ids=["VW", "GAME"])
def test_a_bad_table_is_refused_and_leaves_a_model_as_it_was(model, x, why):
    if isinstance(model, GAMERegressor) and not isinstance(x, pd.DataFrame):
        pytest.skip('an effect of the column "city" needs columns with names')
    if isinstance(model, VWRegressor) or "city" not in why:
        with pytest.raises((ValueError, TypeError), match=why):
            model.fit(x, Y)
    known = VWRegressor().fit(MIXED if hasattr(x, "columns") else X, Y)
    before = known.workspace_.to_bytes()
    with pytest.raises((ValueError, TypeError)):
        known.partial_fit(x, Y)
    assert known.workspace_.to_bytes() == before


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (np.where(Y > 50, np.nan, Y), "NaN"),
        (np.where(Y > 50, 1e300, Y), "y contains a value too large"),
        (CLASSES, "could not convert string|where numbers are expected"),
        (np.column_stack((Y, Y)), "1d array"),
        (None, "requires y"),
    ],
)
@pytest.mark.parametrize("x", [X, MIXED], ids=["array", "frame"])
def test_bad_labels_of_a_regression_are_refused(x, y, why):
    with pytest.raises(ValueError, match=why):
        VWRegressor().fit(x, y)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (["one"] * 8, "one class"),
        (Y + 0.5, "continuous"),
        (np.array([1, "a"] * 4, object), "Unknown label type|Mix"),
        (None, "requires y"),
    ],
)
@pytest.mark.parametrize("x", [X, MIXED], ids=["array", "frame"])
def test_bad_labels_of_a_classification_are_refused(x, y, why):
    with pytest.raises(ValueError, match=why):
        VWClassifier().fit(x, y)


@pytest.mark.parametrize(
    ("weight", "why"),
    [
        (-np.ones(8), "Negative"),
        (np.zeros(8), "zero"),
        (np.full(8, np.nan), "NaN"),
        (np.full(8, 1e300), "too large"),
        (np.ones(7), "inconsistent"),
        (np.ones((8, 1)), "1D array"),
        (["much"] * 8, "could not convert"),
    ],
)
def test_bad_weights_are_refused(weight, why):
    with pytest.raises(ValueError, match=why):
        VWRegressor().fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match=why):
        VWClassifier().fit(MIXED, CLASSES, sample_weight=weight)


def test_examples_of_no_weight_teach_nothing():
    some = (CLASSES == "yes") * 1.0
    model = VWClassifier().fit(X, CLASSES, sample_weight=some)
    assert model.classes_.tolist() == ["no", "yes"]
    assert (model.predict(X) == "yes").all()
    before = model.predict_proba(X)
    assert (model.partial_fit(X, CLASSES, sample_weight=np.zeros(8)).predict_proba(X) == before).all()


@pytest.mark.parametrize("model", [VWRegressor(), VWClassifier(), GAMERegressor(["city"]), GAMEClassifier()])
def test_nothing_is_predicted_before_something_was_learned(model):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.predict(MIXED)


def test_columns_are_those_of_before():
    model = VWRegressor().fit(FRAME, Y)
    for changed, why in (
        (FRAME[["a", "c"]], "missing:\n- b"),
        (FRAME[["c", "a", "b"]], r"same order[\s\S]*in fit: a, b, c\nnow: c, a, b"),
        (MIXED, "unseen at fit time:\n- city"),
    ):
        for method in (model.predict, lambda x: model.partial_fit(x, Y)):
            with pytest.raises(ValueError, match=why):
                method(changed)
    with pytest.raises(ValueError, match="2 features, but VWRegressor is expecting 3"):
        VWRegressor().fit(X, Y).partial_fit(X[:, :2], Y)


def test_mixed_columns_are_those_of_before():
    model = VWClassifier().fit(MIXED, CLASSES)
    for changed, why in (
        (MIXED[["city", "a", "b"]], "missing:\n- c"),
        (MIXED[["city", "c", "a", "b"]], r"in fit: a, b, c, city\nnow: city, c, a, b"),
        (MIXED.assign(city=1), "'city' held texts in fit, and holds numbers now"),
        (MIXED.assign(a="one"), "'a' held numbers in fit, and holds texts now"),
        (MIXED.to_numpy(), "give a data frame"),
        (X, "give a data frame"),
    ):
        with pytest.raises(ValueError, match=why):
            model.predict(changed)


def test_classes_are_those_of_before():
    with pytest.raises(ValueError, match="classes must be passed"):
        VWClassifier().partial_fit(X, CLASSES)
    model = VWClassifier().partial_fit(X, CLASSES, classes=["no", "yes"])
    before = model.workspace_.to_bytes()
    for y in (["maybe"], [1], [None]):
        with pytest.raises(ValueError, match=r"not in classes|Unknown label|NaN"):
            model.partial_fit(X[:1], y)
    with pytest.raises(ValueError, match="not the same as on the last call"):
        model.partial_fit(X, CLASSES, classes=["no", "yes", "maybe"])
    assert model.workspace_.to_bytes() == before


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (VWRegressor("tree"), "learner='tree': expected one of auto, bayes"),
        (VWRegressor(flags="--los_function x"), "did you mean --loss_function"),
        (VWRegressor("bayes", learning_rate=0.1), "--learning_rate has no effect"),
        (VWRegressor(l2=-1.0), "--l2 must be at least 0"),
        (VWRegressor(flags="--columns prediction,sd"), "sets --columns itself"),
        (VWClassifier(flags="--oaa 3"), "sets --oaa itself"),
        (VWClassifier(flags="--link logistic"), "leave --link out"),
        (VWRegressor(passes=2), "a posterior takes each example once"),
        (VWRegressor("gd", passes=0), "passes=0: expected a whole number"),
        (VWRegressor(flags="-d data.vw"), "--data has no effect in a Workspace"),
        (GAMERegressor("city"), "entities='city': expected a list"),
        (GAMERegressor(["town"]), "no column 'town', only a, b, c, city"),
        (GAMERegressor({"city": ["price"]}), "no column 'price'"),
        (GAMERegressor({"city": "a"}), r"expected a list of columns, or '\*'"),
        (GAMERegressor({"city": ["city"]}), "'city' names entities"),
        (GAMERegressor(["city"], sweeps=-1), "--sweeps must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(model, why):
    with pytest.raises((ValueError, TypeError, OptionError), match=why):
        model.fit(MIXED, Y if "Regressor" in type(model).__name__ else CLASSES)


def test_a_learner_without_posterior_has_no_standard_deviations():
    with pytest.raises(ValueError, match="give learner='bayes'"):
        VWRegressor("gd").fit(X, Y).predict(X, return_std=True)
