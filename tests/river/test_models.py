"""VWClassifier and VWRegressor in River: what they learn, one example at a time or many."""

import copy
import math
import pickle
import warnings
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import compose, datasets, evaluate, linear_model, metrics, preprocessing

from vwlite import Workspace
from vwlite.errors import ParseError
from vwlite.river import VWClassifier, VWRegressor

SEGMENTS = ("brickface", "cement", "foliage", "grass", "path", "sky", "window")
NAMES = st.sampled_from(["a", "b", "c d", "_label", "_weight", "é", "7", 7, -1])
FINITE = st.floats(-1e6, 1e6, width=32)


def scores(dataset, *models, make):
    return [evaluate.progressive_val_score(dataset, model, make()).get() for model in models]


@pytest.mark.parametrize("dataset", [datasets.TrumpApproval(), datasets.ChickWeights()])
def test_the_default_regressor_is_better_than_rivers_scaled_one_and_than_gradient_descent(dataset):
    rival = preprocessing.StandardScaler() | linear_model.LinearRegression()
    ours, theirs, gradient = scores(dataset, VWRegressor(), rival, VWRegressor("gd"), make=metrics.MAE)
    assert ours < 0.96 * theirs
    assert ours < 0.5 * gradient


def test_the_default_classifier_is_better_than_rivers_scaled_one_and_than_gradient_descent():
    rival = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    models = VWClassifier(), rival, VWClassifier(learner="gd")
    losses = scores(datasets.Phishing(), *models, make=metrics.LogLoss)
    areas = scores(datasets.Phishing(), *[model.clone() for model in models], make=metrics.ROCAUC)
    assert losses[0] < 0.85 * min(losses[1:])
    assert areas[0] == max(areas)


def test_many_classes_are_learned_if_they_are_named():
    (accuracy,) = scores(datasets.ImageSegments(), VWClassifier(classes=SEGMENTS), make=metrics.Accuracy)
    assert accuracy > 0.85


def test_a_pipeline_selects_and_scales_before_it():
    numbers = compose.SelectType(int, float) | preprocessing.StandardScaler()
    texts = compose.SelectType(str)
    model = (numbers + texts) | VWRegressor()
    for i in range(500):
        size = 37 * i % 100
        model.learn_one({"size": size, "city": ["Bonn", "Rome"][i % 2]}, size + 50 * (i % 2))
    assert model.predict_one({"size": 10, "city": "Rome"}) == pytest.approx(60, abs=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(NAMES, min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.lists(st.tuples(*[FINITE] * len(names), FINITE), min_size=1, max_size=12).map(
            lambda rows: (names, rows)
        )
    ),
    st.sampled_from(["auto", "gd", "ftrl"]),
    st.floats(0, 3),
)
def test_learn_many_is_learn_one_bit_for_bit(named, learner, weight):
    names, rows = named
    frame = pd.DataFrame([row[:-1] for row in rows], columns=names, index=range(7, 7 + len(rows)))
    labels = pd.Series([row[-1] for row in rows])
    one, many = VWRegressor(learner), VWRegressor(learner)
    for row, y in zip(rows, labels, strict=True):
        one.learn_one(dict(zip(names, row[:-1], strict=True)), y, w=weight)
    many.learn_many(frame, labels, w=weight)
    predicted = many.predict_many(frame)
    assert predicted.index.tolist() == frame.index.tolist()
    assert predicted.tolist() == [one.predict_one(dict(zip(names, row[:-1], strict=True))) for row in rows]


def test_many_labels_and_probabilities_are_those_of_one():
    rows = list(datasets.Phishing().take(100))
    frame, labels = pd.DataFrame([x for x, _ in rows]), pd.Series([y for _, y in rows])
    one, many = VWClassifier(), VWClassifier()
    for x, y in rows:
        one.learn_one(x, y)
    many.learn_many(frame, labels)
    assert many.predict_proba_many(frame).to_dict("records") == [one.predict_proba_one(x) for x, _ in rows]
    assert many.predict_many(frame).tolist() == [one.predict_one(x) for x, _ in rows]


def test_texts_flags_and_namespaces_are_features():
    model = VWRegressor()
    for i in range(200):
        city, new = ["Bonn", "Rome"][i % 2], i % 3 == 0
        model.learn_one({"city": city, "new": new, "user": {"age": i % 5}, "none": None}, 10 * (i % 2) + new + i % 5)
    assert model.predict_one({"city": "Rome", "new": True, "user": {"age": 4}}) == pytest.approx(15, abs=0.1)
    assert model.predict_one({"city": "Bonn"}) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("labels", [(False, True), (0, 1), (-1, 1), ("ham", "spam"), (1, 2)])
