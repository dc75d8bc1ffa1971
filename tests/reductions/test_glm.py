"""glm: posteriors against brute force in numpy and SciPy, batch by batch."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special

from tests.support.posteriors import BruteForce, Record, Vector, column, expect, flags, records
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError

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
    probe = Record(1, tuple((k, float(k + 1)) for k in range(p)), offset=0.25)
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
    probe = Record(1, tuple((k, float(k + 1)) for k in range(p)))
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
def test_one_logistic_example_is_learned_to_the_last_digits(label, weight, offset, x):
    """u, the margin after learning, solves u = y s + w x^2 / (1 + e^u)."""
    offset, x = single(offset), single(x)
    workspace = Workspace("--bayes_logistic --posterior_mode --noconstant")
    workspace.learn(Record(label, ((0, x),), weight, offset).line())
    start, most = label * offset, weight * x * x

    def excess(u: float) -> float:
        return u - start - most * special.expit(-u)

    root = optimize.brentq(excess, start, max(start, 0) + math.log1p(most) + 1, xtol=1e-300, rtol=1e-15, maxiter=10000)
    moved = weight * label * special.expit(-root) * x  # H^-1 x g
    assert workspace.bottom.coefficients()[column(0)][0] == pytest.approx(moved, rel=1e-9, abs=1e-300)


def test_an_example_after_which_nothing_would_be_unsure_teaches_nothing():
    workspace = Workspace("--bayes_logistic")
    workspace.learn(["1 |a x"])
    before = workspace.predict(["|a x"])
    workspace.learn(["1 3e38 -1e20 |a x"])
    assert workspace.predict(["|a x"]) == before


@settings(max_examples=60)
@given(
    label=st.sampled_from([-1.0, 1.0]),
    weight=st.sampled_from([1.0, 0.25, 4.0]),
    offset=st.floats(-6, 6, width=32),
    x=st.floats(0.25, 4, width=32),  # the rule of 20 points is good for scores of a few standard deviations
)
def test_moments_are_those_of_the_exact_posterior_of_an_example(label, weight, offset, x):
    workspace = Workspace("--bayes_logistic --noconstant")
    workspace.learn(Record(label, ((0, x),), weight, offset).line())

    def mass(t: float, power: int) -> float:
        return float(t**power * np.exp(-t * t / 2 - weight * np.logaddexp(0, -label * (t * x + offset))))

    total, first, second = (
        integrate.quad(mass, -12, 12, args=(k,), points=[-offset / x], limit=500, epsabs=0)[0] for k in range(3)
    )
    mean, variance = workspace.bottom.coefficients()[column(0)]
    assert mean == pytest.approx(first / total, abs=1e-5)
    assert variance == pytest.approx(second / total - (first / total) ** 2, rel=1e-4)


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


# Books


@pytest.mark.parametrize(
    "flags", ["--bayes_logistic", "--square", "--bayes_linear --random_effect user:* --fixed none"]
)
def test_a_posterior_too_large_for_memory_is_diagonal_or_its_line_refused(flags, tmp_path, capsys):
    (tmp_path / "data.txt").write_text("1 |user u |a " + " ".join(f"f{k}" for k in range(100_000)) + "\n")
    words = ["-d", str(tmp_path / "data.txt"), "-f", str(tmp_path / "m"), *flags.split()]
    assert main(words) == 0
    assert "[warning]" in capsys.readouterr().err
    assert main([*words, "--posterior", "diagonal"]) == 0
    capsys.readouterr()
    main([*words, "--posterior", "full", "--posterior_full", "32768"])
    assert "data.txt:1:1: the line would give a full posterior more coefficients" in capsys.readouterr().err


def test_waiting_examples_are_learned_when_a_smaller_batch_is_asked_for(tmp_path):
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
        ("--square --forget 0.5", "so --forget has no effect"),
        ("--bayes_linear --forget_time t", "--forget_time needs --forget"),
        ("--bayes_linear --batch_size 0", "expected a number of examples, or all"),
        ("--bayes_linear --batch_size ALL", "expected a number of examples, or all"),
        ("--bayes_linear --batch_size 99999999999", "expected a number of examples, or all"),
        ("--bayes_linear --noise 0", "expected a variance above 0"),
        ("--bayes_linear --noise nan", "expected a variance above 0"),
        ("--bayes_linear --noise much", "expected a variance above 0"),
        ("--bayes_logistic --noise 2", "--noise needs squared loss"),
        ("--bayes_linear --l2 0", "--l2"),
        ("--bayes_linear --moments", "no effect without --bayes_logistic"),
        ("--bayes_logistic --moments --posterior_mode", "opposites"),
        ("--bayes_logistic --posterior_mode --batch_size 3", "single examples"),
        ("--bayes_logistic --moments --batch_size 3", "single examples"),
        ("--bayes_linear --loss_function hinge", "--loss_function"),
    ],
)
def test_options_that_make_no_sense_are_refused(words, reason):
    with pytest.raises(OptionError, match=reason):
        Workspace(words)
