"""random_effect: another unit of a feature or of the label changes no prediction."""

import random

import numpy as np
import pytest

from vwlite import Workspace

WIDE = "--min_prediction -1e30 --max_prediction 1e30"
EFFECTS = "--random_effect user:c --random_effect item"
KINDS = ["", "--fixed none", "--posterior diagonal", "--forget 0.99", "--posterior diagonal --forget 0.99"]
UNITS = [1e-6, 1e3, 86400, 1e9]


def lines(n: int, logistic: bool, unit: float = 1, label: float = 1) -> list[str]:
    """Users differ in their level and slope over days, some of which are not told."""
    source = random.Random(5)
    people = {f"u{k}": (source.gauss(0, 1), source.gauss(0, 0.3)) for k in range(12)}
    found = []
    for _ in range(n):
        user = source.choice(list(people))
        days = source.choice([0, 0.5, 1, 3, 5, 9])
        level, slope = people[user]
        score = 1 + level + (slope - 0.4) * days
        y = (1 if score + source.gauss(0, 1) > 0 else -1) if logistic else label * (4 + score + source.gauss(0, 0.5))
        found.append(f"{y!r} |user {user} |item i{source.randrange(5)} |c days:{days * unit!r}")
    return found


@pytest.mark.parametrize("flags", KINDS)
@pytest.mark.parametrize("kind", ["--bayes_linear", "--bayes_logistic"])
def test_the_unit_of_a_feature_changes_no_prediction(kind, flags):
    def predictions(unit: float) -> np.ndarray:
        workspace = Workspace(f"{kind} {EFFECTS} {flags} {WIDE} --columns score,fixed,user,item,sd")
        text = lines(250, kind == "--bayes_logistic", unit)
        return np.array([*workspace.learn(text), *workspace.predict(text)])

    expected = predictions(1)
    assert np.abs(expected[250:, 2]).max() > 0.3  # users are told apart
    for unit in UNITS:
        np.testing.assert_allclose(predictions(unit), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("flags", KINDS)
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_label_is_that_of_predictions(flags, unit):
    def predictions(unit: float) -> np.ndarray:
        workspace = Workspace(f"--bayes_linear {EFFECTS} {flags} {WIDE} --columns score,user,item")
        text = lines(250, False, label=unit)
        return np.array([*workspace.learn(text), *workspace.predict(text)]) / unit

    np.testing.assert_allclose(predictions(unit), predictions(1), rtol=1e-5, atol=1e-5)


def test_the_fixed_part_is_not_shrunk():
    """Its prior is flat: far from 0 it is where least squares are, after as many examples as it has coefficients."""
    workspace = Workspace(f"--bayes_linear --random_effect user {WIDE} --columns fixed")
    workspace.learn([f"{1e6 + 7 * x} |user u{x} |c x:{x}" for x in range(2, 5)])
    assert workspace.predict("|c x:10")[0] == pytest.approx(1e6 + 70, rel=1e-6)
    shrunk = Workspace(f"--bayes_linear --random_effect user --l2 1 {WIDE} --columns fixed")
    shrunk.learn([f"{1e6 + 7 * x} |user u{x} |c x:{x}" for x in range(2, 5)])
    assert shrunk.predict("|c x:0")[0] < 5e5
