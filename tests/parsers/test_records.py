"""Dicts: the same examples as the lines of text that the rule of names makes of them."""

import collections
import datetime
import decimal
import math
import threading
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.records import line
from vwlite import Workspace
from vwlite.errors import ParseError

NAMES = st.text("abcz019 _é:|\t=", min_size=1, max_size=6).filter(lambda name: not name.startswith("_"))
NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, width=32))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8))
LISTS = st.lists(st.one_of(NUMBERS, NAMES, st.dictionaries(NAMES, NUMBERS, max_size=2)), max_size=4)
RECORDS = st.dictionaries(NAMES, st.one_of(SCALARS, LISTS, st.dictionaries(NAMES, SCALARS, max_size=3)), max_size=6)
FLAGS = ["", "-q ab --hash all", "--hash_seed 3 --redefine x:=a", "--bayes_linear"]


def is_clear(record: dict[str, Any]) -> bool:
    """Whether no name is all blanks, and no two namespaces become one, of which text would have two parts."""
    inner = [key for key, value in record.items() if isinstance(value, (dict, list))]
    return len({key[0] for key in inner} - {" ", ":", "|", "\t"}) == len(inner)


@settings(max_examples=150)
@given(st.lists(RECORDS.filter(is_clear), min_size=1, max_size=6), st.sampled_from(FLAGS))
def test_a_dict_is_the_line_that_the_rule_makes_of_it(records, flags):
    labels = [float(i % 3) for i in range(len(records))]
    ours, text = Workspace(flags), Workspace(flags)
    lines = [line(record, label) for record, label in zip(records, labels, strict=True)]
    assert ours.learn(records, labels) == text.learn(lines)
    assert ours.predict(records) == text.predict(lines)


def test_one_dict_gives_a_number_and_several_a_list():
    workspace = Workspace()
    assert workspace.learn({"a": 1}, 2) == 0.0
    assert isinstance(workspace.predict({"a": 1}), float)
    assert workspace.predict([{"a": 1}, {}]) == [workspace.predict({"a": 1}), workspace.predict({})]
    assert workspace.predict([]) == []


def test_records_come_from_iterators_of_any_length():
    records = [{"a": i % 7, "b": str(i % 5)} for i in range(2500)]
    labels = [i % 2 for i in range(2500)]
    whole, piecewise = Workspace(), Workspace()
    assert whole.learn(records, labels) == piecewise.learn(iter(records), iter(labels))
    assert whole.predict(records[:9]) == piecewise.predict(records[:9])


def test_label_weight_and_tag_are_given_beside_or_inside():
    beside, inside, text = Workspace(), Workspace(), Workspace()
    assert beside.learn([{"a": 1.5}] * 3, [1, 2, None], [2, 0.5, 1], ["t1", 7, None]) == text.learn(
        ["1 2 t1| a:1.5", "2 0.5 7| a:1.5", "| a:1.5"]
    )
    assert inside.learn(
        [{"_label": 1, "_weight": 2, "_tag": "t1", "a": 1.5}, {"a": 1.5, "_label": 2, "_weight": 0.5, "_tag": 7}]
    ) == Workspace().learn(["1 2 t1| a:1.5", "2 0.5 7| a:1.5"])
    assert Workspace().learn({"a": 1, "_initial": 0.5, "_label": 1}) == Workspace().learn("1 1 0.5 | a") == 0.5


def test_what_is_given_beside_holds():
    records = [{"a": 1, "_label": 9, "_weight": 5, "_tag": "x"}] * 5
    assert Workspace().learn(records, [1] * 5, weight=2) == Workspace().learn([{"a": 1}] * 5, [1] * 5, weight=2)


def test_a_single_weight_is_that_of_all_records():
    one, each = Workspace(), Workspace()
    assert one.learn([{"a": 1}, {"b": 1}], [1, 2], 3) == each.learn(["1 3 | a:1", "2 3 | b:1"])


def test_classes_are_named_as_they_come():
    ours, text = Workspace("--oaa 3"), Workspace("--oaa 3")
    records = [{"a": i % 3, "b": 1} for i in range(9)]
    names = ["red", "green", "blue"] * 3
    lines = [f"{name} |{f' a:{i % 3}' if i % 3 else ''} b:1" for i, name in enumerate(names)]
    assert ours.learn(records, names) == text.learn(lines)
    assert Workspace("--oaa 3").learn(records, [1, 2, 3] * 3)[-1] in {1, 2, 3}


def test_numbers_of_other_types_are_numbers():
    kinds = [np.float32(1.5), np.float64(1.5), decimal.Decimal("1.5"), np.array(1.5)]
    expected = Workspace().learn(["1 | a:1.5", "2 | a:1.5"])
    for value in kinds:
        assert Workspace().learn([{"a": value}] * 2, [1, 2]) == expected
    assert Workspace().learn([{"a": np.int64(2), "b": np.True_}] * 2, [1, 2]) == Workspace().learn(
        ["1 | a:2 b", "2 | a:2 b"]
    )
    arrays = Workspace().learn([{"a": np.array([1.0, 0.0, 2.0])}] * 2, [1, 2])
    assert arrays == Workspace().learn(["1 |a 0:1 2:2", "2 |a 0:1 2:2"])
    mapping = [MappingProxyType({"a": 1}), collections.OrderedDict(a=1)]
    assert Workspace().learn(mapping, [1, 2]) == Workspace().learn(["1 | a", "2 | a"])


