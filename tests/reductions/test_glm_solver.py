"""The solvers of batches, on large and awkward problems."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special

from tests.support.posteriors import BruteForce, Record, expect, flags, objective, optimum
from vwlite import Workspace
from vwlite.bayes.batches import minimise
from vwlite.bayes.solve import minimise as minimise_large


@st.composite
def problems(draw: Any, logistic: bool) -> Any:
    """x, y, w, o, a, m on both sides of the size from which SciPy solves; some columns repeat or nearly do."""
    n, d = draw(st.integers(1, 30)), draw(st.sampled_from([1, 2, 5, 63, 64, 65, 80]))
    source = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    x = source.normal(size=(n, d)) * (source.random((n, d)) < draw(st.sampled_from([0.1, 1.0])))
    if d > 2 and draw(st.booleans()):
        x[:, 1] = x[:, 0]
        x[:, 2] = -2 * x[:, 0] + 1e-9 * x[:, 2]
    x *= draw(st.sampled_from([1.0, 1e-3, 30.0]))
    y = source.choice([-1.0, 1.0], n) if logistic else source.normal(size=n)
    if draw(st.booleans()):
        y = np.ones(n)
    w = source.choice([1.0, 0.25, 10.0, 0.0], n)
    o = source.normal(size=n) * draw(st.sampled_from([0.0, 1.0, 1000.0 if logistic else 3.0]))
    factor = source.normal(size=(d, d)) * draw(st.sampled_from([0.0, 0.3]))
    a = factor @ factor.T + draw(st.sampled_from([0.01, 1.0])) * np.eye(d)
    return x, y, w, o, a, source.normal(size=d)


def excess(t: Any, problem: Any, logistic: bool) -> float:
    """How much worse a solution is than the best that is known, as a share."""
    x, y, w, o, a, m = problem
    best = optimum(x, y, w, o, a, m, logistic)
    known = min(objective(one, x, y, w, o, a, m, logistic) for one in (best, m))
    return (objective(np.asarray(t), x, y, w, o, a, m, logistic) - known) / (1 + abs(known))


@pytest.mark.parametrize("logistic", [True, False])
@settings(max_examples=60)
@given(data=st.data())
def test_the_batch_solver_finds_the_minimum(logistic, data):
    problem = data.draw(problems(logistic))
    x, y, w, o, a, m = problem
    t, value, curvature, _, _ = minimise(*(part.tolist() for part in (x, y, w, o, a, m, m)), logistic)
    assert excess(t, problem, logistic) < 1e-9
    assert value == pytest.approx(objective(np.array(t), x, y, w, o, a, m, logistic), rel=1e-9, abs=1e-9)
    s = x @ np.array(t) + o
    weights = w * (special.expit(s) * special.expit(-s) if logistic else 1)
    np.testing.assert_allclose(curvature, x.T @ (x * weights[:, None]), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("logistic", [True, False])
@settings(max_examples=60)
@given(data=st.data())
def test_the_solver_of_large_batches_finds_the_minimum(logistic, diagonal, layout, data):
    x, y, w, o, a, m = data.draw(problems(logistic))
    d = len(m)
    a = np.diag(np.diag(a)) if diagonal else a
    features = x if layout == "dense" else sparse.csr_array(x)
    prior = np.diag(a).copy() if diagonal else a[np.tril_indices(d)]
    t, curvature, value = minimise_large(features, y, w, o, logistic, prior, m)
    assert excess(t, (x, y, w, o, a, m), logistic) < 1e-9
    assert value == pytest.approx(objective(t, x, y, w, o, a, m, logistic), rel=1e-9, abs=1e-9)
    s = x @ t + o
    weights = w * (special.expit(s) * special.expit(-s) if logistic else 1)
    full = x.T @ (x * weights[:, None])
    # one column alone is both
    expected = np.diag(full) if diagonal or d == 1 else full[np.tril_indices(d)]
    np.testing.assert_allclose(curvature, expected, rtol=1e-7, atol=1e-9)


def test_very_many_uncorrelated_coefficients_are_found_without_a_matrix():
    source = np.random.default_rng(1)
    n, d = 40, 3500
    x = (source.random((n, d)) < 0.01) * source.normal(size=(n, d))
    y, w, o = source.choice([-1.0, 1.0], n), np.ones(n), source.normal(size=n)
    t, _, value = minimise_large(sparse.csr_array(x), y, w, o, True, np.ones(d), np.zeros(d))
    gradient = x.T @ (-y * special.expit(-y * (x @ t + o))) + t
    assert np.abs(gradient).max() < 1e-6
    assert value == pytest.approx(objective(t, x, y, w, o, np.eye(d), np.zeros(d), True), rel=1e-12)


@pytest.mark.parametrize("p", [63, 64, 65, 80])
@pytest.mark.parametrize("size", [1, 3, 10])
@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("logistic", [True, False])
def test_coefficients_on_both_sides_of_the_border_of_large_problems(logistic, posterior, size, p):
    source = np.random.default_rng(p)
    forget = 0.9 if posterior == "full" else 1.0
    workspace = Workspace(flags(logistic, posterior, f"--l2 0.5 --forget {forget} --batch_size {size}"))
    brute = BruteForce(np.full(p, 0.5), forget, posterior, logistic)
    examples = []
    for i in range(20):
        values = source.normal(size=p).round(3)
        label = float(source.choice([-1, 1])) if logistic else float(source.normal())
        examples.append(Record(float(f"{label:g}"), tuple((k, float(np.float32(values[k]))) for k in range(p))))
        workspace.learn(examples[-1].line())
        if (i + 1) % size == 0:
            brute.learn(examples[i + 1 - size : i + 1])
    expect(workspace, brute, 1e-5)
