"""The published values of LinkedIn's Lambda Learner 0.1.0, and the package itself, beside glm."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tests.support.models import CONSTANT, feature
from vwlite import Workspace
from vwlite.bayes.batches import minimise
from vwlite.cli import main
from vwlite.core.hashing import feature_hash, murmur3_32

DATA = Path(__file__).parent.parent / "data"
REFERENCE = json.loads((DATA / "lambda_reference.json").read_text())
MOCK = gzip.decompress((DATA / "mock1k.vw.gz").read_bytes()).decode()

Problem = tuple[list[list[float]], list[float], list[float], list[float]]


def column_names() -> list[str]:
    """The features of the columns after the constant, as the text format spells them."""
    return [name.replace(":", "_") for name in REFERENCE["columns"][1:]]


def mock() -> Problem:
    """The 1000 records: rows of the constant and nine features; labels, weights, offsets."""
    names = column_names()
    x, y, w, o = [], [], [], []
    for line in MOCK.splitlines():
        head, _, body = line.partition("|a ")
        label, weight, offset, _tag = head.split()
        present = {word.rpartition(":")[0] for word in body.split()}
        x.append([1.0, *(float(name in present) for name in names)])
        y.append(float(label))
        w.append(float(weight))
        o.append(float(offset))
    return x, y, w, o


def diagonal(value: float, n: int) -> list[list[float]]:
    return [[value * (i == j) for j in range(n)] for i in range(n)]


def close(found: Any, expected: Any) -> None:
    """Two parts in a hundred thousand, or five in ten thousand of the value: as far as L-BFGS went."""
    np.testing.assert_allclose(found, expected, atol=2e-5, rtol=5e-4)


# The solver on the published problems


@pytest.fixture(scope="module")
def logistic():
    case = REFERENCE["logistic"]
    n = len(case["theta0"])
    return minimise(*mock(), diagonal(case["penalty"], n), [0.0] * n, case["theta0"], True)


@pytest.fixture(scope="module")
def sequential():
    """Their loss: delta of a prior around theta0 with precision `penalty`, the rest of one around 0."""
    case = REFERENCE["sequential"]
    n, penalty, delta = len(case["theta0"]), case["penalty"], case["delta"]
    mean = [delta * t for t in case["theta0"]]
    return minimise(*mock(), diagonal(penalty, n), mean, case["theta0"], True)


def left_out(case: dict[str, Any]) -> float:
    """What completing the square of the two quadratic terms leaves out: it doesn't depend on the coefficients."""
    delta = case["delta"]
    return case["penalty"] / 2 * delta * (1 - delta) * sum(t * t for t in case["theta0"])


def test_the_objective_and_its_gradient_where_the_search_starts(logistic, sequential):
    case = REFERENCE["logistic"]
    _, _, _, before, gradient = logistic
    assert before == pytest.approx(case["loss_at_theta0"], rel=1e-8)
    np.testing.assert_allclose(gradient, case["gradient_at_theta0"], rtol=1e-8)
    case = REFERENCE["sequential"]
    _, _, _, before, gradient = sequential
    assert before + left_out(case) == pytest.approx(case["loss_at_theta0"], rel=1e-8)
    np.testing.assert_allclose(gradient, case["gradient_at_theta0"], rtol=1e-8)


def test_the_logistic_optimum_is_the_published_one(logistic):
    t, value, curvature, _, _ = logistic
    case, exact = REFERENCE["logistic"], REFERENCE["exact"]["logistic"]
    assert value == pytest.approx(case["final_loss"], rel=1e-8)
    close(t, case["final_theta"])
    np.testing.assert_allclose(t, exact["theta"], rtol=1e-7, atol=1e-9)
    precision = np.array(curvature) + case["penalty"] * np.eye(len(t))
    np.testing.assert_allclose(np.diag(precision), exact["hessian_diag"], rtol=1e-9)
    np.testing.assert_allclose(1 / np.diag(precision), exact["variance_diag"], rtol=1e-9)


