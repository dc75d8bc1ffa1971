"""random_effect: --sweeps against joint solutions by numpy and SciPy, and against lme4's published figures."""

import csv
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from tests.support.effects import WIDE, effect, line, mean, people
from tests.support.models import CONSTANT, feature
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError
from vwlite.mixed import problem as mixed_problem

DATA = Path(__file__).parent.parent / "data"
Vector = NDArray[np.float64]


# What is fitted


def test_time_makes_forget_what_runs_before_have_learned(run, tmp_path):
    """Day by day, each a batch: an entity as a model of its own."""
    days = [[line({**row, "user": "u"}) + f" |t :{day}" for row in people(day, 8, True)] for day in (1, 2, 5)]
    shared = ["--bayes_logistic", "--batch_size", "all", "--forget", "0.5", "--forget_time", "t"]
    effect = ["--random_effect", "user:c", "--fixed", "none", "--shrink", "zero", "--effect_l2", "1", *shared]
    whole = ["--ignore", "u", *shared]
    found = {}
    for name, flags in (("effect", effect), ("whole", whole)):
        loaded = ["--ignore", "i"]
        for day in days:
            run(day, *loaded, *flags)
            (tmp_path / "run.model").rename(tmp_path / name)
            loaded = ["-i", str(tmp_path / name)]
            flags = []
        found[name] = run(days[0], "-t", "-i", str(tmp_path / name), "--columns", "score,sd")[0].split()
    assert list(map(float, found["effect"])) == pytest.approx(list(map(float, found["whole"])), abs=2e-6)


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_one_sweep_finds_mean_and_spread_of_entities_of_the_greatest_likelihood(posterior):
    """y = mean + user + noise: the marginal likelihood of each user's examples, by SciPy."""
    source = np.random.default_rng(3)
    users = [3 + 0.7 * source.normal() + 0.4 * source.normal(size=n) for n in source.integers(1, 12, 40)]
    lines = [f"{y:.4f} |user u{k}" for k, ys in enumerate(users) for y in ys]
    users = [ys.round(4) for ys in users]

    def surprise(t: Vector) -> float:
        mean, spread, noise = t[0], np.exp(t[1]), np.exp(t[2])
        total = 0.0
        for ys in users:
            cov = spread * np.ones((len(ys), len(ys))) + noise * np.eye(len(ys))
            total += np.linalg.slogdet(cov)[1] + (ys - mean) @ np.linalg.solve(cov, ys - mean)
        return float(total)

    t = optimize.minimize(surprise, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).x
    flags = f"--square --posterior {posterior} --random_effect user --fixed none --shrink mean --effect_l2 auto {WIDE}"
    workspace = Workspace(flags)
    workspace.learn(lines)
    workspace.end_pass()
    figures = workspace.top.metrics() | effect(workspace, "user").metrics()
    spread = figures["random_effect.user sd" + (" of intercept" if posterior == "full" else "")]
    assert spread == pytest.approx(np.exp(t[1] / 2), rel=1e-3 if posterior == "full" else 0.1)
    if posterior == "full":
        assert figures["random_effect.user noise"] == pytest.approx(np.exp(t[2]), rel=1e-3)
        assert workspace.predict("|user new") == pytest.approx(t[0], abs=1e-4)


def test_examples_that_wait_for_the_end_of_their_pass_are_not_lost_by_a_save(tmp_path):
    workspace = Workspace("--square --random_effect user")
    workspace.learn([line(row) for row in people(1, 20)])
    with pytest.raises(ModelError, match=r"20 examples wait .* end_pass\(\)"):
        workspace.save(tmp_path / "m")
    workspace.end_pass()
    workspace.save(tmp_path / "m")
    probe = [line(row) for row in people(2, 20)]
    assert Workspace.load(tmp_path / "m").predict(probe) == workspace.predict(probe)


# Several effects, to convergence


