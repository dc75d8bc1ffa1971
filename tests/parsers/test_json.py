"""JSON on the command line: the same examples as dicts of the objects that orjson reads."""

import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.records import line
from vwlite import Workspace
from vwlite.cli import main

NAMES = st.text('abcz09 _é\U0001f600"\\\n:|', min_size=1, max_size=5).filter(lambda name: not name.startswith("_"))
NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8))
LISTS = st.lists(st.one_of(NUMBERS, NAMES, st.dictionaries(NAMES, NUMBERS, max_size=2)), max_size=4)
OBJECTS = st.dictionaries(NAMES, st.one_of(SCALARS, LISTS, st.dictionaries(NAMES, SCALARS, max_size=3)), max_size=6)


@pytest.fixture
def learn(tmp_path, capsys, monkeypatch):
    """Trains on JSON; the exit status, the predictions, the messages."""
    monkeypatch.chdir(tmp_path)

    def command(text: str | bytes, *words: str, name: str = "data.json") -> tuple[int, list[float], str]:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        capsys.readouterr()
        status = main([name, "-p", "p.txt", "-f", "m.model", *words])
        path = tmp_path / "p.txt"
        found = [float(row.split()[0]) for row in path.read_text().split("\n") if row] if path.exists() else []
        return status, found, capsys.readouterr().err

    return command


def rounded(predictions) -> list[float]:
    return [float(f"{value:.6f}") for value in predictions]


def train(folder, text: bytes, *words: str) -> list[float]:
    (folder / "d.json").write_bytes(text)
    assert main(["-d", str(folder / "d.json"), "-p", str(folder / "p"), "--quiet", "--allow_empty", *words]) == 0
    return [float(row) for row in (folder / "p").read_text().split()]


