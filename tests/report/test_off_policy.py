"""Off-policy estimates: by hand, in simulation, and against vw-estimators and NumPy."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vwlite.report.off_policy import Estimates, OffPolicy

NAN = float("nan")


def estimates(decisions, level: float = 0.95, costs: tuple[float, float] = (NAN, NAN)) -> Estimates:
    """Of tuples (cost, probability, policy, and perhaps two predicted costs)."""
    policy = OffPolicy(*costs)
    for decision in decisions:
        policy.note(*map(float, decision))
    return policy.estimates(level)


def end(terms: Any, worst: float, side: int, level: float = 0.95) -> float:
    """An end of an interval: Student's, of the terms and a worst one."""
    t = stats.t.ppf(0.5 + level / 2, len(terms))
    terms = np.append(terms, worst)
    return float(terms.mean() + side * t * terms.std(ddof=1) / math.sqrt(len(terms)))


def costs() -> st.SearchStrategy[float]:
    return st.floats(-100, 100)


shares = st.just(0.0) | st.floats(1e-6, 1)
decisions = st.lists(st.tuples(costs(), st.floats(0.01, 1), shares, costs(), costs()), min_size=2, max_size=60)


# Values


def test_a_tiny_log_by_hand():
    # weights 2, 0.5, 0; weighted costs 2, 1, 0; doubly robust terms 0.5 + 2 (1 - 0.5), 1 + 0.5 (2 - 1), 3 + 0
    found = estimates([(1, 0.5, 1, 0.5, 0.5), (2, 0.5, 0.25, 1, 1), (4, 0.2, 0, 2, 3)])
    assert (found.n, found.n_predicted) == (3, 3)
    assert found.ips.value == pytest.approx(1)
    assert found.snips.value == pytest.approx(3 / 2.5)
    assert found.dr.value == pytest.approx((1.5 + 1.5 + 3) / 3)
    assert found.effective_n == pytest.approx(2.5**2 / 4.25)
    assert found.mean_weight == pytest.approx(2.5 / 3)
    assert found.max_weight == 2
    assert found.logged == pytest.approx(7 / 3)
    # the worst is twice the highest cost, or nothing; of the doubly robust terms, twice the range of costs away
    assert found.ips.high == pytest.approx(end([2, 1, 0], 8, 1), rel=5e-3)
    assert found.ips.low == pytest.approx(end([2, 1, 0], 0, -1), rel=5e-3)
    assert found.dr.low == pytest.approx(end([1.5, 1.5, 3], 2 - 6, -1), rel=5e-3)
    ratios = 1.2 + np.array([2 * -0.2, 0.5 * 0.8, 0]) / (2.5 / 3)
    assert found.snips.high == pytest.approx(end(ratios, 1.2 + 2 * 2.8 / (2.5 / 3), 1), rel=5e-3)


@given(decisions)
def test_everything_is_as_in_the_formulas(rows):
    found = estimates(rows)
    c, p, pi, q, v = np.array(rows).T
    w = pi / p
    terms = {"ips": w * c, "dr": v + w * (c - q)}
    enough = (w > 0).sum() >= 2 and c.min() < c.max()
    largest = max(w.max(), 1)
    reach = {
        "ips": (min(largest * c.min(), 0), max(largest * c.max(), 0)),
        "dr": terms["dr"].mean() + largest * np.array([-1, 1]) * (c.max() - c.min()),
    }
    for name, term in terms.items():
        value, low, high = getattr(found, name)
        assert value == pytest.approx(term.mean(), rel=1e-9, abs=1e-9)
        assert (low is not None) == enough
        if enough:
            expected = [end(term, worst, side) for worst, side in zip(reach[name], (-1, 1), strict=True)]
            # an end may be near 0: the approximate quantile is off by a share of the interval
            assert [low, high] == pytest.approx(expected, rel=2e-2, abs=1e-6 + 0.02 * (expected[1] - expected[0]))
    if w.any():
        ratio = (w * c).sum() / w.sum()
        assert found.snips.value == pytest.approx(ratio, rel=1e-9, abs=1e-9)
        if enough:
            scaled = ratio + w * (c - ratio) / w.mean()
            high = end(scaled, ratio + largest * (c.max() - ratio) / w.mean(), 1)
            assert found.snips.high == pytest.approx(high, rel=2e-2, abs=1e-6 + 0.02 * (high - ratio))
            assert found.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum())


