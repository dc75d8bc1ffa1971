"""Logged decisions: beside Vowpal Wabbit, what each type teaches, bad input, its promises."""

import re
from typing import Any

import numpy as np
import pytest

from tests.support.models import arrays, rewrite
from tests.support.multiclass import both, differences, ours
from tests.support.multiline import decisions, examples_of, without_labels
from tests.support.promises import threads_passes_and_caches_make_no_difference, two_runs_give_the_bits_of_one
from vwlite import Workspace
from vwlite.errors import ModelError, OptionError, StackError

TYPES = ("mtr", "ips", "dr", "dm", "sm")
NOT_COUNTED = "total feature number"  # VW counts those of a shared line once, but in its table for each line


def listed(text: str) -> list[str]:
    return [" ".join(flags.split()) for flags in text.split(";")]


def beside(folder, text, *lines: str, compat: str = ""):
    """As both(); `compat` is a flag that VW doesn't know."""
    if not compat:
        return both(folder, text, *lines)
    found = [ours(folder, f"{line} {compat}", text) for line in lines]
    return found[-1], [ours(folder, line, text, vw=True) for line in lines][-1]


def summary(found, explores=False) -> list[str]:
    """The figures that both programs have."""
    names = {"number of examples", "weighted example sum", "weighted label sum", "average loss"}
    names |= {NOT_COUNTED} if explores else set()
    return [f"{name} {value}" for name, value in sorted(found.summary.items()) if name in names]


# Beside Vowpal Wabbit


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "more", ["", "--clip_p 0.4", "-q sa -b 9", "--adaptive -l 0.1", "--l2 0.001 --noconstant", "-t"]
)
@pytest.mark.parametrize("top", ["--cb_adf --rank_all", "--cb_explore_adf --epsilon 0.2"])
def test_predictions_table_and_summary_are_those_of_vowpal_wabbit(tmp_path, kind, more, top):
    if kind == "dr" and "--l2" in more:  # VW scores when its second model has changed what is left of weights
        return
    compat = "--vw_compat" if kind == "sm" else ""
    found, expected = beside(tmp_path, decisions(60), f"{top} --cb_type {kind} {more}", compat=compat)
    assert expected.predictions and not differences(found.predictions, expected.predictions)
    assert not differences(summary(found, "explore" in top), summary(expected, "explore" in top))
    assert [row.split()[0] for row in found.rows] == pytest.approx([row.split()[0] for row in expected.rows]) or not (
        differences([row.split()[0] for row in found.rows], [row.split()[0] for row in expected.rows], 2e-4)
    )
    assert [row.split()[-1] for row in found.rows] == [row.split()[-1] for row in expected.rows]


@pytest.mark.parametrize("kind", ["mtr", "ips", "dr", "dm"])
def test_a_rate_that_decays_goes_by_decisions_as_in_vowpal_wabbit(tmp_path, kind):
    found, expected = both(tmp_path, decisions(60), f"--cb_adf --rank_all --cb_type {kind} --sgd -l 0.05")
    assert not differences(found.predictions, expected.predictions)


@pytest.mark.parametrize("flags", ["--cb_adf", "--cb_explore_adf", "--cb_explore_adf --first_only --epsilon 0.3"])
@pytest.mark.parametrize("more", ["", "--passes 2 -c -k --holdout_off", "-P 1"])
def test_the_action_chosen_is_that_of_vowpal_wabbit(tmp_path, flags, more):
    found, expected = both(tmp_path, decisions(60, seed=2), f"{flags} {more}")
    assert expected.predictions and not differences(found.predictions, expected.predictions)


@pytest.mark.parametrize("kind", ["mtr", "ips", "dm", "sm"])  # VW forgets the scale of dr's second model
def test_a_saved_model_goes_on_as_that_of_vowpal_wabbit(tmp_path, kind):
    first = f"--cb_adf --rank_all --cb_type {kind} -f model"
    for second in ("-t -i model", "-i model"):
        compat = "--vw_compat" if kind == "sm" else ""
        found, expected = beside(tmp_path, decisions(60), first, second, compat=compat)
        assert not differences(found.predictions, expected.predictions)


