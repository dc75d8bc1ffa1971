"""Metrics of predictions equal scikit-learn's, and intervals those of SciPy's bootstrap."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from vwlite.errors import VwliteError
from vwlite.judging.evaluation import evaluate, select
from vwlite.judging.figures import Columns, metrics_of_groups
from vwlite.judging.intervals import Resampling, wilson
from vwlite.judging.ranking import Ranking
from vwlite.judging.records import Slice, judged

NO_INTERVALS = Resampling(samples=0)


def two_classes(n: int, seed: int = 0, ties: bool = True):
    """Labels 1 and 0, probabilities, and weights."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    p = np.clip(0.3 * y + random.random(n) * 0.7, 0.01, 0.99)
    return y, np.round(p, 2) if ties else p, random.integers(1, 4, n) / 2


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_have_scikit_learns_metrics(weighted):
    y, p, w = two_classes(500)
    w = w if weighted else np.ones(500)
    found = evaluate(judged(y, p, w), NO_INTERVALS)
    said = p > 0.5
    expected = {
        "auc": sk.roc_auc_score(y, p, sample_weight=w),
        "logloss": sk.log_loss(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, p, sample_weight=w),
        "accuracy": sk.accuracy_score(y, said, sample_weight=w),
        "precision": sk.precision_score(y, said, sample_weight=w),
        "recall": sk.recall_score(y, said, sample_weight=w),
        "f1": sk.f1_score(y, said, sample_weight=w),
        "bias": np.average(p - y, weights=w),
    }
    assert {metric.name: metric.value for metric in found.metrics} == pytest.approx(expected, abs=1e-12)
    assert found.confusion is not None
    assert found.confusion[0] == ["0", "1"]
    np.testing.assert_allclose(found.confusion[1], sk.confusion_matrix(y, said, sample_weight=w))


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
@pytest.mark.parametrize("shift", [0, 1e8])
def test_numbers_have_scikit_learns_metrics_in_any_unit(scale, shift):
    random = np.random.default_rng(1)
    y = random.normal(size=300) * scale + shift * scale
    p = y + random.normal(size=300) * scale
    found = evaluate(judged(y, p, kind="number"), NO_INTERVALS)
    expected = {
        "rmse": sk.root_mean_squared_error(y, p),
        "mae": sk.mean_absolute_error(y, p),
        "r2": sk.r2_score(y, p),
        "bias": np.mean(p - y),
    }
    assert {metric.name: metric.value for metric in found.metrics} == pytest.approx(expected, rel=1e-6)


def test_classes_have_scikit_learns_metrics():
    random = np.random.default_rng(2)
    names = np.array(["cat", "dog", "fox", "yak"])
    y, said = names[random.integers(0, 4, 400)], names[random.integers(0, 3, 400)]
    found = evaluate(judged(y, said), NO_INTERVALS)
    precision, recall, f1, support = sk.precision_recall_fscore_support(y, said, zero_division=np.nan)
    assert found.value("accuracy") == pytest.approx(sk.accuracy_score(y, said))
    assert found.value("macro f1") == pytest.approx(sk.f1_score(y, said, average="macro"))
    assert found.value("macro recall") == pytest.approx(sk.balanced_accuracy_score(y, said))
    assert [name for name, _ in found.classes] == list(names)
    for i, (_, each) in enumerate(found.classes):
        assert each["recall"] == pytest.approx(recall[i])
        assert each["f1"] == pytest.approx(f1[i])
        assert each["weight"] == support[i]
        assert (each["precision"] is None) == bool(np.isnan(precision[i]))
    assert found.confusion is not None
    np.testing.assert_array_equal(found.confusion[1], sk.confusion_matrix(y, said))


def test_intervals_of_means_are_those_of_scipys_bootstrap():
    random = np.random.default_rng(3)
    y = random.normal(size=200)
    p = y + random.exponential(size=200)
    found = {metric.name: metric for metric in evaluate(judged(y, p, kind="number"), Resampling(20_000)).metrics}
    for name, terms, root in (("mae", abs(p - y), False), ("rmse", (p - y) ** 2, True)):
        ends = scipy.stats.bootstrap((terms,), np.mean, n_resamples=20_000, method="percentile", rng=random)
        low, high = (np.sqrt(end) if root else end for end in ends.confidence_interval)
        width = high - low
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.03 * width)


