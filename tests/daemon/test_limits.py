"""Clients that send too much, too slowly, too many or nothing, and those who never listen."""

import contextlib
import json
import os
import select
import signal
import socket
import threading

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import (
    HALF,
    MB,
    PATIENCE,
    UCB,
    Daemon,
    ask,
    by_file,
    read_all,
    read_lines,
    serving,
    talk,
    wait_until,
)

# the address sanitizer keeps what was freed for a while
KEPT = 40 if "VWLITE_SANITIZED" in os.environ else 1


@pytest.fixture(scope="module")
def tight_decider(tmp_path_factory):
    """Serves decisions of up to 4 kB."""
    with serving(tmp_path_factory.mktemp("decider"), "-t", "--max_line", "4096", *UCB.split()) as daemon:
        yield daemon


# long lines


def test_lines_of_ten_megabytes(tmp_path):
    line = b"1 |a " + b" ".join(b"f%d:0.5" % number for number in range(900_000)) + b"\n"
    assert len(line) > 10 * MB
    text = b"1 |a f1\n" + line + b"0 |a f1\n" + line[:-1]
    expected, _ = by_file(tmp_path, text)
    with serving(tmp_path, "--max_line", str(16 * MB)) as daemon:
        assert daemon.talk(text) == expected


@pytest.mark.parametrize("size", [5000, 9000, 300_000, 10 * MB])
def test_a_line_that_is_too_long_has_an_error_and_the_connection_goes_on_in_step(tight, size):
    with tight.connect() as client:
        client.sendall(b"| x\n| " + b"x" * size)
        answers = read_lines(client, 2)
        client.sendall(b"y" * size + b"\n| x\n!ping\nbad |a")
        client.shutdown(socket.SHUT_WR)
        rest = read_all(client).splitlines()
    assert answers[0] == HALF
    assert answers[1] == b"!error line 2: a line of more than 4096 bytes\n"
    assert rest[:2] == [HALF[:-1], b"!pong"]
    assert rest[2].startswith(b"!error line 5, column 1: ")
    assert len(rest) == 3


def test_a_line_is_too_long_however_it_comes(tight):
    line = b"| " + b"x" * 5000 + b"\n"
    with tight.connect() as client:
        client.sendall(line[:3000])
        assert ask(client, line[3000:-1]).startswith(b"!error line 1: a line of more than 4096 bytes")
    assert tight.talk(line).startswith(b"!error line 1: a line of more than 4096 bytes")
    assert tight.talk(line[:-1]).startswith(b"!error line 1: a line of more than 4096 bytes")


def test_a_line_of_just_the_greatest_length_is_taken(tight):
    line = b"| " + b"x" * 4093
    assert tight.talk(line + b"\n" + line + b"\n") == HALF * 2


def test_a_long_line_without_an_end_has_one_error(tight):
    assert tight.talk(b"| " + b"x" * MB) == b"!error line 1: a line of more than 4096 bytes\n"


def too_long(end: bytes = b"\n") -> bytes:
    """Lines of one decision, without the empty line at its end."""
    return b"shared |u x" + end + (b"|a " + b"w" * 90 + end) * 50


def test_a_decision_that_is_too_long_has_an_error_and_the_connection_goes_on_in_step(tight_decider):
    with tight_decider.connect() as client:
        client.sendall(too_long())
        assert read_lines(client, 1)[0].endswith(b"a multi-line example of more than 4096 bytes\n")
        client.sendall(b"|a more\n\n|a x\n\n!ping\n")
        assert read_lines(client, 3) == [b"0:1\n", b"\n", b"!pong\n"]


def test_a_long_decision_may_end_where_it_was_found_too_long(tight_decider):
    with tight_decider.connect() as client:
        client.sendall(too_long())
        read_lines(client, 1)
        assert talk(client, b"\n|a x\n\n!ping\n") == b"0:1\n\n!pong\n"


def test_a_long_decision_may_end_with_carriage_returns(tight_decider):
    with tight_decider.connect() as client:
        client.sendall(too_long(b"\r\n"))
        read_lines(client, 1)
        assert talk(client, b"|a more\r\n\r\n|a x\r\n\r\n!ping\r\n") == b"0:1\n\n!pong\n"


