"""Costs of lines with features of their own: beside Vowpal Wabbit, what is written, bad input, its promises."""

import re

import pytest

from tests.support.models import arrays
from tests.support.multiclass import both, differences, ours, scores
from tests.support.multiline import costs, examples_of, without_labels
from tests.support.promises import threads_passes_and_caches_make_no_difference, two_runs_give_the_bits_of_one
from vwlite import Workspace
from vwlite.errors import OptionError, ParseError, StackError

FLAGS = """
m; mc; multiline; multiline-classifier; m -q ab -l 1; mc -q sa --cubic abs; mc --loss_function logistic;
mc --loss_function hinge -b 8; m --noconstant --adaptive -l 0.1; m --l1 0.0001 --l2 0.001; m --csoaa_rank;
mc --csoaa_rank --loss_function logistic; m --ignore s; m -t; m -P 1; m --passes 3 -c -k --holdout_off
"""
NAMES = ("cat", "dog", "größe", "7th")


def listed(text: str) -> list[str]:
    return [" ".join(flags.split()) for flags in text.split(";")]


# Beside Vowpal Wabbit


def own(raw: list[str]) -> list[str]:
    """Raw predictions without those of shared lines, which have no score."""
    return [line for line in raw if not re.match(r"0:0( |$)", line)]


@pytest.mark.parametrize("flags", listed(FLAGS))
@pytest.mark.parametrize("seed", [1, 2])
def test_predictions_scores_table_and_summary_are_those_of_vowpal_wabbit(tmp_path, flags, seed):
    found, expected = both(tmp_path, costs(60, seed), f"--csoaa_ldf {flags}")
    assert expected.predictions and not differences(found.predictions, expected.predictions)
    assert not differences(found.raw, own(expected.raw))
    assert not differences(
        sorted(map(":".join, found.summary.items())), sorted(map(":".join, expected.summary.items()))
    )
    assert not differences(found.rows, expected.rows, 2e-4)


def test_probabilities_are_those_of_vowpal_wabbit(tmp_path):
    lines = [
        line for line in costs(60) if not line.startswith("shared")
    ]  # with them VW counts the costs of wrong lines
    found, expected = both(tmp_path, lines, "--csoaa_ldf mc --loss_function logistic --probabilities")
    assert not differences(found.predictions, expected.predictions)
    assert found.summary["average multiclass log loss"] == expected.summary["average multiclass log loss"]


@pytest.mark.parametrize("first", ["m", "mc -q ab --loss_function logistic"])
def test_a_saved_model_predicts_as_that_of_vowpal_wabbit(tmp_path, first):
    found, expected = both(tmp_path, costs(60), f"--csoaa_ldf {first} -f model", "-t -i model")
    assert not differences(found.predictions, expected.predictions)
    assert not differences(found.raw, own(expected.raw))


# What is learned and written


def test_the_cheapest_line_is_found_by_its_features():
    lines = [word for k in (0, 1, 2) * 30 for word in lottery(k)]
    for how in ("m", "mc", "mc --loss_function logistic", "m --bayes_linear", "mc --bayes_logistic"):
        workspace = Workspace(f"--csoaa_ldf {how}")
        workspace.learn(lines)
        assert [workspace.predict(without_labels(lottery(k)))[0] for k in (0, 1, 2)] == [1, 2, 3], how


def lottery(k: int) -> list[str]:
    """Three lines, of which line k has the word that wins."""
    return [f"{i + 1}:{0 if i == k else 1} |a {'win' if i == k else 'lose'} n{i}" for i in range(3)] + [""]


def test_each_line_teaches_its_cost(tmp_path):
    """With m, the model is that of as many single lines with these numbers as labels."""
    lines = [line for line in costs(60, least=2) if not line.startswith("shared")]
    ours(tmp_path, "--csoaa_ldf m -f costs", lines)
    singles = [re.sub(r"^\d+:(\S+)", r"\1", line) for line in lines if line]
    ours(tmp_path, "-f plain", singles)
    found, expected = (arrays(tmp_path / name) for name in ("costs", "plain"))
    assert found["gd.index"] == expected["gd.index"] and found["gd.weight"] == expected["gd.weight"]


