"""A fixed term of the score, and its scale, given or learned: --offset_scale."""

import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit

from tests.support.offsets import lines, unlabelled, wide
from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.learner import walk
from vwlite.errors import OptionError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def learner(workspace: Workspace) -> Any:
    return next(found for found in walk(workspace.top) if found.name == "offset")


def metrics(workspace: Workspace) -> tuple[float, float]:
    figures = learner(workspace).metrics()
    return figures["offset scale"], figures["offset scale's precision"]


def test_l2_regularization_shrinks_weights_but_no_offset():
    strong = wide("--l2 0.2 --sgd -l 0.5")
    offset, plain = Workspace(f"{strong} --offset_scale 1"), Workspace(strong)
    for workspace in (offset, plain):
        workspace.learn(["0 1 0 | a"] * 3 + ["1 | a"] * 3)
    assert offset.predict("0 1 5 |") - offset.predict("0 1 0 |") == pytest.approx(5)
    # as in Vowpal Wabbit
    assert plain.predict("0 1 5 |") - plain.predict("0 1 0 |") < 4.9


NUMBERS = st.floats(-4, 4, width=32).map(lambda x: round(x, 3))
EXAMPLES = st.lists(
    st.tuples(NUMBERS, st.sampled_from([0.5, 1, 2, 7]), NUMBERS), min_size=1, max_size=30
)  # label, weight, offset


@given(examples=EXAMPLES, prior=st.sampled_from([0.1, 1, 30]), loss=st.sampled_from(["squared", "classic"]))
def test_for_squared_loss_the_scale_is_that_of_bayesian_linear_regression(examples, prior, loss):
    workspace = Workspace(f"--noconstant --offset_scale fit --offset_l2 {prior} --loss_function {loss}")
    workspace.learn([f"{y} {w} {o} |" for y, w, o in examples])
    y, w, o = np.array(examples).T
    precision = prior + np.sum(w * o**2)
    scale, found = metrics(workspace)
    assert found == pytest.approx(precision, rel=1e-6)
    # scores are in single precision
    assert scale == pytest.approx((prior + np.sum(w * o * y)) / precision, abs=1e-5)


@given(examples=EXAMPLES, prior=st.sampled_from([0.1, 1, 30]))
def test_for_logistic_loss_each_example_moves_the_scale_to_the_posteriors_mode(examples, prior):
    workspace = Workspace(f"--noconstant --offset_scale fit --offset_l2 {prior} --loss_function logistic")
    mean, precision = 1.0, float(prior)
    for number, w, o in examples:
        y = 1 if number > 0 else -1
        workspace.learn(f"{y} {w} {o} |")
        o = float(np.float32(o))
        mean = mode(mean, precision, y, w, o, 0)
        q = expit(mean * o)
        precision += w * q * (1 - q) * o**2
        assert metrics(workspace) == pytest.approx((mean, precision), rel=1e-5)


def mode(mean: float, precision: float, y: int, w: float, o: float, rest: float) -> float:
    """Where the derivative of -log posterior vanishes, by Brent's method."""

    def slope(b: float) -> float:
        return float(-w * y * o * expit(-y * (b * o + rest)) + precision * (b - mean))

    reach = w * abs(o) / precision + 1
    return float(brentq(slope, mean - reach, mean + reach, xtol=1e-14))


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_the_rest_of_the_stack_is_the_offset_of_the_scale(loss):
    workspace = Workspace(wide(f"--offset_scale fit --loss_function {loss} -q ab"))
    source = random.Random(4)
    for line in lines(3):
        y: float = source.choice([-1, 1])
        o = float(np.float32(round(source.uniform(-2, 2), 3)))
        mean, precision = metrics(workspace)
        text = f"{y} 2 {o:.9g} {unlabelled(line)}"
        score = workspace.learn(text)
        if loss == "squared":
            after = precision + 2 * o * o
            expected = mean + 2 * o * (y - score) / after
        else:
            expected = mode(mean, precision, int(y), 2, o, score - mean * o)
            q = expit(score + (expected - mean) * o)
            after = precision + 2 * q * (1 - q) * o * o
        assert metrics(workspace) == pytest.approx((expected, after), abs=1e-5)


