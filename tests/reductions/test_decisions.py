"""Decisions on their way through readers, models and runs: numbers, places, policies that replace one another."""

import random
import subprocess
import sys

import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError, ParseError
from vwlite.model import model_file

PAIR = ["|item a", "|item b", ""]
LOGGED = ["0:-1:0.5 |item a", "|item b", "", "|item a", "1:0:0.5 |item b", ""]
POSTERIOR = "--bayes_logistic"


@pytest.fixture
def model(tmp_path):
    """A model of Thompson sampling."""
    workspace = Workspace(f"--thompson {POSTERIOR}")
    workspace.learn(LOGGED * 5)
    workspace.save(tmp_path / "thompson.model")
    return tmp_path / "thompson.model"


def test_decisions_without_tags_draw_anew_in_predictions_too():
    workspace = Workspace(f"--thompson {POSTERIOR}")
    predictions = workspace.predict(PAIR * 50)
    assert {actions[0][0] for actions in predictions} == {0, 1}
    again = workspace.predict(PAIR * 50)
    assert again != predictions
    assert [dict(actions) for actions in again] == [dict(actions) for actions in predictions]
    assert {workspace.predict(PAIR)[0][0][0] for _ in range(50)} == {0, 1}


def test_a_run_that_only_tests_counts_no_decisions(model, tmp_path):
    data = tmp_path / "data.txt"
    data.write_text("\n".join(PAIR * 5) + "\n")
    assert main(["-i", str(model), "-t", "-d", str(data), "-f", str(tmp_path / "after"), "--quiet"]) == 0
    before, after = (model_file.open(path).array("cb_adf.decisions", "I64")[0] for path in (model, tmp_path / "after"))
    assert before == after == 10


def test_what_only_tests_makes_the_decisions_that_learning_would_make(model):
    lines = PAIR * 20
    assert Workspace.load(model, "-t").predict(lines) == Workspace.load(model).learn(lines)


def test_a_model_can_be_used_with_another_policy(model, tmp_path):
    greedy = Workspace.load(model, "--explore greedy")
    assert greedy.predict(PAIR) == [[(0, 1.0), (1, 0.0)]]
    greedy.save(tmp_path / "greedy.model")
    assert Workspace.load(tmp_path / "greedy.model").predict(PAIR) == [[(0, 1.0), (1, 0.0)]]
    back = Workspace.load(tmp_path / "greedy.model", "--thompson")
    assert back.predict(PAIR * 5) == Workspace.load(model).predict(PAIR * 5)
    back.save(tmp_path / "back.model")
    assert Workspace.load(tmp_path / "back.model").predict(PAIR * 5) == back.predict(PAIR * 5)


def test_two_policies_typed_at_once_are_refused(model):
    with pytest.raises(OptionError, match="two policies"):
        Workspace(f"--thompson --explore greedy {POSTERIOR}")
    with pytest.raises(OptionError, match="two policies"):
        Workspace.load(model, "--thompson --explore greedy")


def test_a_model_of_single_lines_can_start_a_bandit(tmp_path):
    workspace = Workspace(POSTERIOR)
    workspace.learn(["1 |item b", "-1 |item a"] * 20)
    workspace.save(tmp_path / "lines.model")
    bandit = Workspace.load(tmp_path / "lines.model", "--explore greedy")
    assert bandit.predict(PAIR)[0][0] == (1, 1.0)


def test_rewards_have_the_labels_that_the_logistic_loss_is_given():
    flags = "--explore greedy --loss_function logistic --logistic_min 0 --logistic_max 1"
    labels = Workspace("--loss_function logistic --logistic_min 0 --logistic_max 1")
    labels.learn(["1 |item a", "0 |item b"])
    decisions = Workspace(flags)
    decisions.learn(LOGGED)
    for line in ("|item a", "|item b"):
        expected = labels.predict(line)
        weights = decisions.bottom.columns()
        assert weights == labels.bottom.columns(), (line, expected)


def test_a_refused_decision_is_shown_by_the_line_at_fault(tmp_path, capsys):
    data = tmp_path / "data.txt"
    data.write_text("shared |u x\n|item a\n1:-0.5:0.5 |item b\n\n")
    assert main(["--explore", "greedy", "--loss_function", "logistic", "--allow_empty", str(data)]) == 0
    assert f"{data}:3:1: the cost is neither" in capsys.readouterr().err


def test_lines_are_counted_across_decisions_that_are_too_long(tmp_path, capsys):
    long = "".join(f"|f {'x' * 40}{i}\n" for i in range(6000)) + "\n"
    data = tmp_path / "data.txt"
    data.write_text(long * 3 + "|f a\n|f b:x:y\n\n")
    for words in ([], ["--onethread"]):
        assert main(["--explore", "uniform", "--max_line_bytes", "140000", "--allow_empty", str(data), *words]) == 0
        shown = [line.split(":", 3) for line in capsys.readouterr().err.splitlines() if line.startswith("skipped /")]
        assert [(int(line), int(column)) for _, line, column, _ in shown] == [(1, 1), (6002, 1), (12003, 1), (18005, 7)]


