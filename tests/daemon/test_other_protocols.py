"""Browsers and other clients that don't speak VW's lines: one clear answer, and they teach nothing."""

import contextlib
import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command import VWLITE
from tests.support.daemon import ASYNCIO, UCB, Daemon, ask, make_token, read_all, serving, talk
from vwlite.daemon.other_protocols import LOOK, VW, recognize

BODY = b"1 | victim\n!save\n!snapshot stolen\n1 | victim\n"
DECISIONS = b"\n\n0:-1:0.5 | victim\n| other\n\n!save\n\n!snapshot stolen\n"
FETCH = (  # as Chromium sends fetch(url, {method: "POST", mode: "no-cors", body})
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:26542\r\nConnection: keep-alive\r\nContent-Length: 36\r\n"
    b'sec-ch-ua-platform: "Linux"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n'
    b"Content-Type: text/plain;charset=UTF-8\r\nAccept: */*\r\nOrigin: http://evil.example\r\n"
    b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nReferer: http://evil.example/\r\n\r\n"
)
REQUESTS = {
    "fetch": FETCH,
    "get": FETCH.replace(b"POST /", b"GET /index.html?a=b|c"),
    "preflight": FETCH.replace(b"POST /", b"OPTIONS *"),
    "own method": FETCH.replace(b"POST /", b"PROPFIND /folder"),
    "leading empty lines": b"\r\n\r\n\n" + FETCH,
    "many leading empty lines": b"\r\n" * 20_000 + FETCH,
    "no headers": b"GET /\r\n",
    "http/1.0": b"HEAD / HTTP/1.0\n\n",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a proxy's": b"GET http://127.0.0.1:26542/ HTTP/1.1\r\n\r\n",
    "tunnel": b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
    "long target": b"POST /" + b"a" * 50_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "target longer than a line may be": b"POST /" + b"|a" * 800_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100 0a010000 06030300 00000a0a".replace(" ", "")),
}
OTHERS = {
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "redis": b"*2\r\n$4\r\nAUTH\r\n$10\r\n",
    "proxy": b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
    "webrtc": bytes.fromhex("0110 0001 00f8 2112a442") + b"x" * 12 + b"\n",
}


@pytest.fixture(scope="module", params=["asyncio", "uvloop", "unix socket", "decisions"])
def learner(request, tmp_path_factory):
    """A daemon that could be taught and told to save."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    folder = tmp_path_factory.mktemp("learner")
    words = ["-f", "served.model", "--model_dir", "."]
    words += {"unix socket": ["--socket", "socket"], "decisions": UCB.split()}.get(request.param, [])
    with serving(folder, *words, start=VWLITE if request.param == "uvloop" else ASYNCIO) as daemon:
        yield daemon


def stats(daemon: Daemon) -> dict[str, Any]:
    return json.loads(daemon.talk(b"!stats\n"))


def assert_untaught(daemon: Daemon) -> None:
    """Nothing of what was sent was run."""
    found = stats(daemon)
    assert found["examples"] == found["malformed"] == found["saves"] == 0
    assert not (daemon.folder / "served.model").exists()
    assert not (daemon.folder / "stolen").exists()


def assert_http(answer: bytes) -> None:
    """One answer that a browser understands, and which lets no page read it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 400 bad request"
    assert b"connection: close" in lines
    assert b"content-length: %d" % len(body) in lines
    assert b"access-control" not in head.lower()
    assert b"this port speaks VW's lines" in body
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("name", REQUESTS)
def test_a_browser_teaches_nothing(name, learner):
    before = stats(learner)["other_protocols"]
    for body in (BODY, DECISIONS):
        assert_http(learner.talk(REQUESTS[name] + body))
    assert_untaught(learner)
    protocol = "TLS" if name == "tls" else "HTTP"
    assert stats(learner)["other_protocols"] == {**before, protocol: before.get(protocol, 0) + 2}


@pytest.mark.parametrize("name", OTHERS)
def test_other_protocols_teach_nothing(name, learner):
    for body in (BODY, DECISIONS):
        answer = learner.talk(OTHERS[name] + body)
        assert answer.startswith(b"!error this port speaks VW's lines, not ")
        assert answer.count(b"\n") == 1
    assert_untaught(learner)


@pytest.mark.parametrize("sizes", [[1] * len(FETCH), [3, 1, 1, 9, 2], [4], [16], [len(FETCH)]])
def test_a_request_in_pieces_teaches_nothing(sizes, learner):
    assert_http(learner.talk(FETCH + BODY, sizes))
    assert_untaught(learner)


