"""Judged examples: labels, weights and predictions as arrays, with what kind of labels they are, and their slices."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.errors import VwliteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

KINDS = ("number", "binary", "class")
MISSING = "(missing)"
MOST_VALUES = 12  # of a numeric slice; one with more is cut into ranges
RANGES = 4


class Slice(NamedTuple):
    """Groups of examples.

    Args:
        name: What distinguishes them, such as "country".
        names: The name of each group.
        codes: The number of each example's group, (n,).
        ordered: Whether the groups are ranges of numbers, in ascending order.
    """

    name: str
    names: list[str]
    codes: Codes
    ordered: bool = False


class Judged(NamedTuple):
    """Predictions of labelled examples.

    Args:
        kind: "number", "binary" or "class".
        labels: (n,): numbers; 1 and 0 of "binary"; numbers of classes from 0.
        weights: (n,), positive.
        predictions: (n,): numbers; of "binary" scores, of which larger ones speak for the label 1; numbers of classes.
        probabilities: (n,): of "binary" of the label 1, of "class" of the label's class, NaN for unknown ones; None if
            predictions have no probabilities.
        threshold: Of "binary": from which score on (exclusive) the label 1 is predicted.
        classes: The names of the classes.
        slices: Groups by each name that was asked for.
        places: (n,): the place of the example among all that were read, from 0.
    """

    kind: str
    labels: Floats
    weights: Floats
    predictions: Floats
    probabilities: Floats | None
    threshold: float
    classes: list[str]
    slices: list[Slice]
    places: Codes

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.labels)


def judged(  # noqa: DOC502
    labels: Any,
    predictions: Any,
    weights: Any = None,
    *,
    kind: str | None = None,
    probabilities: Any = None,
    slices: Sequence[Slice] = (),
    places: Any = None,
    names: Sequence[str] = (),
) -> Judged:
    """Makes Judged of arrays.

    Args:
        labels: (n,): numbers, or classes of any kind.
        predictions: (n,), of the same kind; of "binary" scores or probabilities.
        weights: (n,); by default 1.
        kind: One of KINDS; by default "class" for texts, "binary" for the labels 1 and 0 or 1 and -1, else "number".
        probabilities: (n,), see Judged; for "binary" predictions between 0 and 1 they are the predictions.
        slices: Groups.
        places: (n,), see Judged; by default 0, 1, ...
        names: Of "class": the names by number, if labels and predictions are numbers of classes.

    Returns:
        The examples with a positive weight.

    Raises:
        VwliteError: If the lengths differ, a number is not finite, or labels are not of the kind.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    n = len(labels)
    for what, other in (("predictions", predictions), ("weights", weights), ("probabilities", probabilities)):
        if other is not None and len(other) != n:
            raise VwliteError(f"{n} labels and {len(other)} {what}: there has to be one for each example")
    weights = np.ones(n) if weights is None else np.ascontiguousarray(weights, float)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise VwliteError("a weight is negative or not finite")
    if n and not weights.max() < sys.float_info.max / n:
        raise VwliteError("the sum of the weights is not finite: divide them all by the largest")
    if kind is None:
        kind = kind_of(labels)
    threshold, classes = 0.0, list(names)
    if kind == "class":
        if not names:
            found = np.unique(np.concatenate([labels.astype(str), predictions.astype(str)]))
            classes = [str(name) for name in found]
            labels, predictions = (np.searchsorted(found, each.astype(str)) for each in (labels, predictions))
    else:
        labels, predictions = (
            as_numbers(each, what) for each, what in ((labels, "label"), (predictions, "prediction"))
        )
    if kind == "binary":
        labels, probabilities, threshold = binary(labels, predictions, probabilities)
    used: Any = weights > 0
    if used.all():
        used = slice(None)  # nothing is copied
    return Judged(
        kind,
        np.ascontiguousarray(labels, float)[used],
        weights[used],
        np.ascontiguousarray(predictions, float)[used],
        None if probabilities is None else np.ascontiguousarray(probabilities, float)[used],
        threshold,
        classes,
        [one._replace(codes=one.codes[used]) for one in slices],
        np.arange(n)[used] if places is None else np.asarray(places, np.int64)[used],
    )


