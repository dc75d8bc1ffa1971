"""Checks: what scikit-learn's own validation leaves to an estimator, with messages that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_array, check_consistent_length

LARGEST = float(np.finfo(np.float32).max)
LARGEST_LABEL = 1e18  # beyond it losses overflow


def weights_of(X: Any, weights: Any, whole: bool) -> NDArray[np.float64] | None:
    """Importance weights, one for each row of X; None for none. Raises ValueError for what can't be weights.

    Those of a `whole` fit have to be above 0 somewhere.
    """
    if weights is None:
        return None
    if isinstance(weights, Number):
        weights = np.full(X.shape[0] if hasattr(X, "shape") else len(X), weights)
    weights = check_array(weights, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    check_consistent_length(X, weights)
    if (weights < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`: a weight is at least 0")
    if whole and not weights.any():
        raise ValueError("all sample_weight are zero: there is nothing to learn")
    return representable(weights, "sample_weight")


def representable(values: NDArray[np.float64], name: str, most: float = LARGEST) -> NDArray[np.float64]:
    """Numbers that have to be in the range of float32, in which examples are stored; raises ValueError for others."""
    if values.size and not max(values.max(), -values.min()) <= most:
        raise ValueError(f"Input {name} contains a value too large for dtype('float32') (above {most:.1e} in size)")
    return values


def classes_of(labels: Any, what: str) -> NDArray[Any]:
    """The classes among labels, sorted; raises ValueError unless there are at least two."""
    labels = np.asarray(labels)
    check_classification_targets(labels)
    classes = unique_labels(labels)
    if len(classes) < 2:
        raise ValueError(f"{what} needs labels of at least two classes, and there is one class: {classes.tolist()}")
    return classes


def places_of(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """The place of each label among the classes. Raises ValueError for one that is not among them."""
    try:
        places = np.searchsorted(classes, labels).clip(0, len(classes) - 1)
        strange = classes[places] != labels
    except TypeError:
        strange = np.ones(len(labels), bool)
    if np.any(strange):
        found = sorted({repr(label) for label in labels[strange].tolist()})[:5]
        raise ValueError(f"y has labels that are not in classes={classes.tolist()}: {', '.join(found)}")
    return places


@contextmanager
def names_told(estimator: Any, names: list[Any] | None) -> Iterator[None]:
    """Completes scikit-learn's message about columns in another order by their names."""
    try:
        yield
    except ValueError as error:
        known = getattr(estimator, "feature_names_in_", None)
        if known is None or names is None or "same order" not in str(error):
            raise
        raise ValueError(f"{error}in fit: {', '.join(known)}\nnow: {', '.join(names)}\n") from None
