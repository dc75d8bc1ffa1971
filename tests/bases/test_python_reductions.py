"""Reductions in Python: what they may do, what is refused, and how packages bring them."""

import gc
import math
import os
import re
import subprocess
import sys
import threading
from typing import Any

import pytest

import vwlite
from tests.support.daemon import refusal, serving
from tests.support.models import rewrite
from tests.support.multiclass import examples as class_examples
from tests.support.reductions import Cut, Through, package, variant
from tests.support.scripts import EXAMPLES
from vwlite import Option, Workspace
from vwlite.cli import main
from vwlite.core.learner import Learner, walk
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine import plugins
from vwlite.errors import ModelError, OptionError, ReductionError, StackError, VwliteError
from vwlite.model import model_file

LINES = [
    f"{label} {weight} 't{i}|a x{i % 3} y:{i % 5} |b z"
    for i, (label, weight) in enumerate([(5, 1), (-4, 2), (1, 1), (0.5, 0.5), (2, 0), (-1, 1)] * 6)
]


@pytest.fixture(autouse=True)
def register(monkeypatch):
    """Classes that are registered in a test, among them two that are always there."""
    monkeypatch.setattr(plugins, "_known", {})
    vwlite.register(Through)
    vwlite.register(Cut)
    return vwlite.register


def made(register: Any, base: Any = Through, **members: Any) -> type[Any]:
    """Register a variant of a class under the name "made"."""
    options = (Option("made", bool, "made for a test", necessary=True, keep=True),)
    return register(variant(base, **{"name": "made", "options": options, "called": "Made", **members}))


def learners(flags: str) -> list[str]:
    return [learner.name for learner in walk(Workspace(flags).top)]


# What it may do


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--loss_function poisson --link poisson",
        "--classweight 1:3,5:0.5",
        "--binary",
        "--bayes_linear",
        "--offset_scale fit",
        "-q ab --l1 0.001",
        "--columns prediction,sd --bayes_linear",
    ],
)
def test_what_hands_everything_on_changes_nothing(flags, state):
    lines = [line.replace("-", "") for line in LINES] if "poisson" in flags else LINES
    lines = [re.sub(r"^\S+", lambda label: "1" if float(label[0]) > 0 else "-1", line) for line in lines] \
        if "binary" in flags else lines  # fmt: skip
    plain, through = Workspace(flags), Workspace(f"{flags} --through")
    assert through.learn(lines) == plain.learn(lines)
    assert through.predict(lines) == plain.predict(lines)
    assert through.sensitivity(lines[0]) == plain.sensitivity(lines[0])
    assert state(through) == state(plain)
    assert through.metadata()["figures"] == plain.metadata()["figures"]


@pytest.mark.parametrize("above", ["gd", "offset", "scorer", "binary"])
def test_wherever_it_stands(register, above):
    made(register, above=above)
    flags = "--offset_scale 0.5 --binary --link logistic --loss_function logistic"
    lines = [line.replace("5 ", "1 ", 1).replace("-4 ", "-1 ", 1) for line in LINES]
    lines = [line for line in lines if line[:2] in ("1 ", "-1")]
    names = learners(f"{flags} --made")
    assert names[names.index("made") + 1] == {"scorer": "scorer-logistic"}.get(above, above)
    assert Workspace(f"{flags} --made").learn(lines) == Workspace(flags).learn(lines)


def test_labels_are_cut_for_the_base_alone():
    workspace, expected = Workspace("--cut_at 2"), Workspace("")
    cut = [re.sub(r"^-?[45] ", lambda found: "-2 " if found[0][0] == "-" else "2 ", line) for line in LINES]
    assert workspace.learn(LINES) == expected.learn(cut)
    assert workspace.top.metrics() == {"labels cut": 12}
    # the run counts labels as they came
    assert workspace.metadata()["figures"]["weighted_labels"] == Workspace("").metadata()["figures"][
        "weighted_labels"
    ] + sum(float(line.split()[0]) * float(line.split()[1]) for line in LINES)


def test_label_weight_and_initial_prediction_are_put_back(register):
    seen = []

    def learn(self, example):
        seen.append((example.label, example.weight, example.initial, example.tag, len(example)))
        example.label, example.weight, example.initial = 7, 3, 1
        return self.base.learn(example)

    made(register, learn=learn)
    workspace = Workspace("--made")
    workspace.learn(["1 2 0.5 'first|a x", "1 2 0.5 'second|a x"])
    assert seen == [(1, 2, 0.5, "first", 2), (1, 2, 0.5, "second", 2)]
    assert workspace.metadata()["figures"]["weighted_labeled"] == 4
    assert workspace.metadata()["figures"]["weighted_labels"] == 4
    expected = Workspace("")
    expected.learn(["7 3 1 |a x"] * 2)
    assert workspace.predict("|a x") == expected.predict("|a x")


