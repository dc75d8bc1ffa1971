"""Off-policy estimates: by hand, in simulation, and against vw-estimators and NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vwlite.ope import Estimates, OffPolicy

NAN = float("nan")
Z = 1.959963984540054  # the 97.5 % point of the normal distribution


def estimates(decisions, level: float = 0.95) -> Estimates:
    """Of tuples (cost, probability, policy, and perhaps two predicted costs)."""
    policy = OffPolicy()
    for decision in decisions:
        policy.note(*map(float, decision))
    return policy.estimates(level)


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
    assert found.ips.high == pytest.approx(1 + Z * math.sqrt(1 / 3))
    assert found.dr.low == pytest.approx(2 - Z * math.sqrt(0.75 / 3))
    # sum of w^2 (c - 1.2)^2 over (sum w)^2
    assert found.snips.high == pytest.approx(1.2 + Z * math.sqrt((4 * 0.04 + 0.25 * 0.64) / 2.5**2))


@given(decisions)
def test_everything_is_as_in_the_formulas(rows):
    found = estimates(rows)
    c, p, pi, q, v = np.array(rows).T
    w = pi / p
    terms = {"ips": w * c, "dr": v + w * (c - q)}
    enough = (w > 0).sum() >= 2
    for name, term in terms.items():
        value, low, high = getattr(found, name)
        assert value == pytest.approx(term.mean(), rel=1e-9, abs=1e-9)
        if enough:
            half = Z * term.std(ddof=1) / math.sqrt(len(term))
            assert [low, high] == pytest.approx([value - half, value + half], rel=1e-9, abs=1e-6)
    if w.any():
        ratio = (w * c).sum() / w.sum()
        assert found.snips.value == pytest.approx(ratio, rel=1e-9, abs=1e-9)
        if enough:
            half = Z * np.sqrt((w**2 * (c - ratio) ** 2).sum()) / w.sum()
            assert found.snips.high == pytest.approx(ratio + half, rel=1e-6, abs=1e-6)
            assert found.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum())


@given(decisions)
def test_ips_and_snips_are_those_of_vw_estimators(rows):
    bandits = pytest.importorskip("estimators.bandits")
    modules = {name: pytest.importorskip(f"{bandits.__name__}.{name}") for name in ("ips", "snips", "gaussian")}
    ips, snips = modules["ips"].Estimator(), modules["snips"].Estimator()
    interval = modules["gaussian"].Interval()
    for cost, probability, policy, *_ in rows:
        for theirs in (ips, snips, interval):
            theirs.add_example(probability, cost, policy)
    found = estimates(rows)
    assert found.ips.value == pytest.approx(ips.get(), rel=1e-9, abs=1e-9)
    if any(row[2] for row in rows):
        assert found.snips.value == pytest.approx(snips.get(), rel=1e-9, abs=1e-9)
    if found.ips.low is not None:
        # theirs subtracts large squares
        assert [found.ips.low, found.ips.high] == pytest.approx(interval.get(0.05), rel=1e-4, abs=1e-2)


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
    found = estimates([(c, 0.5, pi, c, 2) for c, pi in source.uniform(0, 1, (50, 2))])
    assert found.dr == pytest.approx((2, 2, 2))


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
    width = 2 * Z * noise.std(ddof=1) / math.sqrt(1000)
    for estimate in (found.ips, found.snips, found.dr):
        assert np.ptp(np.array(estimate, float)) == pytest.approx(width, rel=1e-3)


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
    assert figures["ips low"] == pytest.approx(2 - 0.6744897501960817)
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


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_hold_the_truth_as_often_as_they_say(level):
    source = np.random.default_rng(7)
    logging, new = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    mean_cost, predicted = np.array([0.2, 0.4, 0.7]), np.array([0.3, 0.5, 0.6])
    truth = new @ mean_cost
    rounds, n = 1500, 300
    hits = dict.fromkeys(("ips", "snips", "dr"), 0)
    widths = dict.fromkeys(hits, 0.0)
    for _ in range(rounds):
        actions = source.choice(3, n, p=logging)
        seen = (source.uniform(size=n) < mean_cost[actions]).astype(float)
        policy = OffPolicy()
        for action, cost in zip(actions, seen, strict=True):
            policy.note(cost, logging[action], new[action], predicted[action], new @ predicted)
        found = policy.estimates(level)
        for name in hits:
            _, low, high = getattr(found, name)
            hits[name] += low <= truth <= high
            widths[name] += (high - low) / rounds
    for name, count in hits.items():
        # three and a half standard deviations of the count, and a little for the normal approximation
        assert abs(count / rounds - level) < 0.015 + 3.5 * math.sqrt(level * (1 - level) / rounds), name
    assert widths["dr"] < widths["ips"]
