"""glm: posteriors against brute force in numpy and SciPy, batch by batch."""

import math
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate, optimize, sparse, special

from vwlite import Workspace
from vwlite.batches import minimise
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.hashing import feature_hash, murmur3_32
from vwlite.solve import minimise as minimise_large

CONSTANT = 11650396
Vector = NDArray[np.float64]


class Record(NamedTuple):
    """One example; its features by column, of which one may be there twice."""

    label: float
    features: tuple[tuple[int, float], ...]
    weight: float = 1.0
    offset: float = 0.0
    time: float | None = None

    def line(self) -> str:
        words = " ".join(f"f{k}:{value!r}" for k, value in self.features)
        time = "" if self.time is None else f" |t :{self.time!r}"
        return f"{self.label:g} {self.weight!r} {self.offset!r} |a {words}{time}"

    def row(self, p: int) -> Vector:
        row = np.zeros(p)
        for k, value in self.features:
            row[k] += value
        return row


def objective(t: Vector, x: Vector, y: Vector, w: Vector, o: Vector, a: Vector, m: Vector, logistic: bool) -> float:
    s = x @ t + o
    losses = np.logaddexp(0, -y * s) if logistic else (s - y) ** 2 / 2
    return float(w @ losses + (t - m) @ a @ (t - m) / 2)


def optimum(x: Vector, y: Vector, w: Vector, o: Vector, a: Vector, m: Vector, logistic: bool) -> Vector:
    """The minimum: in closed form, or by SciPy's trust region method, which sees no more than the objective's digits,
    and two steps of Newton's.
    """
    if not logistic:
        return np.asarray(np.linalg.solve(a + x.T @ (x * w[:, None]), a @ m + x.T @ (w * (y - o))), np.float64)

    def gradient(t: Vector) -> Vector:
        return x.T @ (-w * y * special.expit(-y * (x @ t + o))) + a @ (t - m)

    def hessian(t: Vector) -> Vector:
        s = x @ t + o
        return x.T @ (x * (w * special.expit(s) * special.expit(-s))[:, None]) + a

    found = optimize.minimize(
        objective, m, args=(x, y, w, o, a, m, logistic), jac=lambda t, *_: gradient(t), hess=lambda t, *_: hessian(t),
        method="trust-exact", options={"gtol": 1e-9, "maxiter": 10000},
    )  # fmt: skip
    t = np.asarray(found.x)
    for _ in range(2):
        t = t - np.linalg.solve(hessian(t), gradient(t))
    return t


class BruteForce:
    """The posterior of all coefficients, brought up to date with every batch."""

    def __init__(self, ridge: Vector, forget: float, posterior: str, logistic: bool) -> None:
        self.prior = np.diag(ridge)
        self.forget, self.posterior, self.logistic = forget, posterior, logistic
        self.data = np.zeros_like(self.prior)
        self.m = np.zeros(len(ridge))
        self.clock = 0.0
        self.noise: list[float] = []

    @property
    def precision(self) -> Vector:
        return self.data + self.prior

    def pass_time(self, now: float) -> None:
        share = self.forget ** (now - self.clock)
        self.clock = now
        prior = share * self.data + self.prior
        self.m = np.linalg.solve(prior, share * self.precision @ self.m)
        self.data = share * self.data

    def learn(self, batch: list[Record], now: float | None = None) -> None:
        self.pass_time(self.clock + 1 if now is None else now)
        p = len(self.m)
        x = np.array([record.row(p) for record in batch])
        y = np.array([record.label for record in batch])
        w = np.array([record.weight for record in batch])
        o = np.array([record.offset for record in batch])
        t = optimum(x, y, w, o, self.precision, self.m, self.logistic)
        self.noise.append(2 * objective(t, x, y, w, o, self.precision, self.m, self.logistic))
        s = x @ t + o
        curvature = x.T @ (x * (w * special.expit(s) * special.expit(-s) if self.logistic else w)[:, None])
        self.m = t
        self.data = self.data + (curvature if self.posterior == "full" else np.diag(np.diag(curvature)))


def column(k: int) -> int:
    return murmur3_32(f"f{k}".encode(), feature_hash(b"a"))


