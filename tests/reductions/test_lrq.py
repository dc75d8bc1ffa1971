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
    # only with --vw_compat examples that are held out, and ends of passes, change sides, and factors lack the penalty
    compat = " --vw_compat" if "passes" in flags or "--l1" in flags else ""
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


def test_a_penalty_over_many_passes_holds_for_the_factors_too(tmp_path):
    (tmp_path / "train").write_text("\n".join(product_lines(2000, 1)) + "\n")
    flags = "--lrq ui4 --sgd --power_t 0 -l 0.02 --l2 0.005 --holdout_off"
    workspace = Workspace(flags)
    for _ in range(20):  # the weights shrink by exp(-8) on the way
        workspace.learn(product_lines(2000, 1))
    lines = product_lines(500, 2)
    live = workspace.predict(lines)
    workspace.save(tmp_path / "m")
    assert Workspace.load(tmp_path / "m", "-t").predict(lines) == pytest.approx(live, abs=1e-4)
    labels = [float(line.split()[0]) for line in lines]
    assert np.mean((np.array(live) - labels) ** 2) < 0.1


def alternating(rows: np.ndarray, k: int, ridge: float, sweeps: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrix factorisation by alternating least squares (Koren, Bell and Volinsky 2009), without biases."""
    n_users, n_items = (int(rows[:, c].max()) + 1 for c in (0, 1))
    random = np.random.default_rng(0)
    u, v = random.normal(0, 0.3, (n_users, k)), random.normal(0, 0.3, (n_items, k))
    for _ in range(sweeps):
        for a, b, own, other in ((u, v, 0, 1), (v, u, 1, 0)):
            for i in range(len(a)):
                mine = rows[rows[:, own] == i]
                x = b[mine[:, other].astype(int)]
                a[i] = np.linalg.solve(x.T @ x + ridge * np.eye(k), x.T @ mine[:, 2])
    return u, v


@pytest.mark.parametrize("ridge", [1.0, 8.0])
def test_factors_on_residuals_predict_as_well_as_alternating_least_squares(tmp_path, ridge):
    random = np.random.default_rng(2)
    u, v = random.normal(0, 0.9, (60, 2)), random.normal(0, 0.9, (50, 2))
    pairs = [(a, b) for a in range(60) for b in range(50) if random.random() < 0.5]
    random.shuffle(pairs)
    rows = np.array([(a, b, u[a] @ v[b] + random.normal(0, 0.5)) for a, b in pairs])
    learned, held = rows[:1100], rows[1100:]
    theirs = alternating(learned, 4, ridge, 40)
    products = (theirs[0][held[:, 0].astype(int)] * theirs[1][held[:, 1].astype(int)]).sum(axis=1)
    reference = np.sqrt(np.mean((products - held[:, 2]) ** 2))
    text = ["".join(f"{y:.6f} |u {int(a)} |i {int(b)}\n" for a, b, y in part) for part in (learned, held)]
    (tmp_path / "train").write_text(text[0])
    (tmp_path / "test").write_text(text[1])
    # an example pulls at all factors in both of its steps, and by its error at each side in one: ridge = l2 examples
    flags = f"--lrq ui4 --lrq_start 0.3 --ignore_linear u --ignore_linear i --noconstant --l2 {ridge / len(learned)}"
    flags += f" --sgd --power_t 0 -l 0.02 --passes 100 --holdout_off --quiet -k --cache_file {tmp_path}/c"
    run(f"{tmp_path}/train", *flags.split(), "-f", f"{tmp_path}/m")
    said = run("-t", "-i", f"{tmp_path}/m", f"{tmp_path}/test", "--report", "rmse").stderr
    found = float(next(line for line in said.splitlines() if line.startswith("rmse")).split("=")[1])
    assert found == pytest.approx(reference, rel=0.04)
    assert found < 0.9 * np.std(held[:, 2])


def test_factors_begin_on_both_sides_of_zero(tmp_path):
    (tmp_path / "d").write_text("0 |u a |i x\n" * 3)
    run(f"{tmp_path}/d", "--lrq", "ui50", "--lrq_start", "0.2", "--readable_model", f"{tmp_path}/w", "--quiet", "-f",
        f"{tmp_path}/m")  # fmt: skip
    weights = [float(w) for w in re.findall(r"^\d+:(\S+)", (tmp_path / "w").read_text(), re.MULTILINE)]
    assert min(weights) < -0.1 and max(weights) > 0.1
    assert all(abs(w) < 0.25 for w in weights)
    run("-i", f"{tmp_path}/m", f"{tmp_path}/d", "--quiet")  # the model keeps it


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