def test_a_label_between_the_classes_counts_in_part():
    flags = "--noconstant --offset_scale fit --loss_function logistic --logistic_min -1"
    mixed, split = (Workspace(flags) for _ in range(2))
    mixed.learn("0.5 4 1.5 |")
    share = 0.75
    scale, precision = metrics(mixed)
    q = expit(scale * 1.5)
    assert 4 * 1.5 * (q - share) + (scale - 1) == pytest.approx(0, abs=1e-6)
    assert precision == pytest.approx(1 + 4 * q * (1 - q) * 1.5**2)
    split.learn("1 4 1.5 |")
    assert metrics(split)[0] > scale


@pytest.mark.parametrize(
    "example", ["1 3e38 0.25 |", "-1 3e38 2 |", "-1 1e30 1e-3 |", "1 1e-30 3e38 |", "-1 1 -3e38 |"]
)
def test_extreme_weights_and_offsets_give_the_mode_too(example):
    workspace = Workspace("--noconstant --offset_scale fit --loss_function logistic")
    workspace.learn(example)
    y, w, o = (float(np.float32(word)) for word in example.split()[:3])
    scale, precision = metrics(workspace)
    assert math.isfinite(scale) and precision >= 1
    gain = w * y * o * expit(-y * scale * o)
    assert scale - 1 == pytest.approx(gain, rel=1e-6, abs=1e-9)


def test_a_fixed_effect_that_is_twice_too_large_is_halved():
    data = lines(1, 3000, initial=False)
    fixed = Workspace("")
    fixed.learn([f"{2 * float(line.split()[0]):.3f} {line.split(' ', 1)[1]}" for line in data])
    fixed.save("fixed.model")
    workspace = Workspace("--fixed_effect fixed.model --offset_scale fit --noconstant --ignore abc")
    workspace.learn(lines(2, 3000, initial=False))
    assert metrics(workspace)[0] == pytest.approx(0.5, abs=0.02)


def test_the_scale_is_told_at_the_end_of_a_run(capsys):
    Path("data.txt").write_text("1 1 0.5 | a\n1 1 0.5 | a\n")
    assert main(["-d", "data.txt", "--offset_scale", "fit", "--noconstant", "--ignore", "_"]) == 0
    err = capsys.readouterr().err
    assert re.search(r"\noffset scale = \d\.\d{6}\noffset scale's precision = 1\.500000\n", err)
    assert main(["-d", "data.txt", "--offset_scale", "2"]) == 0
    assert "offset scale" not in capsys.readouterr().err


def test_the_scale_knows_how_sure_it_is():
    workspace = Workspace(wide("--offset_scale fit"))
    workspace.learn(["3 1 1 |"] * 8)
    scale, precision = metrics(workspace)
    assert precision == 9
    base = learner(workspace).joint(0)[0][0]
    means, covariance = learner(workspace).joint(2, -1)
    assert means == pytest.approx([base + 2 * scale, base - scale], rel=1e-6)
    assert np.array(covariance) == pytest.approx(np.array([[4, -2], [-2, 1]]) / 9, rel=1e-6)
    # a scale that was given is not in doubt
    assert learner(Workspace(wide("--offset_scale 2"))).joint(1) == ([2], [[0]])


def test_a_number_for_a_scale_replaces_a_learned_one():
    workspace = Workspace(wide("--offset_scale fit"))
    workspace.learn(["3 1 1 |"] * 5)
    workspace.save("fit.model")
    lone = Workspace("-i fit.model --offset_scale 0").predict("0 1 0 |")
    assert Workspace("-i fit.model --offset_scale 10").predict("0 1 1 |") == pytest.approx(lone + 10)
    again = Workspace("-i fit.model")
    assert metrics(again) == metrics(workspace)


@pytest.mark.parametrize("loss", ["hinge", "quantile", "poisson", "expectile --expectile_q 0.2"])
def test_only_losses_with_a_posterior_learn_a_scale(loss):
    with pytest.raises(
        OptionError, match="--offset_scale fit goes with --loss_function squared, classic, logistic, not"
    ):
        Workspace(f"--offset_scale fit --loss_function {loss}")


@pytest.mark.parametrize("flags", ["--offset_l2 2", "--offset_l2 2 --offset_scale 1"])
def test_a_prior_without_a_scale_to_learn_is_a_mistake(flags):
    with pytest.raises(OptionError, match="--offset_l2 has no effect without --offset_scale fit"):
        Workspace(flags)


@pytest.mark.parametrize("value", ["fitted", "inf", "nan", "FIT"])
def test_a_scale_is_a_number_or_fit(value):
    with pytest.raises(OptionError, match=r"--offset_scale wants a (number or fit|finite 32-bit number)"):
        Workspace(f"--offset_scale {value}")
