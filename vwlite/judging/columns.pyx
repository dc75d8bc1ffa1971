"""Sums of the columns that metrics are functions of, by groups of examples; figures.py has the metrics.

Each function adds the columns of all examples to one row for each group. No column is stored: there are up to 150 of
them.
"""
from libc.math cimport fabs, isnan
from libc.stdint cimport int64_t

from vwlite.core.elementary cimport log

cdef double LEAST_PROBABILITY = 1e-15

# the columns of found, in order
NUMBERS = ("w", "y", "p", "yy", "square", "absolute")
BINARY = ("w", "y", "right", "hit", "said", "p", "logloss", "brier", "auc")
CLASSES = ("w", "right", "logloss")
OF_EACH_CLASS = ("of", "said", "hit")


cdef inline double loss_of(double probability) noexcept nogil:
    """- log of a probability, which is at least LEAST_PROBABILITY."""
    return -log(LEAST_PROBABILITY if probability < LEAST_PROBABILITY else probability)


cdef int require(size_t n, const double[::1] column, const char* name) except -1:
    """Raises ValueError if a column, which may be None, has another length."""
    if column is not None and <size_t>len(column) != n:
        raise ValueError(f"{len(column)} {name.decode()} for {n} examples")
    return 0


cdef size_t require_all(const double[::1] labels, const double[::1] predictions, const double[::1] weights,
                        const double[::1] probabilities, const int64_t[::1] groups, const double[:, ::1] found,
                        Py_ssize_t columns) except? 0:
    """Returns the number of examples; raises ValueError if lengths differ, or there are too few sums for the groups."""
    cdef size_t i, n = len(labels)
    require(n, predictions, b"predictions")
    require(n, weights, b"weights")
    require(n, probabilities, b"probabilities")
    if found.shape[1] < columns or found.shape[0] == 0:
        raise ValueError("too few sums")
    if groups is None:
        return n
    if <size_t>len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} examples")
    for i in range(n):
        if not 0 <= groups[i] < found.shape[0]:
            raise ValueError(f"there is no group {groups[i]}")
    return n


def add_numbers(const double[::1] labels not None, const double[::1] predictions not None,
                const double[::1] weights not None, double shift, const int64_t[::1] groups,
                double[:, ::1] found not None):
    """Adds the columns NUMBERS.

    Args:
        labels: float64 (n,).
        predictions: float64 (n,).
        weights: float64 (n,).
        shift: Is subtracted from labels and predictions, so that sums of squares keep their digits.
        groups: int64 (n,): the row of each example; None for the first.
        found: float64 (rows, columns).
    """
    cdef size_t i, n = require_all(labels, predictions, weights, None, groups, found, 6)
    cdef int64_t row = 0
    cdef double w, y, p
    for i in range(n):
        if groups is not None:
            row = groups[i]
        w, y, p = weights[i], labels[i] - shift, predictions[i] - shift
        found[row, 0] += w
        found[row, 1] += w * y
        found[row, 2] += w * p
        found[row, 3] += w * y * y
        found[row, 4] += w * (p - y) * (p - y)
        found[row, 5] += w * fabs(p - y)


def add_binary(const double[::1] labels not None, const double[::1] scores not None,
               const double[::1] weights not None, const double[::1] probabilities, const double[::1] influence,
               double threshold, const int64_t[::1] groups, double[:, ::1] found not None):
    """Adds the columns BINARY.

    Args:
        labels: float64 (n,), 1 and 0.
        scores: float64 (n,).
        weights: float64 (n,).
        probabilities: float64 (n,), of the label 1; None without them, whose columns are 0.
        influence: float64 (n,), of the area under the ROC curve; None without one.
        threshold: From which score on (exclusive) the label 1 is predicted.
        groups: int64 (n,): the row of each example; None for the first.
        found: float64 (rows, columns).
    """
    cdef size_t i, n = require_all(labels, scores, weights, probabilities, groups, found, 9)
    cdef int64_t row = 0
    cdef double w, y, p
    cdef bint said, positive
    require(n, influence, b"influences")
    for i in range(n):
        if groups is not None:
            row = groups[i]
        w, y = weights[i], labels[i]
        positive, said = y > 0, scores[i] > threshold
        found[row, 0] += w
        found[row, 1] += w * y
        found[row, 2] += w * (said == positive)
        found[row, 3] += w * (said & positive)
        found[row, 4] += w * said
        if probabilities is not None:
            p = probabilities[i]
            found[row, 5] += w * p
            found[row, 6] += w * loss_of(p if positive else 1 - p)
            found[row, 7] += w * (p - y) * (p - y)
        if influence is not None:
            found[row, 8] += influence[i]


def add_classes(const double[::1] labels not None, const double[::1] predictions not None,
                const double[::1] weights not None, const double[::1] probabilities, int64_t classes,
                const int64_t[::1] groups, double[:, ::1] found not None):
    """Adds the columns CLASSES, and OF_EACH_CLASS for each of so many classes.

    Args:
        labels: float64 (n,), numbers of classes.
        predictions: float64 (n,), numbers of classes; -1 for one that no label has.
        weights: float64 (n,).
        probabilities: float64 (n,), of the label; NaN counts as 0. None without them.
        classes: The number of classes.
        groups: int64 (n,): the row of each example; None for the first.
        found: float64 (rows, columns).
    """
    cdef size_t i, n = require_all(labels, predictions, weights, probabilities, groups, found, 3 + 3 * classes)
    cdef int64_t row = 0, label, said
    cdef double w
    for i in range(n):
        if groups is not None:
            row = groups[i]
        w, label, said = weights[i], <int64_t>labels[i], <int64_t>predictions[i]
        found[row, 0] += w
        found[row, 1] += w * (label == said)
        if probabilities is not None:
            found[row, 2] += w * loss_of(0 if isnan(probabilities[i]) else probabilities[i])
        if 0 <= label < classes:
            found[row, 3 + 3 * label] += w
            if label == said:
                found[row, 5 + 3 * label] += w
        if 0 <= said < classes:
            found[row, 4 + 3 * said] += w