def test_vw_compat_takes_probabilities_above_1_for_1(tmp_path):
    lines = [re.sub(r"^(\d+:\S+):\S+", r"\1:1.5", line) if i % 9 == 0 else line for i, line in enumerate(decisions(40))]
    assert "the probability is not a number above 0" in ours(tmp_path, "--cb_adf", lines).said
    found = ours(tmp_path, "--cb_adf --rank_all --vw_compat", lines)
    assert not differences(found.predictions, ours(tmp_path, "--cb_adf --rank_all", lines, vw=True).predictions)


# What is learned


def shop(count: int, good: int = 2) -> list[str]:
    """A log of a uniform policy: action `good` costs -1, the others nothing."""
    lines = []
    for i in range(count):
        k = i % 4
        lines += [f"{f'{k}:{-(k == good)}:0.25 ' if a == k else ''}|a act{a}" for a in range(4)]
        lines.append("")
    return lines


@pytest.mark.parametrize("kind", [*TYPES, "direct"])
@pytest.mark.parametrize("flags", ["", "--bayes_linear", "--bayes_linear --posterior diagonal"])
def test_every_type_finds_the_best_action_over_every_learner(kind, flags):
    workspace = Workspace(f"--cb_adf --cb_type {kind} {flags}")
    workspace.learn(shop(200))
    assert workspace.predict(without_labels(shop(1))) == [2]


@pytest.mark.parametrize("flags", ["--loss_function logistic", "--bayes_logistic", "--bayes_logistic --moments"])
@pytest.mark.parametrize("kind", ["mtr", "direct"])
def test_rewards_are_learned_by_the_logistic_loss(flags, kind):
    workspace = Workspace(f"--cb_adf --rank_all --cb_type {kind} {flags}")
    workspace.learn(shop(200))
    (ranked,) = workspace.predict(without_labels(shop(1)))
    assert ranked[0][0] == 2 and ranked[0][1] == max(score for _, score in ranked)


def test_direct_teaches_the_costs_as_they_are(tmp_path):
    """The model is that of as many single lines with these costs as labels."""
    lines = [line for line in decisions(80) if not line.startswith("shared")]
    ours(tmp_path, "--cb_adf --cb_type direct -f decisions", lines)
    singles = [re.sub(r"^\d+:([^:]+):\S+", r"\1", line) for line in lines if line[:1].isdigit()]
    ours(tmp_path, "-f plain", singles)
    found, expected = (arrays(tmp_path / name) for name in ("decisions", "plain"))
    assert found["gd.index"] == expected["gd.index"] and found["gd.weight"] == expected["gd.weight"]


def test_mtr_weighs_by_the_probability(tmp_path):
    """The model is that of single lines with importances, as the equation has them."""
    lines = [line for line in decisions(80) if not line.startswith("shared")]
    ours(tmp_path, "--cb_adf -f decisions", lines)
    singles, events, actions = [], 0, 0
    for example in examples_of(lines):
        known = [line for line in example if line[:1].isdigit()]
        if known:
            events, actions = events + 1, actions + len(example) - 1
            head, rest = known[0].split(" ", 1)
            _, cost, p = head.split(":")
            weight = np.float32(1) / np.float32(p) * (np.float32(events) / np.float32(actions))
            singles.append(f"{cost} {weight} {rest}")
    ours(tmp_path, "-f plain", singles)
    found, expected = (arrays(tmp_path / name) for name in ("decisions", "plain"))
    weights = [np.frombuffer(each["gd.weight"][2], "<f4") for each in (found, expected)]
    assert weights[0] == pytest.approx(weights[1], abs=1e-5)


def test_dr_has_a_second_model_for_each_user():
    """Learners with a posterior are copied for it, with their entities."""
    workspace = Workspace("--cb_adf --cb_type dr --bayes_linear --random_effect user")
    lines = [line and f"{line} |user u{i // 50}" for i, line in enumerate(shop(40) + shop(40, good=1))]
    workspace.learn(lines)
    assert workspace.metadata()["stack"][0]["options"]["cb_type"] == "dr"


def test_the_loss_is_an_estimate_of_what_the_chosen_actions_cost(tmp_path):
    lines = decisions(100, known=1)
    for kind in ("mtr", "ips", "dm", "sm", "direct"):
        found = ours(tmp_path, f"--cb_adf --cb_type {kind}", lines)
        total = 0.0
        for told, example in zip(examples_of(found.predictions), examples_of(lines), strict=True):
            (label,) = [line.split()[0].split(":") for line in example if line[:1].isdigit()]
            total += float(label[1]) / float(label[2]) * (told[0].split()[0] == label[0])
        assert found.loss == pytest.approx(total / 100, abs=1e-5)
        assert float(found.summary["ips"]) == pytest.approx(found.loss, abs=1e-5)


