"""A second look at what somebody who means harm, or has bad luck, can do to a daemon."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import (
    ASYNCIO,
    MB,
    SLOW,
    Daemon,
    ask,
    by_file,
    connected,
    lines_to_learn,
    read_all,
    read_lines,
    serving,
    wait_until,
)

# restarts and SIGHUP


def test_flags_of_a_configuration_file_may_change_between_two_starts(tmp_path):
    config = tmp_path / "flags.toml"
    config.write_text("learning_rate = 0.5\n")
    words = ["--config", "flags.toml", "--journal", "journal"]
    with serving(tmp_path, *words) as daemon:
        daemon.talk(lines_to_learn(50))
        answer = daemon.talk(b"|a x:0.5\n")
        daemon.kill()
    config.write_text("learning_rate = 0.1\n")
    with serving(tmp_path, *words) as daemon:
        assert daemon.talk(b"|a x:0.5\n") == answer


def put(folder: Path, text: bytes) -> None:
    """Put a model that learned a text in the place of i.model."""
    by_file(folder, text)
    os.replace(folder / "file.model", folder / "i.model")


# Until the fault above is mended, flags without --config are compared here.
WITHOUT_CONFIG = """
import sys
from vwlite.cli import main
from vwlite.engine import daemon_flags as options
options.ASIDE.add("config")
sys.exit(main(sys.argv[1:]))
"""


def test_flags_that_sighup_took_from_a_configuration_file_are_those_of_a_restart(tmp_path):
    put(tmp_path, b"1 |a x\n" * 3)
    (tmp_path / "flags.toml").write_text("learning_rate = 0.5\n")
    words = ["-i", "i.model", "--config", "flags.toml", "--journal", "journal"]
    start = [sys.executable, "-c", WITHOUT_CONFIG]
    with serving(tmp_path, *words, start=start) as daemon:
        put(tmp_path, b"2 |a x\n" * 3)
        (tmp_path / "flags.toml").write_text("learning_rate = 0.01\n")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("model loaded")
        daemon.talk(lines_to_learn(50))
        answer = daemon.talk(b"|a x:0.5 |b y1\n")
        daemon.kill()
    with serving(tmp_path, *words, start=start) as daemon:
        assert daemon.talk(b"|a x:0.5 |b y1\n") == answer


def test_of_two_models_that_wait_to_take_the_place_the_later_one_stays(tmp_path):
    put(tmp_path, b"1 |a x\n")
    words = ["-i", "i.model", "--journal", "journal", "--model_dir", "."]
    start = SLOW
    with serving(tmp_path, *words, start=start) as daemon, daemon.connect() as waiting, daemon.connect() as client:
        (tmp_path / "hold").touch()
        waiting.sendall(b"!snapshot s\n")
        ask(client, b"!ping")
        for label in (b"5", b"9"):
            put(tmp_path, label + b" |a x\n")
            daemon.send(signal.SIGHUP)
            for _ in range(20):
                ask(client, b"!ping")
        wanted, _ = by_file(tmp_path, b"|a x\n", "-t", "-i", str(tmp_path / "i.model"))
        (tmp_path / "hold").unlink()
        wait_until(lambda: sum("model loaded" in line for line in daemon.log) == 2)
        assert ask(client, b"|a x") == wanted


# A daemon whose copies have put the model into its place, but don't end as long as there is a file "hold".
LINGERING = [
    word.replace("    while", "    found = save(*about)\n    while").replace("return save(*about)", "return found")
    for word in SLOW
]


@pytest.mark.parametrize("words", [[], ["--journal", "journal"]])
def test_sighup_at_the_end_of_a_save_does_not_forget_what_was_learned_meanwhile(words, tmp_path):
    daemons = serving(tmp_path, "-f", "m", *words, start=LINGERING)
    with daemons as daemon, daemon.connect() as saving, daemon.connect() as client:
        (tmp_path / "hold").touch()
        saving.sendall(b"!save\n")
        wait_until((tmp_path / "m").exists)
        client.sendall(lines_to_learn(50))
        read_lines(client, 50)
        answer = ask(client, b"|a x:0.5 |b y1")
        daemon.send(signal.SIGHUP)
        for _ in range(20):
            ask(client, b"!ping")
        (tmp_path / "hold").unlink()
        assert read_lines(saving, 1) == [b"!saved m\n"]
        wait_until(lambda: any("SIGHUP" in line or "model loaded" in line for line in daemon.log))
        assert ask(client, b"|a x:0.5 |b y1") == answer


# saves


def test_saves_end_where_the_system_forgets_children(tmp_path):
    code = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); from vwlite.cli import main; "
    start = [sys.executable, "-c", code + "sys.exit(main())"]
    with serving(tmp_path, "-f", "m", start=start) as daemon, daemon.connect() as client:
        client.settimeout(5)
        client.sendall(b"1 |a x\n!save\n")
        assert read_lines(client, 2)[1] == b"!saved m\n"
        daemon.send(signal.SIGTERM)
        assert daemon.process.wait(20) == 0


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_answered_after_the_save_before_it(end, tmp_path):
    with serving(tmp_path, "-f", "m", "--max_line", "1024") as daemon, daemon.connect() as client:
        client.sendall(b"|a\n!save\n" + b"x" * 3000 + end)
        assert [line[:6] for line in read_lines(client, 3)] == [b"0\n", b"!saved", b"!error"]


def test_a_pipe_among_the_models_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with serving(tmp_path, "--model_dir", ".") as daemon, daemon.connect() as client, daemon.connect() as other:
        client.sendall(b"!ping\n!snapshot pipe\n")
        assert read_lines(client, 2)[1].startswith(b"!error ")
        other.settimeout(5)
        assert ask(other, b"!ping") == b"!pong\n"


# turns


def test_sigterm_answers_what_has_come(tmp_path):
    count = 1000  # which the daemon has read at once
    with serving(tmp_path) as daemon, daemon.connect() as client:
        client.sendall(b"!stats\n" * count)
        client.shutdown(socket.SHUT_WR)
        client.recv(10, socket.MSG_PEEK)
        daemon.send(signal.SIGTERM)
        assert read_all(client).count(b"\n") == count


@pytest.mark.parametrize("start", [ASYNCIO, VWLITE])
def test_what_waits_for_many_who_take_nothing_is_within_max_buffers(start, tmp_path):
    text = b"|abcdefghijklmnop q\n" * 40_000 + b"!stats\n" * 40_000  # the first has the daemon read much at a time

    def send(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.sendall(text)

    with serving(tmp_path, "--max_buffers", str(8 * MB), start=start) as daemon, contextlib.ExitStack() as stack:
        other = stack.enter_context(daemon.connect())
        deaf = [stack.enter_context(daemon.connect(easily_filled=True)) for _ in range(12)]
        for each in deaf:
            threading.Thread(target=send, args=(each,), daemon=True).start()
        until = time.monotonic() + 8
        most = 0
        while time.monotonic() < until:
            most = max(most, json.loads(ask(other, b"!stats"))["buffered_bytes"])
            time.sleep(0.05)
        assert most < 12 * MB, most / MB


@pytest.fixture
def encrypted(tmp_path: Path, keys: Path) -> Iterator[Daemon]:
    words = ["--cert", str(keys / "cert.pem"), "--key", str(keys / "key.pem")]
    with serving(tmp_path, *words) as daemon:
        yield daemon


def test_what_came_over_tls_before_its_end_is_answered(encrypted):
    count = 100
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(came, goes)
    found = b""
    with encrypted.connect() as client:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(goes.read())
                came.write(client.recv(1 << 16))
        tls.write(b"!stats\n" * count)
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        client.sendall(goes.read())
        came.write(read_all(client))
    with contextlib.suppress(ssl.SSLError):
        while piece := tls.read(1 << 16):
            found += piece
    assert found.count(b"\n") == count


# the log


@contextlib.contextmanager
def logging_to_a_pipe(folder: Path, *words: str) -> Iterator[tuple[socket.socket, int]]:
    """A client, and the other end of its daemon's standard error."""
    receive, send = os.pipe()
    command = [*ASYNCIO, "--foreground", "--socket", "socket", "--model_dir", ".", *words]
    process = subprocess.Popen(command, cwd=folder, stderr=send)
    try:
        os.close(send)
        with connected(folder / "socket") as client:
            yield client, receive
    finally:
        os.close(receive)
        process.kill()
        process.wait()


def test_a_log_that_is_full_of_long_letters_keeps_nobody_waiting(tmp_path):
    with logging_to_a_pipe(tmp_path) as (client, _):
        client.sendall(b"!snapshot %b\n" % ("\u4e2d" * 4000).encode() * 40)
        assert len(read_lines(client, 40)) == 40


def test_all_lines_of_a_log_in_json_are_json_after_it_was_full(tmp_path):
    with logging_to_a_pipe(tmp_path, "--log", "json") as (client, log):
        client.sendall(b"!snapshot %b\n" % (b"x" * 200) * 400)
        read_lines(client, 400)
        text = os.read(log, 1 << 20)
        client.sendall(b"!snapshot last\n")
        read_lines(client, 1)
        for line in (text + os.read(log, 1 << 20)).splitlines():
            json.loads(line)


def test_a_long_line_of_a_log_in_json_is_json(tmp_path):
    with logging_to_a_pipe(tmp_path, "--log", "json") as (client, log):
        client.sendall(b"!snapshot %b\n" % (b"x" * 5000))
        read_lines(client, 1)
        for line in os.read(log, 1 << 20).splitlines():
            json.loads(line)
