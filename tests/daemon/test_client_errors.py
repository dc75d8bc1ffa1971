"""``vwlite client`` says what went wrong, and how many answers are missing."""

import gzip
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.client import answers, count_lines, figures, label, numbered, refusal
from tests.support.command import VWLITE


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


# answers that are errors


@pytest.mark.parametrize("mode", [[], ["--one_by_one"]])
def test_errors_are_answers_that_are_counted_and_the_first_are_shown(serve, capsys, mode):
    def answer(line: bytes) -> bytes:
        if line.startswith(b"bad"):
            return b"!error line 1: no\n"
        return b'{"error": "no"}\n' if line == b"{}" else label(line)

    server = serve(answer=answer)
    found = answers(b"1 |a\nbad |a\n{}\n" + b"2 |a\nbad\n" * 10, "--port", server.port, *mode)
    assert found == b'1\n!error line 1: no\n{"error": "no"}\n' + b"2\n!error line 1: no\n" * 10
    said = capsys.readouterr().err
    assert said.startswith('answer 2: !error line 1: no\nanswer 3: {"error": "no"}\nanswer 5: !error line 1: no\n')
    assert len(re.findall("^answer ", said, re.M)) == 5
    assert figures(said)["answers that are errors"] == "12"


def test_errors_alone_do_not_hide_that_decisions_were_all_answered(serve):
    server = serve(answer=lambda decision: b"!error no\n", decisions=True)
    assert answers(b"|a\n|b\n\n" * 3, "--port", server.port) == b"!error no\n" * 3


# what goes wrong


@pytest.mark.parametrize("mode", [[], ["--one_by_one"]])
def test_a_file_that_is_no_text_is_not_sent(serve, capsys, mode):
    server = serve(answer=label)
    for name, content, what in (
        ("in.txt", gzip.compress(b"1 |a\n"), "bytes compressed by gzip"),
        ("in.txt", "1 |a\n".encode("utf-16"), "UTF-16 text"),
    ):
        Path("good.txt").write_bytes(b"1 |a\n")
        Path(name).write_bytes(content)
        assert f"{name}: not lines of text but {what}" in refusal(
            capsys, "good.txt", name, "--port", server.port, *mode
        )


def test_nobody_there(serve, capsys):
    Path("in.txt").write_bytes(b"1 |a\n")
    port = free_port()
    assert refusal(capsys, "in.txt", "--port", port) == (
        f"127.0.0.1:{port}: can't connect: Connection refused; is the daemon running (vwlite --daemon --port {port})?"
    )
    said = refusal(capsys, "in.txt", "--socket", "none.sock")
    assert said.startswith("none.sock: can't connect: No such file or directory; ")
    assert said.endswith("; is the daemon running (vwlite --daemon --socket none.sock)?")
    assert "can't connect: AF_UNIX path too long" in refusal(capsys, "in.txt", "--socket", "x" * 200)
    assert "can't connect: " in refusal(capsys, "in.txt", "--host", "no.such.host.invalid", "--port", port)


@pytest.mark.parametrize("mode", [[], ["--one_by_one"], ["--half_close"]])
def test_a_daemon_that_leaves_early(serve, capsys, mode):
    server = serve(most=7, quits=False)
    Path("in.txt").write_bytes(numbered(10))
    said = refusal(capsys, "in.txt", "--port", server.port, *mode)
    where, _, what = said.partition(": ")
    assert where == f"127.0.0.1:{server.port}"
    wanted = (
        "7 answers to 8 lines, 1 are missing" if mode == ["--one_by_one"] else "7 answers to 10 lines, 3 are missing"
    )
    assert what.startswith("the daemon closed the connection")
    assert what.endswith(wanted)


def test_a_daemon_that_leaves_in_the_middle_of_much(serve, capsys):
    server = serve(most=7)
    Path("in.txt").write_bytes(numbered(1_000_000, "|a " + "y" * 50))
    said = refusal(capsys, "in.txt", "--port", server.port)
    # what is on the way back may be lost with the connection
    found = re.search(
        r"closed the connection, before all was sent: ([0-7]) answers to (\d+) lines, (\d+) are missing", said
    )
    assert found is not None, said
    assert int(found[2]) - int(found[1]) == int(found[3])


def test_a_daemon_that_leaves_while_the_input_waits(serve):
    server = serve(most=1)
    process = subprocess.Popen(
        [*VWLITE, "client", "--port", server.port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write(b"1 |a\n2 |a\n")
    process.stdin.flush()
    assert process.wait(120) == 1
    assert process.stdout.read() == b"1\n"
    assert "1 answers to 2 lines, 1 are missing" in process.stderr.read().decode()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


def test_decisions_that_have_no_answer(serve, capsys):
    server = serve(answer=count_lines, decisions=True, most=2)
    Path("in.txt").write_bytes(b"|a\n|b\n\n" * 5)
    assert refusal(capsys, "in.txt", "--port", server.port).endswith(
        "2 answers to 5 multi-line examples, 3 are missing"
    )


def test_a_wrong_token(serve, capsys):
    server = serve(token=b"right")
    Path("in.txt").write_bytes(b"1 |a\n")
    Path("token").write_bytes(b"wrong\n")
    said = refusal(capsys, "in.txt", "--port", server.port, "--token_file", "token")
    assert said.endswith("; the last answer: !error the first line has to be the token")


@pytest.mark.parametrize("mode", [[], ["--one_by_one"]])
def test_an_answer_that_does_not_come(serve, capsys, mode):
    server = serve(answer=lambda line: b"")
    Path("in.txt").write_bytes(b"1 |a\n2 |a\n")
    said = refusal(capsys, "in.txt", "--port", server.port, "--timeout", "0.05", "--half_close", *mode)
    assert (
        re.search(r"no answer for 0\.05 s, after 0 answers; [12] are missing", said) or "0 answers to 2 lines" in said
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--send", "!ping", "in.txt"], "--send sends only its own lines: leave out files and --one_by_one"),
        (["--server_name", "x"], "--server_name is for checking a certificate: give --tls or --ca too"),
        (["--tls", "--half_close"], "--half_close and TLS: TLS can't close one side only"),
        (["--one_by_one", "--window", "5"], "--one_by_one and --window: give one of them"),
        (["--token_file", "none"], "none: can't read the token: no such file"),
        (["--token_file", "empty"], "empty: a token is one line, and this file is empty or has several"),
        (["--ca", "none"], "none: can't read the certificates: no such file"),
        (["--ca", "in.txt"], "in.txt: no certificates in PEM form"),
        (["nowhere.txt"], "nowhere.txt: no such file"),
        (["--port", "0"], "Invalid value for '--port'"),
    ],
)
def test_words_that_make_no_sense(serve, capsys, words, what):
    Path("in.txt").write_bytes(b"1 |a\n")
    Path("empty").write_bytes(b"")
    server = serve()
    assert refusal(capsys, "--port", server.port, *words).startswith(what)


def test_an_interrupt_ends_it_with_what_was_done(serve):
    server = serve()
    process = subprocess.Popen(
        [*VWLITE, "client", "--port", server.port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"1 |a\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"1\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    out, err = process.communicate()
    assert out == b""
    assert figures(err.decode())["answers"] == "1"
    assert "Traceback" not in err.decode()
    assert server.served.acquire(timeout=120)


def test_nobody_takes_the_answers(serve):
    server = serve()
    Path("in.txt").write_bytes(numbered(100_000))
    process = subprocess.Popen(
        [*VWLITE, "client", "in.txt", "--port", server.port], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (141, b"")
