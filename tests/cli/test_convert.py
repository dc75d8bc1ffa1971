"""vwlite convert: what is learned from its output is what is learned from the sources, to the last bit."""

import csv
import gzip
import io
import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.command import VWLITE
from tests.support.models import Arrays, arrays
from tests.support.multiline import costs, decisions
from vwlite.cli import main
from vwlite.input.writing import number_text

STACKS = {
    "simple": "",
    "class": "--oaa 3",
    "classes": "--multilabel_oaa 4",
    "costs": "--csoaa 3",
}
ANY = st.characters(codec="utf-8")
NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-(10**9), 10**9),
    st.sampled_from((1, 0, 0.1)),
)
TEXTS = st.text(ANY, max_size=6)
VALUES = st.one_of(NUMBERS, TEXTS, st.booleans(), st.none())
KEYS = st.text(ANY, min_size=1, max_size=4).filter(lambda key: key[0] != "_")
MEMBERS = st.one_of(
    VALUES,
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.lists(st.one_of(NUMBERS, TEXTS.filter(bool), st.dictionaries(KEYS, VALUES, max_size=2)), max_size=3),
)
WEIGHTS = st.floats(0, 100, width=32)
TAGS = st.text(ANY, max_size=5)
SMALL = st.floats(-10, 10, width=32)
LABELS = {
    "simple": SMALL,
    "class": st.sampled_from((1, 2, 3)),
    "classes": st.sampled_from(("0", "1,2", "3")),
    "costs": st.builds(lambda a, b: f"1:{number_text(a)} 2:{number_text(b)} 3:0", SMALL, SMALL),
}


