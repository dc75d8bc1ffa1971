"""Metrics of served models: River's, whatever the labels and predictions are, and however they come in batches."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import metrics

from tests.support.served_models import served
from vwlite.http.scores import BINS, FEW, scores_of

NUMBERS = st.one_of(
    st.just(0.0), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 4))
)
PROBABILITIES = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 1e-9, 0.05, 0.95]), st.floats(0, 1)).map(lambda p: f"{p:.6f}")
CLASSES = st.sampled_from(["1", "2", "3", "7"])
REGRESSION = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=60)
BINARY = st.lists(st.tuples(st.sampled_from([1.0, -1.0]), PROBABILITIES), max_size=60)
MULTICLASS = st.lists(st.tuples(CLASSES, st.lists(st.floats(0.001, 1), min_size=4, max_size=4)), max_size=60)
SIZES = st.lists(st.integers(1, 3 * FEW), min_size=1)

regression, binary = served("--bayes_linear"), served("--loss_function logistic --link logistic")
classes, likely = served("--oaa 7"), served("--oaa 7 --loss_function logistic --probabilities")
named = served("--oaa 4 --named_labels 1,2,3,7")


def taken(model, pairs, sizes=(1,)):
    """The metrics of a model after labels and answers in batches of sizes, which repeat."""
    scores, i = scores_of(model.kind), 0
    while pairs:
        size = sizes[i % len(sizes)]
        scores.take([label for label, _ in pairs[:size]], [answer for _, answer in pairs[:size]])
        pairs, i = pairs[size:], i + 1
    return scores


def assert_like(figures, river):
    """Asserts that figures are those of River's metrics."""
    assert list(figures) == list(river)
    for name, metric in river.items():
        assert figures[name] == pytest.approx(metric.get(), rel=1e-9, abs=1e-12), name


@given(REGRESSION, SIZES)
def test_regression(pairs, sizes):
    river = {"MAE": metrics.MAE(), "RMSE": metrics.RMSE(), "SMAPE": metrics.SMAPE()}
    for y, p in pairs:
        for metric in river.values():
            metric.update(y, p)
    answers = [(y, f"{p!r} tag".encode()) for y, p in pairs]
    for scores in (taken(regression, answers), taken(regression, answers, sizes), taken(regression, answers, [1000])):
        assert_like(scores.figures(), river)
        assert scores.n == len(pairs)


@given(BINARY, SIZES)
def test_binary(pairs, sizes):
    river = {
        "Accuracy": metrics.Accuracy(), "LogLoss": metrics.LogLoss(), "Precision": metrics.Precision(),
        "Recall": metrics.Recall(), "F1": metrics.F1(),
    }  # fmt: skip
    for y, word in pairs:
        p = float(word)
        for metric in river.values():
            metric.update(y == 1, p > 0.5 if metric.requires_labels else {True: p, False: 1 - p})
    answers = [(y, word.encode()) for y, word in pairs]
    one, many = taken(binary, answers), taken(binary, answers, sizes)
    for scores in (one, many):
        assert_like(scores.figures(), river)
    assert one.hits == many.hits
    assert [cell[0] for cell in one.bins] == [cell[0] for cell in many.bins]
    assert [cell[2] for cell in one.bins] == [cell[2] for cell in many.bins]
    assert sum(cell[0] for cell in one.bins) == len(pairs)
    for place, (count, total, positives) in enumerate(many.bins):
        assert place / BINS - 1e-6 <= (total / count if count else place / BINS) <= (place + 1) / BINS + 1e-6
        assert 0 <= positives <= count


def of_classes():
    """River's metrics of several classes."""
    return {
        "Accuracy": metrics.Accuracy(), "CrossEntropy": metrics.CrossEntropy(),
        "MacroPrecision": metrics.MacroPrecision(), "MacroRecall": metrics.MacroRecall(), "MacroF1": metrics.MacroF1(),
        "MicroPrecision": metrics.MicroPrecision(), "MicroRecall": metrics.MicroRecall(), "MicroF1": metrics.MicroF1(),
    }  # fmt: skip


@given(MULTICLASS, SIZES)
def test_several_classes_with_probabilities(pairs, sizes):
    river, answers = of_classes(), []
    for y, shares in pairs:
        words = {name: f"{share / sum(shares):.6f}" for name, share in zip("1237", shares, strict=True)}
        probabilities = {name: float(word) for name, word in words.items()}
        answers.append((y, " ".join(f"{name}:{word}" for name, word in words.items()).encode()))
        for metric in river.values():
            best = max(probabilities, key=lambda name: probabilities[name])
            metric.update(y, best if metric.requires_labels else probabilities)
    for scores in (taken(likely, answers), taken(likely, answers, sizes)):
        assert_like(scores.figures(), river)


@given(st.lists(st.tuples(CLASSES, CLASSES), max_size=60), SIZES)
@pytest.mark.parametrize("model", [classes, named], ids=["numbers", "names"])
def test_several_classes_without_probabilities(model, pairs, sizes):
    river = of_classes()
    for y, p in pairs:
        for metric in river.values():
            if metric.requires_labels:
                metric.update(y, p)
    figures = taken(model, [(y, p.encode()) for y, p in pairs], sizes).figures()
    assert figures.pop("CrossEntropy") == pytest.approx(0, abs=1e-12)
    river.pop("CrossEntropy")
    assert_like(figures, river)


@given(BINARY, st.data())
def test_metrics_go_on_after_a_restart(pairs, data):
    answers = [(y, word.encode()) for y, word in pairs]
    place = data.draw(st.integers(0, len(pairs)))
    scores = scores_of(binary.kind)
    scores.restore(json.loads(json.dumps(taken(binary, answers[:place]).state())))
    scores.take(*zip(*answers[place:], strict=True)) if answers[place:] else None
    assert scores.figures() == pytest.approx(taken(binary, answers).figures())


@pytest.mark.parametrize("count", [1, FEW - 1, FEW, 3 * FEW])
def test_what_is_no_label_or_no_prediction_is_left_out(count):
    odd = [(None, b"0.25"), (1.0, b"nan"), (1.0, b""), (1.0, b"word"), (1.0, b"inf")]
    for model, wanted in ((regression, 2.0), (binary, 0.0)):
        pairs = [(1.0 if model is binary else 3.0, b"1")] * count + odd
        for sizes in ([1], [1000]):
            scores = taken(model, pairs, sizes)
            assert scores.n == count
            first = next(iter(scores.figures().values()))
            assert first == (wanted if model is regression else 1.0)
    assert taken(binary, [(1.0, b"1.5"), (1.0, b"-0.1")] * count, [1000]).n == 0


def test_the_first_prediction_of_a_model_counts():
    """It is 0, or a half: no better than a guess, and River counts it, too."""
    model = served("--bayes_linear --l2 1 --noise 1")
    answers = []
    for y in (0.0, 2.0):
        [answer] = model.run([model.writer.one({"a": 1}, y)])
        model.score([y], [answer])
        answers.append(float(answer))
    assert answers[0] == 0
    assert model.scores.figures()["MAE"] == pytest.approx((0 + abs(answers[1] - 2)) / 2)
    assert math.isfinite(model.scores.figures()["SMAPE"])