def test_the_sequential_optimum_and_hessian_are_the_published_ones(sequential):
    t, value, curvature, _, _ = sequential
    case, exact = REFERENCE["sequential"], REFERENCE["exact"]["sequential"]
    assert value + left_out(case) == pytest.approx(case["final_loss"], rel=1e-8)
    close(t, case["final_theta"])
    np.testing.assert_allclose(t, exact["theta"], rtol=1e-8)
    precision = np.array(curvature) + case["penalty"] * np.eye(len(t))
    close(precision, case["final_hessian_full"])
    np.testing.assert_allclose(precision, exact["hessian_full"], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("delta", ["", "_delta1", "_delta0.8"])
def test_curvature_of_two_records(delta):
    """Held at their coefficients by a prior that cannot be moved."""
    x, y, o = [[1.0, 0.5, 3.0], [0.5, 0.0, 1.0]], [-1.0, 1.0], [-0.25, 1.0]
    theta = [0.25, 0.75, -1.5]
    t, _, curvature, _, _ = minimise(x, y, [1.0, 1.0], o, diagonal(1e14, 3), theta, theta, True)
    np.testing.assert_allclose(t, theta, atol=1e-12)
    expected = REFERENCE["hessian_simple"]
    prior = {"": 10.0, "_delta1": 1.0, "_delta0.8": 0.8 * 1 + 0.2 * 10}[delta]
    kind = f"{'sequential' if delta else 'logistic'}_full_penalty10{delta}"
    np.testing.assert_allclose(np.array(curvature) + prior * np.eye(3), expected[kind], rtol=1e-10)


def test_curvature_of_squared_loss():
    """Where theirs is wrong (logistic, without the ridge) the right one is compared."""
    x = [[1.0, 0.5, 3.0], [0.5, 0.0, 1.0]]
    _, _, curvature, _, _ = minimise(
        x, [-1.0, 1.0], [1.0, 1.0], [-0.25, 1.0], diagonal(10, 3), [0.0] * 3, [0.0] * 3, False
    )
    expected = REFERENCE["hessian_simple"]["square_full_penalty10"]
    np.testing.assert_allclose(np.array(curvature) + 10 * np.eye(3), expected, rtol=1e-12)


# The same from the command line


def run(tmp_path: Path, text: str, flags: str) -> Workspace:
    """A model trained by the command line, loaded."""
    data, model = tmp_path / "data.txt", tmp_path / "glm.model"
    data.write_text(text)
    loaded = ["-i", str(model)] if model.exists() else []
    assert main(["-d", str(data), "-f", str(model), "--quiet", *loaded, *flags.split()]) == 0
    return Workspace.load(model)


def coefficients(workspace: Workspace) -> list[np.ndarray]:
    """Means and variances of the constant and the nine features."""
    found = workspace.bottom.coefficients()
    columns = [CONSTANT, *map(feature, column_names())]
    assert set(found) == set(columns)
    return list(np.array([found[column] for column in columns]).T)


def test_the_published_logistic_optimum_from_the_command_line(tmp_path):
    exact = REFERENCE["exact"]["logistic"]
    means, variances = coefficients(run(tmp_path, MOCK, "--logistic --l2 10 --posterior diagonal"))
    close(means, REFERENCE["logistic"]["final_theta"])
    np.testing.assert_allclose(means, exact["theta"], atol=1e-6)
    np.testing.assert_allclose(variances, exact["variance_diag"], rtol=1e-6)
    # a first batch has the whole ridge, whatever is forgotten
    (tmp_path / "glm.model").unlink()
    means, _ = coefficients(run(tmp_path, MOCK, "--bayes_logistic --forget 0.8 --batch_size all --l2 10"))
    np.testing.assert_allclose(means, exact["theta"], atol=1e-6)


def test_the_variances_of_a_full_posterior_are_those_of_the_inverse(tmp_path):
    means, variances = coefficients(run(tmp_path, MOCK, "--logistic --l2 10"))
    x = np.array(mock()[0])
    s = x @ means + np.array(mock()[3])
    precision = x.T @ (x * (1 / (2 + np.exp(s) + np.exp(-s)))[:, None]) + 10 * np.eye(10)
    np.testing.assert_allclose(variances, np.diag(np.linalg.inv(precision)), rtol=1e-6)


def test_a_second_batch_starts_from_the_posterior_of_the_first(tmp_path):
    flags = "--bayes_logistic --forget 0.8 --batch_size all --l2 10"
    first, _ = coefficients(run(tmp_path, MOCK, flags))
    lines = MOCK.splitlines(keepends=True)
    second, variances = coefficients(run(tmp_path, "".join(lines[500:]), ""))
    x, y, w, o = (np.array(part) for part in mock())
    s = x @ first + o
    data = x.T @ (x * (1 / (2 + np.exp(s) + np.exp(-s)))[:, None])
    prior = 0.8 * (data + 10 * np.eye(10)) + 2 * np.eye(10)
    mean = np.linalg.solve(prior, 0.8 * (data + 10 * np.eye(10)) @ first)
    part = slice(500, None)
    args = [part_of[part].tolist() for part_of in (x, y, w, o)]
    expected, _, curvature, _, _ = minimise(*args, prior.tolist(), mean.tolist(), mean.tolist(), True)
    np.testing.assert_allclose(second, expected, atol=1e-6)
    np.testing.assert_allclose(variances, np.diag(np.linalg.inv(prior + np.array(curvature))), rtol=1e-6)


def test_the_published_scores():
    """Coefficients that data all but fix: a wide prior and one exact record for each."""
    case = REFERENCE["scorer"]
    teacher = Workspace("--bayes_linear --l2 1e-9 --noconstant")
    teacher.learn([f"{t} 1e9 |a f{k}" for k, t in enumerate(case["theta"])])
    lines = [
        f"0 1 {offset} |a " + " ".join(f"f{k}:{value}" for k, value in enumerate(row))
        for row, offset in zip(case["X"], case["offsets"], strict=True)
    ]
    teacher.driver.top.loss.min_label, teacher.driver.top.loss.max_label = -10, 10
    assert teacher.predict(lines) == pytest.approx(case["expected"], rel=1e-6)


# The package itself


@pytest.fixture(scope="module")
def peer():
    learner, why = "linkedin.learner", "lambda-learner is not installed"
    trainers = f"{learner}.prediction.trainer_sequential_bayesian_logistic_loss_with_l2"
    dataset = pytest.importorskip(f"{learner}.ds.indexed_dataset", reason=why).IndexedDataset
    indexed_model = pytest.importorskip(f"{learner}.ds.indexed_model", reason=why).IndexedModel
    hessian_type = pytest.importorskip(f"{learner}.prediction.hessian_type", reason=why).HessianType
    sequential = pytest.importorskip(trainers, reason=why).TrainerSequentialBayesianLogisticLossWithL2

    def batch(x: np.ndarray, y: np.ndarray, o: np.ndarray, model: Any, kind: str, penalty: float, delta: float) -> Any:
        data = dataset(sparse.csc_matrix(x), y, np.ones(len(y)), o)
        before = indexed_model(np.zeros(x.shape[1])) if model is None else model
        trainer = sequential(
            training_data=data, initial_model=before, hessian_type=hessian_type[kind], penalty=penalty, delta=delta
        )
        try:
            found, _, about = trainer.train(precision=10)
        except TypeError as error:  # SciPy 1.18 took an argument away that they pass
            pytest.skip(f"lambda-learner doesn't run with this SciPy: {error}")
        assert about["warnflag"] != 2
        return found

    return batch


def batches(seed: int, entities: list[str], count: int, size: int, p: int) -> list[tuple[str, Any, Any, Any]]:
    """Batches of an entity each: rows with the constant in front, labels, offsets. Every column is in every batch."""
    source = np.random.default_rng(seed)
    found = []
    for i in range(count):
        x = source.normal(size=(size, p)).astype(np.float32).astype(float)
        x[:, 1:] *= source.random((size, p - 1)) < 0.7
        x[0, 1:] += 0.25
        x[:, 0] = 1
        y = np.where(source.random(size) < 0.6, 1.0, -1.0)
        o = source.normal(size=size).astype(np.float32).astype(float)
        found.append((entities[i % len(entities)], x, y, o))
    return found


@pytest.mark.parametrize("delta", [1.0, 0.8])
@pytest.mark.parametrize(("kind", "penalty"), [("FULL", 1.5), ("DIAGONAL", 1.5), ("IDENTITY", 1.5), ("IDENTITY", 0.5)])
def test_entities_go_through_minibatches_as_in_lambda_learner(peer, kind, penalty, delta):
    p, size = 5, 6
    workspace = Workspace(
        f"--bayes_logistic --posterior {kind.lower()} --forget {delta} --batch_size {size} "
        f"--random_effect user:a --effect_l2 {penalty} --fixed none --shrink zero"
    )
    effect = workspace.top.base.beside[0]
    columns = [CONSTANT, *(feature(f"f{k}") for k in range(1, p))]
    models: dict[str, Any] = {}
    keys: dict[str, int] = {}
    for entity, x, y, o in batches(5, ["ann", "bob"], 10, size, p):
        for row, label, offset in zip(x, y, o, strict=True):
            features = " ".join(f"f{k}:{float(row[k])!r}" for k in range(1, p) if row[k])
            workspace.learn(f"{label:g} 1 {float(offset)!r} |user {entity} |a {features}")
        models[entity] = peer(x, y, o, models.get(entity), kind, penalty, delta)
        keys.setdefault(entity, entity_key("user", entity))
        found = effect.coefficients(keys[entity])
        means, variances = np.array([found[column] for column in columns]).T
        np.testing.assert_allclose(means, models[entity].theta, atol=3e-5, rtol=5e-4)
        precision = models[entity].hessian.toarray()
        np.testing.assert_allclose(variances, np.diag(np.linalg.inv(precision)), rtol=1e-4)


def entity_key(namespace: str, name: str) -> int:
    """What an entity is known by."""
    seed = feature_hash(namespace.encode())
    return murmur3_32(name.encode(), seed) << 32 | murmur3_32(name.encode(), seed ^ 0xFFFFFFFF)


@pytest.mark.parametrize("delta", [1.0, 0.8])
@pytest.mark.parametrize("kind", ["FULL", "DIAGONAL", "IDENTITY"])
def test_features_that_come_and_go_are_forgotten_as_in_lambda_learner(peer, kind, delta):
    """There every coefficient is touched by every batch, here those without data are brought up to date later."""
    source = random.Random(3)
    p, penalty = 6, 2.0
    flags = f"--bayes_logistic --posterior_mode --posterior {kind.lower()} --forget {delta} --l2 {penalty} --noconstant"
    workspace = Workspace(flags)
    columns = [feature(f"f{k}") for k in range(p)]
    model = None
    for i in range(25):
        x = np.zeros((1, p))
        for k in source.sample(range(p), 2 if i else p):
            x[0, k] = source.choice([1.0, -0.5, 2.0])
        y = np.array([source.choice([-1.0, 1.0])])
        workspace.learn(f"{y[0]:g} |a " + " ".join(f"f{k}:{x[0, k]:g}" for k in range(p) if x[0, k]))
        model = peer(x, y, np.zeros(1), model, kind, penalty, delta)
        everything = " ".join(f"f{k}:{k + 1}" for k in range(p))
        score = float(np.arange(1, p + 1) @ model.theta)
        assert workspace.predict(f"|a {everything}") == pytest.approx(score, abs=2e-3, rel=1e-3)
    found = workspace.bottom.coefficients()
    assert set(found) == set(columns)
