"""Evaluation: metrics of predictions with intervals, by slices and entities, calibration, confusion matrix and lift."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vwlite.errors import VwliteError
from vwlite.judging.figures import Columns, metrics_of_groups
from vwlite.judging.intervals import Resampling, dealt, interval, sampled, wilson
from vwlite.judging.ranking import Ranking
from vwlite.judging.records import Judged, Slice

BINS = 10
MOST_CELLS = 20  # classes in a confusion matrix
MOST_GROUPS = 20  # of a slice that are listed


class Metric(NamedTuple):
    """A metric.

    Args:
        name: Its name.
        value: Its value; None where it is undefined.
        low: The lower end of its interval; None without one.
        high: The upper end.
        note: Why it is undefined.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


class Group(NamedTuple):
    """The metrics of the examples of a group.

    Args:
        name: Its name.
        n: The number of examples.
        weight: The sum of their weights.
        metrics: Its metrics.
    """

    name: str
    n: int
    weight: float
    metrics: list[Metric]


class Bin(NamedTuple):
    """Examples of similar predictions.

    Args:
        n: Their number.
        weight: The sum of their weights.
        predicted: The mean prediction: of two classes the probability of the label 1.
        observed: The mean label.
        low: The lower end of the interval of the share of the label 1; None for other labels.
        high: The upper end.
    """

    n: int
    weight: float
    predicted: float
    observed: float
    low: float | None
    high: float | None


class Evaluation(NamedTuple):
    """What `evaluate` finds.

    Args:
        kind: "number", "binary" or "class".
        n: The number of examples.
        weight: The sum of their weights.
        resampled: What a bootstrap draws: "examples", or the name of entities.
        level: Of the intervals.
        metrics: Of all examples.
        slices: By the name of a slice, its groups, those with most examples first; ranges in ascending order.
        calibration: From the lowest to the highest predictions; empty without probabilities or numbers.
        confusion: The names of the classes and the weights (label, prediction); None for numbers and many classes.
        classes: Precision, recall and f1 of each class.
        lift: Of two classes: the best-scored tenth, two tenths, ... of the weight, the share of the labels 1 among
            them, and this over the share among all.
        entities: By the name of entities, each metric as its mean over them, and their number.
    """

    kind: str
    n: int
    weight: float
    resampled: str
    level: float
    metrics: list[Metric]
    slices: dict[str, list[Group]]
    calibration: list[Bin]
    confusion: tuple[list[str], list[list[float]]] | None
    classes: list[tuple[str, dict[str, float | None]]]
    lift: list[tuple[float, float, float]]
    entities: dict[str, tuple[list[Metric], int]]

    def value(self, name: str) -> float | None:
        """The value of a metric. Raises KeyError if there is none of this name."""
        for metric in self.metrics:
            if metric.name == name:
                return metric.value
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """The evaluation in values that JSON can represent."""
        return {
            "kind": self.kind,
            "examples": self.n,
            "weight": self.weight,
            "resampled": self.resampled,
            "level": self.level,
            "metrics": of_metrics(self.metrics),
            "slices": {
                name: [
                    {
                        "name": group.name,
                        "examples": group.n,
                        "weight": group.weight,
                        "metrics": of_metrics(group.metrics),
                    }
                    for group in groups
                ]
                for name, groups in self.slices.items()
            },
            "calibration": [one._asdict() for one in self.calibration],
            "confusion": None
            if self.confusion is None
            else {"classes": self.confusion[0], "weights": self.confusion[1]},
            "classes": dict(self.classes),
            "lift": [{"share": share, "positive": rate, "lift": lift} for share, rate, lift in self.lift],
            "entities": {
                name: {"entities": n, "metrics": of_metrics(each)} for name, (each, n) in self.entities.items()
            },
        }


def of_metrics(metrics: list[Metric]) -> dict[str, Any]:
    """Metrics in values that JSON can represent."""
    return {
        metric.name: {"value": metric.value, "low": metric.low, "high": metric.high}
        | ({"note": metric.note} if metric.note else {})
        for metric in metrics
    }


def evaluate(
    data: Judged,
    how: Resampling | None = None,
    entities: tuple[str, ...] = (),
    resampled: str = "",
    columns: Columns | None = None,
) -> Evaluation:
    """Computes the metrics of judged examples.

    Args:
        data: The examples.
        how: The samples of the bootstrap, 1,000 by default.
        entities: Which of the slices are entities, of which only the mean is wanted.
        resampled: The name of the units of the bootstrap; "" for the examples.
        columns: The columns of the examples, if there are some already.

    Returns:
        The evaluation.

    Raises:
        VwliteError: Without an example.
    """
    how = how or Resampling()
    if not data.n:
        raise VwliteError("no example has a label and a weight, so there is nothing to compare predictions with")
    columns = columns or Columns(data)
    return Evaluation(
        data.kind,
        data.n,
        float(data.weights.sum()),
        resampled or "examples",
        how.level,
        with_intervals(data, columns, how),
        {one.name: groups(data, one, how) for one in data.slices if one.name not in entities},
        calibration(data, how.level, columns.ranking),
        confusion(data),
        of_each_class(columns),
        lift(data, columns.ranking),
        {one.name: means(columns, one) for one in data.slices if one.name in entities},
    )


