"""Metrics of judged examples: sums of columns, and formulas of sums.

Each metric is a function of weighted sums over examples, so that one matrix product gives it for a whole sample, for
each group, and for each sample of a bootstrap. With weights w, labels y, predictions p:

    rmse       sqrt(sum w (p - y)^2 / sum w)
    r2         1 - sum w (p - y)^2 / sum w (y - mean y)^2
    logloss    - sum w log(probability of the label) / sum w
    brier      sum w (probability - y)^2 / sum w
    precision, recall, f1     of the label 1, of each class, and (class) their unweighted mean, "macro"

The area under the ROC curve is no function of sums. Its column is its influence: for a positive example
w (share of negatives below it - auc) / sum of positive weights, and alike for a negative one. To first order, a sample
of a bootstrap in which example i comes c_i times has the area auc + sum c_i influence_i; their variance is that of
DeLong, DeLong and Clarke-Pearson 1988.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vwlite.judging.columns import BINARY, CLASSES, NUMBERS, OF_EACH_CLASS, add_binary, add_classes, add_numbers
from vwlite.judging.ranking import Ranking

if TYPE_CHECKING:
    from vwlite.judging.records import Codes, Floats, Judged

MOST_CLASSES = 50  # with metrics of their own


class Columns:
    """The columns of examples whose sums the metrics are functions of.

    Args:
        data: The examples.

    Attributes:
        ranking: The examples by their scores, of two classes only.
        auc: The area under the ROC curve; None if it is undefined.
        influence: (n,): its influence; None without it.
    """

    def __init__(self, data: Judged) -> None:
        self.data = data
        self.kind = data.kind
        self.classes = data.classes
        self.has_probabilities = data.probabilities is not None
        self.ranking: Ranking | None = None
        self.auc: float | None = None
        self.influence: Floats | None = None
        self.shift = float(np.average(data.labels, weights=data.weights)) if data.n and data.kind == "number" else 0.0
        self.listed = len(data.classes) if len(data.classes) <= MOST_CLASSES else 0
        self.names = {
            "number": NUMBERS,
            "binary": BINARY,
            "class": (*CLASSES, *(f"{name} {i}" for i in range(self.listed) for name in OF_EACH_CLASS)),
        }[data.kind]
        self.at = {name: i for i, name in enumerate(self.names)}
        if data.kind == "binary":
            self.ranking = Ranking(data.predictions, data.labels, data.weights)
            influence = np.empty(data.n)
            self.auc = self.ranking.area(influence)
            self.influence = None if self.auc is None else influence

    @cached_property
    def total(self) -> Floats:
        """The sums of the columns over all examples, (columns,)."""
        return self.sums()[0]

    def sums(self, groups: Codes | None = None, n: int = 1) -> Floats:
        """The sums of the columns over each group of examples.

        Args:
            groups: (examples,): the group of each; None for one group.
            n: The number of groups.

        Returns:
            (groups, columns).
        """
        data, found = self.data, np.zeros((n, len(self.names)))
        groups = None if groups is None else np.ascontiguousarray(groups, np.int64)
        what = data.labels, data.predictions, data.weights
        if self.kind == "number":
            add_numbers(*what, self.shift, groups, found)
        elif self.kind == "binary":
            add_binary(*what, data.probabilities, self.influence, data.threshold, groups, found)
        else:
            add_classes(*what, data.probabilities, self.listed, groups, found)
        return found

    def metrics(self, sums: Floats, change_of_auc: bool = True) -> dict[str, Floats]:
        """The metrics of rows of sums.

        Args:
            sums: (..., columns).
            change_of_auc: Whether rows are samples of all examples, which the area under the curve needs.

        Returns:
            Each metric, (...); NaN where it is undefined.
        """
        s = {name: sums[..., i] for name, i in self.at.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {"number": self._of_numbers, "binary": self._of_binary, "class": self._of_classes}[self.kind](s)
            if self.kind == "binary" and self.auc is not None and change_of_auc:
                # the influence sums to 0 over all examples
                found = {"auc": np.clip(self.auc + s["auc"], 0, 1), **found}
        return found

    def _of_numbers(self, s: dict[str, Any]) -> dict[str, Any]:
        w = s["w"]
        spread = s["yy"] - s["y"] ** 2 / w
        return {
            "rmse": np.sqrt(s["square"] / w),
            "mae": s["absolute"] / w,
            "r2": np.where(spread > 0, 1 - s["square"] / spread, np.nan),
            "bias": (s["p"] - s["y"]) / w,
        }

    def _of_binary(self, s: dict[str, Any]) -> dict[str, Any]:
        w, found = s["w"], {}
        if self.has_probabilities:
            found = {"logloss": s["logloss"] / w, "brier": s["brier"] / w}
        precision, recall = s["hit"] / s["said"], s["hit"] / s["y"]
        found |= {
            "accuracy": s["right"] / w,
            "precision": precision,
            "recall": recall,
            "f1": 2 * s["hit"] / (s["said"] + s["y"]),
        }
        if self.has_probabilities:
            found["bias"] = (s["p"] - s["y"]) / w
        return found

    def _of_classes(self, s: dict[str, Any]) -> dict[str, Any]:
        found = {"accuracy": s["right"] / s["w"]}
        if self.has_probabilities:
            found["logloss"] = s["logloss"] / s["w"]
        if "of 0" in s:
            there = range(len(self.classes))
            # classes that neither labels nor predictions have are not counted
            f1 = np.stack([2 * s[f"hit {i}"] / (s[f"of {i}"] + s[f"said {i}"]) for i in there])
            recall = np.stack([s[f"hit {i}"] / s[f"of {i}"] for i in there])
            found |= {"macro f1": mean_of_defined(f1), "macro recall": mean_of_defined(recall)}
        return found

    def of_classes(self, sums: Floats) -> dict[str, dict[str, Floats]]:
        """Precision, recall and f1 of each class, of rows of sums (..., columns)."""
        s = {name: sums[..., i] for name, i in self.at.items()}
        if "of 0" not in s:
            return {}
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                name: {
                    "weight": s[f"of {i}"],
                    "precision": s[f"hit {i}"] / s[f"said {i}"],
                    "recall": s[f"hit {i}"] / s[f"of {i}"],
                    "f1": 2 * s[f"hit {i}"] / (s[f"of {i}"] + s[f"said {i}"]),
                }
                for i, name in enumerate(self.classes)
            }


def mean_of_defined(values: Floats) -> Floats:
    """The mean over the first axis of what is not NaN; NaN without any."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    return np.where(count > 0, np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)


def metrics_of_groups(columns: Columns, codes: Codes, n: int) -> dict[str, Floats]:
    """The metrics of each group of examples.

    Args:
        columns: The columns of the examples.
        codes: (examples,): the group of each.
        n: The number of groups.

    Returns:
        Each metric, (groups,); NaN where it is undefined, as it is in groups without an example.
    """
    values = columns.metrics(columns.sums(codes, n), change_of_auc=False)
    if columns.ranking is not None:
        areas = np.empty(n)
        columns.ranking.areas(np.ascontiguousarray(codes, np.int64), areas)
        values = {"auc": areas, **values}
    return values
