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

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.core.elementary import array_log
from vwlite.report.figures import areas

if TYPE_CHECKING:
    from vwlite.judging.records import Codes, Floats, Judged

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
        self.order: Codes | None = None  # of two classes: from the lowest to the highest score
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
        self.order = order_of(data.predictions)
        self.auc, influence = auc_and_influence(data.predictions, y > 0, w, self.order)
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


def order_of(scores: Floats) -> Codes:
    """The places of scores from the lowest to the highest, those of equal ones in their order (a stable sort).

    Scores of single precision, as learners have them, are sorted by their bits, 16 at a time (radix sort).

    Args:
        scores: (n,).

    Returns:
        (n,).
    """
    narrow = scores.astype(np.float32)
    if not np.array_equal(narrow, scores):
        return np.argsort(scores, kind="stable")
    bits = (narrow + np.float32(0)).view(np.int32)  # -0 is 0
    # negative numbers grow the other way than their bits: all bits turned, they are below the others, whose sign is set
    keys = np.where(bits < 0, ~bits, bits ^ np.int32(-(1 << 31))).view(np.uint32)
    first = np.argsort(keys.astype(np.uint16), kind="stable")
    return first[np.argsort((keys >> np.uint32(16)).astype(np.uint16)[first], kind="stable")]


class Ranks(NamedTuple):
    """Examples in the order of their scores, of which equal ones are together.

    Args:
        first: (groups,): where each group of equal scores begins.
        up: (groups,): the weight of its positive examples.
        down: (groups,): of its negative ones.
        below: (groups,): the weight of the negatives with lower scores, and half of those with equal ones.
    """

    first: Codes
    up: Floats
    down: Floats
    below: Floats

    @property
    def area(self) -> float | None:
        """The area under the ROC curve; None with one class only."""
        total = self.up.sum() * self.down.sum()
        return float((self.up * self.below).sum() / total) if total > 0 else None


def ranks(scores: Floats, up: Floats, down: Floats) -> Ranks:
    """Ranks of examples.

    Args:
        scores: (n,), in ascending order.
        up: (n,): weights of positive examples, 0 of others.
        down: (n,): weights of negative examples.

    Returns:
        The ranks.
    """
    first = np.r_[True, scores[1:] != scores[:-1]].nonzero()[0]
    up_of, down_of = np.add.reduceat(up, first), np.add.reduceat(down, first)
    return Ranks(first, up_of, down_of, np.cumsum(down_of) - down_of + down_of / 2)


def auc_and_influence(scores: Floats, positive: Any, weights: Floats, order: Codes) -> tuple[float | None, Floats]:
    """The area under the ROC curve, None with one class only, and its influence by example; see the module."""
    influence = np.zeros(len(scores))
    if not len(scores):
        return None, influence
    signs, ordered = positive[order], weights[order]
    up, down = ordered * signs, ordered * ~signs
    found = ranks(scores[order], up, down)
    area = found.area
    if area is None:
        return None, influence
    total_up, total_down = found.up.sum(), found.down.sum()
    above = total_up - np.cumsum(found.up) + found.up / 2
    sizes = np.diff(np.r_[found.first, len(order)])
    influence[order] = up * np.repeat((found.below / total_down - area) / total_up, sizes) + down * np.repeat(
        (above / total_up - area) / total_down, sizes
    )
    return area, influence


def metrics_of_groups(data: Judged, columns: Columns, codes: Codes, n: int) -> list[dict[str, Any]]:
    """The metrics of each of a few groups of examples.

    Args:
        data: The examples.
        columns: Their columns.
        codes: (examples,): the group of each.
        n: The number of groups.

    Returns:
        By group the value of each metric, NaN where it is undefined; nothing for a group without an example.
    """
    there = np.bincount(codes, minlength=n) > 0
    sums: Any = np.stack([np.bincount(codes, column, minlength=n) for column in columns.values.T], axis=1)
    values = columns.metrics(sums, change_of_auc=False)
    if columns.order is not None:
        ordered = codes[columns.order]
        areas_of = []
        for i in range(n):
            part = columns.order[ordered == i]
            signs, weights = data.labels[part] > 0, data.weights[part]
            area = ranks(data.predictions[part], weights * signs, weights * ~signs).area if len(part) else None
            areas_of.append(np.nan if area is None else area)
        values = {"auc": np.array(areas_of), **values}
    return [{name: each[i] for name, each in values.items()} if there[i] else {} for i in range(n)]


def auc_of_groups(data: Judged, codes: Any, n: int) -> Floats:
    """The area under the ROC curve of each of n groups; NaN with one class only."""
    signed = np.where(data.labels > 0, data.weights, -data.weights)
    return areas(data.predictions, signed, codes.astype(np.uint32), n)