def kind_of(labels: Any) -> str:
    """The kind of labels: see judged()."""
    if labels.dtype.kind not in "fiub":
        return "class"
    found = set(np.unique(labels[:100_000]).tolist())
    if len(found) <= 2 and (found <= {0, 1} or found <= {-1, 1}):
        found = set(np.unique(labels).tolist())
        return "binary" if found <= {0, 1} or found <= {-1, 1} else "number"
    return "number"


def as_numbers(values: Any, what: str) -> Floats:
    """Values as numbers. Raises VwliteError for the first that is none, or not finite."""
    try:
        numbers = values.astype(float, copy=False)
    except (TypeError, ValueError):
        wrong = next(value for value in values.tolist() if not is_number(value))
        raise VwliteError(f"the {what} {wrong!r} is no number") from None
    if not np.isfinite(numbers).all():
        place = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise VwliteError(f"the {what} of example {place + 1} is {numbers[place]:g}")
    return numbers


def is_number(value: object) -> bool:
    """Whether a value can be read as a number."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def binary(labels: Floats, predictions: Floats, probabilities: Any) -> tuple[Floats, Any, float]:
    """Labels as 1 and 0, probabilities where there are some, and the threshold of predictions."""
    positive = labels == 1
    if not ((positive | (labels == 0)).all() or (positive | (labels == -1)).all()):
        found = np.unique(labels)
        shown = ", ".join(f"{label:g}" for label in found[:4]) + (", ..." if len(found) > 4 else "")
        raise VwliteError(f"labels of two classes are 1 and 0, or 1 and -1; these are {shown}")
    within = len(predictions) > 0 and bool(((predictions >= 0) & (predictions <= 1)).all())
    if probabilities is None and within:
        probabilities = predictions
    return (labels > 0).astype(float), probabilities, 0.5 if within else 0.0


def slices_of(
    names: Sequence[str], found: Sequence[tuple[list[bytes], Any, Any]], entities: Collection[str] = ()
) -> list[Slice]:
    """The slices that a Recorder stored.

    Args:
        names: Their names.
        found: What the Recorder has of each.
        entities: Which of them name entities. Other numbers with more than MOST_VALUES different values are cut into
            ranges.

    Returns:
        The slices.
    """
    slices = []
    for name, (texts, codes, numbers) in zip(names, found, strict=True):
        numbers = np.frombuffer(numbers, np.float32).astype(float)
        codes = np.frombuffer(codes, np.int32).astype(np.int64)
        labels = [text.decode("utf-8", "replace") for text in texts]
        numeric = np.isfinite(numbers)
        if numeric.any() and not numeric[codes >= 0].all() and all(map(is_number, labels)):
            # long numbers of columns that are ignored are texts
            numbers = np.append([float(label) for label in labels], np.nan)[codes]
            numeric = np.isfinite(numbers)
        in_ranges = bool(
            numeric.any() and len(labels) > MOST_VALUES and numeric[codes >= 0].all() and name not in entities
        )
        if in_ranges:
            labels, codes = ranges(numbers)
        elif numeric[codes >= 0].all() and len(labels):
            order = sorted(range(len(labels)), key=lambda i: float(labels[i]))
            codes = np.append(np.argsort(order), -1)[codes]
            labels = [labels[i] for i in order]
        if (codes < 0).any():
            codes = np.where(codes < 0, len(labels), codes)
            labels = [*labels, MISSING]
        slices.append(Slice(name, labels, codes, in_ranges))
    return slices


def slice_of(name: str, cells: Iterable[Any]) -> Slice:
    """A slice by a column of text."""
    texts = [MISSING if cell in (None, "") else str(cell) for cell in cells]
    names, codes = np.unique(np.array(texts), return_inverse=True)
    return Slice(name, [str(one) for one in names], codes.astype(np.int64))


def ranges(numbers: Floats) -> tuple[list[str], Codes]:
    """Cuts numbers into RANGES groups of about equal size; -1 for NaN. Each range has its lower end."""
    there = numbers[np.isfinite(numbers)]
    ends = np.unique(np.quantile(there, np.linspace(0, 1, RANGES + 1), method="inverted_cdf"))
    inner = ends[1:-1]
    codes = np.where(np.isfinite(numbers), np.searchsorted(inner, numbers, side="right"), -1)
    low, high = [ends[0], *inner], [*inner, ends[-1]]
    names = [f"{a:g} to <{b:g}" for a, b in zip(low, high, strict=True)]
    names[-1] = f"{low[-1]:g} to {high[-1]:g}"
    return names, codes