def test_a_long_line_of_json_between_decisions_ends_with_itself(tight_decider):
    with tight_decider.connect() as client:
        client.sendall(b'{"_multi": [{"a": "' + b"w" * 5000)
        read_lines(client, 1)
        decision, pong = talk(client, b'"}]}\n{"_multi": [{"a": {"x": 1}}]}\n!ping\n').splitlines()
    assert json.loads(decision)["actions"] == [[0, 1.0]]
    assert pong == b"!pong"


# many clients


def test_one_client_too_many_is_told_so(tmp_path):
    with serving(tmp_path, "--max_connections", "2") as daemon, daemon.connect() as one, daemon.connect() as two:
        assert ask(one, b"!ping") == ask(two, b"!ping") == b"!pong\n"
        with daemon.connect() as third:
            assert read_all(third) == b"!error too many connections, try again later\n"
        assert ask(one, b"!ping") == ask(two, b"!ping") == b"!pong\n"
        two.shutdown(socket.SHUT_WR)
        assert read_all(two) == b""
        with daemon.connect() as third:
            assert ask(third, b"!ping") == b"!pong\n"
            stats = json.loads(ask(one, b"!stats"))
    assert stats["connections_turned_away"] == 1
    assert stats["connections_so_far"] == 3


def test_those_turned_away_are_not_counted_as_memory_set_free(tmp_path):
    with serving(tmp_path, "--max_connections", "1") as daemon, daemon.connect() as one:
        before = json.loads(ask(one, b"!stats"))["buffered_bytes"]
        for _ in range(5):
            with daemon.connect() as other:
                assert read_all(other)
        assert json.loads(ask(one, b"!stats"))["buffered_bytes"] == before


def test_a_server_without_descriptors_goes_on_and_says_little(tmp_path):
    start = ["bash", "-c", 'ulimit -n 40; exec "$@"', "bash", *VWLITE]
    with serving(tmp_path, "-f", "served.model", start=start) as daemon, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(100)]
        assert ask(clients[0], b"!ping") == b"!pong\n"
        assert ask(clients[0], b"!save").startswith(b"!")
        assert len(daemon.log) < 200
        stack.close()
        assert daemon.talk(b"!ping\n") == b"!pong\n"


def test_unfinished_lines_together_are_limited_and_then_given_back(tmp_path):
    with serving(tmp_path, "-t", "--max_buffers", str(2 * MB)) as daemon, contextlib.ExitStack() as stack:
        other = stack.enter_context(daemon.connect())
        assert ask(other, b"| x") == b"0\n"
        before = json.loads(ask(other, b"!stats"))["buffered_bytes"]
        clients = [stack.enter_context(daemon.connect()) for _ in range(4)]
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(b"| " + b"x" * 900_000)
        client = select.select(clients, [], [], PATIENCE)[0][0]
        assert b"!error the server's buffers are full (--max_buffers), try again later\n" in read_all(client)
        assert ask(other, b"| x") == b"0\n"
        stack.pop_all().close()
        wait_until(lambda: buffered(daemon) == before)


def buffered(daemon: Daemon) -> int | None:
    """What a daemon says it keeps for its clients; None if there is no room for another one to ask."""
    answer = daemon.talk(b"!stats\n")
    return None if answer.startswith(b"!error") or not answer else int(json.loads(answer)["buffered_bytes"])


def test_many_lines_at_once_are_no_reason_to_be_let_go(tmp_path):
    text = b"| x y z\n" * 40_000
    with serving(tmp_path, "-t", "--max_buffers", str(MB)) as daemon, contextlib.ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(daemon.connect())
            sender = threading.Thread(target=client.sendall, args=(text,))
            sender.start()
            answers = read_lines(client, 40_000)
            sender.join()
            assert answers == [b"0\n"] * 40_000


# clients that don't listen


def fill(clients: list[socket.socket], text: bytes, most: int) -> list[int]:
    """Send a text again and again until nobody takes anything for a second; the bytes sent to each."""
    sent = dict.fromkeys(clients, 0)
    for client in clients:
        client.setblocking(False)
    while ready := select.select([], [client for client in clients if sent[client] < most], [], 1)[1]:
        for client in ready:
            try:
                sent[client] += client.send(text[sent[client] % len(text) :])
            except BlockingIOError:
                continue
            except OSError:  # closed meanwhile
                sent[client] = most
    for client in clients:
        client.settimeout(60)
    return list(sent.values())


