"""--lrq: predictions and weights of Vowpal Wabbit, and what low-rank products can learn."""

import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import run
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.errors import OptionError, ParseError

FLAGS = [
    ("--lrq ui3", "real"),
    ("--lrq ui3 --sgd -l 0.01", "real"),
    ("--lrq ui3 --loss_function logistic", "sign"),
    ("--lrq uu2 --lrq ic4", "real"),
    ("--lrq aa2 --lrq ui1", "real"),
    ("--lrq ui2 --oaa 3", "class"),
    ("--lrq ui2 --l1 1e-4 --l2 1e-4", "real"),
    ("--lrq ui2 -q cc", "real"),
    ("--lrq ui2 --noconstant -b 12", "real"),
    ("--lrq ui2 --ignore c", "real"),
    ("--lrq ui2 --adaptive -l .02", "real"),
    ("--lrq ui2 --normalized --power_t .3 -l .02", "real"),
    ("--lrq ui2 --passes 3 -k --cache_file cache --holdout_off", "real"),
    ("--lrq ui2 --passes 3 -k --cache_file cache", "real"),
]


def lines_of(kind: str, n: int = 300, seed: int = 4) -> list[str]:
    source = random.Random(seed)
    found = []
    for _ in range(n):
        u, i = source.randrange(20), source.randrange(15)
        y = round(source.gauss(0, 1) + ((u % 3) - 1) * ((i % 2) - 0.5) * 2, 3)
        label = {"real": y, "sign": 1 if y > 0 else -1, "class": 1 + int(abs(y) * 2) % 3}[kind]
        more = f" v:{source.random():.3f}" if source.random() < 0.5 else ""
        weight = source.choice(["", "2 ", "0.5 "])
        found.append(f"{label} {weight}|u u{u}{more} |i i{i} g{i % 4}:0.5 |c x{source.randrange(5)}")
    return found


