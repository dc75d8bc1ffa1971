"""JSON lines become text with the features, labels and tags that Vowpal Wabbit finds in the JSON."""

import json
import math
import struct
from collections import defaultdict
from typing import Any

import pytest
import vowpalwabbit
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vwlite.daemon import jsonanswers
from vwlite.daemon.jsonanswers import answer
from vwlite.daemon.jsonlines import KEPT, LONGEST_KEPT, MOST_DEEP, JSONLineError, Names, to_text
from vwlite.driver import parse
from vwlite.workspace import Workspace

BITS = 18
UNLABELLED = 3.4028234663852886e38

# What is in a namespace, by its index: hashes as a table sees them, and values. In which order they come is no matter.
Groups = dict[int, list[tuple[int, float]]]


def text(line: str, decisions: bool = False) -> str:
    return to_text(line.encode(), decisions).decode()


def refusal(line: str | bytes, decisions: bool = False) -> str:
    with pytest.raises(JSONLineError) as caught:
        to_text(line if isinstance(line, bytes) else line.encode(), decisions)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    return str(caught.value)


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


class Wheel:
    """Vowpal Wabbit, reading JSON."""

    def __init__(self, flags: str) -> None:
        self.workspace = vowpalwabbit.Workspace(f"--json -b {BITS} --noconstant --quiet {flags}")

    def read(self, line: str) -> list[Any]:
        found = self.workspace.parse(line)
        return found if isinstance(found, list) else [found]


@pytest.fixture(scope="module")
def single():
    return Wheel(""), Workspace("").parser


@pytest.fixture(scope="module")
def decisions():
    flags = "--thompson --bayes_logistic"
    return Wheel("--cb_explore_adf"), Workspace(flags).parser


def features_of(wheel_example) -> Groups:
    groups: Groups = defaultdict(list)
    for n in range(wheel_example.num_namespaces()):
        space = wheel_example.get_ns(n)
        for i in range(wheel_example.num_features_in(space)):
            hash_ = wheel_example.feature(space, i) % 2**BITS
            groups[wheel_example.namespace(n)].append((hash_, wheel_example.feature_weight(space, i)))
    return {index: sorted(group) for index, group in groups.items() if group}


def features_in(row) -> Groups:
    groups: Groups = defaultdict(list)
    for index, _, features in row["namespaces"]:
        groups[index] += [(hash_ % 2**BITS, value) for hash_, value in features]
    return {index: sorted(group) for index, group in groups.items() if group}


def assert_same_features(found: Groups, wanted: Groups) -> None:
    assert {index: [hash_ for hash_, _ in group] for index, group in found.items()} == {
        index: [hash_ for hash_, _ in group] for index, group in wanted.items()
    }
    for index, group in wanted.items():
        assert [value for _, value in found[index]] == pytest.approx([value for _, value in group], rel=1e-6, abs=1e-38)


# a namespace of JSON must begin with ASCII, see the module
LETTERS = "abcXYZ09.-'é☃\x01/"
NAME = st.one_of(
    st.text(LETTERS, min_size=1, max_size=6),
    st.sampled_from(("7", "007", "4294967296", "", "_ignored", "_", "__", "_Text", "_Label", "x^y", "label")),
)
NAMESPACE = st.one_of(
    st.text("abAB01", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=1), st.sampled_from((" ", "aé", "_c"))
)
NUMBER = st.one_of(
    st.integers(-(10**6), 10**6),
    st.integers(-(10**30), 10**30),
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.floats(-100, 100),
    st.sampled_from((0, 0.0, -0.0, 1, 1.0, 1e-7, 1e22, 12345678.9, 2**63, 1e-46)),
)
TEXT = st.one_of(
    st.text(LETTERS + " \t|:", max_size=6), st.sampled_from(("", "Bonn", "12", "a b|c:d\te", " v", "_label"))
)
VALUE = st.one_of(NUMBER, TEXT, st.sampled_from((True, False, None)))
FEATURES = st.dictionaries(NAME, VALUE, max_size=4)
# no arrays within the objects of arrays, after which VW counts oddly
ARRAY = st.lists(st.one_of(NUMBER, st.none(), FEATURES), max_size=4)


