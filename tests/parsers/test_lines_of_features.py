"""libsvm, labels with words, and records of bags of features: the examples of VW's text, bit for bit."""

import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.types import LabelType
from vwlite.engine.driver import parse
from vwlite.parsers.json import JsonParser
from vwlite.parsers.libsvm import LibsvmParser
from vwlite.parsers.words import WordsParser

PLAIN = Workspace("")
USERS = Workspace("--bayes_linear --random_effect userId")
SVM = LibsvmParser(PLAIN.options, [], False, LabelType.SIMPLE, True)
WORDS = WordsParser(PLAIN.options, [], False, LabelType.SIMPLE, True)
BAGS = JsonParser(USERS.options, [], False, LabelType.SIMPLE, None, True, bags=True)


def rows(parser, text: str) -> list[dict[str, Any]]:
    found = parse(parser, text.encode("utf-8", "surrogatepass")).examples()
    return [{name: value for name, value in row.items() if name not in ("line", "column")} for row in found]


def same(parser, line: str, text: str, workspace: Workspace = PLAIN) -> bool:
    return repr(rows(parser, line)) == repr(rows(workspace.parser, text))


@pytest.fixture
def learn(tmp_path, capsys, monkeypatch):
    """Trains on a file; the exit status, the predictions, the messages."""
    monkeypatch.chdir(tmp_path)

    def command(text: str | bytes, *words: str, name: str) -> tuple[int, list[str], str]:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        capsys.readouterr()
        status = main([name, "-p", "p.txt", "-f", "m.model", *words])
        found = Path("p.txt").read_text().split("\n") if Path("p.txt").exists() else []
        return status, [row for row in found if row], capsys.readouterr().err

    return command


# libsvm

VALUES = st.one_of(st.integers(-9, 9), st.floats(-1e9, 1e9, width=32)).map(repr)
PAIRS = st.dictionaries(st.integers(0, 2**32 - 1), VALUES, max_size=6).map(lambda pairs: sorted(pairs.items()))
LABELS = st.one_of(st.sampled_from(["0", "1", "-1", "+1", "2.5", "-1e3", "+0.25"]), VALUES)
BLANKS = st.sampled_from([" ", "  ", "\t"])


@settings(max_examples=300)
@given(LABELS, PAIRS, BLANKS, st.sampled_from(["", "#", " # a comment 7:1", "#8:2"]), st.sampled_from(["\n", "\r\n"]))
def test_a_line_of_libsvm_is_that_of_its_text(label, pairs, blank, comment, end):
    words = [f"{index}:{value}" for index, value in pairs]
    assert same(SVM, blank.join([label, *words]) + comment + end, f"{label.lstrip('+')} | {' '.join(words)}\n")


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-2, 2), PAIRS), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_the_matrix_is_that_of_sklearn(examples, zero_based, comments):
    examples = [(y, [(index % 1000 + 1, value) for index, value in pairs]) for y, pairs in examples]
    examples = [(y, sorted(dict(pairs).items())) for y, pairs in examples]
    text = "".join(
        f"{y} {' '.join(f'{i}:{v}' for i, v in pairs)}{' # c' * comments}\n" for y, pairs in examples
    )  # fmt: skip
    x, y = load_svmlight_file(BytesIO(text.encode()), n_features=1001, zero_based=True)
    written = BytesIO()
    dump_svmlight_file(x, y, written, zero_based=True, comment="by sklearn" if comments else None)
    for source in (text, written.getvalue().decode()):
        found = rows(SVM, source)
        assert [row["label"] for row in found] == y.tolist()
        for i, row in enumerate(found):
            mine = {hash_: value for _, _, features in row["namespaces"] for hash_, value in features}
            theirs = {int(j): x[i, j] for j in x[i].indices if x[i, j]}
            assert mine.keys() == {j for j, value in theirs.items() if abs(value) > 1e-45}
            assert all(value == pytest.approx(theirs[j], rel=1e-6) for j, value in mine.items())