@st.composite
def examples(draw: st.DrawFn, kind: str, members: st.SearchStrategy[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records with labels of a kind; weights and initial predictions where VW's text has a place for them."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        record: dict[str, Any] = dict(draw(members))
        if draw(st.integers(0, 4)):
            record["_label"] = draw(LABELS[kind])
            if kind in ("simple", "class"):
                record["_weight"] = draw(WEIGHTS)
            if kind == "simple":
                record["_initial"] = draw(SMALL)
        record["_tag"] = draw(TAGS)
        found.append(record)
    return found


def convert(*words: str) -> None:
    assert main(["convert", *words, "--quiet"]) == 0


def learned(source: Path, *words: str) -> tuple[bytes, Arrays]:
    """The predictions and the model that a file teaches."""
    folder = source.parent
    files = ["-d", str(source), "-p", str(folder / "p.txt"), "-f", str(folder / "m.model"), "--allow_empty", "--quiet"]
    assert main([*files, *words]) == 0
    return (folder / "p.txt").read_bytes(), arrays(folder / "m.model")


def flags_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The flags that a conversion prints, with which its table is read."""
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "read it with: " in line)
    return shlex.split(line.partition("read it with: ")[2])


@pytest.mark.parametrize("kind", STACKS)
def test_lines_of_either_kind_teach_what_the_records_taught(kind):
    @given(examples(kind, st.dictionaries(KEYS, MEMBERS, max_size=5)))
    @settings(max_examples=25)
    def check(records):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "records.ndjson")
            source.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
            stack = STACKS[kind].split()
            expected = learned(source, *stack)
            convert(str(source), "-o", f"{folder}/out.vw", "--labels", kind)
            assert learned(Path(folder, "out.vw"), *stack) == expected
            status = main(["convert", str(source), "-o", f"{folder}/out.json", "--labels", kind, "--quiet"])
            if status == 0:  # two keys that are one name, without a namespace, are a feature twice
                assert learned(Path(folder, "out.json"), *stack) == expected
                # and there is nothing more to change
                convert(f"{folder}/out.json", "-o", f"{folder}/again.json", "--labels", kind)
                assert Path(folder, "again.json").read_bytes() == Path(folder, "out.json").read_bytes()

    check()


def test_records_with_plain_names_can_always_be_written():
    plain = st.text("abcxyz09", min_size=1, max_size=3)
    words = st.text("abé\"\\'", min_size=1, max_size=3)
    members = st.dictionaries(
        plain, st.one_of(NUMBERS, words, st.lists(words), st.dictionaries(plain, st.one_of(NUMBERS, words))), max_size=6
    )

    @given(examples("simple", members))
    @settings(max_examples=25)
    def check(records):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "records.ndjson")
            source.write_text("".join(json.dumps(record) + "\n" for record in records))
            expected = learned(source)
            for middle in ("m.vw", "m.json"):
                convert(str(source), "-o", f"{folder}/{middle}")
                convert(f"{folder}/{middle}", "-o", f"{folder}/out.ndjson")
                assert learned(Path(folder, "out.ndjson")) == expected

    check()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_teach_what_the_records_taught(suffix, capsys):
    def record(*values: Any) -> dict[str, Any]:
        names = ("price", "city", "new", "n", "user", "words", "deep")
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    categories = st.text("ab,\"' \n;é", min_size=1, max_size=4)
    records = st.builds(
        record,
        st.one_of(st.none(), NUMBERS),
        st.one_of(st.none(), categories),
        st.one_of(st.none(), st.just(True)),
        st.one_of(st.none(), NUMBERS),
        st.one_of(st.none(), st.lists(st.sampled_from(("ann", "bob")), min_size=1, max_size=1)),
        st.one_of(st.none(), st.lists(st.text("ab", min_size=1, max_size=2), max_size=3)),
        st.one_of(st.none(), st.builds(lambda x, kind: {"x": x, "kind": kind}, NUMBERS, categories)),
    )

    @given(st.sampled_from(("simple", "class")).flatmap(lambda kind: st.tuples(st.just(kind), examples(kind, records))))
    @settings(max_examples=25)
    def check(case):
        kind, found = case
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "records.ndjson")
            source.write_text("".join(json.dumps(record) + "\n" for record in found))
            stack = STACKS[kind].split()
            expected = learned(source, *stack)
            capsys.readouterr()
            status = main(["convert", str(source), "-o", f"{folder}/out.{suffix}", "--labels", kind])
            if status:
                assert "no example has a feature or a label" in capsys.readouterr().err
                assert not any(record.keys() & {"_label", "city", "new", "user"} for record in found)
                return
            assert learned(Path(folder, f"out.{suffix}"), *stack, *flags_of(capsys)) == expected

    check()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(max_examples=2000)
def test_numbers_are_short_and_read_back(value):
    text = number_text(value)
    assert np.float32(text) == np.float32(value)
    assert len(text) <= len(f"{value:.9g}")


def test_vw_text_is_copied(tmp_path):
    lines = [
        "1 2 0.5 tag:1|a:2 x:0x10 colour:red :0.5 |b ü",
        "junk",
        "",
        "-1\t0 |x",
        "'t |a \x01",
    ]
    (tmp_path / "d.vw").write_text("\ufeff" + "\r\n".join(lines))
    convert(str(tmp_path / "d.vw"), "-o", str(tmp_path / "o.vw"))
    kept = [line for line in lines if line not in ("junk", "")]
    assert (tmp_path / "o.vw").read_bytes().decode().split("\n") == [*kept, ""]
    assert learned(tmp_path / "o.vw") == learned(tmp_path / "d.vw")


@pytest.mark.parametrize(
    ("labels", "lines", "stack"), [("lines", costs(20), "--csoaa_ldf m"), ("decisions", decisions(20), "--cb_adf")]
)
def test_examples_of_several_lines_stay_whole(labels, lines, stack, tmp_path):
    text = "\n".join(lines).strip("\n")
    for name in ("one.vw", "two.vw"):
        (tmp_path / name).write_text(text)  # which ends without an empty line
    convert(str(tmp_path / "one.vw"), str(tmp_path / "two.vw"), "-o", str(tmp_path / "o.vw"), "--labels", labels)
    both = learned(tmp_path / "one.vw", "-d", str(tmp_path / "two.vw"), *stack.split())
    assert learned(tmp_path / "o.vw", *stack.split()) == both


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("1 | a\n1 | a:b\n", "--to json", "d.vw:2: a feature has a text as its value"),
        ("1 | a a\n", "--to json", "d.vw:1: a feature without a namespace occurs twice"),
        ("1 t:1| a\n", "--to json", "d.vw:1: the tag holds ':'"),
        ("1 | a\x01\n", "--to json", "d.vw:1: a name holds a control character"),
        ("1 | _tag\n", "--to json", "d.vw:1: a feature is called _label, _weight"),
        ("1 | x:2\n1 | x=red\n", "--to csv", "d.vw:2: x is a category, and a number in the examples before"),
        ("1 | x=a x=b\n", "--to csv", "d.vw:1: x occurs twice"),
        ("1 |a x:2 |b x:3\n", "--to csv", "x is in the namespace 'a' and in the namespace 'b'"),
        ("1 | a\n", "--to json --labels decisions", "are written as VW's text only"),
        ("1 | a\n", "-o o.vw.gz", "no compressed file is written"),
        ("1 | a\n", "-o o.arrow", "is read, but not written: --to csv or --to parquet"),
        ("1 | a\n", "-o d.vw", "are the same file"),
        ("what\n", "--to json", "d.vw: all 1 lines are malformed; the first is d.vw:1:1"),
        ("1 | a\nwhat\n", "--strict_parse", "d.vw:2:1: "),
        ("1 | a\n", "--label y", "--label is of tables"),
        ("1 | a\n", "--max_line_bytes 3", "--max_line_bytes must be at least 1024"),
    ],
)
def test_what_can_not_be_written_is_refused_and_nothing_is_left_behind(
    text, words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("d.vw").write_text(text)
    Path("out").write_text("old\n")
    words = [*words.split(), *([] if "-o" in words else ["-o", "out"])]
    assert main(["convert", "d.vw", *words]) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("vwlite: error: ")]
    assert len(error) == 1 and message in error[0]
    assert sorted(os.listdir()) == ["d.vw", "out"]
    assert Path("out").read_text() == "old\n" and Path("d.vw").read_text() == text


def test_a_label_that_vw_text_can_not_hold_is_refused(tmp_path, capsys):
    (tmp_path / "d.json").write_text('{"_initial": 0.5, "a": 1}\n')
    assert main(["convert", str(tmp_path / "d.json"), "--to", "vw"]) == 1
    assert "has an initial prediction, for which VW's text has no place" in capsys.readouterr().err
    (tmp_path / "d.json").write_text('{"_weight": 0.5, "a": 1}\n')
    assert main(["convert", str(tmp_path / "d.json"), "--to", "vw"]) == 1
    assert "has a weight" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["json", "csv", "parquet"])
@pytest.mark.parametrize("line", [b"\xff | a", b"cat | \xff", b"cat \xff| a", b"cat |\xff a"])
def test_bytes_that_are_no_utf8_stay_vw_text(line, to, tmp_path, capsys):
    (tmp_path / "d.vw").write_bytes(b"cat | a\n" + line + b"\n")
    words = [str(tmp_path / "d.vw"), "--labels", "class", "-o", str(tmp_path / "o"), "--to"]
    assert main(["convert", *words, to]) == 1
    assert "d.vw:2: the text is not UTF-8" in capsys.readouterr().err
    assert main(["convert", *words, "vw"]) == 0
    assert (tmp_path / "o").read_bytes() == (tmp_path / "d.vw").read_bytes()


def test_pipes_carry_lines_and_can_not_become_tables(tmp_path):
    def run(words: str, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*VWLITE, *words.split()], input=text, capture_output=True, text=True, check=False)

    table = "city,y\nRome,1\nBonn,-1\n"
    done = run("convert --format csv --label y", table)
    assert (done.stdout, done.returncode) == ("1 | city=Rome\n-1 | city=Bonn\n", 0)
    assert done.stderr == "wrote 2 examples\n"
    done = run("convert --to csv -", "1 | a\n")
    assert done.returncode == 1 and "name a file, or write --to json" in done.stderr and not done.stdout


def test_every_format_that_is_read_is_written_in_every_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with gzip.open("t.csv.gz", "wt") as file:
        file.write("day,city,y\n" + "".join(f"{i % 7 + 0.5},c{i % 3},{i % 5}\n" for i in range(3000)))
    flags = ["--label", "y", "--columns_in", "day:number city:category"]
    expected = learned(tmp_path / "t.csv.gz", *flags)
    source, words = "t.csv.gz", flags
    for name in ("a.parquet", "b.ndjson", "c.csv", "d.vw", "e.parquet", "f.vw"):
        assert main(["convert", source, "-o", name, *words]) == 0
        words = flags_of(capsys) if name.endswith(("csv", "parquet")) else []
        assert learned(tmp_path / name, *words) == expected
        source = name
    # and others read them
    assert parquet.read_table("a.parquet").num_rows == 3000
    assert len(list(csv.DictReader(io.StringIO(Path("c.csv").read_text())))) == 3000
    assert orjson.loads(Path("b.ndjson").read_bytes().splitlines()[1]) == {"_label": 1, "day": 1.5, "city": "c1"}


def test_a_stranger_reads_the_text_alike(tmp_path):
    from vowpalwabbit import Workspace as Theirs

    (tmp_path / "d.ndjson").write_text(
        '{"_label": 1, "a": 0.1, "b": {"x": 2, "y": "q r"}}\n{"_label": -1, "b": ["z"]}\n'
    )
    convert(str(tmp_path / "d.ndjson"), "-o", str(tmp_path / "d.vw"))
    lines = (tmp_path / "d.vw").read_text().splitlines()
    assert lines == ["1 | a:0.1 |b x:2 y=q_r", "-1 |b z"]
    theirs = Theirs("--quiet")
    for line in lines:
        theirs.learn(line)
    _, found = learned(tmp_path / "d.vw")
    assert theirs.predict("|b z") == pytest.approx(float(theirs.predict(lines[1])))
    assert found


def test_an_order_of_features_that_columns_can_not_keep_is_said(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 | a:2 b:3\n1 | b:2 a:3\n")
    assert main(["convert", str(tmp_path / "d.vw"), "--to", "csv"]) == 0
    assert "1 examples have their features in another order" in capsys.readouterr().err
