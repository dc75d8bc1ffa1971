"""What is acknowledged survives kill -9, restarts and hand-overs, and a retry teaches once."""

import os
import random
import threading
import time

import httpx
import pytest

from tests.support.http_server import PATIENCE, HttpServer, ndjson, rows, serving, wait_for
from vwlite import Workspace

KILLS = int(os.environ.get("VWLITE_FAULTS", "20"))
NDJSON = {"Content-Type": "application/x-ndjson"}
FLAGS = "--loss_function logistic --link logistic"
GONE = (httpx.TransportError,)


def some(n, seed):
    source = random.Random(seed)
    return [
        {"features": {"x": source.randrange(10), "c": f"w{source.randrange(5)}"}, "label": source.random() < 0.5}
        for _ in range(n)
    ]


class Restarted:
    """A server that is killed and started again at the same port."""

    def __init__(self, folder, *words):
        self.folder, self.words = folder, words
        self.server = HttpServer(folder, *words)
        self.port = self.server.port
        self.url = self.server.url

    def kill(self):
        self.server.kill()
        self.server = HttpServer(self.folder, *self.words, port=self.port)


def insistent(url, stop, path, content, key):
    """Sends a batch until it is answered."""
    while not stop.is_set():
        try:
            answer = httpx.post(
                url + path, content=content, headers={**NDJSON, "Idempotency-Key": key}, timeout=PATIENCE
            )
        except GONE:
            time.sleep(0.01)
            continue
        if answer.status_code == 200:
            return rows(answer)[-1]
        assert answer.status_code in (409, 503), answer.text
        time.sleep(0.01)
    return None


def test_retries_across_kills_teach_each_example_once(tmp_path):
    restarted = Restarted(tmp_path, "--dir", "models", "--autosave", "1s", "--model", f"ctr={FLAGS}")
    stop, count, errors = threading.Event(), [0] * 3, []

    def teach(number):
        i = 0
        while not stop.is_set():
            content = ndjson(some(700, seed=f"{number} {i}"))
            try:
                found = insistent(restarted.url, stop, "/v1/models/ctr:learn", content, f"{number}-{i}")
            except AssertionError as error:
                errors.append(error)
                return
            if found is not None:
                assert found["done"] == 700
                count[number] += 1
            elif insist_after(restarted.url, content, f"{number}-{i}"):
                count[number] += 1
            i += 1

    def insist_after(url, content, key):
        return insistent(url, threading.Event(), "/v1/models/ctr:learn", content, key) is not None

    threads = [threading.Thread(target=teach, args=(number,)) for number in range(3)]
    for each in threads:
        each.start()
    source = random.Random(7)
    for _ in range(KILLS):
        time.sleep(source.random() * 0.3)
        restarted.kill()
    stop.set()
    for each in threads:
        each.join(PATIENCE)
    assert not errors
    with httpx.Client(base_url=restarted.url) as client:
        card = client.get("/v1/models/ctr").json()
    assert card["examples"] == 700 * sum(count)
    assert sum(count) > 0
    restarted.server.stop()
    with serving(tmp_path, "--dir", "models") as server:  # and after an orderly end
        assert server.client().get("/v1/models/ctr").json()["examples"] == 700 * sum(count)


