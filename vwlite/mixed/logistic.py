"""Logistic mixed models: the likelihood by Laplace's approximation, coefficients by penalised least squares.

    P(y = 1) = 1 / (1 + exp(-score)),    score = o + X b + sum_r Z_r L_r s_r,    s_r ~ N(0, I)

Bates, Maechler, Bolker and Walker 2015 (lme4's glmer with nAGQ = 1): for each L and b the s of the greatest penalised
likelihood is found by iteratively reweighted least squares; L and b then minimise

    D(L, b) = 2 sum_i w_i log(1 + exp(-y_i score_i)) + |s|^2 + log |L'Z'W Z L + I|,    W_i = w_i p_i (1 - p_i).

The derivatives: with r = w (y - p), h_i = [Z L A^-1 L'Z']_ii, A the matrix of the determinant, q_i = h_i dW_i / dscore,
t = A^-1 L'Z'q and q~ = q - W Z L t they are  X'(q~ - 2 r)  by b, and by L those of the determinant where W stays, which
linear.py has, plus  sum_e Z_e'(q~ - 2 r) s_e' + Z_e'r t_e'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg

from vwlite.bayes.blas import in_one_thread
from vwlite.bayes.solve import softplus
from vwlite.core.elementary import array_exp
from vwlite.mixed.descent import Place, descend
from vwlite.mixed.linear import Fit, pack, start, unpack, without_traces
from vwlite.mixed.system import Array, Factored, Found, System

MOST_ROUNDS = 100  # of least squares
CLOSE = 1e-9  # relative decrease of the penalised deviance below which the next one would be less than rounding


class Data(NamedTuple):
    """The examples: labels, weights and offsets, (n,) each."""

    y: Array  # 0 or 1
    w: Array
    offset: Array


class Mode(NamedTuple):
    """The mode of the penalised likelihood."""

    found: Found
    scores: Array
    factored: Factored


def losses(data: Data, scores: Array) -> float:
    """2 sum w log(1 + exp(-y score))."""
    return 2 * float(data.w @ softplus(np.where(data.y > 0, -scores, scores)))


def probabilities(scores: Array) -> Array:
    """1 / (1 + exp(-score))."""
    e = array_exp(-np.abs(scores))
    return np.where(scores >= 0, 1.0, e) / (1 + e)


def weights(data: Data, scores: Array) -> Array:
    """The second derivatives of the losses, bounded below so that rounding can't make the system singular."""
    p = probabilities(scores)
    return np.asarray(np.maximum(data.w * p * (1 - p), 1e-10 * data.w))


def penalty(system: System, at: Found) -> float:
    """The penalty: |s|^2 and the ridge of the fixed part."""
    return sum(float((s * s).sum()) for s in at.random) + float(system.ridge @ at.fixed**2)


def mode(system: System, factors: list[Array], data: Data, begin: Found) -> Mode:
    """By Newton's method, from a point; the fixed coefficients stay as they are if the system is a passive one.

    Raises LinAlgError where double precision does not suffice.
    """
    here = begin
    scores = data.offset + system.scores(factors, here)
    value = losses(data, scores) + penalty(system, here)
    stays = system.x @ here.fixed if system.passive else 0.0
    for _ in range(MOST_ROUNDS):
        w = weights(data, scores)
        r = data.w * (data.y - probabilities(scores))
        there, _ = system.weigh(w).factor(factors).solve(system.right(w * (scores - data.offset - stays) + r))
        if system.passive:
            there = Found(there.random, here.fixed)
        moved = data.offset + system.scores(factors, there) - scores
        slope = float(r @ moved) - float(system.ridge @ (here.fixed * (there.fixed - here.fixed)))
        slope -= sum(float((s * (t - s)).sum()) for s, t in zip(here.random, there.random, strict=True))
        length = 1.0
        while length > 1e-9:
            step = Found(
                [s + length * (t - s) for s, t in zip(here.random, there.random, strict=True)],
                here.fixed + length * (there.fixed - here.fixed),
            )
            value_there = losses(data, scores + length * moved) + penalty(system, step)
            if value_there <= value + 1e-12 * abs(value):
                here, scores, value = step, scores + length * moved, value_there
                break
            length /= 2
        if slope < CLOSE * (1 + abs(value)) or length <= 1e-9:
            break
    return Mode(here, scores, system.weigh(weights(data, scores)).factor(factors))