def merged(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


MEMBERS = st.recursive(
    FEATURES,
    lambda inner: st.tuples(
        FEATURES,
        st.dictionaries(NAMESPACE, st.one_of(inner, ARRAY), max_size=3),
        FEATURES,
        st.one_of(st.just({}), st.fixed_dictionaries({"_text": st.text("ab1 :|\t", max_size=9)})),
    ).map(merged),
    max_leaves=6,
)
TAG = st.text("ab1'é_:", max_size=5)
SIMPLE_NUMBER = st.one_of(st.integers(-5, 5), st.floats(-1e5, 1e5, width=32))
WEIGHT = st.one_of(st.integers(0, 5), st.floats(0, 10, width=32))
INITIAL = st.sampled_from((0, 0.5, -2))
LABEL = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"_label": SIMPLE_NUMBER}),
    st.fixed_dictionaries({"_label": st.none()}),
    st.fixed_dictionaries({"_label": st.just("")}),
    st.fixed_dictionaries({"_label": st.integers(-9, 9).map(str)}),
    st.fixed_dictionaries(
        {"_label": st.tuples(st.integers(-9, 9), WEIGHT, INITIAL).map("{0[0]} {0[1]:.9g} {0[2]}".format)}
    ),
    st.fixed_dictionaries(
        {"_label": st.fixed_dictionaries({"Label": SIMPLE_NUMBER}, optional={"Weight": WEIGHT, "Initial": INITIAL})}
    ),
    st.fixed_dictionaries({"_label": st.fixed_dictionaries({"label": SIMPLE_NUMBER, "wEIGHT": WEIGHT})}),
    st.fixed_dictionaries(
        {"_label_Label": SIMPLE_NUMBER}, optional={"_label_weight": WEIGHT, "_label_Initial": SIMPLE_NUMBER}
    ),
)
EXAMPLE = st.tuples(LABEL, MEMBERS, st.one_of(st.just({}), TAG.map(lambda tag: {"_tag": tag}))).map(merged)


def assert_same_example(pair, line: str) -> None:
    wheel, parser = pair
    (seen,) = wheel.read(line)
    (row,) = parse(parser, to_text(line.encode(), False)).examples()
    assert row["kind"] == "example", (text(line), row)
    assert_same_features(features_in(row), features_of(seen))
    assert row["tag"] == seen.get_tag().encode()
    label = seen.get_simplelabel_label()
    assert (row["label"] == pytest.approx(label, rel=1e-6)) or (math.isnan(row["label"]) and label == UNLABELLED)
    if label != UNLABELLED:
        assert row["weight"] == pytest.approx(seen.get_simplelabel_weight(), rel=1e-6)
        assert row["initial"] == pytest.approx(seen.get_simplelabel_initial(), rel=1e-6)


@settings(max_examples=600)
@given(members=EXAMPLE, spaces=st.booleans())
@example(members={"a": {"": 1, "x": 2, "b": {"y": ""}}, "": True}, spaces=True)
@example(members={"a": [1, {"": 5, "x": "y"}, None, 0, 2.5], "12": [3]}, spaces=False)
@example(members={"a": {"x": 1}, "ab": {"x": 1}, "b": {"a": {"x": 3}}}, spaces=False)
def test_features_label_and_tag_are_those_that_vw_reads(single, members, spaces):
    line = json.dumps(members, separators=None if spaces else (",", ":"), ensure_ascii=spaces)
    assert_same_example(single, line)


@pytest.mark.parametrize(
    "line",
    [
        '{"a":{"name":"value"}}',
        '{"a":{"x":true,"y":false,"z":null}}',
        '{"a":{"12":"3"}}',
        '{"a":{"":"u"},"b":{"":0}}',
        '{"a":{"c":3,"b":{"y":2},"d":{"e":1}},"z":1}',
        '{"a":[{"x":5},2,{"y":{"z":1}},3]}',
        '{"a":[],"b":{},"c":[{}]}',
        '{"c":{"_c":{"x":1},"_x":[1,[2]]},"y":2}',
        '{"a":{"_tag":"inner","_label":2,"x":1}}',
        '{"_TAG":"any case","x":1}'.replace(" ", "_"),
        '{"_tag":"\'quoted","x":1}',
        '{"_tag":null,"_text":null,"x":1}',
        '{"x":123456789012345678901234567890}',
        '{"x":1E5,"y":-2.5e-3,"z":0.1}',
        '{"x":"\\u00e9","y":"\\ud83d\\ude00"}',
        '{"_label":{},"x":1}',
        "{}",
        '{"x":1} \r',
    ],
)
def test_what_vw_reads_of(single, line):
    assert_same_example(single, line)


