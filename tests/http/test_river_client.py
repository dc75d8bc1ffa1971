"""River's own client, riverapi, unmodified, as its tutorial uses it."""

import json
import queue
import subprocess
import sys
import threading
import time

import pytest
from river import datasets, linear_model, metrics, multiclass, optim, preprocessing
from riverapi.main import Client

from tests.support.http_server import PATIENCE, serving

PIPELINES = {
    "regression": lambda: preprocessing.StandardScaler() | linear_model.LinearRegression(intercept_lr=0.1),
    "binary": lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(),
}
DATA = {"regression": datasets.TrumpApproval, "binary": datasets.Phishing}
METRICS = {
    "regression": {"MAE": metrics.MAE, "RMSE": metrics.RMSE, "SMAPE": metrics.SMAPE},
    "binary": {
        "Accuracy": metrics.Accuracy, "LogLoss": metrics.LogLoss, "Precision": metrics.Precision,
        "Recall": metrics.Recall, "F1": metrics.F1,
    },
    "multiclass": {
        "Accuracy": metrics.Accuracy, "CrossEntropy": metrics.CrossEntropy, "MacroPrecision": metrics.MacroPrecision,
        "MacroRecall": metrics.MacroRecall, "MacroF1": metrics.MacroF1, "MicroPrecision": metrics.MicroPrecision,
        "MicroRecall": metrics.MicroRecall, "MicroF1": metrics.MicroF1,
    },
}  # fmt: skip


@pytest.fixture
def river(server):
    return Client(server.url, quiet=True)


@pytest.fixture(scope="module", params=["open", "signed in"])
def either(request, tmp_path_factory):
    """A client of a server that everybody may use, and one that has signed in."""
    folder = tmp_path_factory.mktemp("either")
    words = ["--dir", "models"]
    if request.param == "signed in":
        (folder / "token").write_text("a-token-of-enough-length\n")
        (folder / "token").chmod(0o600)
        words += ["--token_file", "token"]
    with serving(folder, *words) as server:
        client = Client(server.url)  # not quiet: it prints each answer, which has to be JSON
        client.user, client.token = "ann", "a-token-of-enough-length"
        yield client


@pytest.mark.parametrize("flavor", ["regression", "binary"])
def test_the_tutorial(either, flavor, tmp_path, capsys):
    """Upload, learn, predict, label later, metrics, stats, model, download, delete."""
    assert either.info()["status"] == "running"
    name = either.upload_model(PIPELINES[flavor](), flavor)
    assert name in either.models()["models"]
    ours, here = PIPELINES[flavor](), {each: make() for each, make in METRICS[flavor].items()}
    for i, (x, y) in enumerate(DATA[flavor]().take(150)):
        found = either.predict(name, x)
        if flavor == "regression":
            wanted = ours.predict_one(x)
            predicted = found["prediction"]
            assert predicted == pytest.approx(wanted, rel=1e-5, abs=1e-5)
        else:
            predicted = {each == "true": value for each, value in found["prediction"].items()}
            assert predicted == pytest.approx(ours.predict_proba_one(x), abs=1e-5)
        for metric in here.values():
            metric.update(
                y, predicted if flavor == "regression" or not metric.requires_labels else predicted[True] > 0.5
            )
        ours.learn_one(x, y)
        if i % 2:
            assert either.learn(name, x, y) == "Successful learn."
        else:
            assert either.label(y, found["identifier"], name) == "Successful label."
    figures = either.metrics(name)
    assert set(figures) == set(METRICS[flavor])
    for each, metric in here.items():
        assert figures[each] == pytest.approx(metric.get(), rel=1e-4, abs=1e-6), each
    stats = either.stats(name)
    assert stats["predict"]["n_calls"] == stats["learn"]["n_calls"] == 150
    assert stats["learn"]["mean_duration"] > 0
    model = either.get_model_json(name)
    assert model["StandardScaler"]["with_std"] is True
    assert model["vwlite"]["examples"] == 150
    path = tmp_path / "model"
    either.download_model(name, str(path))
    assert path.stat().st_size > 500
    copy = either.upload_model(path.read_bytes(), flavor, f"copy-{flavor}")
    x, _ = next(iter(DATA[flavor]()))
    assert either.predict(copy, x)["prediction"] == either.predict(name, x)["prediction"]
    assert either.delete_model(name) == "Successful delete."
    assert name not in either.models()["models"]
    either.delete_model(copy)