class Laplace:
    """The deviance D as a function of the parameters of L and of g, where b = b_0 + C g has about unit curvatures.

    Args:
        system: Z, and X as far as none of its columns follows from others; a passive one.
        data: The examples.
        fixed: b_0.
        unit: C.
        begin: Where to look for the mode first.
    """

    def __init__(self, system: System, data: Data, fixed: Array, unit: Array, begin: Found) -> None:
        self.system, self.data = system, data
        self.fixed, self.unit = fixed, unit
        self.last = begin

    def fixed_at(self, parameters: Array) -> Array:
        """b."""
        return np.asarray(self.fixed + self.unit @ parameters[len(parameters) - len(self.fixed) :])

    def mode(self, parameters: Array) -> tuple[list[Array], Mode]:
        """The factors L and the mode."""
        factors = unpack(parameters, self.system.parts)
        return factors, mode(self.system, factors, self.data, Found(self.last.random, self.fixed_at(parameters)))

    def __call__(self, parameters: Array) -> Place | None:
        """D and its gradient; None if double precision does not suffice."""
        system, data = self.system, self.data
        try:
            factors, at = self.mode(parameters)
        except np.linalg.LinAlgError:
            return None
        value = losses(data, at.scores) + penalty(system, at.found) + at.factored.log_determinant(False)
        if not np.isfinite(value):
            return None

        def gradient() -> Array:
            self.last = at.found
            p = probabilities(at.scores)
            w = weights(data, at.scores)
            r = data.w * (data.y - p)
            q = at.factored.leverages() * data.w * p * (1 - p) * (1 - 2 * p)
            t, _ = at.factored.solve(system.right(q))
            t = Found(t.random, np.zeros(system.p))
            left = q - w * system.scores(factors, t) - 2 * r
            by_factor = [
                2 * traces + one + other
                for traces, one, other in zip(
                    at.factored.traces(False),
                    system.products(left, at.found),
                    system.products(r, t),
                    strict=True,
                )
            ]
            by_fixed = system.x.T @ left + 2 * system.ridge * at.found.fixed
            return np.concatenate([pack(by_factor, system.parts), self.unit.T @ by_fixed])

        return Place(value, gradient)


@in_one_thread
def fit_logistic(system: System, data: Data, stopping: Callable[[], bool] = lambda: False) -> tuple[Fit, Array]:
    """Maximizes the likelihood by the Laplace approximation.

    If all factors L are given, fixed and random coefficients together maximize the penalized likelihood.

    Args:
        system: The design matrices X (n, p) and Z.
        data: The n examples: labels, importance weights and initial predictions.
        stopping: Called between steps; True ends the fit with the current estimates.

    Returns:
        The estimates, and the weights of the examples at them (the second derivatives of the loss), (n,).
    """
    parts = system.parts
    theta, curvature = start(parts)
    nothing = Found([np.zeros((part.entities, part.size)) for part in parts], np.zeros(system.p))
    factors = unpack(theta, parts)
    first = mode(system, factors, data, nothing)
    steps, converged = 0, True
    if len(theta):
        q = system.q
        lower = first.factored.schur_lower[q:, q:]  # of the information about b
        unit = linalg.solve_triangular(lower, np.eye(system.p), lower=True, trans="T")
        passive = System(system.x, parts, system.ridge, passive=True)
        laplace = Laplace(passive, data, first.found.fixed, unit, first.found)
        begin = np.concatenate([theta, np.zeros(system.p)])
        parameters, steps, converged = descend(
            laplace, begin, np.concatenate([curvature, np.full(system.p, 2.0)]), stopping
        )
        theta, shifted = parameters[: len(theta)], parameters[len(theta) :]
        theta = without_traces(theta, parts, lambda t: laplace(np.concatenate([t, shifted])))
        factors, first = laplace.mode(np.concatenate([theta, shifted]))
    found = first.found
    fit = Fit(
        factors,
        found.fixed,
        [s @ factor.T for s, factor in zip(found.random, factors, strict=True)],
        1.0,
        losses(data, first.scores) + penalty(system, found) + first.factored.log_determinant(False),
        steps,
        converged,
        False,
    )
    return fit, weights(data, first.scores)
