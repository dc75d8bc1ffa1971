"""Paired comparisons: intervals, DeLong's and McNemar's test."""

import numpy as np
import pytest
import scipy.stats

from vwlite.errors import VwliteError
from vwlite.judging.comparison import compare
from vwlite.judging.intervals import Resampling
from vwlite.judging.records import judged


def scores(n: int, seed: int = 0):
    """Labels, and two scores that share much of their noise."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, n)
    common = y + random.normal(size=n)
    return y, common + 0.3 * random.normal(size=n), common + 0.6 * random.normal(size=n)


def of(found, name):
    return next(one for one in found.differences if one.name == name)


def test_delongs_test_is_that_of_the_definition():
    y, a, b = scores(300)
    found = of(compare(judged(y, a), judged(y, b), Resampling(0)), "auc")

    def placements(score):
        up, down = score[y == 1], score[y == 0]
        wins = (up[:, None] > down) + 0.5 * (up[:, None] == down)
        return wins.mean(1), wins.mean(0)

    (up_a, down_a), (up_b, down_b) = placements(a), placements(b)
    variance = (up_b - up_a).var(ddof=1) / len(up_a) + (down_b - down_a).var(ddof=1) / len(down_a)
    z = (up_b.mean() - up_a.mean()) / np.sqrt(variance)
    assert found.change == pytest.approx(up_b.mean() - up_a.mean())
    assert (found.test, found.p) == ("DeLong", pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-9))


def test_mcnemars_test_counts_what_only_one_predicts_right():
    y = np.array([1] * 10 + [0] * 10)
    a, b = np.where(np.arange(20) < 2, 1 - y, y), np.where(np.arange(20) < 9, 1 - y, y)
    found = of(compare(judged(y, a), judged(y, b), Resampling(0)), "accuracy")
    # 7 examples that only the first predicts right, and none that only the other does
    assert (found.test, found.p) == ("McNemar", pytest.approx(2 * 0.5**7))


def test_intervals_are_those_of_paired_differences():
    random = np.random.default_rng(1)
    y = random.normal(size=400)
    a, b = y + random.normal(size=400), y + random.normal(size=400)
    b = 0.9 * a + 0.1 * b
    found = of(compare(judged(y, a, kind="number"), judged(y, b, kind="number"), Resampling(10_000)), "mae")
    difference = abs(b - y) - abs(a - y)
    half, middle = 1.96 * difference.std() / 20, difference.mean()
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=0.1 * half)
    assert found.better == "other"


def test_the_same_predictions_are_no_better():
    y, a, _ = scores(100)
    found = compare(judged(y, a), judged(y, a))
    assert {one.better for one in found.differences} == {""}
    assert of(found, "auc").p is None or of(found, "auc").p == 1


def test_what_is_better_does_not_depend_on_who_is_first():
    y, a, b = scores(3000)
    one, other = compare(judged(y, a), judged(y, b)), compare(judged(y, b), judged(y, a))
    assert (one.main.name, one.main.better, other.main.better) == ("auc", "first", "other")
    assert one.main.p == pytest.approx(other.main.p)


def test_whole_entities_are_drawn():
    random = np.random.default_rng(2)
    users = np.repeat(np.arange(40), 50)
    y = np.zeros(2000)
    a, b = np.ones(2000), 1 + 0.5 * random.normal(size=40)[users]
    found = compare(judged(y, a, kind="number"), judged(y, b, kind="number"), Resampling(2000, units=users), "user")
    change = of(found, "mae")
    assert change.low is not None and change.high is not None and change.p is None
    each = (abs(b) - 1).reshape(40, 50).mean(1)
    assert (change.high - change.low) / 2 == pytest.approx(1.96 * each.std() / np.sqrt(40), rel=0.15)
    assert found.resampled == "user"


def test_examples_that_only_one_has_are_left_out():
    y, a, b = scores(50)
    found = compare(judged(y, a), judged(y[5:], b[5:], places=np.arange(5, 50)))
    assert (found.n, found.left_out) == (45, 5)


def test_classes_are_compared_by_name():
    y = np.array(["a", "b", "c", "a"])
    found = compare(judged(y, np.array(["a", "b", "b", "a"])), judged(y, np.array(["d", "b", "c", "a"])), Resampling(0))
    accuracy = of(found, "accuracy")
    assert (accuracy.first, accuracy.other) == (0.75, 0.75)


@pytest.mark.parametrize(
    ("first", "other", "message"),
    [
        (
            ([1, 2.5], [1, 1]),
            ([1, 0], [1, 1]),
            "the first predicts number labels and the other binary ones",
        ),
        (([1, 0], [1, 1]), ([0, 0], [1, 1]), "example 1 has another label or weight beside the other predictions"),
    ],
)
def test_predictions_of_other_data_are_refused(first, other, message):
    with pytest.raises(VwliteError, match=message):
        compare(judged(*first), judged(*other))
