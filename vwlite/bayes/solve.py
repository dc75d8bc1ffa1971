"""Solvers for large batches (Newton's method, L-BFGS), by SciPy. Small ones are solved in newton.h."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from vwlite.bayes.blas import in_one_thread
from vwlite.core.elementary import array_exp, array_log1p

Vector = NDArray[np.float64]

ROWS_AT_ONCE = 128  # rows of a batch per block, so that intermediate results fit the CPU cache
MATRIX_LIMIT = 3000  # unknowns up to which a problem with a diagonal prior uses a dense matrix


@functools.lru_cache(maxsize=2)  # each entry needs as much memory as the matrix
def triangle(d: int) -> NDArray[np.intp]:
    """Indices of the lower triangle by rows in a flattened matrix (d, d)."""
    return np.ravel_multi_index(np.tril_indices(d), (d, d))


def unpack(packed: Vector, d: int) -> Vector:
    """Unpack a symmetric matrix (d, d) from the rows of its lower triangle."""
    full = np.zeros(d * d)
    full[triangle(d)] = packed
    lower = full.reshape(d, d)
    both = lower + lower.T
    np.fill_diagonal(both, lower.diagonal())
    return both


def pack(matrix: Vector) -> Vector:
    """Pack a symmetric matrix into the rows of its lower triangle; inverse of unpack()."""
    return matrix.ravel()[triangle(len(matrix))]


def factor(a: Vector) -> Vector:
    """Cholesky factor of a positive semidefinite matrix, regularized by rounding errors; reads the lower triangle."""
    if not np.isfinite(a).all():
        raise FloatingPointError("a curvature is not finite")
    lift = 1e-13
    while True:
        factored, failed = linalg.lapack.dpotrf(a, lower=1, clean=0)
        if not failed:
            return np.asarray(factored)
        a = a + np.diag(np.maximum(lift * np.diag(a), 1e-300))
        lift *= 10


def substitute(factored: Vector, b: Vector) -> Vector:
    """Solve A x = b, given the Cholesky factor of A."""
    return np.asarray(linalg.lapack.dpotrs(factored, b, lower=1)[0])


@in_one_thread
def minimise(
    x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, prior: Vector, m: Vector
) -> tuple[Vector, Vector, float]:
    """Minimise sum w L(y, x t + o) + (t - m)' A (t - m) / 2 over t, from m: posterior mode of a batch.

    Args:
        x: Features, (n, d), dense or CSR.
        y: Labels, -1 or 1 if logistic.
        w: Weights.
        o: Offsets.
        logistic: log(1 + exp(-ys)), or (s - y)^2 / 2.
        prior: The precision A: packed by rows if full, (d,) if diagonal.
        m: The prior's mean.

    Returns:
        t, the curvature of the losses at t in the form of the prior, and the objective.
    """
    d = len(m)
    if len(prior) == d and d > MATRIX_LIMIT:
        t = _by_gradient(x, y, w, o, logistic, prior, m)
        delta = t - m
        s = x @ t + o
        value = float(_losses(s, y, w, logistic).sum() + delta @ (prior * delta) / 2)
        return t, np.asarray((x * x).T @ _curvature(s, w, logistic)), value
    t, full, value = _by_newton(x, y, w, o, logistic, np.diag(prior) if len(prior) == d else unpack(prior, d), m)
    return t, full.diagonal().copy() if len(prior) == d else pack(full), value


def _losses(s: Vector, y: Vector, w: Vector, logistic: bool) -> Vector:
    return w * (softplus(-y * s) if logistic else (s - y) ** 2 / 2)


def softplus(s: Vector) -> Vector:
    """log(1 + e^s), without overflow."""
    return np.asarray(np.maximum(s, 0) + array_log1p(array_exp(-np.abs(s))))


def _slopes(s: Vector, y: Vector, w: Vector, logistic: bool) -> Vector:
    return w * (-y * _sigmoid(-y * s) if logistic else s - y)


def _curvature(s: Vector, w: Vector, logistic: bool) -> Vector:
    if not logistic:
        return w
    q = _sigmoid(s)
    return w * q * (1 - q)


def _sigmoid(s: Vector) -> Vector:
    """Logistic function 1 / (1 + e^-s), without overflow."""
    e = array_exp(-np.abs(s))
    return np.where(s >= 0, 1.0, e) / (1 + e)


def _gram(x: Any, c: Vector) -> Vector:
    """Weighted Gram matrix x' diag(c) x, dense; at least its lower triangle is valid."""
    if not isinstance(x, np.ndarray):
        return (x.T @ (x * c[:, None])).toarray()
    d = x.shape[1]
    root = np.sqrt(c)[:, None]
    total = np.zeros((d, d))
    part = np.empty((min(ROWS_AT_ONCE, len(x)), d))
    for i in range(0, len(x), ROWS_AT_ONCE):
        rows = x[i : i + ROWS_AT_ONCE]
        np.multiply(rows, root[i : i + ROWS_AT_ONCE], out=part[: len(rows)])
        # BLAS is column-major: its upper triangle is our lower one
        linalg.blas.dsyrk(1.0, part[: len(rows)].T, beta=1.0, c=total.T, overwrite_c=1)
    return total


