"""All of River: whatever is uploaded is read without running it, and translated or refused by its name."""

import contextlib
import importlib
import inspect
import pickle
import pkgutil
import sys
from typing import Any

import dill
import pytest
import river
from river import (
    anomaly,
    cluster,
    compose,
    ensemble,
    facto,
    feature_extraction,
    forest,
    linear_model,
    multiclass,
    naive_bayes,
    neighbors,
    preprocessing,
    rules,
    time_series,
    tree,
)  # fmt: skip

from vwlite.http.calls import json_answer
from vwlite.http.pickles import read
from vwlite.http.problems import Problem
from vwlite.http.river_models import translate
from vwlite.http.river_parts import Refused
from vwlite.http.uploads import read_upload


def instances():
    """An object of every class of River that can be made without help, or with River's own parameters for tests."""
    classes = set()
    for module in pkgutil.walk_packages(river.__path__, "river."):
        if any(part in module.name for part in (".test", ".checks", ".compat")):
            continue
        try:
            found = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        except ImportError:  # of a package that is not installed
            continue
        classes |= {each for _, each in found if each.__module__.startswith("river.") and not inspect.isabstract(each)}
    each: Any
    for each in sorted(classes, key=lambda each: (each.__module__, each.__name__)):
        parameters: list[dict[str, Any]] = [{}]
        with contextlib.suppress(AttributeError, ImportError, TypeError):
            parameters += list(each._unit_test_params())
        for one in parameters:
            try:
                yield each, each(**one)
            except Exception:  # whatever River says of missing arguments
                continue


INSTANCES = list(instances())


def verdict(data):
    """How a model is translated, and what is said of it."""
    try:
        found = translate(read(data))
    except Refused as error:
        return "refused", str(error)
    return "exact" if found.exact else "near", "; ".join(found.notes)


def answer(data, flavor):
    """What an upload is answered."""
    try:
        found = read_upload(data, flavor, False)
        return [found.notes, found.steps, found.words]
    except Problem as problem:
        return problem.members()


def test_every_class_is_read_and_translated_or_refused():
    before = set(sys.modules)
    found: dict[str, set[str]] = {"exact": set(), "near": set(), "refused": set()}
    others = ("without steps", "only of LogisticRegression", "upload names")
    for kind, value in INSTANCES:
        for dump in (dill.dumps, pickle.dumps):
            try:
                data = dump(value)
            except Exception:  # what can't be pickled is not uploaded
                continue
            how, words = verdict(data)
            found[how].add(kind.__name__)
            assert how != "near" or words
            assert how != "refused" or kind.__name__ in words or any(each in words for each in others), words
            for flavor in ("regression", "binary", "multiclass", "custom"):
                assert json_answer(answer(data, flavor))
    assert set(sys.modules) == before
    assert found["exact"] == {"LinearRegression", "LogisticRegression", "BayesianLinearRegression"}
    assert found["near"] >= {"Perceptron", "SoftmaxRegression", "OneVsRestClassifier", "OneVsOneClassifier"}
    assert len(found["refused"]) > 300


def parse(x):
    """A user's function."""
    raise AssertionError("nothing is run")


REFUSED = {
    "PAClassifier": lambda: linear_model.PAClassifier(),
    "PARegressor": lambda: preprocessing.StandardScaler() | linear_model.PARegressor(),
    "ALMAClassifier": lambda: linear_model.ALMAClassifier(),
    "GaussianNB": lambda: preprocessing.StandardScaler() | naive_bayes.GaussianNB(),
    "MultinomialNB": lambda: preprocessing.OneHotEncoder() | naive_bayes.MultinomialNB(),
    "BagOfWords": lambda: feature_extraction.BagOfWords(lowercase=True) | linear_model.LogisticRegression(),
    "TFIDF": lambda: feature_extraction.TFIDF(on="text") | linear_model.LogisticRegression(),
    "PolynomialExtender": lambda: feature_extraction.PolynomialExtender() | linear_model.LinearRegression(),
    "FuncTransformer": lambda: compose.FuncTransformer(parse) | linear_model.LinearRegression(),
    "KMeans": lambda: cluster.KMeans(n_clusters=3, seed=1),
    "DBSTREAM": lambda: cluster.DBSTREAM(),
    "KNNClassifier": lambda: preprocessing.StandardScaler() | neighbors.KNNClassifier(),
    "HoeffdingTreeClassifier": lambda: tree.HoeffdingTreeClassifier(),
    "HoeffdingAdaptiveTreeRegressor": lambda: tree.HoeffdingAdaptiveTreeRegressor(seed=1),
    "ARFClassifier": lambda: forest.ARFClassifier(seed=1),
    "AMFClassifier": lambda: forest.AMFClassifier(seed=1),
    "FMRegressor": lambda: facto.FMRegressor(),
    "SNARIMAX": lambda: time_series.SNARIMAX(p=1, d=1, q=1),
    "AMRules": lambda: rules.AMRules(),
    "HalfSpaceTrees": lambda: preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=1),
    "AdaBoostClassifier": lambda: ensemble.AdaBoostClassifier(tree.HoeffdingTreeClassifier(), seed=1),
    "BaggingClassifier": lambda: ensemble.BaggingClassifier(linear_model.LogisticRegression(), seed=1),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("strict", [False, True])
def test_other_models_are_refused_by_their_names(name, strict):
    model = REFUSED[name]()
    for flavor in ("binary", "regression", "custom"):
        with pytest.raises(Problem, match=name) as refused:
            read_upload(dill.dumps(model), flavor, strict)
        assert refused.value.status == 400
        assert any(words in refused.value.detail for words in ("would do", "learns from labels", "known are"))


def test_models_that_were_taught_are_refused_by_their_names_too():
    forests = forest.ARFClassifier(n_models=3, seed=1)
    bayes = naive_bayes.GaussianNB()
    for i in range(200):
        forests.learn_one({"a": i % 7, "b": i % 3}, i % 2)
        bayes.learn_one({"a": i % 7, "b": i % 3}, i % 2)
    for model in (forests, bayes):
        with pytest.raises(Problem, match=type(model).__name__):
            read_upload(dill.dumps(model), "binary", False)


def test_several_classes_learn_by_oaa_with_the_steps_inside():
    for make in (multiclass.OneVsRestClassifier, multiclass.OneVsOneClassifier):
        for model in (
            preprocessing.StandardScaler() | make(linear_model.LogisticRegression()),
            make(preprocessing.StandardScaler() | linear_model.LogisticRegression()),
        ):
            upload = read_upload(dill.dumps(model), "multiclass", False)
            assert upload.words[:3] == ["--scale", "--oaa", "20"]
            assert set(upload.steps) >= {make.__name__, "StandardScaler"}
    with pytest.raises(Problem, match="OneVsRestClassifier of GaussianNB"):
        read_upload(dill.dumps(multiclass.OneVsRestClassifier(naive_bayes.GaussianNB())), "multiclass", False)