def test_several_classes(river):
    name = river.upload_model(
        preprocessing.StandardScaler() | multiclass.OneVsOneClassifier(linear_model.LogisticRegression()), "multiclass"
    )
    here = {each: make() for each, make in METRICS["multiclass"].items() if each != "CrossEntropy"}
    for x, y in datasets.ImageSegments().take(400):
        predicted = river.predict(name, x)["prediction"]
        river.learn(name, x, y)
        for metric in here.values():
            metric.update(y, predicted)
    figures = river.metrics(name)
    assert set(figures) == set(METRICS["multiclass"])
    for each, metric in here.items():
        assert figures[each] == pytest.approx(metric.get(), rel=1e-6), each
    assert figures["Accuracy"] > 0.65


@pytest.mark.parametrize(
    ("options", "flavor"),
    [
        ("--loss_function logistic -l 0.1", "binary"),
        ({"options": "--bayes_linear"}, "regression"),
        ("--oaa 3", "multiclass"),
        ("--bayes_linear --forget 0.99", "custom"),
    ],
)
def test_flags_may_be_uploaded_through_the_client(river, options, flavor):
    name = river.upload_model(options, flavor)
    text = options if isinstance(options, str) else options["options"]
    assert river.get_model_json(name)["vwlite"]["options"].startswith(text)
    river.delete_model(name)


def told(server, code):
    """What the client says of an exchange that ends its program."""
    start = f"from riverapi.main import Client; client = Client({server.url!r})\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_the_client_is_told_what_is_wrong(server):
    assert "no model named 'nothing'" in told(server, "client.predict('nothing', {'a': 1})")
    bayes = "from river import naive_bayes; client.upload_model(naive_bayes.GaussianNB(), 'binary')"
    assert "GaussianNB is no linear model" in told(server, bayes)
    clusters = "from river import cluster; client.upload_model(cluster.KMeans(), 'cluster')"
    assert "vwlite learns from labels" in told(server, clusters)


def test_labels_are_used_once_and_by_their_model(river):
    one, two = river.upload_model("--bayes_linear", "regression"), river.upload_model("--bayes_linear", "regression")
    identifier = river.predict(one, {"a": 1})["identifier"]
    with pytest.raises(SystemExit):
        river.label(1, identifier, two)
    river.label(0, identifier, one)
    with pytest.raises(SystemExit):
        river.label(0, identifier, one)
    with pytest.raises(SystemExit):
        river.label(0, "unknown", one)
    assert river.metrics(one)["MAE"] == 0  # a label of 0 counts
    assert river.stats(one)["learn"]["n_calls"] == 1


def test_two_clients_at_once_lose_nothing(server, river):
    name = river.upload_model("--bayes_linear", "regression")

    def teach():
        client = Client(server.url, quiet=True)
        for i in range(50):
            client.learn(name, {"a": i % 3}, i % 5)

    threads = [threading.Thread(target=teach) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)
    assert river.get_model_json(name)["vwlite"]["examples"] == 200
    assert river.stats(name)["learn"]["n_calls"] == 200


@pytest.mark.parametrize("what", ["events", "metrics"])
def test_streams_are_read_while_another_learns(server, river, what):
    name = river.upload_model("--bayes_linear", "regression")
    listener = Client(server.url, quiet=True)
    found: queue.Queue[str] = queue.Queue()

    def listen():
        for line in listener.stream_events() if what == "events" else listener.stream_metrics():
            found.put(line)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    heard = False
    until = time.monotonic() + PATIENCE
    while not heard and time.monotonic() < until:  # the listener may not be there yet
        river.learn(name, {"a": 1}, 2)
        try:
            line = found.get(timeout=1)
            heard = True
        except queue.Empty:
            continue
    if what == "events":
        assert line == "event: learn"
        data = json.loads(found.get(timeout=PATIENCE).removeprefix("data: "))
        assert (data["model"], data["features"], data["ground_truth"]) == (name, {"a": 1}, 2)
    else:
        assert set(json.loads(line.removeprefix("data: "))) == {"MAE", "RMSE", "SMAPE"}


def test_a_long_lived_key_and_expired_tokens(either):
    if either.token and "Authorization" not in either.headers:
        either.models()
    if "Authorization" not in either.headers:
        return  # everybody may use this server
    either.set_header("Authorization", f"Bearer {either.token}")
    assert "models" in either.models()
    either.set_header("Authorization", "Bearer expired")
    assert "models" in either.models()  # the client signs in again by itself


def test_optimizers_that_are_near_are_told(river, server):
    import dill
    import httpx

    model = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.AdaGrad())
    answer = httpx.post(f"{server.url}/api/model/binary/", content=dill.dumps(model))
    assert answer.status_code == 201
    assert answer.json()["exact"] is False
    assert "AdaGrad" in answer.json()["notes"][0]
    answer = httpx.post(f"{server.url}/api/model/binary/?strict=true", content=dill.dumps(model))
    assert answer.status_code == 400
