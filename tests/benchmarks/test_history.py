"""The history of the benchmark's ratios: what is kept, and when a check fails."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import history

MACHINE = {"cpu": "a processor", "cores": 2, "huge_pages": "madvise", "date": "2026-11-29", "vw": "9", "vwlite": "0"}


class Measured:
    """Runs that find the given ratios, one after the other."""

    def __init__(self, *runs: dict[str, float], **machine: Any) -> None:
        self.runs = list(runs)
        self.machine = MACHINE | machine
        self.asked: list[list[str]] = []

    def __call__(self, cases: Sequence[str]) -> dict[str, Any]:
        self.asked.append(list(cases))
        found = self.runs.pop(0)
        return {"machine": self.machine, "cases": {name: {"ratio": r, "wanted": 4} for name, r in found.items()}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.jsonl"


def test_the_first_check_is_kept_to_compare_with(path, capsys):
    assert history.check(Measured({"named": 5.0, "numeric": 4.0}), path) == 0
    assert "the first short run" in capsys.readouterr().out
    kept = history.entries(path)
    assert [one["ratios"] for one in kept] == [{"named": 5.0, "numeric": 4.0}]
    assert history.check(Measured({"named": 4.8, "numeric": 4.5}), path) == 0
    assert history.entries(path) == kept


def test_slower_in_three_runs_fails_and_says_what(path, capsys):
    history.check(Measured({"named": 5.0, "numeric": 4.0}), path)
    measured = Measured({"named": 4.7, "numeric": 4.0}, {"named": 4.6}, {"named": 4.74})
    assert history.check(measured, path) == 1
    assert "slower by more than 5% in 3 runs" in capsys.readouterr().out
    assert measured.asked[1:] == [["named"], ["named"]]


@pytest.mark.parametrize("runs", [[{"named": 4.7}, {"named": 4.9}], [{"named": 4.7}, {"named": 4.7}, {"named": 4.76}]])
def test_a_slow_minute_is_no_failure(path, runs):
    history.check(Measured({"named": 5.0}), path)
    assert history.check(Measured(*runs), path) == 0


def test_other_machines_and_full_runs_are_no_measure(path):
    full = history.entry({"machine": MACHINE, "cases": {"named": {"ratio": 9.0, "wanted": 4}}})
    history.append(full, path)
    history.check(Measured({"named": 9.0}, cpu="another"), path)
    assert history.check(Measured({"named": 5.0}), path) == 0
    assert len(history.entries(path)) == 3


def test_a_case_that_failed_fails_the_check_and_keeps_nothing(path):
    def measure(cases):
        return {"machine": MACHINE, "cases": {"named": {"error": "no memory", "wanted": 4}}}

    assert history.check(measure, path) == 1
    assert not path.exists()


def test_a_slower_case_that_fails_when_measured_again_fails_the_check(path, capsys):
    history.check(Measured({"named": 5.0}), path)
    runs = iter([{"named": {"ratio": 4.0, "wanted": 4}}, {"named": {"error": "no memory", "wanted": 4}}])
    assert history.check(lambda cases: {"machine": MACHINE, "cases": next(runs)}, path) == 1
    assert "not measured: named" in capsys.readouterr().out


def test_start_ups_have_no_ratio(path):
    cases = {"named": {"ratio": 5.12345, "wanted": 4}, "startup-train": {"ratio": 3.0, "wanted": None}}
    assert history.entry({"machine": MACHINE, "cases": cases})["ratios"] == {"named": 5.123}


@pytest.mark.parametrize("line", ["{", "[]", '{"ratios": 1}', '{"ratios": {"named": "fast"}}', "{}"])
def test_a_damaged_line_is_named(path, line):
    path.write_text(json.dumps(history.entry({"machine": MACHINE, "cases": {}})) + f"\n{line}\n")
    with pytest.raises(ValueError, match=r"history\.jsonl:2: not a line of the history"):
        history.entries(path)


def test_the_picture_has_every_case(path):
    matplotlib = pytest.importorskip("matplotlib")
    assert matplotlib
    with pytest.raises(ValueError, match="no full run"):
        history.draw(path)
    for ratio in (4.0, 5.0):
        cases = {name: {"ratio": ratio, "wanted": 4} for name in ("named", "numeric")}
        history.append(history.entry({"machine": MACHINE, "cases": cases}), path)
    picture = history.draw(path).read_text()
    assert ">named<" in picture
    assert ">numeric<" in picture


def test_the_kept_history_can_be_read():
    assert all(one["ratios"] for one in history.entries())
