"""The same daemon on uvloop's loop, which it takes where that is installed."""

import contextlib
import json
import signal
import socket
import ssl
import threading

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import ask, by_file, lines_to_learn, read_all, read_lines, serving
from tests.support.models import arrays

pytest.importorskip("uvloop")


@pytest.mark.parametrize(("start", "loop"), [(VWLITE, "uvloop"), (None, "asyncio")])
def test_stats_say_which_loop_it_is(start, loop, tmp_path):
    with serving(tmp_path, **({} if start is None else {"start": start})) as daemon:
        assert json.loads(daemon.talk(b"!stats\n"))["loop"] == loop


def test_answers_and_the_model_are_those_of_a_run_over_a_file(tmp_path):
    text = lines_to_learn(2000)
    expected, model = by_file(tmp_path, text)
    with serving(tmp_path, "-f", "served.model", start=VWLITE) as daemon:
        assert daemon.talk(text[:-1], [1, 2, 3, 1000]) == expected
        assert daemon.talk(b"!save\n!ping\n|a x\n!quit\n!ping\n").splitlines()[::3] == [b"!saved served.model", b"!bye"]
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_many_clients_at_once(tmp_path):
    texts = [lines_to_learn(300, seed=seed) for seed in range(32)]
    expected = [by_file(tmp_path, text, "-t")[0] for text in texts]
    found: list[bytes] = [b""] * 32

    def one(k: int) -> None:
        found[k] = daemon.talk(texts[k])

    with serving(tmp_path, "-t", start=VWLITE) as daemon:
        threads = [threading.Thread(target=one, args=(k,)) for k in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == expected


def test_who_takes_no_answers_is_read_from_no_more(tmp_path):
    text = b"bad |\n" * 10_000
    with (
        serving(tmp_path, "-t", "--max_buffers", str(1 << 20), "--socket", "socket", start=VWLITE) as daemon,
        daemon.connect() as deaf,
        daemon.connect() as other,
    ):
        deaf.settimeout(2)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100 << 20:
                sent += deaf.send(text[sent % len(text) :])
        assert sent < 50 << 20
        assert ask(other, b"!ping") == b"!pong\n"
        deaf.settimeout(60)
        deaf.shutdown(socket.SHUT_WR)
        answers = read_all(deaf)
        assert answers.count(b"\n") == -(-sent // 6)


def test_acknowledged_lines_outlive_a_kill(tmp_path):
    text = lines_to_learn(1000)
    expected, model = by_file(tmp_path, text)
    words = ["--journal", "journal", "-f", "served.model", "--autosave", "300"]
    with serving(tmp_path, *words, start=VWLITE) as daemon, daemon.connect() as one:
        one.sendall(text)
        assert b"".join(read_lines(one, 1000)) == expected
        daemon.send(signal.SIGKILL)
        daemon.kill()
    with serving(tmp_path, *words, start=VWLITE) as daemon:
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_tls_and_those_who_speak_none(keys, tmp_path):
    context = ssl.create_default_context(cafile=str(keys / "cert.pem"))
    flags = ["--cert", str(keys / "cert.pem"), "--key", str(keys / "key.pem"), "-f", "served.model"]
    with serving(tmp_path, *flags, start=VWLITE) as daemon:
        assert b"!pong" not in daemon.talk(b"!ping\n")
        with context.wrap_socket(daemon.connect(), server_hostname="127.0.0.1") as client:
            client.sendall(b"1 |a x\n" * 5000)
            assert len(read_lines(client, 5000)) == 5000
            assert ask(client, b"!save") == b"!saved served.model\n"
            assert ask(client, b"!quit") == b"!bye\n"
            assert read_all(client) == b""
        assert daemon.end() == 0
