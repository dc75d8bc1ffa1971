"""glm: how sure it is, of its intercept, of a score and in draws."""

import numpy as np
import pytest

from tests.support.models import CONSTANT
from tests.support.posteriors import BruteForce, Record, column, flags
from vwlite import Workspace
from vwlite.core.hashing import feature_hash, murmur3_32


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("size", [1, 5])
def test_the_intercept_has_a_ridge_of_its_own(posterior, size):
    source = np.random.default_rng(2)
    workspace = Workspace(
        f"--bayes_linear --noise 1 --posterior {posterior} --intercept_l2 1e-6 --l2 4 --batch_size {size}"
    )
    brute = BruteForce(np.array([4.0, 4.0, 1e-6]), 1, posterior, False)
    for _ in range(6):
        rows = source.normal(size=(size, 2)).astype(np.float32).astype(float)
        batch = [Record(float(f"{source.normal() + 30:g}"), tuple(enumerate(row))) for row in rows.tolist()]
        workspace.learn([record.line() for record in batch])
        brute.learn([record._replace(features=(*record.features, (2, 1.0))) for record in batch])
    found = workspace.bottom.coefficients()
    inverse = np.linalg.inv(brute.precision)
    for k, hash_ in enumerate([column(0), column(1), CONSTANT]):
        assert found[hash_] == pytest.approx((brute.m[k], inverse[k, k]), rel=1e-4)
    if posterior == "full":
        assert found[CONSTANT][0] == pytest.approx(30, abs=2)


def trained(posterior: str, p: int, logistic: bool = True, rest: str = "") -> tuple[Workspace, BruteForce]:
    source = np.random.default_rng(11)
    workspace = Workspace(flags(logistic, posterior, f"--l2 1.5 {rest}"))
    brute = BruteForce(np.full(p, 1.5), 1, posterior, logistic)
    base = source.normal(size=p)
    for _ in range(12):
        row = (base + source.normal(size=p)).astype(np.float32).astype(float)
        record = Record(float(source.choice([-1, 1])), tuple(enumerate(row.tolist())))
        workspace.learn(record.line())
        brute.learn([record])
    return workspace, brute


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_the_variance_of_a_score_is_that_of_its_coefficients(posterior):
    workspace, brute = trained(posterior, 4)
    probe = Record(1, ((0, 2.0), (1, -1.0), (0, 0.5), (3, 4.0)))
    row = probe.row(4)
    unknown = 3.0  # of a feature never seen, whose variance is the prior's
    line = probe.line() + f" |a new:{unknown}"
    expected = row @ np.linalg.inv(brute.precision) @ row + unknown**2 / 1.5
    assert workspace.sensitivity(line) == pytest.approx(expected, rel=1e-4)
    assert Workspace(flags(True, posterior, "--l2 0.25")).sensitivity("1 |a f0:3") == pytest.approx(36)


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_scores_have_the_mean_and_covariance_of_the_posterior(posterior):
    p = 3
    workspace, brute = trained(posterior, p)
    unknown = p  # a column never seen
    x = np.array([[1, 0, 0, 0], [0, 2, -1, 0], [1, 1, 1, 1], [0, 0, 0, 3], [0, 0, 0, -3]], float)
    rows = [[(column(k), value) for k, value in enumerate(row) if value] for row in x.tolist()]
    rows[0] += [(column(0), 2.0), (column(0), -2.0)]  # a feature named twice counts as its sum
    covariance = np.zeros((p + 1, p + 1))
    covariance[:p, :p] = np.linalg.inv(brute.precision)
    covariance[unknown, unknown] = 1 / 1.5
    means, found = workspace.bottom.joint(rows)
    np.testing.assert_allclose(means, x @ [*brute.m, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, x @ covariance @ x.T, rtol=1e-6, atol=1e-9)


def test_the_covariance_is_scaled_by_the_noise_and_knows_what_was_learned():
    noisy = Workspace("--bayes_linear --noise 4 --noconstant --l2 1.5")
    quiet = Workspace("--bayes_linear --noise 1 --noconstant --l2 1.5")
    lines = [Record(k - 1, ((k, 1.5), (0, 0.5))).line() for k in range(3)]
    rows = [[(column(1), 1.0)], [(column(0), 1.0), feature_of("new")]]
    for workspace in (noisy, quiet):
        workspace.learn(lines)
    before = np.array(quiet.bottom.joint(rows)[1])
    np.testing.assert_allclose(noisy.bottom.joint(rows)[1], 4 * before, rtol=1e-6)
    np.testing.assert_array_equal(quiet.bottom.joint(rows)[1], before)
    quiet.learn("1 |a new:0")  # a coefficient more, and nothing learned about it
    np.testing.assert_allclose(quiet.bottom.joint(rows)[1], before, rtol=1e-9)
    quiet.learn("1 |a f0:1")
    assert quiet.bottom.joint(rows)[1][1][1] < before[1, 1]


def feature_of(name: str) -> tuple[int, float]:
    return murmur3_32(name.encode(), feature_hash(b"a")), 1.0
