"""Each loss: its derivative is that of the loss, and its update is where the gradient flow ends.

The invariant update follows dp/dn = -dL/dp for the total step n = scale * ppu, so it moves the prediction by
update * ppu; the reference solves that differential equation numerically.
"""

import math
from typing import Any, ClassVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from vwlite.core.losses import make_loss
from vwlite.errors import OptionError

REALS = st.floats(-8, 8, width=32)
SIGNS = st.sampled_from((-1.0, 1.0))
SCALES = st.floats(0.0009765625, 20, width=32)
PPU = st.floats(0.03125, 8, width=32)

# case: (options besides the loss, labels)
LOSSES = {
    "squared": ({}, REALS),
    "logistic": ({}, SIGNS),
    "logistic between": ({}, st.floats(-1, 1, width=32)),
    "logistic 0 1": ({"logistic_min": 0.0, "logistic_max": 1.0}, st.sampled_from((0.0, 1.0))),
    "hinge": ({}, SIGNS),
    "quantile": ({}, REALS),
    "quantile 0.1": ({"quantile_tau": 0.1}, REALS),
    "expectile": ({"expectile_q": 0.2}, REALS),
    "poisson": ({}, st.integers(0, 20).map(float)),
}
# What is called the derivative of these is that of half the loss, as in VW.
HALVED = {"poisson"}
CURVED = [name for name in LOSSES if name.split()[0] in ("squared", "expectile", "poisson")]


class Given(dict[str, Any]):
    """Options of a run, as far as losses ask for them."""

    declared: ClassVar[dict[str, Any]] = {}

    def __init__(self, name, **values):
        super().__init__(
            loss_function=name,
            quantile_tau=0.5,
            expectile_q=None,
            logistic_min=-1.0,
            logistic_max=1.0,
            min_prediction=None,
            max_prediction=None,
            binary=False,
            vw_compat=False,
        )
        self.update(values)
        self.names = set(values)

    def given(self, name):
        return name in self.names


def make(case, **values):
    options, _ = LOSSES[case]
    loss = make_loss(Given(case.split()[0], **{**options, **values}))
    if loss.name in ("squared", "expectile"):
        loss.min_label, loss.max_label = -1000, 1000
    return loss


def kink(loss, p, y, reach):
    """Whether the loss has a kink within reach of p."""
    return {"hinge": abs(1 - y * p) < reach, "quantile": abs(y - p) < reach, "expectile": abs(y - p) < reach}.get(
        loss.name, False
    )


def flow(loss, p, y, n):
    """Where the prediction is after following the gradient for n; it stops where the gradient changes sign or ends."""

    def slope(_, state):
        return [-loss.at(state[0], y)[1]]

    def turning_point(_, state):
        return loss.at(state[0], y)[1] * start

    start = loss.at(p, y)[1]
    if start == 0:
        return p
    turning_point.terminal = True  # type: ignore[attr-defined]
    turning_point.direction = -1  # type: ignore[attr-defined]
    solution = solve_ivp(slope, (0, n), [p], events=turning_point, method="LSODA", rtol=1e-5, atol=1e-6)
    return solution.y[0, -1]


@pytest.mark.parametrize("case", LOSSES)
@given(data=st.data(), p=REALS)
def test_derivative_is_that_of_the_loss(case, data, p):
    loss, y, h = make(case), data.draw(LOSSES[case][1]), 2.0**-6
    assume(not kink(loss, p, y, 2 * h))
    above, below = loss.at(p + h, y)[0], loss.at(p - h, y)[0]
    expected = (above - below) / (2 * h) / (2 if case in HALVED else 1)
    noise = 2e-7 * max(1.0, abs(above), abs(below)) / h
    curve = 2e-4 * (1 + math.exp(p)) if case == "poisson" else 2e-4
    assert loss.at(p, y)[1] == pytest.approx(expected, rel=1e-3, abs=noise + curve)


@pytest.mark.parametrize("case", LOSSES)
@given(data=st.data(), p=REALS)
def test_squared_gradient_is_the_square_of_the_derivative(case, data, p):
    _, derivative, square, _, _ = make(case).at(p, data.draw(LOSSES[case][1]))
    assert square == pytest.approx(derivative**2, rel=1e-5)


@pytest.mark.parametrize("case", LOSSES)
@given(data=st.data(), p=REALS)
def test_loss_is_never_negative_and_never_nan(case, data, p):
    assert make(case).at(p, data.draw(LOSSES[case][1]))[0] >= -1e-4


@pytest.mark.parametrize("case", LOSSES)
@given(data=st.data(), p=REALS, scale=SCALES)
def test_plain_update_is_a_gradient_step(case, data, p, scale):
    _, derivative, _, _, plain = make(case).at(p, data.draw(LOSSES[case][1]), scale)
    assert plain == pytest.approx(-scale * derivative, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("case", [case for case in LOSSES if case != "logistic between"])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), p=st.floats(-4, 4, width=32), scale=SCALES, ppu=PPU)
