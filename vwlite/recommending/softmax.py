"""Softmax over items with low-rank user factors: the penalised likelihood of events, its gradient, and its maximum.

The probability that an event of user u is of item i is

    q_ui = (1 - s) softmax(p_u)_i + s z_ui        p_ui = a_i + sum_k U_uk V_ik

over all items: a_i is the effect of the item, U_u and V_i are K factors of the user and of the item, z_ui is the
probability by an earlier model, and s, from 0 to 1, is its share. An effect of the user alone would cancel. What is
minimised is

    - sum over events of w log q_ui  +  l_a / 2 sum a^2  +  l_f / 2 (sum U^2 + sum V^2),

the negative logarithm of the posterior density with normal priors of precision l_a and l_f (Salakhutdinov and Mnih
2007, "Probabilistic matrix factorization", with the multinomial likelihood in place of the normal one). Adding a
constant to all a changes no probability, so the ridge on a pulls to their mean.

The gradient by p_ui is  n_u softmax(p_u)_i - w r_ui,  where r = (1 - s) softmax / q is the part of an event that the
new model answers for, and n_u = sum of w r. Without an earlier model r is 1.

Scores of all pairs are computed for a group of users at a time: time is in proportion to users x items x K.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.bayes.blas import in_one_thread
from vwlite.core.elementary import array_brief_exp, array_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

AT_ONCE = 1 << 19  # pairs of a user and an item
CORRECTIONS = 20  # that L-BFGS keeps
ENOUGH = 1e-9  # relative decrease of an iteration that counts as convergence
START = 0.1  # standard deviation of the items' factors at the start


class Pairs(NamedTuple):
    """Events, added up by user and item, in the order of users.

    Args:
        user, item: Numbers, (n,).
        weight: Positive, (n,).
        earlier: The probability by an earlier model, (n,); zeros without one.
        n_users, n_items: How many there are.
    """

    user: Codes
    item: Codes
    weight: Floats
    earlier: Floats
    n_users: int
    n_items: int


class Parameters(NamedTuple):
    """Parameters of the model.

    Args:
        item: Effects of items, (n_items,).
        users: Factors of users, (n_users, K).
        items: Factors of items, (n_items, K).
    """

    item: Floats
    users: Floats
    items: Floats


class Penalty(NamedTuple):
    """Hyperparameters.

    Args:
        item_l2: Ridge of the items' effects.
        factor_l2: Ridge of all factors.
        share: Of the earlier model, from 0 to below 1.
    """

    item_l2: float
    factor_l2: float
    share: float = 0.0


class Fit(NamedTuple):
    """A fit.

    Args:
        parameters: The parameters.
        objective: The objective there.
        iterations: Of the optimiser.
        converged: Whether it ended by itself.
    """

    parameters: Parameters
    objective: float
    iterations: int
    converged: bool


def groups(n_users: int, n_items: int) -> Iterator[slice]:
    """Groups of users whose scores fit into memory."""
    step = max(AT_ONCE // max(n_items, 1), 1)
    for begin in range(0, n_users, step):
        yield slice(begin, min(begin + step, n_users))


@in_one_thread
def softmax(at: Parameters, users: Any) -> Floats:
    """The probabilities of all items for some users.

    Args:
        at: The parameters.
        users: A slice or numbers of users.

    Returns:
        The probabilities, (n, n_items); each row has the sum 1.
    """
    scores = at.users[users] @ at.items.T
    scores += at.item
    scores -= scores.max(axis=1, keepdims=True)
    found = array_brief_exp(scores)
    found /= found.sum(axis=1, keepdims=True)
    return found


def objective(pairs: Pairs, at: Parameters, how: Penalty) -> tuple[float, Parameters]:
    """The objective and its gradient.

    Args:
        pairs: The events.
        at: The parameters.
        how: The hyperparameters.

    Returns:
        The objective, and the gradient by each parameter.
    """
    total = 0.5 * how.item_l2 * (at.item @ at.item)
    total += 0.5 * how.factor_l2 * (np.vdot(at.users, at.users) + np.vdot(at.items, at.items))
    by_item = how.item_l2 * at.item
    by_users, by_items = how.factor_l2 * at.users, how.factor_l2 * at.items
    begins = np.searchsorted(pairs.user, np.arange(pairs.n_users + 1))
    for group in groups(pairs.n_users, pairs.n_items):
        own = slice(begins[group.start], begins[group.stop])
        row, item, weight = pairs.user[own] - group.start, pairs.item[own], pairs.weight[own]
        slopes = softmax(at, group)
        new = (1 - how.share) * slopes[row, item]
        mixed = np.maximum(new + how.share * pairs.earlier[own], np.finfo(float).tiny)
        total -= weight @ array_log(mixed)
        answered = weight * new / mixed
        slopes *= np.bincount(row, answered, group.stop - group.start)[:, None]
        slopes[row, item] -= answered
        by_item += slopes.sum(axis=0)
        by_users[group] += slopes @ at.items
        by_items += slopes.T @ at.users[group]
    return float(total), Parameters(by_item, by_users, by_items)


def begin(pairs: Pairs, n_factors: int, seed: int) -> Parameters:
    """Where a fit starts: the items' shares of the events, users without tastes, random factors of items."""
    counts = np.bincount(pairs.item, pairs.weight, pairs.n_items)
    logs = array_log(counts / counts.mean())
    random = np.random.default_rng(seed)
    factors = START * random.standard_normal((pairs.n_items, n_factors))
    return Parameters(logs - logs.mean(), np.zeros((pairs.n_users, n_factors)), factors)


