"""A daemon that is killed at any moment loses nothing that it has acknowledged, and learns nothing twice.

VWLITE_FAULTS says how many kills there are at least; `make faults` takes 200.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import arrays
from vwlite import Workspace

KILLS = int(os.environ.get("VWLITE_FAULTS", "10"))
PATIENCE = 60


class Daemon:
    """A daemon with a journal, in the foreground of a process of its own."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.flags = [*flags, "--journal", str(folder / "journal"), "-f", str(folder / "final.model")]
        self.process: Any = None

    def start(self) -> None:
        """Starts it, and returns when clients can come."""
        port = self.folder / "port"
        port.unlink(missing_ok=True)
        self.launch()
        until = time.monotonic() + PATIENCE
        while not (port.exists() and port.read_text().endswith("\n")):
            assert self.process.poll() is None, "it has ended"
            assert time.monotonic() < until
        self.port = int(port.read_text())

    def launch(self) -> None:
        """Starts it, and doesn't wait."""
        command = [sys.executable, "-m", "vwlite", "--foreground", "--port", "0", "--quiet"]
        command += ["--port_file", str(self.folder / "port"), *self.flags]
        self.process = subprocess.Popen(command, cwd=self.folder)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Tells it to end, and waits for that."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def stats(self) -> dict[str, Any]:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as one:
            one.sendall(b"!stats\n")
            with one.makefile("rb") as answers:
                found: dict[str, Any] = json.loads(answers.readline())
        return found


@pytest.fixture
def daemon(tmp_path):
    made = []

    def make(*flags: str) -> Daemon:
        made.append(Daemon(tmp_path, *flags))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.kill()


class Client(threading.Thread):
    """Sends lines without waiting, and counts the answers, until the connection breaks or all are answered."""

    def __init__(self, port: int, lines: list[bytes], enough: int) -> None:
        super().__init__(daemon=True)
        self.lines = lines
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.answers: list[bytes] = []
        self.enough = threading.Event()  # so many answers have come, or the end
        self.wanted = enough
        self.start()

    def run(self) -> None:
        sender = threading.Thread(target=self.send, daemon=True)
        sender.start()
        try:
            with self.socket.makefile("rb") as answers:
                for answer in answers:
                    if answer.endswith(b"\n"):
                        self.answers.append(answer)
                    if len(self.answers) >= self.wanted:
                        self.enough.set()
        except OSError:
            pass
        self.enough.set()
        sender.join()
        self.socket.close()

    def send(self) -> None:
        try:
            for i in range(0, len(self.lines), 7):
                self.socket.sendall(b"".join(self.lines[i : i + 7]))
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def lines_of(seed: int, count: int, client: int = 0) -> list[bytes]:
    source = random.Random(seed)
    return [
        f"{source.choice((-1, 1))} |user c{client}u{source.randrange(20)} "
        f"|x a{source.randrange(50)}:{source.random():.3f} b{source.randrange(9)}\n".encode()
        for _ in range(count)
    ]


STACKS = {
    "gd": "--loss_function logistic",
    "entities on disk": "--random_effect user:x --bayes_linear --posterior diagonal --entity_limit 5",
    "random effects": "--random_effect user:x --bayes_logistic --posterior diagonal --batch_size 3",
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("saves", ["", "--autosave 300"])
def test_a_model_has_exactly_the_acknowledged_lines_whenever_it_is_killed(stack, saves, daemon, tmp_path):
    """One client, so the order is known. What was on its way at a kill may be learned or not, but nothing behind it."""
    flags = STACKS[stack].split()
    server = daemon(*flags, *saves.split())
    source = random.Random(f"{stack}{saves}")
    sent: list[bytes] = []
    learned = 0
    answers: list[bytes] = []
    for turn in range(max(1, KILLS // 4)):
        server.start()
        found = server.stats()["examples"]
        # acknowledged lines are there; those on their way may be
        assert len(answers) <= found <= len(sent)
        learned, sent = found, sent[:found]
        answers = answers[:found]
        more = lines_of(turn, 3000)
        client = Client(server.port, more, source.randrange(1, 2500))
        assert client.enough.wait(PATIENCE)
        server.kill()
        client.join(PATIENCE)
        sent += more
        acknowledged = learned + len(client.answers)
        answers = [*answers, *[b""] * (learned - len(answers)), *client.answers]
        assert len(answers) == acknowledged
        if source.random() < 0.5:  # killed again while it comes back
            server.launch()
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(source.random() * 0.5)
            server.kill()
    server.start()
    found = server.stats()["examples"]
    assert len(answers) <= found <= len(sent)
    server.end()
    (tmp_path / "lines").write_bytes(b"".join(sent[:found]))
    reference = Workspace(flags)
    predictions = reference.learn(sent[:found])
    for answer, prediction in zip(answers, predictions, strict=False):
        assert not answer or float(answer) == pytest.approx(prediction, abs=1e-6)
    reference.save(tmp_path / "reference.model")
    assert arrays(tmp_path / "final.model") == arrays(tmp_path / "reference.model")


def test_lines_of_many_clients_are_learned_once_each_through_kills(daemon, tmp_path):
    """Each client has users of its own, so what is learned of them doesn't depend on the others."""
    flags = ["--random_effect", "user:x", "--bayes_logistic", "--fixed", "none", "--shrink", "zero", "--effect_l2", "1"]
    server = daemon(*flags, "--autosave", "500")
    source = random.Random(3)
    clients = 4
    acknowledged = [0] * clients
    for turn in range(max(1, KILLS // 4)):
        server.start()
        lines = [lines_of(100 * turn + k, 800, client=turn * clients + k) for k in range(clients)]
        threads = [Client(server.port, lines[k], source.randrange(1, 700)) for k in range(clients)]
        assert threads[source.randrange(clients)].enough.wait(PATIENCE)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for k, thread in enumerate(threads):
            thread.join(PATIENCE)
            acknowledged[k] = len(thread.answers)
        server.start()
        # of each client the first few lines were learned, at least those acknowledged
        server.end()
        model = Workspace.load(tmp_path / "final.model")
        for k in range(clients):
            possible = Workspace(flags)
            possible.learn(lines[k][: acknowledged[k]])
            probe = [line.partition(b" ")[2] for line in lines[k][:60]]
            wanted = model.predict(probe)
            count = acknowledged[k]
            while possible.predict(probe) != wanted:
                assert count < len(lines[k]), "some line was lost, or learned twice"
                possible.learn(lines[k][count])
                count += 1