def test_what_it_predicts_is_what_is_predicted(register):
    made(register, vwlite.Reduction, predict=lambda self, example: self.base.predict(example) / 2)
    workspace, plain = Workspace("--made"), Workspace("")
    # learn() is made of predict() and the base's update
    lines = ["1 |a x", "-1 |a y"] * 10
    assert workspace.learn(lines)[2:] == pytest.approx([one / 2 for one in plain.learn(lines)[2:]], abs=1e-6)
    assert workspace.predict("|a x") == pytest.approx(plain.predict("|a x") / 2)


def test_it_may_learn_only_some_examples(register, state):
    def learn(self, example):
        prediction = self.base.predict(example)
        return self.base.update(example) if example.loss > 0.2 else prediction

    made(register, learn=learn)
    workspace = Workspace("--made")
    workspace.learn(["1 |a x"] * 50)
    assert 0.5 < workspace.predict("|a x") < 0.9


def test_it_sees_features_and_names(register):
    seen = []

    def predict(self, example):
        seen.append((example.features(), example.namespaces(), example.tag, example.labelled, example.label))
        return self.base.predict(example)

    made(register, predict=predict, needs_names=True)
    Workspace("--made -q ab").predict("'é|a x:2 y|b z")
    features, groups, tag, labelled, label = seen[0]
    assert [value for _, value in features] == [2, 1, 1, 1, 2, 1]
    assert [(group.name, group.names) for group in groups] == [(b"a", [b"x", b"y"]), (b"b", [b"z"])]
    assert [feature for group in groups for feature in group.features] == features[:3]
    assert (tag, labelled) == ("é", False)
    assert math.isnan(label)


def test_names_are_read_only_where_they_are_wanted(register):
    seen = []

    def predict(self, example):
        seen.append(example.namespaces())
        return 0.0

    made(register, predict=predict)
    Workspace("--made").predict("|a x")
    assert seen[0][0].names == [None]


def test_hooks_are_called(register, tmp_path, capsys):
    calls = []

    def note(what, result=None):
        def called(self, *_):
            calls.append(what)
            return result

        return called

    made(
        register,
        finish_example=note("finish_example"),
        end_pass=note("end_pass"),
        end_examples=note("end_examples"),
        finish=note("finish"),
        save_load=note("save_load"),
        metrics=note("metrics", {"found": 3}),
        settings=note("settings", ["a line of mine"]),
        unmatched=note("unmatched", ["nothing matched"]),
    )
    (tmp_path / "data").write_text("1 | a\n0 | b\n")
    assert main(["--made", str(tmp_path / "data"), "-f", str(tmp_path / "m")]) == 0
    shown = capsys.readouterr().err
    examples = ["finish_example", "finish_example"]
    last = ["end_pass", "end_examples", "save_load", "metrics", "unmatched", "finish"]
    assert calls == ["settings", *examples, *last]
    assert "a line of mine\n" in shown
    assert "found = 3\n" in shown
    assert "[warning] nothing matched\n" in shown


