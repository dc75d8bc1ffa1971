"""Comparison of predictions for the same examples: differences of metrics with paired intervals and tests.

The bootstrap draws the same examples, or entities, for both, so that what makes an example hard for both cancels out.
Two tests need no bootstrap, and hold for independent examples of equal weight:

    auc        DeLong, DeLong and Clarke-Pearson 1988: z = difference / sqrt(sum of squares of differing influences)
    accuracy   McNemar 1947, exact: of the examples that one of both predicts right, half are expected for each
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vwlite.core.elementary import array_erfc
from vwlite.errors import VwliteError
from vwlite.judging.evaluation import finite
from vwlite.judging.figures import Columns
from vwlite.judging.intervals import Resampling, dealt, interval, sampled
from vwlite.judging.records import Judged

LOWER_IS_BETTER = ("rmse", "mae", "logloss", "brier")
HIGHER_IS_BETTER = ("auc", "r2", "accuracy", "precision", "recall", "f1", "macro f1", "macro recall")
MAIN = ("logloss", "auc", "rmse", "accuracy")  # the first of them that there is decides


class Difference(NamedTuple):
    """A metric of two predictions.

    Args:
        name: The metric.
        first: Its value for the first; None where it is undefined.
        other: Its value for the other one.
        change: The other value less the first.
        low: The lower end of the interval of the change; None without one.
        high: The upper end.
        test: The name of a test that needs no bootstrap, "" without one.
        p: Its p-value; None without one.
    """

    name: str
    first: float | None
    other: float | None
    change: float | None
    low: float | None
    high: float | None
    test: str = ""
    p: float | None = None

    @property
    def better(self) -> str:
        """Which is better: "first" or "other" if the interval says so, else ""."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return ""
        if self.name in LOWER_IS_BETTER:
            return "first" if self.low > 0 else "other"
        if self.name in HIGHER_IS_BETTER:
            return "other" if self.low > 0 else "first"
        return ""


class Comparison(NamedTuple):
    """What `compare` finds.

    Args:
        kind: "number", "binary" or "class".
        n: The number of examples.
        weight: The sum of their weights.
        left_out: Examples that only one of both has a prediction for.
        resampled: What the bootstrap draws: "examples", or the name of entities.
        level: Of the intervals.
        differences: Of each metric.
    """

    kind: str
    n: int
    weight: float
    left_out: int
    resampled: str
    level: float
    differences: list[Difference]

    @property
    def main(self) -> Difference:
        """The metric that decides."""
        found = {one.name: one for one in self.differences}
        return next(
            (found[name] for name in MAIN if name in found and found[name].change is not None), self.differences[0]
        )

    def as_dict(self) -> dict[str, Any]:
        """The comparison in values that JSON can represent."""
        return {
            **{name: getattr(self, name) for name in ("kind", "n", "weight", "left_out", "resampled", "level")},
            "metric": self.main.name,
            "better": self.main.better,
            "differences": [{**one._asdict(), "better": one.better} for one in self.differences],
        }


def compare(  # noqa: DOC502
    first: Judged, other: Judged, how: Resampling | None = None, resampled: str = ""
) -> Comparison:
    """Compares predictions for the same examples.

    Args:
        first: Judged examples.
        other: The same examples with other predictions.
        how: The samples of the bootstrap; the units are of the first's examples.
        resampled: The name of the units; "" for the examples.

    Returns:
        The comparison.

    Raises:
        VwliteError: If the examples differ.
    """
    how = how or Resampling()
    first, other, left_out, units = paired(first, other, how.units)
    how = how._replace(units=units)
    columns = Columns(first), Columns(other)
    values = [each.metrics(each.total) for each in columns]
    samples: dict[str, Any] = {}
    if how.samples and first.n > 1:
        units_of, n = dealt(first.n, how)
        both = [each.sums(units_of, n) for each in columns]
        drawn = np.split(sampled(np.hstack(both), how), [both[0].shape[1]], axis=1)
        one, two = (each.metrics(part) for each, part in zip(columns, drawn, strict=True))
        samples = {name: two[name] - one[name] for name in one if name in two}
    found = []
    for name in (name for name in values[0] if name in values[1]):
        change = values[1][name] - values[0][name]
        ends = interval(samples[name], how.level) if name in samples and np.isfinite(change) else None
        test, p = exact_test(name, first, other, columns) if units is None else ("", None)
        low, high = ends or (None, None)
        found.append(
            Difference(name, finite(values[0][name]), finite(values[1][name]), finite(change), low, high, test, p)
        )
    return Comparison(
        first.kind, first.n, float(first.weights.sum()), left_out, resampled or "examples", how.level, found
    )


