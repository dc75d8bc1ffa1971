"""What options accept, where their values come from, and what a model hands on."""

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vwlite.core.options import Option, OptionGroup, Options, check, default, gather, read
from vwlite.errors import ModelError, OptionError, ParseError, StackError, VwliteError

BITS = Option("bit_precision", int, "Size.", short="b", default=18, least=1, most=61, fixed=True)
RATE = Option("learning_rate", float, "Rate.", short="l", default=0.5, above=0, keep=True)
LOSS = Option(
    "loss_function", str, "Loss.", default="squared", choices=("squared", "logistic"), keep=True, vw_forgets=True
)
PASSES = Option("passes", int, "Passes.", default=1)
NO_CONSTANT = Option("noconstant", bool, "No constant.", fixed=True)
QUADRATIC = Option("quadratic", str, "Pairs.", short="q", many=True, keep=True)
CUBIC = Option("cubic", str, "Triples.", many=True, keep=True)
EFFECTS = Option("random_effect", str, "Effects.", many=True, fixed=True, necessary=True)
OPTIONS = (BITS, RATE, LOSS, PASSES, NO_CONSTANT, QUADRATIC, CUBIC, EFFECTS)
GROUPS = (OptionGroup("All", OPTIONS),)


def errors_of(call: Callable[..., Any], *arguments: Any) -> list[str]:
    with pytest.raises(OptionError) as caught:
        call(*arguments)
    return caught.value.errors


# One value


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (PASSES, "3", 3),
        (PASSES, "-3", -3),
        (PASSES, "+3", 3),
        (PASSES, "007", 7),
        (PASSES, str(2**64 - 1), 2**64 - 1),
        (RATE, "1e-3", 0.001),
        (RATE, ".5", 0.5),
        (RATE, "10", 10.0),
        (LOSS, "logistic", "logistic"),
        (QUADRATIC, " a b", " a b"),
    ],
)
def test_reads_a_value_as_its_type(option, text, value):
    got = read(option, text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "text", ["", "1e6", "1.0", "1_000", " 1", "1 ", "0x10", "--1", "+-1", "٣", "²", "one", "9" * 5000]
)
def test_an_integer_is_plain_digits(text):
    (error,) = errors_of(read, PASSES, text)
    assert error.startswith("--passes wants a whole number")


@pytest.mark.parametrize("text", [str(2**64), str(-(2**63) - 1)])
def test_an_integer_fits_64_bits(text):
    assert errors_of(read, PASSES, text) == ["--passes wants a whole number of at most 64 bits"]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "Infinity", "1e39", "1e999"])
def test_a_number_is_finite_as_a_32_bit_float(text):
    (error,) = errors_of(read, RATE, text)
    assert error.startswith("--learning_rate wants a finite 32-bit number")


@pytest.mark.parametrize("text", ["", "x", "1_0", " 1", "1\n", "٣", "0.5f"])
def test_a_number_is_plain_ascii(text):
    assert errors_of(read, RATE, text) == [f"--learning_rate wants a number, not {text!r}"]


@pytest.mark.parametrize(
    ("option", "text", "error"),
    [
        (BITS, "0", "--bit_precision must be at least 1, not 0"),
        (BITS, "62", "--bit_precision must be at most 61, not 62"),
        (RATE, "0", "--learning_rate must be above 0, not 0.0"),
        (LOSS, "hinge", "--loss_function must be one of squared, logistic, not 'hinge'"),
    ],
)
def test_bounds_and_choices(option, text, error):
    assert errors_of(read, option, text) == [error]


def test_inclusive_bounds_are_allowed():
    assert (read(BITS, "1"), read(BITS, "61")) == (1, 61)


def test_a_word_may_stand_in_place_of_a_number():
    scale = Option("scale", float, "Scale.", least=0, words=("fit", "auto"))
    assert [read(scale, text) for text in ("fit", "auto", "0.5")] == ["fit", "auto", 0.5]
    assert check(scale, "fit") == "fit"
    assert errors_of(read, scale, "none") == ["--scale wants a number or fit or auto, not 'none'"]
    assert errors_of(read, scale, "-1") == ["--scale must be at least 0, not -1.0"]


