"""Labels and predictions of served models: which JSON values are a class, and what a probability is of."""

import json
import math
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.served_models import served
from vwlite.http.kinds import LARGEST, Binary, Multiclass, Regression
from vwlite.http.problems import Problem

SCALARS = st.one_of(
    st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, -1.0, 0.5, -0.0]), st.integers(), st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["true", "false", "1", "0", "-1", "yes", "", "no"]),
)  # fmt: skip
OTHERS = st.one_of(
    st.none(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)  # fmt: skip
LOW = [False, 0, 0.0, -0.0, -1, -1.0]

logistic = served("--loss_function logistic --link logistic")
squared = served("--bayes_linear")
classes, named = served("--oaa 5"), served("--oaa 3 --named_labels red,green,blue")
likely = served("--oaa 3 --named_labels red,green,blue --loss_function logistic --probabilities")


def binary():
    """A binary kind that has met no label."""
    kind = logistic.kind
    assert isinstance(kind, Binary)
    kind.restore({})
    return kind


def is_in(value, values):
    """Whether a value is one of others, and no text."""
    return not isinstance(value, str) and value in values


# binary


@given(st.lists(SCALARS, min_size=1, max_size=12))
@example([1, 0, True])
@example([0, 1, -1])
def test_two_values_are_two_classes_in_any_order(values):
    kind = binary()
    distinct: list[Any] = []
    for value in values:
        if not any(value == other for other in distinct):
            distinct.append(value)
        if len(distinct) > 2:
            with pytest.raises(Problem, match="is a third one"):
                kind.label(value)
            distinct.pop()
            continue
        label = kind.label(value)
        assert label in (1.0, -1.0)
        for _ in range(2):
            assert kind.label(value) == label
        assert json.loads(json.dumps(kind.state())) == kind.state()
    if len(distinct) == 2:
        first, second = distinct
        assert {kind.label(first), kind.label(second)} == {1.0, -1.0}


@given(SCALARS, SCALARS)
def test_which_of_two_values_is_the_positive_class(first, second):
    """false, 0 and -1 are not; of others it is the first."""
    assume(first != second)
    kind = binary()
    labels = kind.label(first), kind.label(second)
    assert sorted(labels) == [-1.0, 1.0]
    assert labels == ((-1.0, 1.0) if is_in(first, LOW) else (1.0, -1.0))


@pytest.mark.parametrize("values", [(True, 1, 1.0), (False, 0, 0.0, -0.0)])
def test_true_and_1_are_one_class_and_so_are_false_and_0(values):
    for first in values:
        kind = binary()
        assert {kind.label(value) for value in (first, *values)} == {1.0 if True in values else -1.0}


@given(SCALARS, SCALARS, st.floats(0, 1))
def test_what_a_probability_is_of(first, second, p):
    assume(first != second)
    kind = binary()
    answer = f"{p:.6f}".encode()
    before = kind.prediction(answer)
    assert before == {"false": pytest.approx(1 - p, abs=1e-6), "true": pytest.approx(p, abs=1e-6)}
    for value in (first, second):
        kind.label(value)
        found = kind.prediction(answer)
        assert 1 <= len(found) <= 2
        assert sum(found.values()) == pytest.approx(1 if len(found) == 2 else p, abs=2e-6)
        members = json.loads(b"{" + kind.members(answer) + b"}")
        assert members["prediction"] == pytest.approx(p, abs=1e-6)
        assert ("of" not in members) == kind.is_bare()
    names = {
        kind.label(value): json.dumps(value) if isinstance(value, bool) else str(value) for value in (first, second)
    }
    assume(names[1.0] != names[-1.0])  # 1 and "1" have one name in JSON
    found = kind.prediction(answer)
    assert found[names[1.0]] == pytest.approx(p, abs=1e-6)
    assert found[names[-1.0]] == pytest.approx(1 - p, abs=1e-6)
    if "of" in members:
        assert members["of"] == names[1.0]


@given(SCALARS, SCALARS)
def test_classes_are_the_same_after_a_restart(first, second):
    assume(first != second)
    kind = binary()
    labels = kind.label(first), kind.label(second)
    state = json.loads(json.dumps(kind.state()))
    again = binary()
    again.restore(state)
    assert (again.label(first), again.label(second)) == labels


@given(OTHERS)
def test_other_values_are_no_labels(value):
    for model in (logistic, squared, classes, named):
        with pytest.raises(Problem) as refused:
            model.kind.label(value)
        assert refused.value.pointer == "/label"
        assert json.dumps(refused.value.members(), ensure_ascii=False).encode()


@pytest.mark.parametrize("answer", [b"nan", b"", b"1.5", b"word"])
def test_what_is_no_probability_is_no_prediction(answer):
    assert binary().prediction(answer) is None


# numbers, and several classes


@given(SCALARS)
@example(LARGEST)
@example(2**53 + 1)
@example(math.nextafter(LARGEST, math.inf))
def test_a_regression_learns_finite_numbers(value):
    assert isinstance(squared.kind, Regression)
    if isinstance(value, (bool, str)) or abs(value) > LARGEST:
        with pytest.raises(Problem, match="finite number"):
            squared.kind.label(value)
    else:
        assert squared.kind.label(value) == float(value)
        [answer] = squared.predict([squared.writer.one({"a": 1})])
        assert isinstance(squared.kind.prediction(answer), float)


@given(SCALARS | st.text())
def test_classes_are_words_that_stand_in_a_line(value):
    """What is accepted is read back from the line as the label, or the model says why not."""
    for model in (classes, named, likely):
        assert isinstance(model.kind, Multiclass)
        try:
            label = model.kind.label(value)
            line = model.writer.one({"a": 1}, label)
        except Problem:
            continue
        assert label == (json.dumps(value) if isinstance(value, bool) else str(value))
        assert line.startswith(label.encode() + b" ")
        assert line.count(b"\n") == 1
        [answer] = model.run([line])
        assert answer.startswith(b"!error") or model.kind.prediction(answer) not in (None, "")


def test_predictions_of_classes():
    numbers = served("--oaa 5")
    for _ in range(3):
        for model, labels in ((numbers, [1, 2, 5]), (named, ["red", "blue"]), (likely, ["red", "blue"])):
            for value in labels:
                [answer] = model.run([model.writer.one({f"is-{value}": 1}, model.kind.label(value))])
                assert not answer.startswith(b"!")
    assert numbers.kind.prediction(numbers.predict([numbers.writer.one({"is-5": 1})])[0]) == 5
    for model in (named, likely):
        [answer] = model.predict([model.writer.one({"is-blue": 1})])
        assert model.kind.prediction(answer) == "blue"
        assert json.loads(b"{" + model.kind.members(answer) + b"}")["prediction"] == "blue"
    [answer] = likely.predict([likely.writer.one({"is-blue": 1})])
    kind: Any = likely.kind
    assert sum(kind.probabilities(answer).values()) == pytest.approx(1, abs=1e-5)