def test_a_model_learns_the_same_from_both_forms():
    flags = "-b 18 --quiet -q :: --loss_function logistic"
    from_json, from_text = vowpalwabbit.Workspace(f"--json {flags}"), vowpalwabbit.Workspace(flags)
    for i in range(300):
        members = {"_label": 1 if i % 3 else -1, "user": {"id": f"u {i % 7}", "age": (i % 5) / 4}, "x": [i % 2, 1]}
        line = json.dumps(members)
        predictions = []
        for workspace, form in ((from_json, line), (from_text, text(line).rstrip("\n"))):
            seen = workspace.parse(form)
            workspace.learn(seen)
            predictions.append(workspace.predict(seen))
            workspace.finish_example(seen)
        assert predictions[0] == pytest.approx(predictions[1], abs=1e-6)
    assert abs(predictions[0]) > 0.1


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
    assert said.startswith(f'the name "a{escaped}b" holds ')
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


# what is no example


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"x":1', "not JSON: Expecting ',' delimiter at character 7"),
        ("{x:1}", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        ('{"x":1} {"x":2}', "not JSON: something follows the object at character 8"),
        ('{"x":"a\tb"}', "not JSON: Invalid control character at"),
        ("[1]", "a JSON example is an object, such as {...}"),
        ("", "not JSON: Expecting value at character 1"),
        (b'{"x":"\xff"}', "not UTF-8: byte 7 of the line"),
        ('{"x":NaN}', "NaN is no number in JSON"),
        ('{"x":-Infinity}', "-Infinity is no number in JSON"),
        ('{"x":1e400}', 'the value of "x" is too large'),
        ('{"x":3.5e38}', 'the value of "x" is too large'),
        ('{"x":-1' + "0" * 39 + "}", 'the value of "x" is too large'),
        ('{"x":1' + "0" * 5000 + "}", "a number of too many digits"),
        ('{"a":[1e39]}', "a number in an array is too large"),
        ('{"a":[1' + "0" * 400 + "]}", "a number in an array is too large"),
        ('{"":1e39}', 'the value of "" is too large'),
        ('{"x":1,"y":2,"x":3}', 'the key "x" is there twice in one object'),
        ('{"a":{"x":1,"x":1}}', 'the key "x" is there twice in one object'),
        ('{"x":"\\ud800"}', "half of a surrogate pair (such as \\ud800) without the other half"),
        ('{"\\udc00":1}', "half of a surrogate pair"),
        ('{"a":["u"]}', "an array of features holds numbers and objects, not a text"),
        ('{"a":[[1]]}', "an array of features holds numbers and objects, not an array"),
        ('{"a":[true]}', "an array of features holds numbers and objects, not true or false"),
        ('{"_text":5}', '"_text" wants a text'),
        ('{"_tag":5}', '"_tag" wants a text'),
        ('{"_label":true}', '"_label" wants a number'),
        ('{"_label":[1]}', '"_label" wants a number'),
        ('{"_label":1e39}', 'the value of "_label" is too large'),
        ('{"_label":"a"}', '"_label" is "a", but a text there has the form "label importance initial"'),
        ('{"_label":"1 2 3 4"}', '"_label" is "1 2 3 4"'),
        ('{"_label":"nan"}', '"_label" is "nan"'),
        ('{"_label":"1_0"}', '"_label" is "1_0"'),
        ('{"_label":{"Label":"1"}}', '"Label" wants a number'),
        ('{"_label":{"Foo":1}}', '"Foo" is no part of a label of single examples, only label, weight, initial'),
        ('{"_label_cost":1}', '"_label_cost" is no part of a label of single examples'),
        ('{"_label":{"Initial":0.5}}', "an initial prediction needs a label beside it"),
        ('{"_labels":1}', 'there is no key "_labels", only _label, _labelIndex'),
        ('{"_labelIndex":1}', '"_labelIndex" belongs to decisions'),
        ('{"_multi":[{}]}', '"_multi" belongs to decisions'),
        ('{"_slots":[]}', '"_slots" is for decisions of several slots'),
    ],
)
def test_what_is_no_example_is_refused_with_the_reason(line, words):
    assert refusal(line).startswith(words)


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


def test_nesting_has_a_limit():
    assert text(nested(MOST_DEEP, '{"x":', "}")) == "|x x:1\n"
    assert refusal(nested(MOST_DEEP + 1, '{"x":', "}")) == f"more than {MOST_DEEP} objects and arrays in each other"
    refusal(nested(MOST_DEEP, '{"x":[', "]}"))
    for opening, closing in (('{"x":', "}"), ('{"x":[', "]}"), ('{"_x":[', "]}")):
        assert refusal(nested(100_000, opening, closing)) == f"more than {MOST_DEEP} objects and arrays in each other"


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