@settings(max_examples=80)
@given(st.lists(OBJECTS, min_size=1, max_size=5), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_objects_are_the_dicts_of_orjson(tmp_path_factory, records, indent, ascii_only):
    folder = tmp_path_factory.mktemp("json")
    labelled = [{"_label": i % 3, **record} for i, record in enumerate(records)]
    texts = [json.dumps(record, ensure_ascii=ascii_only, indent=indent) for record in labelled]
    known = [orjson.loads(text) for text in texts]
    expected = rounded(Workspace().learn(known))
    joined = "[" + ",".join(texts) + "]"
    assert train(folder, joined.encode()) == expected
    assert train(folder, "\n".join(texts).encode()) == expected


BRACKETS = ["{", "}", "[", "]", ",", ":", '"a"', '"b"', "1", "-0.5e3"]
PIECES = [*BRACKETS, "01", "1.", ".5", "true", "nil", "null", '"\\u00e9"', '"\\ud800"', '"\\x"']
DOCUMENTS = st.one_of(
    st.lists(st.sampled_from([*PIECES, "\x00", "\x1f"]), max_size=12).map("".join),
    st.text(max_size=20),
    OBJECTS.map(json.dumps).map(lambda text: text[:-1]),
)


@settings(max_examples=200)
@given(DOCUMENTS)
@example('{"a":1}x')
@example('{"a":1,}')
@example('{"a" 1}')
@example('{"a":-}')
@example('{"a":1e}')
@example('{"a":"\t"}')
def test_what_orjson_refuses_is_refused(tmp_path_factory, text):
    if "\n" in text or "\ud800" in text or not text.strip(" \t\r\n"):
        return
    try:
        whole = orjson.loads(text)
        fine = isinstance(whole, dict)
    except orjson.JSONDecodeError:
        fine = False
    if fine:
        return
    folder = tmp_path_factory.mktemp("json")
    good = '{"_label":1,"good":1}\n'
    (folder / "d.ndjson").write_bytes((good + text + "\n" + good).encode("utf-8", "surrogatepass"))
    status = main(["-d", str(folder / "d.ndjson"), "-p", str(folder / "p"), "--quiet", "--max_malformed", "0"])
    assert status == 1


def test_what_is_no_feature_and_what_text_has(learn):
    lines = [
        {"_label": 1, "_weight": 2, "_initial": 0.25, "_tag": "t7", "x": 1.5},
        {"_label": "2 0.5", "_tag": 8, "x": 2.5},
        {"_label": None, "x": 3},
        {"_other": 4, "_label": True},
    ]
    status, found, _ = learn("".join(json.dumps(one) + "\n" for one in lines))
    text = ["1 2 0.25 t7| x:1.5", "2 0.5 8| x:2.5", "| x:3", "1 | _other:4"]
    assert (status, found) == (0, rounded(Workspace().learn(text)))
    assert [row.split()[1] for row in Path("p.txt").read_text().split("\n")[:2]] == ["t7", "8"]


RECORDS = [
    {"click": "yes", "user": "ann", "shop": {"price": 1.5, "n": 2}},
    {"click": "no", "user": 7, "shop": {"price": 2}},
]
NDJSON = "".join(json.dumps(record) + "\n" for record in RECORDS)


@pytest.mark.parametrize("name", ["data.json", "data.ndjson", "data.jsonl", "data.unknown"])
def test_a_column_map_is_for_keys_too(learn, name):
    flags = ["--bayes_linear", "--random_effect", "user", "--label", "click:binary(yes)"]
    status, found, said = learn(NDJSON, *flags, name=name)
    lines = ["1 |user ann |shop price:1.5 n:2", "-1 |user 7 |shop price:2"]
    assert (status, found) == (0, rounded(Workspace("--bayes_linear --random_effect user").learn(lines)))
    assert ("read as JSON" in said) == (name == "data.unknown")
    status, found, _ = learn(NDJSON, *flags, "--columns_in", "shop.n:ignore shop.price:category /.*/:auto")
    lines = ["1 |user ann |shop price=1.5", "-1 |user 7 |shop price=2"]
    assert (status, found) == (0, rounded(Workspace("--bayes_linear --random_effect user").learn(lines)))


@pytest.mark.parametrize("keys", [("user", "y", "x"), ("y", "user", "x"), ("x", "user", "y")])
@pytest.mark.parametrize("rules", ["", "x:number@numbers,/.*/:auto", "user:entity,/.*/:auto"])
def test_the_namespace_of_a_key_does_not_depend_on_the_key_before(keys, rules, tmp_path):
    rows = [{"user": f"u{i % 3}", "x": i + 1, "y": i % 5} for i in range(20)]
    (tmp_path / "d.ndjson").write_text("".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows))
    space = "numbers" if "@" in rules else ""
    lines = [f"{row['y']} |user {row['user']} |{space} x:{row['x']}\n" for row in rows]
    (tmp_path / "d.vw").write_text("".join(lines))
    given = "".join(f" --columns_in {rule}" for rule in rules.split(",") if rule)
    for name, words in (("d.ndjson", f"--label y{given}"), ("d.vw", "")):
        command = f"{tmp_path}/{name} {words} --bayes_linear --random_effect user --strict_parse -p {tmp_path}/{name}.p"
        assert main([*command.split(), "--quiet"]) == 0
    said = [np.loadtxt(tmp_path / f"{name}.p") for name in ("d.ndjson", "d.vw")]
    np.testing.assert_allclose(said[0], said[1], rtol=1e-4, atol=1e-5)


