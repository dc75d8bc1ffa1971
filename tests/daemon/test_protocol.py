"""What clients say and are told."""

import itertools
import json
import random
import socket
import threading

import pytest

from tests.support.daemon import ask, by_file, decisions_to_learn, lines_to_learn, read_all, read_lines, serving, talk
from tests.support.models import arrays

GARBAGE = [
    b"\xff\xfe\xfd\n",
    b"|:1 |::\n",
    b"1 2 3 4 5 |a\n",
    b"||||\n",
    b"nan |a x\n",
    b"| x:inf\n",
    b"|a x:1e999\n",
    b"GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n",
    b"{\n",
    b"{]}\n",
    b"!\n",
    b"!!!\n",
    b"!\xff\xff\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
    b"\r\r\r\n",
    b"| \x1b[2J\n",
]


@pytest.fixture(scope="module")
def tester(models):
    """Serves lines and learns nothing."""
    with serving(models, "-i", "lines.model", "-t", "--max_line", "1024") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def decider(models):
    """Serves decisions and learns nothing."""
    with serving(models, "-i", "decisions.model", "-t", "--socket", "decisions") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def decisions(models) -> tuple[bytes, bytes]:
    """Decisions, and the answers of decisions.model to them."""
    text = decisions_to_learn(60, seed=2)
    return text, by_file(models, text, "-i", str(models / "decisions.model"), "-t")[0]


# bytes and lines


def test_half_close_answers_what_is_left_and_closes(tester, lines):
    text, expected = lines
    assert tester.talk(text[:-1]) == expected
    assert tester.talk(b"") == b""
    assert tester.talk(b"| x") == tester.talk(b"| x\n") != b""


def test_a_client_that_leaves_in_the_middle_of_a_line_teaches_nothing(tmp_path):
    text = lines_to_learn(20)
    _, model = by_file(tmp_path, text)
    with serving(tmp_path, "-f", "served.model") as daemon:
        with daemon.connect() as client:
            client.sendall(text + b"!ping\n1 |a unfinish")
            read_lines(client, 21)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no half-close, a reset
        assert daemon.talk(b"!ping\n") == b"!pong\n"
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_one_byte_at_a_time(tester, lines):
    text, expected = lines
    count = text.index(b"\n", 1500) + 1
    with tester.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found = talk(client, text[:count], [1] * (count - 1))
    assert expected.startswith(found)
    assert found.count(b"\n") == text[:count].count(b"\n")


def test_sixty_four_clients_at_once(tester, lines):
    text, expected = lines
    answers: list[bytes] = []
    gate = threading.Barrier(64)

    def client(number: int) -> None:
        with tester.connect() as one:
            gate.wait()
            answers.append(talk(one, text, [1 + number * 7, 300, 1, 2000]))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 64


def test_empty_lines_have_no_answer(tester, lines):
    text, expected = lines
    assert tester.talk(b"\n\n\r\n" + text.replace(b"\n", b"\n\n\n")) == expected


def test_carriage_returns_at_the_ends_of_lines_are_no_part_of_them(tester, lines):
    text, expected = lines
    assert tester.talk(text.replace(b"\n", b"\r\n")) == expected


def test_lines_may_be_sent_before_answers_are_read(tester, lines):
    text, expected = lines
    assert tester.talk(text * 300) == expected * 300


def test_malformed_lines_have_an_answer_too(tester):
    answers = tester.talk(b"| x\n1 |a :\nnonsense |a\n| x\n").splitlines()
    assert answers[0] == answers[3] == tester.talk(b"| x").strip()
    assert answers[2].startswith(b"!error line 3, column 1: ")
    assert len(answers) == 4


def test_in_compatible_mode_malformed_lines_are_predicted(tmp_path):
    text = b"1 |a x\n1 |a x:y z\nnonsense |a x\n| x\n"
    expected, _ = by_file(tmp_path, text, "--vw_compat")
    with serving(tmp_path, "--vw_compat") as daemon:
        assert daemon.talk(text) == expected
    assert expected.count(b"\n") == 4


def test_the_garbage_of_one_client_is_nothing_to_another(tester, lines):
    text, expected = lines
    with tester.connect() as one, tester.connect() as other:
        for line, garbage in zip(text.splitlines(), itertools.cycle(GARBAGE)):
            other.sendall(garbage)
            answer = ask(one, line)
            assert expected.startswith(answer)
            expected = expected[len(answer) :]
        other.shutdown(socket.SHUT_WR)
        assert read_all(other)
    assert expected == b""


@pytest.mark.parametrize("which", range(len(GARBAGE)))
def test_after_garbage_a_connection_goes_on_in_step(tester, which):
    answers = tester.talk(b"| x\n" + GARBAGE[which] + b"!ping\n| x\n").splitlines()
    assert answers[-2:] == [b"!pong", tester.talk(b"| x").strip()]


def test_random_bytes_end_no_server(tester):
    draw = random.Random(1)
    for _ in range(20):
        tester.talk(draw.randbytes(5000))
    assert tester.talk(b"!ping\n") == b"!pong\n"


@pytest.mark.parametrize("text", [b"\0\n", b"| x\n\0\0\1\2\n| x\n"])
def test_a_cache_of_vw_is_refused(tester, text):
    *_, last = tester.talk(text).splitlines()
    assert last == b"!error binary input (a cache of VW) is not supported; send text"


# decisions