def minimise(function: Any, start: Floats, iterations: int) -> tuple[Floats, float, int, bool]:
    """Minimises by L-BFGS; returns the place, the value, the iterations, and whether it has converged."""
    from scipy.optimize import minimize

    if not len(start):
        return start, function(start)[0], 0, True
    found: Any = minimize(
        function,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxfun": 4 * iterations, "maxcor": CORRECTIONS, "ftol": ENOUGH, "gtol": 0},
    )
    return found.x, float(found.fun), int(found.nit), bool(found.success)


@in_one_thread
def fit(pairs: Pairs, start: Parameters, how: Penalty, iterations: int) -> Fit:
    """Fits all parameters.

    Args:
        pairs: The events.
        start: Where to start.
        how: The hyperparameters.
        iterations: At most.

    Returns:
        The fit.
    """
    ends = np.cumsum([part.size for part in start])[:-1]

    def parts(flat: Floats) -> Parameters:
        pieces = np.split(flat, ends)
        return Parameters(*(piece.reshape(part.shape) for piece, part in zip(pieces, start, strict=True)))

    def function(flat: Floats) -> tuple[float, Floats]:
        value, gradient = objective(pairs, parts(flat), how)
        return value, np.concatenate([part.ravel() for part in gradient])

    flat, value, done, converged = minimise(function, np.concatenate([part.ravel() for part in start]), iterations)
    return Fit(parts(flat), value, done, converged)


@in_one_thread
def fit_users(pairs: Pairs, at: Parameters, how: Penalty, iterations: int) -> Fit:
    """Fits the factors of users with all that is of items frozen: a convex problem without an earlier model.

    Args:
        pairs: The events of these users.
        at: The parameters; the users' factors begin at zero, the mean of their prior.
        how: The hyperparameters.
        iterations: At most.

    Returns:
        The fit.
    """
    shape = (pairs.n_users, at.items.shape[1])

    def function(flat: Floats) -> tuple[float, Floats]:
        value, gradient = objective(pairs, at._replace(users=flat.reshape(shape)), how)
        return value, gradient.users.ravel()

    flat, value, done, converged = minimise(function, np.zeros(shape[0] * shape[1]), iterations)
    return Fit(at._replace(users=flat.reshape(shape)), value, done, converged)
