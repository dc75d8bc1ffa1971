"""--report: values by hand and by brute force, what counts and what does not, and why a figure is missing."""

import functools
import itertools
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.support.collisions import TWIN, USER
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.report import figures

NAMES = "auc,logloss,brier,accuracy,rmse,mse,mae,calibration"
LOGISTIC = "--loss_function logistic"


def trial(lines: list[str], flags: str) -> dict[str, float | None]:
    """Figures of an untaught model that only tests: an example's score is its initial prediction."""
    workspace = Workspace(f"-t {flags}")
    workspace.learn(lines)
    return {name.removesuffix(" held out"): value for name, value in workspace.report().items()}


def line(label: float, score: float, weight: float = 1, rest: str = "|") -> str:
    return f"{label:g} {weight!r} {score!r} {rest}"


def pairs_in_order(scores, labels, weights) -> float | None:
    """The area under the curve by its meaning."""
    won = total = 0.0
    for s, y, w in zip(scores, labels, weights, strict=True):
        for other_s, other_y, other_w in zip(scores, labels, weights, strict=True):
            if y > other_y:
                total += w * other_w
                won += w * other_w * (1 if s > other_s else 0.5 if s == other_s else 0)
    return won / total if total else None


# Values


def test_figures_of_a_classifier_by_hand():
    found = trial([line(1, 2), line(1, -1), line(-1, 0, 2)], f"{LOGISTIC} --report {NAMES}")
    p = [1 / (1 + math.exp(-s)) for s in (2, -1, 0)]
    assert found["auc"] == 0.5  # 2 > 0, -1 < 0
    assert found["logloss"] == pytest.approx(-(math.log(p[0]) + math.log(p[1]) + 2 * math.log(0.5)) / 4)
    assert found["brier"] == pytest.approx(((1 - p[0]) ** 2 + (1 - p[1]) ** 2 + 2 * 0.25) / 4)
    assert found["accuracy"] == 0.75  # 0 is not above 0, as for --binary
    assert found["mse"] == pytest.approx((1 + 4 + 2 * 1) / 4)
    assert found["rmse"] == pytest.approx(math.sqrt(7 / 4))
    assert found["mae"] == pytest.approx((1 + 2 + 2 * 1) / 4)
    assert found["calibration"] == pytest.approx((p[0] + p[1] + 1) / 4 - 0.5)
    assert found["calibration ratio"] == pytest.approx((p[0] + p[1] + 1) / 4 / 0.5)


def test_figures_of_a_regression_by_hand():
    lines = [line(3, 2.5), line(5, 6, 3), line(-2, 0)]
    found = trial(lines, "--min_prediction -9 --max_prediction 9 --report rmse,mae,calibration")
    assert found["rmse"] == pytest.approx(math.sqrt((0.25 + 3 + 4) / 5))
    assert found["mae"] == pytest.approx((0.5 + 3 + 2) / 5)
    assert found["calibration"] == pytest.approx((2.5 + 18 + 0) / 5 - (3 + 15 - 2) / 5)
    assert found["calibration ratio"] == pytest.approx(20.5 / 16)


def test_labels_of_0_and_1_are_classes_too():
    signs = [line(1 if i % 3 else -1, (i * 7 % 11 - 5) / 4, 1 + i % 2) for i in range(30)]
    flags = f"{LOGISTIC} --report auc,logloss,brier,accuracy,calibration"
    zeros = [text.replace("-1 ", "0 ", 1) if text.startswith("-1") else text for text in signs]
    assert trial(zeros, flags) == trial(signs, flags)


def test_the_links_prediction_is_measured_in_rmse_and_the_score_in_logloss():
    plain = trial([line(1, 2), line(0, 1)], f"{LOGISTIC} --report logloss,mae")
    linked = trial([line(1, 2), line(0, 1)], f"{LOGISTIC} --link logistic --report logloss,mae")
    assert plain["logloss"] == linked["logloss"]
    assert linked["mae"] == pytest.approx((1 - 1 / (1 + math.exp(-2)) + 1 / (1 + math.exp(-1))) / 2)


def test_classes_are_told_apart_halfway_between_labels_0_and_1_by_a_regression():
    lines = [line(1, 0.6), line(1, 0.4), line(0, 0.4), line(0, 0.2)]
    assert trial(lines, "--report accuracy") == {"accuracy": 0.75}
    assert trial([text.replace("0 ", "-1 ", 1) for text in lines], "--report accuracy")["accuracy"] == 0.5


def test_the_larger_of_any_two_labels_is_the_positive_class():
    rows = [(10, 0.3), (12.5, 0.1), (10, 0.1), (12.5, 0.7)]
    expected = pairs_in_order([s for _, s in rows], [y for y, _ in rows], [1] * 4)
    for ordered in (rows, rows[::-1]):
        assert trial([line(*row) for row in ordered], "--report auc") == {"auc": expected}


