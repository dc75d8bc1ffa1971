"""The benchmark's data and tables; no timing."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import generate, run

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


NAMED = re.compile(
    r"-?1 \|a user=\d+ city=\d+ hour=\d+ dow=\d+ \|b ad=\d+ campaign=\d+ site=\d+ slot=\d+"
    r" \|c query=\d+ device=\d+ os=\d+ browser=\d+"
)
NUMERIC = re.compile(r"-?1 \|( \d+:0\.\d{8}){75}")


EXPONENTS = re.compile(r"-?1 \|( \d+:[1-9]\.\d{7}e-0[12]){60}")


@pytest.mark.parametrize(("kind", "shape"), [("named", NAMED), ("numeric", NUMERIC), ("exponents", EXPONENTS)])
def test_every_line_has_the_shape_of_its_kind(kind: str, shape: re.Pattern[str], tmp_path: Path) -> None:
    made = generate.generate(kind, 300, 1, tmp_path).read_text()
    assert made.endswith("\n")
    lines = made.splitlines()
    assert len(lines) == 300
    assert [line for line in lines if not shape.fullmatch(line)] == []
    assert {line.split()[0] for line in lines} == {"1", "-1"}


@pytest.mark.parametrize("kind", ["named", "numeric", "exponents"])
def test_a_seed_makes_the_same_bytes_every_time(kind: str, tmp_path: Path) -> None:
    first = generate.generate(kind, 100, 7, tmp_path / "first").read_bytes()
    assert generate.generate(kind, 100, 7, tmp_path / "second").read_bytes() == first
    assert generate.generate(kind, 100, 8, tmp_path / "second").read_bytes() != first


def test_lines_run_on_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "BLOCK", 40)
    assert len(generate.generate("named", 100, 1, tmp_path).read_text().splitlines()) == 100


def test_numeric_ids_are_distinct_and_ascending(tmp_path: Path) -> None:
    for line in generate.generate("numeric", 50, 1, tmp_path).read_text().splitlines():
        ids = [int(feature.split(":")[0]) for feature in line.split()[2:]]
        assert ids == sorted(set(ids))
        assert ids[0] >= 0 and ids[-1] < 30_000


def test_named_ids_are_skewed(tmp_path: Path) -> None:
    users = re.findall(r"user=(\d+)", generate.generate("named", 2000, 1, tmp_path).read_text())
    assert users.count("1") > 20 * users.count("100")
    assert len(set(users)) > 500


def test_labels_follow_the_scores() -> None:
    import numpy as np

    scores = np.repeat([-3.0, 0.0, 3.0], 2000)
    drawn = (generate.labels(scores, np.random.default_rng(1)) == b"1").reshape(3, 2000).mean(axis=1)
    assert drawn == pytest.approx([0.047, 0.5, 0.953], abs=0.04)


def test_data_is_made_once_for_the_same_arguments(tmp_path: Path) -> None:
    path = generate.generate("named", 10, 1, tmp_path)
    path.write_text("kept")
    assert generate.generate("named", 10, 1, tmp_path).read_text() == "kept"
    assert generate.generate("named", 11, 1, tmp_path) != path
    assert generate.generate("named", 10, 2, tmp_path) != path


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(generator: object) -> Any:
        def block(lines: int) -> bytes:
            raise KeyboardInterrupt

        return block

    monkeypatch.setitem(generate.KINDS, "named", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate.generate("named", 10, 1, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.main(["named", "--lines", "5", "--data", str(tmp_path)])
    assert len(Path(capsys.readouterr().out.strip()).read_text().splitlines()) == 5
    with pytest.raises(SystemExit):
        generate.main(["named", "--lines", "0"])


def taken(wall: float, memory: float = 100.0, loss: float | None = 0.5) -> dict[str, Any]:
    """What `figures` makes of a tool's runs, in made-up numbers."""
    return {
        "wall": wall,
        "wall_least": wall * 0.9,
        "wall_most": wall * 1.1,
        "cpu": wall * 1.5,
        "memory": memory,
        "loss": loss,
        "examples": 10.0,
    }


def results(**cases: dict[str, Any]) -> dict[str, Any]:
    """A run's results around made-up cases."""
    machine = dict.fromkeys(("cpu", "kernel", "huge_pages", "python", "vw", "vwlite", "date"), "x") | {"cores": 2}
    return {"machine": machine, "rounds": 3, "startup_rounds": 20, "scale": 1.0, "seed": 1, "cases": cases}


def row(report: str, case: str, table: int) -> str:
    """The `table`-th row of a case in a report."""
    return [line for line in report.splitlines() if line.startswith(f"| {case} |")][table]


