"""Hostile and mistaken requests: each has its status and its reason, nothing changes, and the server goes on."""

import gzip
import json
import pickle
import socket
import zlib

import httpx
import pytest

from tests.support.http_server import PATIENCE, ndjson, serving

FLAGS = "--loss_function logistic --link logistic"
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    words = [
        "--dir",
        "models",
        "--read_timeout",
        "1",
        "--max_body",
        "100000",
        "--max_batch",
        "500",
        "--max_models",
        "20",
    ]
    with serving(tmp_path_factory.mktemp("tight"), *words) as found:
        yield found


@pytest.fixture
def ctr(client):
    """The path of a model that has learned, which is as it was, after the test."""
    path = "/v1/models/ctr"
    client.put(path, json={"options": FLAGS})
    client.post(f"{path}:learn", json={"features": {"a": 1}, "label": True})
    client.post(f"{path}:learn", json={"features": {"b": 1}, "label": False})
    before = client.get(path).json()
    yield path
    assert client.get(path).json() == before
    assert client.get("/readyz").status_code == 200


def problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["detail"]
    return found


@pytest.mark.parametrize(
    ("body", "words", "offset"),
    [
        (b"", "not JSON", 1),
        (b"{", "not JSON", 2),
        (b'{"features": {"a": 1}, "label": true', "not JSON", 37),
        (b'{"features": {"a": 1, "a": 2}, "label": true}', "twice", 24),
        (b'{"features": {"a": NaN}, "label": true}', "not JSON", 20),
        (b'{"features": {"a": Infinity}, "label": true}', "not JSON", 20),
        (b'{"features": {"a": 1e999}, "label": true}', "too large", 20),
        (b'{"features": {"a": 1' + b"0" * 400 + b'}, "label": true}', "too large", 20),
        (b'{"features": {"\\ud800": 1}, "label": true}', "surrogate", 16),
        (b'{"features": {"a\\u0000": 1}, "label": true}', "NUL", 16),
        (b'{"features": {"a\xff": 1}, "label": true}', "UTF-8", 17),
        (b'{"features": ' + b'{"a": ' * 70 + b"1" + b"}" * 70 + b', "label": true}', "inside each other", None),
        (b'{"features": {' + b", ".join(b'"%d":1' % i for i in range(9000)) + b'}, "label": true} x', "not JSON", None),
        (b'{"features": {"a": 1}, "label": true}{"features": {"a": 1}, "label": true}', "not JSON", 38),
    ],
)
def test_json_that_bites(client, ctr, body, words, offset):
    found = problem(client.post(f"{ctr}:learn", content=body, headers=JSON), 400)
    assert words in found["detail"]
    assert offset is None or found["offset"] == offset


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/features"),
        ({"features": {"a": 1}}, "/label"),
        ({"features": {"a": 1}, "label": None}, "/label"),
        ({"features": {"a": 1}, "label": [1]}, "/label"),
        ({"features": {"a": 1}, "label": {}}, "/label"),
        ({"features": {"a": 1}, "label": 7}, "/label"),
        ({"features": {"a": 1}, "label": "third"}, "/label"),
        ({"features": [1], "label": True}, "/features"),
        ({"features": "a", "label": True}, "/features"),
        ({"features": {"a": [[1]]}, "label": True}, "/features"),
        ({"features": {"a": 3.5e38}, "label": True}, None),
        ({"features": {"": {"x": 1}}, "label": True}, "/features"),
        ({"features": {"a": 1}, "label": True, "weight": -1}, "/weight"),
        ({"features": {"a": 1}, "label": True, "weight": "1"}, "/weight"),
        ({"features": {"a": 1}, "label": True, "labels": 1}, ""),
        ({"context": {}, "actions": {"a": {}}, "action": "a", "cost": 1, "probability": 1}, "/features"),
    ],
)
def test_requests_of_another_structure(client, ctr, body, pointer):
    assert problem(client.post(f"{ctr}:learn", json=body), 400).get("pointer") == pointer


