"""The benchmark of the HTTP service: its table, and that it measures; no timing."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import over_http
from tests.support.daemon import PATIENCE
from tests.support.leftovers import all_ended, working_in

ROOT = Path(__file__).resolve().parents[2]
VWLITE = (sys.executable, "-m", "vwlite")


def report(**changed: float) -> str:
    """Of figures that reach all that is wanted, but for what is changed."""

    def of(name: str, otherwise: float) -> float:
        """A figure."""
        return changed.get(name, otherwise)

    batches = {
        f"{kind} {where}": 1e9 for kind in ("ndjson", "arrow", "arrow predict") for where in ("plain", "journal")
    }
    batches |= {"ndjson plain": of("ndjson", 150_000), "arrow plain": of("arrow", 1_000_000)}
    figures: dict[str, Any] = {
        "river": {"learn": [of("learn", 0.9)], "predict": [of("predict", 0.8)], "journal": [0.1]},
        "call": {"memory": [of("call", 1.5)], "journal": [9.0]},
        "batches": batches,
        "crowd": {"lost": of("lost", 0), "sent": 6400, "rate": 1000.0, "p50": 1.0, "p99": of("p99", 20.0)},
        "memory": {
            **{"each": of("each", 1.0), "calls": 100, "growth of calls": of("calls", 4.9)},
            **{"ids": 1000, "growth of ids": of("ids", 19.9)},
        },
    }
    machine = dict.fromkeys(("cpu", "kernel", "python", "vwlite", "date"), "x") | {"cores": 2}
    return over_http.markdown({"machine": machine, "rounds": 3, "scale": 1.0, "load": 0.5, "figures": figures})


def test_what_is_wanted_and_reached_is_said_so():
    said = report()
    assert said.count("| reached (wanted ") == 11
    assert "short" not in said
    lines = said.splitlines()
    assert {line.count("|") for line in lines[2:]} == {4}


@pytest.mark.parametrize(
    "missed",
    [
        {"learn": 0.89},
        {"predict": 0.79},
        {"call": 1.51},
        {"ndjson": 149_000},
        {"arrow": 999_000},
        {"lost": 1},
        {"p99": 20.1},
        {"each": 1.1},
        {"calls": 5.1},
        {"ids": 20.1},
    ],
)
def test_what_falls_short_is_said_so(missed):
    assert report(**missed).count("**short**") == 1


def test_a_small_run_measures_everything_and_writes_where_it_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    output = tmp_path / "out.json"
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    with all_ended(tmp_path):
        words = ["--rounds=1", "--scale=0.002", "--wait=0", f"--output={output}", f"--vwlite={' '.join(VWLITE)}"]
        assert over_http.main(words) == 0
        until = time.monotonic() + PATIENCE
        while working_in(tmp_path):  # one that was told to end may take a while
            assert time.monotonic() < until
            time.sleep(0.01)
    figures = json.loads(output.read_text())["figures"]
    assert figures["crowd"]["lost"] == 0
    assert figures["memory"]["ids"] == 2000
    assert all(rate > 0 for rate in figures["batches"].values())
    assert "| updates lost, of 6,400 by 64 clients at once | 0 | reached (wanted none) |" in capsys.readouterr().out
    assert (ROOT / "benchmarks" / "README.md").read_text() == readme


def test_a_server_that_does_not_answer_is_a_failure(tmp_path, capsys):
    script = tmp_path / "broken.py"
    script.write_text("import sys; sys.exit('it broke')")
    words = ["--rounds=1", "--scale=0.002", "--wait=0", f"--output={tmp_path / 'out.json'}"]
    assert over_http.main([*words, f"--vwlite={sys.executable} {script}"]) == 1
    assert "Failed: " in capsys.readouterr().out
