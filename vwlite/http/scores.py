"""Metrics of a model as it serves: of predictions that were made before their labels were learned.

The names and definitions are River's (river.metrics), the sets of them django-river-ml's for each flavor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from vwlite.core.elementary import array_log, scalar_log
from vwlite.http.kinds import Binary, Kind, Multiclass, Regression, number
from vwlite.http.records import Label

Array = npt.NDArray[np.float64]

LEAST = 1e-15  # of a probability in a logarithm
FEW = 16  # examples that are faster one by one
BINS = 20  # of the calibration
MOST_CLASSES = 1000  # that are counted each


class Scores:
    """Metrics over all examples so far; here none.

    Args:
        kind: Of the model.

    Attributes:
        averaged: The metric that is a mean over examples, of which there is a curve; "" for none.
    """

    averaged: ClassVar[str] = ""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.n = 0
        self.sums: dict[str, float] = {}

    def take(self, labels: Sequence[Label], answers: Sequence[bytes]) -> None:
        """Adds labels, and the answers that were given before."""

    def figures(self) -> dict[str, float]:
        """The metrics by name."""
        return {}

    def total(self) -> tuple[float, float]:
        """The number of examples, and the sum over them of the metric that is a mean."""
        return self.n, 0.0

    def state(self) -> dict[str, Any]:
        """What has to be stored with the model."""
        return {"n": self.n, **self.sums}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what was stored. Raises ValueError or TypeError for what makes no sense."""
        self.n = int(state.get("n", 0))
        self.sums.update({name: float(state[name]) for name in self.sums if name in state})


class RegressionScores(Scores):
    """MAE, RMSE and SMAPE."""

    averaged = "MAE"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.sums = {"absolute": 0.0, "squared": 0.0, "symmetric": 0.0}

    def take(self, labels: Sequence[Label], answers: Sequence[bytes]) -> None:
        """Adds labels and predictions; those that are not finite are left out."""
        if len(answers) < FEW:
            for label, answer in zip(labels, answers, strict=True):
                p = number(answer)
                if isinstance(label, float) and math.isfinite(p):
                    self.take_one(label, p)
            return
        self.take_arrays(numbers_of(labels), np.fromiter(map(number, answers), np.float64, len(answers)))

    def take_one(self, label: float, p: float) -> None:
        """Adds a label and a prediction."""
        error = abs(p - label)
        scale = abs(p) + abs(label)
        self.n += 1
        self.sums["absolute"] += error
        self.sums["squared"] += error * error
        if scale:
            self.sums["symmetric"] += 2 * error / scale

    def take_arrays(self, labels: Array, predictions: Array) -> None:
        """Adds arrays of labels and predictions; NaN where there is none."""
        good = np.isfinite(labels) & np.isfinite(predictions)
        labels, predictions = labels[good], predictions[good]
        error = np.abs(predictions - labels)
        scale = np.abs(predictions) + np.abs(labels)
        self.n += len(error)
        self.sums["absolute"] += float(error.sum())
        self.sums["squared"] += float(error @ error)
        self.sums["symmetric"] += float((2 * error[scale > 0] / scale[scale > 0]).sum())

    def total(self) -> tuple[float, float]:
        """The number of examples, and the sum of absolute errors."""
        return self.n, self.sums["absolute"]

    def figures(self) -> dict[str, float]:
        """The metrics by name."""
        if not self.n:
            return {"MAE": 0.0, "RMSE": 0.0, "SMAPE": 0.0}
        sums = self.sums
        return {
            "MAE": sums["absolute"] / self.n,
            "RMSE": math.sqrt(sums["squared"] / self.n),
            "SMAPE": 100 * sums["symmetric"] / self.n,
        }


