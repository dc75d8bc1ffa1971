"""VW's JSON on the command line: the examples that its text has, bit for bit, and what Vowpal Wabbit learns of it."""

import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.daemon.test_json_beside_vw import EXAMPLE, decision
from tests.support.jsonlines import JSON_VALUE, KEYS
from tests.support.vw_json_as_text import JSONLineError, to_text
from vwlite.cli import main
from vwlite.core.types import LabelType
from vwlite.engine.driver import parse
from vwlite.engine.workspace import Workspace
from vwlite.parsers.vw_json import VwJsonParser


class Pair:
    """A parser of text and one of JSON, of one stack."""

    def __init__(self, flags: str, labels: LabelType, **how: bool) -> None:
        self.workspace = Workspace(flags)
        self.names = Workspace(flags + " --random_effect user --random_effect item" * bool(how.pop("entities", False)))
        how = {"writable": True, **how}
        self.json = VwJsonParser(self.names.options, [], False, labels, None, True, **how)
        self.of_files = VwJsonParser(self.names.options, [], False, labels, None, False, **{**how, "writable": False})
        self.text = self.names.parser

    def of_json(self, line: bytes) -> list[dict[str, Any]]:
        return shown(parse(self.json, line).examples())

    def of_text(self, text: bytes) -> list[dict[str, Any]]:
        return shown(parse(self.text, text).examples())


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without what depends on the form: places, and shared lines without a feature."""
    return [
        {name: value for name, value in row.items() if name not in ("line", "column")}
        for row in rows
        if not row["shared"] or row["namespaces"] or row["tag"]
    ]


def by_index(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the features of a namespace in any order."""
    found = []
    for row in rows:
        groups: dict[Any, Any] = {}
        for index, hash_, features in row["namespaces"]:
            groups.setdefault((index, hash_), []).extend(features)
        found.append({**row, "namespaces": sorted((key, sorted(group)) for key, group in groups.items())})
    return found


@pytest.fixture(scope="module")
def single():
    return Pair("", LabelType.SIMPLE)


@pytest.fixture(scope="module")
def decisions():
    return Pair("--thompson --bayes_logistic", LabelType.CONTEXTUAL_BANDIT)


def assert_same(pair: Pair, line: bytes, text: bytes) -> None:
    found, wanted = pair.of_json(line), pair.of_text(text)
    if " :" in text.decode():  # numbers without a name are a namespace of their own in text
        found, wanted = by_index(found), by_index(wanted)
    assert repr(found) == repr(wanted), (line, text)
    # several lines of a file, whose namespaces are remembered
    found = shown(parse(pair.of_files, b"\n".join([line, line, b"", line])).examples())
    if " :" in text.decode():
        found = by_index(found)
    assert repr(found) == repr(wanted * 3), (line, text)


@settings(max_examples=300)
@given(members=EXAMPLE, ascii_only=st.booleans())
def test_an_example_is_that_of_its_text(single, members, ascii_only):
    line = json.dumps(members, ensure_ascii=ascii_only).encode()
    assert_same(single, line, to_text(line, False))


@settings(max_examples=300)
@given(members=decision(), ascii_only=st.booleans())
@example(members={"a": {"x": 1}, "_multi": [{"x": 1}, {"b": {"y": 2}}], "ab": {"z": 1}, "h": 2}, ascii_only=True)
def test_a_decision_is_that_of_its_text(decisions, members, ascii_only):
    line = json.dumps(members, ensure_ascii=ascii_only).encode()
    assert_same(decisions, line, to_text(line, True))


