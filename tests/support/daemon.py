"""The daemon in a process of its own, and clients that talk to it through sockets."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.support.command import VWLITE
from tests.support.models import Arrays, arrays
from vwlite.cli import main

MB = 1 << 20
HALF = b"0.500000\n"  # what --link logistic makes of nothing
UCB = "--explore ucb --bayes_linear"  # takes decisions
PATIENCE = 60.0  # seconds that anything may take on a busy machine
ASYNCIO = [  # what somebody has who did not install uvloop
    sys.executable,
    "-c",
    "import sys; sys.modules['uvloop'] = None; from vwlite.cli import main; sys.exit(main())",
]
SLOW = [  # whose saves wait as long as there is a file "hold", and make one, "held", to say so
    sys.executable,
    "-c",
    """
import os, sys, time
from vwlite.cli import main
from vwlite.daemon import saving
save = saving.attempt
def slow(*about):
    while os.path.exists("hold"):
        open("held", "w").close()
        time.sleep(0.01)
    return save(*about)
saving.attempt = slow
sys.exit(main(sys.argv[1:]))
""",
]
EASY = 64  # bytes of a socket's buffer that make a client fill it soon; the kernel takes the least it can


class Daemon:
    """A daemon in the foreground, which serves as soon as this is made.

    Attributes:
        folder: Where it was started, and its files are.
        log: What it has said on standard error, lines without their ends.
    """

    def __init__(self, folder: Path, *words: str, start: Sequence[str] = ASYNCIO) -> None:
        self.folder = folder
        self.log: list[str] = []
        self.path = folder / words[words.index("--socket") + 1] if "--socket" in words else None
        place = [] if self.path else ["--port_file", "port"]
        if not self.path and "--port" not in words:
            place += ["--port", "0"]
        command = [*start, "--daemon", "--foreground", *place, *words]
        self.process = subprocess.Popen(
            command, cwd=folder, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        self.listening = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.listening.wait(PATIENCE)
        if not any("listening" in line for line in self.log):
            self.kill()
            raise AssertionError("\n".join(self.log))
        self.port = 0 if self.path else int((folder / "port").read_text())

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            if "listening" in line:
                self.listening.set()
        self.listening.set()

    def connect(self, easily_filled: bool = False) -> socket.socket:
        """A client; `easily_filled`: the kernel keeps little of what it doesn't read."""
        if self.path:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(PATIENCE)
            client.connect(str(self.path))
            return client
        client = socket.socket()
        client.settimeout(PATIENCE)
        if easily_filled:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, EASY)
        client.connect(("127.0.0.1", self.port))
        return client

    def talk(self, text: bytes, sizes: Sequence[int] = ()) -> bytes:
        """What it answers to a text whose end is the client's half-close; sent in pieces of these sizes first."""
        with self.connect() as client:
            return talk(client, text, sizes)

    def memory(self) -> int:
        """Bytes of its memory that are in use."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))

    def state(self) -> str:
        """What its process does: R for running, S for sleeping, T for stopped."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Have it end, and wait for that; its status."""
        self.send(number)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status

    def wait_for(self, word: str) -> str:
        """The first line of the log with a word in it, as soon as there is one."""

        def said() -> str | None:
            return next((line for line in list(self.log) if word in line), None)

        def is_over() -> bool:
            return self.process.poll() is not None and not self.reader.is_alive()

        wait_until(lambda: said() or is_over(), f"{word!r} is not in the log")
        found = said()
        assert found, f"{word!r} is not in the log:\n" + "\n".join(self.log)
        return found

    def kill(self) -> None:
        """End it without asking."""
        self.process.kill()
        self.process.wait()
        self.reader.join(PATIENCE)


@contextlib.contextmanager
def serving(folder: Path, *words: str, start: Sequence[str] = ASYNCIO) -> Iterator[Daemon]:
    """A daemon that is there inside a with statement."""
    daemon = Daemon(folder, *words, start=start)
    try:
        yield daemon
    finally:
        daemon.kill()


