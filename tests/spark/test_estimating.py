"""The ridge that all entities share: the same for any number of shares, and near that of one process and the truth."""

import json

import numpy as np
import pyarrow as pa
import pytest

from vwlite import Workspace, tables
from vwlite.engine.library_flags import words_of
from vwlite.spark.estimating import estimate, given, spread_of


def rows(logistic, users=400, n=12_000):
    g = np.random.default_rng(3)
    user, x = g.integers(0, users, n), np.round(g.normal(size=n), 3)
    score = g.normal(0, 0.7, users)[user] + g.normal(0, 0.7, users)[user] * x
    y = np.where(g.random(n) < 1 / (1 + np.exp(-score)), 1.0, -1.0) if logistic else score + 0.5 * g.normal(size=n)
    return pa.table({"user": [f"u{i}" for i in user], "x": x, "y": y})


def runner(table, n):
    share = tables.shares(table["user"], n)
    parts = [table.filter(pa.array(share == k)).to_batches() for k in range(n)]

    def run(flags):
        found = []
        for part in parts:
            batches = list(tables.learn(flags, part, label="y", columns="user:entity x:number@c"))
            spread, dof = spread_of(batches, float(words_of(flags)[-1]), 0.0)
            head = batches[-1].schema.metadata[b"vwlite.entities"].decode()
            found.append({"head": head, "spread": spread, "dof": dof})
        return found

    return run


@pytest.mark.parametrize(
    ("flags", "truth", "exact"),
    [
        ("--random_effect user:c --bayes_linear", 0.25 / 0.49, False),
        ("--random_effect user:c --square", 0.25 / 0.49, False),
        ("--random_effect user:c --bayes_logistic", 1 / 0.49, False),
        ("--random_effect user:c --bayes_logistic --posterior diagonal", 1 / 0.49, False),
        ("--random_effect user --square", None, True),
    ],
)
def test_the_ridge_is_that_of_all_entities(flags, truth, exact):
    flags += " --fixed none --shrink zero"
    table = rows("logistic" in flags)
    found = [float(estimate(flags, runner(table, n)).split()[-1]) for n in (1, 5)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    if truth is not None:
        assert found[0] == pytest.approx(truth, rel=0.15)
    if exact:  # one process maximises the restricted likelihood
        workspace = Workspace(flags)
        workspace.learn(table, y="y", columns="user:entity x:number@c")
        workspace.end_pass()
        head = json.loads(pa.table(workspace.entities("user")).schema.metadata[b"vwlite.entities"])
        (ridge,) = head["sums"]["random_effect.user.prior_precision"][1]
        assert found[0] == pytest.approx(ridge, rel=0.005)


def test_a_ridge_replaces_the_one_of_the_flags():
    assert given("--square --effect_l2 auto --noise 1", 2.5) == "--square --noise 1 --effect_l2 2.5"
    assert given("--square --effect_l2=auto", 2.5) == "--square --effect_l2 2.5"
    assert given("--square", 2.5) == "--square --effect_l2 2.5"