scored = st.lists(
    st.tuples(
        st.sampled_from([-1, 1]),
        st.sampled_from([-1e30, -2.5, 0.0, 0.25, 0.5, 1e-30, 3e38]) | st.floats(-5, 5, width=32),
        st.sampled_from([0.25, 1.0, 3.0]),
    ),
    min_size=1,
    max_size=30,
)


@given(scored)
def test_the_area_is_the_weighted_share_of_pairs_in_order(rows):
    labels, scores, weights = zip(*rows, strict=True)
    area = trial([line(*row) for row in rows], f"{LOGISTIC} --report auc")["auc"]
    expected = pairs_in_order(scores, labels, weights)
    assert area == (None if expected is None else pytest.approx(expected, abs=1e-12))


@given(st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=60))
def test_the_area_is_that_of_mann_and_whitney(rows):
    up, down = ([s for y, s in rows if y is which] for which in (True, False))
    area = trial([line(1 if y else -1, s) for y, s in rows], f"{LOGISTIC} --report auc")["auc"]
    if up and down:
        assert area == pytest.approx(stats.mannwhitneyu(up, down).statistic / len(up) / len(down), abs=1e-12)
    else:
        assert area is None


@given(scored, st.data())
def test_the_areas_of_entities_are_those_of_their_examples_alone(rows, data):
    n = data.draw(st.integers(1, 5))
    entities = data.draw(st.lists(st.integers(0, n - 1), min_size=len(rows), max_size=len(rows)))
    labels, scores, weights = (np.array(column, np.float32).astype(float) for column in zip(*rows, strict=True))
    found = figures.areas(scores, weights * labels, np.array(entities, np.uint32), n)
    for entity in range(n):
        own = np.array(entities) == entity
        expected = pairs_in_order(scores[own], labels[own], weights[own])
        assert found[entity] == pytest.approx(np.nan if expected is None else expected, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize(("score", "loss"), [(-1e4, 1e4), (1e4, 0), (-800, 800), (40, 4.248354255291589e-18)])
def test_huge_scores_have_an_exact_log_loss(score, loss):
    assert trial([line(1, score)], f"{LOGISTIC} --report logloss")["logloss"] == pytest.approx(loss, rel=1e-12)
    assert trial([line(-1, -score)], f"{LOGISTIC} --report logloss")["logloss"] == pytest.approx(loss, rel=1e-12)


def test_progressive_figures_are_of_predictions_made_before_learning():
    source = random.Random(1)
    lines = [f"{source.choice([-1, 1])} | a{source.randrange(5)} b:{source.random():.3f}" for _ in range(200)]
    workspace = Workspace(f"{LOGISTIC} --report auc,logloss,mae")
    scores = workspace.learn(lines)
    labels = [float(text.split()[0]) for text in lines]
    found = workspace.report()
    assert list(found) == ["auc", "logloss", "mae"]
    assert found["auc"] == pytest.approx(pairs_in_order(scores, labels, [1] * 200))
    loss = np.mean([np.logaddexp(0, -y * s) for y, s in zip(labels, scores, strict=True)])
    assert found["logloss"] == pytest.approx(loss)
    assert found["mae"] == pytest.approx(np.mean(np.abs(np.subtract(labels, scores))))
    before = workspace.report()
    scores = workspace.predict(lines[:50])
    after = workspace.report()
    assert {name: after[name] for name in before} == before
    assert after["auc held out"] == pytest.approx(pairs_in_order(scores, labels[:50], [1] * 50))


# Entities


def test_each_entity_counts_the_same():
    rows = [("7", 1, 3), ("7", 1, 1), ("7", 1, 2), ("ann", 1, 0.5), ("ann", 0, 0.25), ("bob", 0, -2)]
    lines = [line(y, s, 1, f"|user {who} |x x") for who, y, s in rows] + [line(1, 1)]
    found = trial(lines, "--min_prediction -9 --max_prediction 9 --report mse,mse:user,rmse:user,mae:x,auc:user")
    per_user = [(4 + 0 + 1) / 3, (0.25 + 0.0625) / 2, 4]
    assert found["mse"] == pytest.approx((4 + 0 + 1 + 0.25 + 0.0625 + 4 + 0) / 7)
    assert found["mse by user"] == pytest.approx(np.mean(per_user))
    assert found["rmse by user"] == pytest.approx(np.mean(np.sqrt(per_user)))
    assert found["mae by x"] == pytest.approx((2 + 0 + 1 + 0.5 + 0.25 + 2) / 6)
    assert found["auc by user"] == 1  # only ann has both classes


@functools.cache
def crowd() -> tuple[list[str], dict[str, float]]:
    """Lines of thousands of users and hundreds of items, and the figures by user and by item from their meaning."""
    source = random.Random(2)
    rows = [(source.randrange(5000), source.randrange(300), source.choice([-1, 1]), source.gauss(0, 1))
            for _ in range(20_000)]  # fmt: skip
    expected: dict[str, float] = {}
    for k, kind in ((0, "user"), (1, "item")):
        areas, errors = [], []
        for _, group in itertools.groupby(sorted(rows, key=lambda row: row[k]), key=lambda row: row[k]):
            y, s = np.array([row[2:] for row in group]).T
            up, down = s[y == 1], s[y == -1]
            errors.append(np.abs(y - s).mean())
            if len(up) and len(down):
                areas.append(np.mean((np.sign(up[:, None] - down) + 1) / 2))
        expected |= {f"auc by {kind}": float(np.mean(areas)), f"mae by {kind}": float(np.mean(errors))}
    return [line(y, s, 1, f"|item i{item}x |user {user}") for user, item, y, s in rows], expected


@pytest.mark.parametrize("flags", ["", "--hash all", "--hash_seed 5", "--hash all --hash_seed 5 -q ui --ignore u"])
def test_thousands_of_entities_are_kept_apart(flags):
    lines, expected = crowd()
    found = trial(lines, f"{LOGISTIC} {flags} --report auc:user,mae:item,auc:item")
    for name in ("auc by user", "mae by item", "auc by item"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5)


# What counts


def test_examples_without_label_or_weight_do_not_count():
    lines = [line(1, 2), line(-1, 1)]
    flags = f"{LOGISTIC} --report {NAMES},auc:u,mae:u"
    more = [line(1, -7, 0, "|u z"), "|u z", "'tag |u z"]
    assert trial([*more, *lines], flags) == trial(lines, flags)


def test_no_option_no_figures():
    workspace = Workspace()
    workspace.learn("1 | a")
    assert workspace.report() == {}


def test_a_run_without_metrics_imports_nothing_for_them(tmp_path):
    (tmp_path / "data.txt").write_text("1 | a\n")
    program = (
        "import sys; from vwlite.cli import main; main(['data.txt', '--quiet']); "
        "print(*{'numpy', 'vwlite.report.metrics', 'vwlite.report.figures'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


# Runs of the command line


@pytest.fixture
def summary(tmp_path, capfd, monkeypatch):
    """Runs the command on lines; returns what the summary says, name -> text."""
    monkeypatch.chdir(tmp_path)

    def command(lines: list[str], *words: str) -> dict[str, str]:
        Path("data.txt").write_text("".join(f"{text}\n" for text in lines))
        assert main(["data.txt", *words]) == 0
        return dict(re.findall(r"^(\S.*?) = (.*)$", capfd.readouterr().err, re.MULTILINE))

    return command


SIGNS = [f"{1 if i * i * 7 % 31 % 5 < 2 else -1} |f a{i % 5} b{i % 7} |user u{i % 9}" for i in range(120)]


def test_the_summary_names_figures_after_the_average_loss(summary):
    found = summary(SIGNS, "--loss_function", "logistic", "--report", "logloss,auc:user", "--report", "mae")
    names = list(found)
    at = names.index("average loss")
    assert names[at + 1 : at + 4] == ["logloss", "auc by user", "mae"]
    assert found["logloss"] == found["average loss"]
    assert re.fullmatch(r"0\.\d{6} \(mean of 9 of 9 entities\)", found["auc by user"])


def test_a_run_that_only_tests_holds_everything_out(summary):
    found = summary(SIGNS, "-t", "--loss_function", "logistic", "--report", "logloss")
    assert found["logloss held out"] == found["average loss"]
    assert "logloss" not in found


@pytest.mark.parametrize("words", [["--onethread"], ["-c"], ["--hash", "all"], ["--invert_hash", "/dev/null"]])
def test_figures_come_out_the_same_however_examples_arrive(summary, words):
    lines = [f"{text} |long {' '.join(f'w{i}' for i in range(1000))}" for text in SIGNS]
    ask = ["--loss_function", "logistic", "--report", "auc,auc:user,rmse:user", "--ignore", "fl", "--passes", "2"]
    plain = summary(lines, *ask)
    summary(lines, *ask, *words)  # makes the cache, if there is one
    other = summary(lines, *ask, *words)
    names = [name for name in plain if name.startswith(("auc", "rmse"))]
    assert len(names) == 6
    assert {name: other[name] for name in names} == {name: plain[name] for name in names}


def test_of_several_passes_the_first_is_progressive_and_the_last_held_out(summary):
    ask = ["--loss_function", "logistic", "--report", "logloss,auc,auc:user"]
    first = summary(SIGNS, *ask, "--holdout_after", "100")
    third = summary(SIGNS, *ask, "--holdout_after", "100", "--passes", "3")
    for name in ("logloss", "auc", "auc by user"):
        assert third[name] == first[name]
        assert third[f"{name} held out"] != first[f"{name} held out"]
    summary(SIGNS[:100], *ask, "--holdout_off", "--passes", "3", "-f", "third.model")
    alone = summary(SIGNS[100:], "-t", "-i", "third.model", *ask[2:])
    for name in ("logloss held out", "auc held out", "auc by user held out"):
        assert third[name] == alone[name]


def test_when_passes_end_early_the_figures_are_of_the_pass_whose_model_is_kept(summary):
    # held-out labels are the opposite of what the others teach: the first pass is the best
    taught, held_out = ["1 | a b"] * 36, ["-1 | a b"] * 4
    words = ["--report", "logloss", "--passes", "20", "--holdout_after", "36", "-f", "m.model"]
    found = summary(taught + held_out, "--loss_function", "logistic", *words)
    assert found["passes used"] == "4"
    assert found["logloss held out"] + " h" == found["average loss"]
    alone = summary(held_out, "-t", "-i", "m.model", "--report", "logloss")
    assert found["logloss held out"] == alone["logloss held out"]


# Why a figure is missing


@pytest.mark.parametrize(
    ("lines", "flags", "said"),
    [
        (["1 | a", "1 | b"], "auc", {"auc": "one class only: every label is 1"}),
        (["1 | a", "2 | b", "3 | a"], "auc", {"auc": "more than two different labels"}),
        (
            ["1 | a", "2 | b"],
            f"logloss {LOGISTIC} --logistic_min 1 --logistic_max 2",
            {"logloss": "labels are 1 and 2, not 1 and -1 or 1 and 0"},
        ),
        (["0 | a", "-1 | b"], "accuracy", {"accuracy": "labels are 0 and -1, not 1 and -1 or 1 and 0"}),
        (["1 | a", "0 | b"], "brier", {"brier": "not log-odds without --loss_function logistic"}),
        (["| a"], "mae,auc:u", {"mae": "no example with a label", "auc by u": "no example with a label"}),
        (["1 | a", "0 | a"], "mae:u,auc:u", {"mae by u": "no example has a namespace u", "auc by u": "namespace u"}),
        (["1 |u a", "0 |u b"], "auc:u", {"auc by u": "one class only in each of 2 entities"}),
        (["0 | a", "0 | b"], "calibration", {"calibration ratio": "the mean label is 0"}),
    ],
)
def test_a_missing_figure_says_why(summary, lines, flags, said):
    names, *words = flags.split()
    found = summary(lines, "--report", names, *words)
    for name, reason in said.items():
        assert found[name].startswith("n/a (")
        assert reason in found[name]
    assert dict.fromkeys(said).items() <= workspace_figures(lines, flags).items()


def workspace_figures(lines: list[str], flags: str) -> dict[str, float | None]:
    workspace = Workspace(f"--report {flags}")
    workspace.learn(lines)
    return workspace.report()


@pytest.mark.parametrize("text", ["auk", "auc,,mae", "AUC", "auc:", "auc:a:b", "auc,nope:user", " "])
def test_unknown_metrics_are_refused_by_name(text):
    with pytest.raises(OptionError, match=r"--report") as caught:
        Workspace(["--report", text])
    assert "auc" in str(caught.value)


def test_a_mistyped_metric_is_one_line_that_names_the_known_ones(capfd):
    assert main(["--report", "auc,acc", "--no_stdin"]) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "'acc'" in error
    assert all(name in error for name in figures.NAMES)


def test_the_help_names_every_metric(capfd):
    assert main(["--help-all"]) == 0
    text = " ".join(capfd.readouterr().out.split())
    assert NAMES.replace(",", ", ") in text
    assert tuple(NAMES.split(",")) == figures.NAMES


def test_entities_whose_names_hash_alike_are_told_apart(tmp_path, capsys):
    """Three entities of errors 1, 0 and 0: the mean over entities is 1/3, over two of them it would be another."""
    lines = [b"1 |user " + USER + b" |", b"0 |user " + TWIN + b" |", b"0 |user ann |", b"0 |user ann |"]
    (tmp_path / "data").write_bytes(b"\n".join(lines) + b"\n")
    command = [str(tmp_path / "data"), "-t", "--report", "mae:user", "--noconstant"]
    for cache in ([], ["--cache_file", str(tmp_path / "cache")], ["--cache_file", str(tmp_path / "cache")]):
        assert main([*command, *cache]) == 0
        assert "mae by user held out = 0.333333 (mean of 3 of 3 entities)" in capsys.readouterr().err
