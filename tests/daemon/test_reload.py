"""SIGHUP: the model file, as it is now, takes the place of the model that is served."""

import functools
import os
import signal
import socket

import pytest

from tests.support.daemon import Daemon, ask, by_file, lines_to_learn, serving, wait_until


def test_sighup_loads_the_model_file_as_it_is_now(folder):
    old, new = lines_to_learn(50, seed=1), lines_to_learn(50, seed=2)
    by_file(folder, old)
    (folder / "file.model").rename("serving.model")
    by_file(folder, new)
    line = lines_to_learn(10, seed=3)
    expected, _ = by_file(folder, line, "-t", "-i", "serving.model")
    os.replace("file.model", "old.model")
    by_file(folder, new)
    changed, _ = by_file(folder, line, "-t", "-i", "file.model")
    by_file(folder, new)
    with serving(folder, "-i", "serving.model", "-t") as daemon, daemon.connect() as client:
        client.sendall(line)
        assert read(client, expected) == expected
        os.replace("file.model", "serving.model")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("model loaded")
        client.sendall(line)
        assert read(client, changed) == changed
    assert expected != changed


def read(client: socket.socket, expected: bytes) -> bytes:
    """As many bytes as are expected."""
    found = b""
    while len(found) < len(expected):
        piece = client.recv(len(expected) - len(found))
        assert piece
        found += piece
    return found


@pytest.mark.parametrize("content", [None, b"", b"no model", b"\0" * 10_000])
def test_sighup_with_a_broken_file_changes_nothing(folder, content):
    by_file(folder, lines_to_learn(50))
    with serving(folder, "-i", "file.model", "-t") as daemon, daemon.connect() as client:
        before = ask(client, b"|a x:0.5")
        (folder / "file.model").unlink()
        if content is not None:
            (folder / "file.model").write_bytes(content)
        daemon.send(signal.SIGHUP)
        assert "file.model" in daemon.wait_for("the model is unchanged")
        assert ask(client, b"|a x:0.5") == before


def test_sighup_with_a_model_of_decisions_changes_nothing(folder):
    by_file(folder, b"|a x\n|a y\n\n", "--explore", "ucb", "--bayes_linear")
    (folder / "file.model").rename("decisions.model")
    by_file(folder, lines_to_learn(50))
    with serving(folder, "-i", "file.model", "-t") as daemon, daemon.connect() as client:
        before = ask(client, b"|a x:0.5")
        os.replace("decisions.model", "file.model")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("the model is unchanged")
        assert ask(client, b"|a x:0.5") == before


@pytest.mark.parametrize("more", [[], ["--journal", "journal"]])
def test_sighup_does_not_forget_what_was_learned_since_the_file_was_loaded_or_saved_here(more, folder):
    words = ["-f", "served.model", *more]
    with serving(folder, *words) as daemon:
        daemon.talk(b"1 |a x\n" * 3)
        assert daemon.end() == 0
    with serving(folder, "-i", "served.model", *words) as daemon, daemon.connect() as client:
        for line in (b"!ping", b"!save", b"1 |a x"):
            ask(client, line)
            ask(client, b"1 |a x")
            before = ask(client, b"|a x")
            said = len(daemon.log)
            daemon.send(signal.SIGHUP)
            wait_until(functools.partial(is_noted, daemon, said))
            assert ask(client, b"|a x") == before
        by_file(folder, b"-1 |a x\n")
        os.replace("file.model", "served.model")
        daemon.send(signal.SIGHUP)
        daemon.wait_for("model loaded")
        assert float(ask(client, b"|a x")) < 0


def is_noted(daemon: Daemon, start: int) -> bool:
    """Whether the log, from this line on, says that the file is known."""
    return any("that this daemon loaded or saved" in line for line in daemon.log[start:])


def test_sighup_without_a_model_file_is_only_noted(folder):
    with serving(folder) as daemon:
        daemon.send(signal.SIGHUP)
        daemon.wait_for("SIGHUP: there is no model file")
        assert daemon.talk(b"!ping\n") == b"!pong\n"
