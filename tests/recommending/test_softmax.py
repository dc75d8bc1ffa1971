"""The softmax over items: gradients beside numerical differences, optima beside SciPy's with another objective."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.special import log_softmax

from vwlite.recommending import softmax
from vwlite.recommending.softmax import Pairs, Parameters, Penalty, begin, fit, fit_users, objective

USERS, ITEMS, K = 6, 5, 2


def pairs_of(seed: int = 1, earlier: bool = False, users: int = USERS, items: int = ITEMS, share: float = 0.6) -> Pairs:
    random = np.random.default_rng(seed)
    user, item = np.nonzero(random.random((users, items)) < share)
    weight = random.uniform(0.5, 3, len(user))
    z = random.dirichlet(np.ones(items), users)[user, item] if earlier else np.zeros(len(user))
    return Pairs(user, item, weight, z, users, items)


def flat_of(at: Parameters) -> Any:
    return np.concatenate([part.ravel() for part in at])


def parts_of(flat: Any, users: int = USERS, items: int = ITEMS, k: int = K) -> Parameters:
    a, u, v = np.split(flat, [items, items + users * k])
    return Parameters(a, u.reshape(users, k), v.reshape(items, k))


def plainly(pairs: Pairs, at: Parameters, how: Penalty) -> float:
    """The objective as its definition has it, by SciPy's softmax, one pair after the other."""
    total = 0.5 * how.item_l2 * sum(at.item**2) + 0.5 * how.factor_l2 * ((at.users**2).sum() + (at.items**2).sum())
    for u, i, w, z in zip(pairs.user, pairs.item, pairs.weight, pairs.earlier, strict=True):
        p = np.exp(log_softmax([at.item[j] + at.users[u] @ at.items[j] for j in range(pairs.n_items)])[i])
        total -= w * np.log((1 - how.share) * p + how.share * z)
    return float(total)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("at_once", [1 << 19, 7])  # all users at once, and one after the other
def test_the_gradient_is_that_of_numerical_differences(monkeypatch, share, at_once):
    monkeypatch.setattr(softmax, "AT_ONCE", at_once)
    pairs, how = pairs_of(earlier=share > 0), Penalty(0.2, 0.7, share)
    flat = np.random.default_rng(3).normal(0, 1, ITEMS + (USERS + ITEMS) * K)
    value, gradient = objective(pairs, parts_of(flat), how)
    assert value == pytest.approx(plainly(pairs, parts_of(flat), how), rel=1e-9)
    numeric = approx_fprime(flat, lambda x: plainly(pairs, parts_of(x), how), 1e-7)
    assert flat_of(gradient) == pytest.approx(numeric, abs=2e-5)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_the_optimum_is_that_of_scipy(share):
    pairs, how = pairs_of(earlier=share > 0), Penalty(0.1, 0.2, share)
    start = begin(pairs, K, 0)
    found = fit(pairs, start, how, 1000)
    theirs = minimize(lambda x: plainly(pairs, parts_of(x), how), flat_of(start), method="L-BFGS-B",
                      options={"maxfun": 1_000_000, "maxiter": 10_000, "ftol": 1e-14, "gtol": 1e-9})  # fmt: skip
    assert found.converged
    assert found.objective == pytest.approx(theirs.fun, rel=1e-6)
    assert found.objective == pytest.approx(plainly(pairs, found.parameters, how), rel=1e-9)
    _, gradient = objective(pairs, found.parameters, how)
    assert np.abs(flat_of(gradient)).max() < 0.01


def test_without_factors_the_problem_is_convex_and_the_parameters_are_scipys():
    pairs, how = pairs_of(), Penalty(0.5, 1.0)
    found = fit(pairs, begin(pairs, 0, 0), how, 1000)

    def value(a: Any) -> float:
        return plainly(pairs, Parameters(a, np.zeros((USERS, 0)), np.zeros((ITEMS, 0))), how)

    theirs = minimize(value, np.ones(ITEMS), method="BFGS")
    assert found.parameters.item == pytest.approx(theirs.x, abs=1e-3)
    assert found.parameters.item.mean() == pytest.approx(0, abs=1e-4)  # a ridge on a pulls to the mean


def test_without_factors_and_ridge_the_probabilities_are_the_shares_of_the_events():
    pairs = pairs_of()
    found = fit(pairs, begin(pairs, 0, 0), Penalty(0, 0), 1000)
    shares = np.bincount(pairs.item, pairs.weight) / pairs.weight.sum()
    for row in softmax.softmax(found.parameters, slice(None)):
        assert row == pytest.approx(shares, rel=1e-5)


def test_weights_and_ridges_in_other_units_give_the_same_parameters():
    pairs, how = pairs_of(), Penalty(0.1, 0.5)
    plain = fit(pairs, begin(pairs, K, 0), how, 1000).parameters
    for unit in (1e-6, 1e6):
        scaled = Penalty(how.item_l2 * unit, how.factor_l2 * unit)
        other = fit(pairs._replace(weight=pairs.weight * unit), begin(pairs, K, 0), scaled, 1000).parameters
        for mine, theirs in zip(plain, other, strict=True):
            assert mine == pytest.approx(theirs, abs=0.02)


def test_frozen_items_leave_a_convex_problem_whose_optimum_is_the_same_from_everywhere():
    pairs, how = pairs_of(), Penalty(0.1, 0.3)
    at = fit(pairs, begin(pairs, K, 0), how, 1000).parameters
    found = fit_users(pairs, at, how, 1000)
    assert found.parameters.items is at.items and found.parameters.item is at.item
    # the whole fit was at an optimum, of which the users' part is one by itself
    assert found.parameters.users == pytest.approx(at.users, abs=0.01)
    _, gradient = objective(pairs, found.parameters, how)
    assert np.abs(gradient.users).max() < 0.01


def test_large_scores_and_a_ridge_of_zero_stay_finite():
    pairs = Pairs(np.array([0, 1]), np.array([0, 1]), np.array([1e6, 1e-6]), np.zeros(2), 2, 2)
    value, gradient = objective(
        pairs, Parameters(np.array([800.0, -800.0]), np.zeros((2, 1)), np.zeros((2, 1))), Penalty(0, 0)
    )
    assert np.isfinite(value) and np.isfinite(flat_of(gradient)).all()
    assert np.isfinite(fit(pairs, begin(pairs, 1, 0), Penalty(0, 0), 50).objective)