@pytest.mark.parametrize("value", [True, None, 1.0, "1", [1]])
def test_an_integer_is_not_guessed_from_other_types(value):
    assert errors_of(check, PASSES, value) == [f"--passes wants a whole number, not {value!r}"]


@pytest.mark.parametrize("value", [True, None, "1", 10**400])
def test_a_number_is_not_guessed_from_other_types(value):
    assert errors_of(check, RATE, value) == [f"--learning_rate wants a number, not {value!r}"]


def test_a_whole_number_is_a_number():
    assert type(check(RATE, 2)) is float


@given(st.sampled_from(OPTIONS), st.text())
def test_any_text_is_a_value_or_an_option_error(option, text):
    try:
        value = read(option, text)
    except OptionError:
        return
    assert type(value) is option.type
    assert check(option, value) == value


@given(st.integers(1, 61))
def test_integers_round_trip(number):
    assert read(BITS, str(number)) == number


@given(st.floats(min_value=0, exclude_min=True, max_value=3e38))
def test_numbers_round_trip(number):
    assert read(RATE, repr(number)) == number


# Declarations


def test_gathers_in_order_of_declaration():
    groups = [OptionGroup("A", (PASSES,)), OptionGroup("B", (BITS, RATE))]
    assert list(gather(groups)) == ["passes", "bit_precision", "learning_rate"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ((PASSES, PASSES), "--passes is declared twice"),
        ((BITS, Option("bogus", int, "", short="b")), "-b is both --bit_precision and --bogus"),
        ((Option("a b", int, ""),), "cannot be the name"),
        ((Option("a-b", int, ""),), "cannot be the name"),
        ((Option("", int, ""),), "cannot be the name"),
        ((Option("a", list, ""),), "has type"),  # type: ignore[arg-type]
        ((Option("a", int, "", short="bc"),), "is not one letter"),
        ((Option("a", int, "", short="1"),), "is not one letter"),
        ((Option("a", bool, "", default=True),), "can only be absent or given"),
        ((Option("a", bool, "", many=True),), "can only be absent or given"),
    ],
)
def test_faulty_declarations_are_refused(options, fault):
    with pytest.raises(ValueError, match=fault):
        gather([OptionGroup("Some", options)])


def test_names_and_letters_are_unique_across_groups():
    with pytest.raises(ValueError, match="declared twice"):
        gather([OptionGroup("A", (PASSES,)), OptionGroup("B", (PASSES,))])


def test_an_option_cannot_be_changed():
    with pytest.raises(AttributeError):
        PASSES.default = 2  # type: ignore[misc]


# The values of a run


def test_ungiven_options_have_their_defaults():
    options = Options(GROUPS)
    assert [options[option.name] for option in OPTIONS] == [18, 0.5, "squared", 1, False, [], [], []]
    assert not any(options.given(option.name) for option in OPTIONS)
    assert options.source("passes") == "default"
    assert (options.arguments, options.data) == ([], None)


def test_default_lists_are_not_shared():
    many = Option("many", str, "", many=True, default=("a",))
    Options([OptionGroup("M", (many,))])["many"].append("b")
    assert Options([OptionGroup("M", (many,))])["many"] == ["a"]
    assert default(many) == ["a"]


@pytest.mark.parametrize("ask", [Options.__getitem__, Options.given, Options.source])
def test_undeclared_options_are_a_key_error(ask):
    with pytest.raises(KeyError):
        ask(Options(GROUPS), "bogus")
    with pytest.raises(KeyError):
        Options(GROUPS).set("bogus", 1)
    assert "bogus" not in Options(GROUPS)
    assert "passes" in Options(GROUPS)


def test_setting_records_the_source():
    options = Options(GROUPS)
    options.set("passes", 3, "config file")
    options.set("quadratic", ["ab"])
    assert (options["passes"], options.source("passes")) == (3, "config file")
    assert (options["quadratic"], options.source("quadratic")) == (["ab"], "command line")
    assert options.given("passes")


