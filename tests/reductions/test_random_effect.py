"""random_effect: against brute force in numpy and SciPy, and against lme4's published figures."""

import csv
import math
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, special

from vwlite import Workspace, model_file
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError, ParseError
from vwlite.hashing import feature_hash, murmur3_32
from vwlite.learner import walk

DATA = Path(__file__).parent.parent / "data"
CONSTANT = 11650396
Vector = NDArray[np.float64]
WIDE = "--min_prediction -1e9 --max_prediction 1e9"


def key(namespace: str, name: str) -> int:
    """What an entity is known by."""
    seed = feature_hash(namespace.encode())
    return murmur3_32(name.encode(), seed) << 32 | murmur3_32(name.encode(), seed ^ 0xFFFFFFFF)


def feature(name: str, namespace: str) -> int:
    return murmur3_32(name.encode(), feature_hash(namespace.encode()))


def effect(workspace: Workspace, name: str) -> Any:
    """The learner of an effect."""
    return next(learner for learner in walk(workspace.top) if learner.owner == f"random_effect.{name}")


def mean(workspace: Workspace, name: str, entity: str, column: int = CONSTANT) -> float:
    found = effect(workspace, name).coefficients(key(name, entity))
    return float(found[column][0])


def arrays(path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    reader = model_file.open(path)
    return {
        name: (reader.dtype(name), reader.shape(name), bytes(reader.array(name, reader.dtype(name))))
        for name in reader.names()
    }


@pytest.fixture
def fit(tmp_path):
    """Runs the command line on lines; the model, loaded."""

    def command(lines: Sequence[str], flags: str) -> Workspace:
        (tmp_path / "data.txt").write_text("".join(f"{line}\n" for line in lines))
        words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "fit.model"), "--quiet", *flags.split()]
        assert main(words) == 0
        return Workspace.load(tmp_path / "fit.model")

    return command


@pytest.fixture
def state(tmp_path):
    def save(workspace: Workspace) -> dict[str, tuple[str, list[int], bytes]]:
        workspace.save(tmp_path / "state.model")
        return arrays(tmp_path / "state.model")

    return save


# One effect


class Entity:
    """Brute force: ridge regression of one entity, one example after the other."""

    def __init__(self, p: int, ridge: float) -> None:
        self.h: Vector = ridge * np.eye(p)
        self.m: Vector = np.zeros(p)

    def learn(self, row: Vector, y: float, w: float, offset: float) -> None:
        old = self.h @ self.m
        self.h = self.h + w * np.outer(row, row)
        self.m = np.asarray(np.linalg.solve(self.h, old + w * row * (y - offset)), np.float64)


def people(seed: int, n: int, logistic: bool = False) -> list[dict[str, Any]]:
    """Examples of users and items with two features each; all numbers are float32."""
    source = random.Random(seed)
    taste = {f"u{k}": source.gauss(0, 1) for k in range(6)}
    charm = {f"i{k}": source.gauss(0, 1) for k in range(5)}
    found = []
    for _ in range(n):
        user, item = source.choice(list(taste)), source.choice(list(charm))
        x = [float(np.float32(source.gauss(0, 1))) for _ in range(2)]
        score = taste[user] + charm[item] + x[0] - 0.5 * x[1] * taste[user]
        label = math.copysign(1, score + source.gauss(0, 1)) if logistic else float(f"{score:.3f}")
        found.append({"y": label, "w": source.choice([1.0, 2.0, 0.5]), "user": user, "item": item, "x": x, "o": 0.25})
    return found


def line(row: dict[str, Any]) -> str:
    words = " ".join(f"x{k}:{value!r}" for k, value in enumerate(row["x"]))
    return f"{row['y']:g} {row['w']} {row['o']} |user {row['user']} |item {row['item']} |c {words}"