@given(decisions)
def test_ips_and_snips_are_those_of_vw_estimators(rows):
    bandits = pytest.importorskip("estimators.bandits")
    modules = {name: pytest.importorskip(f"{bandits.__name__}.{name}") for name in ("ips", "snips")}
    ips, snips = modules["ips"].Estimator(), modules["snips"].Estimator()
    for cost, probability, policy, *_ in rows:
        for theirs in (ips, snips):
            theirs.add_example(probability, cost, policy)
    found = estimates(rows)
    assert found.ips.value == pytest.approx(ips.get(), rel=1e-9, abs=1e-9)
    if any(row[2] for row in rows):
        assert found.snips.value == pytest.approx(snips.get(), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(costs(), st.floats(0.01, 1), costs()), min_size=1, max_size=40))
def test_the_logging_policy_itself_costs_the_plain_mean(rows):
    found = estimates([(c, p, p, q, q) for c, p, q in rows])
    mean = np.mean([c for c, _, _ in rows])
    for estimate in (found.ips, found.snips, found.dr):
        assert estimate.value == pytest.approx(mean, rel=1e-9, abs=1e-9)
    assert found.effective_n == pytest.approx(len(rows))
    assert found.mean_weight == found.max_weight == 1


def test_a_model_that_knows_every_cost_leaves_no_variance():
    # the policy's expected cost is 2 whatever happens, and the correction is 0
    source = np.random.default_rng(1)
    found = estimates([(c, 0.5, pi, c, 2) for c, pi in source.uniform(0, 1, (5000, 2))])
    assert found.dr == pytest.approx((2, 2, 2), abs=1e-2)


def test_snips_and_its_interval_move_with_the_costs():
    source = np.random.default_rng(2)
    rows = [(c, 0.1 + 0.8 * p, pi) for c, p, pi in source.uniform(0, 1, (200, 3))]
    near, far = (estimates([(c + shift, p, pi) for c, p, pi in rows]).snips for shift in (0, 1e9))
    assert np.array(far, float) - 1e9 == pytest.approx(np.array(near, float), abs=1e-5)


def test_a_large_constant_in_the_costs_cancels_nothing():
    # with sums of squares, 1e9^2 would swallow the variance
    source = np.random.default_rng(3)
    noise = source.normal(0, 1, 1000)
    found = estimates([(1e9 + e, 0.5, 0.5, 1e9, 1e9) for e in noise])
    width = 2 * 1.96 * noise.std(ddof=1) / math.sqrt(1000)
    for estimate in (found.snips, found.dr):
        assert width < np.ptp(np.array(estimate, float)) < 1.25 * width


def test_decisions_without_predicted_costs_are_left_out_of_the_doubly_robust_estimate():
    found = estimates([(1, 0.5, 0.5), (3, 0.5, 0.5, 3, 5), (3, 0.5, 0.5, 3, 7)])
    assert (found.n, found.n_predicted) == (3, 2)
    assert found.dr.value == 6
    assert found.ips.value == pytest.approx(7 / 3)


# Too few decisions


def test_without_decisions_nothing_is_known():
    found = estimates([])
    assert found.n == 0
    for estimate in (found.ips, found.snips, found.dr):
        assert estimate == (None, None, None)
    assert (found.effective_n, found.mean_weight, found.max_weight) == (0, None, None)
    assert OffPolicy().figures() == {"decisions": 0, "effective decisions": 0}


def test_one_decision_has_no_interval():
    assert estimates([(2, 0.5, 0.25)]).ips == (1, None, None)


def test_a_policy_that_never_agrees_with_the_log_has_no_ratio_and_no_interval():
    found = estimates([(2, 0.5, 0), (3, 0.5, 0)])
    assert found.ips == (0, None, None)
    assert found.snips == (None, None, None)
    assert found.effective_n == 0


def test_figures_name_what_is_known():
    policy = OffPolicy()
    policy.note(1, 0.5, 0.5)
    policy.note(3, 0.5, 0.5)
    figures = policy.figures(0.5)
    assert figures["ips"] == figures["snips"] == 2
    assert figures["ips low"] == pytest.approx(end([1, 3], 0, -1, 0.5))
    assert figures["logged cost"] == 2
    assert "dr" not in figures
    assert figures["effective decisions"] == 2


