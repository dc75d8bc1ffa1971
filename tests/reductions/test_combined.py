"""--residual: earlier models combined by weighted least squares, beside numpy.linalg.lstsq."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import run
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.errors import ModelError, OptionError


def lines_of(n: int, seed: int) -> list[str]:
    source = random.Random(seed)
    found = []
    for _ in range(n):
        u, i, x = source.randrange(20), source.randrange(15), source.random()
        y = (u % 5) - 0.3 * (i % 4) + 2 * x + source.gauss(0, 0.5)
        weight = source.choice(["", "2 ", "0.5 "])
        found.append(f"{y:.4f} {weight}|u u{u} |i i{i} |x x:{x:.4f}")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, n, seed in (("train", 600, 1), ("valid", 300, 2), ("more", 400, 3), ("test", 300, 4)):
        (tmp_path / name).write_text("\n".join(lines_of(n, seed)) + "\n")
    run(f"{tmp_path}/train", "--ignore", "ix", "-f", f"{tmp_path}/a", "--quiet")
    run(
        f"{tmp_path}/train", "--bayes_linear", "--random_effect", "i", "--ignore", "u", "-f", f"{tmp_path}/b", "--quiet"
    )
    return tmp_path


def scores(folder: Path, model: str, data: str) -> np.ndarray:
    run("-t", "-i", f"{folder}/{model}", f"{folder}/{data}", "--quiet", "-r", f"{folder}/raw")
    return np.array([float(line.split()[0].partition(":")[2] or line.split()[0]) for line in open(folder / "raw")])


def expected(folder: Path) -> np.ndarray:
    lines = (folder / "valid").read_text().splitlines()
    y = np.array([float(line.split()[0]) for line in lines])
    w = np.array(
        [float(line.partition("|")[0].split()[1]) if len(line.partition("|")[0].split()) > 1 else 1 for line in lines]
    )
    z = np.stack([scores(folder, name, "valid") for name in "ab"], axis=1)
    root = np.sqrt(w)
    return np.linalg.lstsq(root[:, None] * z, root * y, rcond=None)[0]


def both(folder: Path) -> list[str]:
    return ["--residual", f"{folder}/a", "--residual", f"{folder}/b"]


def test_coefficients_are_those_of_weighted_least_squares(folder):
    said = run(f"{folder}/more", *both(folder), "--residual_fit", f"{folder}/valid", "-f", f"{folder}/m").stderr
    told = [float(line.rpartition("= ")[2]) for line in said.splitlines() if line.startswith("coefficient of ")]
    assert told == pytest.approx(expected(folder).tolist(), abs=2e-5)
    stored = arrays(folder / "m")["combined.coefficients"][2]
    assert np.frombuffer(stored) == pytest.approx(told, abs=1e-6)
    assert "residual of " in said


def test_the_combination_is_the_initial_prediction(folder):
    # a learner that learns nothing: all of the prediction is the combination
    words = [*both(folder), "--residual_fit", f"{folder}/valid", "--sgd", "-l", "1e-9", "--quiet"]
    run(f"{folder}/more", *words, "-f", f"{folder}/m")
    wanted = np.stack([scores(folder, name, "test") for name in "ab"], axis=1) @ expected(folder)
    assert scores(folder, "m", "test") == pytest.approx(wanted, abs=1e-4)


def test_the_combination_is_better_than_either_model(folder):
    run(f"{folder}/more", *both(folder), "--residual_fit", f"{folder}/valid", "-f", f"{folder}/m", "--quiet")
    y = [float(line.split()[0]) for line in (folder / "test").read_text().splitlines()]
    losses = [np.mean((scores(folder, name, "test") - y) ** 2) for name in ("a", "b", "m")]
    assert losses[2] < 0.9 * min(losses[:2])


def test_the_saved_model_needs_no_other_file_and_goes_on_alike(folder):
    run(f"{folder}/more", *both(folder), "--residual_fit", f"{folder}/valid", "-f", f"{folder}/m", "--quiet")
    before = scores(folder, "m", "test")
    lines = (folder / "more").read_text().splitlines(keepends=True)
    (folder / "one").write_text("".join(lines[:150]))
    (folder / "two").write_text("".join(lines[150:]))
    run(f"{folder}/one", *both(folder), "--residual_fit", f"{folder}/valid", "-f", f"{folder}/n", "--quiet")
    for name in "ab":
        (folder / name).unlink()
    assert scores(folder, "m", "test").tolist() == before.tolist()
    run(f"{folder}/two", "-i", f"{folder}/n", "-f", f"{folder}/n", "--quiet")
    assert arrays(folder / "n") == arrays(folder / "m")
    assert "fixed effect of combined.0" in run("inspect", f"{folder}/m").stdout


def test_without_data_to_fit_to_each_model_counts_alike(folder):
    workspace = Workspace([*both(folder), "-l", "1e-9", "--sgd"])
    line = (folder / "test").read_text().splitlines()[0].partition("|")
    one, other = (Workspace.load(folder / name).predict(f"|{line[2]}") for name in "ab")
    workspace.learn(["0 |z z", "5 |z z"])
    assert workspace.predict(f"|{line[2]}") == pytest.approx((one + other) / 2, abs=1e-4)


def test_the_same_model_twice_shares_its_coefficient(folder):
    once = ["--residual", f"{folder}/a", "--residual_fit", f"{folder}/valid"]
    said = [run(f"{folder}/more", *words).stderr for words in (once, ["--residual", f"{folder}/a", *once])]
    one, *two = [
        float(line.rpartition("= ")[2])
        for text in said for line in text.splitlines() if line.startswith("coefficient of ")
    ]  # fmt: skip
    assert two == pytest.approx([one / 2] * len(two), abs=1e-5)


def test_other_models_than_the_saved_ones_are_refused(folder):
    run(f"{folder}/more", *both(folder), "-f", f"{folder}/m", "--quiet")
    with pytest.raises(ModelError, match="holds other models than those of --residual"):
        Workspace(["-i", f"{folder}/m", "--residual", f"{folder}/a"])
    with pytest.raises(ModelError, match="was trained without --residual"):
        Workspace(["-i", f"{folder}/a", "--ignore", "ix", "--residual", f"{folder}/a"])
    Workspace(["-i", f"{folder}/m", *both(folder)])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--residual nowhere", "nowhere"),
        ("--residual {0}/train", "train"),
        ("--residual {0}/a --residual_fit nowhere", "nowhere: can't read"),
        ("--residual {0}/a --residual_fit {0}/empty", "no example has a label"),
        ("--residual {0}/a --residual_fit {0}/unlabelled", "no example has a label"),
        ("--residual {0}/a --residual_fit {0}/wrong", "wrong:1:1: "),
        ("--residual_fit {0}/valid", "--residual_fit has no effect without --residual"),
        ("--residual {0}/a --residual_fit {0}/valid --loss_function logistic", "--residual_fit goes with"),
        ("--residual {0}/a -f {0}/a", "are the same file"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder, flags, words):
    (folder / "empty").write_text("")
    (folder / "unlabelled").write_text("|u u1\n")
    (folder / "wrong").write_text("x y z |u u1\n")
    before = (folder / "a").read_bytes()
    said = run(f"{folder}/more", *flags.format(folder).split(), "--quiet", status=1).stderr
    assert words in said
    assert said.count("\n") == 1
    assert (folder / "a").read_bytes() == before


def test_options_of_python_are_refused_alike(folder):
    with pytest.raises(OptionError, match="--residual_fit goes with"):
        Workspace([*both(folder), "--residual_fit", f"{folder}/valid", "--loss_function", "hinge"])
