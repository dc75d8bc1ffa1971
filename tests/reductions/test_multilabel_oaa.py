"""Which of several classes hold: beside Vowpal Wabbit, what is learned and written, bad input, its promises."""

import random

import pytest

from tests.support.models import arrays
from tests.support.multiclass import both, differences, ours, unlabelled
from tests.support.promises import threads_passes_and_caches_make_no_difference, two_runs_give_the_bits_of_one
from vwlite import Workspace
from vwlite.errors import OptionError


def listed(text: str) -> list[str]:
    return [" ".join(flags.split()) for flags in text.split(";")]


def labels(count: int, classes=(0, 1, 2, 3), seed: int = 1, in_order: bool = True) -> list[str]:
    """Lines in which a word tells of each class that holds; the first has all."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        held = [*classes] if i == 0 else source.sample(classes, source.randint(1, len(classes)))
        words = " ".join(f"w{classes.index(c)}" for c in held if source.random() < 0.9)
        label = ",".join(map(str, sorted(held, key=classes.index) if in_order else held))
        tag = f"'tag{i}" if i % 3 else ""
        lines.append(
            f"{label} {tag}|a {words} x:{source.uniform(-1, 1):.3g} |b {source.choice('uv')}"
            f" |user {source.choice('rst')}"
        )
    return lines


FLAGS = """
; -q ab; --loss_function logistic --link logistic; --loss_function hinge; --sgd -l 0.05; -b 6; -t; -P 1;
--passes 3 -c -k --holdout_off; --passes 4 -c -k; --noconstant --adaptive -l 0.1
"""


@pytest.mark.parametrize("flags", listed(FLAGS))
def test_predictions_table_and_summary_are_those_of_vowpal_wabbit(tmp_path, flags):
    found, expected = both(tmp_path, [*labels(100), "|a w1", *labels(20, seed=2)], f"--multilabel_oaa 4 {flags}")
    assert expected.predictions and not differences(found.predictions, expected.predictions)
    assert not differences(
        sorted(map(":".join, found.summary.items())), sorted(map(":".join, expected.summary.items()))
    )


@pytest.mark.parametrize("flags", ["", "--bayes_linear", "--bayes_logistic", "--random_effect user --bayes_linear"])
def test_classes_that_hold_are_found_each_by_itself(flags):
    workspace = Workspace(f"--multilabel_oaa 3 {flags}")
    workspace.learn(labels(900, (0, 1, 2), in_order=False))
    found = workspace.predict([f"|a {words} x:0 |b u |user r" for words in ("w0", "w1 w2", "w0 w1 w2")])
    assert found == [[0], [1, 2], [0, 1, 2]]


def test_the_order_of_a_label_makes_no_difference(tmp_path):
    one = ours(tmp_path, "--multilabel_oaa 4", ["0,2 |a x", "3,1,0 |a y"] * 20)
    assert one.predictions == ours(tmp_path, "--multilabel_oaa 4", ["2,0 |a x", "0,3,1 |a y"] * 20).predictions


def test_classes_may_have_names(tmp_path):
    numbered = ours(tmp_path, "--multilabel_oaa 3", labels(100, (0, 1, 2)))
    named = ours(tmp_path, "--multilabel_oaa 3 -f model", labels(100, ("cat", "dog", "größe")))
    names = ["cat", "dog", "größe"]
    for line, other in zip(numbered.predictions[1:], named.predictions[1:], strict=True):
        classes, *tag = line.split(" ")
        assert other.split(" ") == [",".join(names[int(c)] for c in classes.split(",") if c), *tag]
    assert Workspace.load(tmp_path / "model").predict("|a w0 w1") == ["cat", "dog"]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("4", "no class of this number"),
        ("1,1", "names a class twice"),
        ("1,", "no class between two commas"),
        (",1", "no class between two commas"),
        ("-1", "a class is a whole number"),
        ("1.5", "a class is a whole number"),
        ("cat", "the classes are numbers here"),
        ("1 3", "joined by commas, such as 1,3"),
        ("1:0.5", "a class is a whole number"),
    ],
)
def test_a_bad_label_is_a_line_skipped_and_shown(tmp_path, label, reason):
    lines = labels(40)
    expected = ours(tmp_path, "--multilabel_oaa 4 -f plain", lines)
    found = ours(tmp_path, "--multilabel_oaa 4 -f model", [*lines[:30], f"{label} |a w1 x", *lines[30:]])
    assert "skipped data:31:" in found.said and reason in found.said
    assert found.predictions == expected.predictions
    assert arrays(tmp_path / "model") == arrays(tmp_path / "plain")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--multilabel_oaa 1", "multilabel_oaa"),
        ("--multilabel_oaa 3 --indexing 1", "--indexing"),
        ("--multilabel_oaa 3 --loss_function poisson", "poisson"),
        ("--multilabel_oaa 3 --classweight 1:2", "--classweight"),
    ],
)
def test_flags_that_do_not_fit_are_refused_with_what_would(flags, told):
    with pytest.raises(OptionError, match=told):
        Workspace(flags)


PROMISES = [
    "",
    "--loss_function logistic --link logistic",
    "--bayes_linear -q ab",
    "--random_effect user:a --bayes_linear",
    "--bayes_logistic --batch_size 5",
]


@pytest.mark.parametrize("classes", [(0, 1, 2, 3), ("cat", "dog", "fox", "owl")])
@pytest.mark.parametrize("flags", PROMISES)
def test_what_every_learner_promises(flags, classes, run, state, tmp_path):
    lines = labels(90, classes)
    words = ["--multilabel_oaa", "4", *flags.split()]
    workspace = Workspace(" ".join(words))
    for line in lines[:20]:
        before = workspace.predict(line)
        assert workspace.learn(line) == before
    workspace.learn(lines)
    before = state(workspace)
    assert workspace.predict(lines) == [workspace.predict(line) for line in lines]
    assert workspace.learn(unlabelled(lines)) == workspace.predict(unlabelled(lines))
    assert state(workspace) == before
    two_runs_give_the_bits_of_one(run, tmp_path, lines, words, [37])
    threads_passes_and_caches_make_no_difference(run, tmp_path, lines, words)