def test_one_effect_over_a_frozen_fixed_part_is_ridge_regression_of_each_entity():
    rows = people(1, 120)
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user:c --effect_l2 2 --freeze fixed {WIDE}")
    users: dict[str, Entity] = {}
    for row in rows:
        x = np.array([*row["x"], 1.0])
        entity = users.setdefault(row["user"], Entity(3, 2.0))
        assert workspace.learn(line(row)) == pytest.approx(x @ entity.m + row["o"], abs=1e-5)
        entity.learn(x, float(np.float32(row["y"])), row["w"], row["o"])
    assert workspace.bottom.columns()[0] == b""  # nothing in gd
    found = {name: (count, coefficients) for name, count, coefficients in effect(workspace, "user").entities()}
    assert {name: count for name, (count, _) in found.items()} == {
        user: sum(row["user"] == user for row in rows) for user in users
    }
    columns = [feature("x0", "c"), feature("x1", "c"), CONSTANT]
    for user, entity in users.items():
        known = effect(workspace, "user").coefficients(key("user", user))
        variances = np.diag(np.linalg.inv(entity.h))
        for k, column in enumerate(columns):
            assert known[column] == pytest.approx((entity.m[k], variances[k]), rel=1e-6, abs=1e-6)


def test_an_effect_starts_from_what_the_fixed_part_says(tmp_path):
    """Trained together, then with the fixed part frozen: its score is the entity's offset."""
    rows = people(2, 80)
    first = Workspace(f"--bayes_linear --noise 1 --random_effect user {WIDE}")
    first.learn([line(row) for row in rows])
    first.save(tmp_path / "first.model")
    second = Workspace.load(tmp_path / "first.model", "--freeze fixed")
    row = rows[0]
    stranger = line({**row, "user": "somebody-new"})
    fixed = second.predict(stranger)
    precision = 1 / effect(second, "user").coefficients(key("user", row["user"]))[CONSTANT][1]
    before = mean(second, "user", row["user"])
    second.learn(line(row))
    expected = before + row["w"] * (np.float32(row["y"]) - fixed - before) / (precision + row["w"])
    assert mean(second, "user", row["user"]) == pytest.approx(expected, abs=1e-5)
    assert second.predict(stranger) == fixed


def test_an_effect_and_the_fixed_part_learn_each_from_what_the_other_leaves():
    """Fixed first, then the effect with what fixed says now: both glm, one example."""
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed same --l2 1 --effect_l2 3 {WIDE}")
    workspace.learn("8 |user ann |c x0:1")
    # fixed: two features of 1 and a ridge of 1 take 2/3 of 8; the user takes 1/4 of the rest
    found = workspace.bottom.coefficients()
    assert [found[column][0] for column in (feature("x0", "c"), CONSTANT)] == pytest.approx([8 / 3, 8 / 3])
    assert mean(workspace, "user", "ann") == pytest.approx((8 - 16 / 3) / 4)
    assert workspace.predict("|user ann |c x0:1") == pytest.approx(16 / 3 + 2 / 3)


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


