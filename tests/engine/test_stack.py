"""Learners that don't fit are told apart, those that do are run in order."""

import re
import sys
import types
from importlib import import_module
from typing import Any

import pytest

from vwlite.cli import main
from vwlite.core.learner import Learner, walk
from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine import stack, workspace
from vwlite.engine.command_line import option_groups, parse
from vwlite.errors import StackError


def build(*words: str) -> Any:
    return stack.build(parse(words, option_groups()))


class Classes(Learner):
    """Stands on a learner of classes."""

    name = "classes"
    takes_label = LabelType.MULTICLASS
    gives_prediction = PredictionType.CLASS
    base_label = LabelType.MULTICLASS
    base_prediction = PredictionType.CLASS


class Reducer(Learner):
    """Makes classes of scalars."""

    name = "reducer"
    takes_label = LabelType.MULTICLASS
    gives_prediction = PredictionType.CLASS


class Scores(Learner):
    """Takes the labels that gd takes, but wants another prediction."""

    name = "scores"
    base_prediction = PredictionType.SCORES


class Blocks(Learner):
    """Hands down blocks of lines."""

    name = "blocks"
    base_multiline = True


class BlockBottom(Learner):
    """Takes blocks of lines."""

    name = "block-bottom"
    base_label = None
    base_prediction = None
    multiline = True


@pytest.fixture
def install(monkeypatch):
    """Puts reductions on top of the list of them, as modules of their own."""

    def put(*classes: type[Learner]) -> None:
        for cls in classes:
            module: Any = types.ModuleType(f"vwlite.reductions.{cls.name}")
            module.setup = lambda builder, cls=cls: cls(builder.base)
            monkeypatch.setitem(sys.modules, module.__name__, module)
        package: Any = import_module("vwlite.reductions")
        monkeypatch.setattr(package, "REDUCTIONS", (*package.REDUCTIONS, *(cls.name for cls in classes)))

    return put


# Seams


def test_labels_that_do_not_fit_name_both_learners_and_both_types():
    with pytest.raises(StackError) as caught:
        stack.check_seam(Classes(build()))
    message = str(caught.value)
    assert "\n" not in message
    for word in ("classes", "scorer-identity", "MULTICLASS", "SIMPLE", "labels"):
        assert word in message


def test_predictions_that_do_not_fit_name_both_learners_and_both_types():
    with pytest.raises(StackError) as caught:
        stack.check_seam(Scores(build()))
    message = str(caught.value)
    for word in ("scores", "scorer-identity", "SCORES", "SCALAR", "predictions", "no learner of this run gives SCORES"):
        assert word in message


def test_a_mismatch_says_below_which_learner_it_would_fit():
    # both simple labels and scalar predictions are to be had further down, below the reducer
    with pytest.raises(StackError, match=r"put it above .*scorer-identity.*gd"):
        stack.check_seam(Learner(Reducer(build())))


def test_what_takes_no_learner_of_the_run_is_said():
    with pytest.raises(StackError, match="no learner of this run takes MULTICLASS"):
        stack.check_seam(Classes(build()))


def test_blocks_of_lines_do_not_fit_on_single_lines():
    with pytest.raises(StackError) as caught:
        stack.check_seam(Blocks(build()))
    assert re.search(r"blocks can't stand on scorer-identity: .*blocks of lines.*single lines", str(caught.value))


def test_single_lines_do_not_fit_on_blocks_of_lines():
    with pytest.raises(StackError) as caught:
        stack.check_seam(Learner(BlockBottom()))
    assert re.search(r"block-bottom: .*single lines.*blocks of lines", str(caught.value))


@pytest.mark.parametrize("learner", [Learner, Reducer])
def test_learners_that_fit_pass(learner):
    stack.check_seam(learner(build()))
    stack.check_seam(Classes(Reducer(build())))


def test_building_a_stack_checks_every_seam(install):
    install(Reducer, Classes)
    assert [learner.name for learner in walk(build())] == ["classes", "reducer", "scorer-identity", "gd"]
    install(Scores)
    with pytest.raises(StackError, match="scores can't stand on classes"):
        build()


