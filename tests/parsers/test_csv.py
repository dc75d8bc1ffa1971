"""CSV on the command line: the same examples as dicts of the rows that Python's csv module reads."""

import contextlib
import csv
import gzip
import io
import math
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ParseError
from vwlite.parsers.csv import first_records

CELLS = st.one_of(
    st.sampled_from(
        ["", "1", "-2.5", "1e3", "007", "+4", "x", "New York", 'a "b"', "a,b", "line\nend", "a:b|c", " 5 ", "é"]
    ),
    st.text('ab1.,;" \n', max_size=6),
)


def as_value(text: str, first: str) -> object:
    """What a cell is, in a column whose first cell is `first`."""
    if text == "":
        return None
    if is_number(first) or (first == "" and is_number(text)):
        return float(text)
    return text


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and text.isascii() and "_" not in text and "\n" not in text
    except ValueError:
        return False


@pytest.fixture
def learn(tmp_path, capsys, monkeypatch):
    """Trains on a table; the exit status, the predictions, the messages."""
    monkeypatch.chdir(tmp_path)

    def command(
        text: str | bytes, *words: str, name: str = "data.csv", read: bool = True
    ) -> tuple[int, list[float], str]:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        capsys.readouterr()
        status = main([name, "-p", "p.txt", "-f", "m.model", *words])
        path = tmp_path / "p.txt"
        found = (
            [float(line.split()[0]) for line in path.read_text().split("\n") if line and read] if path.exists() else []
        )
        return status, found, capsys.readouterr().err

    return command


def rounded(predictions) -> list[float]:
    return [float(f"{value:.6f}") for value in predictions]


@settings(max_examples=60)
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8), st.booleans())
def test_cells_are_those_of_pythons_csv_module(tmp_path_factory, rows, quoted):
    folder = tmp_path_factory.mktemp("csv")
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="\r\n")
    writer.writerow(["y", "a", "b", "c"])
    kept = [row for row in rows if not any("\x00" in cell or "\r" in cell for cell in row)]
    for i, row in enumerate(kept):
        writer.writerow([i % 3, *row])
    (folder / "d.csv").write_text(out.getvalue(), newline="")
    read = list(csv.reader(io.StringIO(out.getvalue(), newline="")))[1:]
    records, labels = [], []
    first = read[0] if read else []
    for row in read:
        try:
            values = [as_value(cell, begin) for cell, begin in zip(row[1:], first[1:], strict=True)]
        except ValueError:
            return  # a problem, which other tests have
        if any(isinstance(value, str) and value.lower() in ("true", "false") for value in values):
            return
        records.append(dict(zip("abc", values, strict=False)))
        labels.append(float(row[0]))
    try:
        expected = Workspace().learn([{k: v for k, v in record.items() if v is not None} for record in records], labels)
    except (ValueError, ParseError):
        return
    assert main(["-d", str(folder / "d.csv"), "--label", "y", "-p", str(folder / "p"), "--quiet", "--allow_empty",
                 "--columns_in", "y:number " + " ".join(
                     f"{name}:{'auto' if begin == '' else 'number' if is_number(begin) else 'category'}"
                     for name, begin in zip("abc", first[1:], strict=False))]) == 0  # fmt: skip
    found = [float(line) for line in (folder / "p").read_text().split()]
    assert found == rounded(expected)


TABLE = "price,city,new,user,click\n1.5,New York,true,ann,yes\n2.5,Rome,False,bob,no\n3,,TRUE,ann,yes\n"
RECORDS = [
    {"price": 1.5, "city": "New York", "new": True, "user": "ann"},
    {"price": 2.5, "city": "Rome", "user": "bob"},
    {"price": 3, "new": True, "user": "ann"},
]


