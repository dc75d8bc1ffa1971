"""What is refused leaves nothing behind: no used identifier, no known key, no named class, no memory that grows."""

from typing import Any

import pytest

from tests.support.http_server import ndjson, rows, serving

FLAGS = "--loss_function logistic --link logistic"
NDJSON = {"Content-Type": "application/x-ndjson"}
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def classes(client):
    """The path of a model of three classes."""
    path = "/v1/models/classes"
    client.put(path, json={"options": "--oaa 3"})
    yield path
    client.delete(path)


def remembered(client, path):
    return client.post(f"{path}:predict", json={"features": {"a": 1}, "remember": True}).json()["id"]


def test_a_label_that_is_refused_does_not_use_the_prediction(client, classes):
    one = remembered(client, classes)
    for label in (7, "a b", None):
        assert client.post(f"{classes}:label", json={"id": one, "label": label}).status_code == 400
    assert client.post(f"{classes}:label", json={"id": one, "label": 2}).status_code == 200
    assert client.post(f"{classes}:label", json={"id": one, "label": 2}).status_code == 410
    two = remembered(client, classes)
    labels = [{"id": two, "label": 7}, {"id": two, "label": 2}, {"id": two, "label": 2}]
    found = rows(client.post(f"{classes}:label", content=ndjson(labels), headers=NDJSON))
    assert ["error" in each for each in found] == [True, False, True, False]
    assert found[-1]["examples"] == 2


def test_a_request_that_is_refused_has_not_used_its_key(client, classes):
    headers = {"Idempotency-Key": "wrong"}
    for _ in range(2):
        answer = client.post(f"{classes}:learn", json={"features": {"a": 1}, "label": 7}, headers=headers)
        assert answer.status_code == 400, answer.text


def test_an_example_that_is_refused_names_no_class(client, model):
    for path, body in ((f"{model}:learn", {"label": "spam"}), ("/api/learn/", {"ground_truth": "spam"})):
        content: dict[str, Any] = {**body, "features": {"a": [[1]]}}
        if path.startswith("/api"):
            content["model"] = model.rpartition("/")[2]
        assert client.post(path, json=content).status_code == 400
    assert client.post(f"{model}:learn", json={"features": {"a": 1}, "label": "ham"}).status_code == 200
    assert client.post(f"{model}:learn", json={"features": {"a": 1}, "label": "eggs"}).status_code == 200
    assert client.get(model).json()["labels"] == {"positive": "ham", "negative": "eggs"}


@pytest.mark.parametrize("text", [b"1 | a\r b\n-1 | b\n", b"\xef\xbb\xbf1 | a\r\n-1 | b\r\n", b"\n\n1 | a\x0b\n-1 | b"])
def test_lines_with_other_ends(client, model, text):
    answer = client.post(f"{model}:learn", content=text, headers=TEXT)
    assert answer.status_code == 200, answer.text
    assert client.get(model).json()["examples"] == 2
    assert client.get(f"{model}/metrics").json()["metrics"]["Accuracy"] >= 0


def test_names_with_other_ends(client, model):
    lines = [{"features": {"a\rb\u2028": 1, "c": "x\r\ny\x0b\x85", "_label": 3}, "label": True}] * 3
    found = rows(client.post(f"{model}:learn", content=ndjson(lines), headers=NDJSON))
    assert found[-1]["done"] == 3
    assert client.get(model).json()["examples"] == 3


@pytest.mark.parametrize("top", ["²", "0" * 5000 + "5", "-1", "1e2", "٣", "0", "1001", ""])
def test_numbers_in_a_query(client, model, top):
    assert client.get(f"{model}/weights", params={"top": top}).status_code == 400


@pytest.mark.parametrize("last", ["9" * 5000, "-1", "x", "1.5"])
def test_numbers_of_events(client, model, last):
    with client.stream("GET", f"{model}/events", headers={"Last-Event-ID": last}) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("flags", ["--bayes_linear --posterior_full 30000", "--crossing_limit 10000000 -q ::"])
def test_flags_that_ask_for_much(client, flags):
    answer = client.put("/v1/models/much", json={"options": flags})
    assert answer.status_code == 400
    assert "the operator can give more" in answer.json()["detail"]


def test_a_word_that_comes_very_often_beside_a_random_effect(client):
    path = "/v1/models/effect"
    client.put(path, json={"options": "--bayes_linear --random_effect user"})
    for _ in range(2):
        answer = client.post(f"{path}:learn", content=b"1 |user id=3 |x" + b" w" * 600_000 + b"\n", headers=TEXT)
        assert not answer.text.startswith("!error"), answer.text
    client.delete(path)


def test_names_of_features_are_bounded(client, model):
    text = b"1 |" + b"".join(b" w%d" % i for i in range(20_000)) + b"\n"
    client.post(f"{model}:learn", content=text, headers=TEXT)
    assert len(client.get(f"{model}/file").content) < 20_000 * 20


def test_flags_outlive_a_restart(tmp_path):
    """Those that a model file has not, too."""
    body = {"features": {"a": 1}}
    flags = {
        "interval": "--bayes_linear --interval 0.8",
        "columns": "--bayes_linear --columns prediction,sd",
        "bounded": "-q :: --crossing_limit 100",
        "entities": "--bayes_linear --random_effect user --entity_limit 3",
    }
    many = {"features": {f"f{i}": 1 for i in range(300)}}
    with serving(tmp_path, "--dir", "models") as server, server.client() as client:
        for name, options in flags.items():
            assert client.put(f"/v1/models/{name}", json={"options": options}).status_code == 201
        for i in range(20):
            example = {"features": {"user": {"id": f"u{i}"}}, "label": i}
            assert client.post("/v1/models/entities:learn", json=example).status_code == 200
        client.post("/v1/models/interval:learn", json={**body, "label": 1})
        before = [client.post(f"/v1/models/{name}:predict", json=body).json() for name in flags]
        refused = client.post("/v1/models/bounded:predict", json=many)
        assert refused.status_code == 400
        server.kill()
        server.process.returncode = 0
    for _ in range(2):
        with serving(tmp_path, "--dir", "models") as server, server.client() as client:
            assert [client.post(f"/v1/models/{name}:predict", json=body).json() for name in flags] == before
            assert client.post("/v1/models/bounded:predict", json=many).json() == refused.json()
            assert client.get("/v1/models/entities/file").status_code == 409  # some entities are on disk


def test_crossed_features_are_bounded_after_a_kill(tmp_path):
    with serving(tmp_path, "--dir", "models", "--model", "m=-q ::") as server:
        server.client().post("/v1/models/m:learn", json={"features": {"a": 1}, "label": 1})
        server.kill()
        server.process.returncode = 0
    with serving(tmp_path, "--dir", "models") as server:
        many = {"features": {f"f{i}": 1 for i in range(2000)}}
        assert server.client().post("/v1/models/m:predict", json=many).status_code == 400
