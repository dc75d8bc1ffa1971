"""The variance of the prior, estimated one example at a time, by effective degrees of freedom (MacKay 1992)."""

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.effects import Vector, effect
from tests.support.models import Arrays, arrays
from vwlite import Workspace
from vwlite.cli import main

DATA = Path(__file__).parent.parent / "data"
SD = 0.5


def people(kind: str, users: int, n: int, columns: int) -> list[tuple[int, str]]:
    """(user, line) of users whose level and coefficients have the standard deviation SD."""
    source = random.Random(11)
    known = [[source.gauss(0, SD) for _ in range(columns + 1)] for _ in range(users)]
    found = []
    for _ in range(n):
        user = source.randrange(users)
        x = [round(source.gauss(0, 1), 3) for _ in range(columns)]
        score = 0.3 + known[user][0] + sum(map(float.__mul__, known[user][1:], x))
        label = score + source.gauss(0, 1)
        if kind == "logistic":
            label = math.copysign(1, source.random() - 1 / (1 + math.exp(score)))
        words = " ".join(f"x{k}:{value}" for k, value in enumerate(x))
        found.append((user, f"{label:.4f} |user u{user} |c {words}"))
    return found


def estimate(workspace: Workspace) -> float:
    """The estimated standard deviation."""
    return float(effect(workspace, "user").metrics()["random_effect.user sd"])


@pytest.mark.parametrize(("kind", "shape"), [("linear", (600, 1800, 10)), ("logistic", (10, 500, 64))])
def test_where_entities_have_fewer_examples_than_coefficients_the_estimate_is_near_the_truth_in_any_order(kind, shape):
    """Sums of m^2 + Var kept variances of first estimates: 0.13 to 0.26 of a linear model, 0.8 to 3.8 of the other."""
    rows = people(kind, *shape)
    for order in (rows, sorted(rows), rows[::-1]):
        workspace = Workspace(f"--bayes_{kind} --random_effect user:c")
        workspace.learn([line for _, line in order])
        assert estimate(workspace) == pytest.approx(SD, rel=0.4)


# what is summed


def numbers(found: Arrays, name: str, dtype: str = "<f8") -> Any:
    return np.frombuffer(found[f"random_effect.user.{name}"][2], dtype)


def precision_of(found: Arrays, at: int) -> tuple[slice, Vector]:
    """The coefficients of the entity in place `at`, and the data's precision."""
    sizes = numbers(found, "coefficients", "<u4").astype(int)
    packed = sizes * (sizes + 1) // 2
    begin, d = packed[:at].sum(), sizes[at]
    lower = np.zeros((d, d))
    lower[np.tril_indices(d)] = numbers(found, "precision")[begin : begin + packed[at]]
    return slice(sizes[:at].sum(), sizes[:at].sum() + d), lower + np.tril(lower, -1).T


@pytest.mark.parametrize("kind", ["--bayes_linear --noise 0.5", "--bayes_logistic"])
def test_the_estimate_is_that_of_dense_algebra(kind, tmp_path):
    workspace = Workspace(f"{kind} --random_effect user:c --fixed none --shrink zero")
    for i in range(12):
        workspace.learn(f"{1 if i % 5 else -1} |user u{i % 3} |c a{i % 2} b{i % 4}")
        workspace.save(tmp_path / "model")
        found = arrays(tmp_path / "model")
        place, data = precision_of(found, i % 3)
        ridge = numbers(found, "prior")[i % 3]
        variances = np.diag(np.linalg.inv(data + ridge * np.eye(len(data))))
        assert numbers(found, "dof")[i % 3] == pytest.approx((1 - ridge * variances).sum())
        assert numbers(found, "spread")[i % 3] == pytest.approx((numbers(found, "mean")[place] ** 2).sum())
        noise = 0.5 if "linear" in kind else 1
        variance = (numbers(found, "spread").sum() + noise) / (numbers(found, "dof").sum() + 1)
        assert numbers(found, "l2")[0] == pytest.approx(noise / variance, rel=0.0051)


