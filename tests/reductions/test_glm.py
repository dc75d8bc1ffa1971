"""glm: posteriors against brute force in numpy and SciPy, batch by batch."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, special

from vwlite import Workspace
from vwlite.errors import OptionError
from vwlite.hashing import feature_hash, murmur3_32
from vwlite.reductions.glm import minimise
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
    """The minimum: in closed form, or by SciPy's trust region method."""
    if not logistic:
        return np.linalg.solve(a + x.T @ (x * w[:, None]), a @ m + x.T @ (w * (y - o)))

    def gradient(t: Vector) -> Vector:
        return x.T @ (-w * y * special.expit(-y * (x @ t + o))) + a @ (t - m)

    def hessian(t: Vector) -> Vector:
        s = x @ t + o
        return x.T @ (x * (w * special.expit(s) * special.expit(-s))[:, None]) + a

    found = optimize.minimize(
        objective, m, args=(x, y, w, o, a, m, logistic), jac=lambda t, *_: gradient(t), hess=lambda t, *_: hessian(t),
        method="trust-exact", options={"gtol": 1e-9, "maxiter": 10000},
    )  # fmt: skip
    return np.asarray(found.x)


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


numbers = st.floats(-3, 3, width=32).map(lambda value: float(f"{value:.3g}"))


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
    return f"--bayes_{'logistic' if logistic else 'linear'} --posterior {posterior} --noconstant --noise 1 {rest}".replace(
        "--noise 1" if logistic else "\0", ""
    )


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
    wide = workspace.top.loss
    wide.min_label, wide.max_label = -1e9, 1e9
    expected = probe.row(p) @ brute.m + 0.25
    assert workspace.predict(probe.line()) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    if posterior == "full" or forget == 1:
        expect(workspace, brute)


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
@pytest.mark.parametrize("size", [1, 3])
@settings(max_examples=40)
@given(data=st.data())
def test_time_makes_forget_by_what_the_timestamp_says(posterior, size, data):
    """Two examples at the same time, a long pause: a coefficient that was absent is brought up to date when needed."""
    p, forget = 4, 0.5
    examples = data.draw(records(True, p, timed=True))
    workspace = Workspace(flags(True, posterior, f"--forget {forget} --forget_time t --batch_size {size}"))
    brute = BruteForce(np.ones(p), forget, posterior, True)
    brute.clock = examples[0].time or 0
    for i, record in enumerate(examples):
        workspace.learn(record.line())
        if (i + 1) % size == 0:
            brute.learn(examples[i + 1 - size : i + 1], record.time)
    probe = Record(0, tuple((k, float(k + 1)) for k in range(p)))
    assert workspace.predict(probe.line()) == pytest.approx(probe.row(p) @ brute.m, rel=1e-5, abs=1e-5)