def test_labels_of_a_regression(client):
    path = "/v1/models/regression"
    client.put(path, json={"kind": "regression"})
    for label in (True, "1", [1], 1e39):
        problem(client.post(f"{path}:learn", json={"features": {"a": 1}, "label": label}), 400)
    assert client.get(path).json()["examples"] == 0


def test_decisions_that_are_none(client):
    path = "/v1/models/choices"
    client.put(path, json={"kind": "bandit"})
    good = {"context": {"a": 1}, "actions": {"x": {}, "y": {}}, "action": "x", "probability": 0.5, "cost": 1}
    assert client.post(f"{path}:learn", json=good).status_code == 200
    for change, pointer in (
        ({"actions": {}}, "/actions"),
        ({"actions": {"": {}}}, "/actions"),
        ({"actions": ["x"]}, "/actions"),
        ({"actions": {"x": {"a": [[1]]}}}, "/actions/x"),
        ({"action": "z"}, "/action"),
        ({"probability": 0}, "/probability"),
        ({"probability": 1.5}, "/probability"),
        ({"cost": None}, "/cost"),
        ({"reward": 1}, "/cost"),
        ({"context": {"a": [[1]]}}, "/context"),
    ):
        assert problem(client.post(f"{path}:learn", json={**good, **change}), 400)["pointer"] == pointer, change
    assert client.get(path).json()["examples"] == 1


