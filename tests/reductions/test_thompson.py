"""Decisions: their text, the policies, and what is learned; beside Vowpal Wabbit where it does the same."""

import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vowpalwabbit
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.support.models import saved
from tests.support.promises import two_runs_give_the_bits_of_one
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError, ParseError
from vwlite.model import model_file

LOG = [
    "shared first|s a b",
    "0:1:0.5 |a x",
    "|a y",
    "|a z",
    "",
    "shared |s a",
    "|a x",
    "1:-0.5:0.25 |a y",
    "",
    "'third |a q",
    "|a r",
    "",
]


def log(seed: int, count: int, costs: tuple[float, ...] = (-1, 0), tags: bool = False) -> list[str]:
    """Decisions between three actions, logged at random, of which the second is best for even users."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        even = source.random() < 0.5
        action = source.randrange(3)
        good = source.random() < (0.8 if (action == 1) == even else 0.2)
        lines.append(f"shared {f'd{i}' if tags else ''}|u {'even' if even else 'odd'}")
        for k in range(3):
            label = f"{k}:{costs[0] if good else costs[1]}:0.333333 " if k == action else ""
            lines.append(f"{label}|a a{k}")
        lines.append("")
    return lines


def unlabelled(lines: list[str]) -> list[str]:
    return [line if line.startswith("shared") else line[line.find("|") :] if "|" in line else line for line in lines]


ACTIONS = ["|a a0", "|a a1", "|a a2"]
POLICIES = [
    "--thompson --bayes_logistic -q ua",
    "--thompson --bayes_logistic -q ua --posterior diagonal --moments --ts_alpha 0.5 --ts_samples 20",
    "--thompson --ts_optimistic --bayes_linear -q ua --noise 1",
    "--explore ucb --bayes_linear -q ua --ucb_alpha 2",
    "--explore epsilon --explore_rate 0.3 -q ua",
    "--explore greedy --loss_function logistic -q ua",
    "--explore uniform --square --batch_size 5",
    "--thompson --bayes_logistic -q ua --explore_rate 0.2",
    "--thompson --bayes_logistic --random_effect u:a --fixed same",
]


@pytest.fixture(params=POLICIES)
def flags(request):
    return request.param


# What every learner promises, for decisions


def test_predicting_changes_no_model_and_no_prediction(flags, tmp_path):
    workspace = Workspace(flags)
    workspace.learn(log(1, 60))
    before = saved(workspace, tmp_path)
    lines = log(2, 30, tags=True)  # those without tags are drawn anew
    first = workspace.predict(lines)
    assert workspace.predict(lines) == first
    assert saved(workspace, tmp_path) == before


def test_decisions_without_costs_teach_nothing(flags, tmp_path):
    workspace, other = Workspace(flags), Workspace(flags)
    workspace.learn(log(1, 60))
    other.learn(log(1, 60))
    other.learn(unlabelled(log(2, 30)))
    one, two = saved(workspace, tmp_path), saved(other, tmp_path)
    assert {name for name in one if one[name] != two[name]} == {"cb_adf.decisions"}


def test_two_runs_give_the_bits_of_one(flags, run, tmp_path):
    two_runs_give_the_bits_of_one(run, tmp_path, log(3, 50), flags.split(), [5 * 17])


def test_threads_make_no_difference(flags, run):
    padding = " ".join(f"word{i}" for i in range(3000))
    lines = [line + f" |p {padding}" if line.startswith("shared") else line for line in log(5, 30)]
    words = [*flags.split(), "--ignore", "p"]
    assert run(lines, *words) == run(lines, *words, "--onethread")


def test_probabilities_add_up(flags):
    workspace = Workspace(flags)
    for decision in workspace.learn(log(1, 60)):
        assert {action for action, _ in decision} == {0, 1, 2}
        assert sum(p for _, p in decision) == pytest.approx(1, abs=1e-6)
        assert all(0 <= p <= 1 for _, p in decision)
        assert decision[0][1] > 0
        assert [p for _, p in decision[1:]] == sorted((p for _, p in decision[1:]), reverse=True)


def test_learning_makes_better_decisions():
    for flags in POLICIES:
        if "uniform" in flags:
            continue
        workspace = Workspace(flags)
        workspace.learn(log(1, 400))
        even, odd = workspace.predict(
            [
                "shared |u even",
                *ACTIONS,
                "",
                "shared |u odd",
                *ACTIONS,
                "",
            ]
        )
        assert dict(even)[1] > 0.5 > dict(odd)[1], flags


# Draws


def test_a_decision_can_be_made_again_by_its_tag():
    workspace = Workspace("--thompson --bayes_logistic -q ua --random_seed 7")
    workspace.learn(log(1, 30))
    lines = unlabelled(log(2, 40, tags=True))
    whole = workspace.predict(lines)
    assert len({decision[0][0] for decision in whole}) > 1
    alone = [workspace.predict(lines[i : i + 5])[0] for i in range(0, len(lines), 5)]
    assert alone[::-1] == [workspace.predict(lines[i : i + 5])[0] for i in range(len(lines) - 5, -1, -5)]
    assert alone == whole


def test_another_seed_draws_otherwise():
    def chosen(seed: int) -> list[int]:
        workspace = Workspace(f"--thompson --bayes_logistic -q ua --random_seed {seed}")
        return [decision[0][0] for decision in workspace.learn(unlabelled(log(2, 60)))]

    assert chosen(1) == chosen(1) != chosen(2)


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_probabilities_are_those_of_the_posterior(posterior):
    # two actions with a coefficient each: P(first is best) = Phi((m1 - m0) / sqrt(v0 + v1)), of costs the smaller
    workspace = Workspace(f"--thompson --ts_alpha 1 --bayes_linear --noise 1 --noconstant --posterior {posterior}")
    workspace.learn(["0:0.4:0.5 |a x", "|a y", "", "|a x", "1:0.9:0.5 |a y", "", "0:0.2:0.5 |a x", "|a y", ""])
    m0, v0 = 0.6 / 3, 1 / 3
    m1, v1 = 0.9 / 2, 1 / 2
    (decision,) = workspace.predict(["|a x", "|a y"])
    assert dict(decision)[0] == pytest.approx(stats.norm.cdf((m1 - m0) / math.sqrt(v0 + v1)), abs=1e-6)


def test_upper_confidence_bounds_prefer_what_is_less_known(tmp_path):
    workspace = Workspace("--explore ucb --ucb_alpha 1 --bayes_linear --noise 1 --noconstant")
    workspace.learn(["0:0:0.5 |a x", "|a y", ""] * 5)
    workspace.save(tmp_path / "m")
    (decision,) = workspace.predict(["|a x", "|a y"])
    assert dict(decision) == {0: 0, 1: 1}
    (decision,) = Workspace.load(tmp_path / "m", "--ucb_alpha 0").predict(["|a x", "|a y"])
    assert dict(decision) == {0: 0.5, 1: 0.5}


# What is chosen has the probability that is logged


IDENTICAL = ["|i x", "|i x", "|i x"]


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_identical_actions_share(posterior):
    workspace = Workspace(f"--thompson --bayes_linear --posterior {posterior}")
    assert dict(workspace.predict(IDENTICAL)[0]) == pytest.approx(dict.fromkeys(range(3), 1 / 3), abs=1e-6)
    workspace.learn(["0:1:0.3 |i x", "|i y", "|i z", ""] * 3)
    assert dict(workspace.predict(IDENTICAL)[0]) == pytest.approx(dict.fromkeys(range(3), 1 / 3), abs=1e-6)
    (decision,) = workspace.predict(["|i y", "|i new", "|i new", "|i y"])
    assert dict(decision)[1] == dict(decision)[2]
    assert dict(decision)[0] == dict(decision)[3]


@pytest.mark.parametrize(
    "flags",
    [
        "--thompson --bayes_logistic -q ua",
        "--thompson --bayes_logistic -q ua --posterior diagonal --ts_samples 3",
        "--thompson --ts_optimistic --bayes_linear -q ua --explore_rate 0.1",
        "--explore epsilon --bayes_logistic -q ua --explore_rate 0.5",
        "--thompson --bayes_logistic --random_effect u:a --fixed none",
    ],
)
@pytest.mark.parametrize("tags", [True, False])
def test_actions_are_taken_as_often_as_is_logged(flags, tags):
    workspace = Workspace(flags)
    workspace.learn(log(1, 12))
    n = 2000
    lines = [line for i in range(n) for line in (f"shared {f'v{i}' if tags else ''}|u even", *ACTIONS, "")]
    taken = [decision[0][0] for decision in workspace.predict(lines)]
    logged = dict(workspace.predict(["shared again|u even", *ACTIONS])[0])
    likely = [k for k in logged if logged[k] * n > 5]
    assert len(likely) > 1
    observed = [taken.count(k) for k in likely]
    expected = np.array([logged[k] for k in likely])
    assert stats.chisquare(observed, expected / expected.sum() * sum(observed)).pvalue > 1e-4


def test_a_log_of_thompson_sampling_is_unbiased():
    # the mean of cost * 1/3 / logged probability is the cost of uniform choices, whatever was logged with
    workspace = Workspace("--thompson --bayes_logistic -q ua --moments")
    workspace.learn(log(1, 30))
    costs = [-0.1, -0.9, -0.4]
    n = 4000
    lines = [line for i in range(n) for line in (f"shared v{i}|u odd", *ACTIONS, "")]
    weighted = [costs[decision[0][0]] / 3 / decision[0][1] for decision in workspace.predict(lines)]
    assert np.mean(weighted) == pytest.approx(np.mean(costs), abs=4 * np.std(weighted) / math.sqrt(n))


@pytest.mark.parametrize("policy", ["--thompson", "--explore greedy", "--explore ucb", "--explore epsilon"])
def test_every_action_has_its_share_of_the_explore_rate(policy):
    learned = log(1, 400)
    floor, none = (Workspace(f"{policy} --bayes_logistic -q ua --explore_rate {rate}") for rate in (0.3, 0))
    floor.learn(learned)
    none.learn(learned)
    mixed, plain = (dict(workspace.predict(["shared |u odd", *ACTIONS])[0]) for workspace in (floor, none))
    assert mixed == pytest.approx({k: 0.1 + 0.7 * plain[k] for k in plain}, abs=1e-6)


def test_learning_what_came_of_a_decision_logs_the_probabilities_it_was_made_with():
    workspace = Workspace("--thompson --bayes_logistic -q ua")
    workspace.learn(log(1, 20))
    decision = ["shared |u even", *ACTIONS]
    chosen = dict(workspace.predict(decision)[0])
    assert dict(workspace.learn(["shared |u even", f"0:-1:0.5 {ACTIONS[0]}", *ACTIONS[1:]])[0]) == chosen
    assert dict(workspace.predict(decision)[0]) != chosen


def test_predictions_without_tags_explore():
    workspace = Workspace("--thompson --bayes_logistic --random_seed 3")
    workspace.learn(log(1, 8))
    taken = [workspace.predict(ACTIONS)[0][0][0] for _ in range(300)]
    logged = dict(workspace.predict(ACTIONS)[0])
    for k, p in logged.items():
        assert taken.count(k) / 300 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 300))
    assert len(set(taken)) > 1


def test_many_actions_are_decided_quickly_and_all_can_be_taken():
    workspace = Workspace("--thompson --bayes_logistic -q ua --posterior diagonal")
    workspace.learn(log(1, 50))
    (decision,) = workspace.predict(["shared |u even", *(f"|a a{k}" for k in range(500))])
    assert sum(p for _, p in decision) == pytest.approx(1, abs=1e-5)
    assert all(p > 0 for _, p in decision)


# Models of version 0.1.0


FORMAT_1 = Path(__file__).parents[1] / "data" / "format_1"
PROBE = ["shared p|s c0", "|a item0", "|a item1", "|a item2"]


def probabilities(workspace: Workspace) -> dict[int, float]:
    return dict(workspace.predict(PROBE)[0])


def test_a_model_of_version_0_1_0_keeps_its_width_whatever_the_default_is_now(tmp_path):
    old = Workspace.load(FORMAT_1 / "thompson.model")
    assert old.options["ts_alpha"] == 1
    assert probabilities(old) == probabilities(Workspace.load(FORMAT_1 / "thompson.model", "--ts_alpha 1"))
    assert probabilities(old) != probabilities(Workspace.load(FORMAT_1 / "thompson.model", "--ts_alpha 0.5"))
    old.save(tmp_path / "again")
    again = Workspace.load(tmp_path / "again")
    assert again.options["ts_alpha"] == 1
    assert probabilities(again) == probabilities(old)


def test_a_model_keeps_the_width_that_it_was_made_with(tmp_path):
    new = Workspace("--thompson --bayes_linear")
    new.save(tmp_path / "new")
    assert model_file.open(tmp_path / "new").metadata["options"]["ts_alpha"] == new.options["ts_alpha"]


def test_a_model_of_version_0_1_0_keeps_its_epsilon():
    model = FORMAT_1 / "epsilon.model"
    assert probabilities(Workspace.load(model)) == pytest.approx({2: 0.9 + 0.1 / 3, 0: 0.1 / 3, 1: 0.1 / 3})
    assert probabilities(Workspace.load(model, "--explore_rate 0.3"))[0] == pytest.approx(0.1)
    # which belongs to its policy
    assert probabilities(Workspace.load(model, "--explore greedy")) == {2: 1, 0: 0, 1: 0}
    assert probabilities(Workspace.load(model, "--explore epsilon"))[0] == pytest.approx(0.1 / 3)


# Beside VW


@pytest.mark.parametrize("flags", ["--RATE 0.2", "--RATE 0.2 -q sa", "--RATE 0"])
def test_predictions_and_loss_are_those_of_vw_before_anything_is_learned(flags, tmp_path, capfd):
    # later VW learns by another reduction (mtr)
    (tmp_path / "data").write_text("\n".join(LOG[:5] + LOG[9:]) + "\n")
    vw = vowpalwabbit.Workspace(
        f"-d {tmp_path}/data --cb_explore_adf --cb_type dm {flags.replace('RATE', 'epsilon')} "
        f"-p {tmp_path}/theirs --quiet -l 1e-9"
    )
    vw.finish()
    ours = [
        "-d",
        str(tmp_path / "data"),
        "--explore",
        "epsilon",
        *flags.replace("RATE", "explore_rate").split(),
        "-p",
        str(tmp_path / "ours"),
        "-l",
        "1e-9",
    ]
    assert main([*ours, "--quiet"]) == 0

    def parsed(name: str) -> list[Any]:
        text = (tmp_path / name).read_text()
        assert text.endswith("\n\n")
        found = []
        for line in text.split("\n\n")[:-1]:
            actions, _, tag = line.partition(" ")
            found.append(
                (
                    {k: pytest.approx(float(p), abs=1e-5) for k, p in (pair.split(":") for pair in actions.split(","))},
                    tag,
                )
            )
        return found

    def plain(name: str) -> list[Any]:
        return [({k: p.expected for k, p in actions.items()}, tag) for actions, tag in parsed(name)]

    assert plain("ours") == parsed("theirs")


def test_the_loss_is_the_cost_that_this_policy_would_have_had(tmp_path, capsys):
    (tmp_path / "data").write_text("\n".join(LOG[:5]) + "\n")
    assert main(["-d", str(tmp_path / "data"), "--explore", "epsilon", "--explore_rate", "0.2"]) == 0
    printed = capsys.readouterr().err
    assert "average loss = 0.666667" in printed  # 1 * (1/3) / 0.5, as VW says
    assert "ips = 0.666667" in printed


# Input


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        (["0:x:0.5 |a x", "|a y"], 1, "cost is not a finite number"),
        (["0:nan:0.5 |a x", "|a y"], 1, "cost is not a finite number"),
        (["|a y", "0:1:0 |a x"], 2, "probability"),
        (["0:1:1.5 |a x"], 1, "probability"),
        (["0:1:-0.5 |a x"], 1, "probability"),
        (["0:1:nan |a x"], 1, "probability"),
        (["0:1 |a x"], 1, "action:cost:probability"),
        (["|a x", "2:1:0.5 |a y"], 2, "no action of this number"),
        (["shared |s a", "1:1:0.5 |a y"], 2, "no action of this number"),
        (["shared |s a", "|a x", "99999999999999999999999:1:0.5 'tag |a y"], 3, "no action of this number"),
        (["x:1:0.5 |a x"], 1, "whole number"),
        (["0:1:0.5 |a x", "1:0:0.5 |a y"], 2, "second action"),
        (["|a x", "shared |s a"], 2, "must be the first"),
        (["shared |s a"], 1, "without a line for any action"),
        (["shared 0:1:0.5 |s a", "|a x"], 1, "no cost"),
        (["shared|s a", "|a x"], 1, "put a blank"),
        (["|a x:nan", "|a y"], 1, "not finite"),
    ],
)
def test_a_bad_decision_teaches_nothing_and_says_where(lines, line, reason, tmp_path):
    workspace = Workspace("--thompson --bayes_linear")
    workspace.learn(log(1, 10))
    before = saved(workspace, tmp_path)
    with pytest.raises(ParseError, match=reason) as refused:
        workspace.learn([*lines, ""])
    assert refused.value.line == line
    assert saved(workspace, tmp_path) == before


def test_a_cost_that_is_no_reward_is_refused_where_rewards_are_learned(tmp_path, capsys):
    (tmp_path / "data").write_text("0:0.5:0.5 |a x\n|a y\n\n0:-1:0.5 |a x\n|a y\n\n")
    assert main(["-d", str(tmp_path / "data"), "--thompson", "--bayes_logistic"]) == 0
    printed = capsys.readouterr().err
    assert f"skipped {tmp_path}/data:1:1: the cost is neither of the two that --cost_range names" in printed
    assert "number of examples = 1" in printed
    assert (
        main(["-d", str(tmp_path / "data"), "--thompson", "--bayes_logistic", "--cost_range", "-1,0.5", "--quiet"]) == 0
    )


def test_a_bad_decision_among_good_ones_is_skipped_whole(tmp_path, capsys):
    (tmp_path / "data").write_text("\n".join([*LOG[:5], "|a x", "0:1:2 |a y", "|a z", "", *LOG[5:9]]) + "\n")
    assert main(["-d", str(tmp_path / "data"), "--thompson", "--bayes_linear"]) == 0
    printed = capsys.readouterr().err
    assert "number of examples = 2" in printed
    assert "skipped malformed lines = 1 of 3" in printed
    assert f"{tmp_path}/data:7:1: the probability" in printed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--thompson", "needs a learner with a posterior"),
        ("--explore ucb --loss_function logistic", "needs a learner with a posterior"),
        ("--thompson --explore greedy --bayes_linear", "two policies"),
        ("--thompson --bayes_logistic --cost_range 1", "LOW,HIGH"),
        ("--thompson --bayes_logistic --cost_range 0,0", "LOW,HIGH"),
        ("--thompson --bayes_linear --cost_range 0,1", "--cost_range"),
        ("--explore greedy --loss_function hinge", "hinge"),
    ],
)
def test_options_that_make_no_sense_are_refused(flags, message):
    with pytest.raises(OptionError, match=message):
        Workspace(flags)


def test_decisions_are_cut_nowhere_but_at_empty_lines(tmp_path):
    lines = log(1, 300)
    text = "".join(f"{line}\n" for line in lines).encode()
    command = [sys.executable, "-m", "vwlite", "--quiet", "--explore", "epsilon", "-p", "-"]
    whole = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin and child.stdout
    source = random.Random(3)
    while text:
        n = source.randrange(1, 200)
        child.stdin.write(text[:n])
        child.stdin.flush()
        text = text[n:]
    child.stdin.close()
    assert child.stdout.read() == whole
    assert child.wait() == 0
    child.stdout.close()


def test_a_decision_longer_than_the_limit_is_skipped_whole(tmp_path, capsys):
    long = [f"|a {'x' * 50}{k}" for k in range(100)]
    (tmp_path / "data").write_text("\n".join([*LOG[:5], *long, "", *LOG[5:9]]) + "\n")
    assert main(["-d", str(tmp_path / "data"), "--explore", "epsilon", "--max_line_bytes", "2000"]) == 0
    printed = capsys.readouterr().err
    assert "number of examples = 2" in printed
    assert "the decision is longer than --max_line_bytes" in printed


def test_passes_from_a_cache_are_those_from_the_text(tmp_path, run):
    lines = log(3, 40)
    twice = run([*lines, *lines], "--explore", "epsilon", "-q", "ua")
    assert run(lines, "--explore", "epsilon", "-q", "ua", "--passes", "2", "--holdout_off") == twice


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "",
                "shared |s a",
                "|a x",
                "0:1:0.5 |a y",
                "0:-1:1 |a z:2",
                "1:0:0 |a",
                "shared",
                "t|",
                "0:1:0.5:2 |",
                "shared 1|",
                " ",
                "'t |a",
                "0 |a",
                ":::|",
                "0:1:0.5",
            ]
        ),
        max_size=12,
    )
)
def test_any_sequence_of_lines_is_learned_or_refused(lines):
    workspace = Workspace("--explore epsilon")
    try:
        decisions = workspace.learn(lines)
    except ParseError:
        return
    groups = [group for group in "\n".join(lines).replace("\n\n", "\0").split("\0") if group.strip("\n")]
    assert len(decisions) <= len(groups) + lines.count("")
    for decision in decisions:
        assert sum(p for _, p in decision) == pytest.approx(1, abs=1e-6)


# What it is for


def test_thompson_sampling_beats_chance():
    def regret(flags: str, seed: int) -> float:
        source = random.Random(seed)
        workspace = Workspace(f"{flags} --random_seed {seed}")
        rates = [source.uniform(0.1, 0.3) for _ in range(9)] + [0.45]
        lost = 0.0
        for _ in range(600):
            actions = [f"|a a{k}" for k in range(10)]
            (decision,) = workspace.learn([*actions, ""])
            taken, probability = decision[0]
            cost = -1 if source.random() < rates[taken] else 0
            lost += max(rates) - rates[taken]
            actions[taken] = f"{taken}:{cost}:{max(probability, 0.01)} {actions[taken]}"
            workspace.learn([*actions, ""])
        return lost

    def mean(flags: str) -> float:
        return sum(regret(flags, seed) for seed in range(4)) / 4

    thompson = mean("--thompson --ts_samples 1 --bayes_logistic --moments --noconstant")
    assert thompson < 0.6 * mean("--explore uniform --bayes_logistic --noconstant")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 4, 7, 40, 500]), st.sampled_from([1, 10, 2000]), st.booleans())
def test_actions_follow_the_one_taken_most_probable_first_equally_probable_ones_as_they_come(seed, n, samples, spread):
    # few draws leave most actions at probability 0, many draws give many different ones
    workspace = Workspace(f"--thompson --bayes_linear --ts_samples {samples if n < 500 else 10} --random_seed {seed}")
    source = random.Random(seed)
    workspace.learn(["0:0.1:0.5 |a a0", "|a a1", ""])
    values = [source.gauss(0, 1) if spread else 1 for _ in range(n)]
    (decision,) = workspace.predict([f"|a a{i}:{value:.3f}" for i, value in enumerate(values)])
    rest = decision[1:]
    assert sorted(action for action, _ in decision) == list(range(n))
    assert rest == sorted(rest, key=lambda pair: (-pair[1], pair[0]))
