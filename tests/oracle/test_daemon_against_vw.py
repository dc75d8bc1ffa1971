"""The daemon beside Vowpal Wabbit's own: the same bytes in, the same answers out."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.daemon import PATIENCE, ask, decisions_to_learn, lines_to_learn, read_lines, serving, talk

# The wheel's command reads nothing unless one of the flags begins with -d, --data or --passes.
VW = [sys.executable, "-m", "vowpalwabbit", "--foreground", "--quiet", "--passes", "1", "--num_children", "1"]


@contextlib.contextmanager
def vw(folder: Path, *flags: str) -> Iterator[int]:
    """The port of VW's daemon, which serves one client at a time."""
    port = folder / "vw.port"
    line = [*VW, "--port", "0", "--port_file", str(port), *flags]
    process = subprocess.Popen(line, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        waiting = threading.Event()
        while not (port.exists() and port.read_text().endswith("\n")):
            assert process.poll() is None
            waiting.wait(0.01)
        yield int(port.read_text())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children, too
        process.wait()


def connect(port: int) -> socket.socket:
    """A client of VW's daemon."""
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.settimeout(PATIENCE)
    return client


def same(ours: bytes, theirs: bytes) -> None:
    """Line by line the same words but for numbers, which are near."""
    a, b = ours.split(b"\n"), theirs.split(b"\n")
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        words, others = one.replace(b",", b" ").split(b" "), other.replace(b",", b" ").split(b" ")
        assert words[1:] == others[1:], (one, other)
        if one:
            assert float(words[0]) == pytest.approx(float(others[0]), abs=2e-5), (one, other)


FLAGS = ["", "--loss_function logistic --link logistic", "-q ab", "-t"]


@pytest.mark.parametrize("flags", FLAGS)
def test_lines_are_answered_as_vw_answers_them(flags, tmp_path):
    text = lines_to_learn(300)
    if "logistic" in flags:
        text = b"".join(b"%d |a x%d y%d:0.5\n" % (1 - 2 * (k % 3 == 0), k % 7, k % 5) for k in range(300))
    with vw(tmp_path, *flags.split()) as port, connect(port) as client:
        theirs = talk(client, text)
    with serving(tmp_path, *flags.split()) as daemon:
        same(daemon.talk(text), theirs)


@pytest.mark.parametrize(
    "text",
    [
        b"1 |a x\n0 'tag |a x\n|a x",  # the last line has no end
        b"1 |a x\n\n\n|a x\n\n",  # empty lines have no answer
        b"1 |a x\r\n|a x\r\n",
        b"1 1 0.5 tag|a x\n1 1 'other |a x\n|a x\n",
        b"0 |a x:1 |b y:2\n" * 5000,
        b"",
    ],
)
def test_habits_of_clients_are_met_as_vw_meets_them(text, tmp_path):
    with vw(tmp_path) as port, connect(port) as client:
        theirs = talk(client, text)
    with serving(tmp_path) as daemon:
        same(daemon.talk(text), theirs)


def test_answers_come_one_by_one_as_from_vw(tmp_path):
    lines = lines_to_learn(50).splitlines()
    with (
        vw(tmp_path) as port,
        serving(tmp_path) as daemon,
        connect(port) as theirs,
        daemon.connect() as ours,
    ):
        for line in lines:
            theirs.sendall(line + b"\n")
            same(ask(ours, line), read_lines(theirs, 1)[0])


SAVES = [
    b"save",
    b"save|",
    b"'save |",
    b"savex",
    b"save12|",
    b"saved_13|  ",
    b"save_1",
    b"save_2|",
    b"'save_4 |",
    b"'save_5",
    b"save_6|a",
    b"1 'save_7|",
    b"1 save_8|",
    b"save_9|a |b",
    b"save_15\r",
    b"save_3 |",
    b"save_14 |:1",
    b"1 save_16|a x",
]


def test_lines_that_ask_to_save_save_what_they_do_in_vw(tmp_path):
    """Each has an answer where it has one in VW, and makes the same file."""
    made = []
    for flags in ([*VW, "-f", "model"], None):
        folder = tmp_path / ("ours" if flags is None else "theirs")
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            if flags is None:
                daemon = stack.enter_context(serving(folder, "-f", "model", "--model_dir", ".", "--vw_compat"))
                connecting = daemon.connect
            else:
                connecting = partial(connect, stack.enter_context(vw(folder, "-f", "model")))
            for line in SAVES:
                with connecting() as client:
                    answers = talk(client, line + b"\n|a y\n").count(b"\n")
                files = {path.name for path in folder.iterdir()} - {"port", "vw.port"}
                made.append((line, answers, files))
                for name in files:
                    (folder / name).unlink()
    assert made[: len(SAVES)] == made[len(SAVES) :]


def test_malformed_lines_are_used_as_vw_uses_them_if_that_is_wanted(tmp_path):
    text = b"1 |a x\nbad |a x\n1x |a x\n|a x:oops y\n|a x\n"
    with vw(tmp_path) as port, connect(port) as client:
        theirs = talk(client, text)
    with serving(tmp_path, "--vw_compat") as daemon:
        same(daemon.talk(text), theirs)


def test_decisions_are_answered_as_vw_answers_them(tmp_path):
    """Exploration of its own is another thing in each; without any, the form of an answer is the same."""
    text = decisions_to_learn(30)
    with vw(tmp_path, "--cb_explore_adf", "--epsilon", "0") as port, connect(port) as client:
        theirs = talk(client, text)
    with serving(tmp_path, "--explore", "greedy", "--bayes_linear") as daemon:
        ours = daemon.talk(text)
    form = [len(line.split(b",")) for line in theirs.split(b"\n")]
    assert [len(line.split(b",")) for line in ours.split(b"\n")] == form
    assert [line.partition(b" ")[2] for line in ours.split(b"\n")] == [
        line.partition(b" ")[2] for line in theirs.split(b"\n")
    ]
