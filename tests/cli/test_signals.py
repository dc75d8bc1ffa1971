"""A run that is asked to stop keeps what it has learned."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import VWLITE
from tests.support.models import arrays
from vwlite import Workspace

LINES = [f"{i % 2} |a x{i % 5} y:{i % 7 + 0.5}" for i in range(20)]
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a run that has answered all lines, and waits for more."""
    monkeypatch.chdir(tmp_path)
    processes = []

    def begin(*words: str, program: list[str] = VWLITE, lines: list[str] = LINES) -> Any:
        process = subprocess.Popen(
            [*program, "-p", "/dev/stdout", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        processes.append(process)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        answered = b""
        while answered.count(b"\n") < len(lines):
            part = os.read(process.stdout.fileno(), 65536)
            assert part, "it has ended"
            answered += part
        # where that can be seen: until it waits for input, inside compiled code
        state = Path(f"/proc/{process.pid}/stat")
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] not in "SZ":
            pass
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def end(process: Any) -> str:
    """What it says on its way out; its input stays open till then."""
    process.wait(120)  # what it says fits into the pipe
    return process.stderr.read().decode()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("words", [[], ["--onethread"]])
def test_a_signal_saves_the_model_and_says_so(start, number, words):
    process = start("-f", "m.model", *words)
    process.send_signal(number)
    stderr = end(process)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}, model saved to m.model" in stderr
    assert "number of examples = 20\n" in stderr
    assert "Traceback" not in stderr
    workspace = Workspace()
    workspace.learn(LINES)
    workspace.save("whole.model")
    assert arrays("m.model") == arrays("whole.model")
    assert sorted(os.listdir()) == ["m.model", "whole.model"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_said_though_there_is_no_model_to_save(start, number):
    process = start()
    process.send_signal(number)
    stderr = end(process)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}" in stderr and "saved" not in stderr


@pytest.mark.parametrize("number", SIGNALS)
def test_quiet_runs_stop_quietly(start, number):
    process = start("--quiet", "-f", "m.model")
    process.send_signal(number)
    assert end(process) == ""
    assert process.returncode == 128 + number
    assert Path("m.model").exists()


def test_a_signal_ends_all_passes(start):
    process = start("-f", "m.model", "--passes", "5", "-c")
    process.send_signal(signal.SIGINT)
    stderr = end(process)
    assert process.returncode == 130
    assert "number of examples = 18\n" in stderr  # of the first pass, but for those held out
    # what was read till then is no cache of the input
    assert os.listdir() == ["m.model"]


def test_a_signal_during_later_passes_stops_too(tmp_path, monkeypatch):
    # so many passes that the run could not end of its own
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text("".join(f"{line}\n" for line in LINES))
    words = ["data.txt", "--passes", "1000000000", "--holdout_off", "-f", "m.model", "-P", "1000"]
    process = subprocess.Popen([*VWLITE, *words], stderr=subprocess.PIPE)
    assert process.stderr is not None
    for row in process.stderr:
        if row.split()[2:3] == [b"3000"]:
            break
    process.terminate()
    stderr = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 143
    assert "stopped by SIGTERM, model saved to m.model" in stderr
    Workspace.load("m.model")


def test_predictions_made_before_a_signal_are_in_their_file(start):
    process = start("-r", "raw.txt")
    process.send_signal(signal.SIGTERM)
    end(process)
    assert len(Path("raw.txt").read_text().splitlines()) == len(LINES)


@pytest.mark.parametrize("flags", ["--square", "--logistic --fixed same"])
def test_examples_gathered_for_sweeps_are_fitted_once_before_a_signal_ends_the_run(start, flags):
    lines = [f"{i % 2} |user u{i % 3} |a x{i % 5} y:{i % 7 + 0.5}" for i in range(20)]
    process = start("-f", "m.model", "--random_effect", "user:a", *flags.split(), "--sweeps", "7", lines=lines)
    process.send_signal(signal.SIGTERM)
    stderr = end(process)
    assert process.returncode == 128 + signal.SIGTERM
    assert "loss after the fit = " in stderr
    once = Workspace(f"--random_effect user:a {flags} --sweeps 1")
    once.learn(lines)
    once.end_pass()
    assert Workspace.load("m.model").predict(lines) == once.predict(lines)


# a run that takes its time to stop
SLOW = """
import signal, sys
from vwlite.cli import main
from vwlite.engine.run import Run
flush = Run.flush
def slow(self, force):
    flush(self, force)
    if self.stopped_by:
        print("stopping", file=sys.stderr, flush=True)
        while True:
            signal.pause()
Run.flush = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize(("second", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_second_signal_ends_it_at_once(start, first, second, status):
    process = start("-f", "m.model", "--quiet", program=[sys.executable, "-c", SLOW])
    process.send_signal(first)
    assert process.stderr.readline() == b"stopping\n"
    process.send_signal(second)
    assert end(process) == ""
    assert process.returncode == status
    assert not Path("m.model").exists()