def expect(workspace: Workspace, brute: BruteForce, tolerance: float = 1e-6, scale: float = 1) -> None:
    """Means and variances of every coefficient that was seen are those of brute force."""
    found = workspace.bottom.coefficients() or {}
    inverse = np.linalg.inv(brute.precision)
    for k in range(len(brute.m)):
        if column(k) in found:
            mean, variance = found[column(k)]
            assert mean == pytest.approx(brute.m[k], rel=tolerance, abs=tolerance)
            assert variance == pytest.approx(scale * inverse[k, k], rel=tolerance, abs=1e-12)
        else:
            assert brute.data[k, k] == 0


numbers = st.floats(-3, 3, width=32).map(lambda value: float(np.float32(f"{value:.3g}")))


@st.composite
def records(draw: Any, logistic: bool, p: int, least: int = 1, most: int = 12, timed: bool = False) -> list[Record]:
    """Examples with weights, offsets, and features that repeat or follow each other."""
    found = []
    time = 0.0
    one_class = draw(st.booleans())
    for _ in range(draw(st.integers(least, most))):
        features = draw(st.lists(st.tuples(st.integers(0, p - 1), numbers), max_size=5))
        if draw(st.booleans()):
            features = [*features, *((k, value) for k, value in features[:2])]
        label = (1.0 if one_class else draw(st.sampled_from([-1.0, 1.0]))) if logistic else draw(numbers)
        weight = draw(st.sampled_from([1.0, 0.5, 2.0, 7.25]))
        offset = draw(st.sampled_from([0.0, 0.0, -0.5, 2.25, 1000.0, -1000.0] if logistic else [0.0, -0.5, 2.25]))
        time += draw(st.sampled_from([0.0, 0.0, 0.5, 2.0]))
        found.append(Record(label, tuple(features), weight, offset, time if timed else None))
    return found


def flags(logistic: bool, posterior: str, rest: str) -> str:
    kind = "--bayes_logistic" if logistic else "--bayes_linear --noise 1"
    return f"{kind} --posterior {posterior} --noconstant --min_prediction -1e9 --max_prediction 1e9 {rest}"


# Batches


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("forget", [1.0, 0.75, 0.0])
@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("logistic", [True, False])
@settings(max_examples=25)
@given(data=st.data())
def test_each_batch_moves_the_posterior_as_brute_force_does(logistic, posterior, forget, size, data):
    p, ridge = 6, 0.75
    examples = data.draw(records(logistic, p))
    workspace = Workspace(flags(logistic, posterior, f"--l2 {ridge} --forget {forget} --batch_size {size}"))
    brute = BruteForce(np.full(p, ridge), forget, posterior, logistic)
    for i, record in enumerate(examples):
        workspace.learn(record.line())
        # a line without features is a batch, too
        if (i + 1) % size == 0:
            brute.learn(examples[i + 1 - size : i + 1])
    probe = Record(0, tuple((k, float(k + 1)) for k in range(p)), offset=0.25)
    expected = probe.row(p) @ brute.m + 0.25
    assert workspace.predict(probe.line()) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    if posterior == "full" or forget == 1:
        expect(workspace, brute)


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("size", [1, 3, "all"])
@settings(max_examples=40)
@given(data=st.data())
def test_time_makes_forget_by_what_the_timestamp_says(posterior, size, data):
    """Two examples at the same time, a long pause: a coefficient that was absent is brought up to date when needed."""
    p, forget = 4, 0.5
    examples = data.draw(records(True, p, timed=True))
    workspace = Workspace(flags(True, posterior, f"--forget {forget} --forget_time t --batch_size {size}"))
    brute = BruteForce(np.ones(p), forget, posterior, True)
    brute.clock = examples[0].time or 0
    count = 3 if size == "all" else size
    for i, record in enumerate(examples):
        workspace.learn(record.line())
        if (i + 1) % count == 0:
            brute.learn(examples[i + 1 - count : i + 1], record.time)
            if size == "all":
                workspace.end_pass()
    probe = Record(0, tuple((k, float(k + 1)) for k in range(p)))
    assert workspace.predict(probe.line()) == pytest.approx(probe.row(p) @ brute.m, rel=1e-5, abs=1e-5)


def single(value: float) -> float:
    return float(np.float32(value))