@pytest.mark.parametrize(
    ("text", "words", "name"),
    [
        (TABLE, [], "data.csv"),
        (TABLE.replace("\n", "\r\n"), [], "data.csv"),
        ("\ufeff" + TABLE, [], "data.csv"),
        (TABLE.rstrip("\n"), [], "data.csv"),
        (TABLE + "\n\n", [], "data.csv"),
        (TABLE.replace(",", ";"), [], "data.csv"),
        (TABLE.replace(",", "\t"), [], "data.tsv"),
        (TABLE.replace(",", "\t"), ["--format", "csv"], "data.txt"),
        (TABLE.replace(",", "~"), ["--separator", "~"], "data.csv"),
        (TABLE.replace(",", ";").replace(".", ","), ["--decimal", ","], "data.csv"),
        (TABLE.split("\n", 1)[1], ["--header", "price,city,new,user,click"], "data.csv"),
        (gzip.compress(TABLE.encode()), [], "data.csv.gz"),
        (TABLE.replace("Rome", '"Rome"').replace("1.5", '"1.5"'), [], "data.csv"),
        (TABLE, [], "data.unknown"),
        (TABLE, ["--onethread"], "data.csv"),
        (TABLE, ["-c"], "data.csv"),
    ],
)
def test_every_form_of_a_table_is_read_alike(learn, text, words, name):
    expected = Workspace("--loss_function logistic").learn(RECORDS, [1, -1, 1])
    status, found, said = learn(text, "--label", "click:binary(yes)", "--loss_function", "logistic", *words, name=name)
    assert (status, found) == (0, rounded(expected))
    assert ("read as CSV, as it looks like that (--format vw if it is not)" in said) == (name == "data.unknown")


def test_the_model_keeps_what_the_columns_are(learn, tmp_path, capsys):
    learn(TABLE, "--label", "click:binary(yes)")
    for text, status in ((TABLE, 0), ("city,price,user,new\nRome,1,ann,true\n", 0), ("city,price\nRome,1\n", 1)):
        (tmp_path / "ask.csv").write_text(text)
        capsys.readouterr()
        assert main(["-t", "-i", "m.model", "ask.csv", "-p", "q.txt", "--quiet"]) == status
    assert "ask.csv: no column matches --columns_in new:flag; there are city, price" in capsys.readouterr().err
    (tmp_path / "ask.csv").write_text("price,city,new,user\nabc,Rome,true,ann\n1,Rome,true,ann\n")
    assert main(["-t", "-i", "m.model", "ask.csv", "-p", "q.txt"]) == 0
    assert "skipped ask.csv:2:1: not a finite number" in capsys.readouterr().err


def test_roles_namespaces_and_entities(learn):
    text = "id,w,user,desc,when,/odd name,x\nt1,2,ann,red  large,2013-01-31T05:07:00Z,4,1\nt2,1,bob,,1969-12-31,5,2\n"
    columns = "id:tag w:weight user:entity desc:text when:date(hour,dow) '/odd name:number@s' x:label"
    status, found, _ = learn(text, "--columns_in", columns, "--bayes_linear", "--random_effect", "user")
    lines = [
        "1 2 t1|user ann |desc red large | when.dow=3 when.hour=5 |s /odd_name:4",
        "2 1 t2|user bob | when.dow=2 when.hour=0 |s /odd_name:5",
    ]
    assert (status, found) == (0, rounded(Workspace("--bayes_linear --random_effect user").learn(lines)))


