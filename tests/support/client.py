"""``vwlite client`` in the process of the tests, and servers that it talks to."""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

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


def client(*words: str, status: int = 0) -> None:
    """Run it in this process."""
    assert main(["client", *words]) == status


def answers(text: bytes, *words: str) -> bytes:
    """What it writes for these lines."""
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
    """Lines that are answered with their numbers, from 0."""
    return b"".join(f"{i} {text}\n".encode() for i in range(count))


def figures(said: str) -> dict[str, str]:
    """The lines of its summary."""
    return dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)
