"""The benchmark of the daemon: its tables, and that it measures; no timing."""

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import daemon
from benchmarks.run import CommandError, rewrite
from tests.support.daemon import PATIENCE, read_all
from tests.support.leftovers import all_ended, working_in

ROOT = Path(__file__).resolve().parents[2]
VWLITE = (sys.executable, "-m", "vwlite")
VW = (sys.executable, "-m", "vowpalwabbit")


def pair(ratio: float) -> dict[str, Any]:
    return {"left": 1000 * ratio, "right": 1000.0, "ratio": ratio, "ratios": [ratio * 0.9, ratio, ratio * 1.1]}


def report(grown: float = 1.04, **changed: float) -> str:
    """Of figures that reach all that is wanted, but for what is changed."""
    found: dict[str, Any] = {name: pair(1.0) for name in daemon.WANTED} | {k: pair(v) for k, v in changed.items()}
    sizes = [100.0] * 9 + [100 * grown]
    found["memory"] = {"first": sizes[0], "last": sizes[-1], "all": sizes, "lines": 1_000_000}
    machine = dict.fromkeys(("cpu", "kernel", "huge_pages", "python", "vw", "vwlite", "date"), "x") | {"cores": 2}
    return daemon.markdown({"machine": machine, "rounds": 3, "scale": 1.0, "load": 0.5, "figures": found})


def test_what_is_wanted_and_reached_is_said_so():
    said = report(pipelined=0.5, clients=0.8, p99=1.99, journal=0.6)
    assert said.count("| reached (wanted ") == 5
    assert "short" not in said
    lines = said.splitlines()
    assert len(lines) == 1 + 1 + 2 + len(daemon.WANTED) + 1
    assert [line.count("|") for line in lines[2:]] == [6] * (len(lines) - 2)
    assert "lines/s | 500 | 1,000 | 0.50 (0.45 to 0.55) | reached (wanted at least 0.5) |" in said
    assert "after 10,000,000 learned lines beside 1,000,000, MB | 104 | 100 | 1.04 | reached (wanted flat) |" in said


@pytest.mark.parametrize(
    "missed", [{"pipelined": 0.49}, {"clients": 0.79}, {"p99": 2.0}, {"journal": 0.59}, {"grown": 1.06}]
)
def test_what_falls_short_is_said_so(missed):
    assert report(**missed).count("**short**") == 1


def test_what_has_no_aim_has_no_verdict():
    for name, (_, wanted, _) in daemon.WANTED.items():
        if wanted is None:
            assert "short" not in report(**{name: 0.001}) + report(**{name: 1000})


def test_a_small_run_measures_everything_and_writes_where_it_is_told(tmp_path, capsys):
    output = tmp_path / "out.json"
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    words = ["--rounds=1", "--scale=0.0002", "--wait=0", f"--data={tmp_path}", f"--output={output}"]
    words.append(f"--vwlite={' '.join(VWLITE)}")
    with all_ended(tmp_path):
        assert daemon.main(words) == 0
        until = time.monotonic() + PATIENCE
        while working_in(tmp_path):  # one that was told to end may take a while
            assert time.monotonic() < until
            time.sleep(0.01)
    written = json.loads(output.read_text())
    figures = written["figures"]
    assert figures.keys() == {*daemon.WANTED, "memory"}
    assert all(figures[name]["left"] > 0 and figures[name]["right"] > 0 for name in daemon.WANTED)
    assert len(figures["memory"]["all"]) == 10 and figures["memory"]["lines"] == 200
    printed = capsys.readouterr().out
    assert all(f"| {what} | " in printed for what, *_ in daemon.WANTED.values())
    assert printed.count("(wanted ") == 5
    assert written["machine"]["vw"] in printed
    assert (ROOT / "benchmarks" / "README.md").read_text() == readme
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("run-")] == []


@pytest.mark.parametrize("option", ["vwlite", "vw"])
def test_a_command_that_fails_is_named_and_is_the_status(option, tmp_path, capsys):
    script = tmp_path / "broken.py"
    script.write_text("import sys; sys.exit('it broke')")
    words = ["--rounds=1", "--scale=0.0002", "--wait=0", f"--data={tmp_path}", f"--vwlite={' '.join(VWLITE)}"]
    assert daemon.main([*words, f"--output={tmp_path / 'out.json'}", f"--{option}={sys.executable} {script}"]) == 1
    said = capsys.readouterr().out
    assert "Failed: `" in said and "ended with status 1: it broke" in said
    assert "it broke" in json.loads((tmp_path / "out.json").read_text())["figures"]["error"]


def test_a_daemon_that_ends_at_once_is_a_failure(tmp_path):
    with pytest.raises(CommandError, match="ended with status 1"), daemon.daemon(VWLITE, tmp_path, "-i", "none"):
        pass


def test_answers_that_are_missing_are_a_failure(tmp_path):
    with daemon.daemon(VWLITE, tmp_path) as (port, _):
        assert daemon.pipelined(port, b"1 |a x\n" * 1000, clients=3) > 0
        with pytest.raises(CommandError, match="2 answers to 3 lines"):
            daemon.pipelined(port, b"1 |a x\n\n|a x\n")
        with pytest.raises(CommandError, match="closed after 1 answers"):
            daemon.one_by_one(port, [b"!quit\n", b"!ping\n"])


def test_the_daemon_of_vw_serves_with_the_flags_that_are_used(tmp_path):
    """It would close every connection without them, and with several children would have several models."""
    with all_ended(tmp_path):
        with daemon.daemon(VW, tmp_path, *daemon.VW_DAEMON) as (port, _):
            answers = []
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", port), 60) as client, client.makefile("rb") as heard:
                    client.sendall(b"1 |a x\n|a x\n")
                    answers += [float(heard.readline()), float(heard.readline())]
        assert working_in(tmp_path) == set()
    assert answers[0] == 0 < answers[1] == answers[2] < answers[3]


def test_without_those_flags_the_daemon_of_vw_serves_nobody(tmp_path):
    with (
        all_ended(tmp_path),
        daemon.daemon(VW, tmp_path, "--num_children", "1") as (port, _),
        socket.create_connection(("127.0.0.1", port), 60) as client,
    ):
        client.sendall(b"1 |a x\n|a x\n")
        assert read_all(client) == b""


def test_the_readme_has_a_place_for_the_results():
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert rewrite(readme, "new", daemon.MARKERS).count("\nnew\n") == 1
