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