def test_its_options_are_those_of_the_command_line(capsys):
    assert main(["--cut_at", "2", "--dry_run"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "cut                  SIMPLE -> SCALAR  --cut_at 2.0  (tests.support.reductions:Cut)"
    assert main(["--help-all"]) == 0
    assert re.search(r"cut: labels further than --cut_at .*:\n +--cut_at FLOAT +largest label", capsys.readouterr().out)
    assert main(["--cut_at", "x", "--cut_leest", "3"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "vwlite: error: --cut_at wants a number, not 'x'",
        "vwlite: error: unknown flag '--cut_leest', did you mean --cut_least?",
    ]
    with pytest.raises(OptionError, match="--cut_least has no effect without --cut_at: add that or leave it out"):
        Workspace("--cut_least 1")


# Models


def test_learning_goes_on_where_it_stopped(run, tmp_path):
    predictions, model = run(LINES, "--cut_at", "2")
    head, _ = run(LINES[:10], "--cut_at", "2")
    (tmp_path / "run.model").rename(tmp_path / "first.model")
    tail, resumed = run(LINES[10:], "-i", str(tmp_path / "first.model"))
    assert head + tail == predictions
    assert resumed == model
    assert model["cut.cut"] == ("I64", [], (12).to_bytes(8, "little"))


def test_testing_changes_nothing(run, tmp_path):
    _, model = run(LINES, "--cut_at", "2")
    (tmp_path / "run.model").rename(tmp_path / "first.model")
    predictions, after = run(LINES, "-t", "-i", str(tmp_path / "first.model"))
    assert after == model
    assert run(LINES, "-t", "-i", str(tmp_path / "first.model"))[0] == predictions


def test_a_model_says_where_its_learner_comes_from(tmp_path, capsys):
    Workspace("--cut_at 2").save(tmp_path / "m")
    assert model_file.open(tmp_path / "m").metadata["stack"][0]["plugin"] == {
        "class": "tests.support.reductions:Cut",
        "package": None,
        "version": None,
    }
    assert main(["inspect", str(tmp_path / "m")]) == 0
    assert (
        "\n  cut              SIMPLE -> SCALAR  --cut_at 2.0  (tests.support.reductions:Cut)\n"
        in capsys.readouterr().out
    )


def test_a_model_without_its_class_is_refused(tmp_path, monkeypatch):
    Workspace("--cut_at 2").save(tmp_path / "m")
    monkeypatch.setattr(plugins, "_known", {})
    with pytest.raises(ModelError) as caught:
        Workspace.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'}: its learner cut is a class of a program, tests.support.reductions:Cut: pass it to "
        "vwlite.register() before the model is loaded"
    )


def test_a_fixed_model_may_have_one(tmp_path, register):
    made(register, vwlite.Reduction, predict=lambda self, example: 0.25 + self.base.predict(example), above="gd")
    first = Workspace("--made")
    first.learn(LINES)
    first.save(tmp_path / "first")
    second = Workspace(f"--fixed_effect {tmp_path / 'first'} --min_prediction -9 --max_prediction 9")
    assert second.predict("|a x0 y:2") == first.predict("|a x0 y:2")
    second.save(tmp_path / "second")
    assert Workspace.load(tmp_path / "second").predict(LINES) == second.predict(LINES)


# Errors

BAD = {
    "a mistake": (lambda self, example: example.label.upper(), r"AttributeError: 'float' object has no attribute"),
    "nothing returned": (lambda self, example: None, r"returned None, which is not a number"),
    "text returned": (lambda self, example: "1", r"returned '1', which is not a number"),
    "NaN returned": (lambda self, example: math.nan, r"returned nan, which is no finite 32-bit number"),
    "too much returned": (lambda self, example: 1e39, r"returned 1e\+39, which is no finite 32-bit number"),
    "a label of NaN": (lambda self, example: setattr(example, "label", math.nan), r"the label nan is no finite"),
    "an endless label": (lambda self, example: setattr(example, "label", 1e300), r"the label 1e\+300 is no finite"),
    "a label of text": (lambda self, example: setattr(example, "label", "x"), r"TypeError: must be real number"),
    "a negative weight": (lambda self, example: setattr(example, "weight", -1), r"the weight -1 is negative"),
    "an endless weight": (lambda self, example: setattr(example, "weight", math.inf), r"the weight inf is no finite"),
    "a start of NaN": (lambda self, example: setattr(example, "initial", math.nan), r"the initial prediction nan "),
    "no view": (lambda self, example: self.base.learn(None), r"TypeError: "),
    "several lines": (lambda self, example: 1 / len("" if example.label else "x"), r"ZeroDivisionError: "),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", ["learn", "predict"])
def test_what_goes_wrong_stops_the_run_with_one_line(register, name, method, tmp_path, capsys):
    bad, expected = BAD[name]
    made(
        register,
        vwlite.Reduction,
        **{method: lambda self, example: good(self, example) if example.tag else bad(self, example)},
    )

    def good(self, example):
        return getattr(self.base, method)(example)

    (tmp_path / "data").write_text("1 'good|a x\n\n1 'good|a x\n1 |a x\n")
    assert main(["--made", str(tmp_path / "data"), "-f", str(tmp_path / "m"), "--quiet"]) == 1
    shown = capsys.readouterr().err
    place = f"vwlite: error: {tmp_path}/data:4: Made.{method} "
    assert re.fullmatch(f"{re.escape(place)}.*{expected}.*\n", shown)
    assert not (tmp_path / "m").exists()
    if "returned" not in expected:  # the line of the source, too
        assert re.search(rf"failed: .* \({re.escape(__file__)}:\d+\)\n", shown)
    with pytest.raises(ReductionError, match=f"<line>:2: Made.{method} .*{expected}"):
        Workspace("--made").learn(["1 'good|a x", "1 |a x"])


def test_what_an_exception_left_changed_is_put_back(register):
    def learn(self, example):
        example.label, example.weight = 9, 9
        if example.tag:
            raise ValueError("no")
        return self.base.learn(example)

    made(register, learn=learn)
    workspace = Workspace("--made")
    with pytest.raises(ReductionError) as caught:
        workspace.learn("1 'tag|a x")
    assert isinstance(caught.value.__cause__, ValueError)
    assert workspace.learn("1 |a x") == 0


@pytest.mark.parametrize("hook", ["__init__", "save_load", "metrics", "settings", "end_pass", "end_examples", "finish"])
def test_a_hook_that_raises_is_named(register, hook, tmp_path, capsys):
    def bad(self, *_):
        raise RuntimeError("two\nlines")

    made(register, **{hook: bad})
    (tmp_path / "data").write_text("1 | a\n")
    assert main(["--made", str(tmp_path / "data"), "-f", str(tmp_path / "m")]) == 1
    shown = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        rf"vwlite: error: Made.{hook} failed: RuntimeError: two lines \({re.escape(__file__)}:\d+\)", shown
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == (
        ["data", "m"] if hook in ("metrics", "finish") else ["data"]
    )


@pytest.mark.parametrize(
    ("hook", "result", "why"),
    [
        ("metrics", None, "returned None, which is no dict of numbers and texts by name"),
        ("metrics", {"x": []}, r"returned {'x': \[\]}, which is no dict"),
        ("settings", "text", "returned 'text', which is no list of texts"),
        ("unmatched", [1], r"returned \[1\], which is no list of texts"),
    ],
)
def test_what_a_hook_returns_is_looked_at(register, hook, result, why):
    made(register, **{hook: lambda self: result})
    with pytest.raises(ReductionError, match=f"Made.{hook} {why}"):
        getattr(Workspace("--made").top, hook)()


def test_an_error_of_ours_is_handed_on(register):
    def refuse(self, options):
        raise OptionError("--made goes with --binary only")

    made(register, __init__=refuse)
    with pytest.raises(OptionError, match=r"^--made goes with --binary only$"):
        Workspace("--made")


def test_a_model_is_never_saved_by_halves(register, tmp_path):
    made(register, save_load=lambda self, io: io.int64("x", self.x), x=3)
    workspace = Workspace("--made")
    workspace.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    bad: Any
    for bad in ("text", None, 1 << 70, []):
        workspace.top.reduction.x = bad
        with pytest.raises(VwliteError):
            workspace.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]


def test_a_damaged_field_is_refused(tmp_path):
    Workspace("--cut_at 2").save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda content: content.__delitem__("cut.cut"))
    with pytest.raises(ModelError, match=r"cut\.cut"):
        Workspace.load(tmp_path / "m")


def test_an_example_is_gone_when_the_method_has_returned(register):
    kept = []

    def predict(self, example):
        kept.append(example)
        return self.base.predict(example)

    made(register, predict=predict)
    workspace = Workspace("--made")
    workspace.predict(["|a x", "|a y"])
    assert len({id(view) for view in kept}) == 2
    for view in kept:
        for use in (lambda view: view.label, lambda view: view.features(), len, lambda view: view.namespaces()):
            with pytest.raises(RuntimeError, match="the example is gone"):
                use(view)
        for name in ("label", "weight", "initial", "loss"):
            with pytest.raises(RuntimeError, match="the example is gone"):
                setattr(view, name, 1)
        with pytest.raises(RuntimeError, match="the example is gone"):
            workspace.top.reduction.base.learn(view)


def test_an_example_of_another_call_is_gone_too(register):
    first = []

    def predict(self, example):
        first.append(example)
        return self.base.predict(first[0])

    made(register, predict=predict)
    with pytest.raises(ReductionError, match=r"Made\.predict failed: RuntimeError: the example is gone"):
        Workspace("--made").predict(["|a x", "|a y"])


def test_labels_that_the_loss_cannot_take_are_not_handed_down(register):
    def learn(self, example):
        example.label = 3
        return self.base.learn(example)

    made(register, learn=learn)
    with pytest.raises(ReductionError, match="ValueError: the label 3 is passed to the base: the labels of two"):
        Workspace("--made --loss_function logistic").learn("1 |a x")


def test_a_reduction_may_take_labels_that_the_loss_cannot():
    class Stars(vwlite.Reduction):
        """stars: more than three are good."""

        name = "stars"
        options = (Option("stars", bool, "make classes of stars", necessary=True, keep=True),)
        any_label = True

        def predict(self, example):
            example.label = 1 if example.label > 3 else -1
            return self.base.predict(example)

        def learn(self, example):
            example.label = 1 if example.label > 3 else -1
            return self.base.learn(example)

    vwlite.register(Stars)
    lines = ["5 |a x", "2 |a y", "4 |a x", "1 |a y"]
    classes = ["1 |a x", "-1 |a y", "1 |a x", "-1 |a y"]
    stars, plain = Workspace("--stars --loss_function logistic"), Workspace("--loss_function logistic")
    assert stars.learn(lines) == plain.learn(classes)
    assert stars.predict(lines) == plain.predict(classes)


def test_endless_predictions_of_the_base_may_be_handed_on():
    flags = "--loss_function poisson --link poisson --min_prediction -200 --max_prediction 200"
    line = "|a x:1e20"
    plain, through = Workspace(flags), Workspace(f"{flags} --through")
    for workspace in (plain, through):
        workspace.learn(["5 |a x"] * 3)
    assert through.predict(line) == plain.predict(line)


# Several weight vectors, several lines


@pytest.mark.parametrize("holds_vectors", [False, True])
@pytest.mark.parametrize("flags", ["--oaa 3", "--oaa 3 --bayes_logistic", "--oaa 3 --oaa_subsample 1"])
def test_it_stands_below_oaa(register, holds_vectors, flags, state):
    made(register, holds_vectors=holds_vectors)
    lines = class_examples(60)
    plain, through = Workspace(flags), Workspace(f"{flags} --made")
    assert through.learn(lines) == plain.learn(lines)
    assert through.predict(lines) == plain.predict(lines)


def test_each_class_has_a_reduction_of_its_own(tmp_path):
    lines = class_examples(60)
    workspace = Workspace("--oaa 3 --cut_at 0.5")
    cuts: list[Any] = [learner for learner in walk(workspace.top) if learner.name == "cut"]
    assert len(cuts) == 3
    workspace.learn(lines)
    assert {name for learner in cuts for name in learner.metrics()} == {"labels cut", "1:labels cut", "2:labels cut"}
    assert all(learner.reduction.cut == 60 for learner in cuts)
    workspace.save(tmp_path / "m")
    again = Workspace.load(tmp_path / "m")
    learners: list[Any] = list(walk(again.top))
    assert [learner.reduction.cut for learner in learners if learner.name == "cut"] == [60, 60, 60]
    assert again.predict(lines) == workspace.predict(lines)


DECISIONS = ["shared |s a", "0:-1:0.5 |a x", "|a y", "", "shared |s b", "|a x", "1:0:0.5 |a y", ""] * 20


@pytest.mark.parametrize("flags", ["--thompson --bayes_linear", "--explore greedy --bayes_logistic"])
def test_it_stands_below_decisions(flags, state):
    plain, through = Workspace(flags), Workspace(f"{flags} --through")
    assert through.learn(DECISIONS) == plain.learn(DECISIONS)
    assert through.predict(DECISIONS) == plain.predict(DECISIONS)


def test_an_error_names_the_line_of_a_decision(register):
    made(register, predict=lambda self, example: self.base.predict(example) / (example.features()[0][1] - 7))
    lines = ["shared |s a", "|a x", "", "shared |s a", "|a x", "|a y:7", ""]
    with pytest.raises(ReductionError, match=r"<line>:6: Made.predict failed: ZeroDivisionError"):
        Workspace("--made --explore greedy --bayes_linear").predict(lines)


# Threads


def test_parsing_threads_make_no_difference(run):
    lines = [f"{line} {' '.join(f'w{i}' for i in range(900))}" for line in LINES * 4]
    results = [run(lines, "--cut_at", "2", *more) for more in ([], ["--onethread"], [])]
    assert results[0] == results[1] == results[2]


def test_two_threads_may_have_a_workspace_each():
    expected = Workspace("--cut_at 2").learn(LINES * 20)
    found = {}

    def work(i):
        found[i] = Workspace("--cut_at 2").learn(LINES * 20)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: expected, 1: expected}