def test_the_loss_is_the_cost_of_the_line_chosen(tmp_path):
    lines = costs(80)
    found = ours(tmp_path, "--csoaa_ldf m", lines)
    chosen = examples_of(found.predictions)
    total = 0.0
    for told, example in zip(chosen, examples_of(lines), strict=True):
        labels = [line.split()[0].split(":") for line in example if line and not line.startswith("shared")]
        ((number, cost),) = [label for label, word in zip(labels, told, strict=False) if word.split()[0] != "0"]
        assert {word.split()[0] for word in told if word} <= {"0", number}
        total += float(cost)
    assert found.loss == pytest.approx(total / len(chosen), abs=1e-5)


def test_classes_may_have_names(tmp_path):
    numbered = ours(tmp_path, "--csoaa_ldf m", costs(40))
    named = ours(tmp_path, "--csoaa_ldf m", costs(40, classes=NAMES))
    for line, other in zip(numbered.predictions, named.predictions, strict=True):
        word, *tag = line.split() or [""]
        assert other.split() == [w for w in (NAMES[int(word) - 1] if word not in ("", "0") else word, *tag) if w]
    assert {name for line in named.raw for name in scores([line])[0]} == set(NAMES)
    workspace = Workspace("--csoaa_ldf m --csoaa_rank")
    (told,) = workspace.learn(["cat:1 |a x", "dog:0 |a y", ""])
    assert [name for name, _ in told] == ["cat", "dog"]


def test_lines_without_a_label_go_by_their_place(tmp_path):
    ours(tmp_path, "--csoaa_ldf m -f model", [*lottery(1)] * 9)
    found = ours(tmp_path, "-t -i model", without_labels(lottery(1)))
    assert found.predictions == ["0", "2", "0", ""]
    assert Workspace.load(tmp_path / "model").predict(without_labels(lottery(1))) == [2]


def test_probabilities_add_up(tmp_path):
    found = ours(tmp_path, "--csoaa_ldf mc --probabilities --loss_function logistic", costs(40))
    for example in examples_of(found.predictions):
        assert sum(float(line.split()[0]) for line in example if line) == pytest.approx(1, abs=1e-5)
    workspace = Workspace("--csoaa_ldf mc --probabilities --bayes_logistic")
    workspace.learn(lottery(0) * 9)
    assert max(workspace.predict(lottery(0))[0]) == workspace.predict(lottery(0))[0][0]


# Bad input


@pytest.mark.parametrize(
    ("example", "line", "reason"),
    [
        (["1:0 |a x", "2 |a y"], 2, "some choices of the example have costs, and others have none"),
        (["|a x", "2:1 |a y"], 1, "some choices of the example have costs"),
        (["1:0 2:1 |a x", "2:1 |a y"], 1, "a second class:cost"),
        (["1:nan |a x"], 1, "cost is not a finite number"),
        (["1:x |a x"], 1, "cost is not a finite number"),
        (["1:1:5 |a x"], 1, "cost is not a finite number"),
        (["1.5:1 |a x"], 1, "a class is a whole number"),
        ([":1 |a x"], 1, "expected class:cost"),
        (["1:1 |a x", "shared |a y"], 2, "a shared line must be the first"),
        (["shared |a y"], 1, "a shared line without a line"),
        (["shared 1:1 |a y", "1:1 |a"], 1, "a shared line has no cost"),
        (["1:1e30 |a y", "2:0 |a"], 1, "larger than 1e18"),
    ],
)
def test_a_bad_example_is_skipped_whole_and_shown(tmp_path, example, line, reason):
    lines = costs(30)
    expected = ours(tmp_path, "--csoaa_ldf m -f plain", lines)
    found = ours(tmp_path, "--csoaa_ldf m -f model", [*example, "", *lines])
    assert re.search(rf"skipped data:{line}:\d+: .*{reason}", found.said)
    assert "skipped malformed lines = 1 of" in found.said
    assert found.predictions == expected.predictions
    assert arrays(tmp_path / "model") == arrays(tmp_path / "plain")