# Bad input


@pytest.mark.parametrize(
    ("example", "line", "reason"),
    [
        (["0:1:0.5 |a x", "1:1:0.5 |a y"], 2, "a second action of the decision has a cost"),
        (["0:1 |a x"], 1, "expected action:cost:probability"),
        (["0:1:0 |a x"], 1, "probability is not a number above 0"),
        (["0:1:1.5 |a x"], 1, "probability is not a number above 0"),
        (["0:x:0.5 |a x"], 1, "cost is not a finite number"),
        (["0:inf:0.5 |a x"], 1, "cost is not a finite number"),
        (["7:1:0.5 |a x"], 1, "no action of this number"),
        (["0:1:0.5:2 |a x"], 1, "probability is not a number"),
        (["1 |a x", "shared |a x"], 2, "shared line must be the first"),
        (["shared |a x"], 1, "a shared line without a line"),
        (["|a x"] * 65537, 65537, "more than 65,536 actions"),
    ],
)
@pytest.mark.parametrize("top", ["--cb_adf", "--cb_explore_adf"])
def test_a_bad_decision_is_skipped_whole_and_shown(tmp_path, example, line, reason, top):
    lines = decisions(20)
    expected = ours(tmp_path, f"{top} -f plain", lines)
    found = ours(tmp_path, f"{top} -f model", [*example, "", *lines])
    assert re.search(rf"skipped data:{line}:\d+: .*{reason}", found.said)
    assert "skipped malformed lines = 1 of" in found.said
    assert found.predictions == expected.predictions
    assert arrays(tmp_path / "model") == arrays(tmp_path / "plain")


def test_a_decision_with_one_action_is_one(tmp_path):
    found = ours(tmp_path, "--cb_explore_adf", ["0:1:1 |a x", "", "|a x"])
    assert found.predictions == ["0:1", "", "0:1", ""]


REFUSED = """
--cb_adf --oaa 3: oaa; --cb_adf --cb_type ips --loss_function logistic: mtr; --cb_type ips: --cb_adf;
--clip_p 0.1: --cb_adf;
--cb_adf --cb_type none: cb_type; --cb_adf --loss_function quantile: squared; --rank_all: --cb_adf;
--cb_explore_adf --rank_all: --rank_all; --cb_adf --clip_p 2: --clip_p; --cb_explore_adf --epsilon 2: --epsilon;
--cb_explore_adf --thompson --bayes_linear --epsilon 0.1: --epsilon; --epsilon 0.1: --cb_explore_adf;
--cb_adf --cost_range=-1,0: --cost_range; --cb_adf --classweight 1:2: --classweight
"""


@pytest.mark.parametrize("line", listed(REFUSED))
def test_flags_that_do_not_fit_are_refused_with_what_would(line):
    flags, told = line.split(": ")
    with pytest.raises((OptionError, StackError), match=told):
        Workspace(flags)


def field_setter(field: dict[str, Any]) -> Any:
    return lambda found: found.update(field)


@pytest.mark.parametrize(("events", "actions"), [(-1, 5), (5, 4)])
def test_a_model_that_learned_from_impossible_decisions_is_refused(tmp_path, events, actions):
    ours(tmp_path, "--cb_adf -f model", decisions(9))
    for name, value in (("events", events), ("actions", actions)):
        field: dict[str, Any] = {f"cb_adf.{name}": ("I64", [], np.array([value], "<i8").tobytes())}
        rewrite(tmp_path / "model", field_setter(field))
    with pytest.raises(ModelError, match="cb_adf"):
        Workspace.load(tmp_path / "model")


# What every learner promises, and every policy over every learner

PROMISES = """
--cb_adf; --cb_adf --rank_all --cb_type dr -q sa; --cb_adf --cb_type sm -b 8; --cb_explore_adf --cb_type ips;
--cb_adf --cb_type dr --bayes_linear; --cb_explore_adf --bayes_linear --random_effect user:a;
--cb_explore_adf --thompson --bayes_linear --cb_type dr; --explore ucb --bayes_linear --cb_type mtr;
--thompson --bayes_linear --cb_type ips --posterior diagonal; --explore greedy --cb_type dm
"""


@pytest.fixture(params=listed(PROMISES))
def flags(request):
    return request.param