def test_responses(learn):
    text = "y,x\n1,1\n4,1\n3.5,2\n"
    for response, labels in (("y", [1, 4, 3.5]), ("y:above(3.5)", [-1, 1, -1]), ("y:binary(4)", [-1, 1, -1])):
        expected = Workspace().learn([{"x": x} for x in (1, 1, 2)], labels)
        assert learn(text, "--label", response)[1] == rounded(expected)
    assert learn(text, "--label", "none", "--allow_empty")[1] == [0, 0, 0]
    text = "kind,x\nred,1\nblue,2\nred,3\n"
    words = ["--oaa", "2", "--label", "kind", "--named_labels", "red,blue", "--columns_in", "/.*/:auto", "--quiet"]
    status = learn(text, *words, read=False)[0]
    assert status == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y,a\n1,2\n3\n", "skipped data.csv:3:2: fewer cells than the table has columns: 3"),
        ("y,a\n1,2\n3,4,5\n", "skipped data.csv:3:5: more cells than the table has columns"),
        ('y,a\n1,x"y\n1,2\n', "skipped data.csv:2:3: a quote inside a cell without quotes"),
        ('y,a\n1,"x"y\n1,2\n', "skipped data.csv:2:6: text behind the quotes of a cell"),
        ('y,a\n1,2\n1,"x\n', "skipped data.csv:3:3: a cell in quotes does not end"),
        ('y,a\n1,"p\nq"\n1,2\n1,2,3\n', "skipped data.csv:5:5: more cells"),
        ("y,a\n1,2\n1,abc\n", "skipped data.csv:3:1: not a finite number, in a column of numbers"),
        ("y,a\n1,2\n1,NA\n", "--missing skip leaves out NA, NaN and null"),
        ("y,a\n1,2\n1,inf\n", "skipped data.csv:3:1: not a finite number"),
        ("y,a\n1,2\nabc,4\n", "the label is no number (--label 'NAME:binary(VALUE)'"),
        ("y,a\n1,true\n1,maybe\n", "skipped data.csv:3:1: neither true nor false, in a column of these"),
        (b"y,a\n1,ok\n2,\xe9t\xe9\n", "skipped data.csv:3:3: not UTF-8 text: convert the file first"),
    ],
)
def test_a_bad_row_is_skipped_with_place_and_reason(learn, text, message):
    status, found, said = learn(text, "--label", "y")
    assert status == 0
    assert message in said
    assert len(found) == (2 if '"p' in str(text) else 1)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("y,y\n1,2\n", ["--label", "y"], "data.csv: two columns are called 'y'"),
        ("y,\n1,2\n", ["--label", "y"], "data.csv: column 2 has no name"),
        ("y,a\n1,2\n", [], "data.csv: which column is the label? --label NAME says it"),
        ("y,a\n1,2\n", ["--label", "z"], "data.csv: no column matches --label z:label; there are y, a"),
        ("y,a\n", ["--label", "y"], "data.csv: no example with a feature (0 lines)"),
        ("", ["--label", "y"], "no example with a feature (0 lines)"),
        (
            b"\xe9,a\n1,2\n",
            ["--label", "a"],
            "data.csv: the names of the columns are not UTF-8 text: convert the file first",
        ),
        ("y,a\n1,2\n", ["--label", "y", "--separator", "ab"], "--separator 'ab': expected one character"),
        ("y,a\n1,2\n", ["--label", "y:odd"], "a label is auto, number, binary"),
        ("y,a\n1,2\n", ["--label", "y:above(x)"], "above needs a number in parentheses"),
        ("y,a\n1,2\n", ["--label", "y", "--cb_explore_adf"], "decisions of several lines, which CSV can't give"),
    ],
)
def test_a_bad_table_ends_the_run_before_anything_is_written(learn, tmp_path, text, words, message):
    status, _, said = learn(text, *words)
    assert status == 1
    assert message in said
    assert not (tmp_path / "m.model").exists()


def test_options_of_tables_are_refused_for_text(learn):
    status, _, said = learn("1 | a\n", "--label", "y", name="data.vw")
    assert status == 1
    assert "--label is of tables, and data.vw is read as VW's text: give --format csv, for instance" in said


def test_sources_have_one_format_and_the_same_columns(learn, tmp_path):
    (tmp_path / "more.csv").write_text("click,user,new,city,price\nno,ann,true,Rome,4\n")
    status, found, _ = learn(TABLE, "-d", "more.csv", "--label", "click:binary(yes)")
    expected = Workspace().learn([*RECORDS, {"user": "ann", "new": True, "city": "Rome", "price": 4}], [1, -1, 1, -1])
    assert (status, found) == (0, rounded(expected))
    (tmp_path / "more.vw").write_text("1 | a\n")
    assert (
        "sources of one format are read in one run" in learn(TABLE, "-d", "more.vw", "--label", "click:binary(yes)")[2]
    )


def test_blocks_may_end_anywhere(learn):
    rows = [f'{i % 2},"a\nb,{i % 7}",{i / 8}' for i in range(30_000)]
    status, found, said = learn("y,c,x\n" + "\n".join(rows), "--label", "y", "-b", "12")
    records = [{"c": f"a\nb,{i % 7}", "x": i / 8} for i in range(30_000)]
    assert (status, found) == (0, rounded(Workspace("-b 12").learn(records, [i % 2 for i in range(30_000)])))
    assert "skipped" not in said