def test_the_interval_of_the_area_under_the_curve_is_delongs():
    y, p, _ = two_classes(400, 4)
    metric = evaluate(judged(y, p), Resampling(20_000)).metrics[0]
    up, down = p[y == 1], p[y == 0]
    wins = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    variance = wins.mean(1).var(ddof=1) / len(up) + wins.mean(0).var(ddof=1) / len(down)
    assert metric.value == pytest.approx(wins.mean())
    assert metric.low is not None and metric.high is not None
    assert (metric.high - metric.low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.03)


def test_intervals_of_many_examples_are_as_wide_as_of_groups_that_are_drawn():
    random = np.random.default_rng(5)
    error = random.normal(size=40_000)
    metric = next(
        metric
        for metric in evaluate(judged(np.zeros(40_000), error, kind="number"), Resampling(4000)).metrics
        if metric.name == "bias"
    )
    assert metric.low is not None and metric.high is not None
    assert (metric.high - metric.low) / 2 == pytest.approx(1.96 * error.std() / 200, rel=0.06)


def test_intervals_of_users_are_wider_where_examples_of_one_resemble_each_other():
    random = np.random.default_rng(6)
    users = np.repeat(np.arange(50), 40)
    error = random.normal(size=50)[users] + 0.1 * random.normal(size=2000)
    data = judged(np.zeros(2000), error, kind="number")
    widths = []
    for units in (None, users):
        bias = evaluate(data, Resampling(2000, units=units)).metrics[-1]
        assert bias.low is not None and bias.high is not None
        widths.append((bias.high - bias.low) / 2)
    assert widths[1] == pytest.approx(1.96 * error.reshape(50, 40).mean(1).std() / np.sqrt(50), rel=0.1)
    assert widths[1] > 4 * widths[0]


def test_intervals_hold_their_share():
    random = np.random.default_rng(7)
    inside = 0
    for seed in range(300):
        y = random.random(150) < 0.3
        low, high = (
            (metric.low, metric.high)
            for metric in evaluate(judged(y, np.full(150, 0.3)), Resampling(400, 0.9, seed)).metrics
            if metric.name == "bias"
        ).__next__()
        assert low is not None and high is not None
        inside += low <= 0 <= high
    assert inside / 300 == pytest.approx(0.9, abs=0.05)


def test_the_same_seed_gives_the_same_intervals():
    y, p, w = two_classes(100)
    first, again, other = (evaluate(judged(y, p, w), Resampling(100, seed=seed)).metrics for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_slices_have_the_metrics_of_their_examples():
    y, p, _ = two_classes(300)
    codes = np.arange(300) % 3
    by = Slice("country", ["NL", "DE", "FR"], codes)
    found = evaluate(judged(y, p, slices=[by]), Resampling(50))
    for group in found.slices["country"]:
        which = codes == by.names.index(group.name)
        alone = evaluate(judged(y[which], p[which]), Resampling(50))
        assert (group.n, group.metrics) == (100, alone.metrics)


def test_many_groups_are_gathered_in_one():
    y, p, _ = two_classes(1000)
    codes = np.minimum(np.arange(1000) % 100, 60)
    found = evaluate(judged(y, p, slices=[Slice("id", [f"i{i}" for i in range(100)], codes)]), NO_INTERVALS)
    groups = found.slices["id"]
    assert groups[0].name == "i60"
    assert groups[-1].name == "(41 others)"
    assert sum(group.n for group in groups) == 1000


def test_entities_count_alike():
    y = np.array([1, 1, 1, 0, 5.0])
    p = np.array([1, 1, 1, 2, 5.0])
    by = Slice("user", ["a", "b", "c"], np.array([0, 0, 0, 1, 2]))
    metrics, n = evaluate(judged(y, p, kind="number", slices=[by]), NO_INTERVALS, ("user",)).entities["user"]
    values = {metric.name: metric.value for metric in metrics}
    assert n == 3
    assert values["mae"] == pytest.approx(2 / 3)
    assert values["rmse"] == pytest.approx(2 / 3)


def test_calibration_compares_predictions_with_what_came():
    y, p, w = two_classes(1000, ties=False)
    bins = evaluate(judged(y, p, w), NO_INTERVALS).calibration
    assert len(bins) == 10
    assert sum(one.n for one in bins) == 1000
    assert sum(one.weight for one in bins) == pytest.approx(w.sum())
    assert sum(one.weight * one.predicted for one in bins) == pytest.approx((w * p).sum())
    assert sum(one.weight * one.observed for one in bins) == pytest.approx((w * y).sum())
    assert [one.predicted for one in bins] == sorted(one.predicted for one in bins)
    for one in bins:
        assert one.low is not None and one.high is not None and one.low <= one.observed <= one.high


def test_equal_predictions_are_in_one_bin():
    bins = evaluate(judged([1, 0] * 50, np.full(100, 0.4)), NO_INTERVALS).calibration
    assert [(one.n, one.observed) for one in bins] == [(100, 0.5)]


def test_wilsons_interval_is_scipys():
    expected = scipy.stats.binomtest(7, 20).proportion_ci(0.9, method="wilson")
    assert wilson(7, 20, 0.9) == pytest.approx((expected.low, expected.high))


def test_lift_of_the_best_scored():
    y, p = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]), np.arange(10, 0, -1) / 11
    found = evaluate(judged(y, p), NO_INTERVALS).lift
    assert found[0] == pytest.approx((0.1, 1, 5))
    assert found[3] == pytest.approx((0.4, 0.5, 2.5))
    assert found[9] == pytest.approx((1, 0.2, 1))
    # equal scores have the same order whatever the order of the examples
    assert [each[2] for each in evaluate(judged(y, np.full(10, 0.5)), NO_INTERVALS).lift] == pytest.approx([1] * 10)