@given(members=st.dictionaries(KEYS, JSON_VALUE, max_size=5), kind=st.booleans())
def test_any_json_is_lines_that_can_be_read_or_refused(single, decisions, members, kind):
    try:
        found = to_text(json.dumps(members).encode(), kind)
    except JSONLineError:
        return
    rows = parse((decisions if kind else single)[1], found).examples()
    assert len(rows) == found.count(b"\n")
    # numbers out of bounds are for the parser to refuse
    problems = [row["reason"] for row in rows if row["kind"] == "problem"]
    assert kind or len(rows) == 1
    assert all("negative" in reason or "probability" in reason or "shared" in reason for reason in problems), problems


# decisions


ACTION = st.one_of(MEMBERS, FEATURES, st.just({}))
COSTS = st.sampled_from((0, -1, 0.5, -0.25))
PROBABILITIES = st.sampled_from((1, 0.5, 0.125))


@st.composite
def decision(draw) -> dict[str, Any]:
    actions = [dict(action) for action in draw(st.lists(ACTION, min_size=1, max_size=4))]
    for action in actions:
        action.update(draw(st.one_of(st.just({}), TAG.map(lambda tag: {"_tag": tag}))))
    members = {**draw(MEMBERS), **draw(st.one_of(st.just({}), TAG.map(lambda tag: {"_tag": tag})))}
    cost, probability = draw(COSTS), draw(PROBABILITIES)
    taken = draw(st.integers(0, len(actions) - 1))
    labelled: dict[str, Any] = draw(
        st.sampled_from(
            (
                {},
                {
                    "_labelIndex": taken,
                    "_label_cost": cost,
                    "_label_probability": probability,
                    "_label_Action": taken + 1,
                },
                {"_labelIndex": taken, "_label_Cost": cost, "_label_Probability": probability},
                {"_labelIndex": None},
                {"_labelIndex": taken},
            )
        )
    )
    members = {**labelled, **members} if draw(st.booleans()) else {**members, **labelled}
    if not labelled:
        actions[taken].update(
            draw(
                st.sampled_from(
                    (
                        {},
                        {"_label": f"{taken + 1}:{cost}:{probability}"},
                        {"_label": {"Action": taken + 1, "Cost": cost, "Probability": probability}},
                    )
                )
            )
        )
    keys = [*members, "_multi"]
    place = draw(st.integers(0, len(members)))
    keys.insert(place, keys.pop())
    return {key: actions if key == "_multi" else members[key] for key in keys}


@settings(max_examples=300)
@given(members=decision())
@example(members={"_tag": "top", "_multi": [{}, {"x": 1}]})
@example(members={"c": {"_multi": [{"x": 1}, {"a": {"x": 2}}], "s": {"y": 1}}, "_labelIndex": 1, "_label": None})
def test_lines_of_a_decision_are_those_that_vw_reads(decisions, members):
    wheel, parser = decisions
    line = json.dumps(members)
    found = to_text(line.encode(), True)
    assert found.endswith(b"\n\n")
    assert found.count(b"\n\n") == 1
    rows = parse(parser, found).examples()[:-1]
    shared, *actions = wheel.read(line)
    if len(rows) == len(actions):
        assert features_of(shared) == {}
        assert shared.get_tag() == ""
    else:
        assert rows[0]["shared"]
        assert_same_features(features_in(rows[0]), features_of(shared))
        assert rows[0]["tag"] == shared.get_tag().encode()
        rows = rows[1:]
    assert len(rows) == len(actions)
    for row, action in zip(rows, actions, strict=True):
        assert row["kind"] == "example", (found, row)
        assert_same_features(features_in(row), features_of(action))
        assert row["tag"] == action.get_tag().encode()
        assert action.get_cbandits_num_costs() == (row["probability"] > 0)
        if row["probability"]:
            assert row["label"] == pytest.approx(action.get_cbandits_cost(0), rel=1e-6)
            assert row["probability"] == pytest.approx(action.get_cbandits_probability(0), rel=1e-6)


