"""--l1 and --l2 over runs that are long enough to write the lazy scale back into the weights many times."""

import math
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import saved
from vwlite import Workspace
from vwlite.cli import main

LINES = 150_000
PENALTIES = ("--l2 .001", "--l2 .01", "--l2 .1", "--l1 .05 --l2 .001", "--l1 .01 --l2 .1", "--l1 2")
UPDATES = ("", "--sgd", "--adaptive -l .5")
# 1 - l2 * step is below 0 here: the weights of either program are thrown from side to side
BEYOND = ("--l2 10", "--l2 2", "--l1 .05 --l2 10")


def alternating(n: int) -> list[str]:
    return [f"{1 + i % 2} |f a{i % 2}" for i in range(n)]


def clicks(n: int) -> list[str]:
    choose = random.Random(3)
    lines = []
    for _ in range(n):
        features = [choose.randrange(60) for _ in range(4)]
        sign = 1 if sum((7 * f) % 11 - 5 for f in features) + choose.gauss(0, 5) > 0 else -1
        lines.append(f"{sign} |f " + " ".join(f"a{f}:{1 + f % 3}" for f in features))
    return lines


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regularization")
    for name, lines in (("alternating", alternating(LINES)), ("clicks", clicks(LINES))):
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def losses(capfd, *words: str) -> tuple[float, float]:
    """The average loss of each program."""
    done = subprocess.run([sys.executable, "-m", "vowpalwabbit", *words], capture_output=True, text=True, check=True)
    capfd.readouterr()
    assert main([*words]) == 0
    found = [re.search(r"average loss = (\S+)", said) for said in (capfd.readouterr().err, done.stderr)]
    ours, theirs = (float(match[1]) for match in found if match)
    return ours, theirs


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update or "usual")
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("task", ["alternating", "clicks --loss_function logistic"])
def test_the_loss_is_that_of_vw_however_often_weights_are_written_back(data, capfd, task, penalty, update):
    name, *more = task.split()
    ours, theirs = losses(capfd, "-d", str(data / name), "-b", "10", *more, *penalty.split(), *update.split())
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("penalty", BEYOND)
def test_a_penalty_that_turns_weights_round_is_applied_as_in_vw(data, capfd, penalty):
    ours, theirs = losses(capfd, "-d", str(data / "alternating"), "-b", "6", *penalty.split())
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("penalty", BEYOND)
def test_every_score_is_that_of_vw_until_its_weights_are_not_finite(tmp_path, monkeypatch, penalty):
    """With --sgd VW's weights grow until they are infinite, or are divided by 0; ours are saved and load again."""
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("\n".join(alternating(600)) + "\n")
    words = ["-d", "data", "--sgd", *penalty.split(), "--quiet", "-r"]
    subprocess.run([sys.executable, "-m", "vowpalwabbit", *words, "theirs"], check=True, capture_output=True)
    assert main([*words, "ours", "-f", "our.model"]) == 0
    ours, theirs = ([float(line) for line in Path(name).read_text().split()] for name in ("ours", "theirs"))
    n = next((i for i, score in enumerate(theirs) if not math.isfinite(score)), len(theirs))
    assert n > 20
    assert ours[:n] == pytest.approx(theirs[:n], rel=1e-6, abs=1e-6)
    assert math.isfinite(Workspace.load("our.model", "-t").predict("|f a0"))


@pytest.mark.parametrize(
    "flags", ["--l2 .1", "--l2 .01 --sgd", "--l1 .05 --l2 .1", "--l2 .1 --loss_function logistic", "--l2 10", "--l1 2"]
)
def test_two_runs_are_one(tmp_path, flags):
    lines = [f"{2 * (i % 2) - 1} |f a{i % 2} b{i % 7}:{1 + i % 3}" for i in range(3000)]
    whole = Workspace(f"-b 8 {flags}")
    whole.learn(lines)
    first = Workspace(f"-b 8 {flags}")
    first.learn(lines[:1731])
    first.save(tmp_path / "half.model")
    second = Workspace.load(tmp_path / "half.model")
    second.learn(lines[1731:])
    assert saved(second, tmp_path) == saved(whole, tmp_path)


def test_line_446_of_the_report_is_predicted_as_by_vw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").write_text("\n".join(alternating(600)) + "\n")
    words = ["-d", "data", "--l2", "0.1", "--quiet", "-p"]
    subprocess.run([sys.executable, "-m", "vowpalwabbit", *words, "theirs"], check=True, capture_output=True)
    assert main([*words, "ours"]) == 0
    ours, theirs = ([float(line) for line in Path(name).read_text().split()] for name in ("ours", "theirs"))
    assert ours == pytest.approx(theirs, abs=2e-6)
    assert ours[445] == pytest.approx(0.676355, abs=1e-5)