def test_the_default_given_is_given():
    options = Options(GROUPS)
    options.set("passes", 1)
    assert options.given("passes")


def test_a_flag_set_to_false_is_not_given():
    options = Options(GROUPS)
    options.set("noconstant", False, "config file")
    assert not options.given("noconstant")
    assert options.source("noconstant") == "config file"


def test_setting_checks_the_value():
    options = Options(GROUPS)
    assert errors_of(options.set, "bit_precision", 99) == ["--bit_precision must be at most 61, not 99"]
    assert errors_of(options.set, "quadratic", "ab") == ["--quadratic wants a list, not 'ab'"]
    assert errors_of(options.set, "quadratic", ["ab", 1]) == ["--quadratic wants text, not 1"]
    assert not options.given("bit_precision")
    assert not options.given("quadratic")


# The model


def test_keeps_what_was_given_and_is_to_be_kept():
    options = Options(GROUPS)
    options.set("quadratic", ["ab", "cd"])
    options.set("passes", 3)
    options.set("noconstant", True)
    options.set("bit_precision", 20)
    kept = options.kept()
    assert kept == {"bit_precision": 20, "noconstant": True, "quadratic": ["ab", "cd"]}
    assert list(kept) == ["bit_precision", "noconstant", "quadratic"]
    assert json.loads(json.dumps(kept)) == kept


def test_a_kept_list_is_a_copy():
    options = Options(GROUPS)
    options.set("quadratic", ["ab"])
    options.kept()["quadratic"].append("cd")
    assert options["quadratic"] == ["ab"]


def test_a_loaded_model_gives_what_nobody_else_gave():
    options = Options(GROUPS)
    assert (
        options.merge_model({"bit_precision": 20, "loss_function": "logistic", "quadratic": ["ab"]}, False, "m") == []
    )
    assert (options["bit_precision"], options["loss_function"], options["quadratic"]) == (20, "logistic", ["ab"])
    assert options.source("loss_function") == "model"
    assert options.given("loss_function")


def test_merging_what_was_kept_keeps_the_same():
    first = Options(GROUPS)
    first.set("bit_precision", 20)
    first.set("learning_rate", 0.1)
    first.set("quadratic", ["ab"])
    second = Options(GROUPS)
    second.merge_model(json.loads(json.dumps(first.kept())), False, "m")
    assert second.kept() == first.kept()


@pytest.mark.parametrize("source", ["command line", "config file"])
def test_a_given_value_beats_the_model_silently(source):
    options = Options(GROUPS)
    options.set("learning_rate", 0.1, source)
    assert options.merge_model({"learning_rate": 0.7}, False, "m") == []
    assert (options["learning_rate"], options.source("learning_rate")) == (0.1, source)


@pytest.mark.parametrize(
    ("kept", "name", "value", "given", "made"),
    [
        ({"bit_precision": 20}, "bit_precision", 22, "--bit_precision 22", "with --bit_precision 20"),
        ({}, "bit_precision", 22, "--bit_precision 22", "with --bit_precision 18"),
        ({}, "noconstant", True, "--noconstant", "without --noconstant"),
        ({"noconstant": True}, "noconstant", False, "noconstant = false", "with --noconstant"),
        ({}, "random_effect", ["a", "b"], "--random_effect a --random_effect b", "without --random_effect"),
        ({"random_effect": ["a"]}, "random_effect", ["b"], "--random_effect b", "with --random_effect a"),
    ],
)
def test_a_fixed_option_cannot_leave_the_models_value(kept, name, value, given, made):
    options = Options(GROUPS)
    options.set(name, value)
    assert errors_of(options.merge_model, kept, False, "m") == [
        f"m: {given} does not fit the model, which was made {made}: leave that as it was, or train a new model"
    ]