# What is refused


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        ((1, 0, 0.5), "logged probability must be above 0"),
        ((1, -0.1, 0.5), "logged probability must be above 0"),
        ((1, 1.01, 0.5), "at most 1"),
        ((1, NAN, 0.5), "logged probability"),
        ((1, 1e-60, 0.5), "too small to divide by"),
        ((1, 0.5, -0.1), "new policy's probability"),
        ((1, 0.5, 1.1), "new policy's probability"),
        ((1, 0.5, NAN), "new policy's probability"),
        ((NAN, 0.5, 0.5), "cost must be a finite number"),
        ((math.inf, 0.5, 0.5), "cost must be a finite number"),
        ((1, 0.5, 0.5, 1), "go together"),
        ((1, 0.5, 0.5, NAN, 1), "go together"),
        ((1, 0.5, 0.5, math.inf, 1), "predicted costs must be finite"),
        ((1, 0.5, 0.5, 1, -math.inf), "predicted costs must be finite"),
    ],
)
def test_a_bad_decision_is_refused_with_a_reason_and_does_not_count(decision, reason):
    policy = OffPolicy()
    policy.note(1, 0.5, 0.5, 1, 1)
    before = policy.estimates()
    with pytest.raises(ValueError, match=reason):
        policy.note(*decision)
    assert policy.estimates() == before
    assert policy.refused == 0
    policy.note(*decision, strict=False)
    assert policy.estimates() == before
    assert policy.figures()["refused decisions"] == policy.refused == 1


def test_probabilities_in_single_precision_may_exceed_one_by_rounding():
    assert estimates([(1, float(np.nextafter(np.float32(1), np.float32(2))), 1 + 1e-7)]).n == 1


@pytest.mark.parametrize("level", [0, 1, -1, 95, NAN])
def test_a_level_outside_the_unit_interval_is_refused(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        OffPolicy().estimates(level)


@given(st.lists(st.tuples(st.floats(-1e39, 1e39), st.floats(2e-39, 1), st.floats(0, 1)), min_size=2, max_size=20))
def test_extreme_decisions_never_make_a_nan(rows):
    policy = OffPolicy()
    for row in rows:
        policy.note(*row)
    assert not any(math.isnan(value) for value in policy.figures().values())


# Do the intervals hold what they promise?

# costs of three actions (0 or -1), probabilities logged, and of the new policy
PROBLEMS = {
    "usual": ([0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.2, 0.6, 0.2]),
    "rare rewards": ([0.02, 0.05, 0.02], [1 / 3, 1 / 3, 1 / 3], [0, 1, 0]),
    "very rare rewards": ([0.003, 0.005, 0.002], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.8, 0.1]),
    "rarely logged": ([0.2, 0.5, 0.3], [0.6, 0.05, 0.35], [0, 1, 0]),
    "rare and rarely logged": ([0.02, 0.05, 0.02], [0.6, 0.05, 0.35], [0, 1, 0]),
    "mostly rewarded": ([0.9, 0.98, 0.95], [1 / 3, 1 / 3, 1 / 3], [0, 1, 0]),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_hold_the_truth_at_least_as_often_as_they_say(level, problem):
    source = np.random.default_rng(7)
    rewarded, logging, new = map(np.array, PROBLEMS[problem])
    predicted = -0.7 * rewarded
    truth = -new @ rewarded
    rounds, n = 600, 200
    hits = dict.fromkeys(("ips", "snips", "dr"), 0)
    for _ in range(rounds):
        actions = source.choice(3, n, p=logging)
        seen = -(source.uniform(size=n) < rewarded[actions]).astype(float)
        policy = OffPolicy(-1, 0)
        for action, cost in zip(actions, seen, strict=True):
            policy.note(cost, logging[action], new[action], predicted[action], float(new @ predicted))
        found = policy.estimates(level)
        for name in hits:
            _, low, high = getattr(found, name)
            hits[name] += low - 1e-12 <= truth <= high + 1e-12
    for name, count in hits.items():
        # three standard deviations of the count, and a little for the normal approximation
        assert count / rounds > level - 0.01 - 3 * math.sqrt(level * (1 - level) / rounds), name


def test_intervals_hold_where_a_log_left_decisions_out():
    """As decision services do: those without a reward are mostly dropped, and those that stay stand for the others."""
    source = np.random.default_rng(3)
    logging, new = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])
    rewarded = np.array([0.05, 0.1, 0.3])
    predicted = -0.7 * rewarded
    truth = -new @ rewarded
    rounds, n, level = 600, 400, 0.95
    hits = dict.fromkeys(("ips", "snips", "dr"), 0)
    naive = 0
    for _ in range(rounds):
        actions = source.choice(3, n, p=logging)
        costs = -(source.uniform(size=n) < rewarded[actions]).astype(float)
        drop = np.where(costs == 0, 0.8, 0.0)
        policy, unweighted = OffPolicy(-1, 0), OffPolicy(-1, 0)
        for i in np.flatnonzero(source.uniform(size=n) >= drop):
            row = costs[i], logging[actions[i]], new[actions[i]], predicted[actions[i]], float(new @ predicted)
            policy.note(*row, weight=1 / (1 - drop[i]))
            unweighted.note(*row)
        found = policy.estimates(level)
        for name in hits:
            _, low, high = getattr(found, name)
            hits[name] += low - 1e-12 <= truth <= high + 1e-12
        _, low, high = unweighted.estimates(level).snips
        naive += low <= truth <= high
    for name, count in hits.items():
        assert count / rounds > level - 0.01 - 3 * math.sqrt(level * (1 - level) / rounds), name
    assert naive < rounds / 10  # the test can tell