def test_weights_count_as_repeated_examples():
    y, p, _ = two_classes(60)
    w = np.arange(60) % 3
    weighted = evaluate(judged(y, p, w), NO_INTERVALS)
    repeated = evaluate(judged(np.repeat(y, w), np.repeat(p, w)), NO_INTERVALS)
    values = [{one.name: one.value for one in each.metrics} for each in (weighted, repeated)]
    assert values[0] == pytest.approx(values[1])
    assert weighted.n == (w > 0).sum()


@given(st.lists(st.tuples(st.sampled_from((0.0, 1.0)), st.floats(0, 1)), min_size=1, max_size=30), st.randoms())
@settings(max_examples=60)
def test_the_order_of_examples_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (evaluate(judged(*map(np.array, zip(*each, strict=True))), NO_INTERVALS) for each in (rows, shuffled))
    for metric, same in zip(one.metrics, other.metrics, strict=True):
        assert metric.value is same.value is None or metric.value == pytest.approx(same.value, rel=1e-9, abs=1e-12)
    assert one.lift == [pytest.approx(each) for each in other.lift]


def test_one_class_has_no_area_under_the_curve():
    found = evaluate(judged([1, 1], [0.2, 0.9]), Resampling(10))
    assert found.metrics[0][:2] == ("auc", None)
    assert found.metrics[0].note == "one class only: every label is 1"
    assert found.lift == []


@pytest.mark.parametrize(
    ("labels", "predictions", "kind", "message"),
    [
        ([], [], "number", "no example has a label and a weight, so there is nothing to compare predictions with"),
        ([1, 2], [1], None, "2 labels and 1 predictions: there has to be one for each example"),
        ([1, float("nan")], [1, 1], "number", "the label of example 2 is nan"),
        ([1, 2], [1, float("inf")], "number", "the prediction of example 2 is inf"),
        ([1, 2], ["1", "x"], "number", "the prediction 'x' is no number"),
        ([1, 2, 3], [1, 1, 1], "binary", "labels of two classes are 1 and 0, or 1 and -1; these are 1, 2, 3"),
    ],
)
def test_bad_input_is_named(labels, predictions, kind, message):
    with pytest.raises(VwliteError) as error:
        evaluate(judged(np.array(labels), np.array(predictions), kind=kind))
    assert str(error.value) == message


def test_everything_can_be_written_as_json():
    import json

    y, p, w = two_classes(50)
    found = evaluate(judged(y, p, w, slices=[Slice("g", ["a", "b"], np.arange(50) % 2)]), Resampling(20))
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["metrics"]["auc"]["value"] == found.value("auc")


