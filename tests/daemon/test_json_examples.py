"""Examples in JSON that a daemon refuses, with reason and place; those that it has learned, after a kill."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.daemon import serving
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.daemon.engine import Engine

DECISIONS = "--thompson --bayes_logistic"


@pytest.fixture(scope="module")
def engines() -> dict[bool, Engine]:
    """Of single examples and of decisions."""
    return {False: Engine(Workspace("").options), True: Engine(Workspace(DECISIONS).options)}


def refusal(engine: Engine, line: str | bytes) -> str:
    answer = engine.run_json((line if isinstance(line, bytes) else line.encode()) + b"\n")
    assert engine.lines == 1
    found = json.loads(engine.in_json(answer))
    assert set(found) == {"error"}, found
    assert "\n" not in found["error"]
    return str(found["error"])


@pytest.mark.parametrize(
    ("line", "words", "place"),
    [
        ('{"x":1', "not JSON here (RFC 8259)", 7),
        ("{x:1}", "not JSON here (RFC 8259)", 2),
        ('{"x":1} {"x":2}', "not JSON here (RFC 8259)", 9),
        ('{"x":"a\tb"}', "not JSON here (RFC 8259)", 8),
        ("[1]", "an example in JSON is an object", 1),
        (b'{"x":"\xff"}', "not UTF-8 text", 7),
        ('{"x":NaN}', "not JSON here (RFC 8259)", 6),
        ('{"x":-Infinity}', "not JSON here (RFC 8259)", 7),
        ('{"x":1e400}', "the feature's value is not finite", 6),
        ('{"x":3.5e38}', "the feature's value is not finite", 6),
        ('{"x":-1000000000000000000000000000000000000000}', "the feature's value is not finite", 6),
        ('{"x":1' + "0" * 5000 + "}", "not a number of JSON (RFC 8259), or one of more than 512 digits", 6),
        ('{"a":[1e39]}', "the feature's value is not finite", 7),
        ('{"a":[1' + "0" * 400 + "]}", "the feature's value is not finite", 7),
        ('{"":1e39}', "the feature's value is not finite", 5),
        ('{"x":1,"y":2,"x":3}', "the key occurs twice in one object", 15),
        ('{"a":{"x":1,"x":1}}', "the key occurs twice in one object", 14),
        ('{"x":"\\ud800"}', "not an escape of JSON, or half of a surrogate pair", 7),
        ('{"\\udc00":1}', "not an escape of JSON, or half of a surrogate pair", 3),
        ('{"a":["u"]}', "an array of features has numbers and objects in it", 7),
        ('{"a":[[1]]}', "an array of features has numbers and objects in it", 7),
        ('{"a":[true]}', "an array of features has numbers and objects in it", 7),
        ('{"_text":5}', "_text and _tag are strings", 10),
        ('{"_tag":5}', "_text and _tag are strings", 9),
        ('{"_label":true}', "_label is a number, a string", 11),
        ('{"_label":[1]}', "_label is a number, a string", 11),
        ('{"_label":1e39}', "the label, importance or initial prediction is not finite", 11),
        ('{"_label":"a"}', "in a string, _label is 'label importance initial'", 11),
        ('{"_label":"1 2 3 4"}', "in a string, _label is 'label importance initial'", 11),
        ('{"_label":"nan"}', "in a string, _label is 'label importance initial'", 11),
        ('{"_label":"1_0"}', "in a string, _label is 'label importance initial'", 11),
        ('{"_label":{"Label":"1"}}', "a part of the label is a number, or null", 20),
        ('{"_label":{"Foo":1}}', "no part of this kind of label", 13),
        ('{"_label_cost":1}', "no part of this kind of label", 10),
        ('{"_label":{"Initial":0.5}}', "an initial prediction without a label, which VW's text can't represent", 3),
        ('{"_labels":1}', "there is no such key: only _label, _labelIndex, _label_Label and similar", 3),
        ('{"_labelIndex":1}', "_labelIndex is the number of an action, from 0", 16),
        ('{"_multi":[{}]}', "_multi is for multi-line examples, and the stack learns single ones", 11),
        ('{"_slots":[]}', "_slots and _outcomes are of examples of several slots, which are not supported", 3),
    ],
)
def test_what_is_no_example_is_refused_with_reason_and_place(engines, line, words, place):
    said = refusal(engines[False], line)
    assert said.startswith(words)
    assert f", at byte {place}" in said


@pytest.mark.parametrize(
    ("line", "words", "place"),
    [
        ('{"x":1}', "the stack learns multi-line examples, which need _multi, an array of actions", 1),
        ('{"_multi":[]}', "_multi is an array with an object for each action", 12),
        ('{"_multi":{"x":1}}', "_multi is an array with an object for each action", 11),
        ('{"_multi":[{},null]}', "_multi is an array with an object for each action", 15),
        ('{"_multi":[{"_multi":[{}]}]}', "_multi inside _multi, or twice", 22),
        ('{"a":{"_multi":[{}]},"_multi":[{}]}', "_multi inside _multi, or twice", 31),
        (
            '{"_labelIndex":1,"_multi":[{}]}',
            "_labelIndex: there is no action of this number",
            16,
        ),
        (
            '{"_labelIndex":1,"_label":"0:1:1","_multi":[{}]}',
            "_labelIndex: there is no action of this number",
            16,
        ),
        ('{"_labelIndex":-1,"_multi":[{}]}', "_labelIndex is the number of an action, from 0", 16),
        ('{"_labelIndex":"0","_multi":[{}]}', "_labelIndex is the number of an action, from 0", 16),
        ('{"_labelIndex":true,"_multi":[{}]}', "_labelIndex is the number of an action, from 0", 16),
        ('{"_multi":[{"_labelIndex":0}]}', "_labelIndex is the number of an action, from 0", 27),
        (
            '{"_label_cost":1,"_label_probability":1,"_label_Action":1,"_multi":[{}]}',
            "the label has no action",
            3,
        ),
        (
            '{"_labelIndex":0,"_label_cost":1,"_multi":[{}]}',
            "the label of an action needs both",
            19,
        ),
        ('{"_multi":[{},{"_label_probability":1}]}', "the label of an action needs both", 17),
        (
            '{"_labelIndex":0,"_label":"0:1:1","_multi":[{"_label":"0:1:1"}]}',
            "the action has two labels",
            19,
        ),
        ('{"_label":1,"_multi":[{}]}', "in a string, _label is 'label importance initial'", 11),
        ('{"_multi":[{"_label":"1:2"}]}', "in a string, _label is 'label importance initial'", 22),
        (
            '{"_multi":[{"_label":{"Weight":2}}]}',
            "the labels of actions have no weights",
            32,
        ),
        ('{"_multi":[{"_label":{"Label":2}}]}', "no part of this kind of label", 24),
        (
            '{"_multi":[{"a b":1}]}',
            "the name or tag contains a blank",
            14,
        ),
    ],
)
def test_what_is_no_decision_is_refused_with_reason_and_place(engines, line, words, place):
    said = refusal(engines[True], line)
    assert said.startswith(words)
    assert f", at byte {place}" in said


@pytest.mark.parametrize("char", [*"\0\t\n\r :|"])
@pytest.mark.parametrize("value", ["1", '"v"', "true", '{"x":1}', "[1]"])
def test_names_that_text_has_no_way_to_write_are_refused(engines, char, value):
    escaped = json.dumps(char)[1:-1]
    for _ in range(2):
        assert refusal(engines[False], f'{{"a{escaped}b":{value}}}').startswith("the name or tag contains a blank")


@pytest.mark.parametrize("char", [*"\0\t\n\r |"])
def test_tags_that_text_has_no_way_to_write_are_refused(engines, char):
    assert refusal(engines[False], json.dumps({"_tag": f"a{char}b"})).startswith("the name or tag contains a blank")


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


def test_nesting_has_a_limit(engines):
    assert engines[False].run_json(nested(64, '{"x":', "}").encode() + b"\n") == b"0\n"
    deep = "more than 64 objects and arrays inside each other"
    assert refusal(engines[False], nested(65, '{"x":', "}")).startswith(deep)
    for opening, closing in (('{"x":', "}"), ('{"x":[', "]}"), ('{"_x":[', "]}")):
        assert refusal(engines[False], nested(100_000, opening, closing)).startswith(deep)


@given(
    line=st.one_of(st.binary(), st.text().map(lambda s: ("{" + s).encode("utf-8", "surrogatepass"))), kind=st.booleans()
)
def test_any_line_has_one_answer(engines, line, kind):
    answer = engines[kind].run_json(line.replace(b"\n", b"") + b"\n")
    assert answer.count(b"\n") == (0 if not line.strip(b" \r\n\t") else 1 + (kind and not answer.startswith(b"!")))


ENTITIES = "--bayes_linear --random_effect user"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"user":true}', "the name of an entity is a string or a number"),
        ('{"user":""}', "the name of an entity is empty or contains"),
        ('{"user":{"id":""}}', "the name of an entity is empty or contains"),
        ('{"user":"10.0.0.1:80"}', "the name of an entity is empty or contains a blank, ':'"),
        ('{"user":{"id":"a b"}}', "the name of an entity is empty or contains a blank, ':'"),
        ('{"user":[7]}', "the feature in the namespace of a random effect has no name"),
    ],
)
def test_what_names_no_entity_or_could_be_mistaken_for_another_is_refused(line, words):
    assert refusal(Engine(Workspace(ENTITIES).options), line).startswith(words)


def test_the_place_of_a_class_that_is_none_is_that_in_the_line():
    engine = Engine(Workspace("--oaa 3").options)
    said = refusal(engine, '{"x":1,"_label":7}')
    assert said == "there is no class of this number: they are numbered 1 to 3, or from 0, at byte 17: 7}"
    assert refusal(engine, '{"x":1,"_label":"7 2"}').endswith(', at byte 18: 7 2"}')


# after a kill

SINGLE = [
    '{"_label":1,"city":"Bonn \\u00e9\\n","u":{"age":0.5,"list":[1,{"x":true}]}}',
    "-1 |u age:2 |v x",
    '{"u":{"age":3},"_label":"0.5 2 0.25","_tag":"t"}',
    "0.5 |u age",
]
TAKEN = '"_labelIndex":1,"_label_cost":-1,"_label_probability":0.5'
SEVERAL = [
    f'{{{TAKEN},"s":{{"n":"a\\tb"}},"_multi":[{{"x":1}},{{"y":{{"z":2}}}}]}}',
    "shared |s n\n|a x\n1:0:0.5 |a y\n",
    '{"h":1,"_multi":[{"x":1,"_label":"1:1:0.25"},{"y":1}],"s":{"n":1}}',
    f'{{{TAKEN},"_multi":[{{"x":1}},{{"y":3}}]}}',
]


@pytest.mark.parametrize(("flags", "lines"), [("--bayes_linear", SINGLE), ("-q uv", SINGLE), ("--cb_adf", SEVERAL)])
def test_json_and_text_that_were_learned_come_back_after_a_kill(flags, lines, tmp_path):
    files = ["--journal", "journal", "-f", "final.model"]
    for line in lines:
        with serving(tmp_path, *flags.split(), *files) as daemon:
            answer = daemon.talk(line.encode() + b"\n")
            assert answer
            assert b"error" not in answer
            daemon.kill()
    with serving(tmp_path, *flags.split(), *files) as daemon:
        assert daemon.end() == 0
    shutil.rmtree(tmp_path / "journal")
    with serving(tmp_path, *flags.split(), "-f", "straight.model") as daemon:
        for line in lines:
            daemon.talk(line.encode() + b"\n")
        assert daemon.end() == 0
    assert arrays(tmp_path / "final.model") == arrays(tmp_path / "straight.model")


def test_lines_of_text_that_an_earlier_version_made_of_json_are_learned_as_text(tmp_path):
    text = b"1 |u age:0.5 | cityBonn\n"
    old, new = Engine(Workspace("").options), Engine(Workspace("").options)
    old.learn_again(text)
    new.learn_again(b'\n{"_label":1,"u":{"age":0.5},"city":"Bonn"}\n')
    for name, engine in (("old", old), ("new", new)):
        engine.save(str(tmp_path / name))
    assert arrays(tmp_path / "old") == arrays(tmp_path / "new")


def test_classes_whose_names_begin_like_json_come_back(tmp_path):
    line = b"\xef\xbb\xbf{a |x y\n"  # the mark of the byte order keeps it from being JSON
    engine = Engine(Workspace("--oaa 2 --named_labels {a,b").options)
    engine.note_learned()
    engine.run(line)
    learned = engine.take_learned()
    assert learned == b"{a |x y\n"
    again = Engine(Workspace("--oaa 2 --named_labels {a,b").options)
    again.learn_again(learned)
    for name, one in (("first", engine), ("again", again)):
        one.save(str(tmp_path / name))
    assert arrays(tmp_path / "first") == arrays(tmp_path / "again")