def test_labels_that_vw_reads_but_does_not_learn_mean_what_they_say():
    wanted = "|i x:1\n1:-1:0.5 |i x:2\n\n"
    label = '{"Cost":-1,"Probability":0.5,"Action":2}'
    assert text(f'{{"_label":{label},"_labelIndex":1,"_multi":[{{"i":{{"x":1}}}},{{"i":{{"x":2}}}}]}}', True) == wanted
    inside = '"_label_cost":-1,"_label_probability":0.5,"_label_Action":2'
    assert text(f'{{"_multi":[{{"i":{{"x":1}}}},{{"i":{{"x":2}},{inside}}}]}}', True) == wanted


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"x":1}', 'this model takes decisions, which need "_multi"'),
        ('{"_multi":[]}', '"_multi" wants an array with an object for each action'),
        ('{"_multi":{"x":1}}', '"_multi" wants an array with an object for each action'),
        ('{"_multi":[{},null]}', '"_multi" wants an array with an object for each action'),
        ('{"_multi":[{"_multi":[{}]}]}', '"_multi" inside "_multi", or twice'),
        ('{"a":{"_multi":[{}]},"_multi":[{}]}', '"_multi" inside "_multi", or twice'),
        ('{"_labelIndex":1,"_multi":[{}]}', '"_labelIndex" is 1, but there are 1 actions, counted from 0'),
        ('{"_labelIndex":1,"_label":"0:1:1","_multi":[{}]}', '"_labelIndex" is 1, but there are 1 actions'),
        ('{"_labelIndex":-1,"_multi":[{}]}', '"_labelIndex" wants the number of an action, from 0'),
        ('{"_labelIndex":"0","_multi":[{}]}', '"_labelIndex" wants the number of an action, from 0'),
        ('{"_labelIndex":true,"_multi":[{}]}', '"_labelIndex" wants the number of an action, from 0'),
        ('{"_multi":[{"_labelIndex":0}]}', '"_labelIndex" stands beside "_multi"'),
        ('{"_label_cost":1,"_label_probability":1,"_label_Action":1,"_multi":[{}]}', "which action has the label?"),
        ('{"_labelIndex":0,"_label_cost":1,"_multi":[{}]}', "the label of action 0 wants both Cost and Probability"),
        ('{"_multi":[{},{"_label_probability":1}]}', "the label of action 1 wants both Cost and Probability"),
        ('{"_labelIndex":0,"_label":"0:1:1","_multi":[{"_label":"0:1:1"}]}', "action 0 has a label of its own"),
        (
            '{"_label":1,"_multi":[{}]}',
            '"_label" of a decision wants {"Cost": , "Probability": } or "action:cost:probability"',
        ),
        ('{"_multi":[{"_label":"1:2"}]}', '"_label" is "1:2", but a text there has the form "action:cost:probability"'),
        ('{"_multi":[{"_label":{"Weight":2}}]}', '"Weight" is 2, but decisions have no weights'),
        ('{"_multi":[{"_label":{"Label":2}}]}', '"Label" is no part of a label of decisions'),
        ('{"_multi":[{"a b":1}]}', 'the name "a b" holds a blank'),
    ],
)
def test_what_is_no_decision_is_refused_with_the_reason(line, words):
    assert refusal(line, True).startswith(words)


# answers


@pytest.mark.parametrize(
    ("said", "kind", "columns", "wanted"),
    [
        (b"0.385846 tag\n", False, 1, {"prediction": 0.385846, "tag": "tag"}),
        (b"1\n", False, 1, {"prediction": 1}),
        (b"-0.5 7\n", False, 1, {"prediction": -0.5, "tag": "7"}),
        (b"nan\n", False, 1, {"prediction": None}),
        (b"-inf t\n", False, 1, {"prediction": None, "tag": "t"}),
        (b"0.5 0.25 -inf 7\n", False, 3, {"columns": [0.5, 0.25, None], "tag": "7"}),
        (b"0.5 0.25\n", False, 2, {"columns": [0.5, 0.25]}),
        (b'0.5 \xc3\xa9"\\\xff\n', False, 1, {"prediction": 0.5, "tag": 'é"\\\ufffd'}),
        (b"1:0.7,0:0.3 tag\n\n", True, 1, {"actions": [[1, 0.7], [0, 0.3]], "tag": "tag"}),
        (b"0:1\n\n", True, 1, {"actions": [[0, 1]]}),
        (b"0:1e-05,1:nan\n\n", True, 1, {"actions": [[0, 1e-05], [1, None]]}),
        (b'!error line 3, column 1: no "x"\n', False, 1, {"error": 'line 3, column 1: no "x"'}),
        (b"!error line 3: no\n", True, 1, {"error": "line 3: no"}),
    ],
)
def test_answers_in_text_become_json_lines(said, kind, columns, wanted):
    found = answer(said, kind, columns)
    assert found.endswith(b"\n")
    assert found.count(b"\n") == 1
    assert json.loads(found) == wanted
    assert list(json.loads(found)) == list(wanted)


@given(message=st.text())
def test_what_is_wrong_becomes_a_json_line_whatever_it_says(message):
    line = jsonanswers.error(message)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"error": message}