def test_nothing_is_read_of_a_connection_that_was_refused(learner):
    with learner.connect() as client:
        client.sendall(FETCH)
        assert_http(read_all(client))
        with contextlib.suppress(OSError):  # it may be closed
            client.sendall(BODY)
            client.sendall(FETCH + BODY)
            client.shutdown(socket.SHUT_WR)
    assert_untaught(learner)


def test_a_request_without_an_end_of_line_teaches_nothing(learner):
    assert_http(learner.talk(b"POST / HTTP/1.1"))
    assert_untaught(learner)


def test_through_tls(keys, tmp_path):
    context = ssl.create_default_context(cafile=str(keys / "cert.pem"))
    flags = ["--cert", str(keys / "cert.pem"), "--key", str(keys / "key.pem"), "-f", "served.model"]
    with serving(tmp_path, *flags, "--model_dir", ".") as daemon:
        with context.wrap_socket(daemon.connect(), server_hostname="127.0.0.1") as client:
            client.sendall(FETCH + BODY)
            assert_http(read_all(client))
        with daemon.connect() as plain:
            assert b"200" not in talk(plain, FETCH + BODY)
        with context.wrap_socket(daemon.connect(), server_hostname="127.0.0.1") as client:
            found = json.loads(ask(client, b"!stats"))
    assert found["examples"] == found["malformed"] == found["saves"] == 0
    assert found["other_protocols"] == {"HTTP": 1}
    assert found["failed_handshakes"] == 1


def test_with_a_token(folder):
    make_token(b"0123456789abcdef\n")
    with serving(folder, "--token_file", "token") as daemon:
        assert_http(daemon.talk(FETCH + BODY))
        assert_http(daemon.talk(REQUESTS["long target"] + BODY))
        found = json.loads(daemon.talk(b"0123456789abcdef\n!stats\n"))
        assert found["other_protocols"] == {"HTTP": 2}
        assert found["examples"] == found["malformed"] == 0


def test_the_log_names_the_protocol_once(tmp_path):
    with serving(tmp_path) as daemon:
        for _ in range(20):
            daemon.talk(FETCH + BODY)
        daemon.end()
    assert len([line for line in daemon.log if "HTTP" in line]) == 1


@pytest.mark.parametrize(
    "line",
    [b"GET|a x", b"POST /x\t1 |a x", b"GET / HTTP/1.1\t1 |a x", b"*1|a x", b"\x16\x03|a x", b"PROXY|a x", b"A |a x",
     b"\x01 |a x", b"SSH-2.0-x|a x", b"P" * 5000 + b"|a x", b"*" + b"1" * 20 + b"|a x"],
)  # fmt: skip
def test_lines_of_vw_that_look_alike_are_lines(line, tight):
    assert tight.talk(line + b"\n!ping\n").endswith(b"!pong\n")


def test_a_lone_line_that_could_go_on_as_another_protocol_is_answered_at_the_end(tight):
    assert tight.talk(b"*1\r\n").startswith(b"!error line 1, column 1: no label, and no '|' in the line")


def test_empty_lines_in_front_do_not_keep_lines_waiting(tight):
    with tight.connect() as client:
        client.sendall(b"\r\n\n")
        assert ask(client, b"\n|a x") == b"0.500000\n"


STARTS = [
    *REQUESTS.values(),
    *OTHERS.values(),
    b"1 |a x\n",
    b"GET|a\n",
    b"*1\r\n1 |a\n",
    b"\x01\x00\x00\n",
    b"\x16\x03\n",
]


@given(st.sampled_from(STARTS) | st.binary(max_size=20), st.integers(0, 2 * LOOK))
def test_the_verdict_on_a_stream_does_not_depend_on_its_pieces(text, size):
    early, late = recognize(text[:size], ended=False), recognize(text + b"\n" * LOOK, ended=False)
    assert early in (None, late) or not text


@given(st.from_regex(rb"[-+.0-9|!{ '][ -~]{0,40}\n", fullmatch=True))
def test_what_begins_as_lines_do_is_one(line):
    assert recognize(line, ended=False) == VW


def test_many_browsers_at_once(tmp_path: Path):
    with serving(tmp_path, "-f", "served.model", "--model_dir", ".") as daemon:
        found: list[bytes] = []
        threads = [threading.Thread(target=lambda: found.append(daemon.talk(FETCH + BODY))) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for each in found:
            assert_http(each)
        assert_untaught(daemon)