def test_the_same_record_is_the_same_example_in_every_format(learn):
    records = [
        {"price": 2.5, "city": "New York", "new": True, "n": 0},
        {"price": -1, "city": "Rome:|", "new": False, "n": 3},
    ]
    ndjson = "".join(json.dumps({"y": i, **record}) + "\n" for i, record in enumerate(records, 1))
    table = "y,price,city,new,n\n1,2.5,New York,true,0\n2,-1,Rome:|,false,3\n"
    text = "".join(line(record, i) + "\n" for i, record in enumerate(records, 1))
    found = [
        learn(ndjson, "--label", "y", name="d.ndjson")[1],
        learn(table, "--label", "y", name="d.csv")[1],
        learn(text, name="d.vw")[1],
        rounded(Workspace().learn(records, [1, 2])),
    ]
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1,"a":2}', "data.ndjson:2:9: the key occurs twice in one object"),
        ('{"a":{"b":1,"b":2}}', "the key occurs twice in one object"),
        ('{"a":01}', "not a number of JSON"),
        ('{"a":1e999}', "the feature's value is not finite: a=inf"),
        ('{"a":NaN}', "not JSON here"),
        ('{"a":"\\ud800"}', "half of a surrogate pair"),
        ('{"a":"\\ud800\\u0041"}', "half of a surrogate pair"),
        ('{"a":[[1]]}', "an array inside an array"),
        ('{"":[1]}', "an object or array without a name"),
        ('{"":1}', "a value without a name"),
        ("[1]", "an example in JSON is an object"),
        ('{"a":1} x', "data.ndjson:2:9: not JSON here"),
        ('{"_label":{}}', "_label is a number or a string"),
        ('{"_weight":-1,"_label":1}', "the importance weight is negative"),
        ('{"a":' + '{"a":' * 70 + "1" + "}" * 71, "more than 64 objects and arrays inside each other"),
        ("[" * 100_000, "an example in JSON is an object"),
        ('{"a":' + "[" * 100_000, "an array inside an array"),
        ('{"a', "not JSON here"),
        ('{"a":1', "not JSON here"),
        ('{"a":' + "1" * 600 + "}", "or one of more than 512 digits"),
    ],
)
def test_a_bad_line_is_skipped_with_place_and_reason(learn, text, message):
    good = '{"_label":1,"b":1}\n'
    status, found, said = learn(f"{good}{text}\n{good}", name="data.ndjson")
    assert (status, len(found)) == (0, 2)
    assert message in said
    assert said.count("\nskipped data.ndjson:2:") == 1


def test_bytes_that_are_not_utf8_are_skipped(learn):
    status, found, said = learn(b'{"_label":1,"a":1}\n{"_label":1,"a":"\xe9"}\n', name="data.ndjson")
    assert (status, len(found)) == (0, 1)
    assert "skipped data.ndjson:2:18: not UTF-8 text" in said


@pytest.mark.parametrize("text", ['[{"_label":1,"a":1},\n{"a":1 "b":2}]', '[{"a":1},\n{"a":nil}]', '[{"a":1},\n{"a":1'])
def test_in_an_array_what_is_no_json_ends_the_run(learn, text, tmp_path):
    status, _, said = learn(text)
    assert status == 1
    assert "data.json: byte " in said
    assert "of the object that begins with" in said
    assert not (tmp_path / "m.model").exists()


def test_many_keys_and_long_documents(learn):
    record = {f"k{i}": i % 7 + 1 for i in range(30_000)}
    status, found, _ = learn(json.dumps([{"_label": 1, **record}] * 3))
    assert (status, found) == (0, rounded(Workspace().learn([record] * 3, [1] * 3)))
    rows = [{"_label": i % 2, "text": f"x{i % 11}\n\u00e9", "v": i / 16} for i in range(20_000)]
    expected = rounded(Workspace().learn([orjson.loads(json.dumps(row)) for row in rows]))
    assert learn("".join(json.dumps(row) + "\n" for row in rows), name="d.ndjson")[1] == expected
    assert learn(json.dumps(rows, indent=1), "--onethread")[1] == expected


def test_a_model_keeps_the_map(learn, tmp_path, capsys):
    learn(NDJSON, "--label", "click:binary(yes)", "--columns_in", "user:category shop:auto")
    (tmp_path / "ask.ndjson").write_text('{"user": "ann", "shop": {"price": 1.5}}\n{"new": 1}\n')
    capsys.readouterr()
    assert main(["-t", "-i", "m.model", "ask.ndjson", "-p", "q.txt"]) == 0
    assert "skipped ask.ndjson:2:3: no rule of --columns_in matches the key" in capsys.readouterr().err


def test_no_data_is_no_example(learn):
    for text in ("", "\n \n", "[]", "[\n]"):
        status, _, said = learn(text)
        assert status == 1
        assert "no example with a feature" in said


def test_keys_that_are_no_features_are_none_under_a_column_map_either(learn):
    text = '{"_label": 1, "a": 2, "_tag": "t", "_weight": 3}\n{"a": 1, "_label": 0}\n' * 20
    for words in ([], ["--columns_in", "/.*/:auto"], ["--columns_in", "a:number"]):
        status, found, _ = learn(text, *words, "--quiet")
        assert status == 0
        assert found == pytest.approx(Workspace().learn(["1 3 t| a:2", "0 | a:1"] * 20), abs=1e-5)
