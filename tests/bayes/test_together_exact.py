"""random_effect: lines of unusual shapes against the exact posterior of a linear mixed model."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.effects import WIDE
from vwlite import Workspace

Vector = NDArray[np.float64]


def posterior(x: Vector, y: Vector, prior: Vector) -> tuple[Vector, Vector]:
    """Mean and covariance of coefficients with this prior precision, noise 1."""
    covariance = np.linalg.inv(x.T @ x + np.diag(prior))
    return np.asarray(covariance @ x.T @ y), np.asarray(covariance)


@pytest.mark.parametrize("words", [1, 2])
def test_an_intercept_that_only_the_entities_have_is_seen_beside_the_fixed_part(words):
    """Of `--noconstant` the example has no more features than the entity, and still others."""
    source = np.random.default_rng(4)
    who, x = source.integers(0, 4, 40), np.round(source.normal(1, 1, (40, words)), 2)
    y = np.round(x.sum(1) + who + source.normal(size=40), 2)
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect u --effect_l2 0.5 --noconstant {WIDE} "
                          "--columns score,sd")  # fmt: skip
    said = [" ".join(f"x{k}:{value}" for k, value in enumerate(row)) for row in x]
    workspace.learn([f"{label} |u u{user} |f {text}" for label, user, text in zip(y, who, said, strict=True)])
    design = np.hstack([x, np.eye(4)[who]])
    mean, covariance = posterior(design, y, np.array([1e-10] * words + [0.5] * 4))
    for user, text, row in zip(who, said, design, strict=True):
        for line, exact in ((f"|u u{user} |f {text}", row), (f"|f {text}", np.append(row[:words], [0] * 4))):
            expected = exact @ mean, np.sqrt(exact @ covariance @ exact)
            assert workspace.predict(line) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("effect", ["", "--random_effect u:f"])
@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_a_feature_that_is_repeated_is_as_unknown_as_its_sum(effect, posterior):
    workspace = Workspace(f"--bayes_linear --noise 1 {effect} --l2 1 --posterior {posterior} {WIDE} --columns score,sd")
    workspace.learn(["1 |u ann |f b:2", "2 |u bob |f c"])
    for name in ("|u ann ", "|u new ", ""):
        once = workspace.predict(f"{name}|f a:5 d:2 c")
        assert workspace.predict(f"{name}|f a:2 d:2 a:2 c:2 a c:-1") == pytest.approx(once)


def test_a_fixed_part_that_went_diagonal_keeps_no_matrix_beside_it(tmp_path):
    """What it is worked out anew from grew with the square of the features until the next power of two of examples."""
    workspace = Workspace("--bayes_linear --random_effect u --noise 1")
    workspace.learn([f"{i % 7} |u u{i % 5}" for i in range(20)])
    with pytest.warns(RuntimeWarning, match="more than 512 coefficients"):
        workspace.learn(f"1 |u u1 |f {' '.join(f'f{k}' for k in range(1000))}")
    workspace.save(tmp_path / "m")
    assert (tmp_path / "m").stat().st_size < 500_000


@pytest.mark.parametrize("first", ["0.0000000005", "0.00000005", "0.5"])
@pytest.mark.parametrize("more", ["", "|g age:34"])
def test_two_effects_take_nothing_of_what_a_flat_fixed_part_explains(first, more):
    """They moved as if the fixed part were certain, and followed it by less than that once it had moved."""
    workspace = Workspace(f"--bayes_linear --noise 1 --random_effect u --random_effect i --effect_l2 1 {WIDE}")
    lines = [f"-2 |u ann |i up |f x:{first} {more}", f"1.4 |u bob |i her |f x:-0.75 {more}"]
    workspace.learn(lines)
    assert workspace.predict([line.partition(" ")[2] for line in lines]) == pytest.approx([-2, 1.4], abs=1e-3)


def test_two_effects_sorted_by_one_whose_entities_have_a_constant_feature():
    """With the second age the population went 45 standard deviations away."""
    source = np.random.default_rng(280)
    ages, items = np.round(source.normal(40, 10, 5), 1), source.normal(0, 3, 60)
    who, item, x = np.repeat(np.arange(5), 120), source.integers(0, 60, 600), np.round(source.normal(30, 1, 600), 3)
    y = np.round(0.05 * ages[who] - 0.7 * (x - 30) + items[item] + source.normal(0, 1, 600), 3)
    workspace = Workspace(
        f"--bayes_linear --noise 1 --random_effect u --random_effect i --effect_l2 u=10,i=0.11 {WIDE}"
    )
    rows = list(zip(y, who, item, x, strict=True))
    workspace.learn([f"{row[0]} |u u{row[1]} |i i{row[2]} |f x:{row[3]} age:{ages[row[1]]}" for row in rows])
    fixed = np.column_stack([x, ages[who], np.ones(600)])
    design = np.hstack([fixed, np.eye(5)[who], np.eye(60)[item]])
    mean, covariance = posterior(design, y, np.array([1e-8] * 3 + [10.0] * 5 + [0.11] * 60))
    for k in range(0, 600, 29):
        row = design[k] * ([1, 1, 1] + [0] * 65)
        said = f"|f x:{x[k]} age:{ages[who[k]]}"
        assert abs(workspace.predict(said) - row @ mean) < 1.5 * np.sqrt(row @ covariance @ row)
        known = f"|u u{who[k]} |i i{item[k]} {said}"
        assert abs(workspace.predict(known) - design[k] @ mean) < np.sqrt(design[k] @ covariance @ design[k])


@pytest.mark.parametrize("unit", [1e-6, 1, 1e6])
def test_a_small_first_value_of_a_slope_leaves_logistic_entities_in_bounds(unit):
    """The first entities' slopes were learned as if all values were that small, and the variance that is estimated ran
    away with them: scores of -10,000,000."""
    for seed in range(4):
        source = np.random.default_rng(seed)
        first, second = source.integers(0, 2, 300), source.integers(0, 6, 300)
        x, level = np.round(source.normal(0, 1, 300), 4), source.normal(0, 3, 6)
        x[:2] = 0.0175, 0.03
        y = np.where(source.random(300) < 1 / (1 + np.exp(-level[second] - x)), 1, -1)
        workspace = Workspace(f"--bayes_logistic --random_effect u:f --random_effect i:f {WIDE}")
        said = [f"|u u{a} |i i{b} |f x:{value * unit:.6g}" for a, b, value in zip(first, second, x, strict=True)]
        workspace.learn([f"{label} {text}" for label, text in zip(y, said, strict=True)])
        assert np.abs(workspace.predict(said)).max() < 60


def test_two_users_of_nearly_the_same_age_leave_known_what_is_known():
    """What the data say of such a direction is beyond the digits in which the precision is worked out anew: it became
    negative there, standard deviations grew a thousandfold, and scores went with them."""
    source = np.random.default_rng(1)
    ages = [45.431, 45.319, 37.122, 33.356, 53.527]
    who, item = np.repeat(np.arange(5), 20), np.repeat(np.arange(10), 10)
    x = np.round(source.normal(30, 1, 100), 4)
    y = np.round(source.normal(0, 1, 100) - 0.7 * (x - 30) + 0.05 * np.array(ages)[who], 4)
    said = [
        f"|u u{a} |i i{b} |f x:{value} d:{2 * value:.7g} age:{ages[a]}"
        for a, b, value in zip(who, item, x, strict=True)
    ]
    workspace = Workspace(f"--bayes_linear --random_effect u --random_effect i {WIDE} --columns score,sd")
    for k, (label, text) in enumerate(zip(y, said, strict=True)):
        workspace.learn(f"{label} {text}")
        score, sd = workspace.predict(text)
        assert abs(score - label) < 10
        assert k < 16 or sd < 3


def test_a_flat_prior_is_held_in_batches_too():
    """Four examples of one class beside a flat prior: 10^30 some batches later."""
    source = np.random.default_rng(113)
    who, x = source.integers(0, 60, 60), np.round(source.normal(30, 1, 60), 3)
    y = np.where(source.random(60) < 0.3, 1, -1)
    y[:4] = -1
    said = [f"|u u{a} |i i |f x:{value} age:{20 + a}" for a, value in zip(who, x, strict=True)]
    workspace = Workspace(f"--bayes_logistic --random_effect u --random_effect i --batch_size 4 {WIDE}")
    for label, text in zip(y, said, strict=True):
        workspace.learn(f"{label} {text}")
        assert np.abs(workspace.predict(said)).max() < 60