def test_a_stack_that_does_not_fit_is_one_line_and_status_1(install, capsys):
    install(Classes)
    assert main(["--no_stdin"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"vwlite: error: classes can't stand on scorer-identity: .*\n", err)


def test_a_reduction_is_there_only_if_its_necessary_option_was_given():
    assert [learner.name for learner in walk(build())] == ["scorer-identity", "gd"]
    every = build("--binary", "--classweight", "1:2", "--offset_scale", "1", "--link", "glf1")
    assert [learner.name for learner in walk(every)] == ["binary", "scorer-glf1", "classweight-scalar", "offset", "gd"]


def test_every_learner_above_sees_the_loss_of_the_bottom_one():
    assert {learner.loss.name for learner in walk(build("--binary", "--loss_function", "hinge"))} == {"hinge"}


# --dry_run


def dry_run(capsys: Any, *words: str) -> list[list[str]]:
    assert main(["--dry_run", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return [line.split() for line in out.splitlines()]


def test_a_dry_run_prints_one_learner_a_line_with_its_types_and_options(capsys):
    words = (
        "--binary --classweight 1:2,-1:3 --offset_scale 0.25 --link logistic --loss_function logistic -b 20 -l 0.125"
    )
    lines = dry_run(capsys, *words.split())
    assert [line[0] for line in lines] == ["binary", "scorer-logistic", "classweight-scalar", "offset", "gd"]
    assert all(line[1:4] == ["SIMPLE", "->", "SCALAR"] for line in lines)
    options = [" ".join(line[4:]) for line in lines]
    assert options[0] == "--binary"
    assert options[1] == "--link logistic"
    assert options[2] == "--classweight 1:2,-1:3"
    assert options[3] == "--offset_scale 0.25"
    for words in ("--bit_precision 20", "--learning_rate 0.125", "--power_t 0.5", "--loss_function logistic"):
        assert words in options[4]


def test_a_repeated_option_is_shown_as_it_would_be_typed(capsys):
    (_, line, _) = dry_run(capsys, "--classweight", "1:2", "--classweight", "-1:3")
    assert " ".join(line[4:]) == "--classweight 1:2 --classweight -1:3"


@pytest.mark.parametrize("words", ["--sgd", "--adaptive --normalized", "--l1 0.5", "--initial_t 3", "--sparse_l2 0.5"])
def test_what_a_learner_was_given_is_in_its_line(capsys, words):
    assert words in " ".join(dry_run(capsys, *words.split())[-1])


def test_a_dry_run_reads_and_writes_nothing(capsys, tmp_path):
    (tmp_path / "data.txt").write_text("1 | a\n")
    paths = [str(tmp_path / name) for name in ("data.txt", "m.model", "p.txt")]
    dry_run(capsys, "-d", paths[0], "-f", paths[1], "-p", paths[2], "-c", "--strict_parse")
    assert [path.name for path in tmp_path.iterdir()] == ["data.txt"]


def test_a_dry_run_shows_the_stack_of_a_model(capsys, tmp_path):
    model = str(tmp_path / "m.model")
    assert main(["--no_stdin", "--quiet", "--link", "logistic", "--binary", "-f", model]) == 0
    assert [line[0] for line in dry_run(capsys, "-i", model)] == ["binary", "scorer-logistic", "gd"]


# What the base class walks


@pytest.fixture
def calls(install, monkeypatch):
    """A stack with two learners that write down what is asked of them."""
    seen: list[str] = []

    def recorder(name: str) -> type[Learner]:
        def record(what: str) -> Any:
            return lambda self, *_: seen.append(f"{name}.{what}")

        hooks = {what: record(what) for what in ("end_pass", "end_examples", "finish", "save_load")}
        return type(name, (Learner,), {"name": name, **hooks})

    install(recorder("lower"), recorder("upper"))
    return seen


def test_the_hooks_are_called_in_order_from_top_to_bottom(calls, tmp_path):
    (tmp_path / "data.txt").write_text("1 | a\n0 | b\n")
    words = ["-d", str(tmp_path / "data.txt"), "--passes", "2", "--holdout_off", "--quiet"]
    assert main([*words, "-f", str(tmp_path / "m.model")]) == 0
    hooks = ["end_pass", "end_pass", "end_examples", "save_load", "finish"]
    assert calls == [f"{learner}.{hook}" for hook in hooks for learner in ("upper", "lower")]


def test_loading_walks_the_stack_as_saving_does(calls, tmp_path):
    first = workspace.Workspace("")
    first.save(tmp_path / "m.model")
    assert calls == ["upper.save_load", "lower.save_load"]
    calls.clear()
    workspace.Workspace.load(tmp_path / "m.model")
    assert calls == ["upper.save_load", "lower.save_load"]


def test_a_learner_may_keep_fields_of_its_own(install, tmp_path):
    class Counting(Learner):
        name = "counting"
        count = 0
        rate = 0.5

        def save_load(self, io):
            self.count = io.int64("count", self.count)
            self.rate = io.float32("rate", self.rate)

    install(Counting)
    first = workspace.Workspace("")
    first.top.count, first.top.rate = 2**40, 0.25
    first.save(tmp_path / "m.model")
    second = workspace.Workspace.load(tmp_path / "m.model")
    assert (second.top.count, second.top.rate) == (2**40, 0.25)


def test_a_learner_that_changes_nothing_changes_nothing(install):
    lines = ["1 |a x y", "0 |a y z"] * 5
    expected = workspace.Workspace("").learn(lines)
    install(type("through", (Learner,), {"name": "through"}))
    assert workspace.Workspace("").learn(lines) == expected


def test_a_new_learners_options_are_those_of_the_command_line(install, monkeypatch, capsys):
    install(type("through", (Learner,), {"name": "through"}))
    group = OptionGroup("through", (Option("through", bool, "go through"),))
    monkeypatch.setattr(sys.modules["vwlite.reductions.through"], "OPTIONS", group, raising=False)
    assert dry_run(capsys, "--through")[0][0] == "through"