def joint(rows: list[dict[str, Any]], logistic: bool, ridges: dict[str, float]) -> dict[tuple[str, str], float]:
    """All effects at once: intercepts of users and items, and slopes of the fixed part, each with its ridge."""
    columns = sorted({("user", row["user"]) for row in rows} | {("item", row["item"]) for row in rows})
    columns += [("fixed", "x0"), ("fixed", "x1"), ("fixed", "1")]
    x = np.array(
        [
            [float(row.get(kind) == name) for kind, name in columns[:-3]] + [*row["x"], 1.0]
            for row in rows
        ]
    )  # fmt: skip
    y, w, o = (np.array([row[name] for row in rows]) for name in ("y", "w", "o"))
    ridge = np.array([ridges[kind] for kind, _ in columns])
    if not logistic:
        t = np.linalg.solve(x.T @ (x * w[:, None]) + np.diag(ridge), x.T @ (w * (y - o)))
    else:
        t = optimize.minimize(
            lambda t: (w @ np.logaddexp(0, -y * (x @ t + o)) + ridge @ t**2 / 2,
                       x.T @ (-w * y * special.expit(-y * (x @ t + o))) + ridge * t),
            np.zeros(len(columns)), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9},
        ).x  # fmt: skip
    return dict(zip(columns, t.tolist(), strict=True))


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("logistic", [True, False])
def test_sweeps_over_crossed_effects_converge_to_the_joint_solution(fit, logistic, posterior):
    rows = people(3, 250, logistic)
    kind = "--logistic" if logistic else "--square"
    workspace = fit(
        [line(row) for row in rows],
        f"{kind} --random_effect user --random_effect item --fixed same --l2 0.5 --effect_l2 user=2,item=3 "
        f"--sweeps 200 --posterior {posterior} {WIDE}",
    )
    ridges = {"user": 2.0, "item": 3.0, "fixed": 0.5}
    expected = joint(rows, logistic, ridges)
    fixed = workspace.bottom.coefficients()
    for (part, name), value in expected.items():
        if part == "fixed":
            found = fixed[CONSTANT if name == "1" else feature(name, "c")][0]
        else:
            found = mean(workspace, part, name)
        assert found == pytest.approx(value, abs=2e-4)


def test_one_sweep_fits_one_part_after_the_other_where_all_at_once_are_too_many(fit, monkeypatch):
    monkeypatch.setattr(mixed_problem, "MOST_DENSE", 0)
    rows = [{**row, "w": 1.0, "o": 0.0} for row in people(4, 60)]
    workspace = fit(
        [line(row) for row in rows],
        "--square --random_effect user --random_effect item --fixed none --shrink zero --effect_l2 1 --sweeps 1 "
        + WIDE,
    )
    users, items = {}, {}
    for user in {row["user"] for row in rows}:
        y = [row["y"] for row in rows if row["user"] == user]
        users[user] = sum(y) / (len(y) + 1)
    for item in {row["item"] for row in rows}:
        y = [row["y"] - users[row["user"]] for row in rows if row["item"] == item]
        items[item] = sum(y) / (len(y) + 1)
    for user, value in users.items():
        assert mean(workspace, "user", user) == pytest.approx(value, abs=1e-5)
    for item, value in items.items():
        assert mean(workspace, "item", item) == pytest.approx(value, abs=1e-5)


def fitted_in_turn(lines: list[str], flags: str) -> tuple[list[float], dict[str, Any]]:
    """Predictions of a model, and the figures of its fit and of the effect of users."""
    workspace = Workspace(f"{flags} {WIDE}")
    workspace.learn(lines)
    workspace.end_pass()
    figures = workspace.top.base.metrics() | effect(workspace, "user").metrics()
    return workspace.predict(lines), figures