def test_nothing_is_left_over_for_each_example():
    workspace = Workspace("--cut_at 2")
    workspace.learn(LINES)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        workspace.learn(LINES)
    gc.collect()
    assert len(gc.get_objects()) < before + 50


# Registering

COMPILED = variant(Learner, called="Compiled", name="compiled", learn=lambda self, example: 0.0)
ONE = Option("bad", bool, "bad", necessary=True, keep=True)


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (COMPILED, "methods of a Learner in Python would never be called, .* derive from vwlite.Reduction"),
        (dict, "it is not a class that derives from vwlite.Reduction"),
        (vwlite.Reduction, "it is not a class that derives from vwlite.Reduction"),
        (3, "3: it is not a class that derives from vwlite.Reduction"),
        ({}, "its name is '', but an identifier such as 'clip' is expected"),
        ({"name": "a-b"}, "its name is 'a-b'"),
        ({"name": "gd"}, "its name gd is that of a learner of vwlite"),
        ({"name": "quiet"}, "its name quiet is that of an option of vwlite, --quiet"),
        ({"name": "power", "options": (Option("power_t", float, "", necessary=True, keep=True),)},
         "its option --power_t is already an option of vwlite"),
        ({"name": "bad", "options": (ONE, Option("other", bool, ""))},
         "its option --other has to be called --bad or --bad_..., so that vwlite finds it"),
        ({"name": "bad", "options": (ONE, Option("bad_x", bool, "", short="x"))}, "can't have a short form, -x"),
        ({"name": "bad", "options": (ONE, ONE)}, "--bad is declared twice"),
        ({"name": "bad", "options": [ONE]}, "its options are not a tuple of vwlite.Option"),
        ({"name": "bad", "options": ("bad",)}, "its options are not a tuple of vwlite.Option"),
        ({"name": "bad"}, "none of its options is necessary"),
        ({"name": "bad", "options": (Option("bad", bool, "", necessary=True),)}, "models have to store it: add keep"),
        ({"name": "bad", "options": (ONE, Option("bad_file", str, "", keep=True, file="read"))},
         "names a file, and models store no file names"),
        ({"name": "bad", "options": (ONE,), "takes": LabelType.MULTICLASS}, "works with numbers"),
        ({"name": "bad", "options": (ONE,), "gives": PredictionType.CLASS}, r"works with numbers \(SIMPLE -> SCALAR"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_reduction_is_refused(register, cls, why):
    with pytest.raises(ReductionError, match=why) as caught:
        register(variant(vwlite.Reduction, **cls) if isinstance(cls, dict) else cls)
    assert "\n" not in str(caught.value)


def test_two_classes_cannot_have_one_name(register):
    with pytest.raises(ReductionError, match=r"the name cut is already used by tests\.support\.reductions:Cut"):
        register(variant(Cut, __module__="elsewhere"))


def test_a_class_that_is_defined_once_more_takes_the_place_of_the_first(register):
    again = variant(Cut, called="Cut", __module__=Cut.__module__)
    assert register(again) is again
    assert type(Workspace("--cut_at 2").top.reduction) is again


def test_options_of_two_reductions_cannot_be_the_same(register):
    option = Option("cut_at_x", bool, "", necessary=True, keep=True)
    register(variant(Cut, called="Cut", __module__=Cut.__module__, options=(*Cut.options, option)))
    register(variant(Through, called="Other", name="cut_at_x", options=(option,)))
    with pytest.raises(ReductionError, match="--cut_at_x is declared twice"):
        Workspace("")


def test_a_subclass_of_learner_in_python_is_refused(monkeypatch):
    module: Any = type(sys)("half")
    module.setup = lambda builder: COMPILED(builder.base)
    monkeypatch.setitem(sys.modules, "vwlite.reductions.half", module)
    package: Any = sys.modules["vwlite.reductions"]
    monkeypatch.setattr(package, "REDUCTIONS", (*package.REDUCTIONS, "half"))
    with pytest.raises(StackError, match=r"Compiled\.learn would never be called, .* derive Compiled from vwlite"):
        Workspace("")


# Order


def ordered(register: Any, **places: tuple[str, str]) -> list[str]:
    """The stack with reductions a, b ... which stand above and below others."""
    for name, (above, below) in places.items():
        option = Option(name, bool, "", necessary=True, keep=True)
        cls = variant(Through, called=name, name=name, options=(option,), above=above, below=below)
        register(cls)
    flags = "--binary --offset_scale 1 --classweight 1:1 " + " ".join(f"--{name}" for name in places)
    return [learner.name.partition("-")[0] for learner in walk(Workspace(flags).top)]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"one": ("", "")}, "binary one scorer classweight offset gd"),
        ({"one": ("gd", "")}, "binary scorer classweight offset one gd"),
        ({"one": ("", "scorer")}, "binary scorer one classweight offset gd"),
        ({"one": ("offset", "scorer")}, "binary scorer one classweight offset gd"),
        ({"one": ("binary", "")}, "one binary scorer classweight offset gd"),
        ({"one": ("two", ""), "two": ("", "")}, "binary one two scorer classweight offset gd"),
        ({"one": ("", "two"), "two": ("offset", "")}, "binary scorer classweight two one offset gd"),
        ({"one": ("through", "")}, "binary one scorer classweight offset gd"),  # which is not in the stack
    ],
)
def test_it_stands_where_it_says(register, places, expected):
    assert ordered(register, **places) == expected.split()


