"""VWClassifier and VWRegressor: what they learn, and how they fit into scikit-learn."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine, make_regression
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vwlite.sklearn import VWClassifier, VWRegressor

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(200, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0] + 100 + 0.3 * RANDOM.normal(size=200)
CLASSES = np.where(Y > 101, "high", np.where(Y > 99, "middle", "low"))


def test_a_regression_is_that_of_least_squares_even_far_from_zero():
    model, exact = VWRegressor().fit(X, Y), LinearRegression().fit(X, Y)
    assert_allclose(model.predict(X), exact.predict(X), atol=0.01)
    far = 10 * X  # beyond the labels that were seen
    assert_allclose(model.predict(far), exact.predict(far), atol=0.05)


def test_standard_deviations_are_those_of_bayesian_ridge():
    prediction, sd = VWRegressor().fit(X, Y).predict(X[:20], return_std=True)
    _, expected = BayesianRidge().fit(X, Y).predict(X[:20], return_std=True)
    assert prediction.shape == sd.shape == (20,)
    assert_allclose(sd, expected, rtol=0.1)
    assert_allclose(prediction, VWRegressor().fit(X, Y).predict(X[:20]))


def test_nine_of_ten_labels_are_in_intervals_of_nine_tenths():
    prediction, sd = VWRegressor().fit(X[:50], Y[:50]).predict(X[50:], return_std=True)
    assert 0.8 < np.mean(np.abs(Y[50:] - prediction) < 1.645 * sd) < 0.97


@pytest.mark.parametrize(
    ("data", "least"), [(load_iris, 0.93), (load_breast_cancer, 0.93), (load_digits, 0.91)], ids=["3", "2", "10"]
)
def test_the_default_classifier_is_good_without_scaling(data, least):
    assert cross_val_score(VWClassifier(), *data(return_X_y=True), cv=3).mean() > least


def test_probabilities_are_nearly_those_of_logistic_regression():
    x, y = load_breast_cancer(return_X_y=True)
    ours, theirs = (
        log_loss(y, cross_val_predict(make_pipeline(StandardScaler(), model), x, y, method="predict_proba"))
        for model in (VWClassifier(), LogisticRegression())
    )
    assert ours < 1.1 * theirs


def test_many_columns_have_a_diagonal_posterior_and_the_same_fit():
    x, y = make_regression(300, 100, noise=10, random_state=0)
    model = VWRegressor().fit(x[:200], y[:200])
    assert model.score(x[200:], y[200:]) > 0.99
    assert model.workspace_.options["posterior"] == "diagonal"


def test_sparse_input_is_learned_by_gradient_descent_and_gives_the_predictions_of_dense():
    some = np.where(X > 0.5, X, 0)
    dense, thin = (VWClassifier("gd").fit(x, CLASSES) for x in (some, sparse.csr_array(some)))
    auto = VWClassifier().fit(sparse.csr_matrix(some), CLASSES)
    assert_array_equal(dense.predict_proba(some), thin.predict_proba(sparse.csc_matrix(some)))
    assert_array_equal(auto.predict_proba(some), thin.predict_proba(some))


@pytest.mark.parametrize("labels", [CLASSES, CLASSES == "low", (CLASSES == "low") * 7 - 3, CLASSES.astype(object)])
def test_labels_come_back_as_they_were_given(labels):
    model = VWClassifier().fit(X, labels)
    assert_array_equal(model.classes_, np.unique(labels))
    assert model.predict(X).dtype == labels.dtype or labels.dtype == object
    assert np.mean(model.predict(X) == labels) > 0.85
    assert model.predict_proba(X).shape == (200, len(np.unique(labels)))
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_learning_in_parts_is_learning_at_once():
    whole, parts, single = VWRegressor().fit(X, Y), VWRegressor(), VWRegressor()
    for i in range(0, 200, 50):
        parts.partial_fit(X[i : i + 50], Y[i : i + 50])
    for x, y in zip(X, Y, strict=True):
        single.partial_fit([x], [y])
    assert_allclose(parts.predict(X), whole.predict(X), atol=1e-3)
    assert_allclose(single.predict(X), whole.predict(X), atol=1e-3)


def test_a_classifier_learns_in_parts_that_have_not_all_classes():
    model = VWClassifier().partial_fit(X[:1], CLASSES[:1], classes=["low", "middle", "high"])
    assert model.classes_.tolist() == ["high", "low", "middle"]
    for i in range(1, 200, 3):
        model.partial_fit(X[i : i + 3], CLASSES[i : i + 3])
    assert model.score(X, CLASSES) > 0.8
    with pytest.raises(ValueError, match="one class"):
        VWClassifier().fit(X[:1], CLASSES[:1])


def test_fit_forgets_and_partial_fit_goes_on():
    model = VWRegressor().fit(X, -Y).fit(X, Y)
    assert_array_equal(model.predict(X), VWRegressor().fit(X, Y).predict(X))
    assert not np.array_equal(model.partial_fit(X, Y + 5).predict(X), VWRegressor().fit(X, Y).predict(X))


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(30)), arrays.arrays(int, 30, elements=st.integers(0, 3)))
def test_a_posterior_knows_neither_order_nor_the_form_of_weights(order, weights):
    weights[0] += 1
    repeated = np.repeat(np.arange(30), weights)
    expected = VWRegressor("bayes").fit(X[repeated], Y[repeated])
    found = VWRegressor("bayes").fit(X[order], Y[order], sample_weight=weights[order])
    assert_allclose(found.predict(X), expected.predict(X), rtol=1e-4)


def test_data_in_the_order_of_the_classes_is_shuffled_for_gradient_descent():
    x, y = load_wine(return_X_y=True)
    assert (np.diff(y) >= 0).all()
    shuffled, as_is = (VWClassifier("gd", shuffle=shuffle).fit(x, y).score(x, y) for shuffle in (True, False))
    assert shuffled > 0.7 > as_is


def test_the_same_seed_gives_the_same_model():
    first, again, other = (VWRegressor("gd", random_state=seed).fit(X, Y).predict(X) for seed in (3, 3, 4))
    assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("learner", ["bayes", "gd"])
def test_a_copy_predicts_alike_and_learns_on_alone(copied, learner):
    model = VWClassifier(learner).fit(X, CLASSES)
    other = copied(model)
    before = model.predict_proba(X)
    assert_array_equal(other.predict_proba(X), before)
    other.partial_fit(X, CLASSES)
    assert_array_equal(model.predict_proba(X), before)
    assert_array_equal(other.predict_proba(X), model.partial_fit(X, CLASSES).predict_proba(X))


def test_a_clone_has_the_parameters_and_no_model():
    model = VWRegressor("gd", l2=1e-4, flags="-q ::").fit(X, Y)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "workspace_")


@pytest.fixture
def workers():
    """Afterwards the processes of joblib have ended."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.usefixtures("workers")