@settings(max_examples=400)
@example(label=-1.0, weight=2.0, offset=2.755518584064, x=5.210228246545)
@given(
    label=st.sampled_from([-1.0, 1.0]),
    weight=st.floats(-3, 12).map(lambda power: single(10**power)),
    offset=st.one_of(st.floats(-10, 10, width=32), st.floats(-1e4, 1e4, width=32)),
    x=st.floats(-3, 12).map(lambda power: single(10**power)),
)
def test_one_logistic_example_is_learnt_to_the_last_digits(label, weight, offset, x):
    """u, the margin after learning, solves u = y s + w x^2 / (1 + e^u)."""
    offset, x = single(offset), single(x)
    workspace = Workspace("--bayes_logistic --noconstant")
    workspace.learn(Record(label, ((0, x),), weight, offset).line())
    start, most = label * offset, weight * x * x

    def excess(u: float) -> float:
        return u - start - most * special.expit(-u)

    root = optimize.brentq(excess, start, max(start, 0) + math.log1p(most) + 1, xtol=1e-300, rtol=1e-15, maxiter=10000)
    moved = weight * label * special.expit(-root) * x  # H^-1 x g
    assert workspace.bottom.coefficients()[column(0)][0] == pytest.approx(moved, rel=1e-9, abs=1e-300)


@settings(max_examples=60)
@given(
    label=st.sampled_from([-1.0, 1.0]),
    weight=st.sampled_from([1.0, 0.25, 4.0]),
    offset=st.floats(-6, 6, width=32),
    x=st.floats(0.25, 4, width=32),  # the rule of 20 points is good for scores of a few standard deviations
)
def test_moments_are_those_of_the_exact_posterior_of_an_example(label, weight, offset, x):
    workspace = Workspace("--bayes_logistic --noconstant --moments")
    workspace.learn(Record(label, ((0, x),), weight, offset).line())

    def mass(t: float, power: int) -> float:
        return float(t**power * np.exp(-t * t / 2 - weight * np.logaddexp(0, -label * (t * x + offset))))

    total, first, second = (
        integrate.quad(mass, -12, 12, args=(k,), points=[-offset / x], limit=500, epsabs=0)[0] for k in range(3)
    )
    mean, variance = workspace.bottom.coefficients()[column(0)]
    assert mean == pytest.approx(first / total, abs=1e-5)
    assert variance == pytest.approx(second / total - (first / total) ** 2, rel=1e-4)


# Large and awkward problems


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


# Squared loss


def linear_data(seed: int, n: int, p: int, noise: float) -> list[Record]:
    source = np.random.default_rng(seed)
    slopes = source.normal(size=p)
    found = []
    for _ in range(n):
        row = source.normal(size=p).astype(np.float32).astype(float)
        label = float(f"{row @ slopes + noise * source.normal():g}")
        found.append(Record(label, tuple(enumerate(row.tolist())), float(source.choice([1, 2])), 0.5))
    return found


def arrays_of(examples: list[Record], p: int) -> tuple[Vector, Vector, Vector, Vector]:
    x = np.array([record.row(p) for record in examples])
    columns = np.array([[record.label, record.weight, record.offset] for record in examples]).T
    return x, columns[0], columns[1], columns[2]