@settings(max_examples=500)
@given(members=st.dictionaries(KEYS, JSON_VALUE, max_size=5), kind=st.booleans())
@example(members={"_labelIndex": None}, kind=False)
def test_what_has_no_text_is_refused(single, decisions, members, kind):
    pair, line = (single, decisions)[kind], json.dumps(members).encode()
    try:
        text = to_text(line, kind)
    except JSONLineError:
        text = b""
    rows = pair.of_json(line)
    refused = not text or any(row["kind"] == "problem" for row in pair.of_text(text))
    assert any(row["kind"] == "problem" for row in rows) == refused, (line, text, rows)
    if not refused:
        assert_same(pair, line, text)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"user": "u10"}, "|user u10"),
        ({"user": 7}, "|user 7"),
        ({"user": 7.0}, "|user 7"),
        ({"user": -0.0}, "|user 0"),
        ({"user": 0.1}, "|user 0.1"),
        ({"user": 12345678901234567890}, "|user 12345678901234567890"),
        ({"user": {"id": 7}}, "|user id7"),
        ({"user": {"id": "u10", "x": None}}, "|user idu10"),
        ({"user": {"ann": True}}, "|user ann"),
        ({"user": {"_text": "ann"}}, "|user ann"),
        ({"user": "ann", "item": 4, "use": 4}, "|user ann |item 4 | use:4"),
        ({"ctx": {"user": "ann", "x": 2}}, "|user ann |ctx x:2"),
    ],
)
def test_names_of_entities(line, text):
    pair = Pair("--bayes_linear", LabelType.SIMPLE, entities=True)
    assert repr(pair.of_json(json.dumps(line).encode())) == repr(pair.of_text(text.encode() + b"\n"))


PIECES = ["{", "}", "[", "]", ",", ":", '"a"', '"b"', "1", "-0.5e3", "01", "1.", ".5", "true", "nil", "null", "0", "-"]
PIECES += ['"\\u00e9"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\\u0000"', "1e999", "\x00", " ", '"', "\\"]
DOCUMENTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(max_size=20),
    st.tuples(
        EXAMPLE.map(json.dumps), st.integers(0, 300), st.sampled_from(["", *PIECES]), st.booleans()
    ).map(lambda part: part[0][: part[1]] + part[2] + part[0][part[1] + part[3] :]),
)  # fmt: skip


@settings(max_examples=1000)
@given(text=DOCUMENTS)
@example(text='{"a":1}x')
@example(text='{"a":-}')
@example(text='{"a":00}')
@example(text='{"a":1e}')
@example(text='{"_x":{"a":[1,]}}')
@example(text='{"_x":01}')
def test_what_orjson_refuses_is_refused(single, text):
    if "\n" in text or not text.strip(" \t\r"):
        return
    line = text.encode("utf-8", "surrogatepass")
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if "infinity" in str(error):  # a number of JSON, which is no value of a feature but may be ignored
            return
        assert [row["kind"] for row in single.of_json(line)] == ["problem"], line