def test_who_takes_no_answers_is_read_from_no_more_and_others_are_served(tmp_path):
    text = b"|a x\n" * 50_000
    with serving(tmp_path, "-t", "--link", "logistic") as daemon:
        daemon.talk(text)
        before = daemon.memory()
        with daemon.connect(easily_filled=True) as deaf, daemon.connect() as other:
            [sent] = fill([deaf], text, 200 * MB)
            assert sent < 100 * MB
            assert daemon.memory() - before < 16 * MB * KEPT
            assert ask(other, b"|a x") == HALF
            # it hears everything when it begins to listen
            count = sent // 5
            answers = 0
            while answers < len(HALF) * count:
                answers += len(deaf.recv(MB))
            assert answers == len(HALF) * count
            deaf.sendall(b"|a x\n"[sent % 5 :] + b"!ping\n")
            deaf.shutdown(socket.SHUT_WR)
            assert read_all(deaf).endswith(b"!pong\n")


def test_answers_that_nobody_takes_are_within_max_buffers(tmp_path):
    text = b"bad |\n" * 10_000
    with (
        serving(tmp_path, "-t", "--max_buffers", str(MB), "--socket", "socket") as daemon,
        contextlib.ExitStack() as stack,
    ):
        daemon.talk(text)
        before = daemon.memory()
        fill([stack.enter_context(daemon.connect()) for _ in range(20)], text, 100 * MB)
        assert daemon.memory() - before < 8 * MB * KEPT


def test_those_who_come_when_too_much_waits_are_served_nevertheless(tmp_path):
    text = b"bad |\n" * 10_000
    with (
        serving(tmp_path, "-t", "--max_buffers", str(MB), "--socket", "socket") as daemon,
        contextlib.ExitStack() as stack,
    ):
        fill([stack.enter_context(daemon.connect()) for _ in range(3)], text, 100 * MB)
        for _ in range(3):
            with daemon.connect() as other:
                assert ask(other, b"| x") == b"0\n"
                assert json.loads(ask(other, b"!stats"))["buffered_bytes"] > MB / 2


def test_the_silent_and_the_deaf_are_let_go_in_time(tmp_path):
    with (
        serving(tmp_path, "-t", "--read_timeout", "0.5", "--socket", "socket") as daemon,
        daemon.connect() as silent,
        daemon.connect() as unfinished,
        daemon.connect() as deaf,
        daemon.connect() as talker,
    ):
        unfinished.sendall(b"!ping\n| half a line")
        fill([deaf], b"| x\n" * 1000, 100 * MB)
        assert read_all(unfinished) == b"!pong\n!error nothing was received for 0.5 seconds (--read_timeout)\n"
        assert read_all(silent) == b"!error nothing was received for 0.5 seconds (--read_timeout)\n"
        daemon.wait_for("a client reads no answers")
        for client in (silent, unfinished, talker):
            client.close()
        with daemon.connect() as other:
            wait_until(lambda: json.loads(ask(other, b"!stats"))["connections"] == 1)


def test_the_deaf_are_let_go_though_little_waits_for_them(tmp_path):
    with (
        serving(tmp_path, "-t", "--read_timeout", "0.5", "--socket", "socket") as daemon,
        daemon.connect() as deaf,
    ):
        size = deaf.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        deaf.sendall(b"!stats\n" * (size // 600 + 300))  # more than the kernel keeps, less than the server would
        deaf.shutdown(socket.SHUT_WR)
        wait_until(lambda: json.loads(daemon.talk(b"!stats\n"))["connections"] == 1)


def test_the_end_waits_for_those_who_take_their_answers(tmp_path):
    """What was learned has been answered, though more was sent than was read."""
    text = b"1 |a x\n" * 1_000_000
    with serving(tmp_path, "-f", "served.model") as daemon:
        with daemon.connect(easily_filled=True) as client:
            fill([client], text, len(text))
            daemon.send(signal.SIGTERM)
            daemon.wait_for("stopping")
            answers = read_all(client)
        assert daemon.process.wait(60) == 0
        daemon.reader.join()
    learned = next(int(line.split()[-1]) for line in daemon.log if line.startswith("number of examples"))
    assert answers.count(b"\n") == learned
