"""Updates of several weight vectors at once are those of one after the other, bit for bit: the hook multiupdate."""

import random
from typing import Any

import pytest

import vwlite
from tests.support.reductions import Through, variant
from vwlite import Option, Workspace
from vwlite.core.learner import walk
from vwlite.engine import plugins

RULES = [
    "",
    *(" ".join(rules) for rules in (["--sgd"], ["--adaptive"], ["--normalized"], ["--invariant"])),
    "--adaptive --normalized",
    "--adaptive --invariant",
    "--normalized --invariant",
    "--adaptive --normalized --invariant",
]
OTHERS = [
    "--l1 1e-4",
    "--l2 1e-4",
    "--sparse_l2 1e-3",
    "--power_t 0.3",
    "--initial_t 2 -C 0.5",
    "--initial_weight 0.1 -q ab",
    "--noconstant --min_prediction -0.3 --max_prediction 0.5",
    "--link logistic",
    "--offset_scale 0.5",
    "--offset_scale fit",
]
LOSSES = ["squared", "classic", "logistic", "hinge", "quantile", "expectile --expectile_q 0.3"]


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch):
    """--single: a reduction upon gd with an update of its own, to which all weight vectors come one after the other."""
    monkeypatch.setattr(plugins, "_known", {})
    options = (Option("single", bool, "one by one", necessary=True, keep=True),)
    vwlite.register(variant(Through, name="single", options=options, holds_vectors=True, below="scorer"))


def lines(classes: int, first: int = 1) -> list[str]:
    """Examples with large and small values, weights, and features that come twice."""
    source = random.Random(classes)
    made = []
    for i in range(150):
        words = [
            f"x{source.randrange(9)}:{source.uniform(-2, 2) * 10 ** source.randrange(-3, 4):.4g}" for _ in range(i % 8)
        ]
        label = f"{source.randrange(classes) + first} {source.choice([1, 1, 0.5, 3, 0])}"
        made.append(f"{label} |a {' '.join(words)} |b y{i % 5} y1 y1:2")
    return made


def same(flags: str, examples: list[str], state: Any) -> None:
    together, single = Workspace(flags), Workspace(f"{flags} --single")
    assert together.learn(examples) == single.learn(examples)
    assert together.predict(examples) == single.predict(examples)
    assert state(together) == state(single)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rules", RULES)
def test_under_each_rule_and_loss(rules, loss, state):
    same(f"--oaa 7 -b 9 --loss_function {loss} {rules}", lines(7), state)


@pytest.mark.parametrize("bits", [2, 4, 9])
@pytest.mark.parametrize("classes", [3, 4, 5, 8, 9, 17])
def test_four_vectors_at_a_time_and_eight(classes, bits, state):
    """And with tables that have fewer slots than a feature has vectors."""
    flags, examples = f"--oaa {classes} -b {bits}", lines(classes)
    eight, four = Workspace(flags), Workspace(flags)
    for learner in walk(four.top):
        if learner.has_slots:
            learner.wide = False
    assert eight.learn(examples) == four.learn(examples)
    assert eight.predict(examples) == four.predict(examples)
    assert state(eight) == state(four)
    same(flags, examples, state)


@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("rules", ["", "--adaptive --normalized", "--sgd"])
def test_with_what_else_changes_updates(others, rules, state):
    same(f"--oaa 7 -b 9 {others} {rules}", lines(7), state)


@pytest.mark.parametrize("learner", ["--ftrl", "--pistol", "--coin"])
def test_of_learners_without_updates_of_several(learner, state):
    same(f"--oaa 7 -b 9 {learner}", lines(7), state)


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6, 8, 9, 16, 17])
@pytest.mark.parametrize("bits", [1, 3, 4, 5, 12])
def test_of_any_number_of_classes_in_any_table(classes, bits, state):
    """Where the table is smaller than the weight vectors of a feature, they share slots, and their order matters."""
    same(f"--oaa {classes} -b {bits}", lines(classes), state)


def test_with_classes_whose_vectors_are_in_another_order(state):
    same("--oaa 6 -b 9", lines(6)[:1] + lines(6, 0), state)


def test_of_several_classes_that_hold(state):
    source = random.Random(1)
    examples = [f"{source.randrange(6)},{6} |a x{i % 5} y{i % 7}:0.3" for i in range(60)]
    same("--multilabel_oaa 7 -b 9", examples, state)
    same("--multilabel_oaa 7 -b 9 --loss_function logistic --link logistic", examples, state)


@pytest.mark.parametrize("classes", [9, 65, 100])
@pytest.mark.parametrize("others", ["", "-l 1e-9", "-l 1e6", "-l 1e35", "--max_prediction 0.9"])
def test_of_more_vectors_than_are_computed_side_by_side(classes, others, state):
    """With steps so small that the plain update is taken, and so large that e^-x is 0 or that nothing is finite."""
    same(f"--oaa {classes} -b 12 {others}", lines(classes), state)