def test_vw_compat_only_predicts_where_costs_are_missing(tmp_path):
    lines = [*costs(20, least=2), "1:0 |a x", "2 |a y", "", *costs(20, seed=5)]
    assert "skipped" in ours(tmp_path, "--csoaa_ldf m", lines).said
    found = ours(tmp_path, "--csoaa_ldf m --vw_compat", lines)
    assert not differences(found.predictions, ours(tmp_path, "--csoaa_ldf m", lines, vw=True).predictions)


REFUSED = """
--csoaa_ldf m --probabilities: mc; --csoaa_ldf mc --probabilities: logistic; --csoaa_rank: --csoaa_ldf;
--csoaa_ldf mc --probabilities --csoaa_rank --loss_function logistic: --csoaa_rank;
--csoaa_ldf mc --loss_function poisson: poisson; --csoaa_ldf m --oaa 3: oaa; --csoaa_ldf x: csoaa_ldf;
--csoaa_ldf m --classweight 1:2: --classweight; --csoaa_ldf m --columns sd --bayes_linear: --columns
"""


@pytest.mark.parametrize("line", listed(REFUSED))
def test_flags_that_do_not_fit_are_refused_with_what_would(line):
    flags, told = line.split(": ")
    with pytest.raises((OptionError, StackError), match=told):
        Workspace(flags)


# What every learner promises

PROMISES = """
m; mc --loss_function logistic --probabilities; m --csoaa_rank -q ab -b 8; m --bayes_linear; mc --bayes_logistic -q sa;
m --random_effect user:a --bayes_linear; mc --random_effect user --bayes_logistic --posterior diagonal
"""


@pytest.fixture(params=listed(PROMISES))
def flags(request):
    return f"--csoaa_ldf {request.param}"


LINES = costs(60, users=True)


def test_predicting_and_what_has_no_label_change_nothing(flags, state):
    workspace = Workspace(flags)
    workspace.learn(LINES)
    before = state(workspace)
    first = workspace.predict(LINES)
    assert workspace.predict(LINES) == first == [workspace.predict(each)[0] for each in examples_of(LINES)]
    bare = without_labels(LINES)
    assert workspace.learn(bare) == workspace.predict(bare)
    assert state(workspace) == before


def test_learning_returns_the_prediction_made_before(flags):
    workspace = Workspace(flags)
    for each in examples_of(LINES):
        before = workspace.predict(each)
        assert workspace.learn(each) == before


def test_two_runs_give_the_bits_of_one(flags, run, tmp_path):
    cuts = [i + 1 for i, line in enumerate(LINES) if not line]
    two_runs_give_the_bits_of_one(run, tmp_path, LINES, flags.split(), (cuts[0], cuts[30]))


def test_threads_passes_and_caches_make_no_difference(flags, run, tmp_path):
    threads_passes_and_caches_make_no_difference(run, tmp_path, LINES, flags.split())


@pytest.mark.parametrize("rest", ["|a f1:1e20", "|a f1:3e38 f2:-3e38", "|a f1:1e-38", "|"])
def test_huge_and_tiny_values_never_reach_a_model_that_is_not_finite(flags, rest, tmp_path):
    workspace = Workspace(flags)
    workspace.learn([*LINES, f"1:-1e17 |user r {rest}", f"2:1e17 |user r {rest}", ""] if "m " not in flags else LINES)
    workspace.learn([f"1:-1 |user r {rest}", f"2:1 |user r {rest}", ""])
    workspace.save(tmp_path / "model")  # which refuses numbers that are not finite
    assert Workspace.load(tmp_path / "model").predict(LINES) == workspace.predict(LINES)


def test_a_text_with_several_examples_is_refused():
    with pytest.raises(ValueError, match="several"):
        Workspace("--csoaa_ldf m").learn("1:0 |a\n\n1:1 |a\n\n")
    with pytest.raises(ParseError):
        Workspace("--csoaa_ldf m").learn("1:0 |a\n2 |a\n")