@given(st.lists(st.tuples(costs(), st.floats(0.01, 1), shares, costs(), costs(), st.floats(0.1, 100)), min_size=2))
def test_weighted_decisions_by_hand(rows):
    policy = OffPolicy(-100, 100)
    for *row, weight in rows:
        policy.note(*row, weight=weight)
    cost, logged, new, q, v, g = np.array(rows).T
    w = new / logged
    found = policy.estimates()
    close = partial(pytest.approx, rel=1e-9, abs=1e-9)
    assert found.logged == close(g @ cost / g.sum())
    assert found.ips.value == close(g @ (w * cost) / g.sum())
    assert found.dr.value == close(g @ (v + w * (cost - q)) / g.sum())
    assert found.mean_weight == close(g @ w / g.sum())
    assert found.max_weight == pytest.approx(w.max())
    if w.any():
        assert found.snips.value == close(g @ (w * cost) / (g @ w))
        assert found.effective_n == close((g @ w) ** 2 / ((g * w) ** 2).sum())


def test_equal_weights_are_no_weights():
    source = np.random.default_rng(5)
    rows = [(c, 0.5, p, c / 2, c / 3) for c, p in zip(source.normal(size=50), source.uniform(size=50), strict=True)]
    policy = OffPolicy(-4, 4)
    for row in rows:
        policy.note(*row, weight=8.0)
    found, plain = policy.figures(), estimates(rows, costs=(-4, 4))
    assert found["weighted decisions"] == 400
    for name in ("ips", "snips", "dr"):
        each = [found[name], found[f"{name} low"], found[f"{name} high"]]
        assert each == pytest.approx(list(getattr(plain, name)), rel=1e-12)
    with pytest.raises(ValueError, match="the weight must be positive"):
        policy.note(1, 0.5, 0.5, weight=0)


def test_no_reward_seen_says_how_many_there_may_be():
    decisions = [(0, 0.5, 0.5)] * 200
    ips = estimates(decisions, costs=(-1, 0)).ips
    assert ips.value == ips.high == 0
    assert ips.low is not None and -0.05 < ips.low < -0.01
    assert estimates(decisions).ips == (0, None, None)  # nothing is known of other costs


def test_a_log_without_support_for_the_policy_is_noticed():
    source = np.random.default_rng(1)
    rows = [(-1, 0.5, pi) for pi in source.choice([0.0, 0.5], 200)]
    policy = OffPolicy(-1, 0)
    for row in rows:
        policy.note(*row)
    (remark,) = policy.remarks()
    assert "lacks actions" in remark
    weight = policy.mean_weight()
    assert weight.value is not None
    assert weight.low is not None
    assert weight.high is not None
    assert weight.value == pytest.approx(np.mean([row[2] for row in rows]) / 0.5)
    assert weight.low < weight.value < weight.high < 1
    fine = OffPolicy(-1, 0)
    for pi in source.uniform(0, 1, 200):
        fine.note(-1, 0.5, pi)
    assert fine.remarks() == OffPolicy().remarks() == []
    rounded = OffPolicy(-1, 0)
    for cost in source.choice([-1, 0], 200):
        rounded.note(cost, 0.0294118, 1 / 34)  # all weights are alike, and not quite 1
    assert rounded.remarks() == []
    coarse = OffPolicy(-1, 0)
    for cost in source.choice([-1, 0], 200):
        coarse.note(cost, 0.03, 1 / 34)
    assert "too large" in coarse.remarks()[0]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 30, 1000])
def test_a_log_of_any_length_has_the_quantile_of_student(n):
    policy = OffPolicy(0, 1)
    for _ in range(n):
        policy.note(0.5, 0.5, 0.5)
    weight = policy.mean_weight(0.9)
    if n > 1:
        assert weight.low == pytest.approx(end([1.0] * n, 0, -1, 0.9), rel=1e-2, abs=1e-3)
