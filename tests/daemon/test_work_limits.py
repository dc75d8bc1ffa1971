"""No line and no client keeps others waiting for long: what a line may cost, and how lines are cut into slices."""

import itertools
import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.daemon import UCB, ask, by_file, decisions_to_learn, lines_to_learn, read_lines, serving
from tests.support.models import arrays
from vwlite.cli import main
from vwlite.daemon.engine import Engine
from vwlite.engine.command_line import option_groups, parse

PIECE = 1 << 10


def wide(a: int, b: int, head: str = "1 ") -> bytes:
    """A line with so many features in two namespaces."""
    words = [" ".join(f"{i:x}" for i in range(count)) for count in (a, b)]
    return f"{head}|a {words[0]} |b {words[1]}".encode()


def engine(words: str = "") -> Engine:
    return Engine(parse(["--quiet", *words.split()], option_groups()))


# one line


def test_a_line_of_too_many_crossed_features_is_malformed(tmp_path):
    with serving(tmp_path, "-q", "ab", "-f", "served.model") as daemon, daemon.connect() as client:
        before = daemon.memory()
        for _ in range(20):
            assert ask(client, wide(4000, 4000)).startswith(b"!error line ")
        assert daemon.memory() - before < 20 << 20  # it was 155 MB
        assert b"more than 32,768 features with the crossed ones" in ask(client, wide(512, 512))
        assert b"--crossing_limit" in ask(client, wide(512, 512))
        assert not ask(client, wide(180, 180)).startswith(b"!")
        stats = json.loads(ask(client, b"!stats"))
    assert (stats["examples"], stats["malformed"]) == (1, 22)


def test_the_limit_is_an_option(tmp_path):
    with serving(tmp_path, "-q", "ab", "--crossing_limit", "100") as daemon, daemon.connect() as client:
        assert ask(client, wide(8, 9)) == b"0\n"
        assert b"more than 100 features" in ask(client, wide(9, 10))
        assert ask(client, b"|a " + b"x " * 200).startswith(b"0.")  # nothing is crossed
    with serving(tmp_path, "-q", "ab", "--crossing_limit", "1000000") as daemon, daemon.connect() as client:
        assert ask(client, wide(900, 900)) == b"0\n"


def test_a_run_over_a_file_has_the_option_too(tmp_path, capsys):
    (tmp_path / "data.txt").write_bytes(wide(9, 9) + b"\n" + wide(2, 2) + b"\n")
    paths = [str(tmp_path / "data.txt"), "-p", str(tmp_path / "p.txt")]
    assert main([*paths, "-q", "ab", "--crossing_limit", "90", "--quiet"]) == 0
    assert len((tmp_path / "p.txt").read_text().splitlines()) == 1
    assert main([*paths, "-q", "ab", "--crossing_limit", "100", "--quiet"]) == 0
    assert len((tmp_path / "p.txt").read_text().splitlines()) == 2


def test_all_actions_of_a_decision_count(tmp_path):
    shared = b"shared |a " + b" ".join(b"%d" % i for i in range(160)) + b"\n"
    action = b"|b " + b" ".join(b"%d" % i for i in range(160)) + b"\n"  # 25,921 features, with the shared ones
    with serving(tmp_path, "-q", "ab", *UCB.split(), "--posterior", "diagonal") as daemon, daemon.connect() as client:
        client.sendall(shared + action + b"\n")
        assert not read_lines(client, 2)[0].startswith(b"!")
        answer = ask(client, shared + action * 2)
        assert b"line 6, column 1: more than 32,768 features" in answer
        client.sendall(b"|b x\n|b y\n\n")
        assert not read_lines(client, 2)[0].startswith(b"!")
        client.sendall(b"shared |a " + b"x " * 50_000 + b"\n" + b"|\n" * 20_000)  # 10^9 features, none crossed
        assert b"more than 32,768 features" in ask(client, b"")


def test_a_fixed_model_that_crosses_is_limited_too(tmp_path):
    (tmp_path / "data.txt").write_bytes(b"1 |a x |b y\n" * 10)
    fixed = str(tmp_path / "fixed.model")
    assert main([str(tmp_path / "data.txt"), "-q", "ab", "-f", fixed, "--quiet"]) == 0
    with serving(tmp_path, "--fixed_effect", fixed) as daemon, daemon.connect() as client:
        assert b"more than 32,768 features" in ask(client, wide(600, 600))
        assert not ask(client, b"1 |a x |b y").startswith(b"!")


def test_what_was_acknowledged_under_another_limit_is_learned_again(tmp_path):
    words = ["-q", "ab", "--journal", "journal", "-f", "served.model"]
    text = wide(600, 600) + b"\n" + wide(2, 2) + b"\n"
    with serving(tmp_path, *words, "--crossing_limit", "1000000") as daemon:
        assert b"!error" not in daemon.talk(text)
        daemon.kill()
    with serving(tmp_path, *words) as daemon:
        assert json.loads(daemon.talk(b"!stats\n"))["examples"] == 2
        assert b"!error" in daemon.talk(text)
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == by_file(tmp_path, text + wide(2, 2) + b"\n", "-q", "ab")[1]


