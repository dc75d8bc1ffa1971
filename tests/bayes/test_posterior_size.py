"""Full posteriors that grow: exact, O(d^2) for one example, bounded; and auto, which makes large ones diagonal."""

import json
import random
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.support.effects import effect
from tests.support.models import CONSTANT, arrays, feature
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError, ParseError

DATA = Path(__file__).parent.parent / "data"


def line(i: int, columns: int, user: str = "") -> str:
    """A line with one new feature, and others that came before."""
    chosen = random.Random(i)
    words = " ".join(f"a{chosen.randrange(min(i + 1, columns))}:{chosen.uniform(-1, 1):.3f}" for _ in range(4))
    return f"{chosen.gauss(0, 1):.3f} {chosen.choice((1, 1, 2, 0.5))} {user}|a a{i % columns} {words}"


def saved(workspace: Workspace, path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    workspace.save(path)
    return arrays(path)


# exact


@pytest.mark.parametrize("forget", [1, 0.97])
@pytest.mark.parametrize("intercept", [None, 1e-6])
def test_a_posterior_that_grows_feature_by_feature_is_that_of_dense_algebra(forget, intercept):
    columns = 150
    free = "" if intercept is None else f"--intercept_l2 {intercept}"
    workspace = Workspace(f"--bayes_linear --noise 1 --l2 0.7 --forget {forget} --posterior full {free}")
    prior = np.diag([0.7] * columns + [0.7 if intercept is None else intercept])
    data, mean = np.zeros_like(prior), np.zeros(columns + 1)
    for i in range(400):
        text = line(i, columns)
        workspace.learn(text)
        label, weight, *words = text.split()
        row = np.zeros(columns + 1)
        row[-1] = 1
        for word in words[1:]:
            name, _, value = word.partition(":")
            row[int(name[1:])] += np.float32(value or 1)
        pull = forget * (data + prior) @ mean + float(weight) * row * np.float32(label)
        data = forget * data + float(weight) * np.outer(row, row)
        mean = np.linalg.solve(data + prior, pull)
    found = workspace.bottom.coefficients()
    variances = np.diag(np.linalg.inv(data + prior))
    hashes = [*(feature(f"a{k}") for k in range(columns)), CONSTANT]
    for k, hash in enumerate(hashes):
        assert found[hash] == pytest.approx((mean[k], variances[k]), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("flags", ["--bayes_logistic", "--bayes_logistic --posterior_mode", "--bayes_linear --noise 1"])
def test_one_example_at_a_time_equals_batches_of_one_that_come_with_all_features(flags):
    """A record that has all features from its first example, against one that grows."""
    columns = 90
    first = "1 1e-30 |a " + " ".join(f"a{k}:1e-30" for k in range(columns))
    grown, whole = Workspace(f"{flags} --posterior full"), Workspace(f"{flags} --posterior full")
    whole.learn(first)
    for i in range(300):
        text = line(i, columns)
        text = ("1" if float(text.split()[0]) > 0 else "-1") + text[text.index(" ") :]
        assert grown.learn(text) == pytest.approx(whole.learn(text), abs=1e-6)
    one, two = grown.bottom.coefficients(), whole.bottom.coefficients()
    for hash, known in one.items():
        assert known == pytest.approx(two[hash], rel=1e-6, abs=1e-9)


def test_features_in_other_units_are_learned_as_well():
    """The factor is brought up to date by rotations, which lose no digits where others would."""
    columns = 80
    means = []
    for scale in (1e-6, 1, 1e6):
        workspace = Workspace(f"--bayes_linear --noise 1 --l2 {1e-6 * scale**2} --posterior full --noconstant")
        for i in range(400):
            label, _, rest = line(i, columns).partition(" ")
            words = rest.split("|a ")[1].split()
            scaled = " ".join(f"{w.split(':')[0]}:{float((w + ':1').split(':')[1]) * scale!r}" for w in words)
            workspace.learn(f"{label} |a {scaled}")
        means.append([mean * scale for _, (mean, _) in sorted(workspace.bottom.coefficients().items())])
    assert means[0] == pytest.approx(means[1], rel=1e-3, abs=1e-4)
    assert means[2] == pytest.approx(means[1], rel=1e-3, abs=1e-4)


# N + M examples

KINDS = [
    "--bayes_linear --posterior full",
    "--bayes_linear --posterior_full 75",
    "--bayes_linear --posterior_full 75 --forget 0.9",
    "--bayes_logistic --forget 0.95",
    "--bayes_logistic --posterior_mode --posterior_full 70",
    "--bayes_linear --posterior_full 80 --batch_size 3",
    "--bayes_linear --random_effect user:* --fixed none --posterior_full 70",
    "--bayes_linear --random_effect user:* --fixed same --posterior_full 70 --effect_l2 auto --shrink mean",
    "--bayes_linear --random_effect user:* --fixed none --posterior_full 70 --entity_limit 1",
    "--bayes_linear --random_effect user:* --fixed none --posterior_full 66 --forget 0.9 --entity_limit 1",
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("flags", KINDS)
@pytest.mark.parametrize("cut", [60, 66, 69, 150])
def test_examples_in_two_runs_equal_those_in_one(tmp_path, flags, cut):
    lines = [line(i, 90, f"|user u{i % 7 // 5} ") for i in range(220)]
    lines = ["1" + text[text.index(" ") :] if i % 3 else "-1" + text[text.index(" ") :] for i, text in enumerate(lines)]
    whole = Workspace(flags)
    whole.learn(lines)
    first = Workspace(flags)
    first.learn(lines[:cut])
    first.save(tmp_path / "model")
    limit = flags.partition("--entity_limit")[1:]
    again = Workspace.load(tmp_path / "model", " ".join(limit))
    again.learn(lines[cut:])
    theirs, ours = saved(whole, tmp_path / "whole"), saved(again, tmp_path / "again")
    assert theirs == ours
    if "--entity_limit" in flags:
        assert list(effect(whole, "user").entities()) == list(effect(again, "user").entities())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_order_of_entities_and_a_limit_change_nothing(tmp_path):
    alone = "--fixed none --shrink zero --effect_l2 1"  # or entities learn of each other
    flags = f"--bayes_linear --noise 1 --random_effect user:* {alone} --posterior_full 70"
    lines = [line(i, 100 if i % 3 == 0 else 50, f"|user u{i % 3} ") for i in range(240)]
    by_entity = [text for k in range(3) for text in lines[k::3]]
    found = []
    for chosen, more in ((lines, ""), (by_entity, ""), (lines, " --entity_limit 1")):
        workspace = Workspace(flags + more)
        workspace.learn(chosen)
        found.append({name: (count, known) for name, count, known in effect(workspace, "user").entities()})
    assert found[0] == found[1] == found[2]


def test_predictions_between_change_nothing(tmp_path):
    flags = "--bayes_linear --columns prediction,sd --posterior full --random_effect user:* --fixed none"
    lines = [line(i, 90, "|user u ") for i in range(150)]
    plain, asked = Workspace(flags), Workspace(flags)
    for text in lines:
        plain.learn(text)
        asked.predict("|user u |a a1 a77")
        asked.learn(text)
    assert saved(plain, tmp_path / "plain") == saved(asked, tmp_path / "asked")


# auto


def test_auto_is_full_up_to_its_bound_and_then_diagonal_and_says_so_once(tmp_path):
    full = Workspace("--bayes_linear --posterior full")
    auto = Workspace("--bayes_linear --posterior_full 80")
    said: list[str] = []
    auto.bottom.tell = said.append
    lines = [line(i, 79) for i in range(200)]  # and the constant: 80 coefficients
    assert full.learn(lines) == auto.learn(lines)
    assert full.bottom.coefficients() == auto.bottom.coefficients()
    assert said == []
    before = auto.bottom.coefficients()
    auto.learn("1 |a new")
    assert len(said) == 1
    assert "more than 80 coefficients" in said[0]
    assert "--posterior_full" in said[0]
    auto.learn([line(i, 300) for i in range(400)])
    assert len(said) == 1
    assert auto.bottom.table.n_diagonal == 1
    after = auto.bottom.coefficients()
    assert len(after) == 302
    assert set(before) < set(after)


def test_a_posterior_that_went_over_has_the_diagonal_of_its_precision():
    workspace = Workspace("--bayes_linear --noise 1 --posterior_full 16 --noconstant --l2 2")
    workspace.bottom.tell = lambda text: None
    workspace.learn(["3 |a " + " ".join(f"a{k}" for k in range(16))] * 4)
    means = {hash: mean for hash, (mean, _) in workspace.bottom.coefficients().items()}
    workspace.learn("0 |a new")
    for k in range(16):
        assert workspace.bottom.coefficients()[feature(f"a{k}")] == pytest.approx((means[feature(f"a{k}")], 1 / 6))


def test_auto_warns_in_python_and_tells_in_a_run(tmp_path, capsys):
    workspace = Workspace("--bayes_linear --posterior_full 16 --random_effect user:* --fixed none")
    wide = "1 |user ann |a " + " ".join(f"a{k}" for k in range(40))
    with pytest.warns(RuntimeWarning, match=r"random_effect.user: 'ann' has more than 16 coefficients"):
        workspace.learn(wide)
    (tmp_path / "data").write_text(f"{wide}\n" * 3)
    assert main([str(tmp_path / "data"), "--bayes_linear", "--posterior_full", "16"]) == 0
    assert capsys.readouterr().err.count("[warning] glm: there are more than 16 coefficients") == 1


def test_each_entity_goes_over_by_itself():
    workspace = Workspace("--bayes_linear --posterior_full 16 --random_effect user:* --fixed none")
    effect(workspace, "user").tell = lambda text: None
    workspace.learn(["1 |user ann |a " + " ".join(f"a{k}" for k in range(40)), "1 |user bob |a a1 a2"] * 3)
    found = {name: known for name, _, known in effect(workspace, "user").entities()}
    pair = [found["bob"][feature(name)] for name in ("a1", "a2")]
    assert workspace.predict("|user bob |a a1 a2") > 0
    dense = np.linalg.inv(np.eye(3) + 3 * np.ones((3, 3)))
    noise = pair[0][1] / dense[0, 0]
    assert pair[1][1] == pytest.approx(noise * dense[1, 1])
    assert effect(workspace, "user").table.n_diagonal == 1


# bounds


def test_a_line_that_would_take_a_full_posterior_beyond_its_bound_is_refused():
    workspace = Workspace("--bayes_linear --noise 1 --posterior full --posterior_full 40")
    workspace.learn("1 |a " + " ".join(f"a{k}" for k in range(39)))
    assert workspace.predict("|a unknown") > 0
    for text in ("1 |a new", "1 |a a1 new1 new2"):
        with pytest.raises(ParseError, match=r"more coefficients than --posterior_full allows.*auto or diagonal"):
            workspace.learn(text)
    workspace.learn("1 |a a1 a1 a1 a2")
    assert len(workspace.bottom.coefficients()) == 40


def test_features_that_a_line_names_twice_count_once():
    workspace = Workspace("--bayes_linear --posterior full --posterior_full 40")
    workspace.learn("1 |a " + " ".join(f"a{k} a{k}" for k in range(39)))
    assert len(workspace.bottom.coefficients()) == 40


@pytest.mark.parametrize("more", ["", "--batch_size 4", "--sweeps 2", "--entity_limit 1"])
def test_bounds_hold_for_each_entity_and_each_way_of_learning(tmp_path, capsys, more):
    lines = [f"1 |user {'ann' if i % 2 else 'bob'} |a a{i % 2 * 100 + i // 2}" for i in range(60)]
    (tmp_path / "data").write_text("\n".join(lines) + "\n")
    flags = "--bayes_linear --random_effect user:a --fixed none --posterior full --posterior_full 20"
    assert main([str(tmp_path / "data"), *flags.split(), *more.split()]) == 0
    said = capsys.readouterr().err
    assert "skipped malformed lines = 22 of 60" in said
    assert "--posterior_full allows" in said


def test_what_was_one_default_may_be_the_other(tmp_path):
    workspace = Workspace("--bayes_linear")
    workspace.learn("1 |a b")
    workspace.save(tmp_path / "model")
    again = Workspace.load(tmp_path / "model", "--posterior full")
    assert again.predict("|a b") == workspace.predict("|a b")
    with pytest.raises(OptionError, match="--posterior_full has no effect with --posterior diagonal"):
        Workspace("--bayes_linear --posterior diagonal --posterior_full 100")
    with pytest.raises(OptionError, match="--posterior diagonal does not fit"):
        Workspace.load(tmp_path / "model", "--posterior diagonal")


def growth(flags: str, features: int) -> float:
    """How many MB a process takes that learns features one by one, beyond one that learns a few."""
    program = (
        "import resource, sys, warnings; from vwlite import Workspace; warnings.simplefilter('ignore')\n"
        "w = Workspace(sys.argv[1])\n"
        "w.learn([f'{i % 3} |f a{i}' for i in range(70)])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "w.learn([f'{i % 3} |f a{i}' for i in range(int(sys.argv[2]))])\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, flags, str(features)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_a_posterior_that_grows_takes_memory_with_the_square():
    """800 coefficients are 5 MB, and the piece before while it is copied."""
    assert growth("--bayes_linear --posterior full", 800) < 20
    assert growth("--bayes_linear", 3000) < 20


def test_one_example_of_a_large_posterior_takes_milliseconds():
    workspace = Workspace("--bayes_linear --posterior full")
    workspace.learn("1 |a " + " ".join(f"a{k}" for k in range(500)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    workspace.learn([f"1 |a a{i} a{2 * i}" for i in range(200)])
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_utime - before) / 200 < 0.02


# models of the first version


@pytest.mark.parametrize("name", ["full_posterior_1.model", "full_posterior_1_limited.model"])
@pytest.mark.parametrize("limit", ["", "--entity_limit 1"])
def test_models_of_the_first_version_predict_and_learn_as_they_did(name, limit):
    wanted = json.loads((DATA / "full_posterior_1.json").read_text())
    workspace = Workspace.load(DATA / name, f"--columns prediction,sd {limit}")
    for found, expected in zip(workspace.predict(wanted["probe"]), wanted["before"], strict=True):
        assert found == pytest.approx(expected, rel=1e-6)
    workspace.learn(wanted["more"])
    for found, expected in zip(workspace.predict(wanted["probe"]), wanted["after"], strict=True):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_no_warning_comes_where_posteriors_are_small():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Workspace("--bayes_linear").learn([line(i, 60) for i in range(100)])