def outcome(command: list[str], flags: str, folder: Path) -> tuple[list[float], dict[int, float]]:
    folder.mkdir()
    words = [*command, "-d", "../data", *flags.split(), "-p", "p", "--readable_model", "w", "--quiet"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    weights = re.findall(r"^(\d+):(\S+)", (folder / "w").read_text(), re.MULTILINE)
    predictions = [float(line.split()[0]) for line in (folder / "p").read_text().splitlines()]
    return predictions, {int(slot): float(weight) for slot, weight in weights}


@pytest.mark.parametrize(("flags", "kind"), FLAGS)
def test_predictions_and_weights_are_those_of_vowpal_wabbit(tmp_path, flags, kind):
    (tmp_path / "data").write_text("\n".join(lines_of(kind)) + "\n")
    theirs = outcome([sys.executable, "-m", "vowpalwabbit"], flags, tmp_path / "theirs")
    # only with --vw_compat examples that are held out, and ends of passes, change sides
    compat = " --vw_compat" if "passes" in flags else ""
    ours = outcome([sys.executable, "-m", "vwlite"], flags + compat, tmp_path / "ours")
    assert ours[0] == pytest.approx(theirs[0], abs=1e-4)
    if "--l1" not in flags:  # readable models show weights before and after the penalty
        assert ours[1].keys() == theirs[1].keys()
        assert list(ours[1].values()) == pytest.approx([theirs[1][slot] for slot in ours[1]], abs=2e-3)


def test_models_of_vowpal_wabbits_weights_predict_alike(tmp_path):
    (tmp_path / "data").write_text("\n".join(lines_of("real")) + "\n")
    for command, name in ((["vowpalwabbit"], "theirs"), (["vwlite"], "ours")):
        base = [sys.executable, "-m", *command, "-d", "data", "--quiet"]
        subprocess.run([*base, "--lrq", "ui3", "-f", name], cwd=tmp_path, check=True)
        subprocess.run([*base, "-t", "-i", name, "-p", f"{name}.p"], cwd=tmp_path, check=True)
    theirs, ours = (np.loadtxt(tmp_path / f"{name}.p") for name in ("theirs", "ours"))
    assert ours == pytest.approx(theirs, abs=1e-4)


def product_lines(n: int, seed: int) -> list[str]:
    """Labels are products of a number of the user and one of the item, which no sum of two biases has."""
    source = random.Random(seed)
    found = []
    for _ in range(n):
        u, i = source.randrange(30), source.randrange(30)
        label = (1 if u % 2 else -1) * (1 if i % 2 else -1) + source.gauss(0, 0.1)
        found.append(f"{label:.3f} |u u{u} |i i{i}")
    return found


@pytest.mark.parametrize("flags", ["", "--lrqdropout"])
def test_factors_learn_products(tmp_path, flags):
    (tmp_path / "train").write_text("\n".join(product_lines(4000, 1)) + "\n")
    (tmp_path / "test").write_text("\n".join(product_lines(500, 2)) + "\n")
    losses = []
    for words in ([], ["--lrq", "ui4", *flags.split()]):
        base = [str(tmp_path / "train"), "-f", str(tmp_path / "m"), "--passes", "10", "--holdout_off"]
        run(*base, "-k", "--cache_file", str(tmp_path / "c"), *words, "--quiet")
        said = run("-t", "-i", str(tmp_path / "m"), str(tmp_path / "test")).stderr
        losses.append(float(next(line for line in said.splitlines() if line.startswith("average loss")).split()[3]))
    assert losses[0] > 0.9
    assert losses[1] < (0.5 if flags else 0.1)


@pytest.mark.parametrize("flags", ["", "--lrqdropout", "--passes 2 --holdout_off -k --cache_file {}/c"])
def test_runs_go_on_where_the_last_one_ended(tmp_path, flags):
    lines = lines_of("real", 101)
    (tmp_path / "all").write_text("\n".join(lines) + "\n")
    (tmp_path / "one").write_text("\n".join(lines[:51]) + "\n")
    (tmp_path / "two").write_text("\n".join(lines[51:]) + "\n")
    words = flags.format(tmp_path).split()
    run(f"{tmp_path}/all", "--lrq", "ui3", "-f", f"{tmp_path}/whole", "--quiet", *words)
    if "passes" in flags:
        for _ in range(2):  # the state of a pass is that of a model
            again = run("-t", "-i", f"{tmp_path}/whole", f"{tmp_path}/all", "--quiet", "-p", "/dev/stdout").stdout
        assert len(again.split()) == 101
        return
    run(f"{tmp_path}/one", "--lrq", "ui3", "-f", f"{tmp_path}/first", "--quiet", *words)
    run(f"{tmp_path}/two", "-i", f"{tmp_path}/first", "-f", f"{tmp_path}/second", "--quiet")
    assert arrays(tmp_path / "second") == arrays(tmp_path / "whole")


def test_predicting_changes_nothing(state):
    workspace = Workspace("--lrq ui3")
    workspace.learn(lines_of("real", 50))
    before = state(workspace)
    first = workspace.predict(lines_of("real", 20, seed=9))
    assert workspace.predict(lines_of("real", 20, seed=9)) == first
    assert state(workspace) == before


def test_weights_are_shown_where_they_are(tmp_path):
    (tmp_path / "d").write_text("1 |u a |i x\n0 |u b |i x\n" * 20)
    run(f"{tmp_path}/d", "--lrq", "ui2", "--invert_hash", f"{tmp_path}/names", "--quiet")
    named = dict(re.findall(r"^(\S+):\d+:(\S+)", (tmp_path / "names").read_text(), re.MULTILINE))
    workspace = Workspace("--lrq ui2")
    workspace.learn(["1 |u a |i x", "0 |u b |i x"] * 20)
    assert {"u^a", "u^b", "i^x", "Constant"} <= set(named)
    assert float(named["u^a"]) > float(named["u^b"])


@pytest.mark.parametrize("text", ["ui", "u", "ui0", "uix", "ui-1", "ui99999999", "4"])
def test_wrong_factors_are_refused(text):
    with pytest.raises(OptionError, match=r"--lrq .*: expected the first letters of two namespaces"):
        Workspace(["--lrq", text])


@pytest.mark.parametrize("flags", ["--bayes_linear", "--ftrl", "--coin"])
def test_other_learners_than_gd_refuse_factors(flags):
    with pytest.raises(OptionError, match="--lrq has no effect without gradient descent"):
        Workspace(f"--lrq ui2 {flags}")


def test_too_many_products_are_a_malformed_line():
    workspace = Workspace("--lrq ui100 -q zz --crossing_limit 1000")
    workspace.learn("1 |u a b |i x")
    with pytest.raises(ParseError, match="more than 1,000 features with the crossed ones"):
        workspace.learn("1 |u a b c |i x y z w")


def test_namespaces_that_never_meet_are_named(tmp_path):
    (tmp_path / "d").write_text("1 |u a\n0 |u b\n")
    said = run(f"{tmp_path}/d", "--lrq", "ui2").stderr
    assert "nothing matched --lrq ui2: no example has features in both namespaces" in said