class BinaryScores(Scores):
    """Accuracy, LogLoss, Precision, Recall and F1; a probability above a half is the positive class."""

    averaged = "Accuracy"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.sums = {"logarithmic": 0.0}
        self.hits = [0, 0, 0, 0]  # true negatives, false positives, false negatives, true positives
        self.bins: list[list[float]] = [[0, 0.0, 0] for _ in range(BINS)]  # examples, sum of predictions, positives

    def take(self, labels: Sequence[Label], answers: Sequence[bytes]) -> None:
        """Adds labels and probabilities; what is no probability is left out."""
        if len(answers) < FEW:
            for label, answer in zip(labels, answers, strict=True):
                p = number(answer)
                if label is not None and 0 <= p <= 1:
                    self.take_one(label == 1, p)
            return
        self.take_arrays(numbers_of(labels), np.fromiter(map(number, answers), np.float64, len(answers)))

    def take_one(self, positive: bool, p: float) -> None:
        """Adds a label and a probability."""
        self.n += 1
        likely = min(max(p, LEAST), 1 - LEAST)
        self.sums["logarithmic"] -= scalar_log(likely if positive else 1 - likely)
        self.hits[2 * positive + (p > 0.5)] += 1
        cell = self.bins[min(int(p * BINS), BINS - 1)]
        cell[0] += 1
        cell[1] += p
        cell[2] += positive

    def take_arrays(self, labels: Array, predictions: Array) -> None:
        """Adds arrays of labels, of which 1 is the positive class, and of predictions; NaN where there is none."""
        good = ~np.isnan(labels) & (predictions >= 0) & (predictions <= 1)
        positive, p = labels[good] == 1, predictions[good]
        likely = np.clip(p, LEAST, 1 - LEAST)
        self.n += len(p)
        self.sums["logarithmic"] -= float(array_log(np.where(positive, likely, 1 - likely)).sum())
        for cell, count in enumerate(np.bincount(2 * positive + (p > 0.5), minlength=4).tolist()):
            self.hits[cell] += count
        places = np.minimum((p * BINS).astype(np.int64), BINS - 1)
        for cell, count in enumerate(np.bincount(places, minlength=BINS).tolist()):
            self.bins[cell][0] += count
        for cell, total in enumerate(np.bincount(places, weights=p, minlength=BINS).tolist()):
            self.bins[cell][1] += total
        for cell, count in enumerate(np.bincount(places[positive], minlength=BINS).tolist()):
            self.bins[cell][2] += count

    def total(self) -> tuple[float, float]:
        """The number of examples, and of those whose class was predicted."""
        return self.n, self.hits[0] + self.hits[3]

    def figures(self) -> dict[str, float]:
        """The metrics by name."""
        _, false_positive, false_negative, hit = self.hits
        precision = ratio(hit, hit + false_positive)
        recall = ratio(hit, hit + false_negative)
        return {
            "Accuracy": ratio(self.hits[0] + hit, self.n),
            "LogLoss": ratio(self.sums["logarithmic"], self.n),
            "Precision": precision,
            "Recall": recall,
            "F1": ratio(2 * precision * recall, precision + recall),
        }

    def calibration(self) -> list[dict[str, float]]:
        """Of each range of predictions: their number, their mean, and the share of positive labels."""
        return [
            {"examples": count, "predicted": total / count, "observed": positives / count}
            for count, total, positives in self.bins
            if count
        ]

    def state(self) -> dict[str, Any]:
        """What has to be stored with the model."""
        return {**super().state(), "hits": self.hits, "bins": self.bins}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what was stored."""
        super().restore(state)
        hits, bins = [int(each) for each in state.get("hits", ())], state.get("bins", ())
        if len(hits) == len(self.hits):
            self.hits = hits
        if len(bins) == BINS:
            self.bins = [[int(n), float(total), int(positives)] for n, total, positives in bins]


class MulticlassScores(Scores):
    """Accuracy, CrossEntropy, and precision, recall and F1 as means over classes (macro) and over examples (micro)."""

    averaged = "Accuracy"

    def __init__(self, kind: Multiclass) -> None:
        super().__init__(kind)
        self.sums = {"logarithmic": 0.0, "hits": 0.0}
        self.of_class: dict[str, list[int]] = {}  # hits, labels, predictions

    def take(self, labels: Sequence[Label], answers: Sequence[bytes]) -> None:
        """Adds labels and answers."""
        kind: Any = self.kind
        for label, answer in zip(labels, answers, strict=True):
            if label is None:
                continue
            word, predicted = str(label), str(kind.prediction(answer))
            self.n += 1
            self.sums["logarithmic"] -= scalar_log(
                min(max(kind.probabilities(answer).get(word, 1.0), LEAST), 1 - LEAST)
            )
            of_label = self.cell(word)
            of_label[1] += 1
            of_label[0] += word == predicted
            self.sums["hits"] += word == predicted
            self.cell(predicted)[2] += 1

    def total(self) -> tuple[float, float]:
        """The number of examples, and of those whose class was predicted."""
        return self.n, self.sums["hits"]

    def cell(self, word: str) -> list[int]:
        """The counts of a class."""
        found = self.of_class.get(word)
        if found is None:
            if len(self.of_class) >= MOST_CLASSES:
                word = ""
            found = self.of_class.setdefault(word, [0, 0, 0])
        return found

    def figures(self) -> dict[str, float]:
        """The metrics by name."""
        cells = list(self.of_class.values())
        precisions = [ratio(hits, predictions) for hits, _, predictions in cells]
        recalls = [ratio(hits, labels) for hits, labels, _ in cells]
        accuracy = ratio(sum(cell[0] for cell in cells), self.n)
        return {
            "Accuracy": accuracy,
            "CrossEntropy": ratio(self.sums["logarithmic"], self.n),
            "MacroPrecision": ratio(sum(precisions), len(cells)),
            "MacroRecall": ratio(sum(recalls), len(cells)),
            "MacroF1": ratio(
                sum(ratio(2 * p * r, p + r) for p, r in zip(precisions, recalls, strict=True)), len(cells)
            ),
            "MicroPrecision": accuracy,
            "MicroRecall": accuracy,
            "MicroF1": accuracy,
        }

    def state(self) -> dict[str, Any]:
        """What has to be stored with the model."""
        return {**super().state(), "classes": self.of_class}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what was stored."""
        super().restore(state)
        self.of_class = {
            str(word): [int(each) for each in cell][:3]
            for word, cell in dict(state.get("classes", {})).items()
            if len(cell) == 3
        }


def numbers_of(labels: Sequence[Label]) -> Array:
    """Labels as an array; NaN for what is no number."""
    return np.fromiter((each if isinstance(each, float) else math.nan for each in labels), np.float64, len(labels))


def ratio(part: float, whole: float) -> float:
    """A share; 0 of nothing."""
    return part / whole if whole else 0.0


def scores_of(kind: Kind) -> Scores:
    """The metrics of a kind of models."""
    if isinstance(kind, Regression):
        return RegressionScores(kind)
    if isinstance(kind, Binary):
        return BinaryScores(kind)
    if isinstance(kind, Multiclass):
        return MulticlassScores(kind)
    return Scores(kind)
