"""JSON lines become text, or are refused with the reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.jsonlines import VALUE, text
from vwlite.daemon.json_examples import KEPT, LONGEST_KEPT, MOST_DEEP, JSONLineError, Names, to_text
from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace


def refusal(line: str | bytes, decisions: bool = False) -> str:
    with pytest.raises(JSONLineError) as caught:
        to_text(line if isinstance(line, bytes) else line.encode(), decisions)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    return str(caught.value)


# where text and VW's JSON part ways


def test_line_ends_and_nul_in_texts_become_underscores():
    assert text('{"x":"a\\nb\\rc\\u0000d"}') == "| xa_b_c_d\n"
    assert text('{"_text":"a\\nb\\u0000"}') == "| a b_\n"


def test_namespaces_beyond_ascii_count():
    assert text('{"é":{"x":1},"":{"y":2}}') == "|é x:1 | y:2\n"


def test_arrays_within_arrays_have_counts_of_their_own():
    assert text('{"a":[1,{"b":[5,6]},3]}') == "|b :5 :6 |a :1 :3\n"


@pytest.mark.parametrize("char", [*"\0\t\n\r :|"])
@pytest.mark.parametrize("value", ["1", '"v"', "true", '{"x":1}', "[1]"])
def test_names_that_text_has_no_way_to_write_are_refused_by_name(char, value):
    escaped = json.dumps(char)[1:-1]
    said = refusal(f'{{"a{escaped}b":{value}}}')
    assert said.startswith(f'the name "a{escaped}b" contains ')
    assert refusal(f'{{"a{escaped}b":{value}}}') == said  # it is not taken for a good one the second time


@pytest.mark.parametrize("char", [*"\0\t\n\r |"])
def test_tags_that_text_has_no_way_to_write_are_refused(char):
    assert refusal(json.dumps({"_tag": f"a{char}b"})).startswith("the tag ")


def test_names_seen_are_kept_in_bounded_memory():
    names = Names(" ")
    for i in range(3 * KEPT):
        assert names[f"n{i}"] == f" n{i}"
    assert 0 < len(names) <= KEPT
    assert names["x" * (LONGEST_KEPT + 1)] == " " + "x" * (LONGEST_KEPT + 1)
    assert max(map(len, names)) <= LONGEST_KEPT


def test_labels_that_vw_reads_but_does_not_learn_mean_what_they_say():
    wanted = "|i x:1\n1:-1:0.5 |i x:2\n\n"
    label = '{"Cost":-1,"Probability":0.5,"Action":2}'
    assert text(f'{{"_label":{label},"_labelIndex":1,"_multi":[{{"i":{{"x":1}}}},{{"i":{{"x":2}}}}]}}', True) == wanted
    inside = '"_label_cost":-1,"_label_probability":0.5,"_label_Action":2'
    assert text(f'{{"_multi":[{{"i":{{"x":1}}}},{{"i":{{"x":2}},{inside}}}]}}', True) == wanted


# what is no example


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"x":1', "not JSON: Expecting ',' delimiter at character 7"),
        ("{x:1}", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        ('{"x":1} {"x":2}', "not JSON: text follows the object at character 8"),
        ('{"x":"a\tb"}', "not JSON: Invalid control character at"),
        ("[1]", "a JSON example is an object, such as {...}"),
        ("", "not JSON: Expecting value at character 1"),
        (b'{"x":"\xff"}', "not UTF-8: byte 7 of the line"),
        ('{"x":NaN}', "NaN is not a number in JSON"),
        ('{"x":-Infinity}', "-Infinity is not a number in JSON"),
        ('{"x":1e400}', 'the value of "x" is too large'),
        ('{"x":3.5e38}', 'the value of "x" is too large'),
        ('{"x":-1' + "0" * 39 + "}", 'the value of "x" is too large'),
        ('{"x":1' + "0" * 5000 + "}", "a number of too many digits"),
        ('{"a":[1e39]}', "a number in an array is too large"),
        ('{"a":[1' + "0" * 400 + "]}", "a number in an array is too large"),
        ('{"":1e39}', 'the value of "" is too large'),
        ('{"x":1,"y":2,"x":3}', 'the key "x" occurs twice in one object'),
        ('{"a":{"x":1,"x":1}}', 'the key "x" occurs twice in one object'),
        ('{"x":"\\ud800"}', "half of a surrogate pair (such as \\ud800) without the other half"),
        ('{"\\udc00":1}', "half of a surrogate pair"),
        ('{"a":["u"]}', "an array of features holds numbers and objects, not a string"),
        ('{"a":[[1]]}', "an array of features holds numbers and objects, not an array"),
        ('{"a":[true]}', "an array of features holds numbers and objects, not true or false"),
        ('{"_text":5}', '"_text" expects a string'),
        ('{"_tag":5}', '"_tag" expects a string'),
        ('{"_label":true}', '"_label" expects a number'),
        ('{"_label":[1]}', '"_label" expects a number'),
        ('{"_label":1e39}', 'the value of "_label" is too large'),
        ('{"_label":"a"}', '"_label" is "a", but a string there has the form "label importance initial"'),
        ('{"_label":"1 2 3 4"}', '"_label" is "1 2 3 4"'),
        ('{"_label":"nan"}', '"_label" is "nan"'),
        ('{"_label":"1_0"}', '"_label" is "1_0"'),
        ('{"_label":{"Label":"1"}}', '"Label" expects a number'),
        ('{"_label":{"Foo":1}}', '"Foo" is not a part of the label of a single example, only label, weight, initial'),
        ('{"_label_cost":1}', '"_label_cost" is not a part of the label of a single example'),
        ('{"_label":{"Initial":0.5}}', "an initial prediction without a label"),
        ('{"_labels":1}', 'there is no key "_labels", only _label, _labelIndex'),
        ('{"_labelIndex":1}', '"_labelIndex" is for multi-line examples'),
        ('{"_multi":[{}]}', '"_multi" is for multi-line examples'),
        ('{"_slots":[]}', '"_slots" is for examples of several slots'),
    ],
)
def test_what_is_no_example_is_refused_with_the_reason(line, words):
    assert refusal(line).startswith(words)


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


def test_nesting_has_a_limit():
    assert text(nested(MOST_DEEP, '{"x":', "}")) == "|x x:1\n"
    assert refusal(nested(MOST_DEEP + 1, '{"x":', "}")) == f"more than {MOST_DEEP} nested objects and arrays"
    refusal(nested(MOST_DEEP, '{"x":[', "]}"))
    for opening, closing in (('{"x":', "}"), ('{"x":[', "]}"), ('{"_x":[', "]}")):
        assert refusal(nested(100_000, opening, closing)) == f"more than {MOST_DEEP} nested objects and arrays"


# what is no decision


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"x":1}', 'this model reads multi-line examples, which need "_multi"'),
        ('{"_multi":[]}', '"_multi" expects an array with an object for each action'),
        ('{"_multi":{"x":1}}', '"_multi" expects an array with an object for each action'),
        ('{"_multi":[{},null]}', '"_multi" expects an array with an object for each action'),
        ('{"_multi":[{"_multi":[{}]}]}', '"_multi" inside "_multi", or twice'),
        ('{"a":{"_multi":[{}]},"_multi":[{}]}', '"_multi" inside "_multi", or twice'),
        ('{"_labelIndex":1,"_multi":[{}]}', '"_labelIndex" is 1, but there are 1 actions, counted from 0'),
        ('{"_labelIndex":1,"_label":"0:1:1","_multi":[{}]}', '"_labelIndex" is 1, but there are 1 actions'),
        ('{"_labelIndex":-1,"_multi":[{}]}', '"_labelIndex" expects the number of an action, from 0'),
        ('{"_labelIndex":"0","_multi":[{}]}', '"_labelIndex" expects the number of an action, from 0'),
        ('{"_labelIndex":true,"_multi":[{}]}', '"_labelIndex" expects the number of an action, from 0'),
        ('{"_multi":[{"_labelIndex":0}]}', '"_labelIndex" has to be beside "_multi"'),
        ('{"_label_cost":1,"_label_probability":1,"_label_Action":1,"_multi":[{}]}', "the label has no action"),
        ('{"_labelIndex":0,"_label_cost":1,"_multi":[{}]}', "the label of action 0 needs both Cost and Probability"),
        ('{"_multi":[{},{"_label_probability":1}]}', "the label of action 1 needs both Cost and Probability"),
        ('{"_labelIndex":0,"_label":"0:1:1","_multi":[{"_label":"0:1:1"}]}', "action 0 has two labels"),
        (
            '{"_label":1,"_multi":[{}]}',
            '"_label" of actions expects {"Cost": , "Probability": } or "action:cost:probability"',
        ),
        (
            '{"_multi":[{"_label":"1:2"}]}',
            '"_label" is "1:2", but a string there has the form "action:cost:probability"',
        ),
        ('{"_multi":[{"_label":{"Weight":2}}]}', '"Weight" is 2, but the labels of actions have no weights'),
        ('{"_multi":[{"_label":{"Label":2}}]}', '"Label" is not a part of the label of an action'),
        ('{"_multi":[{"a b":1}]}', 'the name "a b" contains a blank'),
    ],
)
def test_what_is_no_decision_is_refused_with_the_reason(line, words):
    assert refusal(line, True).startswith(words)


# anything


@given(line=st.one_of(st.binary(), st.text().map(lambda s: ("{" + s).encode("utf-8", "surrogatepass"))))
def test_any_bytes_are_text_or_refused(line):
    for kind in (False, True):
        try:
            found = to_text(line, kind)
        except JSONLineError as error:
            reason = str(error)
        else:
            reason = ""
            assert found.endswith(b"\n")
        assert "\n" not in reason


# Entities

USERS = frozenset({"user", "item"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"user":"u10"}', "|user u10"),
        ('{"user":7}', "|user 7"),
        ('{"user":"7","x":1}', "| x:1 |user 7"),
        ('{"user":0}', "|user 0"),
        ('{"user":-3}', "|user -3"),
        ('{"user":7.0}', "|user 7"),
        ('{"user":7.25}', "|user 7.25"),
        ('{"user":{"id":7}}', "|user id7"),
        ('{"user":{"id":"7"}}', "|user id7"),
        ('{"user":{"id":"u10"}}', "|user idu10"),
        ('{"user":{"":"u10"}}', "|user u10"),
        ('{"user":{"ann":true}}', "|user ann"),
        ('{"user":{"_text":"ann"}}', "|user ann"),
        ('{"user":{"id":null},"x":1}', "| x:1"),
        ('{"user":null,"x":1}', "| x:1"),
        ('{"user":{},"x":1}', "| x:1"),
        ('{"user":"ann","item":4,"use":4}', "| use:4 |user ann |item 4"),
        ('{"user":[7]}', "|user :7"),
        ('{"ctx":{"user":"ann","x":2}}', "|user ann |ctx x:2"),
    ],
)
def test_texts_and_numbers_name_entities_where_a_random_effect_looks_for_them(line, expected):
    found = to_text(line.encode(), False, USERS).decode().rstrip("\n")
    assert sorted(found.replace(" |", "\n|").split("\n")) == sorted(expected.replace(" |", "\n|").split("\n"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"user":true}', '"user" expects the name of an entity, a string or a number'),
        ('{"user":""}', '"user" expects the name of an entity, not an empty string'),
        ('{"user":{"id":""}}', '"user" expects the name of an entity, not an empty string'),
        ('{"user":"10.0.0.1:80"}', """the name "10.0.0.1:80" of an entity of "user" contains ':', which VW's text"""),
        ('{"user":{"id":"a b"}}', 'the name "a b" of an entity of "user" contains a blank, which VW\'s text'),
    ],
)
def test_what_names_no_entity_or_could_be_mistaken_for_another_is_refused(line, reason):
    with pytest.raises(JSONLineError) as caught:
        to_text(line.encode(), False, USERS)
    assert reason in str(caught.value)