@pytest.mark.parametrize("size", [1, 7, 40])
def test_squared_loss_is_ridge_regression_however_the_data_are_cut(size):
    p, ridge = 5, 2.5
    examples = linear_data(3, 40, p, 0.3)
    workspace = Workspace(f"--bayes_linear --noconstant --noise 1 --l2 {ridge} --batch_size {size}")
    workspace.learn([record.line() for record in examples])
    x, y, w, o = arrays_of(examples[: 40 // size * size], p)
    precision = (x * w[:, None]).T @ x + ridge * np.eye(p)
    means = np.linalg.solve(precision, x.T @ (w * (y - o)))
    variances = np.diag(np.linalg.inv(precision))
    found = workspace.bottom.coefficients()
    for k in range(p):
        assert found[column(k)] == pytest.approx((means[k], variances[k]), rel=1e-6)  # labels are float32


@pytest.mark.parametrize("size", [1, 8, 400])
def test_the_noise_is_estimated_and_scales_variances(size):
    """Known in closed form: y'y - m'Am over the number of examples, for weights 1 and no offsets."""
    p, n = 4, 400
    examples = [record._replace(weight=1.0, offset=0.0) for record in linear_data(8, n, p, 0.7)]
    workspace = Workspace(f"--bayes_linear --noconstant --batch_size {size}")
    workspace.learn([record.line() for record in examples])
    x, y, _, _ = arrays_of(examples, p)
    precision = x.T @ x + np.eye(p)
    means = np.linalg.solve(precision, x.T @ y)
    noise = float(y @ y - means @ precision @ means) / n
    assert workspace.bottom.metrics() == {"glm noise": pytest.approx(noise, rel=1e-9)}
    assert noise == pytest.approx(0.49, rel=0.2)
    variance = workspace.bottom.coefficients()[column(0)][1]
    assert variance == pytest.approx(noise * np.linalg.inv(precision)[0, 0], rel=1e-9)
    known = Workspace("--bayes_linear --noconstant --noise 0.49")
    known.learn([record.line() for record in examples])
    assert known.bottom.coefficients()[column(0)][1] == pytest.approx(0.49 * np.linalg.inv(precision)[0, 0], rel=1e-9)
    assert known.bottom.metrics() == {}


# A diagonal posterior


def test_a_diagonal_posterior_is_algorithm_3_of_chapelle_and_li():
    """m, q; each batch minimises 1/2 sum q_i (w_i - m_i)^2 + sum log(1 + exp(-y w'x)); q_i += sum x_i^2 p (1 - p)."""
    source = np.random.default_rng(4)
    p, size, ridge = 5, 4, 3.0
    workspace = Workspace(flags(True, "diagonal", f"--l2 {ridge} --batch_size {size}"))
    m, q = np.zeros(p), np.full(p, ridge)
    for _ in range(8):
        x = source.normal(size=(size, p)).astype(np.float32).astype(float)
        y = source.choice([-1.0, 1.0], size)
        workspace.learn([Record(label, tuple(enumerate(row))).line() for row, label in zip(x.tolist(), y, strict=True)])

        def loss(w: Vector, x: Vector = x, y: Vector = y, m: Vector = m, q: Vector = q) -> float:
            return float(q @ (w - m) ** 2 / 2 + np.logaddexp(0, -y * (x @ w)).sum())

        m = optimize.minimize(loss, m, method="BFGS", options={"gtol": 1e-9}).x
        share = special.expit(x @ m)
        q = q + (x**2).T @ (share * (1 - share))
    found = workspace.bottom.coefficients()
    for k in range(p):
        assert found[column(k)] == pytest.approx((m[k], 1 / q[k]), rel=1e-5, abs=1e-5)


# Intercept, variance of scores, draws


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
def test_draws_have_the_mean_and_covariance_of_the_posterior(posterior):
    p, n = 3, 20000
    workspace, brute = trained(posterior, p)
    unknown = p  # a column never seen
    rows = [[(column(k), 1.0)] for k in range(p + 1)]
    draws = np.array([[workspace.bottom.drawn_at(row, i) for row in rows] for i in range(1, n + 1)])
    covariance = np.zeros((p + 1, p + 1))
    covariance[:p, :p] = np.linalg.inv(brute.precision)
    covariance[unknown, unknown] = 1 / 1.5
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(draws.mean(axis=0), [*brute.m, 0], atol=5 * sd.max() / math.sqrt(n))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=6 * sd.max() ** 2 / math.sqrt(n))
    # the same number is the same draw, of sums of features too, and twice as wide is twice as far off
    whole = [(column(k), float(k + 1)) for k in range(p + 1)]
    assert workspace.bottom.drawn_at(whole, 7) == pytest.approx(draws[6] @ np.arange(1, p + 2), rel=1e-6)
    far = workspace.bottom.drawn_at(rows[0], 7, 2.0) - brute.m[0]
    assert far == pytest.approx(2 * (draws[6, 0] - brute.m[0]), rel=1e-4)


def test_a_draw_is_scaled_by_the_noise():
    noisy = Workspace("--bayes_linear --noise 4 --noconstant --l2 1.5")
    quiet = Workspace("--bayes_linear --noise 1 --noconstant --l2 1.5")
    lines = [Record(k - 1, ((k, 1.5), (0, 0.5))).line() for k in range(3)]
    noisy.learn(lines)
    quiet.learn(lines)
    mean = quiet.bottom.coefficients()[column(1)][0]
    row = [(column(1), 1.0)]
    assert noisy.bottom.drawn_at(row, 5) - mean == pytest.approx(2 * (quiet.bottom.drawn_at(row, 5) - mean), rel=1e-4)


def test_a_draw_knows_what_was_learnt_since():
    workspace, _ = trained("full", 3)
    row = [(column(k), 1.0) for k in range(3)]
    before = workspace.bottom.drawn_at(row, 9)
    assert workspace.bottom.drawn_at(row, 9) == before
    workspace.learn("1 |a new:0")  # a coefficient more, and nothing learnt about it
    assert math.isfinite(workspace.bottom.drawn_at([*row, (column(0), 0.0), feature_of("new")], 9))
    workspace.learn("1 |a f0:1")
    assert workspace.bottom.drawn_at(row, 9) != before


def feature_of(name: str) -> tuple[int, float]:
    return murmur3_32(name.encode(), feature_hash(b"a")), 1.0


# Books


@pytest.mark.parametrize(
    "flags", ["--bayes_logistic", "--square", "--bayes_linear --random_effect user:* --fixed none"]
)
def test_a_posterior_too_large_for_memory_is_an_error_of_one_line(flags, tmp_path, capsys):
    (tmp_path / "data.txt").write_text("1 |user u |a " + " ".join(f"f{k}" for k in range(100_000)) + "\n")
    words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), "--quiet", *flags.split()]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert re.fullmatch(r"vwlite: error: out of memory: [\d,]+ bytes .*--posterior diagonal needs far less\n", told)
    assert not (tmp_path / "m").exists()
    assert main([*words, "--posterior", "diagonal"]) == 0


