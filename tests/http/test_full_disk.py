"""A full disk: predictions go on, nothing is acknowledged that is not kept, and all goes on when there is room."""

import pytest

from tests.support import leftovers
from tests.support.http_server import ndjson, rows, serving, wait_for
from tests.support.leftovers import fill

FLAGS = "--loss_function logistic --link logistic"
NDJSON = {"Content-Type": "application/x-ndjson"}
SIZE = 8 << 20


@pytest.fixture
def small_disk(tmp_path):
    with leftovers.small_disk(tmp_path / "small", SIZE) as place:
        yield place


def test_learning_is_refused_until_there_is_room(small_disk, tmp_path):
    words = ["--dir", str(small_disk / "models"), "--model", f"ctr={FLAGS}"]
    lines = ndjson([{"features": {"word": "x" * 500, "n": i}, "label": bool(i % 3)} for i in range(4000)])
    with serving(tmp_path, *words) as server, server.client() as client:
        one = {"features": {"a": 1}, "label": True}
        assert client.post("/v1/models/ctr:learn", json=one).status_code == 200
        filler = fill(small_disk)
        answer = client.post("/v1/models/ctr:learn", content=lines, headers={**NDJSON, "Idempotency-Key": "k"})
        assert answer.status_code == 503, answer.text
        assert "No space left" in answer.json()["detail"]
        assert answer.headers["retry-after"]
        again = client.post("/v1/models/ctr:learn", json=one)
        assert again.status_code == 503
        assert client.get("/readyz").status_code == 503
        assert client.post("/v1/models/ctr:predict", json={"features": {"a": 1}}).status_code == 200
        filler.unlink()
        wait_for(lambda: client.get("/readyz").status_code == 200)
        answer = client.post("/v1/models/ctr:learn", content=lines, headers={**NDJSON, "Idempotency-Key": "k"})
        assert rows(answer)[-1]["examples"] == 4001
        server.kill()
    with serving(tmp_path, *words) as server, server.client() as client:
        assert client.get("/v1/models/ctr").json()["examples"] == 4001


def test_predictions_are_not_remembered_without_room(small_disk, tmp_path):
    with serving(tmp_path, "--dir", str(small_disk / "models"), "--model", f"ctr={FLAGS}") as server:
        client = server.client()
        body = {"features": {"word": "x" * 20000}, "remember": True}
        good = client.post("/v1/models/ctr:predict", json=body).json()["id"]
        filler = fill(small_disk)
        statuses = {client.post("/v1/models/ctr:predict", json=body).status_code for _ in range(30)}
        assert 503 in statuses
        assert client.post("/v1/models/ctr:predict", json={"features": {"a": 1}}).status_code == 200
        filler.unlink()
        assert client.post("/v1/models/ctr:predict", json=body).status_code == 200
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/v1/models/ctr:label", json={"id": good, "label": True}).status_code == 200


def test_models_are_not_made_without_room(small_disk, tmp_path):
    with serving(tmp_path, "--dir", str(small_disk / "models")) as server, server.client() as client:
        filler = fill(small_disk)
        answer = client.put("/v1/models/new", json={"options": FLAGS})
        assert answer.status_code == 503, answer.text
        assert client.get("/v1/models").json()["models"] == []
        filler.unlink()
        assert client.put("/v1/models/new", json={"options": FLAGS}).status_code == 201
