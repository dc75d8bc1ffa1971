"""``vwlite client`` gets every answer, in order, or says how many are missing."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import VWLITE
from vwlite.cli import main

Answer = Callable[[bytes], bytes]


def label(line: bytes) -> bytes:
    """The answer to a line is its first word."""
    return line.split(b" ")[0] + b"\n"


def count_lines(decision: bytes) -> bytes:
    """The answer to a decision, as VW writes it, has a number for each of its lines."""
    return b",".join(b"%d:1" % i for i in range(decision.count(b"\n"))) + b"\n\n"


class Server:
    """One client after the other, in a thread: an answer to each line, or each decision, as the daemon gives them.

    Args:
        answer: What an example is answered with.
        decisions: Whether empty lines end examples.
        token: The first line wanted.
        most: The connection is closed after so many answers.
        quits: Whether it knows !quit.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: Answer = label,
        decisions: bool = False,
        token: bytes | None = None,
        most: int | None = None,
        quits: bool = True,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.listener = listener
        self.answer = answer
        self.decisions = decisions
        self.token = token
        self.most = most
        self.quits = quits
        self.context = context
        self.got = b""  # of the last client
        self.given = 0
        self.served = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def port(self) -> str:
        return str(self.listener.getsockname()[1])

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
                self.serve(connection)
            except OSError:
                pass  # the client has gone
            finally:
                connection.close()
                self.served.release()

    def serve(self, connection: socket.socket) -> None:
        self.got, self.given = b"", 0
        rest = b""
        trusted = self.token is None
        while True:
            data = connection.recv(1 << 16)
            self.got += data
            rest += data if data or not rest else b"\n\n"
            if not data and not rest:
                return
            if not trusted:
                first, _, rest = rest.partition(b"\n")
                trusted = first == self.token
                if not trusted:
                    connection.sendall(b"!error the first line has to be the token\n")
                    return
            examples, rest = self.examples(rest)
            said = b""
            for example in examples:
                if self.given == self.most:
                    connection.sendall(said)
                    return
                if example == b"!quit" and self.quits:
                    connection.sendall(said + b"!bye\n")
                    return
                said += b"!pong\n" if example == b"!ping" else self.answer(example)
                self.given += 1
            connection.sendall(said)

    def examples(self, text: bytes) -> tuple[list[bytes], bytes]:
        """Whole examples, and what is left."""
        found = []
        if not self.decisions:
            *lines, rest = text.split(b"\n")
            return [line for line in lines if line], rest
        while text:
            if text.startswith((b"\n", b"!", b"{")):
                line, end, behind = text.partition(b"\n")
            else:
                line, end, behind = text.partition(b"\n\n")
                line += b"\n"
            if not end:
                break
            if line:
                found.append(line)
            text = behind
        return found, text


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Starts servers; the folder is an empty one."""
    monkeypatch.chdir(tmp_path)
    listeners = []

    def begin(path: str | None = None, **how: Any) -> Server:
        if path is None:
            listener = socket.create_server(("127.0.0.1", 0))
        else:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
        listeners.append(listener)
        return Server(listener, **how)

    yield begin
    for listener in listeners:
        listener.close()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def client(*words: str, status: int = 0) -> None:
    assert main(["client", *words]) == status


def answers(text: bytes, *words: str) -> bytes:
    Path("in.txt").write_bytes(text)
    client("in.txt", "-o", "out.txt", *words)
    return Path("out.txt").read_bytes()


def refusal(capsys, *words: str) -> str:
    """What is said by a client that fails, which leaves no file."""
    capsys.readouterr()
    before = sorted(Path().iterdir())
    client(*words, "-o", "out.txt", status=1)
    assert sorted(Path().iterdir()) == before
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()[-1:]
    assert err == line + "\n" or err.startswith("answer ")
    assert line.startswith("vwlite: error: ")
    return str(line.removeprefix("vwlite: error: "))


def numbered(count: int, text: str = "|a x:1 y") -> bytes:
    return b"".join(f"{i} {text}\n".encode() for i in range(count))


def figures(said: str) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)


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


# what goes wrong


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
    assert refusal(capsys, "in.txt", "--port", server.port).endswith("2 answers to 5 decisions, 3 are missing")


def test_a_wrong_token(serve, capsys):
    server = serve(token=b"right")
    Path("in.txt").write_bytes(b"1 |a\n")
    Path("token").write_bytes(b"wrong\n")
    said = refusal(capsys, "in.txt", "--port", server.port, "--token_file", "token")
    assert said.endswith("; its last words: !error the first line has to be the token")


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
        (["--send", "!ping", "in.txt"], "--send sends nothing but its own lines: leave out files and --one_by_one"),
        (["--server_name", "x"], "--server_name is about certificates: give --tls or --ca too"),
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


# TLS


@pytest.fixture
def certificate(tmp_path) -> tuple[str, str]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=daemon -addext subjectAltName=IP:127.0.0.1,DNS:daemon"
    files = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    subprocess.run(
        ["openssl", *words.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True, timeout=120
    )
    return files


@pytest.fixture
def context(certificate) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(*certificate)
    return found


@pytest.mark.parametrize("mode", [[], ["--one_by_one"], ["--window", "2000"]])
def test_tls(serve, certificate, context, mode):
    server = serve(context=context)
    Path("token").write_bytes(b"secret of some length")
    server.token = b"secret of some length"
    words = ["--port", server.port, "--ca", certificate[0], "--token_file", "token", *mode]
    count = 2000 if mode else 100_000
    assert answers(numbered(count), *words) == b"".join(b"%d\n" % i for i in range(count))
    assert answers(b"1 |a\n", *words, "--server_name", "daemon") == b"1\n"


def test_tls_with_much_waiting_in_both_directions(serve, certificate, context):
    server = serve(context=context, answer=lambda line: label(line).rstrip() + b" " + b"x" * 200 + b"\n")
    found = answers(numbered(50_000, "|a " + "y" * 180), "--port", server.port, "--ca", certificate[0])
    assert found.count(b"\n") == 50_000


def test_commands_over_tls(serve, certificate, context, capfd):
    server = serve(context=context)
    for command, wanted in (("!ping", "!pong\n"), ("!quit", "!bye\n")):
        client("--send", command, "--port", server.port, "--ca", certificate[0])
        assert tuple(capfd.readouterr()) == (wanted, "")


def test_certificates_that_are_not_trusted(serve, capsys, certificate, context):
    server = serve(context=context)
    said = refusal(capsys, "--port", server.port, "--tls", "--send", "!ping")
    assert said.startswith(f"127.0.0.1:{server.port}: its certificate is not trusted: self")
    assert said.endswith("; --ca names a file with the one to trust")
    words = ["--port", server.port, "--ca", certificate[0], "--server_name", "other", "--send", "!ping"]
    assert "not valid for 'other'" in refusal(capsys, *words)


def test_tls_with_a_daemon_that_speaks_none(serve, capsys, monkeypatch):
    monkeypatch.setattr("vwlite.cli.client.CONNECT_SECONDS", 0.2)
    words = ["--tls", "--send", "!ping", "--port"]
    said = refusal(capsys, *words, serve().port)
    assert said.endswith("can't connect: no answer for 0.2 s; does it speak TLS (--cert and --key)?")

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"0.5\n" * 100)
            connection.recv(1 << 16)
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        said = refusal(capsys, *words, str(listener.getsockname()[1]))
    assert said.endswith(": TLS failed: wrong version number; does it speak TLS (--cert and --key)?")


def test_the_help_of_everything_imports_nothing_that_only_a_client_needs():
    program = """import sys; from vwlite.cli import main; main(["--help"])
print({"ssl", "asyncio", "socket"} & set(sys.modules), file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, env=os.environ)
    assert "client" in done.stdout
    assert done.stderr == "set()\n"