def test_entities_of_actions_are_named_alike():
    line = '{"user":7,"_multi":[{"item":1},{"item":{"id":2}}]}'
    assert to_text(line.encode(), True, USERS) == b"shared |user 7\n|item 1\n|item id2\n\n"


KEYS = st.sampled_from(
    ("a", "b", "_label", "_labelIndex", "_multi", "_tag", "_text", "_label_Cost", "_label_Weight", "Label", "Cost")
)
JSON_VALUE = st.recursive(
    st.one_of(VALUE, st.text(max_size=3), st.floats(allow_nan=True)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(KEYS, st.text(max_size=3)),
            inner,
            max_size=4,
        ),
    ),
)


@pytest.fixture(scope="module")
def parsers():
    """Of single examples and of decisions."""
    return Workspace("").parser, Workspace("--thompson --bayes_logistic").parser


@given(
    members=st.dictionaries(KEYS, JSON_VALUE, max_size=5),
    kind=st.booleans(),
    entities=st.sampled_from((frozenset(), frozenset({"a"}))),
)
def test_any_json_is_lines_that_can_be_read_or_refused(parsers, members, kind, entities):
    try:
        found = to_text(json.dumps(members).encode(), kind, entities)
    except JSONLineError:
        return
    rows = parse(parsers[kind], found).examples()
    assert len(rows) == found.count(b"\n")
    # numbers out of bounds are for the parser to refuse
    problems = [row["reason"] for row in rows if row["kind"] == "problem"]
    assert kind or len(rows) == 1
    assert all("negative" in reason or "probability" in reason or "shared" in reason for reason in problems), problems
