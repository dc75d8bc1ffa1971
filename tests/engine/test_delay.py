"""--delay: predictions know only the labels that have come by then; the model at the end is that without a delay."""

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import base, evaluate, metrics

from tests.support.command import VWLITE
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main


def lines(n: int, seed: int = 2) -> list[str]:
    random = np.random.default_rng(seed)
    found = []
    for i in range(n):
        user, x = random.integers(0, 9), random.normal()
        label = f"{x + user % 3 + random.normal() / 3:.3f}" if i % 7 != 3 else ""
        found.append("1 | a:nan" if i % 13 == 5 else f"{label} {i * 1.5:g}|a x:{x:.3f} c{i % 5} |user u{user}")
    return found


def write(path: Path, found: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in found))
    return str(path)


def run(folder: Path, data: str, *words: str) -> tuple[list[float], Any, str]:
    """The predictions of a run, its model, and what it says."""
    files = ["-p", str(folder / "p"), "-f", str(folder / "m")]
    done = subprocess.run([*VWLITE, data, *files, *words], capture_output=True, text=True, check=True)
    return (
        [float(line.split()[0]) for line in (folder / "p").read_text().splitlines()],
        arrays(folder / "m"),
        done.stderr,
    )


def simulated(text: list[str], flags: str, n: int) -> list[float]:
    """Predictions of a Workspace that learns each line when n further ones have been predicted."""
    workspace, found = Workspace(flags), []
    waiting: list[str] = []
    for line in text:
        if "nan" in line:
            continue
        while len(waiting) > n:
            workspace.learn(waiting.pop(0))
        prediction = workspace.predict("|" + line.partition("|")[2])
        found.append(prediction)
        waiting.append(line)
    return found


FLAGS = ["", "--loss_function quantile -q au", "--bayes_linear --random_effect user", "--ftrl", "--onethread -q ::"]


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("n", [1, 2, 50, 700, 5000])
def test_predictions_are_those_of_learning_n_examples_later(flags, n, tmp_path):
    text = lines(1500)
    predictions, model, _ = run(tmp_path, write(tmp_path / "d.vw", text), *flags.split(), "--delay", str(n))
    expected = simulated(text, flags.replace("--onethread", ""), n)
    assert predictions == pytest.approx(expected, rel=1e-4, abs=2e-6)
    assert model == run(tmp_path, str(tmp_path / "d.vw"), *flags.split())[1]


class Wrapped(base.Regressor):  # type: ignore[misc]
    """A model for River's evaluation."""

    def __init__(self) -> None:
        self.workspace = Workspace("--bayes_linear --noise 1")

    def predict_one(self, x: dict[str, float]) -> float:
        return float(self.workspace.predict(x))

    def learn_one(self, x: dict[str, float], y: float) -> None:
        self.workspace.learn(x, y)


def test_the_loss_is_that_of_river_with_delayed_labels(tmp_path):
    """River reveals a label d steps after its question, and before the question of that step: one step earlier."""
    random = np.random.default_rng(0)
    stream = [
        ({"a": float(a), "b": float(b)}, float(a - b + random.normal() / 4)) for a, b in random.normal(size=(600, 2))
    ]
    text = [f"{y!r} | a:{x['a']!r} b:{x['b']!r}" for x, y in stream]
    data = write(tmp_path / "d.vw", text)
    for n in (1, 20, 300):
        _, _, said = run(tmp_path, data, "--bayes_linear", "--noise", "1", "--delay", str(n))
        found = re.search(r"average loss = (\S+)", said)
        mse = evaluate.progressive_val_score(iter(stream), Wrapped(), metrics.MSE(), delay=n + 1)
        assert found and float(found[1]) == pytest.approx(mse.get(), rel=1e-3)