def test_each_decision_is_answered_when_its_empty_line_arrives():
    command = [sys.executable, "-m", "vwlite", "--explore", "uniform", "--quiet", "-p", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for tag in (b"first", b"second"):
            for piece in (b"shared ", tag, b"|u", b" x\n|item a", b"\n0:-1:", b"0.5 |item b\r\n", b"\r", b"\n"):
                process.stdin.write(piece)
                process.stdin.flush()
            assert process.stdout.readline().split()[1] == tag
            assert process.stdout.readline() == b"\n"
        process.stdin.close()
        assert process.wait() == 0


ONE = "shared |u even\n0:1:0.5 |item a\n|item b\n"


@pytest.mark.parametrize("text", [ONE, ONE.strip(), f"\n{ONE}\n\n", ONE.replace("\n", "\r\n"), ONE.encode()])
def test_a_text_with_one_decision_gives_one_decision(text):
    workspace = Workspace("--explore epsilon")
    assert workspace.learn(text) == [(0, 0.5), (1, 0.5)]
    assert workspace.predict(text) == workspace.predict(ONE.splitlines())[0]


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_text_with_several_decisions_is_refused_before_anything_is_learned(between, kind, tmp_path):
    workspace = Workspace("--explore greedy")
    for use in (workspace.learn, workspace.predict):
        with pytest.raises(ValueError, match="give several examples as a list of their lines"):
            use(kind(f"{ONE}{between}{ONE}"))
    workspace.save(tmp_path / "model")
    assert model_file.open(tmp_path / "model").array("cb_adf.decisions", "I64")[0] == 0


def test_lines_of_a_decision_end_where_lines_of_a_file_do():
    # other line ends of Unicode belong to words
    lines = ["|item a\u2028b x\x0by", "|item c\x85"]
    workspace = Workspace("--explore epsilon")
    workspace.learn(["0:1:0.5 " + lines[0], lines[1], ""])
    assert workspace.predict("\n".join(lines)) == workspace.predict(lines)[0]
    assert len(workspace.predict("\n".join(lines))) == 2


def test_the_sensitivity_of_a_decision_is_refused():
    with pytest.raises(ValueError, match="this stack reads multi-line examples"):
        Workspace("--explore epsilon").sensitivity("|item a")


@pytest.mark.parametrize("words", [["--columns", "prediction,sd"], ["--interval", "0.9"]])
def test_columns_of_decisions_are_refused(words, tmp_path, capsys):
    assert main(["--thompson", *POSTERIOR.split(), "-p", str(tmp_path / "p"), "--no_stdin", "--quiet", *words]) == 1
    assert "single lines, not of decisions" in capsys.readouterr().err


def test_a_decision_that_is_refused_after_a_pass_is_told_of_too():
    workspace = Workspace(f"--thompson {POSTERIOR}")
    workspace.learn(LOGGED)
    workspace.end_pass()
    with pytest.raises(ParseError, match="cost"):
        workspace.learn(["0:5:0.5 |item a", "|item b"])


def test_raw_predictions_name_the_actions_in_the_order_of_predictions(model, tmp_path):
    (tmp_path / "data").write_text("".join(f"'tag{i} |item a\n|item b\n\n" for i in range(20)))
    paths = [word if word.startswith("-") else str(tmp_path / word) for word in ("-d", "data", "-p", "p", "-r", "r")]
    assert main(["-i", str(model), "-t", "--ts_alpha", "5", "--quiet", *paths]) == 0
    predictions, raw = ((tmp_path / name).read_text().split("\n\n")[:-1] for name in "pr")
    orders = [[pair.split(":")[0] for pair in decision.split()[0].split(",")] for decision in predictions]
    assert {tuple(order) for order in orders} == {("0", "1"), ("1", "0")}
    # the scores are those of the mean, whatever is drawn
    score = dict(pair.split(":") for pair in raw[0].split()[0].split(","))
    assert raw == [f"{','.join(f'{k}:{score[k]}' for k in order)} tag{i}" for i, order in enumerate(orders)]


# The summary


def logged(count, rewards=(0.2, 0.5, 0.3), seed=1):
    """Decisions between three items, shown at random; with features that later passes could learn by heart."""
    source = random.Random(seed)
    lines = []
    for i in range(count):
        shown = source.randrange(3)
        rewarded = source.random() < rewards[shown]
        lines.append(f"shared |u u{i}")
        for k in range(3):
            label = f"{k}:{-1 if rewarded else 0}:0.333333 " if k == shown else ""
            lines.append(f"{label}|i a{k} f{source.randrange(1000)}")
        lines.append("")
    return lines


def summary(tmp_path, capsys, lines, *words):
    """The figures of a run as name -> text, and all that it says."""
    (tmp_path / "data").write_text("\n".join(lines) + "\n")
    assert main(["-d", str(tmp_path / "data"), *words]) == 0
    printed = capsys.readouterr().err
    return dict(line.split(" = ", 1) for line in printed.splitlines() if " = " in line), printed


BAYES = ("--thompson", "--bayes_linear")


def test_of_several_passes_the_first_says_what_the_policy_costs(tmp_path, capsys):
    once, _ = summary(tmp_path, capsys, logged(60), *BAYES)
    often, _ = summary(tmp_path, capsys, logged(60), *BAYES, "--passes", "5", "--holdout_off")
    assert once["decisions"] == often["decisions"] == "60"
    for name in ("logged cost", "ips", "ips low", "ips high", "snips", "dr", "dr high", "effective decisions"):
        assert often[name] == once[name], name


def test_decisions_held_out_have_figures_of_their_own(tmp_path, capsys):
    found, _ = summary(tmp_path, capsys, logged(60), *BAYES, "--passes", "4", "-c", "-k", "--cache_file",
                       str(tmp_path / "cache"))  # fmt: skip
    assert found["decisions"] == "54"
    assert found["decisions held out"] == "6"
    after, _ = summary(tmp_path, capsys, logged(60), *BAYES, "--holdout_after", "40")
    assert (after["decisions"], after["decisions held out"]) == ("40", "20")


def test_held_out_figures_are_those_of_the_pass_whose_model_is_saved(tmp_path, capsys):
    cache = ("--cache_file", str(tmp_path / "cache"), "-k")
    flags = ("--explore", "epsilon", "--passes", "12", "--early_terminate", "2", "-l", "2")
    found, _ = summary(tmp_path, capsys, logged(200), *flags, *cache, "-f", str(tmp_path / "model"))
    assert found["decisions held out"] == "20"
    assert found["passes used"] != "12"
    assert float(found["ips held out"]) == pytest.approx(float(found["average loss"].removesuffix(" h")), abs=1e-5)


@pytest.mark.parametrize("words", [BAYES, ("--explore", "greedy", "--square"), ("--explore", "uniform")])
def test_a_run_that_only_tests_counts_its_decisions(words, tmp_path, capsys):
    learned, _ = summary(tmp_path, capsys, logged(30), *words, "-f", str(tmp_path / "model"))
    found, _ = summary(tmp_path, capsys, logged(30, seed=2), "-t", "-i", str(tmp_path / "model"))
    assert found["number of examples"] == found["decisions"] == "30"
    assert found["weighted example sum"] == learned["weighted example sum"]
    assert found["average loss"] == found["ips"]
    assert found["total feature number"] == learned["total feature number"]


def test_the_log_itself_has_a_mean_cost(tmp_path, capsys):
    lines = logged(50)
    found, _ = summary(tmp_path, capsys, lines, "--explore", "uniform")
    costs = [float(line.split(":")[1]) for line in lines if line[:1].isdigit()]
    assert float(found["logged cost"]) == pytest.approx(sum(costs) / len(costs))
    assert float(found["ips"]) == pytest.approx(sum(costs) / len(costs), abs=1e-5)


def test_a_log_without_actions_that_the_policy_takes_is_warned_of(tmp_path, capsys):
    # of three actions, the third was never shown
    lines = []
    for i in range(200):
        shown = i % 2
        lines += [f"{k}:{-(i % 7 == 0)}:0.5 |i a{k}" if k == shown else f"|i a{k}" for k in range(3)]
        lines.append("")
    _, printed = summary(tmp_path, capsys, lines, "--explore", "uniform")
    assert "mean importance weight is 0.667 (99% interval" in printed
    assert "lacks actions" in printed
    _, printed = summary(tmp_path, capsys, logged(300), "--explore", "uniform")
    assert "importance weight" not in printed


def test_a_model_that_has_made_less_than_no_decisions_is_refused(tmp_path):
    Workspace("--explore uniform").save(tmp_path / "model")
    reader = model_file.open(tmp_path / "model")
    arrays = {
        name: (reader.dtype(name), reader.shape(name), bytes(reader.array(name, reader.dtype(name))))
        for name in reader.names()
    }
    arrays["cb_adf.decisions"] = ("I64", [], (-1).to_bytes(8, "little", signed=True))
    model_file.write(tmp_path / "model", arrays, reader.metadata)
    with pytest.raises(ModelError, match="cb_adf can't be restored: its number of decisions is negative"):
        Workspace.load(tmp_path / "model")