@pytest.mark.parametrize(
    ("places", "why"),
    [
        ({"one": ("nowhere", "")}, "one can't be above or below nowhere: no learner has this name"),
        ({"one": ("two", ""), "two": ("one", "")}, "one and two can't be ordered: their above and below form a cycle"),
        ({"one": ("one", "")}, "one can't be ordered"),
        ({"one": ("scorer", "offset")}, "one can't be above scorer and below offset: scorer is above offset"),
        ({"one": ("", "gd")}, "one can't be below gd: gd is a bottom learner"),
        ({"one": ("oaa", "")}, None),
    ],
)
def test_there_may_be_no_such_place(register, places, why):
    if why is None:
        assert ordered(register, **places)[0] == "one"
        return
    with pytest.raises(StackError, match=why) as caught:
        ordered(register, **places)
    assert "\n" not in str(caught.value)


# Packages

SOURCE = """
import vwlite
from vwlite import Option
class Half(vwlite.Reduction):
    "half: halves predictions."
    name = "half"
    options = (Option("half_of", float, "of what", necessary=True, keep=True), Option("half_x", bool, "more"))
    def predict(self, example):
        return self.base.predict(example) / 2
"""


def vwlite_command(*words: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vwlite", *words],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )


@pytest.fixture
def half(tmp_path):
    """The variables under which the package made-up is installed."""
    return package(tmp_path / "site", SOURCE, {"half": "made_up:Half"})


def test_a_package_brings_a_reduction(half, tmp_path):
    shown = vwlite_command("--half_of", "1", "--dry_run", **half)
    assert shown.stderr == ""
    assert shown.stdout.splitlines()[0] == "half                 SIMPLE -> SCALAR  --half_of 1.0  (made-up 1.2)"
    model = str(tmp_path / "m")
    done = vwlite_command("--half_of=1", "-f", model, "--quiet", text="1 |a x\n" * 9, **half)
    assert (done.returncode, done.stderr) == (0, "")
    card = vwlite_command("inspect", model)  # which doesn't need the package
    assert "  half             SIMPLE -> SCALAR  --half_of 1.0  (made-up 1.2)\n" in card.stdout
    answer = vwlite_command("-i", model, "-t", "-p", "-", "--quiet", text="|a x\n", **half)
    assert 0 < float(answer.stdout) < 0.5
    missing = vwlite_command("-i", model, "-t")
    assert missing.returncode == 1
    assert missing.stderr == (
        f"vwlite: error: {model}: its learner half is of the package made-up 1.2, which is missing: install it, if you "
        "trust it\n"
    )
    off = vwlite_command("-i", model, "-t", **half, VWLITE_PLUGINS="0")
    assert "made-up 1.2, which is missing: VWLITE_PLUGINS=0 disables plugins\n" in off.stderr


def test_switched_off_its_flags_are_unknown(half):
    done = vwlite_command("--half_of", "1", **half, VWLITE_PLUGINS="0")
    assert done.stderr == "vwlite: error: unknown flag '--half_of'\n"


def test_a_mistyped_flag_of_a_package_is_answered(half):
    done = vwlite_command("--half_off", "1", **half)
    assert done.stderr == "vwlite: error: unknown flag '--half_off', did you mean --half_of?\n"


def test_a_configuration_file_may_name_its_options(half, tmp_path):
    (tmp_path / "c.toml").write_text("half_of = 1\n")
    done = vwlite_command("--config", str(tmp_path / "c.toml"), "--dry_run", **half)
    assert done.stdout.startswith("half ")


def test_help_names_packages_and_shows_the_options_of_those_it_is_asked_for(half):
    shown = vwlite_command("--help-all", **half).stdout
    assert re.search(
        r"Plugins:\n +--half\.\.\. +a reduction of made-up 1\.2: vwlite help --half shows its\s+options", shown
    )
    assert "--half_of" not in shown
    shown = vwlite_command("help", "half", **half).stdout
    assert re.match(r"half: halves predictions\n\nFlags:\n +--half_of FLOAT +of what", shown)
    assert vwlite_command("help", "--half_of", **half).stdout.startswith("--half_of FLOAT\n  of what")


WATCHED = ("made_up", "importlib.metadata", "vwlite.bases.reduction", "vwlite.bases.python_reduction")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--version", ""),
        ("--quiet --no_stdin --allow_empty", ""),
        ("--quiet --no_stdin --allow_empty -i plain.model", ""),
        ("--help", ""),
        ("--help-all", "importlib.metadata"),
        ("--quiet --no_stdin --allow_empty --half_of 1", " ".join(WATCHED)),
    ],
)
def test_nothing_is_imported_that_is_not_needed(half, words, expected, tmp_path):
    Workspace("").save(tmp_path / "plain.model")
    program = f"""
import sys
from vwlite.cli import main
main({words.split()!r})
print(*(name for name in {WATCHED!r} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | half,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.split() == expected.split()


@pytest.mark.parametrize(
    ("source", "entry", "why"),
    [
        ("1 / 0\n", "made_up:Half", r"can't be imported: ZeroDivisionError: division by zero \(.*made_up\.py:1\)"),
        (
            "import nowhere_at_all\n",
            "made_up:Half",
            "can't be imported: ModuleNotFoundError: No module named 'nowhere_",
        ),
        ("import sys; sys.exit(3)\n", "made_up:Half", "can't be imported: SystemExit: 3"),
        (SOURCE, "made_up:Other", "can't be imported: AttributeError: module 'made_up' has no attribute 'Other'"),
        (SOURCE, "made_down:Half", "can't be imported: ModuleNotFoundError: No module named 'made_down'"),
        ("Half = 3\n", "made_up:Half", "it is not a class that derives from vwlite.Reduction"),
        (
            SOURCE.replace("vwlite.Reduction", "__import__('vwlite.core.learner').core.learner.Learner"),
            "made_up:Half",
            "derive from",
        ),
        (
            SOURCE.replace('name = "half"', 'name = "half_of"'),
            "made_up:Half",
            "has the name half_of: the entry point has",
        ),
    ],
)
def test_a_package_that_cannot_be_used_is_named(tmp_path, source, entry, why):
    variables = package(tmp_path / "site", source, {"half": entry})
    done = vwlite_command("--half_of", "1", "--half_x", "--no_stdin", **variables)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert re.match(rf"vwlite: error: the reduction half of the package made-up 1\.2 \({entry}\):? .*{why}", lines[0])
    assert not [line for line in lines if "Traceback" in line]
    # other runs don't notice
    assert vwlite_command("--quiet", text="1 | a\n", **variables).returncode == 0


@pytest.mark.parametrize("name", ["gd", "quiet"])
def test_a_package_cannot_take_a_name_of_ours(tmp_path, name):
    variables = package(tmp_path / "site", SOURCE.replace('"half', f'"{name}'), {name: "made_up:Half"})
    done = vwlite_command(f"--{name}_of", "1", **variables)
    assert f"the reduction {name} of the package made-up 1.2 (made_up:Half): its name {name} is that of " in done.stderr


def test_two_packages_cannot_have_one_name(tmp_path):
    package(tmp_path / "site", SOURCE, {"half": "made_up:Half"})
    variables = package(tmp_path / "site", SOURCE, {"half": "other:Half"}, "other-one", "other")
    done = vwlite_command("--half_of", "1", **variables)
    assert "several packages have a reduction half, made-up and other-one: uninstall all but one" in done.stderr


def test_the_longest_name_has_the_option(tmp_path):
    package(tmp_path / "site", SOURCE, {"half": "made_up:Half"})
    longer = SOURCE.replace('"half"', '"half_of_all"').replace('"half_', '"half_of_all_')
    longer = longer.replace('"half_of_all_of_all"', '"half_of_all"')
    variables = package(tmp_path / "site", longer, {"half_of_all": "longer:Half"}, "longer", "longer")
    shown = vwlite_command("--half_of", "1", "--half_of_all_of", "2", "--dry_run", **variables).stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["half", "half_of_all", "scorer-identity", "gd"]


def test_a_class_that_becomes_a_package_may_load_its_models(tmp_path, monkeypatch):
    scope: dict[str, Any] = {"__name__": "program"}
    exec(SOURCE, scope)
    vwlite.register(scope["Half"])
    Workspace("--half_of 1").save(tmp_path / "m")
    monkeypatch.setattr(plugins, "_known", {})
    variables = package(tmp_path / "site", SOURCE, {"half": "made_up:Half"})
    done = vwlite_command("-i", str(tmp_path / "m"), "-t", text="|a x\n", **variables)
    assert done.returncode == 0
    assert "its learner half was that of program:Half, and here is that of made-up 1.2" in done.stderr


def test_a_strangers_names_steer_no_terminal(tmp_path):
    Workspace("--cut_at 2").save(tmp_path / "m")
    metadata = model_file.open(tmp_path / "m").metadata
    kept = {name: value for name, value in metadata.items() if name not in ("digests", "format_version")}
    kept["stack"][0]["plugin"]["package"] = "evil\x1b[2J"
    kept["stack"][0]["name"] = "nowhere"
    model_file.write(tmp_path / "m", {}, kept)
    with pytest.raises(ModelError, match="its learner nowhere is of the package evil\ufffd"):
        Workspace.load(tmp_path / "m")
    kept["stack"][0]["plugin"] = {"class": 3}
    model_file.write(tmp_path / "m", {}, kept)
    with pytest.raises(ModelError, match="stack"):
        Workspace.load(tmp_path / "m")


def test_the_example_is_a_package(tmp_path):
    import tomllib

    project = tomllib.loads((EXAMPLES / "reduction" / "pyproject.toml").read_text())["project"]
    source = (EXAMPLES / "reduction" / "vwlite_clip.py").read_text()
    entries = project["entry-points"]["vwlite.reductions"]
    variables = package(tmp_path / "site", source, entries, project["name"], "vwlite_clip")
    done = vwlite_command("--clip_at", "3", text="9 |a x\n1 |a x\n-5 |a y\n", **variables)
    assert done.returncode == 0, done.stderr
    assert "\nlabels cut = 2\n" in done.stderr


# A daemon

FAILS = """
import vwlite
class Half(vwlite.Reduction):
    name = "half"
    options = (vwlite.Option("half", bool, "", necessary=True, keep=True),)
    def __init__(self, options):
        self.seen = 0
    def learn(self, example):
        if example.tag == "bad":
            raise ValueError("this tag")
        self.seen += 1
        return self.base.learn(example)
    def save_load(self, io):
        self.seen = io.int64("seen", self.seen)