def with_intervals(data: Judged, columns: Columns, how: Resampling) -> list[Metric]:
    """The metrics of all examples, with intervals."""
    values, samples = columns.metrics(columns.total), {}
    if how.samples and data.n > 1:
        samples = columns.metrics(sampled(columns.sums(*dealt(data.n, how)), how))
    found = []
    if data.kind == "binary" and columns.auc is None:
        found = [Metric("auc", None, note=f"one class only: every label is {data.labels[0]:g}")]
    for name, value in values.items():
        ends = interval(samples[name], how.level) if name in samples and np.isfinite(value) else None
        low, high = ends or (None, None)
        found.append(Metric(name, finite(value), low, high, "" if np.isfinite(value) else undefined(name, data)))
    return found


def undefined(name: str, data: Judged) -> str:
    """Why a metric is undefined."""
    if name == "r2":
        return "all labels are equal" if data.n > 1 else "one example only"
    if name == "precision":
        return "the label 1 is never predicted"
    if name in ("recall", "f1"):
        return "no label is 1" + (", and it is never predicted" if name == "f1" else "")
    return "a prediction is not finite"


def groups(data: Judged, by: Slice, how: Resampling) -> list[Group]:
    """The metrics of each group of a slice, the largest first (ranges ascend); those after MOST_GROUPS are one."""
    counts = np.bincount(by.codes, minlength=len(by.names))
    order = [i for i in (range(len(counts)) if by.ordered else np.argsort(-counts, kind="stable")) if counts[i]]
    shown = order if len(order) <= MOST_GROUPS + 1 else order[:MOST_GROUPS]
    parts = [(by.names[i], by.codes == i) for i in shown]
    if len(shown) < len(order):
        parts.append((f"({len(order) - len(shown):,} others)", ~np.isin(by.codes, shown)))
    found = []
    for name, which in parts:
        part, inner = select(data, which), how
        if how.units is not None:
            inner = how._replace(units=np.unique(how.units[which], return_inverse=True)[1])
        metrics = with_intervals(part, Columns(part), inner)
        found.append(Group(name, part.n, float(part.weights.sum()), metrics))
    return found


def select(data: Judged, which: Any) -> Judged:
    """Some of the examples, without slices."""
    return data._replace(
        labels=data.labels[which],
        weights=data.weights[which],
        predictions=data.predictions[which],
        probabilities=None if data.probabilities is None else data.probabilities[which],
        slices=[],
        places=data.places[which],
    )


def means(columns: Columns, by: Slice) -> tuple[list[Metric], int]:
    """The mean of each metric over entities that have it, and the number of entities."""
    n = len(by.names)
    there = np.bincount(by.codes, minlength=n) > 0
    found = []
    for name, of_all in metrics_of_groups(columns, by.codes, n).items():
        each = of_all[there]
        defined = each[np.isfinite(each)]
        note = "" if len(defined) == len(each) else f"of {len(defined)} of them, in which it is defined"
        found.append(Metric(name, float(defined.mean()) if len(defined) else None, note=note))
    return found, int(there.sum())


def calibration(data: Judged, level: float, ranking: Ranking | None) -> list[Bin]:
    """Examples in BINS groups of about equal weight by their predictions: what was predicted, and what came.

    `ranking` is that of the scores of two classes, in whose order probabilities usually ascend, too.
    """
    said = data.probabilities if data.kind == "binary" else data.predictions if data.kind == "number" else None
    if said is None:
        return []
    sums, found = np.empty((BINS, 5)), []
    if ranking is None or not ranking.bins(said, sums):
        Ranking(said, data.labels, data.weights).bins(said, sums)
    for n, weight, square, predicted, observed in sums[sums[:, 0] > 0].tolist():
        low = high = None
        if data.kind == "binary" and square > 0:  # weights below 1e-154 have no squares
            effective = weight * weight / square
            low, high = (float(end) for end in wilson(observed / weight * effective, effective, level))
        found.append(Bin(int(n), weight, predicted / weight, observed / weight, low, high))
    return found


def confusion(data: Judged) -> tuple[list[str], list[list[float]]] | None:
    """The weights of each pair of label and prediction; None for numbers and for more than MOST_CELLS classes."""
    if data.kind == "number":
        return None
    labels, said, names = data.labels, data.predictions, data.classes
    if data.kind == "binary":
        said, names = (data.predictions > data.threshold).astype(float), ["0", "1"]
    if len(names) > MOST_CELLS:
        return None
    cells = (labels * len(names) + said).astype(int)
    weights: Any = np.bincount(cells, data.weights, minlength=len(names) ** 2).reshape(len(names), len(names))
    return names, weights.tolist()


def of_each_class(columns: Columns) -> list[tuple[str, dict[str, float | None]]]:
    """Weight, precision, recall and f1 of each class."""
    if columns.kind != "class":
        return []
    found = columns.of_classes(columns.total)
    return [(name, {key: finite(value) for key, value in each.items()}) for name, each in found.items()]


def lift(data: Judged, ranking: Ranking | None) -> list[tuple[float, float, float]]:
    """Shares of the weight by score, best first, with the share of the label 1 and its lift; ties in proportion."""
    weight, positive = float(data.weights.sum()), float((data.weights * data.labels).sum())
    if ranking is None or not 0 < positive < weight:
        return []
    hits = np.empty(BINS)
    ranking.lift(hits)
    found = []
    for i, hit in enumerate(hits.tolist(), 1):
        rate = hit / (weight * i / BINS)
        found.append((i / BINS, rate, rate / (positive / weight)))
    return found


def finite(value: Any) -> float | None:
    """A number, or None if it is not finite."""
    return float(value) if np.isfinite(value) else None
