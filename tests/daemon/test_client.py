"""``vwlite client`` gets every answer, in order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import answers, client, count_lines, figures, label, numbered
from tests.support.command import VWLITE


@pytest.fixture
def lines_of_all_kinds():
    return b"1 |a\r\n2 'tag|b\n\n\n3 'save_here |a\n4 |save\n{\"_label\":5}\n\r\n!ping\n6 |a"


# what comes back


@pytest.mark.parametrize("mode", [[], ["--one_by_one"], ["--window", "1000"], ["--window", "1"], ["--half_close"]])
def test_every_line_has_its_answer_in_order(serve, capsys, mode):
    server = serve()
    wanted = b"".join(b"%d\n" % i for i in range(20_000 if mode != ["--window", "1"] else 50))
    assert answers(numbered(wanted.count(b"\n")), "--port", server.port, *mode) == wanted
    said = figures(capsys.readouterr().err)
    assert said["lines"] == said["answers"] == str(wanted.count(b"\n"))
    assert said.keys() >= {"seconds", "answers per second", "megabytes per second"}


@pytest.mark.parametrize("mode", [[], ["--one_by_one"]])
def test_lines_of_all_kinds(serve, capsys, lines_of_all_kinds, mode):
    server = serve(answer=lambda line: b"" if b"'save" in line or line == b"\r" else label(line))
    found = answers(lines_of_all_kinds, "--port", server.port, *mode)
    assert found == b'1\n2\n4\n{"_label":5}\n!pong\n6\n'
    assert figures(capsys.readouterr().err)["lines"] == "6"
    assert server.got == lines_of_all_kinds + b"\n\n\n!quit\n"


@pytest.mark.parametrize("mode", [[], ["--decisions"], ["--decisions", "--one_by_one"], ["--window", "100"]])
def test_every_decision_has_its_answer(serve, capsys, mode):
    server = serve(answer=count_lines, decisions=True)
    text = b"".join(b"shared |a\n" + b"|b x\n" * (1 + i % 3) + b"\n" for i in range(500)) + b"|last\n|one"
    found = answers(text, "--port", server.port, *mode)
    assert found == b"".join(count_lines(b"\n" * (2 + i % 3)) for i in range(500)) + b"0:1,1:1\n\n"
    said = figures(capsys.readouterr().err)
    assert (said["decisions"], said["answers"]) == ("501", "501")


def test_files_follow_each_other_and_compressed_ones_are_unpacked(serve):
    import gzip

    server = serve()
    Path("a.txt").write_bytes(b"1 |a\n2 |a")
    Path("b.txt.gz").write_bytes(gzip.compress(numbered(5000)))
    Path("empty.txt").write_bytes(b"")
    client("a.txt", "empty.txt", "b.txt.gz", "a.txt", "--port", server.port, "-o", "out.txt", "--quiet")
    numbers = [b"1", b"2", *(b"%d" % i for i in range(5000)), b"1", b"2"]
    assert Path("out.txt").read_bytes() == b"".join(number + b"\n" for number in numbers)


def test_nothing_sent_is_nothing_answered(serve, capsys):
    server = serve()
    assert answers(b"", "--port", server.port) == b""
    assert "milliseconds" not in capsys.readouterr().err


@pytest.mark.parametrize("where", ["--socket=here.sock", "--port"])
def test_a_token_goes_first(serve, where):
    Path("token").write_text("secret of some length\n")
    path = None if where == "--port" else "here.sock"
    server = serve(path=path, token=b"secret of some length")
    words = ["--port", server.port] if path is None else [where]
    assert answers(b"1 |a\n", *words, "--token_file", "token") == b"1\n"
    assert server.got.startswith(b"secret of some length\n1 |a\n")


def test_more_waits_in_both_directions_than_all_buffers_hold(serve):
    server = serve(answer=lambda line: label(line).rstrip() + b" " + b"x" * 200 + b"\n")
    found = answers(numbered(150_000, "|a " + "y" * 180), "--port", server.port)
    assert [line.split()[0] for line in found.splitlines()] == [b"%d" % i for i in range(150_000)]


def test_a_line_longer_than_a_piece(serve):
    server = serve()
    long = b"1 |a " + b"x" * 1_000_000 + b"\n"
    assert answers(long + b"2 |a\n" + long, "--port", server.port, "--window", "5000") == b"1\n2\n1\n"


def test_answers_come_while_the_input_waits(serve):
    server = serve()
    process = subprocess.Popen(
        [*VWLITE, "client", "--port", server.port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    for i in range(5):
        process.stdin.write(b"%d |a" % i)
        process.stdin.flush()
        process.stdin.write(b" x\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"%d\n" % i
    out, err = process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert figures(err.decode())["answers"] == "5"


def test_quiet_says_nothing(serve, capfd):
    server = serve(answer=lambda line: b"!error no\n")
    Path("in.txt").write_bytes(numbered(3))
    client("in.txt", "--port", server.port, "--quiet")
    assert tuple(capfd.readouterr()) == ("!error no\n" * 3, "")


# latencies


def test_one_by_one_times_each_line(serve, capsys):
    server = serve()
    answers(numbered(300), "--port", server.port, "--one_by_one")
    said = capsys.readouterr().err
    times = re.search(r"^milliseconds to an answer, of 300 = (.*)$", said, re.M)
    assert times is not None
    names, values = zip(*(part.rsplit(" ", 1) for part in times[1].split(", ")), strict=True)
    assert names == ("median", "90%", "99%", "99.9%", "most")
    assert [float(value) for value in values] == sorted(float(value) for value in values)
    assert 0 < float(values[0]) < 1000


def test_the_next_line_waits_for_the_answer_before(serve):
    seen = []

    def answer(line: bytes) -> bytes:
        seen.append(server.got.count(b"\n"))
        return label(line)

    server = serve(answer=answer)
    answers(numbered(50), "--port", server.port, "--one_by_one")
    assert seen == list(range(1, 51))


def test_a_window_bounds_what_is_sent_ahead(serve):
    ahead = []

    def answer(line: bytes) -> bytes:
        ahead.append(len(server.got) - size * server.given)
        return label(line)

    size = len(b"10000 |a x:1 y\n")
    server = serve(answer=answer)
    text = b"".join(b"%d |a x:1 y\n" % (10_000 + i) for i in range(3000))
    answers(text, "--port", server.port, "--window", "3000")
    # answers of a piece go out together, so that the client learns of them late, never early
    assert max(ahead) <= 3000 + len(b"\n\n!quit\n")


def test_latencies_of_a_stream_are_those_of_whole_pieces(serve, capsys):
    server = serve()
    answers(numbered(100_000), "--port", server.port)
    said = capsys.readouterr().err
    times = re.search(r"^milliseconds to an answer, of (\d+) = median ([0-9.]+)", said, re.M)
    assert times is not None and 2 <= int(times[1]) <= 100 and float(times[2]) > 0


# commands


def test_a_command_and_its_answer(serve, capfd):
    server = serve()
    client("--send", "!ping", "--port", server.port)
    assert tuple(capfd.readouterr()) == ("!pong\n", "")
    client("--send", "7 |a", "--send", "!ping", "--port", server.port)
    assert tuple(capfd.readouterr()) == ("7\n!pong\n", "")


def test_a_command_that_ends_the_connection(serve, capfd):
    server = serve()
    client("--send", "!quit", "--port", server.port)
    assert tuple(capfd.readouterr()) == ("!bye\n", "")
    assert server.got == b"!quit\n"


def test_a_command_that_fails_fails(serve, capfd):
    server = serve(answer=lambda line: b"!error no such command\n")
    client("--send", "!fly", "--port", server.port, status=1)
    assert tuple(capfd.readouterr()) == ("!error no such command\n", "")


def test_the_help_of_everything_imports_nothing_that_only_a_client_needs():
    program = """import sys; from vwlite.cli import main; main(["--help-all"])
print({"ssl", "asyncio", "socket"} & set(sys.modules), file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, env=os.environ)
    assert "client" in done.stdout
    assert done.stderr == "set()\n"