@pytest.mark.parametrize("kind", ["--square", "--logistic"])
@pytest.mark.parametrize("unit", [1e-6, 86400.0, 1e9])
def test_parts_fitted_in_turn_are_the_same_in_any_unit(monkeypatch, kind, unit):
    monkeypatch.setattr(mixed_problem, "MOST_DENSE", 40)
    flags = f"{kind} --random_effect user:c --random_effect item:c --fixed same --effect_l2 auto --sweeps 1"
    many = people(5, 200, kind == "--logistic")
    found = []
    for scale in (1.0, unit):
        lines = [
            line({**row, "x": [x * scale for x in row["x"]], "user": f"{row['user']}{k % 5}", "item": f"i{k % 20}"})
            for k, row in enumerate(many)
        ]
        found.append(fitted_in_turn(lines, flags))
    (expected, known), (scores, figures) = found
    assert scores == pytest.approx(expected, abs=1e-3)
    assert figures["random_effect fit"] == known["random_effect fit"] == "parts in turn, stopped after 1 sweep"
    for name, by in (("intercept", 1.0), ("x0", unit), ("x1", unit)):
        sd = f"random_effect.user sd of {name}"
        assert figures[sd] * by == pytest.approx(known[sd], rel=1e-3)


def test_parts_fitted_in_turn_stop_when_they_have_converged(monkeypatch):
    monkeypatch.setattr(mixed_problem, "MOST_DENSE", 0)
    flags = "--square --random_effect user --random_effect item --fixed same --l2 1 --sweeps 100000"
    _, figures = fitted_in_turn([line(row) for row in people(6, 100)], flags)
    assert re.fullmatch(r"parts in turn, converged after \d+ sweeps", figures["random_effect fit"])


@pytest.mark.parametrize("flags", ["", "--posterior diagonal", "--random_effect item"])
def test_sweeps_after_examples_that_were_learned_one_by_one_stay_near_the_labels(tmp_path, flags):
    draw = random.Random(1)
    lines = [f"{draw.gauss(4, 1):.3f} |user u{i} |item i{i % 40} |f x:{draw.random():.3f}" for i in range(600)]
    workspace = Workspace(f"--bayes_linear --random_effect user {flags}")
    workspace.learn(lines)
    workspace.save(tmp_path / "model")
    again = Workspace.load(tmp_path / "model", "--sweeps 3")
    again.learn(lines)
    again.end_pass()
    assert all(0 < score < 8 for score in again.predict(lines))
    labels = [float(line.split()[0]) for line in lines]
    assert again.top.base.metrics()["loss after the fit"] < np.var(labels)  # that of one number for all


