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

from typing import TYPE_CHECKING, Any

import numpy as np

from vwlite.core.elementary import array_log
from vwlite.report.figures import areas

if TYPE_CHECKING:
    from vwlite.judging.records import Floats, Judged

LEAST_PROBABILITY = 1e-15
MOST_CLASSES = 50  # with metrics of their own


class Columns:
    """The columns of examples whose sums the metrics are functions of.

    Args:
        data: The examples.
    """

    def __init__(self, data: Judged) -> None:
        self.kind = data.kind
        self.classes = data.classes
        self.has_probabilities = data.probabilities is not None
        self.auc: float | None = None
        self.shift = float(np.average(data.labels, weights=data.weights)) if data.n and data.kind == "number" else 0.0
        columns = {"number": self._numbers, "binary": self._binary, "class": self._classes}[data.kind](data)
        self.names = list(columns)
        self.at = {name: i for i, name in enumerate(self.names)}
        self.values: Floats = np.column_stack([columns[name] for name in self.names]) if data.n else np.zeros((0, 1))

    def _numbers(self, data: Judged) -> dict[str, Any]:
        w, y, p = data.weights, data.labels - self.shift, data.predictions - self.shift
        return {"w": w, "y": w * y, "p": w * p, "yy": w * y * y, "square": w * (p - y) ** 2, "absolute": w * abs(p - y)}

    def _binary(self, data: Judged) -> dict[str, Any]:
        w, y = data.weights, data.labels
        said = data.predictions > data.threshold
        columns = {
            "w": w,
            "y": w * y,
            "right": w * (said == (y > 0)),
            "hit": w * (said & (y > 0)),
            "said": w * said,
        }
        if data.probabilities is not None:
            p = data.probabilities
            columns |= {"p": w * p, "logloss": w * loss_of(np.where(y > 0, p, 1 - p)), "brier": w * (p - y) ** 2}
        self.auc, influence = auc_and_influence(data.predictions, y > 0, w)
        if self.auc is not None:
            columns["auc"] = influence
        return columns

    def _classes(self, data: Judged) -> dict[str, Any]:
        w = data.weights
        columns = {"w": w, "right": w * (data.labels == data.predictions)}
        if data.probabilities is not None:
            columns["logloss"] = w * loss_of(np.nan_to_num(data.probabilities, nan=0.0))
        for i in range(len(self.classes) if len(self.classes) <= MOST_CLASSES else 0):
            of, said = data.labels == i, data.predictions == i
            columns |= {f"of {i}": w * of, f"said {i}": w * said, f"hit {i}": w * (of & said)}
        return columns

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


def loss_of(probability: Floats) -> Floats:
    """- log of a probability, which is at least LEAST_PROBABILITY."""
    return -array_log(np.maximum(np.asarray(probability, float), LEAST_PROBABILITY))


def auc_and_influence(scores: Floats, positive: Any, weights: Floats) -> tuple[float | None, Floats]:
    """The area under the ROC curve, None with one class only, and its influence by example; see the module."""
    up, down = weights * positive, weights * ~positive
    total_up, total_down = up.sum(), down.sum()
    if not (total_up > 0 and total_down > 0):
        return None, np.zeros(len(scores))
    order = np.argsort(scores, kind="stable")
    first = np.r_[True, scores[order][1:] != scores[order][:-1]].nonzero()[0]
    of = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(order)]))
    up_of, down_of = np.add.reduceat(up[order], first), np.add.reduceat(down[order], first)
    below = np.cumsum(down_of) - down_of + down_of / 2
    above = total_up - np.cumsum(up_of) + up_of / 2
    area = float((up_of * below).sum() / (total_up * total_down))
    influence = np.zeros(len(scores))
    influence[order] = (
        up[order] * (below[of] / total_down - area) / total_up
        + down[order] * (above[of] / total_up - area) / total_down
    )
    return area, influence


def auc_of_groups(data: Judged, codes: Any, n: int) -> Floats:
    """The area under the ROC curve of each of n groups; NaN with one class only."""
    signed = np.where(data.labels > 0, data.weights, -data.weights)
    return areas(data.predictions, signed, codes.astype(np.uint32), n)