def test_one_sweep_fits_one_part_after_the_other(fit):
    rows = [{**row, "w": 1.0, "o": 0.0} for row in people(4, 60)]
    workspace = fit(
        [line(row) for row in rows],
        f"--square --random_effect user --random_effect item --fixed none --sweeps 1 {WIDE}",
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


def test_sweeps_tell_the_loss_of_the_examples_that_were_fitted(tmp_path, capsys):
    rows = [{**row, "w": 1.0, "o": 0.0} for row in people(4, 60)]
    (tmp_path / "data.txt").write_text("".join(f"{line(row)}\n" for row in rows))
    flags = f"--square --random_effect user --fixed none --sweeps 2 {WIDE} --quiet"
    assert main(["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), *flags.split()]) == 0
    workspace = Workspace.load(tmp_path / "m")
    loss = np.mean([(workspace.predict(line(row)) - row["y"]) ** 2 for row in rows])
    capsys.readouterr()
    assert main(["-d", str(tmp_path / "data.txt"), *flags.replace("--quiet", "").split()]) == 0
    told = re.search(r"loss after 2 sweeps = ([\d.]+)", capsys.readouterr().err)
    assert told
    assert float(told[1]) == pytest.approx(loss, rel=1e-5)


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
    workspace = fit(lines, f"--square --random_effect subject:z --fixed none --intercept_l2 1e12 {WIDE}")
    u308 = [mean(workspace, "subject", "s308", feature(name, "z")) for name in "ab"]
    assert lower @ u308 == pytest.approx([2.2586, 9.1990], abs=2e-3)


# Who is meant


def test_an_unknown_or_missing_entity_gets_the_rest_of_the_stack():
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --random_effect item {WIDE}")
    workspace.learn([line(row) for row in people(5, 60)])
    parts = {
        "both": workspace.predict("|user u1 |item i1 |c x0:1"),
        "user": workspace.predict("|user u1 |c x0:1"),
        "item": workspace.predict("|item i1 |c x0:1"),
        "none": workspace.predict("|c x0:1"),
    }
    assert parts["both"] == pytest.approx(parts["user"] + parts["item"] - parts["none"], abs=1e-5)
    assert parts["user"] - parts["none"] == pytest.approx(mean(workspace, "user", "u1"), abs=1e-5)
    assert workspace.predict("|user nobody |item nothing |c x0:1") == parts["none"]
    assert workspace.predict("|user |item |c x0:1") == parts["none"]
    # an item's name is no user's
    assert workspace.predict("|user i1 |c x0:1") == parts["none"]


def test_an_example_without_an_entity_teaches_the_rest(state):
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed same {WIDE}")
    workspace.learn("1 |user u1 |c x0:1")
    before = state(workspace)
    workspace.learn("5 |c x0:1")
    after = state(workspace)
    changed = {name for name in after if after[name] != before[name]}
    assert changed
    assert all(name.startswith("glm.") for name in changed - {"random_effect.user.max_label"})


BAD = [
    ("1 |user a b |c x", 3, "two features in the namespace of a random effect"),
    ("1 |c x |user a |d y |user b", 21, "two features in the namespace of a random effect"),
    ("1 |user :2 |c x", 3, "has no name"),
    ("0.5 |user a |c x", 0, "a logistic model takes the labels"),
    ("3 |c x", 0, "a logistic model takes the labels"),
]


@pytest.mark.parametrize(("text", "column", "reason"), BAD)
def test_lines_that_name_no_entity_or_no_class_are_skipped(text, column, reason, tmp_path, capsys, state):
    good = ["1 |user a |c x", "-1 |user b |c y"]
    words = ["--bayes_logistic", "--random_effect", "user"]
    models = []
    for lines in (good, [good[0], text, good[1]]):
        (tmp_path / "data.txt").write_text("".join(f"{one}\n" for one in lines))
        model = tmp_path / f"{len(lines)}.model"
        capsys.readouterr()
        assert main(["-d", str(tmp_path / "data.txt"), "-f", str(model), *words]) == 0
        models.append(arrays(model))
    told = capsys.readouterr().err
    assert models[0] == models[1]
    assert f"data.txt:2:{column + 1}: " in told
    assert reason in told
    assert "skipped malformed lines = 1 of 3" in told
    workspace = Workspace(words)
    workspace.learn(good)
    before = state(workspace)
    with pytest.raises(ParseError, match=reason):
        workspace.learn(text)
    assert state(workspace) == before


def test_entities_are_told_apart_by_whatever_name_they_have():
    names = ["a" * 10_000, "a" * 9_999 + "b", "ж", "日本", "x:text", "x", "1", "01", "user", "\udcff", "a^b"]
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed none {WIDE}")
    for i, name in enumerate(names):
        workspace.learn(f"{i + 1} |user {name} |c x")
    assert effect(workspace, "user").table.count == len(names)
    for i, name in enumerate(names):
        assert workspace.predict(f"|user {name}") == pytest.approx((i + 1) / 2)
    told = [name for name, _, _ in effect(workspace, "user").entities()]
    assert told == names


def test_the_value_of_an_entity_does_not_count():
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user:* --fixed none {WIDE}")
    workspace.learn("4 |user ann:7 |c x")
    assert workspace.predict("|user ann |c x") == pytest.approx(8 / 3)
    assert workspace.predict("|user ann:-2 |c x") == pytest.approx(8 / 3)
    assert workspace.predict("|user:3 ann |c x") == pytest.approx(8 / 3)


# Which features


def columns_of(workspace: Workspace, name: str, entity: str) -> set[int]:
    return set(effect(workspace, name).coefficients(key(name, entity)))


def test_an_effect_has_the_features_that_it_was_given():
    text = "1 |user u |item i |ctx a b |ad c"
    a, b, c = feature("a", "ctx"), feature("b", "ctx"), feature("c", "ad")
    for spec, columns in {
        "user": {CONSTANT},
        "user:ctx": {CONSTANT, a, b},
        "user:ctx,ad": {CONSTANT, a, b, c},
        "user:*": {CONSTANT, a, b, c},
    }.items():
        workspace = Workspace(["--bayes_linear", "--random_effect", spec, "--random_effect", "item", "--fixed", "same"])
        workspace.learn(text)
        assert columns_of(workspace, "user", "u") == columns
        assert columns_of(workspace, "item", "i") == {CONSTANT}
        # ids are no features of the fixed part
        assert set(workspace.bottom.coefficients()) == {CONSTANT, a, b, c}


def test_the_names_of_entities_never_leak_into_the_fixed_part():
    plain, mixed = (
        Workspace(WIDE),
        Workspace(f"--bayes_linear --random_effect user --random_effect item {WIDE} --freeze user --freeze item"),
    )
    for row in people(6, 50):
        text = line(row)
        bare = f"{text.partition('|')[0]}|c{text.rpartition('|c')[2]}"
        assert mixed.learn(text) == plain.learn(bare)
    assert mixed.bottom.columns()[1] == plain.bottom.columns()[1]


def test_the_namespace_of_an_entity_can_be_crossed_on_purpose():
    """-q uc: a slope for each user in the fixed part, and in no effect but that of all features."""
    workspace = Workspace(
        f"--bayes_linear --noise 1 --random_effect user:* --random_effect item -q uc --fixed same {WIDE}"
    )
    workspace.learn("3 |user u |item i |c x:2")
    crossed = (feature("u", "user") * 16777619 ^ feature("x", "c")) & 0xFFFFFFFF
    assert set(workspace.bottom.coefficients()) == {CONSTANT, feature("x", "c"), crossed}
    assert columns_of(workspace, "user", "u") == {CONSTANT, feature("x", "c"), crossed}
    assert columns_of(workspace, "item", "i") == {CONSTANT}


def test_without_a_fixed_part_there_is_only_the_offset():
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed none {WIDE}")
    assert workspace.learn("3 1 0.5 |user u |c x") == 0.5
    assert workspace.predict("0 1 0.5 |user u |c x") == pytest.approx(0.5 + 1.25)
    assert workspace.predict("0 1 0.5 |c x") == 0.5
    assert [learner.name for learner in walk(workspace.top)][-1] == "nothing"


# Options


def test_an_entity_has_no_model_before_it_was_seen_often_enough():
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user --fixed none --entity_min 3 {WIDE}")
    for n in range(1, 6):
        workspace.learn("2 |user u")
        assert workspace.predict("|user u") == pytest.approx(2 * n / (n + 1) if n >= 3 else 0)


def test_unknown_entities_get_the_mean_where_effects_shrink_to_it(fit):
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect user:c --fixed none --shrink mean {WIDE}")
    workspace.learn([line({**row, "o": 0.0}) for row in people(7, 100)])
    users = [f"u{k}" for k in range(6)]
    for column, text in ((CONSTANT, "|user new"), (feature("x0", "c"), "|user new |c x0:1")):
        average = np.mean([mean(workspace, "user", user, column) for user in users])
        base = workspace.predict("|user new") if column != CONSTANT else 0
        assert workspace.predict(text) - base == pytest.approx(average, abs=1e-5)
    # with sweeps: the minimum of the penalty around the mean
    rows = [{**row, "o": 0.0, "w": 1.0} for row in people(7, 100)]
    workspace = fit(
        [line(row) for row in rows],
        f"--square --random_effect user --fixed none --shrink mean --sweeps 400 --effect_l2 5 {WIDE}",
    )
    found = np.array([mean(workspace, "user", user) for user in users])
    counts = np.array([sum(row["user"] == user for row in rows) for user in users])
    sums = np.array([sum(row["y"] for row in rows if row["user"] == user) for user in users])
    np.testing.assert_allclose(found, (sums + 5 * found.mean()) / (counts + 5), atol=1e-4)


def test_examples_weigh_a_power_of_how_often_their_entities_came():
    rows = [{**row, "o": 0.0} for row in people(8, 80)]
    flags = f"--bayes_linear --noise 1 --random_effect user --random_effect item --fixed none {WIDE}"
    workspace = Workspace(f"{flags} --count_weight user=-0.5,item=0.25")
    counts: dict[str, int] = {}
    users: dict[str, Entity] = {}
    items: dict[str, Entity] = {}
    one = np.ones(1)
    total = 0.0
    for n, row in enumerate(rows, 1):
        for name in (row["user"], row["item"]):
            counts[name] = counts.get(name, 0) + 1
        weight = counts[row["user"]] ** -0.5 * counts[row["item"]] ** 0.25
        total += weight
        workspace.learn(line(row))
        user, item = users.setdefault(row["user"], Entity(1, 1)), items.setdefault(row["item"], Entity(1, 1))
        user.learn(one, row["y"], row["w"] * weight * n / total, item.m[0])
        item.learn(one, row["y"], row["w"] * weight * n / total, user.m[0])
    for name, entity in users.items():
        assert mean(workspace, "user", name) == pytest.approx(entity.m[0], abs=1e-4)
    for name, entity in items.items():
        assert mean(workspace, "item", name) == pytest.approx(entity.m[0], abs=1e-4)


def test_sweeps_weigh_examples_by_the_counts_of_the_whole_pass(fit):
    rows = [{**row, "o": 0.0} for row in people(8, 80)]
    flags = f"--square --random_effect user --random_effect item --fixed same --sweeps 150 {WIDE}"
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


@pytest.mark.parametrize("frozen", ["fixed", "user", "item"])
@pytest.mark.parametrize("more", ["", "--sweeps 3"])
def test_a_frozen_part_learns_nothing_while_the_others_do(frozen, more, tmp_path):
    lines = [line(row) for row in people(9, 60)]
    (tmp_path / "data.txt").write_text("".join(f"{text}\n" for text in lines))
    words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), "--quiet"]
    flags = "--bayes_linear --random_effect user --random_effect item --fixed same"
    assert main([*words, *flags.split()]) == 0
    before = arrays(tmp_path / "m")
    assert main([*words, "-i", str(tmp_path / "m"), "--freeze", frozen, *more.split()]) == 0
    after = arrays(tmp_path / "m")
    owners = {"fixed": "glm.", "user": "random_effect.user.", "item": "random_effect.item."}
    for part, owner in owners.items():
        content = {name for name in before if name.startswith(owner) and not name.endswith("_label")}
        same = all(before[name] == after[name] for name in content)
        assert same == (part == frozen), part


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--random_effect user", "needs a learner for the effects"),
        ("--bayes_linear --random_effect user:", "expected NAMESPACE"),
        ("--bayes_linear --random_effect :a", "expected NAMESPACE"),
        ("--bayes_linear --random_effect user:a,,b", "expected NAMESPACE"),
        ("--bayes_linear --random_effect user --random_effect user:a", "namespace of its own"),
        ("--bayes_linear --random_effect fixed", "namespace of its own"),
        ("--bayes_linear --random_effect user --effect_l2 0", "above 0"),
        ("--bayes_linear --random_effect user --effect_l2 nan", "not a number"),
        ("--bayes_linear --random_effect user --effect_l2 item=2", "no random effect 'item'"),
        ("--bayes_linear --random_effect user --count_weight item=2", "no random effect 'item'"),
        ("--bayes_linear --random_effect user --freeze item", "no such part"),
        ("--bayes_linear --random_effect user --entity_min -1", "entity_min"),
        ("--bayes_linear --random_effect user --sweeps 0", "sweeps"),
    ],
)
def test_options_that_make_no_sense_are_refused(words, reason):
    with pytest.raises(OptionError, match=reason):
        Workspace(words)


