"""Pages of other origins, Arrow streams that are damaged or say too much, and events of large examples."""

import contextlib
import json
import os
import random
import socket

import httpx
import pytest

from tests.support.http_server import PATIENCE, serving, wait_for

FLAGS = "--loss_function logistic --link logistic"
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}
PAGE = "https://app.example"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    (folder / "token").write_text("a-token-of-enough-length\n")
    (folder / "token").chmod(0o600)
    with serving(folder, "--token_file", "token", "--allow_origin", PAGE, "--model", f"ctr={FLAGS}") as found:
        yield found


def words(answer, name):
    return {each.strip().lower() for each in answer.headers.get(name, "").split(",")}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/v1/models/ctr:learn", "authorization,content-type,idempotency-key"),
        ("PUT", "/v1/models/new", "authorization,content-type"),
        ("DELETE", "/v1/models/ctr", "authorization"),
        ("GET", "/v1/models/ctr/events", "authorization,last-event-id"),
        ("GET", "/v1/models/ctr/file", "if-none-match"),
        ("POST", "/api/learn/", "content-type,content-encoding"),
    ],
)
def test_browsers_let_pages_of_an_allowed_origin_ask(open_server, method, path, headers):
    asked = {"Origin": PAGE, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    answer = httpx.options(open_server.url + path, headers=asked)
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "origin" in words(answer, "vary")
    assert method.lower() in words(answer, "access-control-allow-methods")
    assert set(headers.split(",")) <= words(answer, "access-control-allow-headers")


def test_pages_of_an_allowed_origin_read_the_answers(open_server):
    headers = {"Origin": PAGE, "Authorization": "Bearer a-token-of-enough-length"}
    url = f"{open_server.url}/v1/models/ctr"
    for answer in (
        httpx.get(url, headers=headers),
        httpx.post(f"{url}:predict", json={"features": {"a": 1}}, headers=headers),
        httpx.get(f"{url}/none", headers=headers),
        httpx.get(url, headers={"Origin": PAGE}),
    ):
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert {"etag", "www-authenticate"} <= words(answer, "access-control-expose-headers")


def test_other_origins_get_no_answer_that_lets_them(open_server, server):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for url in (open_server.url, server.url):
        answer = httpx.options(f"{url}/v1/models/ctr:learn", headers=asked)
        assert answer.status_code == 403
        assert not any(name.startswith("access-control") for name in answer.headers)
    answer = httpx.options(f"{server.url}/v1/models", headers={"Access-Control-Request-Method": "GET"})
    assert answer.status_code == 405


def stream(table, **how):
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_damaged_arrow_streams_are_refused(client, model):
    pa = pytest.importorskip("pyarrow")
    count = 50
    columns = {
        "y": pa.array([True, False] * (count // 2)),
        "s": pa.array([f"word{i}" for i in range(count)]),
        "v": pa.array(["word", None] * (count // 2), pa.string_view()),
        "d": pa.array(["a", "b"] * (count // 2)).dictionary_encode(),
        "l": pa.array([[1, 2]] * count),
        "n": pa.array([{"a": 1, "b": "x"}] * count),
    }
    good = stream(pa.table(columns))
    source = random.Random(5)
    statuses = set()
    for _ in range(400):
        bad = bytearray(good)
        for _ in range(source.choice([1, 1, 2, 5])):
            bad[source.randrange(len(bad))] = source.choice([0, 255, 127, 128, source.randrange(256)])
        answer = client.post(f"{model}:learn?label=y", content=bytes(bad), headers=ARROW)
        statuses.add(answer.status_code)
        if answer.status_code != 200:
            assert answer.json()["detail"]
    assert statuses <= {200, 400, 413, 415}
    assert client.post(f"{model}:learn?label=y", content=good, headers=ARROW).status_code == 200


def test_arrow_streams_that_are_larger_than_they_look(client, model):
    pa = pytest.importorskip("pyarrow")
    count = 1000
    labels = pa.array([True] * count)
    often = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), pa.array(["x" * 100_000]))
    nested = pa.StructArray.from_arrays([often], ["inner"])
    lists = pa.ListArray.from_arrays(pa.array(range(count + 1), pa.int32()), often)
    for column in (often, nested, lists):
        answer = client.post(
            f"{model}:learn?label=y", content=stream(pa.table({"y": labels, "x": column})), headers=ARROW
        )
        assert answer.status_code == 413, answer.text
        assert "--max_body" in answer.json()["detail"]
    packed = stream(pa.table({"y": labels, "x": pa.array(["x" * 1000] * count)}), compression="zstd")
    answer = client.post(f"{model}:learn?label=y", content=packed, headers=ARROW)
    assert answer.status_code == 415
    assert client.get(model).json()["examples"] == 0
    few = pa.table({"y": labels, "x": pa.array(["a", "b"] * (count // 2)).dictionary_encode()})
    assert client.post(f"{model}:learn?label=y", content=stream(few), headers=ARROW).status_code == 200


def events(client, path, after):
    """The events after a number that are known, up to one that is made now."""
    with client.stream("GET", path, headers={"Last-Event-ID": str(after)}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                yield json.loads(line.removeprefix("data: "))


def test_events_keep_neither_models_nor_large_examples(client, server):
    client.put("/v1/models/one", json={"options": FLAGS})
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(httpx.Client(base_url=server.url, timeout=PATIENCE))
        stack.enter_context(other.stream("GET", "/v1/events"))
        large = {"features": {f"f{i}": 1 for i in range(20_000)}, "label": True}
        assert client.post("/v1/models/one:learn", json=large).status_code == 200
        client.post("/v1/models/one:learn", json={"features": {"a": 1}, "label": True})
        found = events(client, "/v1/models/one/events", 0)
        first, second = next(found), next(found)
        while "prediction" not in first:
            first, second = second, next(found)
        found.close()
        assert "features" not in first
        assert second["features"] == {"a": 1}
        assert first["id"] != second["id"]
    client.delete("/v1/models/one")


def test_the_end_of_a_head_comes_in_two_parts(client, server, model):
    body = b'{"features": {"a": "' + b"x" * 100_000 + b'"}}'
    head = (
        f"POST {model}:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    for part in (1, 2, 3):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as one:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(head[:-part])
            assert client.get("/healthz").status_code == 200  # then the server has read what came before
            one.sendall(head[-part:] + body)
            assert one.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files of another process")
@pytest.mark.parametrize("kept", ["close", "keep-alive"])
def test_a_client_that_reads_no_answer_is_closed(tmp_path, kept):
    words = ["--read_timeout", "0.5", "--model", "m=--oaa 10 --loss_function logistic --probabilities"]
    body = b'{"features": {"a": 1}}\n' * 100_000
    head = (
        f"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        f"Content-Length: {len(body)}\r\nConnection: {kept}\r\n\r\n"
    ).encode()
    with serving(tmp_path, *words) as server:
        folder = f"/proc/{server.process.pid}/fd"

        def sockets():
            found = set()
            for each in os.listdir(folder):
                with contextlib.suppress(OSError):
                    found.add(os.readlink(f"{folder}/{each}"))
            return {each for each in found if each.startswith("socket:")}

        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", server.port))
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            found = b""
            while b"alive" not in found:
                found += one.recv(4096)
            there = sockets()  # this one among them
            one.sendall(head + body)
            wait_for(lambda: there - sockets())