def paired(first: Judged, other: Judged, units: Any) -> tuple[Judged, Judged, int, Any]:
    """The examples that both have, how many only one has, and the units of the former."""
    if first.kind != other.kind:
        raise VwliteError(
            f"the first predicts {first.kind} labels and the other {other.kind} ones: they can't be compared"
        )
    _, a, b = np.intersect1d(first.places, other.places, assume_unique=True, return_indices=True)
    left_out = first.n + other.n - 2 * len(a)
    if not len(a):
        raise VwliteError("no example has a label, a weight and both predictions, so there is nothing to compare")
    if first.kind == "class":
        first, other = of_the_same_classes(first, other)
    first, other = (
        one._replace(
            labels=one.labels[at],
            weights=one.weights[at],
            predictions=one.predictions[at],
            probabilities=None if one.probabilities is None else one.probabilities[at],
            places=one.places[at],
            slices=[],
        )
        for one, at in ((first, a), (other, b))
    )
    if not (np.array_equal(first.labels, other.labels) and np.array_equal(first.weights, other.weights)):
        place = int(np.flatnonzero((first.labels != other.labels) | (first.weights != other.weights))[0])
        raise VwliteError(
            f"example {first.places[place] + 1} has another label or weight beside the other predictions: they are not "
            "of the same data"
        )
    return first, other, left_out, None if units is None else np.unique(units[a], return_inverse=True)[1]


def of_the_same_classes(first: Judged, other: Judged) -> tuple[Judged, Judged]:
    """Both with the same numbers of classes."""
    names = list(dict.fromkeys([*first.classes, *other.classes]))
    number = {name: i for i, name in enumerate(names)}
    found = []
    for one in (first, other):
        to = np.array([number[name] for name in one.classes])
        labels, predictions = (to[each.astype(int)].astype(float) for each in (one.labels, one.predictions))
        found.append(one._replace(labels=labels, predictions=predictions, classes=names))
    return found[0], found[1]


def exact_test(name: str, first: Judged, other: Judged, columns: Sequence[Columns]) -> tuple[str, float | None]:
    """The test of a metric that needs no bootstrap, and its p-value."""
    if name == "auc":
        one, two = columns
        if one.auc is None or two.auc is None or one.influence is None or two.influence is None:
            return "", None
        return "DeLong", delong(two.auc - one.auc, two.influence - one.influence, first.labels > 0)
    if name == "accuracy" and (first.weights == first.weights[0]).all():
        right = [one.labels == said(one) for one in (first, other)]
        return "McNemar", mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    return "", None


def said(one: Judged) -> Any:
    """The predicted labels."""
    return (one.predictions > one.threshold).astype(float) if one.kind == "binary" else one.predictions


def delong(change: float, influence: Any, positive: Any) -> float | None:
    """The p-value of a difference of two areas under the curve, by the difference of the influences, (n,)."""
    variance = sum(
        float(((part - part.mean()) ** 2).sum()) * len(part) / (len(part) - 1)
        for part in (influence[positive], influence[~positive])
        if len(part) > 1
    )
    return float(array_erfc(np.array([abs(change) / math.sqrt(2 * variance)]))[0]) if variance > 0 else None


def mcnemar(only_first: int, only_other: int) -> float:
    """The exact p-value of McNemar's test, by the numbers of examples that only one of both predicts right."""
    from scipy.stats import binomtest

    n = only_first + only_other
    return float(binomtest(only_first, n).pvalue) if n else 1.0
