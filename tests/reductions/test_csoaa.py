"""Costs of classes: beside Vowpal Wabbit, what is learned and written, bad input, its promises."""

import random

import pytest

from tests.support.models import arrays
from tests.support.multiclass import both, differences, ours, unlabelled
from tests.support.promises import threads_passes_and_caches_make_no_difference, two_runs_give_the_bits_of_one
from vwlite import Workspace
from vwlite.errors import OptionError, StackError


def listed(text: str) -> list[str]:
    return [" ".join(flags.split()) for flags in text.split(";")]


def costs(count: int, classes=(1, 2, 3, 4), seed: int = 1, all_of_them: bool = False) -> list[str]:
    """Lines with the costs of some classes; the first has all."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        chosen = classes if i == 0 or all_of_them else source.sample(classes, source.randint(1, len(classes)))
        best = source.randrange(len(classes))
        label = " ".join(f"{c}:{source.uniform(0, 1) + (c != classes[best]):.3g}" for c in chosen)
        words = f"w{best} {source.choice('lmn')} x:{source.uniform(-1, 1):.3g}"
        tag = f"'tag{i}" if i % 3 else ""
        lines.append(f"{label} {tag}|a {words} |b {source.choice('uv')} |user {source.choice('rst')}")
    return lines


FLAGS = """
; -q ab; --loss_function quantile; -b 6; --indexing 1; --cs_absolute_loss; -t;
--passes 3 -c -k --holdout_off; --passes 4 -c -k; -P 1; --noconstant --adaptive -l 0.1
"""


@pytest.mark.parametrize("flags", listed(FLAGS))
def test_predictions_scores_table_and_summary_are_those_of_vowpal_wabbit(tmp_path, flags):
    found, expected = both(tmp_path, [*costs(100), "|a w1", "1 2 |a w3", *costs(20, seed=2)], f"--csoaa 4 {flags}")
    assert expected.predictions and not differences(found.predictions, expected.predictions)
    pairs = [(ours, theirs) for ours, theirs in zip(found.raw, expected.raw, strict=True) if ":" in theirs]
    assert not differences((one for one, _ in pairs), (other for _, other in pairs))
    assert not differences(
        sorted(map(":".join, found.summary.items())), sorted(map(":".join, expected.summary.items()))
    )
    assert not differences(found.rows, expected.rows, 2e-4)


def test_a_rate_that_decays_is_that_of_vowpal_wabbit_where_all_classes_are_listed(tmp_path):
    # VW has one clock for all classes; here each has that of what it has learned
    found, expected = both(tmp_path, costs(100, all_of_them=True), "--csoaa 4 --sgd -l 0.05")
    assert not differences(found.predictions, expected.predictions)


@pytest.mark.parametrize("flags", ["", "--bayes_linear", "--random_effect user --bayes_linear"])
def test_the_cheapest_class_is_found(flags):
    workspace = Workspace(f"--csoaa 3 {flags}")
    workspace.learn(costs(600, (1, 2, 3)))
    assert workspace.predict([f"|a w{i} m x:0 |b u |user r" for i in range(3)]) == [1, 2, 3]


def test_only_classes_listed_are_predicted():
    workspace = Workspace("--csoaa 3")
    workspace.learn(costs(300, (1, 2, 3)))
    assert workspace.predict(["|a w0", "2 3 |a w0", "3 |a w0", "9 |a w0"]) == [
        1,
        *workspace.predict(["2 3 |a w0"]),
        3,
        1,
    ]
    assert workspace.predict("2 3 |a w0") in (2, 3)


def test_classes_may_have_names(tmp_path):
    numbered = ours(tmp_path, "--csoaa 3", costs(100, (1, 2, 3)))
    named = ours(tmp_path, "--csoaa 3 -f model", costs(100, ("cat", "dog", "größe")))
    names = {"1": "cat", "2": "dog", "3": "größe"}
    told = [line.split()[0] for line in numbered.predictions[1:]]
    assert [line.split()[0] for line in named.predictions[1:]] == [names[word] for word in told]
    assert Workspace.load(tmp_path / "model").predict(["|a w0", "dog größe |a w1"]) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("label", "column", "reason"),
    [
        ("1:0 1:1", 5, "names a class twice"),
        ("1:0 2", 5, "some choices of the example have costs"),
        ("5:0", 1, "no class of this number"),
        ("0:0", 1, "no class of this number"),
        ("1.5:0", 1, "a class is a whole number"),
        ("1:x", 1, "cost is not a finite number"),
        ("1:1e30", 1, "larger than 1e18"),
        ("cat:1", 1, "the classes are numbers here"),
        ("shared", 1, "the classes are numbers here"),
    ],
)
def test_a_bad_label_is_a_line_skipped_and_shown(tmp_path, label, column, reason):
    lines = costs(40)
    lines.insert(1, "1:1 4:2 |a w3")
    expected = ours(tmp_path, "--csoaa 4 -f plain", lines)
    found = ours(tmp_path, "--csoaa 4 -f model", [*lines[:30], f"{label} |a w1 x", *lines[30:]])
    if ":" in label or reason.startswith("names"):
        assert f"skipped data:31:{column}: " in found.said and reason in found.said
        assert found.predictions == expected.predictions
    assert arrays(tmp_path / "model") == arrays(tmp_path / "plain")


def test_0_and_the_last_class_can_not_both_be_named_first(tmp_path):
    assert "no class of this number" in ours(tmp_path, "--csoaa 3", ["0:1 3:0 |a x", *costs(9, (0, 1, 2))]).said


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--csoaa 1", "csoaa"),
        ("--csoaa 3 --oaa 3", "oaa"),
        ("--csoaa 3 --probabilities", "--probabilities"),
        ("--csoaa 3 --classweight 1:2", "--classweight"),
        ("--cs_absolute_loss", "--csoaa"),
    ],
)
def test_flags_that_do_not_fit_are_refused_with_what_would(flags, told):
    with pytest.raises((OptionError, StackError), match=told):
        Workspace(flags)


PROMISES = ["--csoaa 4", "--csoaa 4 --bayes_linear -q ab", "--csoaa 4 --random_effect user:a --bayes_linear"]


@pytest.mark.parametrize("flags", PROMISES)
def test_what_every_learner_promises(flags, run, state, tmp_path):
    lines = costs(90)
    workspace = Workspace(flags)
    assert [workspace.predict(line) for line in lines[:1]] == workspace.learn(lines[:1])
    workspace.learn(lines)
    before = state(workspace)
    assert workspace.predict(lines) == [workspace.predict(line) for line in lines]
    workspace.learn(unlabelled(lines))
    assert state(workspace) == before
    two_runs_give_the_bits_of_one(run, tmp_path, lines, flags.split(), [37])
    threads_passes_and_caches_make_no_difference(run, tmp_path, lines, flags.split())
