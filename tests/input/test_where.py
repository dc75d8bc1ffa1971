"""--where: which examples an expression holds for, and what is said of one that is none."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.models import arrays
from tests.support.records import line
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.input.where import compile_where

ROWS: list[dict[str, Any]] = [
    {"city": "Rome", "price": 2.5, "sale": True, "user": {"age": 31}, "words": ["red", "large"], "_label": 1},
    {"city": "New York", "price": 0, "sale": False, "user": {"age": 0, "job": "cook"}, "words": ["red"]},
    {"price": -1, "hour": "7", "words": [], "_label": -1, "_weight": 3},
    {"city": "Bonn", "hour": 7, "_initial": 0.5, "_label": 0.1, "x y": 1},
    {},
]

HELD = {
    'city == "Rome"': "0",
    'city != "Rome"': "13",
    "city == 'New York'": "1",
    'city in ("Rome", "Bonn")': "03",
    'city not in ("Rome", "Bonn")': "1",
    "city is missing": "24",
    "city is not missing": "013",
    "has city": "013",
    "not has city": "24",
    'not (city == "Rome")': "1234",
    'city < "C"': "3",
    "price > 0": "0",
    "price >= 0": "01",
    "price == 0": "1",
    "0 == price": "1",
    "0 < price": "0",
    "price < 0 or price > 2": "02",
    "price < 1e-3 and price > -.5": "1",
    "has sale": "0",
    "sale == 1": "0",
    "hour == 7": "23",
    'hour == "7"': "23",
    "hour != 8": "23",
    'hour > "5"': "2 3",
    "user^age > 30": "0",
    "user^age == 0": "1",
    "user^job == 'cook'": "1",
    "has user": "01",
    "has words": "01",
    'words == "large"': "0",
    'words != "large"': "1",
    'words in ("large", "x")': "0",
    "label > 0": "03",
    "label == 0.1": "3",
    "label is missing": "14",
    "weight == 3": "2",
    "initial > 0": "3",
    'tag == "t0" or tag == "t4"': "04",
    "`city` == 'Rome'": "0",
    "`x y` == 1": "3",
    "`label` > 0": "",
    'city == "Rome" or city == "Bonn" and price > 5': "0",
    '(city == "Rome" or city == "Bonn") and price > 5': "",
    'NOT city == "Rome" AND has city': "13",
    'city == "a\\"b"': "",
    "not not has city": "013",
}


def kept(source: Path, expression: str, *words: str) -> str:
    """The numbers of the rows for which an expression holds."""
    out = source.parent / "p.txt"
    files = ["-d", str(source), "-p", str(out), "--quiet", "--allow_empty", "--where", expression]
    assert main([*files, *words]) == 0
    return "".join(re.findall(r"t(\d+)$", out.read_text(), re.M))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("where") / "rows.ndjson"
    path.write_text("".join(json.dumps(row | {"_tag": f"t{i}"}) + "\n" for i, row in enumerate(ROWS)))
    return path


@pytest.mark.parametrize("expression", HELD)
def test_an_expression_holds_for(expression, source):
    assert kept(source, expression) == HELD[expression].replace(" ", "")


@pytest.mark.parametrize(
    "expression", ["price == 0", 'city != "Rome"', "user^age == 0", "hour is missing", "price < 9"]
)
def test_an_expression_holds_for_the_same_rows_in_every_format(expression, source, tmp_path):
    expected = kept(source, expression)
    lines = []
    for i, row in enumerate(ROWS):
        members = {name: value for name, value in row.items() if name[0] != "_"}
        text = line(members).replace("city=New_York", "city:New_York")  # VW's way of a text as a value
        if row.get("price") == 0:
            text = f"| price:0.0 {text.removeprefix('|')} |user age:0"
        lines.append(f"t{i}{text}")
    (tmp_path / "rows.vw").write_text("\n".join(lines))
    assert kept(tmp_path / "rows.vw", expression) == expected
    cells = [
        [
            f"t{i}",
            row.get("city", ""),
            str(row.get("price", "")),
            str(row.get("hour", "")),
            str(row.get("user", {}).get("age", "")),
        ]
        for i, row in enumerate(ROWS)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(map(",".join, [["id", "city", "price", "hour", "age"], *cells])))
    words = ["--label", "none", "--columns_in", "id:tag hour:category city:category age:number@user price:number"]
    assert kept(tmp_path / "rows.csv", expression, *words) == expected


VALUES = st.one_of(st.integers(-2, 2), st.sampled_from((0.5, 0.1)), st.sampled_from(("a", "b", "1", "")))
NAMES = ("x", "y", "z")


def literal(value: Any) -> str:
    return json.dumps(value)


COMPARISONS = st.builds(
    lambda name, sign, value: (f"{name} {sign} {literal(value)}", ("compare", name, sign, value)),
    st.sampled_from(NAMES),
    st.sampled_from(("==", "!=", "<", "<=", ">", ">=")),
    VALUES,
)
TESTS = st.one_of(
    COMPARISONS,
    st.sampled_from([(f"has {name}", ("has", name)) for name in NAMES]),
    st.builds(
        lambda name, values: (f"{name} in ({', '.join(map(literal, values))})", ("in", name, values)),
        st.sampled_from(NAMES),
        st.lists(VALUES, min_size=1, max_size=3),
    ),
)
EXPRESSIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(lambda one: (f"not ({one[0]})", ("not", one[1])), inner),
        st.builds(
            lambda one, join, two: (f"({one[0]}) {join} ({two[0]})", (join, one[1], two[1])),
            inner,
            st.sampled_from(("and", "or")),
            inner,
        ),
    ),
    max_leaves=6,
)


def number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+", text) else None


def compared(found: Any, sign: str, value: Any) -> bool:
    """A comparison as the page about it says."""
    if found is None:
        return False
    if isinstance(found, str) and not isinstance(value, str):
        found = number(found)
    elif isinstance(value, str) and not isinstance(found, str):
        value = number(value)
    if found is None or value is None:
        return sign == "!="  # a text that is no number is another one than each number
    if not isinstance(found, str):
        found, value = np.float32(found), np.float32(value)
    return bool(
        {
            "==": found == value,
            "!=": found != value,
            "<": found < value,
            "<=": found <= value,
            ">": found > value,
            ">=": found >= value,
        }[sign]
    )


def holds(tree: Any, row: dict[str, Any]) -> bool:
    action, *rest = tree
    if action == "compare":
        return compared(row.get(rest[0]), rest[1], rest[2])
    if action == "has":
        return rest[0] in row
    if action == "in":
        return any(compared(row.get(rest[0]), "==", value) for value in rest[1])
    if action == "not":
        return not holds(rest[0], row)
    one, two = (holds(part, row) for part in rest)
    return one and two if action == "and" else one or two


@given(EXPRESSIONS, st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), min_size=1, max_size=8))
@settings(max_examples=150)
def test_any_expression_holds_for_what_it_says(expression, rows):
    text, tree = expression
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.ndjson")
        path.write_text("".join(json.dumps(row | {"_tag": f"t{i}"}) + "\n" for i, row in enumerate(rows)))
        assert kept(path, text) == "".join(str(i) for i, row in enumerate(rows) if holds(tree, row))


@given(st.text(max_size=30))
@settings(max_examples=500)
def test_any_text_is_an_expression_or_is_refused_with_its_place(text):
    message = "--where: "
    try:
        compile_where(text)
    except OptionError as error:
        message = str(error)
    assert message.startswith("--where: ")


@pytest.mark.parametrize(
    ("expression", "message", "column"),
    [
        ("price = 3", "equal is written ==", 6),
        ("price == ", "expected a number, or a text in quotes", 8),
        ("price == Rome", "a name is compared with a number or a text in quotes", 9),
        ('city == "Rome', 'this " has no second one', 8),
        ("(a == 1", "expected `)`, `and` or `or` here", 7),
        ("a == 1)", "expected `and`, `or` or the end here", 6),
        ("a == 1 b == 2", "expected `and`, `or` or the end here", 7),
        ("a == 1 && b == 2", "write `and` and `or`", 7),
        ("a in 1", "expected `(` here", 5),
        ("a in (1 2)", "expected `,` or `)` here", 8),
        ("a is 3", "expected `missing` here", 5),
        ("price", "expected a comparison", 5),
        ("has 3", "expected the name of a feature here", 4),
        ("1 2", "expected a comparison", 2),
        ("3x == 1", "not a number", 0),
        ("user^ == 1", "no name of a feature behind '^'", 0),
        ("a == 1 ; b", "no name, number or text begins like this", 7),
        ("(" * 60, "parentheses and negations inside each other", 50),
        ("a == 1 and " * 2000, "has 22,000 characters", None),
    ],
)
def test_a_mark_stands_under_the_place_of_an_error(expression, message, column, tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 | a\n")
    assert main(["-d", str(tmp_path / "d.vw"), "--where", expression, "-f", str(tmp_path / "m")]) == 1
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("vwlite: error: --where: ") and message in first
    assert not (tmp_path / "m").exists()
    if column is not None:
        shown, mark = (text.removeprefix("vwlite: error:   ") for text in rest)
        assert mark == " " * column + "^"
        assert shown.rstrip() == expression[:100].rstrip()


@pytest.mark.parametrize(
    "flags", ["", "--passes 3 -c", "--passes 2 -c --holdout_off -q aa", "-q ab --onethread", "--examples 7"]
)
def test_a_run_with_an_expression_is_one_over_the_lines_for_which_it_holds(flags, run):
    lines = [f"{i % 3} 1 0.1 t{i}|a x:{i % 5} y:{i / 7} |b z{i % 4} |a w:{i % 2}" for i in range(3000)]
    wanted = [text for i, text in enumerate(lines) if i % 5 > 2 or i % 4 == 0]
    predictions, model = run(wanted, *flags.split())
    assert run(lines, "--where", "a^x >= 3 or has b^z0", *flags.split()) == (predictions, model)


def test_what_is_left_out_is_counted_and_a_name_that_nothing_has_is_said(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 |a x:1\n1 |a x:3\njunk\n")
    words = ["-d", str(tmp_path / "d.vw"), "--where"]
    assert main([*words, "a^x > 2 or `no such` == 1"]) == 0
    said = capsys.readouterr().err
    assert "number of examples = 1\n" in said and "left out by --where = 1\n" in said
    assert "[warning] nothing matched no such of --where" in said and "a^x of" not in said
    assert "skipped malformed lines = 1 of 2" in said
    assert main([*words, "x > 2"]) == 1
    assert (
        "d.vw: no example with a feature (1 lines, 1 malformed); left out by --where = 2; nothing matched x of "
        "--where: no example has such a feature (one of a namespace is called namespace^name); "
        in capsys.readouterr().err
    )


def test_classes_are_compared_by_their_names(tmp_path):
    (tmp_path / "d.vw").write_text("cat t0| a\ndog t1| a\nt2| a\n")
    assert kept(tmp_path / "d.vw", 'label == "cat" or label == 2', "--oaa", "3") == "0"
    (tmp_path / "d.vw").write_text("1 t0| a\n2 t1| a\n")
    assert kept(tmp_path / "d.vw", "label > 1", "--oaa", "3") == "1"
    (tmp_path / "d.vw").write_text("0,1 t0| a\n2 t1| a\n")
    assert kept(tmp_path / "d.vw", "label in (1, 3)", "--multilabel_oaa", "3") == "0"


DECISIONS: list[dict[str, Any]] = [
    {"city": "Rome", "price": 2.5, "sale": True, "User": {"id": "ann", "age": 31}, "cost": -1},
    {"city": "New York", "price": 0, "sale": False, "User": {"id": "bob", "age": 0}, "cost": 0, "drop": 0.5},
    {"price": -1, "sizes": [3, 0], "cost": None},
    {"city": "Rom", "cost": 0.5},
    {"price": 0, "cost": -1},
    {"cost": -1},
]

DECISIONS_HELD = {
    'city == "Rome"': "0",
    'city != "Rome"': "13",
    'city in ("Rom", "New_York")': "13",
    "price == 0": "14",
    "price < 1": "124",
    "has sale": "0",
    "sale is missing": "12345",
    "User^age == 0": "1",
    'User^id == "bob"': "1",
    "`sizes^[0]` == 3": "2",
    "`sizes^[1]` == 0": "2",
    "has User": "01",
    "has a": "",  # of actions
    "x == 0": "",
    'word == "w"': "",
    "label < 0": "045",
    "label is missing": "2",
    "weight == 2": "1",
    'tag == "t3"': "3",
}


def as_dsjson(i: int, row: dict[str, Any]) -> dict[str, Any]:
    """A logged decision, with its actions behind or before what is shared."""
    shared = {name: value for name, value in row.items() if name not in ("cost", "drop")} | {"_tag": f"t{i}"}
    actions = {"_multi": [{"a": 1, "x": 0, "word": "w", "price": 7}, {"b": 1, "city": "Bonn"}]}
    label = {} if row["cost"] is None else {"_label_cost": row["cost"], "_label_probability": 0.5, "_labelIndex": i % 2}
    return label | {"pdrop": row.get("drop", 0), "c": shared | actions if i % 2 else actions | shared}


def held(source: Path, expression: str, *words: str) -> str:
    """The numbers of the decisions for which an expression holds."""
    flags = ["--cb_explore_adf", "-p", str(source.parent / "p.txt"), "--quiet", "--allow_empty"]
    assert main(["-d", str(source), *flags, "--where", expression, *words]) == 0
    return "".join(re.findall(r"t(\d+)$", (source.parent / "p.txt").read_text(), re.M))


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("expression", DECISIONS_HELD)
def test_an_expression_holds_for_a_decision_as_a_whole(expression, chained, tmp_path):
    records = [as_dsjson(i, row) for i, row in enumerate(DECISIONS)]
    # a malformed line and an outcome that came late leave nothing behind
    lines = [json.dumps(record) for record in records]
    lines[1:1] = ['{"c": {"price": 0, "city": "Rome", "_multi": [{"a"}]}}', '{"EventId": "e", "price": 0}']
    (tmp_path / "log.dsjson").write_text("\n".join(lines))
    chain = ["--chain_hash"] if chained else []
    assert held(tmp_path / "log.dsjson", expression, "--dsjson", *chain) == DECISIONS_HELD[expression]
    (tmp_path / "log.json").write_text("\n".join(json.dumps(record["c"]) for record in records))
    if not expression.startswith(("label", "weight")):
        assert held(tmp_path / "log.json", expression, "--json", *chain) == DECISIONS_HELD[expression]
        singles = [{name: value for name, value in record["c"].items() if name != "_multi"} for record in records]
        (tmp_path / "one.json").write_text("\n".join(map(json.dumps, singles)))
        assert kept(tmp_path / "one.json", expression, "--json", *chain) == DECISIONS_HELD[expression]


@pytest.mark.parametrize(
    ("form", "lines", "expected"),
    [
        (
            "libsvm",
            ["1 qid:0 3:0 5:2", "1 qid:1 5:3", "1 qid:2 3:1"],
            {"`3` == 0": "0", "`5` > 2": "1", "has `3`": "02", "`7` == 1": ""},
        ),
        (
            "ntv",
            [
                '{"uid": "t0", "features": [{"name": "city", "term": "Rome", "value": 1},{"name": "age", "value": 0}]}',
                '{"uid": "t1", "features": [{"name": "city", "term": "Bonn", "value": 2}],'
                ' "bag": [{"name": "x", "value": 3}]}',
            ],
            {'city == "Rome"': "0", "age == 0": "0", "bag^x == 3": "1", "has bag": "1", "`city=Bonn` == 2": "1"},
        ),
    ],
)
def test_an_expression_reads_the_names_of_every_format(form, lines, expected, tmp_path):
    (tmp_path / "d.txt").write_text("\n".join(lines))
    for expression, numbers in expected.items():
        kept(tmp_path / "d.txt", expression, "--format", form)
        predictions = (tmp_path / "p.txt").read_text()
        assert "".join(re.findall(r" t?(\d)$", predictions, re.M)) == numbers, expression


def test_an_expression_reads_words(tmp_path):
    (tmp_path / "d.txt").write_text("1 ## Dear Ann\n2 ## you win\n3 ## dear you\n")
    for expression, labels in {"has you": [2, 3], "has Dear": [1], "label > 1 and has win": [2]}.items():
        words = ["--format", "words", str(tmp_path / "d.txt"), "--where", expression, "-o", str(tmp_path / "d.vw")]
        assert main(["convert", *words]) == 0
        assert [int(row[0]) for row in (tmp_path / "d.vw").read_text().splitlines()] == labels


def test_lines_of_text_are_a_decision(tmp_path):
    path = tmp_path / "d.vw"
    path.write_text(
        "shared t0| price:0 city:Rome |user ann\n0:-1:0.5 | a\n| b\n\n"
        "shared t1| price:2\n| a price:0\n1:0.25:0.5 | b\n\n"
        "t2| a price:0 city:Rome\n| b\n\n"
        "shared t3|\n| price:0\n"
    )
    expected = {
        "price == 0": "0",
        "price is missing": "23",
        'city == "Rome"': "0",
        'user == "ann"': "0",
        "label == -1": "0",
        "label > 0": "1",
        "label is missing": "23",
        "has a": "",
        'tag == "t2"': "2",
    }
    assert {expression: held(path, expression) for expression in expected} == expected
    path.write_text("shared | u\n1:0.5 | a\n2:0 | b\n\nshared |\n1:1 | a\n2:2 | b\n")
    flags = ["-d", str(path), "--csoaa_ldf", "m", "--where"]
    assert main([*flags, "has u and label == 0.5", "-f", str(tmp_path / "one")]) == 0
    assert main([*flags[:-1], "--examples", "1", "-f", str(tmp_path / "two")]) == 0
    assert arrays(tmp_path / "one") == arrays(tmp_path / "two")


def test_a_shared_feature_that_no_decision_has_is_said(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("shared | a\n| b\n\n")
    assert main(["-d", str(tmp_path / "d.vw"), "--cb_adf", "--where", "has a or has b"]) == 0
    assert "nothing matched b of --where: no decision has such a feature in its shared line" in capsys.readouterr().err


def test_decisions_are_converted_and_split_where_an_expression_holds(tmp_path):
    path = tmp_path / "d.vw"
    parts = [f"shared |u x:{i % 3}\n0:{i}:0.5 | a\n| b\n\n" for i in range(20)]
    path.write_text("".join(parts))
    wanted = "".join(part for i, part in enumerate(parts) if i % 3 == 0)
    words = ["--labels", "decisions", "--where", "u^x == 0"]
    assert main(["convert", str(path), "-o", str(tmp_path / "out.vw"), *words]) == 0
    assert (tmp_path / "out.vw").read_text() == wanted
    assert main(["split", str(path), "1", *words, "-o", str(tmp_path / "part")]) == 0
    assert (tmp_path / "part.1.vw").read_text() == wanted


def test_names_that_learners_do_not_need_are_not_stored(run):
    lines = [f"{i % 2} |a x:{i}" for i in range(10)]
    assert run(lines, "--where", "a^x >= 0", "--passes", "2", "-c") == run(lines, "--passes", "2", "-c")
