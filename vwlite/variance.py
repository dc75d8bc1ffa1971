"""How different entities are: the covariance of their coefficients, estimated by expectation and maximisation.

Laird and Ware 1982, "Random-effects models for longitudinal data": with the posterior N(m_e, v A_e^-1) of each of N
entities, A_e = E_e + P, the covariance of the prior becomes  G = sum_e (m_e m_e' + v A_e^-1) / N,  and P = v G^-1. What
data say, E_e and b_e = A_e m_e, does not depend on the prior under squared loss (and is held under logistic loss until
the next sweep), so the step is repeated until it stands. The noise v is the one that goes with P: the minimum of the
objective over the number of examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_RIDGE = 1e9
WORK = 5e8  # operations, about, that an estimate may take beyond its first step


class Noise:
    """The noise as a function of the coefficients: (c - sum b'm) / n, or always 1."""

    def __init__(self, estimated: bool, total: float, count: float, explained: float, given: float) -> None:
        self.estimated = estimated and count > 0
        self.total = total + explained
        self.count = count
        self.given = given

    def __call__(self, explained: float) -> float:
        """The variance where sum b'm is this."""
        return max((self.total - explained) / self.count, 1e-300) if self.estimated else self.given


@np.errstate(over="ignore", invalid="ignore")
def covariance(data: Array, b: Array, precision: Array, noise: Noise) -> tuple[Array, Array]:
    """The precision of the prior, in units of the noise, and the coefficients under it.

    Args:
        data: What data say about precision, E_e, shape (N, d, d).
        b: A_e m_e, shape (N, d).
        precision: P to start from, shape (d, d).
        noise: The variance of the noise.

    Returns:
        P, shape (d, d), and the means m_e, shape (N, d).
    """
    n, d = b.shape
    steps = int(min(2000, max(1, WORK / (n * d**3))))
    means = np.zeros_like(b)
    for _ in range(steps + 1):
        inverse = inverses(data + precision)
        means = np.einsum("nij,nj->ni", inverse, b)
        v = noise(float((b * means).sum()))
        g = (means.T @ means + v * inverse.sum(axis=0)) / n
        g += np.diag(np.maximum(1e-12 * np.diag(g), v / LARGEST_RIDGE))
        after = v * inverses(g)
        if not (np.isfinite(after).all() and (np.diag(after) > 0).all()):
            break  # beyond double precision: the last one that was not
        moved = np.abs(after - precision).max() / np.abs(precision).max()
        precision = after
        if moved < 1e-9:
            break
    return precision, np.einsum("nij,nj->ni", inverses(data + precision), b)


def inverses(a: Array) -> Array:
    """Of positive definite matrices, shape (..., d, d), that rounding may have made singular: as in newton.h, a
    direction that it has eaten is pinned down by a rounding error of the diagonal.
    """
    scale = 1 / np.sqrt(np.maximum(np.diagonal(a, axis1=-2, axis2=-1), 1e-300))
    scales = scale[..., :, None] * scale[..., None, :]
    return np.linalg.inv(a * scales + 1e-13 * np.eye(a.shape[-1])) * scales


def ridge(data: Array, b: Array, start: float, noise: Noise) -> float:
    """One ridge for all coefficients of uncorrelated entities; data and b have shape (K,)."""
    l2 = start
    for _ in range(int(min(2000, max(1, WORK / 10 / len(b))))):
        means = b / (data + l2)
        v = noise(float(b @ means))
        variance = float(np.mean(means * means + v / (data + l2)))
        before, l2 = l2, min(v / variance, LARGEST_RIDGE) if variance > 0 else LARGEST_RIDGE
        if abs(l2 - before) <= 1e-9 * before:
            break
    return l2