@pytest.mark.parametrize("kind", [None, "application/xml", "application/x-www-form-urlencoded", "text/html"])
def test_other_types_of_bodies(client, ctr, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    problem(client.post(f"{ctr}:learn", content=b'{"features": {}, "label": true}', headers=headers), 415)


def test_other_codings_and_gzip_that_grows(client, ctr):
    content = b'{"features": {"a": 1}, "label": true}'
    for coding, data, status in (
        ("br", content, 415),
        ("gzip", content, 400),
        ("gzip", gzip.compress(content)[:-9], 400),
        ("gzip", gzip.compress(content) + b"x", 400),
        ("gzip", zlib.compress(content), 400),
        ("gzip", gzip.compress(b" " * 50_000_000), 413),
    ):
        headers = {**JSON, "Content-Encoding": coding}
        problem(client.post(f"{ctr}:learn", content=data, headers=headers), status)


def test_bodies_and_batches_that_are_too_large(client, ctr):
    problem(client.post(f"{ctr}:learn", content=b" " * 100_001, headers=JSON), 413)
    line = {"features": {"a": 1}, "label": 5}
    problem(client.post(f"{ctr}:learn", content=ndjson([line] * 501), headers=NDJSON), 413)

    def pieces():
        for _ in range(200):
            yield b" " * 1000

    problem(client.post(f"{ctr}:learn", content=pieces(), headers=JSON), 413)


@pytest.mark.parametrize(
    "name", ["../x", "%2e%2e", "..", ".hidden", "a%00b", "x" * 129, "a b", "a%2fb", "ä", "-a", "a:b"]
)
def test_names_of_models(client, name):
    answer = client.put(f"/v1/models/{name}", json={"options": FLAGS})
    assert answer.status_code in (400, 404, 405), answer.text
    answer = client.post(f"/api/model/binary/{name}/", content=pickle.dumps("--bayes_logistic"))
    assert answer.status_code in (400, 404, 405), answer.text
    assert all(each["name"] != name for each in client.get("/v1/models").json()["models"])


@pytest.mark.parametrize(
    "flags",
    [
        "--no_such_flag", "-b 30", "-f /tmp/x", "-i /etc/passwd", "--cache_file x", "--port 1", "--journal x", "'",
        "-d /etc/passwd", "--config /etc/passwd", "--config=/etc/passwd", "/etc/passwd", "--passes 3", "--oaa 100000",
        "--fixed_effect x", "--columns_in @/etc/passwd", "-t", "--readable_model x", "--audit", "--daemon",
        "--token_file x",
    ],
)  # fmt: skip
def test_flags_that_a_served_model_has_not(client, flags):
    found = problem(client.put("/v1/models/never", json={"options": flags}), 400)
    assert "root:" not in found["detail"]
    found = problem(client.post("/api/model/custom/never/", content=pickle.dumps(flags)), 400)
    assert "root:" not in found["detail"]


class Bomb:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/vwlite-test-bomb",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"garbage", "can't be read"),
        (pickle.dumps(Bomb()), "system"),
        (pickle.dumps(Bomb())[:-3], "can't be read"),
        (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.", "can't be read"),
        (b"cos\nsystem\n.", "options"),
        (b"\x82\x01.", "outside"),
        (b"Pabc\n.", "outside"),
        (pickle.dumps(7), "options"),
        (pickle.dumps({"option": "x"}), "options"),
        (pickle.dumps([1, 2]), "options"),
        (b'{"options": 7}', "options"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{" + b"x" * 30, "the upload"),
        (b"(" * 5000 + b".", "can't be read"),
    ],
)
def test_uploads_that_are_none(client, content, words, tmp_path):
    found = problem(client.post("/api/model/custom/never/", content=content), 400)
    assert words in found["detail"]
    import os

    assert not os.path.exists("/tmp/vwlite-test-bomb")


def test_model_files_that_are_damaged(client, ctr):
    good = client.get(f"{ctr}/file").content
    for content in (
        good[:-5],
        good[:100],
        good[:40] + b"x" + good[41:],
        good + b"x",
        good.replace(b"vwlite", b"vwlitf", 1),
    ):
        answer = client.put("/v1/models/never", content=content, headers=OCTETS)
        problem(answer, 400)
    assert client.get("/v1/models/never").status_code == 404


def test_two_models_of_one_name_and_too_many(client):
    assert client.put("/v1/models/same", json={"options": FLAGS}).status_code == 201
    problem(client.put("/v1/models/same", json={"options": "--bayes_linear"}), 409)
    made = []
    for i in range(30):
        answer = client.put(f"/v1/models/many{i}", json={"options": FLAGS})
        if answer.status_code == 507:
            break
        made.append(i)
    assert "--max_models" in problem(answer, 507)["detail"]
    for i in made:
        client.delete(f"/v1/models/many{i}")


def test_foreign_hosts_and_pages(client, ctr, server):
    body = {"features": {"a": 1}, "label": True}
    problem(client.post(f"{ctr}:learn", json=body, headers={"Host": "evil.example"}), 421)
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{server.port}", "http://127.0.0.1:1"):
        problem(client.post(f"{ctr}:learn", json=body, headers={"Origin": origin}), 403)
    for site in ("cross-site", "same-site"):
        problem(client.post(f"{ctr}:learn", json=body, headers={"Sec-Fetch-Site": site}), 403)
    problem(client.get("/v1/models?token=secret"), 400)
    own = {"Origin": server.url}
    assert client.post(f"{ctr}:predict", json={"features": {}}, headers=own).status_code == 200


def talk(server, data, wait=True):
    """What the server answers to bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as one:
        one.sendall(data)
        found = b""
        while wait:
            piece = one.recv(4096)
            if not piece:
                break
            found += piece
        return found


HEAD = b"POST /v1/models/ctr:learn HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ", b"400"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 1000000000000\r\n\r\n", b"413"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"1 | victim\n\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"421"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow", b"408"),
        (HEAD + b"Content-Length: 50\r\n\r\n{", b"408"),
    ],
)
def test_heads_and_bodies_that_are_none(server, client, ctr, data, status):
    answer = talk(server, data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]


def test_silent_and_slow_clients_are_closed(server, client, ctr):
    assert talk(server, b"") == b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as one:
        one.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        answer = b""
        try:
            for _ in range(200):
                one.sendall(b" ")
                one.settimeout(0.05)
                try:
                    answer += one.recv(4096)
                except TimeoutError:
                    continue
                break
        except OSError:
            pass
        assert answer.startswith(b"HTTP/1.1 408") or answer == b""


def test_a_client_that_goes_away_in_the_middle(server, client, ctr):
    for cut in (30, 120, 160):
        talk(server, (HEAD + b"Content-Length: 50\r\n\r\n" + b" " * 40)[:cut], wait=False)


def test_requests_one_behind_the_other(server, client, ctr):
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = talk(server, one * 50 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert found.count(b"HTTP/1.1 200") == 51
    found = talk(server, one + b"garbage\r\n\r\n")
    assert found.count(b"HTTP/1.1 200") <= 1
    assert b"HTTP/1.1 400" in found


def test_listeners_that_do_not_read_miss_events_and_delay_nobody(server, client):
    path = "/v1/models/noise"
    client.put(path, json={"options": FLAGS})
    request = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as one:
        one.sendall(request)
        words = {"features": {"word": "x" * 20000}, "label": True}
        for _ in range(1500):
            assert client.post(f"{path}:learn", json=words).status_code == 200
        found = b""
        while b"event: lost" not in found:
            piece = one.recv(1 << 20)
            assert piece
            found = found[-100:] + piece
    client.delete(path)


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", "Digest x", "Basic %%"])
def test_without_the_token_nothing_is_told(tmp_path, given, protected):
    headers = {} if given is None else {"Authorization": given}
    for method, path in (
        ("GET", "/v1/models"), ("PUT", "/v1/models/x"), ("POST", "/v1/models/x:learn"), ("GET", "/metrics"),
        ("GET", "/api/models/"), ("GET", "/api/metrics/"), ("GET", "/api/stats/"), ("GET", "/api/stream/events/"),
        ("GET", "/api/stream/metrics/"), ("POST", "/api/label/"), ("POST", "/api/learn/"), ("GET", "/v1/events"),
        ("DELETE", "/v1/models/x"), ("POST", "/api/model/binary/"), ("GET", "/api/model/download/x/"),
    ):  # fmt: skip
        answer = httpx.request(method, protected.url + path, headers=headers)
        assert "token" in problem(answer, 401)["detail"]
        challenge = answer.headers["www-authenticate"]
        assert 'realm="' in challenge
        assert 'service="' in challenge
    for path in ("/healthz", "/readyz", "/api/", "/"):
        assert httpx.get(protected.url + path).status_code == 200


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protected")
    (folder / "token").write_text("a-token-of-enough-length\n")
    (folder / "token").chmod(0o600)
    with serving(folder, "--token_file", "token") as found:
        yield found


def test_limits_of_what_waits_for_labels(tmp_path):
    with serving(tmp_path, "--max_ids", "10", "--id_ttl", "0.5s", "--model", f"ctr={FLAGS}") as server:
        client = server.client()
        body = {"features": {"a": 1}, "remember": True}
        found = [client.post("/v1/models/ctr:predict", json=body).json()["id"] for _ in range(15)]
        first = client.post("/v1/models/ctr:label", json={"id": found[0], "label": True})
        assert problem(first, 404)  # newer ones have taken its place
        import time

        time.sleep(0.6)  # the time after which they expire: there is nothing else to wait for
        late = client.post("/v1/models/ctr:label", json={"id": found[-1], "label": True})
        assert "--id_ttl" in problem(late, 410)["detail"]
        assert client.get("/v1/models/ctr").json()["examples"] == 0


def test_the_body_is_json_for_clients_that_look_at_it_first(client):
    for method, path in (
        ("GET", "/nothing"),
        ("POST", "/v1/models"),
        ("GET", "/api/learn/"),
        ("PATCH", "/v1/models/x"),
    ):
        answer = client.request(method, path)
        assert answer.status_code in (404, 405)
        assert json.loads(answer.content)["message"]
