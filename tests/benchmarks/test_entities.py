"""The benchmark of models of entities: its data and tables; no timing."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import entities, generate
from benchmarks.run import rewrite

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("dense20", r"-?1 \|" + "".join(rf" {i}:0\.\d\d" for i in range(20))),
        ("dense199", r"-?1 \|" + "".join(rf" {i}:0\.\d\d" for i in range(199))),
        ("users1m", r"-?1 \|user \d+ \|f" + "".join(rf" {letter}:0\.\d\d" for letter in "abcdefghijklmnopqrst")),
        ("users2m", r"-?1 \|user \d+ \|f( [a-t]:0\.\d\d){20}"),
        ("whole250k", r"-?1 \|user \d+ \|f" + "".join(rf" f{i}:0\.\d\d" for i in range(80))),
        ("growing250k", r"-?1 \|user \d+ \|f" + "".join(rf" f{i}:0\.\d\d" for i in range(20))),
    ],
)
def test_every_line_has_the_shape_of_its_kind(kind: str, shape: str, tmp_path: Path) -> None:
    made = generate.generate(kind, 200, 1, tmp_path).read_text()
    lines = made.splitlines()
    assert made.endswith("\n")
    assert len(lines) == 200
    assert [line for line in lines if not re.fullmatch(shape, line)] == []
    assert {line.split()[0] for line in lines} == {"1", "-1"}
    assert generate.generate(kind, 200, 1, tmp_path / "again").read_text() == made
    assert generate.generate(kind, 200, 2, tmp_path).read_text() != made


def test_every_user_comes_once_before_any_comes_again() -> None:
    import numpy as np

    block = generate.users(1000)(np.random.default_rng(1))
    # over the borders of blocks
    names = re.findall(rb"\|user (\d+)", b"".join(block(lines) for lines in (300, 700, 900, 100)))
    assert sorted(names[:1000]) == sorted(names[1000:]) == sorted(str(i).encode() for i in range(1000))


def test_users_get_other_features_with_each_round() -> None:
    import numpy as np

    block = generate.users(10, ["a", "b"], ["c"])(np.random.default_rng(1))
    features = re.findall(rb"([a-c]):", b"".join(block(lines) for lines in (3, 12, 10)))
    assert b"".join(features) == b"ab" * 10 + b"c" * 10 + b"ab" * 5


def test_labels_are_learnable_from_dense_features(tmp_path: Path) -> None:
    import numpy as np

    lines = generate.generate("dense20", 4000, 1, tmp_path).read_text().splitlines()
    labels = np.array([float(line.split()[0]) for line in lines])
    values = np.array([re.findall(r":(\S+)", line) for line in lines], dtype=float)
    weights, *_ = np.linalg.lstsq(np.column_stack([np.ones(4000), values]), labels, rcond=None)
    assert np.mean(np.sign(values @ weights[1:] + weights[0]) == labels) > 0.65
    assert abs(labels.mean()) < 0.2


def figures(rate: float) -> dict[str, float]:
    return {"rate": rate, "least": rate * 0.9, "most": rate * 1.1}


def contest(**changed: Any) -> dict[str, Any]:
    """A contest that reaches all that is wanted, but for what is changed."""
    reached = {
        "lambda_learner": figures(10_000),
        "versions": {"lambda-learner": "0.1.0"},
        "text": figures(1_000_000),
        "cache": figures(2_000_000),
        "ratio": 100.0,
        "cache_ratio": 200.0,
        "cpu_ratio": 90.0,
        "cache_cpu_ratio": 210.0,
        "wanted": 100,
        "records": 40_000,
        "differ": 1e-6,
        "differ_as_it_comes": 5e-3,
    }
    return reached | changed


def crowds(memory: float = 799, text: float = 300_000, more: float = 2.1, slower: float = 0.7) -> dict[str, Any]:
    cpu = {"cpu": 400_000.0, "cache_cpu": 600_000.0}
    one = {"memory": memory, "text": figures(text), "cache": figures(500_000), **cpu}
    two = {"memory": memory * more, "text": figures(text * slower), "cache": figures(400_000), **cpu}
    model = {"save": 1.0, "load": 0.5, "size": 480.0, "save_memory": 900.0, "load_memory": 800.0}
    return {"crowds": {"1,000,000 users": one, "2,000,000 users": two}, "model": model}


def growths(size: float) -> dict[str, Any]:
    return {each.name: {"bytes": size, "memory": 1.0, "text": figures(1)} for each in entities.GROWTH[:1]}


def results(**parts: Any) -> dict[str, Any]:
    machine = dict.fromkeys(("cpu", "kernel", "huge_pages", "python", "vwlite", "date"), "x") | {"cores": 2}
    return {"machine": machine, "rounds": 3, "scale": 1.0, "load": 0.5, "contests": {}, **parts}


def test_what_is_wanted_and_reached_is_said_so() -> None:
    ratings = {"the mean": [1.06, 1.05, 1.07], "users + movies": [0.89, 0.8917, 0.9]}
    report = entities.markdown(
        results(contests={"small": contest()}, entities=crowds(), growth=growths(24), ratings=ratings)
    )
    assert report.count("reached") == 2 + 1 + 5 + 1 + 1
    assert "short" not in report
    assert (
        "| small | text | 10,000 (9,000 to 11,000) | 1,000,000 (900,000 to 1,100,000) | 100.0 | 90.0 | reached"
        in report
    )
    assert "| small | 40,000 | 5.0e-03 | 1.0e-06 | reached (wanted at most 0.001) |" in report
    assert "| users + movies | 0.8900 | 0.8917 (0.8900 to 0.9000) | reached (wanted at most 0.8917) |" in report
    assert "lambda-learner 0.1.0" in report


@pytest.mark.parametrize(
    "part",
    [
        {"contests": {"small": contest(ratio=99.9)}},
        {"contests": {"small": contest(cache_ratio=99.9)}},
        {"contests": {"small": contest(differ=1.1e-3)}},
        {"entities": crowds(memory=800)},
        {"entities": crowds(text=299_999)},
        {"entities": crowds(more=2.2)},
        {"entities": crowds(slower=0.69)},
        {"growth": growths(24.1)},
        {"ratings": {"users + movies": [0.8918]}},
    ],
)
def test_what_falls_short_is_said_so(part: dict[str, Any]) -> None:
    assert entities.markdown(results(**part)).count("**short**") == 1


def test_what_failed_is_named() -> None:
    failed = {"contests": {"small": {"error": "a"}}, "entities": {"error": "b"}, "ratings": {"error": "c"}}
    report = entities.markdown(results(**failed))
    assert report.endswith("Failed:\n\n- small: a\n- entities: b\n- ratings: c")


def test_coefficients_are_read_off_a_model(tmp_path: Path) -> None:
    import vwlite

    workspace = vwlite.Workspace("--bayes_logistic")
    workspace.learn(["1 | 0:0.5 1:0.25", "-1 | 0:0.25 1:1"])
    workspace.save(str(tmp_path / "model"))
    found = entities.learned([str(Path(sys.executable).with_name("vwlite"))], tmp_path / "model", 2)
    intercept = workspace.predict("| ")
    expected = [intercept, workspace.predict("| 0:1") - intercept, workspace.predict("| 1:1") - intercept]
    assert found == pytest.approx(expected, abs=2e-6)


FAKE_LAMBDA_LEARNER = """
import json, sys
size = 21 if "--batch=10" in sys.argv else 200
print(json.dumps({"records": 100, "seconds": 0.5, "cpu": 0.5, "coefficients": [0.0] * size, "versions": {"x": "fake"}}))
"""


def test_a_small_run_measures_everything_and_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "fake.py"
    script.write_text(FAKE_LAMBDA_LEARNER)
    output = tmp_path / "out.json"
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    words = ["--rounds=1", "--scale=1e-5", "--wait=0", f"--data={tmp_path}", f"--output={output}"]
    words += [f"--lambda-learner={sys.executable} {script}", "--only=contests", "--only=entities"]
    assert entities.main(words) == 0
    written = json.loads(output.read_text())
    assert written["contests"]["21 coefficients, batches of 10"]["lambda_learner"]["rate"] == 200
    assert written["entities"]["crowds"]["2,000,000 users"]["lines"] == 100
    assert written["entities"]["model"]["size"] > 0
    assert {name: case["text"]["rate"] > 0 for name, case in written["growth"].items()} == {
        "80 at once": True,
        "20 in each of four examples": True,
    }
    assert "21 coefficients" in capsys.readouterr().out
    assert (ROOT / "benchmarks" / "README.md").read_text() == readme
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("run-")] == []


def test_the_readme_has_a_place_for_the_results() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert rewrite(readme, "new", entities.MARKERS).count("\nnew\n") == 1