def test_waiting_examples_are_learnt_when_a_smaller_batch_is_asked_for(tmp_path):
    """They came to a batch of 10 that was never full."""
    examples = [Record((-1.0) ** i, ((i % 3, 1.0),)) for i in range(8)]
    for size in (3, 1):
        first = Workspace("--bayes_logistic --noconstant --batch_size 10")
        first.learn([record.line() for record in examples[:7]])
        first.save(tmp_path / "waiting.model")
        second = Workspace.load(tmp_path / "waiting.model", f"--batch_size {size}")
        second.learn(examples[7].line())
        brute = BruteForce(np.ones(3), 1, "full", True)
        brute.learn(examples)
        expect(second, brute)


def test_a_loaded_model_takes_another_ridge(tmp_path):
    first = Workspace("--bayes_linear --noise 1 --noconstant --l2 1")
    lines = [Record(2, ((0, 1.0), (1, 0.5))).line(), Record(-1, ((1, 1.0),)).line()]
    first.learn(lines[0])
    first.save(tmp_path / "first.model")
    second = Workspace.load(tmp_path / "first.model", "--l2 5")
    second.learn(lines[1])
    # what data say stays, the prior is another one
    x, y = np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([2.0, -1.0])
    precision = x.T @ x + 5 * np.eye(2)
    means = np.linalg.solve(precision, x.T @ y)
    found = second.bottom.coefficients()
    for k in range(2):
        assert found[column(k)] == pytest.approx((means[k], np.linalg.inv(precision)[k, k]), rel=1e-9)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--bayes_logistic --logistic", "two bottom learners"),
        ("--square --forget 0.5", "nothing to --forget"),
        ("--bayes_linear --forget_time t", "--forget_time needs --forget"),
        ("--bayes_linear --batch_size 0", "expected a number of examples, or all"),
        ("--bayes_linear --batch_size ALL", "expected a number of examples, or all"),
        ("--bayes_linear --batch_size 99999999999", "expected a number of examples, or all"),
        ("--bayes_linear --noise 0", "expected a variance above 0"),
        ("--bayes_linear --noise nan", "expected a variance above 0"),
        ("--bayes_linear --noise much", "expected a variance above 0"),
        ("--bayes_logistic --noise 2", "--noise is of squared loss"),
        ("--bayes_linear --l2 0", "--l2"),
        ("--bayes_linear --moments", "single examples"),
        ("--bayes_logistic --moments --batch_size 3", "single examples"),
        ("--bayes_linear --loss_function hinge", "--loss_function"),
    ],
)
def test_options_that_make_no_sense_are_refused(words, reason):
    with pytest.raises(OptionError, match=reason):
        Workspace(words)