@settings(max_examples=400)
@given(st.text("01-+:.# eqid,\t\rx", max_size=14))
@example("1 2:1 2:1")
@example("1 2:1 1:1")
def test_what_sklearn_refuses_is_refused(text):
    try:
        load_svmlight_file(BytesIO(text.encode() + b"\n"), zero_based=True)
    except (ValueError, OverflowError):
        words = text.partition("#")[0].split()
        if words and ":" not in words[0] and "," not in words[0] and not any(w.startswith("qid:") for w in words):
            assert [row["kind"] for row in rows(SVM, text + "\n")] == ["problem"] or not text.strip()


@pytest.mark.parametrize(
    ("labels", "line", "text"),
    [
        (LabelType.MULTICLASS, "3 1:2", "3 | 1:2"),
        (LabelType.MULTICLASS, "+3.0 1:2", "3 | 1:2"),
        (LabelType.MULTICLASS, "cat 1:2", "cat | 1:2"),
        (LabelType.MULTILABEL, "1,3 1:2", "1,3 | 1:2"),
        (LabelType.MULTILABEL, " 1:2 5:1", "| 1:2 5:1"),
        (LabelType.SIMPLE, "2 qid:17 1:2", "2 17| 1:2"),
        (LabelType.SIMPLE, "1:2", "| 1:2"),
        (LabelType.SIMPLE, "1", "1 |"),
    ],
)
def test_labels_of_libsvm(labels, line, text):
    flags = {LabelType.MULTICLASS: "--oaa 9", LabelType.MULTILABEL: "--multilabel_oaa 9"}.get(labels, "")
    parser = LibsvmParser(PLAIN.options, [], False, labels, True)
    found, wanted = rows(parser, line + "\n"), rows(Workspace(flags).parser, text + "\n")
    assert repr(found) == repr(wanted)


BAD = [
    ("libsvm", "1 a:1", "d.txt:2:3: the index of a feature is a whole number below 4,294,967,296"),
    ("libsvm", "1 4294967296:1", "d.txt:2:3: the index of a feature is a whole number"),
    ("libsvm", "1 -1:1", "d.txt:2:3: the index of a feature is a whole number"),
    ("libsvm", "1 :1", "d.txt:2:3: the index of a feature is a whole number"),
    ("libsvm", "1 3:1 2:1", "d.txt:2:7: the indices of a line ascend, and each occurs once"),
    ("libsvm", "1 3:1 3:1", "d.txt:2:7: the indices of a line ascend"),
    ("libsvm", "1 3:x", "d.txt:2:5: the value of the feature is not a finite number"),
    ("libsvm", "1 3:", "d.txt:2:5: the value of the feature is not a finite number"),
    ("libsvm", "1 3:1e999", "d.txt:2:5: the value of the feature is not a finite number"),
    ("libsvm", "1 3:nan", "d.txt:2:5: the value of the feature is not a finite number"),
    ("libsvm", "1 2 3:1", "d.txt:2:3: a line of libsvm is a label and features index:value"),
    ("libsvm", "nan 3:1", "is not a number: label=nan"),
    ("libsvm", "1,2 3:1", "the stack accepts one number as the label"),
    ("words", "1 a fine day", "d.txt:2:1: no '##' in the line: a label, '##' and words"),
    ("words", "good ## a fine day", "is not a number: label=good"),
    ("ntv", '{"label": "x", "features": []}', "is not a number"),
    ("ntv", '{"label": [1]}', "d.txt:2:11: label (or response), weight and offset are numbers"),
    ("ntv", '{"weight": -1}', "the importance weight is negative: weight=-1"),
    ("ntv", '{"features": [1]}', "d.txt:2:15: a bag of features is an array of objects"),
    ("ntv", '{"features": [{"name": "a"}]}', 'd.txt:2:15: a feature is {"name": TEXT, "term": TEXT, "value": NUMBER}'),
    ("ntv", '{"features": [{"name": "", "value": 1}]}', "d.txt:2:15: a feature is"),
    ("ntv", '{"features": [{"name": "a", "value": 1e39}]}', "d.txt:2:38: the feature's value is not finite"),
    ("ntv", '{"features": [{"name": "a", "value": 1,}]}', "d.txt:2:40: not JSON here"),
    ("ntv", '{"features": [], "features": []}', "the key occurs twice in one object"),
    ("ntv", "[1]", "an example in JSON is an object"),
    ("ntv", '{"x":' * 70 + "1" + "}" * 70, "more than 64 objects and arrays inside each other"),
    ("ntv", '{"uid":' + '{"a":' * 70 + "1" + "}" * 71, "more than 64 objects and arrays inside each other"),
]
GOOD = {"libsvm": "1 3:1", "words": "1 ## day", "ntv": '{"label": 1, "features": [{"name": "a", "value": 1}]}'}