LINES = decisions(60, users=True)


def test_predicting_and_what_has_no_label_change_nothing(flags, state):
    workspace = Workspace(flags)
    workspace.learn(LINES)
    before = {name: value for name, value in state(workspace).items() if name != "cb_adf.decisions"}
    bare = without_labels(LINES)
    assert workspace.predict(bare) is not None
    workspace.learn(bare)
    assert {name: value for name, value in state(workspace).items() if name != "cb_adf.decisions"} == before


def test_two_runs_give_the_bits_of_one(flags, run, tmp_path):
    cuts = [i + 1 for i, line in enumerate(LINES) if not line]
    two_runs_give_the_bits_of_one(run, tmp_path, LINES, flags.split(), (cuts[0], cuts[30]))


def test_threads_passes_and_caches_make_no_difference(flags, run, tmp_path):
    threads_passes_and_caches_make_no_difference(run, tmp_path, LINES, flags.split())


@pytest.mark.parametrize("rest", ["0:1e30:1e-30 |a f1", "0:-1e18:1 |a f1:1e20", "0:1:1e-38 |a f1:3e38 f2:-3e38"])
def test_huge_and_tiny_values_never_reach_a_model_that_is_not_finite(flags, rest, tmp_path):
    workspace = Workspace(flags)
    workspace.learn([*LINES, f"{rest} |user r", "|a f2 |user s", ""])
    workspace.save(tmp_path / "model")  # which refuses numbers that are not finite
    assert Workspace.load(tmp_path / "model").predict(LINES) == workspace.predict(LINES)


@pytest.mark.parametrize("top", ["--cb_explore_adf", "--explore epsilon", "--explore ucb", "--thompson"])
@pytest.mark.parametrize("kind", [*TYPES, "direct"])
def test_every_policy_logs_probabilities_that_add_up(top, kind):
    workspace = Workspace(f"{top} --cb_type {kind} --bayes_linear")
    for told in workspace.learn(LINES):
        assert sum(p for _, p in told) == pytest.approx(1, abs=1e-5)
        assert sorted(action for action, _ in told) == [*range(len(told))]
        assert min(p for _, p in told) >= 0


def test_a_decision_of_hardly_any_probability_leaves_the_loss_a_number(tmp_path):
    for top in ("--cb_explore_adf", "--cb_adf", "--thompson --bayes_linear"):
        found = ours(tmp_path, top, ["0:1:1e-40 | a", "| b", "", "0:1:0.5 | a", "| b", ""])
        assert float(found.summary["average loss"]) < 1e39


@pytest.mark.parametrize("policy", ["--thompson --bayes_linear --fixed none", "--thompson --bayes_linear"])
def test_a_limit_of_entities_changes_no_probability(policy, tmp_path):
    """Entities that take turns in the same memory had each other's uncertainty."""
    lines = [line and f"{line} |user u{i % 7}" for i, line in enumerate(decisions(60, least=3))]
    lines = [line.split(" |user")[0] if line.startswith("shared") else line for line in lines]
    ours(tmp_path, f"{policy} --random_effect user:a -f model", lines)
    whole = ours(tmp_path, "-t -i model", lines)
    assert ours(tmp_path, "-t -i model --entity_limit 1", lines).predictions == whole.predictions


@pytest.mark.parametrize(("name", "value"), [("decisions", 1 << 62), ("actions", 1 << 62), ("decisions", -1)])
def test_a_model_with_impossible_counts_is_refused(tmp_path, name, value):
    ours(tmp_path, "--cb_adf -f model", decisions(9))
    content = np.array([value], "<i8").tobytes()
    rewrite(tmp_path / "model", field_setter({f"cb_adf.{name}": ("I64", [], content)}))
    with pytest.raises(ModelError, match="cb_adf"):
        Workspace.load(tmp_path / "model")


@pytest.mark.parametrize("value", [np.nan, -1, np.inf])
def test_a_model_with_an_impossible_ridge_is_refused(tmp_path, value):
    ours(tmp_path, "--cb_adf --cb_type dr --bayes_linear -f model", decisions(30))
    content = np.array([value], "<f8").tobytes()
    rewrite(tmp_path / "model", field_setter({"glm.l2": ("F64", [], content), "1:glm.l2": ("F64", [], content)}))
    with pytest.raises(ModelError, match="glm"):
        Workspace.load(tmp_path / "model")