def test_a_table_from_a_pipe(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vwlite", "--format", "csv", "--label", "y", "-p", "/dev/stdout", "--quiet"],
        input="y,a\n1,2\n2,3\n", capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert [float(x) for x in done.stdout.split()] == rounded(Workspace().learn([{"a": 2}, {"a": 3}], [1, 2]))


def test_passes_with_a_cache_are_those_of_text(learn, tmp_path):
    learn(TABLE, "--label", "click:binary(yes)", "--passes", "3", "-c", "--holdout_off")
    ours = arrays(tmp_path / "m.model")
    lines = [
        "1 | price:1.5 city=New_York new user=ann",
        "-1 | price:2.5 city=Rome user=bob",
        "1 | price:3 new user=ann",
    ]
    (tmp_path / "text.vw").write_text("".join(f"{line}\n" for line in lines))
    assert main(["text.vw", "-f", "t.model", "--passes", "3", "-c", "--holdout_off", "--quiet"]) == 0
    assert ours == arrays(tmp_path / "t.model")


def test_with_a_cache_each_run_keeps_what_the_columns_are(learn):
    for _ in range(2):
        status, _, said = learn(TABLE, "--label", "click:binary(yes)", "-c")
        assert status == 0
        assert "--cache: each run reads a table anew; the cache serves its further passes" in said
        assert Workspace.load("m.model").options["columns_in"] == [
            "price:number", "city:category", "new:flag", "user:category",
        ]  # fmt: skip


def test_a_wide_table_and_a_long_cell(learn):
    names = [f"c{i}" for i in range(20_000)]
    text = ",".join(["y", *names]) + "\n" + ",".join(["1", *(str(i % 5) for i in range(20_000))]) + "\n"
    assert learn(text, "--label", "y")[0] == 0
    text = "y,a,b\n1,2,short\n2,3," + "x" * 2_000_000 + "\n3,4,z\n"
    status, found, said = learn(text, "--label", "y", "--max_line_bytes", "100000")
    assert (status, len(found)) == (0, 2)
    assert "skipped data.csv:3:1: the line is longer than --max_line_bytes" in said


def records_of(text: str, separator: str) -> list[tuple[int, bool]]:
    """For each record of a table in text: its first line, and whether it has two cells with good quotes."""
    found, start, line, at = [], 0, 1, 0
    quoted = closing = inside = False
    for at, char in enumerate(text):
        if quoted:
            closing = char == '"'
            quoted, inside = not closing, True
            continue
        if char == '"':
            quoted = closing or not inside
            inside = True
        else:
            inside = char not in (separator, "\n")
        closing = False
        if char == "\n":
            found.append((start, at))
            start = at + 1
    found.append((start, len(text)))
    records = []
    for begin, end in found:
        record = text[begin:end].removesuffix("\r")
        if record:
            records.append((line, cells_are_two(record, separator)))
        line += text[begin : end + 1].count("\n")
    return records


def cells_are_two(record: str, separator: str) -> bool:
    """Whether a record has two cells, each with quotes around it or none."""
    plain = rf"[^\"{separator}]*"
    cell = rf"(\"([^\"]|\"\")*\"|{plain})"
    return re.fullmatch(rf"({cell}){separator}({cell})", record, re.DOTALL) is not None


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*'ab1,;" \n', "\r\n"]), max_size=300).map("".join), st.sampled_from(",;"))
def test_records_with_any_quotes_are_told_apart(tmp_path_factory, text, separator):
    folder = tmp_path_factory.mktemp("junk")
    (folder / "d.csv").write_text(f"x{separator}z\n{text}", newline="")
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        main(["-d", str(folder / "d.csv"), "--label", "none", "--columns_in", "x:category z:category", "--separator",
              separator, "-p", str(folder / "p"), "--allow_empty"])  # fmt: skip
    skipped = [int(number) for number in re.findall(r"d\.csv:(\d+):\d+: ", err.getvalue())]
    expected = records_of(text, separator)
    bad = [line + 1 for line, good in expected if not good]
    assert skipped == bad[: len(skipped)], err.getvalue()
    assert len(skipped) == min(len(bad), 5)
    assert f"skipped malformed lines = {len(bad)} of" in err.getvalue() or not bad
    assert len((folder / "p").read_text().splitlines()) == sum(good for _, good in expected)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_a_table_of_many_blocks_is_that_of_pythons_csv_module(learn, quoting, ends):
    choose = random.Random(3)
    words = ["red", "New York", "a,b", 'say "no"', "two\nlines", "", "x" * 40, "é", "'", "1e5", "0.25"]
    rows = [[i % 2, round(choose.gauss(0, 9), choose.randrange(9)), choose.choice(words)] for i in range(60_000)]
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator=ends).writerows([["y", "n", "w"], *rows])
    status, found, _ = learn(out.getvalue(), "--label", "y", "--columns_in", "n:number w:category", "--quiet")
    assert status == 0
    records = [{"n": n, **({"w": w} if w else {})} for _, n, w in rows]
    assert found == rounded(Workspace().learn(records, y=[row[0] for row in rows]))


@given(
    st.lists(st.lists(st.text('ab", \n;é', max_size=4), min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from([b",", b";"]),
    st.sampled_from(["\r\n", "\n"]),
    st.booleans(),
)
def test_the_first_records_are_those_of_the_module_csv(table, separator, end, whole):
    sink = io.StringIO(newline="")
    csv.writer(sink, delimiter=separator.decode(), lineterminator=end).writerows(table)
    text = sink.getvalue() if whole else sink.getvalue().removesuffix(end)
    expected = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator.decode()) if row]
    assert list(first_records(text.encode(), separator)) == expected