@pytest.mark.parametrize(("form", "line", "message"), BAD)
def test_a_bad_line_is_skipped_with_place_and_reason(learn, form, line, message):
    status, found, said = learn(f"{GOOD[form]}\n{line}\n{GOOD[form]}\n", "--format", form, name="d.txt")
    assert (status, len(found)) == (0, 2)
    assert message in said
    assert said.count("\nskipped d.txt:2:") == 1


@pytest.mark.parametrize("form", GOOD)
def test_bytes_that_are_no_text_are_skipped(learn, form):
    text = GOOD[form].encode() + b"\n" + GOOD[form].encode().replace(b"1", b"1\xe9", 1) + b"\n"
    status, found, said = learn(text, "--format", form, name="d.txt")
    assert (status, len(found)) == (0, 1)
    assert "skipped d.txt:2:" in said
    assert "not UTF-8 text" in said


@pytest.mark.parametrize("form", GOOD)
def test_nothing_but_blank_lines_is_no_example(learn, form):
    status, _, said = learn("\n  \n\t\r\n" + "# comment\n" * (form == "libsvm"), "--format", form, name="d.txt")
    assert status == 1
    assert "no example with a feature" in said


def test_libsvm_by_its_suffix_packed_in_passes_with_names(learn, tmp_path):
    text = "".join(f"{1 - i % 2 * 2} {i % 5}:0.5 {i % 7 + 5}:{i / 9}\n" for i in range(3000))
    lines = [line.split(" ", 1) for line in text.splitlines()]
    wanted = learn("".join(f"{y} | {x}\n" for y, x in lines), "--passes", "2", "-c", "-k", name="d.vw")[1]
    for name in ("d.svm", "d.libsvm"):
        assert learn(text, "--passes", "2", "-c", "-k", "--invert_hash", "n", name=name)[1] == wanted
    assert "7:" in Path("n").read_text()
    assert learn(gzip.compress(text.encode()), "--passes", "2", "-c", "-k", "--onethread", name="d.svm.gz")[1] == wanted


# words


@settings(max_examples=300)
@given(
    st.sampled_from(["1", "-1", "0.5 2", "1 2 0.25", ""]),
    st.lists(st.text("abAB,.09é'_-:|#\x01", min_size=1, max_size=6), max_size=6),
    st.sampled_from(["##", " ##", "## ", " ## "]),
)
@example("1", ["##", "a"], "##")
def test_labels_and_words(label, words, mark):
    clean = [word.translate(str.maketrans(":|\x01", "___")) for word in words]
    line = label + mark + " ".join(words)
    if words and mark.endswith("##") and words[0].startswith("#"):
        return  # the mark would be longer
    assert same(WORDS, line + "\n", f"{label} | {' '.join(clean)}\n" if label else f"| {' '.join(clean)}\n")


