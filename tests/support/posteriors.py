"""Posteriors of linear models by brute force, and examples for them."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, special

from tests.support.models import feature
from vwlite import Workspace

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
    return feature(f"f{k}")


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
    if logistic and ("--batch_size" not in rest or "--batch_size 1 " in f"{rest} "):
        kind += " --posterior_mode"
    return f"{kind} --posterior {posterior} --noconstant --min_prediction -1e9 --max_prediction 1e9 {rest}"