def test_a_first_row_has_cells_of_any_length(learn):
    long = "x" * 300_000
    status, found, said = learn(f'a,b,y\n{long},"{long}",1\nb,,2\n', "--label", "y")
    assert status == 0 and len(found) == 2, said
    status, _, said = learn('a,y\n"x,1\n' + "b,2\n" * 100_000, "--label", "y")
    assert status == 1
    assert "data.csv:2:1: a cell in quotes does not end" in said


@pytest.mark.parametrize("flags", ["", "--where has_not is missing", "--bayes_linear --random_effect e"])
@pytest.mark.parametrize("role", ["category", "text", "auto"])
def test_memory_of_names_grows_while_a_cell_is_read(tmp_path, role, flags):
    cells = [
        "a",
        "x" * 1_000_000,
        "b c " * 50 + "w" * 1_500_000,
        "y" * 3_000_000,
        "a",
        '"' + "z" * 2_000_000 + '"',
        "b",
    ]
    (tmp_path / "d.csv").write_text("c,e,y\n" + "".join(f"{cell},u,{i}\n" for i, cell in enumerate(cells)))
    columns = f"c:{role} e:entity" if "random" in flags else f"c:{role} e:ignore"
    words = ["d.csv", "--label", "y", "--columns_in", columns, "-p", "p.txt", "--quiet"]
    where = flags.partition("--where ")
    words += ["--where", where[2]] if where[1] else flags.split()
    done = subprocess.run([sys.executable, "-m", "vwlite", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # not the signal of a read of memory that was freed
    workspace = Workspace("" if where[1] else flags)
    values = [cell.strip('"').split() if role == "text" else cell.strip('"') for cell in cells]
    records = [{"c": value} | ({"e": "u"} if "random" in flags else {}) for value in values]
    found = [float(line) for line in (tmp_path / "p.txt").read_text().split()]
    assert found == pytest.approx(workspace.learn(records, y=list(range(len(cells)))), abs=1e-5)


def test_lines_that_end_with_cr_alone_are_refused_with_what_to_do(learn):
    status, _, said = learn("a,y\r1,2\r3,4\r", "--label", "y")
    assert status == 1
    assert "data.csv: its lines end with CR alone" in said and r"`tr '\r' '\n'`" in said


def test_a_label_that_no_record_has_is_said(learn):
    status, _, said = learn('{"click": 1, "a": 2}\n', "--label", "no_such", name="d.ndjson")
    assert status == 1  # there is a model to be saved
    status, _, said = learn('{"click": 1, "a": 2}\n', "--label", "no_such", "--allow_empty", name="d.ndjson")
    assert status == 0
    assert "[warning] --label no_such: no example has a label" in said
    said = learn('{"click": "x", "a": 2}\n', "--label", "click", "--oaa", "2", name="d.ndjson")[2]
    assert "[warning]" not in said


@pytest.mark.parametrize("name", ["shop.dat", "shop.txt", "shop"])
def test_a_table_is_recognized_whatever_its_name(learn, name):
    status, _, said = learn("city,y\nRome,1\nBonn,2\n", "--label", "y", name=name)
    assert status == 0
    assert f"{name}: read as CSV, as it looks like that" in said


@pytest.mark.parametrize(
    ("label", "warning"),
    [
        ("y:binary(Yes)", "--label y:binary(Yes): no label is 'Yes', so all are -1"),
        ("z:binary(1)", "--label z:binary(1): every label is '1', so all are 1"),
        ("x:above(9)", "--label x:above(9): no label is above 9, so all are -1"),
        ("x:above(0)", "--label x:above(0): every label is above 0, so all are 1"),
        ("y:binary(yes)", ""),
        ("x:above(1)", ""),
        ("x", ""),
    ],
)
def test_one_label_for_all_is_said(learn, label, warning):
    text = "a,x,y,z\n1,1,yes,1\n2,2,no,1\n"
    status, _, said = learn(text, "--label", label)
    assert status == 0
    found = [line.partition("[warning] ")[2] for line in said.splitlines() if "[warning] --label" in line]
    assert found == ([warning] if warning else [])
    assert "[warning] --label" not in learn(text, "-i", "m.model")[2]  # the next day may have one class