@pytest.mark.parametrize("where", ["tag", "feature", "column", "ignored"])
def test_seconds_are_those_of_the_data(where, tmp_path):
    random = np.random.default_rng(1)
    times = 1.7e9 + np.cumsum(random.exponential(1, 800)).round(3)
    examples = [
        (f"{x + random.normal():.4f}", f"{x:.4f}", f"{t:.3f}")
        for x, t in zip(random.normal(size=800), times, strict=True)
    ]
    data, words = str(tmp_path / "d.csv"), ["--columns_in", "t:category x:number", "--label", "y"]
    name = {"tag": "tag", "feature": "z^t", "column": "t", "ignored": "t"}[where]
    if where == "ignored":
        words[1] = words[1].replace("category", "ignore")
    if where in ("column", "ignored"):
        (tmp_path / "d.csv").write_text("y,x,t\n" + "".join(f"{y},{x},{t}\n" for y, x, t in examples))
    elif where == "tag":
        data, words = write(tmp_path / "d.vw", [f"{y} {t}|a x:{x}" for y, x, t in examples]), []
    else:
        data, words = write(tmp_path / "d.vw", [f"{y} |a x:{x} |z t={t}" for y, x, t in examples]), ["--ignore", "z"]
    predictions, model, said = run(tmp_path, data, *words, "--time", name, "--delay", "30s")
    assert model == run(tmp_path, data, *words)[1]
    assert "most examples waiting for labels" in said
    workspace, expected = Workspace(), []
    waiting: list[tuple[float, str]] = []
    for y, x, t in examples:
        features = {"column": f"| x:{x} t={t}", "ignored": f"| x:{x}"}.get(where, f"|a x:{x}")
        while waiting and waiting[0][0] + 30 <= float(t):
            workspace.learn(waiting.pop(0)[1])
        expected.append(workspace.predict(features))
        waiting.append((float(t), f"{y} {features}"))
    assert predictions == pytest.approx(expected, rel=1e-4, abs=2e-6)


@pytest.mark.parametrize("words", [["--passes", "2", "-c"], ["--cache_file", "kept"]])
def test_a_cache_serves_delays_by_the_tag(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.vw", [f"{i % 2} {i}|a x:{i % 7} y:{i % 3}" for i in range(100)])
    said = []
    for _ in range(2):  # the second time it is read
        assert main(["d.vw", "--delay", "5s", "--time", "tag", "--holdout_off", *words]) == 0
        said.append([line for line in capsys.readouterr().err.splitlines() if "loss =" in line])
    assert said[0] == said[1] != []


def test_a_label_is_no_time(tmp_path, capsys):
    data = write(tmp_path / "d.vw", ["1 | label:3 x:2"] * 5)
    assert main([data, "--delay", "2s", "--time", "label"]) == 0  # the feature
    data = write(tmp_path / "e.vw", ["1 | x:2"] * 5)
    capsys.readouterr()
    assert main([data, "--delay", "2s", "--time", "label"]) == 1
    assert "--time label: no example has" in capsys.readouterr().err


def test_holdout_passes_and_reports_go_with_it(tmp_path):
    text = [line for line in lines(3000) if "nan" not in line]
    data = write(
        tmp_path / "d.vw",
        [("1" if float(line.split()[0]) > 1 else "-1") + line[line.index(" ") :] for line in text if line[0] != " "],
    )
    words = ["--loss_function", "logistic", "--report", "accuracy", "--holdout", "0.2"]
    _, model, said = run(tmp_path, data, *words, "--delay", "100")
    _, plain, before = run(tmp_path, data, *words)
    assert model == plain
    assert re.search(r"^accuracy = ", said, re.M) and re.search(r"^accuracy held out = ", said, re.M)
    held = [re.search(r"^accuracy held out = (\S+)", one, re.M)[1] for one in (said, before)]  # type: ignore[index]
    assert held[0] != "" and abs(float(held[0]) - float(held[1])) < 0.1
    words = ["--loss_function", "logistic", "--passes", "4", "--cache_file", str(tmp_path / "c"), "-k"]
    assert run(tmp_path, data, *words, "--delay", "70")[1] == run(tmp_path, data, *words)[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--delay", "0"], "expected a number of examples"),
        (["--delay", "soon"], "expected a number of examples"),
        (["--delay", "-3"], "expected a number of examples"),
        (["--delay=-3"], "expected a number of examples"),
        (["--delay", "30s"], "needs --time"),
        (["--delay", "30", "--time", "t"], "--time has no effect"),
        (["--time", "t"], "--time has no effect without --delay"),
        (["--delay", "3", "-t"], "--delay has no effect with --testonly"),
        (["--delay", "3", "--cb_explore_adf"], "--delay is of single lines"),
        (["--delay", "3s", "--time", "nothing"], "no example has a number of this name"),
        (["--delay", "3s", "--time", "word"], "the time 'noon' is neither a number nor a time"),
        (["--delay", "3s", "--time", "big"], "has lost its last digits"),
    ],
)
def test_what_makes_no_sense_is_refused_and_no_model_is_written(words, message, tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 | word=noon big:1700000001 a\n" * 5)
    assert main([str(tmp_path / "d.vw"), "-f", str(tmp_path / "m"), *words]) == 1
    assert message in capsys.readouterr().err.replace("--delay needs a value", "expected a number of examples")
    assert not (tmp_path / "m").exists()


def test_a_daemon_and_a_workspace_say_what_to_do_instead():
    with pytest.raises(Exception, match="call predict"):
        Workspace("--delay 3")