def test_labels_come_back_as_they_were_given(labels):
    model = VWClassifier()
    assert model.predict_proba_one({"x": 1}) == {False: 0.5, True: 0.5}
    for i in range(40):
        model.learn_one({"x": i % 2}, labels[i % 2])
    assert model.predict_one({"x": 0}) == labels[0]
    assert type(model.predict_one({"x": 1})) is type(labels[1])
    assert model.predict_one({"x": 1}) == labels[1]
    assert sum(model.predict_proba_one({"x": 1}).values()) == pytest.approx(1)


def test_a_label_that_is_one_too_many_is_refused():
    model = VWClassifier()
    model.learn_one({"x": 1}, "a")
    assert model.predict_proba_one({"x": 1}) == {"a": 1.0}
    model.learn_one({"x": 2}, "b")
    with pytest.raises(ValueError, match=r"'c' is not among the classes 'a', 'b': name all"):
        model.learn_one({"x": 3}, "c")
    with pytest.raises(ValueError, match="is not among the classes"):
        VWClassifier(classes=("a", "b")).learn_one({"x": 1}, "c")


def test_columns_are_never_labels_or_weights():
    plain, odd = VWRegressor(), VWRegressor()
    for i in range(20):
        plain.learn_one({"x": i, "_label_": i % 3, "_weight_": i % 2, "_tag_": "a"}, i)
        odd.learn_one({"x": i, "_label": i % 3, "_weight": i % 2, "_tag": "a"}, i)
    assert plain.predict_one({"x": 30}) == odd.predict_one({"x": 30})


@pytest.mark.parametrize(
    ("x", "error", "why"),
    [
        ({"x": math.nan}, ParseError, "x"),
        ({"x": math.inf}, ParseError, "x"),
        ({"x": 1e300}, ParseError, "x"),
        ({"x": object()}, TypeError, "'x'"),
        ({"x": pd.Timestamp("2026-01-01")}, TypeError, "such as its hour"),
        ({1.5: 1}, TypeError, "names of features are texts"),
    ],
)
def test_bad_values_are_refused_and_nothing_is_learned(x, error, why):
    model = VWRegressor()
    model.learn_one({"x": 1.0}, 1.0)
    examples, before = model.workspace.driver.counters.example_number, model.predict_one({"x": 3.0})
    for call in (lambda: model.learn_one(x, 1.0), lambda: model.predict_one(x)):
        with pytest.raises(error, match=why):
            call()
    labels: list[Any] = [math.nan, math.inf, "two", None]
    for y in labels:
        with pytest.raises((ValueError, TypeError, ParseError)):
            model.learn_one({"x": 2.0}, y)
    assert model.predict_one({"x": 3.0}) == before
    assert model.workspace.driver.counters.example_number == examples


def test_copies_go_on_alike_and_clones_anew():
    rows = list(datasets.Phishing().take(200))
    model = VWClassifier(l2=0.5)
    for x, y in rows[:100]:
        model.learn_one(x, y)
    others = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for x, y in rows[100:]:
        for each in (model, *others):
            each.learn_one(x, y)
    assert model.predict_proba_one(rows[0][0]) == others[0].predict_proba_one(rows[0][0])
    assert pickle.dumps(others[0]) == pickle.dumps(others[1])
    assert model.clone().predict_proba_one(rows[0][0]) == {False: 0.5, True: 0.5}
    assert model.clone().l2 == 0.5


def test_many_features_are_learned_without_much_ado():
    model = VWClassifier()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the posterior becomes diagonal
        for i in range(300):
            model.learn_one({"words": [f"w{i * 7 % 100}", f"w{i * 3 % 50}"]}, i % 2)
    assert 0 < model.predict_proba_one({"words": ["w1"]})[1] < 1


def test_the_workspace_of_a_model_can_be_saved_and_used(tmp_path):
    model = VWRegressor()
    for x, y in datasets.TrumpApproval().take(100):
        model.learn_one(x, y)
    model.workspace.save(tmp_path / "approval.model")
    assert Workspace.load(tmp_path / "approval.model").predict(x) == model.predict_one(x)


def test_users_have_effects():
    model = VWRegressor(flags="--random_effect user")
    for i in range(300):
        model.learn_one({"user": i % 3, "x": i % 7}, [1, 2, 6][i % 3] + 0.1 * (i % 7))
    assert model.predict_one({"user": 2, "x": 0}) == pytest.approx(6, abs=0.1)
    assert model.predict_one({"user": "new", "x": 0}) == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize("flags", ["--square", "--bayes_linear --batch_size all", "--random_effect user --sweeps 5"])
def test_a_stream_has_no_end_for_a_learner_to_wait_for(flags):
    with pytest.raises(ValueError, match=r"a stream has no end|sets --sweeps itself"):
        VWRegressor(flags=flags)