def test_an_example_in_json_is_shorter_than_one_in_text_may_be(tmp_path):
    def example(size: int) -> bytes:
        return b'{"a": {"x": 1}, "_p": "' + b"x" * (size - 25) + b'"}'

    with serving(tmp_path, "-t") as daemon, daemon.connect() as client:
        assert json.loads(ask(client, example(1 << 17))) == {"prediction": 0}
        found = json.loads(ask(client, example((1 << 17) + 1)))
        assert found == {"error": "an example in JSON of more than 131072 bytes (--max_json)"}
        assert ask(client, b"!ping") == b"!pong\n"
    with serving(tmp_path, "-t", "--max_json", "2000") as daemon, daemon.connect() as client:
        assert "more than 2000 bytes" in json.loads(ask(client, example(2001)))["error"]
        assert json.loads(ask(client, example(2000))) == {"prediction": 0}


# many lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lines_to_learn(300), ""),
        (lines_to_learn(300).replace(b"\n", b"\r\n"), "-q ab"),
        (decisions_to_learn(60), UCB),
        (decisions_to_learn(60).replace(b"\n", b"\r\n"), UCB),
        (b"\n" * 5000 + b"1 |a x\n", ""),
        (b"\n" * 5000 + decisions_to_learn(3) + b"\r\n" * 900, UCB),
        (b"1 |a " + b"x " * 5000 + b"\n1 |a y\n", ""),
    ],
)
def test_lines_in_slices_are_as_all_at_once(text, words):
    whole, sliced = engine(words), engine(words)
    expected = whole.run(text)
    longest = max(map(len, text.split(b"\n\n" if words == UCB else b"\n"))) + 4
    found, lines, at = b"", 1, 0
    while at < len(text):
        found += sliced.run(text[at:], lines, 0.0)
        assert 0 < sliced.bytes <= PIECE + longest or b"\n" * PIECE in text or b"\r\n" * (PIECE // 2) in text
        assert text[at : at + sliced.bytes].endswith(b"\n")
        at += sliced.bytes
        lines += sliced.lines
    assert found == expected
    assert sliced.driver.counters.example_number == whole.driver.counters.example_number
    assert lines - 1 == whole.lines


@given(st.lists(st.sampled_from([b"|a x\n", b"\n", b"\r\n", b"0:1:1 |a y\r\n", b"|" + b"z" * 700 + b"\n", b"\r\r\n"])))
def test_decisions_are_never_cut(pieces):
    text = b"|b x\n" + b"".join(pieces) + b"\n\n"
    whole, sliced = engine(UCB), engine(UCB)
    expected = whole.run(text)
    found, lines, at = b"", 1, 0
    while at < len(text):
        found += sliced.run(text[at:], lines, 0.0)
        at += sliced.bytes
        lines += sliced.lines
    assert found == expected


def test_cheap_lines_do_not_buy_time_for_dear_ones(tmp_path):
    """A client whose cheap lines let it send much at a time; others are answered between its dear ones."""
    cheap, dear = b"\n" * 200_000, (wide(175, 175) + b"\n") * 300  # 30,625 features each, of 1 kB: 1 s in one slice
    over = threading.Event()
    with serving(tmp_path, "-q", "ab", "-t") as daemon, daemon.connect() as hostile, daemon.connect() as other:

        def attack() -> None:
            while not over.is_set():
                hostile.sendall(cheap + dear)
                read_lines(hostile, 300)

        thread = threading.Thread(target=attack)
        thread.start()
        waited = []
        for _ in range(100):
            began = time.perf_counter()
            assert ask(other, b"!ping") == b"!pong\n"
            waited.append(time.perf_counter() - began)
            time.sleep(0.01)  # so that pings come at any time of the attack
        over.set()
        thread.join()
        slices = json.loads(ask(other, b"!stats"))
    assert sorted(waited)[90] < 0.5
    assert slices["lines"] > 150


def test_what_a_batch_needs_is_imported_before_anybody_waits(tmp_path):
    for size, there in (("50", True), ("1", False)):
        with serving(tmp_path, "--bayes_logistic", "--batch_size", size) as daemon:
            maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
            assert ("/scipy/linalg/" in maps) is there


def test_limits_of_a_line_hold_at_the_end_of_a_connection_too(tmp_path):
    with serving(tmp_path, "-q", "ab") as daemon:
        assert b"more than 32,768 features" in daemon.talk(b"1 |a x\n" + wide(4000, 4000))


def test_pieces_end_where_lines_do():
    lines = [b"|a " + b"x" * (n % 300) + b"\n" for n in range(400)]
    text = b"".join(lines)
    ends = set(itertools.accumulate(map(len, lines)))
    sliced = engine()
    at = 0
    while at < len(text):
        sliced.run(text[at:], 1, 0.0)
        at += sliced.bytes
        assert at in ends