@pytest.mark.parametrize("value", ["ann", "u 1", 7, 7.0])
def test_in_the_namespace_of_a_random_effect_a_value_names_an_entity(value):
    flags = "--bayes_linear --random_effect user"
    name = {"ann": "ann", "u 1": "u_1"}.get(value, "7")
    ours, text = Workspace(flags), Workspace(flags)
    assert ours.learn([{"user": value, "x": 2}] * 3, [1, 2, 3]) == text.learn(
        [f"{i} |user {name} | x:2" for i in (1, 2, 3)]
    )


@pytest.mark.parametrize(
    ("record", "kind", "match"),
    [
        ({"a": math.nan}, ParseError, "row 2: the feature's value is not finite: a=nan"),
        ({"a": 1e39}, ParseError, "row 2: the feature's value is not finite"),
        ({"a": 10**400}, ParseError, "row 2: the feature's value is not finite: a=inf"),
        ({"a": "\ud800"}, ValueError, "row 2: .*surrogates not allowed"),
        ({"a": object()}, TypeError, "row 2: 'a' is of type object"),
        ({"when": datetime.datetime(2026, 1, 1)}, TypeError, "row 2: 'when' is of type datetime.*such as its hour"),
        ({"a": 1 + 2j}, TypeError, "row 2: 'a'"),
        ({1.5: 2}, TypeError, "row 2: the key 1.5 is of type float"),
        ({"": 1}, ParseError, "row 2: a value without a name"),
        ({"": "x"}, ParseError, "row 2: a value without a name"),
        ({"a": [[1]]}, ValueError, "row 2: 'a' has a list inside a list"),
        ({"_weight": -1, "_label": 1}, ParseError, "row 2: the importance weight is negative"),
        ({"_label": math.inf}, ParseError, "row 2: the label, importance or initial prediction is not finite"),
        ({"_label": "x", "a": 1}, ParseError, "row 2: the label, importance .* is not a number: label=x"),
    ],
)
def test_a_bad_record_is_named_and_those_before_it_are_learned(record, kind, match):
    workspace = Workspace()
    with pytest.raises(kind, match=match):
        workspace.learn([{"_label": 3, "good": 1}, record, {"_label": 5, "never": 1}])
    assert workspace.predict({"good": 1}) != 0
    assert workspace.predict({"never": 1}) == workspace.predict({})


def test_nesting_has_a_limit():
    record: dict[str, Any] = {"a": 1}
    for _ in range(70):
        record = {"a": record}
    with pytest.raises(ValueError, match="row 1: more than 64 records inside each other"):
        Workspace().learn([record], [1])


def test_missing_numbers_can_be_skipped():
    workspace, text = Workspace("--missing skip"), Workspace()
    assert workspace.learn([{"a": math.nan, "b": 1}] * 2, [1, 2]) == text.learn(["1 | b:1", "2 | b:1"])


def test_labels_must_be_as_many_as_records():
    with pytest.raises(ValueError, match="y has 1 values and x more records"):
        Workspace().learn([{"a": 1}] * 2, [1])
    with pytest.raises(ValueError, match="y has more values than x has records"):
        Workspace().learn([{"a": 1}] * 2, [1, 2, 3])
    with pytest.raises(TypeError, match=r"y is the text 'label', where one .* by columns=..label.: .label.}"):
        Workspace().learn([{"a": 1}], "label")
    with pytest.raises(TypeError, match="weight is the text b'w'"):
        Workspace().learn([{"a": 1}], [1], weight=b"w")


def test_what_can_not_be_an_example_is_refused_with_what_can():
    workspace = Workspace()
    for x in (5, None, object()):
        with pytest.raises(TypeError, match="examples are lines of text, dicts, an array, or a table"):
            workspace.learn(x)
    with pytest.raises(TypeError, match="a list holds lines of text or dicts, not list"):
        workspace.learn([[1, 2]])
    with pytest.raises(TypeError, match="a record is a dict of names and values, not int"):
        workspace.learn([{"a": 1}, 5])
    with pytest.raises(TypeError, match="has its label, weight and tag inside"):
        workspace.learn("1 | a", 3)
    with pytest.raises(TypeError, match="decisions of several lines, which a dict can't give"):
        Workspace("--cb_explore_adf").predict({"a": 1})


def test_a_second_thread_gets_an_error():
    workspace, inside, done = Workspace(), threading.Event(), threading.Event()

    def slow():
        yield {"a": 1}
        inside.set()
        assert done.wait(60)

    thread = threading.Thread(target=workspace.learn, args=(slow(), iter([1.0] * 1)))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(RuntimeError, match="another thread is using this Workspace"):
        workspace.predict({"a": 1})
    done.set()
    thread.join()
    assert isinstance(workspace.predict({"a": 1}), float)


def test_an_interrupt_leaves_a_usable_workspace():
    def records():
        yield from [{"a": 1}] * 1500
        raise KeyboardInterrupt

    workspace = Workspace()
    with pytest.raises(KeyboardInterrupt):
        workspace.learn(records(), [2.0] * 1500)
    assert workspace.predict({"a": 1}) > 0
    assert isinstance(workspace.learn({"a": 1}, 3), float)