def test_a_grid_search_in_two_processes_finds_the_better_parameter():
    search = GridSearchCV(VWRegressor(), {"l2": [0.1, 1e6]}, n_jobs=2, cv=3)
    assert search.fit(X, Y).best_params_ == {"l2": 0.1}
    assert search.best_estimator_.score(X, Y) > 0.9


def test_names_of_columns_pass_through_a_pipeline_with_pandas_output():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    pipeline = make_pipeline(StandardScaler(), VWRegressor()).set_output(transform="pandas").fit(frame, Y)
    assert pipeline[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert pipeline.score(frame, Y) > 0.9


def test_threads_take_turns():
    model = VWClassifier().fit(X, CLASSES)
    expected = model.predict_proba(X)
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.extend(model.predict_proba(X) for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(np.array_equal(each, expected) for each in found)


def test_flags_reach_the_learner_and_step_aside_for_none():
    x, y = load_diabetes(return_X_y=True)
    median, upper = (
        VWRegressor(flags=f"--loss_function quantile --quantile_tau {tau} -l 20", passes=20).fit(x, y).predict(x)
        for tau in (0.5, 0.9)
    )
    assert 0.4 < np.mean(y < median) < 0.6
    assert 0.8 < np.mean(y < upper) < 0.97
    square = X[:, :1] * X[:, 1:2]
    assert VWRegressor(flags="-q ::").fit(X, square[:, 0]).score(X, square[:, 0]) > 0.9


def test_what_is_forgotten_makes_room_for_what_is_new():
    x, drift = np.ones((400, 1)), np.repeat([0.0, 10.0], 200)
    assert VWRegressor(forget=0.9).fit(x, drift).predict([[1]]) == pytest.approx([10], abs=0.1)
    assert VWRegressor().fit(x, drift).predict([[1]]) == pytest.approx([5], abs=0.1)


@pytest.mark.parametrize("flags", ["--posterior_mode", "--moments", "--batch_size 10", "--posterior full", "--l2 1"])
def test_flags_take_the_place_of_what_the_estimator_would_set(flags):
    assert VWClassifier(flags=flags).fit(X, CLASSES).score(X, CLASSES) > 0.8
    assert VWClassifier("bayes", flags=flags).fit(X, CLASSES).score(X, CLASSES) > 0.8


def test_a_fit_of_the_whole_pass_by_flags_is_least_squares():
    model = VWRegressor(flags="--square --l2 1e-6").fit(X, Y)
    assert_allclose(model.predict(X), LinearRegression().fit(X, Y).predict(X), rtol=1e-4)