# Runs


KINDS = [
    "--bayes_logistic",
    "--bayes_logistic --posterior diagonal --forget 0.9",
    "--bayes_logistic --posterior identity --batch_size 10",
    "--bayes_logistic --batch_size 10 --forget 0.8 --shrink mean",
    "--bayes_logistic --posterior diagonal --batch_size 10 --forget 0.8",
    "--bayes_logistic --posterior diagonal --forget 0.5 --forget_time t",
    "--bayes_linear --posterior diagonal --entity_min 2 --count_weight user=-0.5",
    "--bayes_linear --batch_size 10 --fixed same --intercept_l2 0.01",
    "--bayes_linear --shrink mean --fixed none",
    "--logistic --batch_size 10",
    "--square --batch_size 3 --posterior diagonal",
]


def timed_lines(n: int, logistic: bool) -> list[str]:
    return [f"{line(row)} |t :{i // 3}" for i, row in enumerate(people(10, n, logistic))]


@pytest.mark.parametrize("flags", KINDS)
def test_two_runs_are_one_in_every_bit_and_so_are_threads_and_caches(flags, tmp_path):
    lines = timed_lines(150, "logistic" in flags)

    def run(some: list[str], *more: str, passes: int = 1) -> tuple[str, dict[str, Any]]:
        (tmp_path / "data.txt").write_text("".join(f"{text}\n" for text in some))
        words = ["-d", str(tmp_path / "data.txt"), "-p", str(tmp_path / "p"), "-f", str(tmp_path / "m"), "--quiet"]
        words += ["--random_effect", "user:c", "--random_effect", "item", *flags.split(), *more]
        words += ["--passes", str(passes), "--holdout_off"] if passes > 1 else []
        assert main(words) == 0
        return (tmp_path / "p").read_text(), arrays(tmp_path / "m")

    whole = run(lines)
    assert run(lines, "--onethread") == whole
    for cut in (7, 90):
        head, _ = run(lines[:cut])
        (tmp_path / "m").rename(tmp_path / "first")
        tail, model = run(lines[cut:], "-i", str(tmp_path / "first"))
        assert (head + tail, model) == whole
    twice = run([*lines, *lines])
    assert run(lines, passes=2) == twice
    assert run(lines, "--cache_file", str(tmp_path / "c"), passes=2) == twice
    assert (tmp_path / "c").exists()
    assert run(lines, "--cache_file", str(tmp_path / "c"), passes=2) == twice
    loaded = Workspace.load(tmp_path / "m")
    loaded.save(tmp_path / "again")
    assert arrays(tmp_path / "again") == twice[1]