@pytest.mark.parametrize("posterior", ["full", "diagonal", "identity"])
@pytest.mark.parametrize(
    "flags", ["--bayes_linear", "--bayes_logistic", "--bayes_logistic --forget 0.9 --batch_size 3"]
)
def test_degrees_of_freedom_are_between_0_and_the_number_of_coefficients(flags, posterior, tmp_path):
    source = random.Random(3)
    workspace = Workspace(f"{flags} --random_effect user:c --posterior {posterior}")
    for i in range(300):
        words = " ".join(
            f"x{source.randrange(90)}:{source.gauss(0, 1) * 10.0 ** source.randrange(-3, 3):.6g}" for _ in "abc"
        )
        workspace.learn(f"{source.choice((-1, 1))} |user u{source.randrange(4) if i % 2 else i} |c {words}")
    workspace.save(tmp_path / "model")
    found = arrays(tmp_path / "model")
    dofs = numbers(found, "dof")
    assert (dofs >= 0).all()
    assert (dofs <= numbers(found, "coefficients", "<u4")).all()
    assert numbers(found, "dof_sum")[0] == pytest.approx(dofs.sum(), abs=1e-9)
    assert 1e-9 <= numbers(found, "l2")[0] <= 1e9


def test_a_fit_counts_all_entities_for_the_examples_that_follow(tmp_path):
    rows = people("linear", 100, 3000, 2)
    workspace = Workspace("--bayes_linear --random_effect user:c --posterior diagonal --sweeps 5")
    workspace.learn([line for _, line in rows])
    workspace.end_pass()
    workspace.save(tmp_path / "model")
    assert numbers(arrays(tmp_path / "model"), "dof").sum() > 200
    later = Workspace.load(tmp_path / "model")
    later.learn([line for _, line in rows[:20]])
    assert estimate(later) == pytest.approx(estimate(workspace), rel=0.05)


# models of before


@pytest.fixture
def old(tmp_path) -> Path:
    """Copies of models that were saved without degrees of freedom."""
    for name in ("estimated_1.model", "estimated_1_limited.model", "estimated_1_limited.model.entities"):
        shutil.copy(DATA / name, tmp_path)
    return tmp_path


WANTED = json.loads((DATA / "estimated_1.json").read_text())
OLD = ("estimated_1.model", "estimated_1_limited.model")
LIMITS = ("", "--entity_limit 2")


@pytest.mark.parametrize("name", OLD)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_model_without_degrees_of_freedom_predicts_as_it_did(name, limit, old):
    workspace = Workspace.load(old / name, f"--columns prediction,sd {limit}")
    assert [list(each) for each in workspace.predict(WANTED["probe"])] == WANTED["before"]


def test_a_model_without_degrees_of_freedom_learns_the_same_with_and_without_a_limit(old):
    found = []
    for name in OLD:
        for limit in LIMITS:
            workspace = Workspace.load(old / name, f"--columns prediction,sd {limit}")
            workspace.learn(WANTED["more"])
            found.append([workspace.predict(WANTED["probe"]), estimate(workspace)])
    assert found[1:] == found[:-1]


@pytest.mark.parametrize("name", OLD)
def test_what_only_predicts_does_not_go_through_all_entities_of_a_model_without_degrees_of_freedom(name, old):
    workspace = Workspace.load(old / name, "-t" + (" --entity_limit 2" if "limited" in name else ""))
    workspace.predict(WANTED["probe"])
    workspace.save(old / "again")
    assert numbers(arrays(old / "again"), "dof_sum")[0] == -1


@pytest.mark.parametrize("name", OLD)
def test_a_model_without_degrees_of_freedom_goes_on_the_same_in_one_run_and_in_three(name, old):
    limit = "--entity_limit 2" if "limited" in name else ""
    whole = Workspace.load(old / name, f"--columns prediction,sd {limit}")
    whole.learn(WANTED["more"])
    whole.save(old / "whole")
    path = old / name
    for i, part in enumerate((WANTED["more"][:0], WANTED["more"][:7], WANTED["more"][7:])):
        workspace = Workspace.load(path, f"--columns prediction,sd {limit}")
        workspace.predict(WANTED["probe"])
        workspace.learn(part)
        path = old / f"part{i}"
        workspace.save(path)
    assert workspace.predict(WANTED["probe"]) == whole.predict(WANTED["probe"])
    assert arrays(path)["random_effect.user.dof_sum"] == arrays(old / "whole")["random_effect.user.dof_sum"]


def test_the_estimate_of_a_model_without_degrees_of_freedom_soon_is_that_of_a_new_one(old):
    workspace, new = Workspace.load(old / OLD[0]), Workspace(WANTED["flags"])
    new.learn(WANTED["train"] + WANTED["more"])
    workspace.learn(WANTED["more"])
    assert estimate(workspace) == pytest.approx(estimate(new), rel=0.15)


def test_a_store_without_degrees_of_freedom_can_be_inspected(old, capsys):
    assert main(["inspect", str(old / OLD[1])]) == 0
    assert "u3" in capsys.readouterr().out