def test_many_keys_are_few_enough_and_a_second_one_is_found(single):
    names = [f"key{i % 7}{'x' * (i % 20)}{i}" for i in range(3000)]
    for n in (2, 8, 15, 16, 17, 18, 40, 3000):
        record = dict.fromkeys(names[:n], 1)
        line = json.dumps(record)
        assert_same(single, line.encode(), to_text(line.encode(), False))
        for twice in (names[0], names[n // 2], names[n - 1]):
            (row,) = single.of_json((line[:-1] + f', "{twice}": 1}}').encode())
            assert row["kind"] == "problem"
            inner = {"a": record, "b": {names[0]: 1}, "c": [{names[0]: 1}, {names[0]: 2}]}
            (row,) = single.of_json(json.dumps(inner).encode())
            assert row["kind"] == "example"


def test_hash_chains_are_those_of_text_values():
    chained = Pair("", LabelType.SIMPLE, chained=True)
    line = b'{"_label":1,"city":"Bonn","u":{"12":"b4","":"x","y":"","z":"a b"},"n":2}'
    assert_same(chained, line, b"1 |u 12:b4 x y z:a_b | city:Bonn n:2\n")


# beside Vowpal Wabbit


def lines_of(rng: random.Random, count: int) -> list[str]:
    """Lines of dsjson as decision services write them."""
    found = []
    for i in range(count):
        n = rng.randint(2, 5)
        taken = rng.randrange(n)
        line: dict[str, Any] = {
            "_label_cost": -float(rng.random() < 0.4),
            "_label_probability": round(rng.uniform(0.1, 0.9), 3),
            "_label_Action": taken + 1,
            "_labelIndex": taken,
            "o": [{"v": 1, "EventId": "e"}],
            "EventId": f"e{i}",
            "a": [taken + 1] + [k + 1 for k in range(n) if k != taken],
            "c": {
                "User": {"id": f"u {i % 7}", "age": i % 50 / 10, "new": bool(i % 2), "a:b": 1},
                "list": [1, i % 3, 0.5],
                "_multi": [
                    {"A": {"id": f"x{k}", "p q": k + 1}, "word": f"w{rng.randint(0, 4)}", "_tag": f"t{k}"}
                    for k in range(n)
                ],
            },
            "p": [1 / n] * n,
            "VWState": {"m": "model/1"},
        }
        if i % 3 == 0:
            line["c"]["hour"] = i % 24
        if i % 5 == 0:
            line["pdrop"] = rng.choice([0, 0.5, 0.8, 0.25])
        if i % 4 == 0:
            line["c"]["Ux"] = {"z": i}
        if i % 6 == 0:
            line["c"]["_text"] = "some words a:b"
        if i % 7 == 0:
            line["_original_label_cost"] = -3
        found.append(json.dumps(line))
    return found


def run_both(folder: Path, lines: list[str], flags: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What vwlite and Vowpal Wabbit predict, learn and report."""
    (folder / "data.txt").write_text("".join(line + "\n" for line in lines))
    words = [*flags.split(), "-d", str(folder / "data.txt"), "--quiet"]
    found = []
    for name, command in (("lite", [sys.executable, "-m", "vwlite"]), ("vw", [sys.executable, "-m", "vowpalwabbit"])):
        files = {kind: folder / f"{name}.{kind}" for kind in ("p", "r")}
        outputs = ["-p", str(files["p"]), "--readable_model", str(files["r"])]
        outputs += ["--predict_only_model"] * (name == "vw")
        subprocess.run([*command, *words, *outputs], check=True, capture_output=True, text=True)
        predictions = [
            sorted(float(part.rpartition(":")[2]) for part in row.split(" ")[0].split(",") if part)
            for row in files["p"].read_text().split("\n")
            if row or "multilabel" in flags
        ]
        weights = {}
        for row in files["r"].read_text().split("\n"):
            slot, colon, value = row.partition(":")
            if slot.isdigit() and colon and value.count(":") == 0:
                weights[int(slot)] = float(value.split()[0])
        found.append({"predictions": predictions, "weights": {k: v for k, v in weights.items() if v}})
    return found[0], found[1]


def assert_alike(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert len(found["predictions"]) == len(wanted["predictions"])
    for mine, theirs in zip(found["predictions"], wanted["predictions"], strict=True):
        assert mine == pytest.approx(theirs, abs=2e-5)
    assert found.get("weights") == pytest.approx(wanted.get("weights"), abs=2e-5)


@pytest.mark.parametrize(
    "flags",
    ["--cb_type mtr", "--cb_type ips", "--cb_type dr", "--cb_type dm", "--chain_hash", "-q UA", "--hash all -q UA"],
)
def test_a_log_of_decisions_is_learned_as_by_vw(tmp_path, flags):
    lines = lines_of(random.Random(flags), 200)
    found, wanted = run_both(tmp_path, lines, f"--dsjson --cb_explore_adf --epsilon 0.1 {flags}")
    if "--hash all" in flags:  # VW's JSON gives the namespace without a name another hash than its text
        del found["weights"], wanted["weights"]
    assert_alike(found, wanted)


@pytest.mark.parametrize(
    ("flags", "label"),
    [
        ("", lambda i: [i % 3, f"{i % 3} 2 0.5", {"Label": i % 2, "Weight": 3}, None][i % 4]),
        ("--chain_hash -q uu", lambda i: i % 5),
        ("--oaa 3", lambda i: [i % 3 + 1, str(i % 3 + 1), f"{i % 3 + 1} 2"][i % 3]),
        ("--multilabel_oaa 4", lambda i: f"{i % 3},{i % 3 + 1}"),
        ("--csoaa 3", lambda i: f"1:{i % 2} 2:0.5 3:{(i + 1) % 2}"),
    ],
)
def test_single_examples_are_learned_as_by_vw(tmp_path, flags, label):
    lines = [
        json.dumps(
            {
                "_label": label(i),
                "hour": i % 24,
                "a b": "c|d:e\tf",
                "user": {"id": f"u{i % 6}", "new": i % 2 == 0, "deep": {"x": i / 7}},
                "pixels": [0.5, 0, i % 3],
                "_text": "some words",
            }
        )
        for i in range(120)
    ]
    found, wanted = run_both(tmp_path, lines, f"--json {flags}")
    assert_alike(found, wanted)


def test_readable_names_are_those_of_vw(tmp_path):
    line = '{"_label":1,"city":"Bonn","u":{"12":"34","a b":"c d","x":{"y":1}},"v":{"t":true},"w":[2,0,3]}'
    (tmp_path / "d").write_text(f"{line}\n{line}\n")
    names = []
    for module, extra in (("vwlite", []), ("vowpalwabbit", ["--predict_only_model"])):
        out = tmp_path / module
        words = ["-d", str(tmp_path / "d"), "--json", "--quiet", "--invert_hash", str(out), "--noconstant", *extra]
        subprocess.run([sys.executable, "-m", module, *words], check=True, capture_output=True)
        rows = [row.rsplit(":", 2)[:2] for row in out.read_text().split("\n") if row.count(":") == 2]
        names.append(sorted(row for row in rows if row[1].isdigit()))
    assert names[0] == names[1]


# the command line


@pytest.fixture
def learn(tmp_path, capsys, monkeypatch):
    """Runs lines of JSON; the exit status, the predictions, the messages."""
    monkeypatch.chdir(tmp_path)

    def command(lines: str, *words: str, name: str = "data.txt") -> tuple[int, list[str], str]:
        (tmp_path / name).write_text(lines)
        capsys.readouterr()
        status = main([name, "-p", "p.txt", "-f", "m.model", *words])
        path = tmp_path / "p.txt"
        found = path.read_text().split("\n") if path.exists() else []
        return status, [row for row in found if row], capsys.readouterr().err

    return command


ADF = ("--dsjson", "--cb_explore_adf")
LABEL = '"_label_cost":-1,"_label_probability":0.5,"_labelIndex":1'
MULTI = '"_multi":[{"x":1},{"y":1}]'


def test_labels_are_read_wherever_they_stand(learn):
    forms = [
        f'{{{LABEL},"c":{{{MULTI}}}}}',
        f'{{"c":{{{MULTI}}},{LABEL}}}',
        f'{{"c":{{{MULTI},{LABEL}}}}}',
        f'{{"_label_cost":-1,"_label_probability":0.5,"_label_Action":2,"c":{{{MULTI}}}}}',
        '{"c":{"_multi":[{"x":1},{"_label":{"Cost":-1,"Probability":0.5},"y":1}]}}',
        '{"c":{"_multi":[{"x":1},{"y":1,"_label":"2:-1:0.5"}]}}',
    ]
    found = [learn(f"{form}\n{form}\n", *ADF)[:2] for form in forms]
    assert found[0] == (0, ["0:0.5,1:0.5", "1:0.975,0:0.025"])
    assert all(one == found[0] for one in found)


def test_a_line_that_is_not_to_be_learned_is_predicted(learn):
    skipped = f'{{{LABEL},"_skipLearn":true,"c":{{{MULTI}}}}}'
    kept = skipped.replace("true", "false")
    assert learn(f"{skipped}\n{skipped}\n{kept}\n{skipped}\n", *ADF)[1] == ["0:0.5,1:0.5"] * 3 + ["1:0.975,0:0.025"]


def test_outcomes_that_came_late_are_no_examples(learn):
    good = f'{{{LABEL},"c":{{{MULTI}}}}}'
    status, found, said = learn(f'{good}\n{{"EventId":"e1","RewardValue":1}}\n{good}\n', *ADF)
    assert (status, len(found), "skipped" in said) == (0, 2, False)


def test_costs_of_classes_of_lines(learn):
    line = '{"s":{"z":1},"_multi":[{"_label":"1:0.5","a":{"x":1}},{"_label":"2:0","a":{"y":1}}]}'
    text = "shared |s z:1\n1:0.5 |a x:1\n2:0 |a y:1\n\n"
    assert learn(f"{line}\n" * 3, "--json", "--csoaa_ldf", "m")[1] == learn(text * 3, "--csoaa_ldf", "m")[1]


def test_passes_and_threads_make_no_difference(learn):
    lines = "".join(f"{line}\n" for line in lines_of(random.Random(3), 800))
    first = learn(lines, *ADF, "--passes", "3", "--holdout_off", "-c")
    assert first[0] == 0
    assert learn(lines, *ADF, "--passes", "3", "--holdout_off", "-c", "--onethread")[1] == first[1]


def test_a_log_is_recognized(learn):
    lines = "".join(f"{line}\n" for line in lines_of(random.Random(4), 3))
    wanted = learn(lines, *ADF)[1]
    for name in ("log.json", "log"):
        status, found, said = learn(lines, "--cb_explore_adf", name=name)
        assert (status, found) == (0, wanted)
        assert f"{name}: read as dsjson, as it looks like that (--format vw if it is not)" in said
    assert learn(lines, "--cb_explore_adf", name="log.dsjson")[1] == wanted


@pytest.mark.parametrize(
    ("words", "line", "message"),
    [
        (["--json"], '{"a":1,"a":2}', "data.txt:2:9: the key occurs twice in one object"),
        (["--json"], '{"a":01}', "data.txt:2:7: not a number of JSON"),
        (["--json"], '{"a":1e999}', "data.txt:2:6: the feature's value is not finite: 1e999}"),
        (["--json"], '{"a":"\\ud800"}', "data.txt:2:7: not an escape of JSON, or half of a surrogate pair"),
        (["--json"], "[1]", "data.txt:2:1: an example in JSON is an object"),
        (["--json"], '{"a":["b"]}', "data.txt:2:7: an array of features has numbers and objects in it"),
        (["--json"], '{"a":' * 70 + "1" + "}" * 70, "more than 64 objects and arrays inside each other"),
        (["--json"], '{"_x":' * 99 + "1" + "}" * 99, "more than 64 objects and arrays inside each other"),
        (["--json"], '{"_multi":[{}]}', "data.txt:2:11: _multi is for multi-line examples"),
        (["--json"], '{"_labels":1}', "data.txt:2:3: there is no such key: only _label, _labelIndex"),
        (["--json"], '{"_label":{"Cost":1}}', "data.txt:2:13: no part of this kind of label"),
        (["--json"], '{"_label":"1 x"}', "data.txt:2:11: in a string, _label is 'label importance initial'"),
        (["--json"], '{"_label":"1 -2"}', "the importance weight is negative"),
        (["--json"], '{"_tag":5}', "data.txt:2:9: _text and _tag are strings"),
        (["--json", "--oaa", "2"], '{"_label":2.5}', "a class is a whole number of 0 or more, or a name"),
        (["--json", "--cb_explore_adf"], '{"a":1}', "need _multi, an array of actions"),
        (["--json", "--cb_explore_adf"], '{"_multi":[]}', "data.txt:2:12: _multi is an array with an object for each"),
        (["--json", "--cb_explore_adf"], '{"_multi":[{"_multi":[{}]}]}', "_multi inside _multi, or twice"),
        (["--json", "--cb_explore_adf"], f'{{{LABEL},"_multi":[{{}}]}}', "there is no action of this number"),
        (["--json", "--cb_explore_adf"], f'{{"_label_cost":1,{MULTI}}}', "the label has no action: give _labelIndex"),
        (["--json", "--cb_explore_adf"], '{"_multi":[{"_label_cost":1}]}', "needs both cost and probability"),
        (["--json", "--cb_explore_adf"], f'{{"_labelIndex":-1,{MULTI}}}', "_labelIndex is the number of an action"),
        ([*ADF], f'{{{LABEL},"pdrop":1,"c":{{{MULTI}}}}}', "pdrop, the probability with which such events were"),
        ([*ADF], f'{{{LABEL},"_skipLearn":1,"c":{{{MULTI}}}}}', "_skipLearn is true or false"),
        ([*ADF], f"{{{LABEL},{MULTI}}}", "a line of dsjson has the context in the key c"),
        ([*ADF], f'{{{LABEL},"c":[1]}}', "c, the context, is an object"),
        ([*ADF], f'{{{LABEL.replace("0.5", "1.5")},"c":{{{MULTI}}}}}', "not a number above 0 and at most 1"),
        ([*ADF], f'{{{LABEL},"c":{{"_slots":[{{}}],{MULTI}}}}}', "_slots and _outcomes are of examples of several"),
    ],
)  # fmt: skip
def test_a_bad_line_is_skipped_with_place_and_reason(learn, words, line, message):
    good = f'{{{LABEL},"c":{{{MULTI}}}}}' if "--dsjson" in words else '{"_label":1,"b":1}'
    if "--cb_explore_adf" in words and "--json" in words:
        good = f"{{{LABEL},{MULTI}}}"
    status, found, said = learn(f"{good}\n{line}\n{good}\n", *words)
    assert (status, len(found)) == (0, 2)
    assert message in said
    assert said.count("\nskipped data.txt:2:") == 1


def test_bytes_that_are_no_text_and_lines_that_are_too_long(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    long = b'{"_label":1,"b":"' + b"y" * 2000 + b'"}\n'
    Path("x").write_bytes(b'{"_label":1,"a":1}\n{"_label":1,"a":"\xe9"}\n' + long)
    assert main(["x", "--json", "--max_line_bytes", "1024", "-p", "q", "-f", "m"]) == 0
    assert len(Path("q").read_text().split()) == 1


def test_formats_that_contradict_each_other(learn):
    status, _, said = learn('{"x":1}\n', "--json", "--format", "csv")
    assert status == 1
    assert "--format csv and --json: one run reads one format" in said
    status, _, said = learn('{"x":1}\n', "--json", "--label", "y")
    assert status == 1
    assert "--label is of tables, and data.txt is read as VW's JSON" in said
    status, _, said = learn('{"x":1}\n', "--cb_explore_adf", name="data.json")
    assert status == 1
    assert "if this is VW's JSON, add --json or --dsjson" in said


@pytest.mark.parametrize("flags", ["--epsilon 0.2", "--epsilon 0.2 --cb_type ips -q UA"])
def test_decisions_stand_for_those_that_the_log_left_out(learn, tmp_path, flags):
    rng = random.Random(flags)
    log = [{**json.loads(line), "pdrop": rng.choice([0, 0.5, 0.9])} for line in lines_of(rng, 300)]
    text = "".join(json.dumps(line) + "\n" for line in log)
    said = dict(row.split(" = ") for row in learn(text, *ADF, *flags.split())[2].split("\n") if " = " in row)
    command = [sys.executable, "-m", "vowpalwabbit", "-d", str(tmp_path / "data.txt"), *ADF, *flags.split()]
    theirs = subprocess.run(command, check=True, capture_output=True, text=True)
    average = re.search(r"average loss = (\S+)", theirs.stderr + theirs.stdout)
    assert average is not None
    assert float(said["ips"]) == pytest.approx(float(average[1]), abs=2e-6)
    weights = [1 / (1 - line["pdrop"]) for line in log]
    assert float(said["weighted decisions"]) == pytest.approx(sum(weights), abs=1e-3)
    costs = sum(weight * line["_label_cost"] for weight, line in zip(weights, log, strict=True))
    assert float(said["logged cost"]) == pytest.approx(costs / sum(weights), abs=1e-6)
    assert said["decisions"] == "300"


def test_weights_of_lines_weigh_the_loss(learn):
    cheap = '{"_label_cost":1,"_label_probability":0.5,"_labelIndex":0,"pdrop":0.75,"c":{"_multi":[{"x":1},{"y":1}]}}'
    other = cheap.replace('"pdrop":0.75', '"pdrop":0').replace('"_label_cost":1', '"_label_cost":0')
    said = learn(f"{cheap}\n{other}\n", *ADF, "--epsilon", "0")[2]
    average = next(row for row in said.split("\n") if row.startswith("average loss"))
    assert math.isclose(float(average.split()[-1]), 4 * 1 * 0.5 * 2 / 5, abs_tol=1e-6)