def test_a_fixed_option_may_repeat_the_models_value():
    options = Options(GROUPS)
    options.set("bit_precision", 18)
    options.set("random_effect", ["user"])
    assert options.merge_model({"random_effect": ["user"]}, False, "m") == []


def test_all_conflicts_with_a_model_are_reported_at_once():
    options = Options(GROUPS)
    options.set("bit_precision", 22)
    options.set("noconstant", True)
    errors = errors_of(options.merge_model, {}, False, "m")
    assert [error.split(" does not fit")[0] for error in errors] == ["m: --bit_precision 22", "m: --noconstant"]


def test_a_model_that_holds_what_no_model_can_is_refused_before_anything_is_set():
    options = Options(GROUPS)
    kept = {"bit_precision": 20, "noise": 1, "passes": 7, "learning_rate": -1, "quadratic": "ab"}
    with pytest.raises(ModelError) as caught:
        options.merge_model(kept, False, "m")
    assert str(caught.value).split("\n") == [
        "m: the model was made with --noise, which is unknown here",
        "m: the file sets --passes, which no model stores; give a model that vwlite saved",
        "m: in the model, --learning_rate must be above 0, not -1.0",
        "m: in the model, --quadratic wants a list, not 'ab'",
    ]
    assert not any(options.given(name) for name in options.declared)


def test_a_model_that_kept_an_option_under_its_old_name_sets_the_new_one():
    rate = Option("interval", float, "Share.", keep=True)
    options = Options((OptionGroup("All", (rate, PASSES)),))
    assert options.merge_model({"confidence": 0.25}, False, "m") == []
    assert (options["interval"], options.source("interval")) == (0.25, "model")


def test_under_vw_compat_the_model_forgets_what_vw_forgets():
    options = Options(GROUPS)
    options.merge_model({"loss_function": "logistic", "bit_precision": 20}, True, "m")
    assert (options["loss_function"], options["bit_precision"]) == ("squared", 20)
    assert not options.given("loss_function")


def test_interactions_given_replace_all_that_the_model_holds():
    options = Options(GROUPS)
    options.set("quadratic", ["ab"])
    notes = options.merge_model({"quadratic": ["cd", "ef"], "cubic": ["abc"]}, False, "m")
    assert (options["quadratic"], options["cubic"]) == (["ab"], [])
    assert notes == [
        "the model's --quadratic cd --quadratic ef is replaced by the interactions given now",
        "the model's --cubic abc is replaced by the interactions given now",
    ]


def test_the_same_interactions_again_need_no_note():
    options = Options(GROUPS)
    options.set("quadratic", ["ab"])
    assert options.merge_model({"quadratic": ["ab"]}, False, "m") == []


# Errors


@pytest.mark.parametrize(
    "error",
    [OptionError(["a", "b"]), ParseError("f", 1, 2, "r", "t"), ModelError("m"), StackError("s")],
)
def test_every_error_is_a_vwlite_error_and_can_be_pickled(error):
    assert isinstance(error, VwliteError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_an_option_error_lists_its_errors():
    assert str(OptionError(["a", "b"])) == "a\nb"
    assert OptionError("alone").errors == ["alone"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("1 |f a:x", "1 |f a:x"), ("a\tb\x00\n", "a\\tb\\x00\\n"), ("é" * 80, "é" * 80), ("é" * 81, "é" * 77 + "...")],
)
def test_a_parse_error_is_one_short_line(text, shown):
    assert str(ParseError("data.txt", 3, 7, "bad number", text)) == f"data.txt:3:7: bad number: {shown}"


def test_importing_options_stays_cheap():
    heavy = {"click", "inspect", "dataclasses", "difflib", "tomllib", "numpy", "scipy"}
    code = "import sys, vwlite.core.options, vwlite.cli, vwlite.engine.command_line; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(modules)


@given(st.floats())
def test_no_number_that_passes_is_infinite_for_the_compiled_code(number):
    try:
        value = check(Option("some", float, ""), number)
    except OptionError:
        return
    assert math.isfinite(value)
    assert abs(value) <= 3.4028234663852886e38