def test_labels_across_kills_are_learned_once(tmp_path):
    restarted = Restarted(tmp_path, "--dir", "models", "--model", f"ctr={FLAGS}")
    learned = 0
    source = random.Random(3)
    for round_number in range(max(KILLS // 4, 3)):
        with httpx.Client(base_url=restarted.url, timeout=PATIENCE) as client:
            identifiers = [
                client.post("/v1/models/ctr:predict", json={"features": {"x": i}, "remember": True}).json()["id"]
                for i in range(10)
            ]
            for each in identifiers[:5]:
                assert client.post("/v1/models/ctr:label", json={"id": each, "label": True}).status_code == 200
                learned += 1
        restarted.kill()
        with httpx.Client(base_url=restarted.url, timeout=PATIENCE) as client:
            for each in identifiers[:5]:
                assert client.post("/v1/models/ctr:label", json={"id": each, "label": True}).status_code == 410
            for each in identifiers[5 : 5 + source.randrange(5)]:
                assert client.post("/v1/models/ctr:label", json={"id": each, "label": False}).status_code == 200
                learned += 1
            card = client.get("/v1/models/ctr").json()
            assert card["examples"] == learned, round_number
            metrics = client.get("/v1/models/ctr/metrics").json()["metrics"]
    assert 0 < metrics["Accuracy"] < 1
    restarted.server.stop()


def test_models_and_metrics_are_the_same_after_a_kill(tmp_path):
    found = some(300, seed=1)
    kinds = {"ctr": FLAGS, "value": "--bayes_linear", "animals": "--oaa 3 --loss_function logistic --probabilities"}
    words = ["--dir", "models", *(word for name, flags in kinds.items() for word in ("--model", f"{name}={flags}"))]
    restarted = Restarted(tmp_path, *words)

    def state(client):
        shown = {}
        for name in kinds:
            answer = client.post(f"/v1/models/{name}:predict", json={"features": {"x": 3, "c": "w1"}}).json()
            metrics = client.get(f"/v1/models/{name}/metrics").json()
            shown[name] = answer, metrics["metrics"], client.get(f"/v1/models/{name}").json()
        return shown

    with httpx.Client(base_url=restarted.url, timeout=PATIENCE) as client:
        client.post("/v1/models/ctr:learn", content=ndjson(found), headers=NDJSON)
        for each in found[:50]:
            client.post("/v1/models/value:learn", json={"features": each["features"], "label": each["features"]["x"]})
            client.post(
                "/v1/models/animals:learn",
                json={"features": each["features"], "label": each["features"]["c"][:2] + "ab"[each["label"]]},
            )
        before = state(client)
    restarted.kill()
    with httpx.Client(base_url=restarted.url, timeout=PATIENCE) as client:
        assert state(client) == before
    restarted.server.stop()
    workspace = Workspace(FLAGS)
    for each in found:
        workspace.learn(each["features"], 1 if each["label"] else -1)
    wanted = workspace.predict({"x": 3, "c": "w1"})
    assert before["ctr"][0]["prediction"] == pytest.approx(wanted, abs=1e-6)


def test_a_hand_over_refuses_nobody(tmp_path):
    words = ["--dir", "models", "--model", f"ctr={FLAGS}"]
    first = HttpServer(tmp_path, *words)
    stop, done, troubles = threading.Event(), [0], []

    def teach():
        while not stop.is_set():
            try:
                answer = httpx.post(f"{first.url}/v1/models/ctr:learn", json={"features": {"a": 1}, "label": True},
                                    timeout=PATIENCE)  # fmt: skip
                answer.raise_for_status()
                done[0] += 1
            except httpx.HTTPError as error:
                troubles.append(repr(error))

    thread = threading.Thread(target=teach)
    thread.start()
    servers = [first]
    for _ in range(3):
        before = done[0]
        wait_for(lambda before=before: done[0] >= before + 20 or troubles)
        assert not troubles, (troubles, servers[-1].log)
        servers.append(HttpServer(tmp_path, *words, "--take_over", port=first.port))
        assert servers[-2].process.wait(PATIENCE) == 0
    stop.set()
    thread.join(PATIENCE)
    assert not troubles
    with servers[-1].client() as client:
        assert client.get("/v1/models/ctr").json()["examples"] == done[0]
    assert servers[-1].stop() == 0


def loaded(text):
    """How many models are in memory, by the figures for Prometheus."""
    return float(next(line for line in text.splitlines() if line.startswith("vwlite_models_loaded")).split()[1])


def test_models_that_rest_come_back(tmp_path):
    with serving(tmp_path, "--dir", "models", "--max_loaded", "3") as server, server.client() as client:
        for i in range(10):
            client.put(f"/v1/models/m{i}", json={"options": FLAGS})
        for turn in range(3):
            for i in range(10):
                found = client.post(f"/v1/models/m{i}:learn", json={"features": {"a": i}, "label": bool(i % 2)}).json()
                assert found["examples"] == turn + 1
        until = time.monotonic() + PATIENCE
        while loaded(client.get("/metrics").text) >= 10:  # a changed model is saved first, which takes a while
            assert time.monotonic() < until
            time.sleep(0.01)
        assert [each["examples"] for each in client.get("/v1/models").json()["models"]] == [3] * 10


def test_the_last_save_of_sigterm_needs_no_journal(tmp_path):
    with serving(tmp_path, "--dir", "models", "--no_journal", "--model", f"ctr={FLAGS}") as server:
        server.client().post("/v1/models/ctr:learn", content=ndjson(some(50, 1)), headers=NDJSON)
    assert not (tmp_path / "models" / "journal").exists()
    with serving(tmp_path, "--dir", "models", "--no_journal") as server:
        assert server.client().get("/v1/models/ctr").json()["examples"] == 50