@pytest.mark.parametrize("kind", ["single", "double", "ties", "odd", "none"])
def test_scores_are_in_the_order_of_a_stable_sort(kind):
    random = np.random.default_rng(0)
    scores = {
        "single": random.normal(0, 1e-3, 5000).astype(np.float32).astype(float),
        "double": random.normal(0, 1e3, 5000),
        "ties": random.integers(-3, 3, 5000) / 2,
        "odd": np.array([0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, np.inf, -np.inf, 65536.0, -65536.0] * 3),
        "none": np.zeros(0),
    }[kind]
    ranking = Ranking(scores, np.ones(len(scores)), np.ones(len(scores)))
    assert ranking.places() == np.argsort(scores, kind="stable").tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4), st.integers(1, 3)), min_size=1, max_size=40))
def test_lift_and_calibration_are_those_of_their_definitions(rows):
    labels, scores, weights = np.array(rows, float).T
    found = evaluate(judged(labels, scores / 8 + 0.5, weights, kind="binary"), NO_INTERVALS)
    total = weights.sum()
    if 0 < labels.sum() < len(labels):
        for share, rate, lift in found.lift:
            # ties are dealt out evenly over their weight
            left, hits = share * total, 0.0
            for score in sorted(set(scores), reverse=True):
                tied = scores == score
                taken = min(left, weights[tied].sum())
                hits += taken * np.average(labels[tied], weights=weights[tied])
                left -= taken
            assert rate == pytest.approx(hits / (share * total), abs=1e-12)
            assert lift == pytest.approx(rate / np.average(labels, weights=weights), abs=1e-12)
    bins: dict[int, Any] = {}
    for score in sorted(set(scores)):
        number = min(int(weights[scores < score].sum() / total * 10), 9)
        bins[number] = bins.get(number, np.zeros(len(rows), bool)) | (scores == score)
    assert len(found.calibration) == len(bins)
    for one, which in zip(found.calibration, bins.values(), strict=True):
        assert (one.n, one.weight) == (which.sum(), weights[which].sum())
        assert one.predicted == pytest.approx(np.average(scores[which] / 8 + 0.5, weights=weights[which]))
        assert one.observed == pytest.approx(np.average(labels[which], weights=weights[which]))


def test_arrays_may_be_views_of_any_kind():
    y, p, w = two_classes(60)
    table = np.column_stack([y, p, w])
    codes: Any = np.arange(120, dtype=np.int32)[::2] % 3
    strided = judged(*table.T, kind="binary", slices=[Slice("g", ["a", "b", "c"], codes)])
    whole = judged(y, p, w, kind="binary", slices=[Slice("g", ["a", "b", "c"], codes.astype(np.int64))])
    for entities in ((), ("g",)):
        assert evaluate(strided, Resampling(10), entities) == evaluate(whole, Resampling(10), entities)


def test_metrics_of_groups_are_those_of_each_group_alone():
    random = np.random.default_rng(1)
    for labels, said in (
        (random.integers(0, 2, 900), random.normal(size=900).round(1)),
        (random.normal(1e6, 1, 900), random.normal(1e6, 1, 900)),
        (random.choice(["a", "b", "c"], 900), random.choice(["a", "b"], 900)),
    ):
        whole = judged(labels, said, random.random(900))
        codes = random.integers(0, 4, 900)
        codes[whole.labels == 0] %= 3  # a group of one class only
        found = metrics_of_groups(Columns(whole), codes, 5)
        assert np.isnan([values[4] for values in found.values()]).all()
        for i in range(4):
            alone = evaluate(select(whole, codes == i), Resampling(0))
            for metric in alone.metrics:
                if metric.value is None:
                    assert not np.isfinite(found[metric.name][i])
                else:
                    assert found[metric.name][i] == pytest.approx(metric.value, rel=1e-6)
            assert len(alone.metrics) == len(found)


def test_weights_of_any_size():
    y, p, _ = two_classes(60)
    expected = evaluate(judged(y, p, kind="binary"), Resampling(10))
    for size in (1e-60, 1e60):
        found = evaluate(judged(y, p, np.full(60, size), kind="binary"), Resampling(10))
        for one, other in zip(found.metrics, expected.metrics, strict=True):
            assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    least = evaluate(judged(y, p, np.full(60, 1e-200), kind="binary"), Resampling(10))  # whose squares are 0
    assert sum(one.n for one in least.calibration) == 60
    assert least.metrics[0].name == "auc" and least.metrics[0].value == pytest.approx(expected.metrics[0].value)
    with pytest.raises(VwliteError, match="the sum of the weights is not finite"):
        judged(y, p, np.full(60, 1e308))
