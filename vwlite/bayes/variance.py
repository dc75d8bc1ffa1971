"""How different entities are: the covariance of their coefficients, estimated by expectation and maximisation.

Laird and Ware 1982, "Random-effects models for longitudinal data": with the posterior N(m_e, v A_e^-1) of each of N
entities, A_e = E_e + P, the covariance of the prior becomes  G = sum_e ((m_e - c)(m_e - c)' + v A_e^-1) / N,  and
P = v G^-1; its mean c is 0, or where entities are shrunk to their mean, the mean of the m_e. What data say, E_e and
b_e = A_e m_e - P c, does not depend on the prior under squared loss (and is held under logistic loss until the next
sweep), so the step is repeated until it stands. The noise v is the one that goes with P and c: the minimum of the
objective over the number of examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vwlite.bayes.blas import in_one_thread

Array = NDArray[np.float64]

LARGEST_RIDGE = 1e9  # over what data say about a coefficient of an entity, at mean
WORK = 5e8  # operations, about, that an estimate may take beyond its first step


class Noise:
    """The noise as a function of what the coefficients explain: (total - sum b'm + (m - c)'P c) / n, or always 1."""

    def __init__(self, estimated: bool, total: float, count: float, explained: float, given: float) -> None:
        self.estimated = estimated and count > 0
        self.total = total + explained
        self.count = count
        self.given = given

    def __call__(self, explained: float) -> float:
        """The variance where so much is explained."""
        return max((self.total - explained) / self.count, 1e-300) if self.estimated else self.given


@np.errstate(over="ignore", invalid="ignore")
@in_one_thread
def covariance(data: Array, b: Array, precision: Array, noise: Noise, centered: bool) -> tuple[Array, Array, float]:
    """The precision of the prior, in units of the noise, and the coefficients under it.

    Args:
        data: What data say about precision, E_e, shape (N, d, d).
        b: E_e times what data say about the mean, shape (N, d).
        precision: P to start from, shape (d, d).
        noise: The variance of the noise.
        centered: Whether the prior's mean is estimated, too; else it is 0.

    Returns:
        P, shape (d, d), the means m_e, shape (N, d), and how much they explain.
    """
    n, d = b.shape
    steps = int(min(2000, max(1, WORK / (n * d**3))))
    center = np.zeros(d)
    told = np.einsum("nii->i", data) / n
    unit = np.sqrt(np.where(told > 0, told, 1))  # columns in units in which data say 1 about them: bounds are relative
    data, b, precision = data / (unit * unit[:, None]), b / unit, precision / (unit * unit[:, None])

    def means() -> tuple[Array, Array, float]:
        inverse = inverses(data + precision)
        right = b + precision @ center
        found = np.einsum("nij,nj->ni", inverse, right)
        return inverse, found, float((right * found).sum() - n * (center @ precision @ center))

    for _ in range(steps + 1):
        inverse, found, explained = means()
        v = noise(explained)
        if centered:
            center = found.mean(axis=0)
        apart = found - center
        g = (apart.T @ apart + v * inverse.sum(axis=0)) / n
        g += np.diag(np.maximum(1e-12 * np.diag(g), v / LARGEST_RIDGE))
        after = v * inverses(g)
        if not (np.isfinite(after).all() and (np.diag(after) > 0).all()):
            break  # beyond double precision: the last one that was not
        moved = np.abs(after - precision).max() / np.abs(precision).max()
        precision = after
        if moved < 1e-9:
            break
    _, found, explained = means()
    return precision * unit * unit[:, None], found / unit, explained


def inverses(a: Array) -> Array:
    """Of positive definite matrices, shape (..., d, d), that rounding may have made singular: as in newton.h, a
    direction that it has eaten is pinned down by a rounding error of the diagonal.
    """
    scale = 1 / np.sqrt(np.maximum(np.diagonal(a, axis1=-2, axis2=-1), 1e-300))
    scales = scale[..., :, None] * scale[..., None, :]
    return np.linalg.inv(a * scales + 1e-13 * np.eye(a.shape[-1])) * scales


def ridge(
    data: Array, b: Array, start: float, noise: Noise, columns: NDArray[np.intp] | None
) -> tuple[float, Array, float]:
    """One ridge for all coefficients of uncorrelated entities; data and b have shape (K,).

    `columns` numbers the coefficients that have a mean in common, which is estimated too; without, it is 0. Returns the
    ridge, the coefficients under it, and how much they explain.
    """
    l2 = start
    largest = LARGEST_RIDGE * max(float(data.mean()), 1e-300)
    center = np.zeros(len(b))
    for _ in range(int(min(2000, max(1, WORK / 10 / len(b))))):
        means, explained = shrunk(data, b, l2, center)
        v = noise(explained)
        if columns is not None:
            center = (np.bincount(columns, means) / np.bincount(columns))[columns]
        apart = means - center
        variance = float(np.mean(apart * apart + v / (data + l2)))
        before, l2 = l2, min(v / variance, largest) if variance > 0 else largest
        if abs(l2 - before) <= 1e-9 * before:
            break
    return l2, *shrunk(data, b, l2, center)


def shrunk(data: Array, b: Array, l2: float, center: Array) -> tuple[Array, float]:
    """Coefficients under a ridge around a center, and how much they explain."""
    right = b + l2 * center
    means = right / (data + l2)
    return means, float(right @ means - l2 * (center @ center))
