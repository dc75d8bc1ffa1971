"""Which of several jointly normal scores is best, against brute force and exact probabilities."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from vwlite.core.joint import JointScores


def scores(means: Any, factors: Any) -> JointScores:
    """Scores with these means, and rows of factors of independent normals."""
    joint = JointScores()
    for mean, row in zip(means, factors, strict=True):
        joint.begin_score(float(mean), [(int(key), float(value)) for key, value in enumerate(row)])
    return joint


def brute(means: Any, covariance: Any, width: float = 1, n: int = 400_000) -> Any:
    """The shares of draws in which each is best."""
    draws = np.random.default_rng(1).multivariate_normal(means, width**2 * np.asarray(covariance), n)
    return np.bincount(draws.argmax(axis=1), minlength=len(means)) / n


def test_two_scores_have_the_exact_probability():
    # of which the difference is N(0.3, (1 - 0.5)^2 + 2^2 + 0.7^2)
    found = scores([0.3, 0], [[1, 2, 0], [0.5, 0, 0.7]]).probabilities(width=1.5, samples=1)
    exact = stats.norm.cdf(0.3 / 1.5 / math.sqrt(0.25 + 4 + 0.49))
    assert found == pytest.approx([exact, 1 - exact], abs=1e-7)


def test_two_scores_are_exact_beside_a_block():
    h = np.array([[2.0, 0.7, -0.2], [0.7, 1.0, 0.3], [-0.2, 0.3, 3.0]])
    factor = np.linalg.cholesky(h)
    packed = [factor[i, j] for i in range(3) for j in range(i + 1)]
    joint = JointScores()
    joint.begin_score(1.0, [(9, 0.5)], [(77, packed, [1.0, 0.0, 2.0])])
    joint.begin_score(0.5, [(8, 0.25)], [(77, packed, [0.0, 1.0, 0.0])])
    x = np.array([[1.0, 0, 2], [0, 1, 0]])
    covariance = x @ np.linalg.inv(h) @ x.T + np.diag([0.25, 0.0625])
    assert np.array(joint.moments()[1]) == pytest.approx(covariance, rel=1e-12)
    sd = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert joint.probabilities()[0] == pytest.approx(stats.norm.cdf(0.5 / sd), abs=1e-7)


@pytest.mark.parametrize("n", [3, 10, 34, 150])
@pytest.mark.parametrize("shared", [0, 5])
def test_probabilities_are_as_accurate_as_so_many_draws(n, shared):
    source = np.random.default_rng(n)
    means = source.normal(0, 0.5, n)
    factors = np.hstack([shared * source.normal(1, 0.1, (n, 2)), np.diag(source.uniform(0.3, 1.5, n))])
    exact = brute(means, factors @ factors.T)
    for samples in (100, 1000):
        errors = [
            np.square(np.array(scores(means, factors).probabilities(samples=samples, key=key)) - exact).sum()
            for key in range(1, 9)
        ]
        assert np.mean(errors) < 1.5 * (1 - (exact**2).sum()) / samples


def test_what_can_be_best_has_a_probability():
    found = scores([0, 2, 2.1], np.eye(3) * 0.6).probabilities(samples=100)
    assert 0 < found[0] < 0.05
    assert sum(found) == pytest.approx(1, abs=1e-6)
    many = scores([0.0, *[2.0] * 149], np.eye(150) * 0.6).probabilities(samples=100)
    assert 0 < many[0] < 0.01


def test_identical_scores_share_whatever_the_order_of_their_terms():
    joint = JointScores()
    for terms in ([(1, 0.5), (2, 2.0)], [(2, 2.0), (1, 0.5)], [(3, 1.0)], [(1, 0.5), (2, 2.0)]):
        joint.begin_score(0.25, terms)
    found = joint.probabilities()
    assert found[0] == found[1] == found[3]
    assert sum(found) == pytest.approx(1, abs=1e-6)
    assert found[2] == pytest.approx(0.5, abs=1e-6)  # two alternatives of the same mean


@pytest.mark.parametrize("optimistic", [False, True])
def test_scores_without_doubt_go_to_the_best(optimistic):
    def of(means: list[float], width: float, factor: float) -> list[float]:
        return scores(means, [[factor]] * len(means)).probabilities(width=width, optimistic=optimistic)

    assert of([1, 3, 3, 2], 1, 0) == [0, 0.5, 0.5, 0]
    assert of([1, 3, 3, 2], 0, 1) == [0, 0.5, 0.5, 0]
    assert of([1, 3, 3.5, 2], 1, 1) == pytest.approx([0, 0, 1, 0])  # they move together
    assert of([5], 1, 1) == [1]


def test_optimistic_scores_never_fall_below_their_means():
    means, factors = [0.0, 0.5, 0.4], np.diag([2.0, 0.1, 0.1])
    found = scores(means, factors).probabilities(optimistic=True, samples=20_000)
    draws = np.random.default_rng(2).normal(size=(200_000, 3)) @ factors + means
    exact = np.bincount(np.maximum(draws, means).argmax(axis=1), minlength=3) / len(draws)
    assert found == pytest.approx(exact, abs=0.015)


def test_probabilities_are_a_function_of_scores_and_key():
    means, factors = [0.0, 0.1, 0.2], np.eye(3)
    first = scores(means, factors).probabilities(key=5)
    joint = scores(means, factors)
    assert joint.probabilities(key=5) == joint.probabilities(key=5) == first
    assert joint.probabilities(key=6) != first
    assert scores([0.0, 0.1, 0.21], factors).probabilities(key=5) != first


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_units_make_no_difference(scale):
    means, factors = np.array([0.0, 0.1, 0.2, -1]), np.diag([1.0, 0.5, 0.2, 1])
    plain = scores(means, factors).probabilities(samples=10_000)
    assert scores(means * scale, factors * scale).probabilities(samples=10_000) == pytest.approx(plain, abs=0.01)