def test_examples_that_wait_for_their_batch_are_in_the_model(tmp_path):
    lines = [line(row) for row in people(11, 40)]
    first = Workspace("--bayes_linear --random_effect user:* --batch_size 30")
    first.learn(lines)
    first.save(tmp_path / "m")
    waiting = memoryview(arrays(tmp_path / "m")["random_effect.user.waiting"][2]).cast("I").tolist()
    assert sum(waiting) == 40
    assert Workspace.load(tmp_path / "m").predict(lines) == first.predict(lines)


def test_a_signal_during_a_run_with_sweeps_leaves_a_model_that_loads(tmp_path):
    rows = people(12, 200)
    (tmp_path / "data.txt").write_text("".join(f"{line(row)}\n" for row in rows))
    code = (
        "import os, signal, threading, sys\n"
        "from vwlite.cli import main\n"
        "threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), "--quiet", "--square", "--sweeps", "10000000"]
    words += ["--random_effect", "user:*", "--random_effect", "item:*", "--fixed", "same"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 128 + 15, done.stderr
    assert "Traceback" not in done.stderr
    workspace = Workspace.load(tmp_path / "m")
    assert workspace.predict(line(rows[0])) != workspace.predict(line({**rows[0], "user": "new"}))


EXTREMES = st.sampled_from(
    ["1", "-2.5", "1e20", "-1e20", "3e38", "-3e38", "1e-38", "1e-45", "-1e-40", "0", "1e10", "1e-10", "16777217"]
)


@st.composite
def extreme_lines(draw: Any, logistic: bool) -> str:
    label = draw(st.sampled_from(["1", "-1"])) if logistic else draw(EXTREMES)
    weight = draw(st.sampled_from(["1", "1e30", "3e38", "1e-38", "1e-45", "0"]))
    words = " ".join(f"{name}:{draw(EXTREMES)}" for name in draw(st.lists(st.sampled_from("pqr"), max_size=4)))
    user = draw(st.sampled_from(["|user a ", "|user b ", ""]))
    return f"{label} {weight} {draw(EXTREMES)} {user}|c {words} |t :{draw(EXTREMES)}"


@pytest.mark.parametrize(
    "flags",
    [
        "--bayes_logistic",
        "--bayes_linear",
        "--bayes_linear --posterior diagonal --forget 0.5 --forget_time t",
        "--bayes_logistic --forget 0.5 --forget_time t --batch_size 2",
        "--bayes_logistic --posterior diagonal --batch_size 2 --forget 0.9",
        "--bayes_linear --batch_size 2 --fixed same",
        "--bayes_logistic --moments --fixed same",
        "--bayes_linear --shrink mean --effect_l2 auto",
        "--bayes_logistic --batch_size 3 --effect_l2 auto --posterior identity",
        "--square --sweeps 2",
        "--logistic --sweeps 2 --fixed same --effect_l2 auto",
        "--bayes_linear --count_weight user=300",
        "--bayes_linear --count_weight user=-300 --sweeps 1",
    ],
)
@settings(max_examples=60)
@given(data=st.data())
def test_numbers_at_the_ends_of_float32_never_make_a_model_that_is_not_finite(flags, data):
    workspace = Workspace(f"--random_effect user:* {flags}")
    lines = data.draw(st.lists(extreme_lines("logistic" in flags), min_size=1, max_size=8))
    assert all(map(math.isfinite, workspace.learn(lines)))
    workspace.end_pass()
    assert all(map(math.isfinite, workspace.predict(lines)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m")
        workspace.save(path)
        for name, (dtype, _, content) in arrays(path).items():
            if dtype in ("F32", "F64"):
                assert all(map(math.isfinite, memoryview(content).cast(CODES[dtype]))), name
        assert Workspace.load(path).predict(lines) == workspace.predict(lines)


# Damaged models


def damaged(model: Path, change: Any) -> None:
    """The model with other arrays, and digests that fit them."""
    reader = model_file.open(model)
    content = arrays(model)
    change(content)
    metadata = {name: value for name, value in reader.metadata.items() if name not in ("digests", "format_version")}
    model_file.write(model, content, metadata)


FIELDS = (
    "key", "coefficients", "name_length", "waiting", "count", "clock", "prior", "spread", "name", "hash", "mean",
    "precision", "coefficient_clock", "waiting_example", "waiting_n", "waiting_feature",
)  # fmt: skip
SIZES = {"U8": 1, "U32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}
TRAIN = [
    ("--bayes_logistic --posterior diagonal --forget 0.9 --batch_size 4", ("name", "waiting_feature")),
    ("--bayes_logistic --shrink mean", ()),
]


@pytest.fixture(params=[text for text, _ in TRAIN])
def model(request, tmp_path):
    workspace = Workspace(f"{request.param} --random_effect user:c --fixed none")
    workspace.learn([line(row) for row in people(13, 33, logistic=True)])
    workspace.save(tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("cut", ["shorter", "longer", "empty"])
def test_tables_of_the_wrong_length_are_refused(field, cut, model):
    name = f"random_effect.user.{field}"

    def change(content: dict[str, Any]) -> None:
        dtype, _, data = content[name]
        size = SIZES[dtype]
        data = {"shorter": data[:-size], "longer": data + b"\1" * size, "empty": b""}[cut]
        content[name] = (dtype, [len(data) // size], data)

    before = arrays(model)[name]
    if not before[2] and cut != "longer":
        return  # nothing to take away
    damaged(model, change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(model)


INSANE: dict[str, list[float]] = {
    "coefficients": [0xFFFFFFFF, 1 << 20],
    "name_length": [0xFFFFFFFF],
    "waiting": [0xFFFFFFFF, 5],
    "count": [-1],
    "clock": [math.nan, math.inf],
    "prior": [math.nan, math.inf, 0.0, -1.0],
    "spread": [math.nan, math.inf],
    "mean": [math.nan, -math.inf],
    "precision": [math.nan, math.inf, -1e6],
    "coefficient_clock": [math.nan, math.inf],
    "waiting_example": [math.nan, math.inf],
    "waiting_n": [0xFFFFFFFF],
    "waiting_feature": [],
}
CODES: dict[str, Any] = {"U8": "B", "U32": "I", "U64": "Q", "I64": "q", "F32": "f", "F64": "d"}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in INSANE for value in INSANE[field]])
def test_tables_of_numbers_that_make_no_sense_are_refused(field, value, model):
    name = f"random_effect.user.{field}"
    if not arrays(model)[name][2]:
        return

    def change(content: dict[str, Any]) -> None:
        dtype, shape, data = content[name]
        room = bytearray(data)
        memoryview(room).cast(CODES[dtype])[0] = value
        content[name] = (dtype, shape, bytes(room))

    damaged(model, change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(model)


def test_a_model_with_one_entity_twice_is_refused(model):
    def change(content: dict[str, Any]) -> None:
        dtype, shape, data = content["random_effect.user.key"]
        content["random_effect.user.key"] = (dtype, shape, data[:8] + data[:8] + data[16:])

    damaged(model, change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(model)


def test_a_model_without_the_mean_of_its_effects_is_refused(tmp_path):
    workspace = Workspace("--bayes_linear --shrink mean --random_effect user --fixed none")
    workspace.learn("1 |user a")
    workspace.save(tmp_path / "m")

    def change(content: dict[str, Any]) -> None:
        for name, (dtype, _, _) in content.items():
            if ".mean." in name:
                content[name] = (dtype, [0], b"")

    damaged(tmp_path / "m", change)
    with pytest.raises(ModelError, match="can't be restored"):
        Workspace.load(tmp_path / "m")