def test_decisions_in_pieces(decider, decisions):
    text, expected = decisions
    for size in (1, 7, 100, 4096):
        assert decider.talk(text, [size] * (3000 // size)) == expected


def test_the_last_decision_needs_no_empty_line(decider, decisions):
    text, expected = decisions
    assert decider.talk(text[:-1]) == expected
    assert decider.talk(text[:-2]) == expected


def test_a_decision_is_answered_as_soon_as_it_is_whole(decider, decisions):
    text, expected = decisions
    with decider.connect() as client:
        for block, answer in zip(text.split(b"\n\n"), expected.split(b"\n\n")[:5], strict=False):
            client.sendall(block + b"\n\n")
            count = answer.count(b"\n") + 2
            assert b"".join(read_lines(client, count)) == answer + b"\n\n"


def test_empty_lines_between_decisions_make_none(decider, decisions):
    text, expected = decisions
    assert decider.talk(b"\n\n" + text.replace(b"\n\n", b"\n\n\r\n\n\n")) == expected


def test_decisions_may_end_with_carriage_returns(decider, decisions):
    text, expected = decisions
    assert decider.talk(text.replace(b"\n", b"\r\n")) == expected


def test_commands_and_json_stand_between_decisions(decider, decisions):
    text, expected = decisions
    blocks, answers = text.split(b"\n\n"), expected.split(b"\n\n")
    said = b"!ping\n" + blocks[0] + b"\n\n!ping\n!ping\n" + blocks[1] + b"\n\n{}\n" + blocks[2] + b"\n\n\n!ping\n"
    told = decider.talk(said)
    json_line = told.split(b"\n{")[1].split(b"\n")[0]
    parts = [b"!pong\n", answers[0], b"\n\n!pong\n!pong\n", answers[1], b"\n\n{", json_line, b"\n", answers[2]]
    assert told == b"".join(parts) + b"\n\n!pong\n"


def test_what_looks_like_a_command_inside_a_decision_is_a_line_of_it(decider):
    text = b"|a n0\n!ping|a n2\n|a n1\n\n"
    answers = decider.talk(text + b"!ping\n").splitlines()
    assert answers[0].count(b":") == 3
    assert answers[1:] == [b"", b"!pong"]


# JSON


def test_an_example_in_json_has_the_answer_of_the_same_text_in_json(tester):
    answers = tester.talk(b'|a x:0.25 w7 |b z:2\n{"a": {"x": 0.25, "w7": true}, "b": {"z": 2}, "_tag": "t"}\n')
    text, answer = answers.splitlines()
    assert json.loads(answer) == {"prediction": float(text), "tag": "t"}


def test_examples_in_json_are_learned(tmp_path):
    _, model = by_file(tmp_path, b"1 |a x\n0 |a y:2\n| x\n")
    with serving(tmp_path, "-f", "served.model") as daemon:
        answers = daemon.talk(b'1 |a x\n{"_label": 0, "a": {"y": 2}}\n| x\n').splitlines()
        assert daemon.end() == 0
    assert answers[1].startswith(b"{")
    assert arrays(tmp_path / "served.model") == model


def test_a_decision_in_json_has_the_answer_of_the_same_text(decider):
    text = b"shared |u age:0.5 g1\n|a n0 q:2\n|a n1 q:1\n\n"
    line = b'{"u": {"age": 0.5, "g1": true}, "_multi": [{"a": {"n0": 1, "q": 2}}, {"a": {"n1": 1, "q": 1}}]}\n'
    answers = decider.talk(text + line).splitlines()
    pairs = [pair.split(":") for pair in answers[0].decode().split()[0].split(",")]
    assert json.loads(answers[-1])["actions"] == [[int(action), float(share)] for action, share in pairs]


@pytest.mark.parametrize("line", [b'{"a": }', b"{", b'{"_label": "x"}', b'{"a": {"x": NaN}}', b"{" * 500])
def test_bad_json_has_an_error_in_json(tester, decider, line):
    for daemon in (tester, decider):
        bad, pong = daemon.talk(line + b"\n!ping\n").splitlines()
        assert set(json.loads(bad)) == {"error"}
        assert pong == b"!pong"


# commands


def test_stats_count_what_was_served(tmp_path):
    with serving(tmp_path) as daemon:
        daemon.talk(b"1 |a x\nbad |a\n| x\n")
        with daemon.connect():
            stats = json.loads(daemon.talk(b"!stats\n"))
    assert stats["examples"] == 2
    assert stats["malformed"] == 1
    assert stats["lines"] == 3
    assert stats["connections_so_far"] == 3
    assert stats["bytes_in"] == len(b"1 |a x\nbad |a\n| x\n!stats\n")
    assert stats["latency_ms"]["p50"] > 0


def test_lines_before_a_quit_are_counted(tmp_path):
    with serving(tmp_path) as daemon:
        daemon.talk(b"|a x\n|a y\n!quit\n")
        assert json.loads(daemon.talk(b"!stats\n"))["lines"] == 3


def test_quit_says_goodbye_and_nothing_more(tester):
    with tester.connect() as client:
        client.sendall(b"!ping\n!quit\n!ping\n")
        assert read_all(client) == b"!pong\n!bye\n"


@pytest.mark.parametrize("line", [b"!", b"!nothing", b"! ping", b"!pingx", b"!Ping", b"!\xe2\x98\x83"])
def test_unknown_commands_are_told_what_there_is(tester, line):
    answer, pong = tester.talk(line + b"\n!ping\n").splitlines()
    assert answer.startswith(b"!error there is no command !")
    assert b"!ping" in answer
    assert pong == b"!pong"