def refusal(*words: str, folder: Path | None = None) -> str:
    """What a daemon says that doesn't start: lines that each begin as an error does."""
    process = subprocess.Popen(
        [*VWLITE, "--foreground", *words], cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    found = ""
    try:
        assert process.stderr is not None
        for line in process.stderr:
            assert "listening" not in line
            found += line
        assert process.wait(PATIENCE) == 1
    finally:
        process.kill()
        process.wait()
    assert all(line.startswith("vwlite: error: ") for line in found.splitlines()), found
    return found


def make_token(text: bytes, mode: int = 0o600) -> None:
    """A file named token in the current folder."""
    Path("token").write_bytes(text)
    Path("token").chmod(mode)


def wait_until(happened: Callable[[], object], otherwise: str = "it doesn't happen") -> None:
    """Ask again and again whether something has happened; fail if it doesn't in all the time there is."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, otherwise
        time.sleep(0.01)


def connected(path: Path) -> socket.socket:
    """A client of a Unix socket, as soon as somebody listens there."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    wait_until(lambda: client.connect_ex(str(path)) == 0)
    return client


def talk(client: socket.socket, text: bytes, sizes: Sequence[int] = ()) -> bytes:
    """Send a text, whole or in pieces, while answers are read until the server closes its side; the answers."""
    trouble: list[Exception] = []

    def send() -> None:
        try:
            at = 0
            for size in sizes:
                client.sendall(text[at : at + size])
                at += size
            client.sendall(text[at:])
            client.shutdown(socket.SHUT_WR)
        except OSError as error:  # the server may have had enough
            trouble.append(error)

    if not sizes and len(text) < 1 << 12:
        send()
        return read_all(client)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        return read_all(client)
    finally:
        sender.join(PATIENCE)


def read_all(client: socket.socket) -> bytes:
    """Everything until the other side closes; also what came before a connection was reset."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(1 << 16):
            found += piece
    return bytes(found)


def read_lines(client: socket.socket, count: int) -> list[bytes]:
    """So many answers and no more, with their ends."""
    found = bytearray()
    while found.count(b"\n") < count:
        piece = client.recv(1 << 16)
        assert piece, f"closed after {bytes(found)!r}"
        found += piece
    assert found.endswith(b"\n")
    lines = bytes(found).splitlines(keepends=True)
    assert len(lines) == count
    return lines


def ask(client: socket.socket, line: bytes) -> bytes:
    """Send one line and wait for its answer."""
    client.sendall(line + b"\n")
    return read_lines(client, 1)[0]


def by_file(folder: Path, text: bytes, *words: str) -> tuple[bytes, Arrays]:
    """What a run over a file with these bytes predicts, and the model it saves."""
    (folder / "file.txt").write_bytes(text)
    paths = ["-d", str(folder / "file.txt"), "-p", str(folder / "file.out"), "-f", str(folder / "file.model")]
    assert main([*paths, "--quiet", *words]) == 0
    return (folder / "file.out").read_bytes(), arrays(folder / "file.model")


def lines_to_learn(count: int, seed: int = 1) -> bytes:
    """Lines with labels, and some without; with weights, initial predictions and tags."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        x, word = draw.random(), draw.randrange(50)
        head = f"{2 * x - draw.random():.3f}" if draw.random() < 0.8 else ""
        if head and draw.random() < 0.2:
            head += f" {draw.choice((0.5, 2, 3))}" + (f" {draw.random():.2f}" if draw.random() < 0.5 else "")
        head += f" '{number}" if draw.random() < 0.5 else " "  # what touches the bar is a tag
        found.append(f"{head}|a x:{x:.4f} w{word} z:{draw.randrange(9)} |b y{draw.randrange(5)}\n")
    return "".join(found).encode()


def decisions_to_learn(count: int, seed: int = 1) -> bytes:
    """Decisions of three or four actions; of most the cost of one is known, which is -1 or 0."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        n = draw.choice((3, 4))
        chosen = draw.randrange(n) if draw.random() < 0.8 else -1
        found.append(f"shared {number}t|u age:{draw.random():.3f} g{draw.randrange(3)}\n")
        for action in range(n):
            head = f"{action}:{-(draw.random() < action / n):d}:{1 / n:.3f} " if action == chosen else ""
            found.append(f"{head}|a n{action} q:{draw.randrange(4)}\n")
        found.append("\n")
    return "".join(found).encode()
