"""Large problems: many coefficients that are learnt together. Small ones are solved in newton.h."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, sparse, special

Vector = NDArray[np.float64]

MATRIX_LIMIT = 3000  # unknowns up to which a diagonal prior is solved with a matrix of all of them


def unpack(packed: Vector, d: int) -> Vector:
    """A symmetric matrix (d, d) from the rows of its lower triangle."""
    full = np.zeros((d, d))
    full[np.tril_indices(d)] = packed
    return full + np.tril(full, -1).T


def solve(packed: Any, b: Any) -> None:
    """x of A x = b, into b; A positive definite, packed by rows (modulo rounding: the diagonal is lifted if need be)."""
    right = np.asarray(b)
    a = unpack(np.asarray(packed), len(right))
    right[:] = linalg.cho_solve(factor(a), right)


def factor(a: Vector) -> tuple[Vector, bool]:
    """The Cholesky factor of a matrix that may be singular but for rounding."""
    lift = 1e-13
    while True:
        try:
            return linalg.cho_factor(a, lower=True)
        except linalg.LinAlgError:
            a = a + np.diag(np.maximum(lift * np.diag(a), 1e-300))
            lift *= 10


def minimise(
    features: tuple[Vector, NDArray[np.int32], NDArray[np.int64]],
    y: Vector,
    w: Vector,
    o: Vector,
    logistic: bool,
    prior: Vector,
    m: Vector,
) -> tuple[Vector, Vector, float]:
    """The minimum of sum w L(y, x t + o) + (t - m)' A (t - m) / 2, started at m.

    Args:
        features: CSR arrays (values, columns, row starts) of x, shape (n, d).
        y: Labels, -1 or 1 if logistic.
        w: Weights.
        o: Offsets.
        logistic: log(1 + exp(-ys)), or (s - y)^2 / 2.
        prior: A: packed by rows if correlated, (d,) if diagonal.
        m: The prior's mean.

    Returns:
        t, the curvature of the losses there in the form of the prior, and the objective.
    """
    d, n = len(m), len(y)
    x = sparse.csr_array(features, shape=(n, d))
    x.sum_duplicates()
    dense = x.toarray() if x.nnz > 0.2 * n * d else None
    diagonal = len(prior) == d
    if diagonal and d > MATRIX_LIMIT:
        t = _by_gradient(x, y, w, o, logistic, prior, m)
    else:
        t = _by_newton(x if dense is None else dense, y, w, o, logistic, np.diag(prior) if diagonal else unpack(prior, d), m)
    s = x @ t + o
    curvature = w * (special.expit(s) * special.expit(-s) if logistic else 1.0)
    delta = t - m
    value = float(_losses(s, y, w, logistic).sum())
    if diagonal:
        return t, np.asarray((x * x).T @ curvature), value + float(delta @ (prior * delta)) / 2
    a = unpack(prior, d)
    full = _gram(x if dense is None else dense, curvature)
    return t, full[np.tril_indices(d)], value + float(delta @ a @ delta) / 2


def _losses(s: Vector, y: Vector, w: Vector, logistic: bool) -> Vector:
    return w * (np.logaddexp(0, -y * s) if logistic else (s - y) ** 2 / 2)


def _slopes(s: Vector, y: Vector, w: Vector, logistic: bool) -> Vector:
    return w * (-y * special.expit(-y * s) if logistic else s - y)


def _gram(x: Any, c: Vector) -> Vector:
    """x' diag(c) x, dense."""
    if sparse.issparse(x):
        return (x.T @ (x * c[:, None])).toarray()
    root = x * np.sqrt(c)[:, None]
    return root.T @ root


def _by_newton(x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, a: Vector, m: Vector) -> Vector:
    """Newton's method with halved steps."""
    t = m.copy()
    s = x @ t + o

    def objective(t: Vector, s: Vector) -> float:
        return float(_losses(s, y, w, logistic).sum() + (t - m) @ a @ (t - m) / 2)

    value = objective(t, s)
    for _ in range(200):
        gradient = x.T @ _slopes(s, y, w, logistic) + a @ (t - m)
        curvature = w * (special.expit(s) * special.expit(-s) if logistic else 1.0)
        step = -linalg.cho_solve(factor(a + _gram(x, curvature)), gradient)
        slope = -float(gradient @ step)
        if not slope > 1e-22 * (1 + abs(value)):
            break
        along = x @ step
        length = 1.0
        while objective(t + length * step, s + length * along) > value - 0.25 * length * slope + 1e-15 * abs(value):
            length /= 2
            if length < 1e-18:
                return t
        t = t + length * step
        s = x @ t + o
        value = objective(t, s)
        if length == 1 and slope <= 1e-13 * (1 + abs(value)):
            break
    return t


def _by_gradient(x: Any, y: Vector, w: Vector, o: Vector, logistic: bool, a: Vector, m: Vector) -> Vector:
    """L-BFGS for many uncorrelated unknowns, in units of their prior's standard deviation."""
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
