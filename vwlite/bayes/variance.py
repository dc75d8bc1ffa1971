"""Variance components: the prior covariance of entities' coefficients, by expectation-maximisation (EM).

Laird and Ware 1982, "Random-effects models for longitudinal data": with the posterior N(m_e, v A_e^-1) of each of N
entities, A_e = E_e + P, the covariance of the prior becomes  G = sum_e ((m_e - c)(m_e - c)' + v A_e^-1) / N,  and
P = v G^-1; its mean c is 0, or the mean of the m_e if entities are shrunk to their mean. The data's precision E_e and
b_e = A_e m_e - P c don't depend on the prior under squared loss (and are held constant under logistic loss until the
next sweep), so the step is repeated until it converges. The noise v belongs to P and c: the minimum of the objective
divided by the number of examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vwlite.bayes.moments import inverses, posteriors, scatter

Array = NDArray[np.float64]

LARGEST_RIDGE = 1e9  # relative to the data's mean precision of a coefficient of an entity
WORK = 5e8  # approximate limit on operations of an estimate after its first step


class Noise:
    """Noise variance, a function of the explained sum: (total - sum b'm + (m - c)'P c) / n, or constant 1."""

    def __init__(self, estimated: bool, total: float, count: float, explained: float, given: float) -> None:
        self.estimated = estimated and count > 0
        self.total = total + explained
        self.count = count
        self.given = given

    def __call__(self, explained: float) -> float:
        """Noise variance for an explained sum."""
        return max((self.total - explained) / self.count, 1e-300) if self.estimated else self.given


@np.errstate(over="ignore", invalid="ignore")
def covariance(data: Array, b: Array, precision: Array, noise: Noise, centered: bool) -> tuple[Array, Array, float]:
    """Estimate the prior precision, in units of the noise, and the coefficients under it (EM).

    Args:
        data: The data's precisions E_e, shape (N, d, d).
        b: E_e times the least squares estimates of the means, shape (N, d).
        precision: Initial P, shape (d, d).
        noise: The noise variance.
        centered: Whether the prior mean is estimated, too; otherwise it is 0.

    Returns:
        P, shape (d, d), the means m_e, shape (N, d), and the explained sum.
    """
    n, d = b.shape
    steps = int(min(2000, max(1, WORK / (n * d**3))))
    center = np.zeros(d)
    told = np.diagonal(data, axis1=1, axis2=2).sum(axis=0) / n
    unit = np.sqrt(np.where(told > 0, told, 1))  # scale columns to a data precision of 1, so that bounds are relative
    data, b, precision = data / (unit * unit[:, None]), b / unit, precision / (unit * unit[:, None])

    for _ in range(steps + 1):
        inverse_sum, found, explained = posteriors(data, b, precision, center)
        v = noise(explained)
        if centered:
            center = found.mean(axis=0)
        apart = found - center
        g = (scatter(apart) + v * inverse_sum) / n
        g += np.diag(np.maximum(1e-12 * np.diag(g), v / LARGEST_RIDGE))
        after = v * inverses(g)
        if not (np.isfinite(after).all() and (np.diag(after) > 0).all()):
            break  # beyond double precision: keep the previous one
        moved = np.abs(after - precision).max() / np.abs(precision).max()
        precision = after
        if moved < 1e-9:
            break
    _, found, explained = posteriors(data, b, precision, center)
    return precision * unit * unit[:, None], found / unit, explained


def ridge(
    data: Array, b: Array, start: float, noise: Noise, columns: NDArray[np.intp] | None
) -> tuple[float, Array, float]:
    """Estimate one ridge for all coefficients, as if uncorrelated; data and b have shape (K,).

    `columns` has the same number for coefficients with a common mean, which is estimated too; without it, the mean is
    0. Returns the ridge, the coefficients under it, and the explained sum.
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
    """Ridge regression towards a center: the coefficients, and the explained sum."""
    right = b + l2 * center
    means = right / (data + l2)
    return means, float((right * means).sum() - l2 * (center * center).sum())