def test_classes_with_words(learn):
    text = "".join(f"{'ham' if i % 2 else 'spam'} ## {'Dear' if i % 2 else 'win!'} word{i % 4}\n" for i in range(60))
    vw = text.replace("##", "|")
    flags = ("--oaa", "2", "--named_labels", "ham,spam")
    assert learn(text, "--format", "words", *flags, name="d.txt")[1] == learn(vw, *flags, name="d.vw")[1]


# bags

NAMES = st.text('abcz09 _é\U0001f600"\\\n:|', min_size=1, max_size=5)
FEATURES = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "value": st.one_of(st.integers(-9, 9), st.floats(-1e9, 1e9, width=32))},
        optional={"term": st.one_of(st.none(), st.text("ab9 :é", max_size=4))},
    ),
    max_size=4,
)
CLEAN = str.maketrans(dict.fromkeys(" \n:|", "_"))


def in_text(features: list[dict[str, Any]]) -> str:
    words = []
    for one in features:
        name = one["name"] + ("=" + one["term"] if one.get("term") else "")
        words.append(f" {name.translate(CLEAN)}:{one['value']!r}")
    return "".join(words)


@settings(max_examples=300)
@given(FEATURES, FEATURES, st.sampled_from(["u7", 7, None]), st.booleans(), st.booleans())
def test_a_record_is_that_of_its_text(one, two, user, inner, ascii_only):
    record: dict[Any, Any] = {
        "uid": "t1",
        "label": 1,
        "weight": 2,
        "offset": 0.5,
        "features": one,
        "other": {"x": [1, {}]},
    }
    record["userBag"] = two
    if inner:
        record["metadataMap"] = {"userId": user, "day": "d"}
    else:
        record["userId"] = user
    text = f"1 2 0.5 t1| {in_text(one)} |userBag {in_text(two)}" + (f" |userId {user}" if user else "") + "\n"
    found, wanted = rows(BAGS, json.dumps(record, ensure_ascii=ascii_only) + "\n"), rows(USERS.parser, text)
    assert repr(found) == repr(wanted)


def test_values_in_the_objects_of_avro(learn):
    plain = {"response": 1, "weight": 2.0, "userId": "u", "features": [{"name": "a", "term": "b", "value": 0.5}]}
    avro = {
        "response": {"double": 1},
        "weight": {"float": 2.0},
        "userId": {"string": "u"},
        "features": [{"name": "a", "term": {"string": "b"}, "value": {"double": 0.5}}],
    }
    assert repr(rows(BAGS, json.dumps(plain) + "\n")) == repr(rows(BAGS, json.dumps(avro) + "\n"))


def test_records_are_recognized_in_lines_and_in_an_array(learn):
    records = [
        {"label": i % 2, "userId": f"u{i % 3}", "features": [{"name": "x", "term": f"t{i % 5}", "value": i / 8}]}
        for i in range(50)
    ]
    flags = ("--random_effect", "userId", "--bayes_linear")
    lines = "".join(json.dumps(one) + "\n" for one in records)
    vw = "".join(f"{i % 2} | x=t{i % 5}:{i / 8} |userId u{i % 3}\n" for i in range(50))
    wanted = learn(vw, *flags, name="d.vw")[1]
    for name, text in (("d.json", lines), ("d", lines), ("e.json", json.dumps(records, indent=1))):
        status, found, said = learn(text, *flags, name=name)
        assert (status, found) == (0, wanted)
        assert f"{name}: read as records of bags of features, as it looks like that" in said


@pytest.mark.parametrize("form", ["libsvm", "words", "ntv"])
def test_decisions_need_another_format(learn, form):
    status, _, said = learn(GOOD[form] + "\n", "--cb_explore_adf", "--format", form, name="d.txt")
    assert status == 1
    assert "this stack learns decisions of several lines" in said


@given(st.sampled_from([SVM, WORDS, BAGS]), st.binary(max_size=40))
def test_any_bytes_are_examples_or_refused(parser, text):
    assert {row["kind"] for row in parse(parser, text).examples()} <= {"example", "problem"}