def test_update_ends_where_the_gradient_flow_ends(case, data, p, scale, ppu):
    loss, y = make(case), data.draw(LOSSES[case][1])
    assume(not kink(loss, p, y, 1e-3))
    moved = loss.at(p, y, scale, ppu)[3] * ppu
    assert p + moved == pytest.approx(flow(loss, p, y, scale * ppu), rel=1e-3, abs=2e-3)


@given(p=st.floats(-4, 4, width=32), y=st.floats(-1, 1, width=32), scale=SCALES, ppu=PPU)
def test_logistic_label_in_between_mixes_the_updates_of_both_classes(p, y, scale, ppu):
    loss, share = make("logistic"), (y + 1) / 2
    expected = share * loss.at(p, 1, scale, ppu)[3] + (1 - share) * loss.at(p, -1, scale, ppu)[3]
    assert loss.at(p, y, scale, ppu)[3] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("case", LOSSES)
@given(data=st.data(), p=REALS, ppu=PPU)
def test_tiny_steps_are_plain_steps(case, data, p, ppu):
    curvature = math.exp(p) if case == "poisson" else 0
    loss, y, scale = make(case), data.draw(LOSSES[case][1]), 1e-7 / (1 + curvature)
    assume(not kink(loss, p, y, 1e-3))
    _, _, _, update, plain = loss.at(p, y, scale, ppu)
    assert update == pytest.approx(plain, rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 5.0, 10.0, 14.0, 18.0, 21.0, 40.0])
@pytest.mark.parametrize("y", [0.0, 2.0])
@pytest.mark.parametrize("ppu", [1e-17, 1e-8, 1e-6, 1e-3])
def test_a_poisson_step_follows_the_flow_where_the_mean_is_large_and_the_step_small(p, y, ppu):
    n, mean = 0.5 * ppu, math.exp(p)
    expected = n * y - math.log1p(mean * (math.expm1(y * n) / y if y else n))
    assert make("poisson").at(p, y, 0.5, ppu)[3] * ppu == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("case", ["squared", "hinge", "quantile", "expectile"])
@given(data=st.data(), p=REALS, scale=st.floats(1e3, 1e6, width=32), ppu=PPU)
def test_no_importance_overshoots_the_label(case, data, p, scale, ppu):
    loss, y = make(case), data.draw(LOSSES[case][1])
    moved = p + loss.at(p, y, scale, ppu)[3] * ppu
    if case == "hinge":
        assert y * moved == pytest.approx(max(1, y * p), rel=1e-4)
    else:
        assert moved == pytest.approx(y, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("case", CURVED)
@given(data=st.data(), p=st.floats(-3, 3, width=32), scale=st.floats(0.015625, 2, width=32), ppu=PPU)
def test_one_example_of_weight_two_is_two_of_weight_one(case, data, p, scale, ppu):
    loss, y = make(case), data.draw(LOSSES[case][1])
    twice = p
    for _ in range(2):
        twice += loss.at(twice, y, scale, ppu)[3] * ppu
    assert p + loss.at(p, y, 2 * scale, ppu)[3] * ppu == pytest.approx(twice, rel=1e-3, abs=1e-3)


@given(p=REALS, y=REALS, scale=SCALES, ppu=PPU)
def test_classic_always_takes_plain_steps(p, y, scale, ppu):
    _, _, _, update, plain = make_loss(Given("classic")).at(p, y, scale, ppu)
    assert update == plain == pytest.approx(2 * (y - p) * scale, rel=1e-5)


@pytest.mark.parametrize(("p", "expected"), [(-2.0, 1 + 2 * 1 * 2), (3.0, 0.0), (0.5, 0.25)])
def test_squared_loss_is_linear_outside_the_labels_seen(p, expected):
    loss = make_loss(Given("squared"))
    loss.min_label, loss.max_label = 0, 1
    assert loss.at(p, 1.0)[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["logistic", "poisson"])
@given(p=st.floats(-(2.0**100), 2.0**100, width=32), scale=st.floats(2.0**-20, 2.0**20, width=32))
def test_extreme_predictions_give_finite_updates(name, p, scale):
    loss = make_loss(Given(name))
    p = max(loss.min_label, min(loss.max_label, p))
    for y in (1.0, -1.0 if name == "logistic" else 0.0):
        assert all(map(math.isfinite, loss.at(p, y, scale, 1.0)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_prediction": 1.0, "max_prediction": 0.0}, "range of predictions is empty"),
        ({"loss_function": "expectile"}, "needs --expectile_q"),
        ({"loss_function": "logistic", "logistic_min": 1.0, "logistic_max": 0.0}, "must be less"),
    ],
)
def test_options_that_do_not_go_together_are_refused(values, message):
    with pytest.raises(OptionError, match=message):
        make_loss(Given("squared", **values))