def test_the_table_says_what_was_reached() -> None:
    case = {"about": "", "wanted": 6, "vw": taken(7.0), "vwlite": taken(1.0, 150.0, 0.50004), "ratio": 7.01}
    report = run.markdown(results(named=case))
    assert row(report, "named", 0) == (
        "| named | 7.00 (6.30 to 7.70) | 1.00 (0.90 to 1.10) | 7.01 | reached (wanted at least 6) |"
    )
    assert row(report, "named", 1) == "| named | 10.50 | 1.50 | 100 | 150 | reached (wanted at most 160) |"
    assert row(report, "named", 2) == "| named | 0.5 | 0.50004 |  | reached (wanted equal to 4 digits) |"


def test_the_table_says_what_is_short() -> None:
    vw, ours = taken(7.0), taken(2.0, 161.0, 0.5002)
    case = {"about": "", "wanted": 6, "vw": vw, "vwlite": ours, "ratio": 3.5, "predictions_differ": 0.00012}
    report = run.markdown(results(predict=case))
    assert [row(report, "predict", i).count("**short**") for i in range(3)] == [1, 1, 1]
    assert "| 0.00012 |" in row(report, "predict", 2)


@pytest.mark.parametrize(("seconds", "word"), [(0.1, "reached"), (0.101, "**short**")])
def test_a_start_up_is_judged_in_milliseconds(seconds: float, word: str) -> None:
    case = {"about": "start", "wanted": None, "vw": taken(0.05), "vwlite": taken(seconds), "ratio": 0.5}
    report = run.markdown(results(start=case))
    assert row(report, "start", 0).endswith(f"| {word} (wanted at most 100 ms) |")
    assert "times faster" not in report


def test_a_failed_case_is_named() -> None:
    report = run.markdown(results(named={"about": "", "wanted": 6, "error": "no such flag"}))
    assert report.endswith("- named: no such flag")


def test_the_summary_is_read_as_vw_writes_it() -> None:
    summary = "finished run\nnumber of examples per pass = 90\naverage loss = 0.612500 h\nbest constant = -0.1\n"
    assert run.summary_number(summary, "average loss") == 0.6125
    assert run.summary_number(summary, r"number of examples(?: per pass)?") == 90
    assert run.summary_number("average loss = n.a.\n", "average loss") is None


def test_figures_take_medians_and_the_highest_peak() -> None:
    runs = [run.Run(wall, wall * 2, memory, "average loss = 0.25\n") for wall, memory in ((3, 10), (1, 30), (2, 20))]
    assert run.figures(runs) == {
        "wall": 2,
        "wall_least": 1,
        "wall_most": 3,
        "cpu": 4,
        "memory": 30,
        "loss": 0.25,
        "examples": None,
    }


def test_the_readme_keeps_all_but_its_section() -> None:
    first, second = run.MARKERS
    assert (
        run.rewrite(f"before\n{first}\nold\n{second}\nafter\n", "new", run.MARKERS)
        == f"before\n{first}\nnew\n{second}\nafter\n"
    )
    with pytest.raises(ValueError, match="no <!-- results -->"):
        run.rewrite("nothing here", "new", run.MARKERS)
    assert run.rewrite((BENCHMARKS / "README.md").read_text(), "new", run.MARKERS).count("\nnew\n") == 1


FAKE_TOOL = """
import pathlib, sys
words = sys.argv[1:]
if "--version" in words:
    print("1.2.3")
    raise SystemExit
data = sys.stdin if "-d" not in words or "/dev/stdin" in words else open("data.vw")
examples = len(data.readlines())
if "-p" in words:
    pathlib.Path("predictions").write_text("0.5\\n" * examples)
if "-q" in words:
    raise SystemExit("no quadratic here")
print(f"number of examples = {examples}\\naverage loss = 0.5", file=sys.stderr)
"""


def test_a_run_compares_two_tools_and_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "tool.py"
    script.write_text(FAKE_TOOL)
    output = tmp_path / "out.json"
    readme = (BENCHMARKS / "README.md").read_text()
    words = ["--rounds=2", "--scale=1e-5", f"--data={tmp_path}", f"--output={output}"]
    words += [f"--{tool}={sys.executable} {script}" for tool in ("vw", "vwlite")]
    words += [f"--case={name}" for name in ("predict", "quadratic", "named-pipe")]
    assert run.main(words) == 1
    written = json.loads(output.read_text())
    assert list(written["cases"]) == ["predict", "quadratic", "named-pipe"]
    assert written["machine"]["vwlite"] == "1.2.3"
    assert written["cases"]["predict"]["predictions_differ"] == 0
    assert written["cases"]["named-pipe"]["vw"]["examples"] == 50
    assert "no quadratic here" in written["cases"]["quadratic"]["error"]
    assert "Failed:" in capsys.readouterr().out
    assert (BENCHMARKS / "README.md").read_text() == readme
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("run-")] == []


def test_a_missing_tool_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--vwlite", "/nowhere/vwlite"])
    assert "/nowhere/vwlite isn't there to run" in capsys.readouterr().err