"""


def test_a_daemon_outlives_a_mistake(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", package(tmp_path / "site", FAILS, {"half": "made_up:Half"})["PYTHONPATH"])
    with serving(tmp_path, "--half", "--journal", "j", "--log", "json") as daemon:
        assert daemon.talk(b"1 |a x\n") == b"0\n"
        answer = daemon.talk(b"1 'bad|a x\n")
        assert answer.startswith(b"!error line 1: Half.learn failed: ValueError: this tag (")
        assert daemon.talk(b"1 |a x\n") != b"0\n"
        known = daemon.talk(b"|a x\n")
    # what the journal has is learned again, by other flags than those of now
    with serving(tmp_path, "--half", "--link", "identity", "--journal", "j") as daemon:
        assert daemon.talk(b"|a x\n") == known != b"0\n"
    monkeypatch.delenv("PYTHONPATH")
    refused = refusal("--daemon", "--port", "0", "--journal", "j", folder=tmp_path)
    assert "its learner half is of the package made-up 1.2, which is missing: install it" in refused


def test_answers_of_a_daemon_are_as_before_after_a_mistake(tmp_path, monkeypatch):
    source = FAILS.replace("def learn", "def predict").replace("self.base.learn", "self.base.predict")
    monkeypatch.setenv("PYTHONPATH", package(tmp_path / "site", source, {"half": "made_up:Half"})["PYTHONPATH"])
    with serving(tmp_path, "--half", "--oaa", "2", "--bayes_linear", "--columns", "prediction,sd") as daemon:
        answer = daemon.talk(b"|a x\n")
        assert daemon.talk(b"'bad|a x\n").startswith(b"!error line 1: Half.predict failed")
        assert daemon.talk(b"|a x\n") == answer
