"""Linear mixed models: estimates fixed coefficients, random effects, their covariances and the noise jointly.

    y = X b + sum_r Z_r u_r + e,    e_i ~ N(0, v / w_i),    u_r of each entity ~ N(0, v L_r L_r')

Bates, Maechler, Bolker and Walker 2015, "Fitting linear mixed-effects models using lme4": with u_r = L_r s_r the
coefficients minimise r^2 = |y - X b - sum Z_r L_r s_r|^2 + |s|^2 (weighted). With b, s and v profiled out, the factors
L_r minimise the profiled deviance (or REML criterion)

    log |L'Z'Z L + I| + n log r^2         or for REML   log |the same system with X in it| + (n - p) log r^2.

The derivative of the first term by L_r is 2 sum_e [Z'Z L (L'Z'Z L + I)^-1]_ee, of r^2 it is -2 sum_e (Z_e' rest) s_e'.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vwlite.bayes.blas import in_one_thread
from vwlite.core.elementary import array_log, scalar_log
from vwlite.mixed.descent import Place, descend
from vwlite.mixed.system import Array, Part, System

TRACE = 1e-3  # relative to the noise's sd over a column's size: smaller sds are practically zero
SMALLEST_NOISE = 1e-12  # of the mean square of what the fixed part leaves, is added: labels are in single precision


class Fit(NamedTuple):
    """The estimates of a mixed model, in the units of the columns of X and Z."""

    factors: list[Array]  # L_r of each part
    fixed: Array
    random: list[Array]  # u_r of each part, (entities, size)
    noise: float
    criterion: float  # -2 log likelihood; with REML, that of the residuals of the fixed part
    steps: int
    converged: bool
    restricted: bool


def unpack(theta: Array, parts: list[Part]) -> list[Array]:
    """Converts parameters to factors: lower triangles by rows, or one number for a common variance."""
    factors, at = [], 0
    for part in parts:
        factor = part.factor
        if factor is None and part.alike:
            factor = theta[at] * np.eye(part.size)
        elif factor is None:
            factor = np.zeros((part.size, part.size))
            factor[np.tril_indices(part.size)] = theta[at : at + n_parameters(part)]
        factors.append(factor)
        at += n_parameters(part)
    return factors


def pack(slopes: list[Array], parts: list[Part]) -> Array:
    """Converts derivatives by the factors to derivatives by the parameters."""
    free = [(slope, part) for slope, part in zip(slopes, parts, strict=True) if part.factor is None]
    by_part = [[np.trace(slope)] if part.alike else slope[np.tril_indices(part.size)] for slope, part in free]
    return np.concatenate([np.zeros(0), *by_part])


def n_parameters(part: Part) -> int:
    """The number of parameters of a part's factor."""
    return 0 if part.factor is not None else 1 if part.alike else part.size * (part.size + 1) // 2


def start(parts: list[Part]) -> tuple[Array, Array]:
    """Starting values: the noise's sd for columns of size 1; and approximate curvatures of the deviance."""
    thetas, curvatures = [np.zeros(0)], [np.zeros(0)]
    for part in parts:
        if part.factor is None:
            theta = np.ones(1) if part.alike else np.eye(part.size)[np.tril_indices(part.size)]
            thetas.append(theta)
            curvatures.append(np.full(len(theta), 2.0 * part.entities * (part.size if part.alike else 1)))
    return np.concatenate(thetas), np.concatenate(curvatures)


def without_traces(theta: Array, parts: list[Part], deviance: Callable[[Array], Place | None]) -> Array:
    """Sets tiny variances of an effect's directions to 0 if the likelihood is equal: a singular fit."""
    factors = unpack(theta, parts)
    for r, part in enumerate(parts):
        if part.factor is not None:
            continue
        left, spreads, _ = np.linalg.svd(factors[r])
        if spreads.min() >= TRACE:
            continue
        # of U s^2 U' the triangular factor is R' of (U s)' = Q R
        factors[r] = np.linalg.qr((left * np.where(spreads < TRACE, 0, spreads)).T)[1].T
        each = [factor / (one.size if one.alike else 1) for factor, one in zip(factors, parts, strict=True)]
        bare = pack(each, parts)
        place, before = deviance(bare), deviance(theta)
        if place is not None and before is not None and place.value <= before.value + 1e-6:
            theta = bare
        factors = unpack(theta, parts)
    return theta


@in_one_thread
def fit_linear(
    system: System,
    y: Array,
    restricted: bool = False,
    noise: float | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Fit:
    """Maximizes the likelihood, or the restricted likelihood (REML), of a system with weights.

    Args:
        system: The design matrices X (n, p) and Z, and the weights of the n examples.
        y: Labels minus initial predictions, (n,).
        restricted: Whether to maximize the restricted likelihood; ignored if n <= p.
        noise: The variance v of the noise, in squared units of the label; None to estimate it.
        stopping: Called between steps; True ends the fit with the current estimates.

    Returns:
        The estimates: coefficients (p,) and random effects, variances, and the criterion at them.
    """
    parts = system.parts
    n, p = len(y), system.p
    restricted = restricted and n > p
    m = n - p if restricted else n
    y, constant = system.centered(y)
    total = float(system.w @ y**2)
    least = max(SMALLEST_NOISE * total, 1e-280)
    right = system.right(system.w * y)

    def deviance(theta: Array) -> Place | None:
        factors = unpack(theta, parts)
        try:
            factored = system.factor(factors)
        except np.linalg.LinAlgError:
            return None
        found, explained = factored.solve(right)
        square = max(total - explained, 0.0) + least
        value = factored.log_determinant(restricted)
        value += m * scalar_log(square) if noise is None else square / noise
        if not math.isfinite(value):
            return None

        def slope() -> Array:
            pull = m / square if noise is None else 1 / noise
            rest = y - system.scores(factors, found)
            by_factor = [
                2 * traces - 2 * pull * product
                for traces, product in zip(
                    factored.traces(restricted), system.products(system.w * rest, found), strict=True
                )
            ]
            return pack(by_factor, parts)

        return Place(value, slope)

    theta, steps, converged = descend(deviance, *start(parts), stopping)
    theta = without_traces(theta, parts, deviance)
    factors = unpack(theta, parts)
    factored = system.factor(factors)
    found, explained = factored.solve(right)
    square = max(total - explained, 0.0) + least
    v = square / m if noise is None else noise
    criterion = factored.log_determinant(restricted) + m * scalar_log(2 * math.pi * v) + square / v
    criterion -= float(array_log(system.w).sum())
    return Fit(
        factors,
        found.fixed + constant,
        [s @ factor.T for s, factor in zip(found.random, factors, strict=True)],
        v,
        criterion,
        steps,
        converged,
        restricted,
    )