def _by_newton(
    x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, a: Vector, m: Vector
) -> tuple[Vector, Vector, float]:
    """Newton's method with a line search; returns the lower triangle of the curvature.

    A factor is reused as long as that pays. The first one is the prior's: after many batches like this one, its steps
    differ in length only.
    """
    t = m.copy()
    s = x @ t + o
    pull = np.zeros(len(m))  # A (t - m)
    factored = factor(a)
    slope = np.inf

    def objective() -> float:
        return float(_losses(s, y, w, logistic).sum() + (t - m) @ pull / 2)

    for _ in range(500):
        gradient = x.T @ _slopes(s, y, w, logistic) + pull
        step = -substitute(factored, gradient)
        before, slope = slope, -float(gradient @ step)
        if not slope < 0.05 * before:
            factored = factor(a + _gram(x, _curvature(s, w, logistic)))
            step = -substitute(factored, gradient)
            slope = -float(gradient @ step)
        enough = 1e-16 * (1 + abs(objective()))  # tolerance of the squared distance, in posterior standard deviations
        if not slope > enough:
            break
        along, pull_along = x @ step, a @ step
        length = _length(s, along, y, w, logistic, float(step @ pull), float(step @ pull_along))
        t += length * step
        s += length * along
        pull += length * pull_along
        if slope * slope / before < enough and before < np.inf:  # the next one would be below it
            break
    return t, _gram(x, _curvature(s, w, logistic)), objective()


def _length(s: Vector, along: Vector, y: Vector, w: Vector, logistic: bool, pull: float, stiffness: float) -> float:
    """Line search: length of a step from scores s that minimises the objective, to a tenth.

    The prior's part has the slope `pull` at the start and the curvature `stiffness`. Safeguarded Newton steps.
    """
    low, high, length = 0.0, np.inf, 1.0
    for _ in range(200):
        here = s + length * along
        slope = float(along @ _slopes(here, y, w, logistic)) + pull + length * stiffness
        curvature = float(along**2 @ _curvature(here, w, logistic)) + stiffness
        if not abs(slope) > 0.1 * length * curvature:
            break
        low, high = (low, length) if slope > 0 else (length, high)
        if high - low < 0.01 * low:
            break
        length -= slope / curvature
        if not low < length < high:
            length = 2 * low if high == np.inf else (low + high) / 2 if low > 0 else high / 8
    return length


def _by_gradient(x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, a: Vector, m: Vector) -> Vector:
    """L-BFGS for many unknowns with a diagonal prior, in units of their prior standard deviation."""
    from scipy import optimize

    unit = 1 / np.sqrt(a)

    def objective(u: Vector) -> tuple[float, Vector]:
        s = x @ (m + unit * u) + o
        value = float(_losses(s, y, w, logistic).sum() + u @ u / 2)
        return value, unit * (x.T @ _slopes(s, y, w, logistic)) + u

    found = optimize.minimize(
        objective,
        np.zeros(len(m)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 15000, "maxfun": 30000, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-9},
    )
    return np.asarray(m + unit * found.x)
