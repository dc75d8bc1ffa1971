"""Large problems: many coefficients that are learnt together. Small ones are solved in newton.h."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Vector = NDArray[np.float64]

MATRIX_LIMIT = 3000  # unknowns up to which a diagonal prior is solved with a matrix of all of them


@functools.cache
def triangle(d: int) -> NDArray[np.intp]:
    """Where the rows of the lower triangle lie in a matrix (d, d)."""
    return np.ravel_multi_index(np.tril_indices(d), (d, d))


def unpack(packed: Vector, d: int) -> Vector:
    """A symmetric matrix (d, d) from the rows of its lower triangle."""
    full = np.zeros(d * d)
    full[triangle(d)] = packed
    lower = full.reshape(d, d)
    both = lower + lower.T
    np.fill_diagonal(both, lower.diagonal())
    return both


def pack(matrix: Vector) -> Vector:
    """The opposite of unpack()."""
    return matrix.ravel()[triangle(len(matrix))]


def solve(packed: Any, b: Any) -> None:
    """x of A x = b, into b; A positive definite (but for rounding, which lifts its diagonal) and packed by rows."""
    right = np.asarray(b)
    a = unpack(np.asarray(packed), len(right))
    right[:] = linalg.cho_solve(factor(a), right)


def factor(a: Vector) -> tuple[Vector, bool]:
    """The Cholesky factor of a matrix that may be singular but for rounding."""
    if not np.isfinite(a).all():
        raise FloatingPointError("a curvature is not finite")
    lift = 1e-13
    while True:
        try:
            return linalg.cho_factor(a, lower=True, check_finite=False)
        except linalg.LinAlgError:
            a = a + np.diag(np.maximum(lift * np.diag(a), 1e-300))
            lift *= 10


def minimise(
    x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, prior: Vector, m: Vector
) -> tuple[Vector, Vector, float]:
    """The minimum of sum w L(y, x t + o) + (t - m)' A (t - m) / 2, started at m.

    Args:
        x: Features, (n, d), dense or CSR.
        y: Labels, -1 or 1 if logistic.
        w: Weights.
        o: Offsets.
        logistic: log(1 + exp(-ys)), or (s - y)^2 / 2.
        prior: A: packed by rows if correlated, (d,) if diagonal.
        m: The prior's mean.

    Returns:
        t, the curvature of the losses there in the form of the prior, and the objective.
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
    return w * (np.logaddexp(0, -y * s) if logistic else (s - y) ** 2 / 2)


def _slopes(s: Vector, y: Vector, w: Vector, logistic: bool) -> Vector:
    return w * (-y * _sigmoid(-y * s) if logistic else s - y)


def _curvature(s: Vector, w: Vector, logistic: bool) -> Vector:
    if not logistic:
        return w
    q = _sigmoid(s)
    return w * q * (1 - q)


def _sigmoid(s: Vector) -> Vector:
    """1 / (1 + e^-s), which does not overflow."""
    e = np.exp(-np.abs(s))
    return np.where(s >= 0, 1.0, e) / (1 + e)


def _gram(x: Any, c: Vector) -> Vector:
    """x' diag(c) x, dense."""
    if not isinstance(x, np.ndarray):
        return (x.T @ (x * c[:, None])).toarray()
    root = x * np.sqrt(c)[:, None]
    return root.T @ root


def _by_newton(
    x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, a: Vector, m: Vector
) -> tuple[Vector, Vector, float]:
    """Newton's method with halved steps; the matrix is worked out anew only while that pays, and at the end."""
    t = m.copy()
    s = x @ t + o

    def objective(t: Vector, s: Vector) -> float:
        return float(_losses(s, y, w, logistic).sum() + (t - m) @ a @ (t - m) / 2)

    value = objective(t, s)
    slope = np.inf
    fresh = False
    for _ in range(500):
        gradient = x.T @ _slopes(s, y, w, logistic) + a @ (t - m)
        if not fresh:
            factored = factor(a + _gram(x, _curvature(s, w, logistic)))
        step = -linalg.cho_solve(factored, gradient, check_finite=False)
        before, slope = slope, -float(gradient @ step)
        if not slope > 1e-18 * (1 + abs(value)):
            break
        along = x @ step
        length = 1.0
        while objective(t + length * step, s + length * along) > value - 0.25 * length * slope + 1e-15 * abs(value):
            length /= 2
            if length < 1e-18:
                break
        if length < 1e-18:
            break
        t = t + length * step
        s = x @ t + o
        value = objective(t, s)
        fresh = length == 1 and slope < 0.05 * before
    return t, _gram(x, _curvature(s, w, logistic)), value


def _by_gradient(x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, a: Vector, m: Vector) -> Vector:
    """L-BFGS for many uncorrelated unknowns, in units of their prior's standard deviation."""
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
