"""Clients are let go for being silent or strangers, never for what the daemon or other strangers did."""

import contextlib
import json
import signal
import socket
import ssl
import sys
import threading
import time

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import ASYNCIO, MB, ask, make_token, read_all, read_lines, serving, wait_until

TOKEN = b"0123456789abcdef"
FULL = b"!error too many connections, try again later\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def start(request):
    """Both loops."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return VWLITE if request.param == "uvloop" else ASYNCIO


def sleep_past(daemon, seconds):
    """Stop the daemon's process for longer than a number of seconds."""
    daemon.send(signal.SIGSTOP)
    wait_until(lambda: daemon.state() == "T")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)  # it is the time itself that is tested


def test_lines_that_arrived_while_the_daemon_slept_are_answered(tmp_path, start):
    with serving(tmp_path, "--read_timeout", "1.5", start=start) as daemon, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(20)]
        for client in clients:
            assert ask(client, b"!ping") == b"!pong\n"
        sleep_past(daemon, 0)
        for client in clients:
            client.sendall(b"|a x\n" * 100 + b"!ping\n")
        sleep_past(daemon, 3.5)
        late = stack.enter_context(daemon.connect())  # the kernel accepts it
        late.sendall(b"!ping\n")
        daemon.send(signal.SIGCONT)
        for client in clients:
            assert read_lines(client, 101) == [b"0\n"] * 100 + [b"!pong\n"]
        assert read_lines(late, 1) == [b"!pong\n"]
        for client in clients:
            assert read_all(client) == b"!error nothing was received for 1.5 seconds (--read_timeout)\n"


def test_answers_that_waited_while_the_daemon_slept_are_sent(tmp_path, start):
    count = 4 * MB // 5
    with (
        serving(tmp_path, "--read_timeout", "4", "-t", "--socket", "socket", start=start) as daemon,
        daemon.connect() as client,
    ):
        sender = threading.Thread(target=client.sendall, args=(b"|a x\n" * count,))
        sender.start()
        wait_until(lambda: json.loads(daemon.talk(b"!stats\n"))["buffered_bytes"] > MB // 2)
        sleep_past(daemon, 6)
        daemon.send(signal.SIGCONT)
        found = bytearray()
        while len(found) < 2 * count:
            piece = client.recv(1 << 16)
            assert piece, "the connection was closed"
            found += piece
        sender.join()
        assert bytes(found) == b"0\n" * count


def test_a_token_that_arrived_while_the_daemon_slept_counts(folder, start):
    make_token(TOKEN)
    hurry = "import sys; from vwlite.daemon import admission; admission.TOKEN_TIME = 1; "
    if start is ASYNCIO:
        hurry += "sys.modules['uvloop'] = None; "
    hurry += "from vwlite.cli import main; sys.exit(main(sys.argv[1:]))"
    with (
        serving(folder, "--token_file", "token", start=[sys.executable, "-c", hurry]) as daemon,
        daemon.connect() as client,
    ):
        wait_until(lambda: json.loads(daemon.talk(TOKEN + b"\n!stats\n"))["connections"] == 2)
        sleep_past(daemon, 0)
        client.sendall(TOKEN + b"\n!ping\n")
        sleep_past(daemon, 3)
        daemon.send(signal.SIGCONT)
        assert read_lines(client, 1) == [b"!pong\n"]


# strangers


@pytest.fixture
def guarded(folder, start):
    """A daemon that wants a token and takes few connections."""
    make_token(TOKEN)
    with serving(folder, "--token_file", "token", "--max_connections", "8", start=start) as daemon:
        yield daemon


def test_strangers_do_not_keep_the_holder_of_the_token_out(guarded):
    with contextlib.ExitStack() as stack:
        trusted = stack.enter_context(guarded.connect())
        trusted.sendall(TOKEN + b"\n")
        assert ask(trusted, b"!ping") == b"!pong\n"
        strangers = [stack.enter_context(guarded.connect()) for _ in range(20)]
        for stranger in strangers[::2]:
            with contextlib.suppress(OSError):
                stranger.sendall(b"a wrong token\n")
        for _ in range(3):
            began = time.monotonic()
            assert guarded.talk(TOKEN + b"\n!ping\n") == b"!pong\n"
            assert time.monotonic() - began < 5  # it was 10
        assert ask(trusted, b"!ping") == b"!pong\n"
        assert json.loads(ask(trusted, b"!stats"))["connections_turned_away"] >= 12


def test_strangers_who_come_again_and_again_do_not_either(guarded):
    over = threading.Event()

    def storm():
        held = []
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.append(guarded.connect())
                held[-1].sendall(b"x")
            while len(held) > 50:
                held.pop(0).close()
        for each in held:
            each.close()

    threads = [threading.Thread(target=storm) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        answers = 0
        for _ in range(50):
            with contextlib.suppress(OSError):
                answers += guarded.talk(TOKEN + b"\n!ping\n") == b"!pong\n"
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert answers >= 25
    assert guarded.talk(TOKEN + b"\n!ping\n") == b"!pong\n"


def test_holders_of_the_token_do_not_push_each_other_out(guarded):
    with contextlib.ExitStack() as stack:
        trusted = [stack.enter_context(guarded.connect()) for _ in range(8)]
        for client in trusted:
            client.sendall(TOKEN + b"\n")
            assert ask(client, b"!ping") == b"!pong\n"
        with guarded.connect() as one_more:
            assert read_all(one_more) == FULL
        for client in trusted:
            assert ask(client, b"!ping") == b"!pong\n"


def test_browsers_that_stay_do_not_keep_clients_out(tmp_path, start):
    with (
        serving(tmp_path, "--max_connections", "4", start=start) as daemon,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(4):
            browser = stack.enter_context(daemon.connect())
            browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert read_all(browser).startswith(b"HTTP/1.1 400")
        began = time.monotonic()
        assert daemon.talk(b"!ping\n") == b"!pong\n"
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("silent", ["before the handshake", "after the handshake"])
def test_strangers_do_not_keep_clients_of_tls_out(silent, keys, folder, start):
    make_token(TOKEN)
    context = ssl.create_default_context(cafile=str(keys / "cert.pem"))
    flags = ["--cert", str(keys / "cert.pem"), "--key", str(keys / "key.pem"), "--max_connections", "4"]
    with serving(folder, *flags, "--token_file", "token", start=start) as daemon, contextlib.ExitStack() as stack:

        def come() -> ssl.SSLSocket:
            return stack.enter_context(context.wrap_socket(daemon.connect(), server_hostname="127.0.0.1"))

        trusted = come()
        trusted.sendall(TOKEN + b"\n")
        assert ask(trusted, b"!ping") == b"!pong\n"
        for _ in range(10):
            if silent == "after the handshake":
                come()
            else:
                stack.enter_context(daemon.connect()).sendall(b"\x16\x03\x01")
        began = time.monotonic()
        holder = come()
        holder.sendall(TOKEN + b"\n")
        assert ask(holder, b"!ping") == b"!pong\n"
        assert time.monotonic() - began < 5  # it was 10
        assert ask(trusted, b"!ping") == b"!pong\n"


def test_there_are_never_more_connections_than_allowed(guarded):
    def look() -> int:
        return int(json.loads(ask(trusted, b"!stats"))["connections"])

    with contextlib.ExitStack() as stack:
        trusted = stack.enter_context(guarded.connect())
        trusted.sendall(TOKEN + b"\n")
        for _ in range(30):
            stack.enter_context(guarded.connect()).shutdown(socket.SHUT_WR)
            assert look() <= 9  # one may be leaving