def test_sweeps_tell_the_loss_of_the_examples_that_were_fitted(tmp_path, capsys):
    rows = [{**row, "w": 1.0, "o": 0.0} for row in people(4, 60)]
    (tmp_path / "data.txt").write_text("".join(f"{line(row)}\n" for row in rows))
    flags = f"--square --random_effect user --fixed none --sweeps 2 {WIDE} --quiet"
    assert main(["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), *flags.split()]) == 0
    workspace = Workspace.load(tmp_path / "m")
    loss = np.mean([(workspace.predict(line(row)) - row["y"]) ** 2 for row in rows])
    capsys.readouterr()
    assert main(["-d", str(tmp_path / "data.txt"), *flags.replace("--quiet", "").split()]) == 0
    told = re.search(r"loss after the fit = ([\d.]+)", capsys.readouterr().err)
    assert told
    assert float(told[1]) == pytest.approx(loss, rel=1e-5)


def test_sweeps_weigh_examples_by_the_counts_of_the_whole_pass(fit):
    rows = [{**row, "o": 0.0} for row in people(8, 80)]
    flags = f"--square --random_effect user --random_effect item --fixed same --l2 1 --effect_l2 1 --sweeps 150 {WIDE}"
    workspace = fit([line(row) for row in rows], f"{flags} --count_weight user=-0.5,item=0.25")
    n = {
        name: sum(name in (row["user"], row["item"]) for row in rows)
        for name in {row[k] for row in rows for k in ("user", "item")}
    }
    weights = np.array([n[row["user"]] ** -0.5 * n[row["item"]] ** 0.25 for row in rows])
    weights *= len(rows) / weights.sum()
    weighed = [{**row, "w": row["w"] * weight} for row, weight in zip(rows, weights, strict=True)]
    for (part, name), value in joint(weighed, False, {"user": 1.0, "item": 1.0, "fixed": 1.0}).items():
        if part != "fixed":
            assert mean(workspace, part, name) == pytest.approx(value, abs=2e-4)


# sends itself a signal after 0.2 s of CPU time in sweeps, however long that takes
SWEEPING = """
import signal, sys
from vwlite.cli import main
from vwlite.engine.run import Run
one_pass = Run.one_pass
def before_sweeps(self):
    one_pass(self)
    signal.signal(signal.SIGVTALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.2)
Run.one_pass = before_sweeps
sys.exit(main(sys.argv[1:]))
"""


def test_a_signal_during_a_run_with_sweeps_leaves_a_model_that_loads(tmp_path):
    rows = people(12, 200)
    (tmp_path / "data.txt").write_text("".join(f"{line(row)}\n" for row in rows))
    words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), "--quiet", "--square", "--sweeps", "10000000"]
    words += ["--random_effect", "user:*", "--random_effect", "item:*", "--fixed", "same"]
    done = subprocess.run(
        [sys.executable, "-c", SWEEPING, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 128 + 15, done.stderr
    assert "Traceback" not in done.stderr
    workspace = Workspace.load(tmp_path / "m")
    assert workspace.predict(line(rows[0])) != workspace.predict(line({**rows[0], "user": "new"}))


# lme4's sleepstudy: Belenky et al. 2003


def sleepstudy() -> list[tuple[str, float, float]]:
    with (DATA / "sleepstudy.csv").open() as file:
        return [(row["subject"], float(row["days"]), float(row["reaction"])) for row in csv.DictReader(file)]


def test_blups_of_a_random_intercept(fit):
    """REML: fixed 251.4051 and 10.4673, variances 1378.18 and 960.457, so a ridge of their ratio."""
    ridge = 960.457 / 1378.18
    lines = [f"{y} 1 {251.4051 + 10.4673 * days} |subject s{name}" for name, days, y in sleepstudy()]
    workspace = fit(lines, f"--square --random_effect subject --fixed none --effect_l2 {ridge} {WIDE}")
    assert mean(workspace, "subject", "s308") == pytest.approx(40.7837, abs=1e-3)
    for subject in {name for name, _, _ in sleepstudy()}:
        rest = [y - 251.4051 - 10.4673 * days for name, days, y in sleepstudy() if name == subject]
        assert mean(workspace, "subject", f"s{subject}") == pytest.approx(sum(rest) / (len(rest) + ridge), abs=1e-4)


def test_fixed_effects_and_blups_together(fit):
    """The fixed part nearly without a ridge; coordinate descent finds what the mixed model equations say."""
    lines = [f"{y} |subject s{name} |x days:{days}" for name, days, y in sleepstudy()]
    workspace = fit(
        lines,
        f"--square --random_effect subject --fixed same --l2 1e-9 --effect_l2 {960.457 / 1378.18} --sweeps 300 {WIDE}",
    )
    found = workspace.bottom.coefficients()
    assert found[CONSTANT][0] == pytest.approx(251.4051, abs=2e-3)
    assert found[feature("days", "x")][0] == pytest.approx(10.4673, abs=1e-3)
    assert mean(workspace, "subject", "s308") == pytest.approx(40.7837, abs=2e-3)


def test_blups_of_correlated_intercepts_and_slopes(fit):
    """In coordinates in which the prior is white: G / sigma^2 = L L', b = L u, u ~ N(0, I)."""
    sd, correlation, residual = (24.7406, 5.9221), 0.0656, 25.5918
    g = np.array([[sd[0] ** 2, correlation * sd[0] * sd[1]], [correlation * sd[0] * sd[1], sd[1] ** 2]]) / residual**2
    lower = np.linalg.cholesky(g)
    lines = []
    for name, days, y in sleepstudy():
        u = lower.T @ [1, days]
        lines.append(f"{y} 1 {251.4051 + 10.4673 * days} |subject s{name} |z a:{u[0]} b:{u[1]}")
    flags = "--fixed none --shrink zero --effect_l2 1 --intercept_l2 1e12"
    workspace = fit(lines, f"--square --random_effect subject:z {flags} {WIDE}")
    u308 = [mean(workspace, "subject", "s308", feature(name, "z")) for name in "ab"]
    assert lower @ u308 == pytest.approx([2.2586, 9.1990], abs=2e-3)
