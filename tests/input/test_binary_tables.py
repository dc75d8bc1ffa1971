"""Parquet, Arrow and databases on the command line: the same examples as CSV of the same rows."""

import csv
import sqlite3

import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet

from vwlite import Workspace
from vwlite.cli import main
from vwlite.input.databases import is_query, shown

ROWS = [
    {"id": i, "price": i % 7 / 2, "city": ["New York", "Rome", None][i % 3], "n": i % 4, "click": ["yes", "no"][i % 2]}
    for i in range(2500)
]
FLAGS = ["--label", "click:binary(yes)", "--columns_in", "id:tag /.*/:auto", "--loss_function", "logistic"]
SOURCES = [
    "t.parquet",
    "t.arrow",
    "t.feather",
    "t.ipc",
    "sqlite:t.db?SELECT * FROM t",
    "sqlite:///t.db SELECT * FROM t",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table in every format."""
    monkeypatch.chdir(tmp_path)
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, "t.parquet", row_group_size=700)
    parquet.write_table(table, "t.unknown")
    feather.write_feather(table, "t.feather", chunksize=900)
    with pa.OSFile("t.arrow", "wb") as file, ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=1100)
    with pa.OSFile("t.ipc", "wb") as file, ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    with sqlite3.connect("t.db") as database:
        database.execute("create table t (id integer, price real, city text, n integer, click text)")
        database.executemany("insert into t values (:id, :price, :city, :n, :click)", ROWS)
    database.close()
    with open("t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    return tmp_path


def predictions(source: str, *words: str) -> str:
    assert main(["-d", source, *FLAGS, "-p", "p.txt", "--quiet", *words]) == 0
    with open("p.txt") as file:
        return file.read()


@pytest.mark.parametrize("source", [*SOURCES, "t.unknown"])
def test_the_same_rows_are_the_same_examples_in_every_format(folder, source):
    expected = predictions("t.csv", "-f", "csv.model")
    assert predictions(source, "-f", "m.model") == expected
    assert predictions(source, "--onethread", "-q", "::") == predictions("t.csv", "-q", "::")
    ours, theirs = Workspace.load("m.model"), Workspace.load("csv.model")
    assert ours.options["columns_in"] == theirs.options["columns_in"]
    assert main(["-t", "-i", "m.model", "-d", source, "-p", "q.txt", "--quiet"]) == 0


@pytest.mark.parametrize("source", ["t.parquet", "sqlite:t.db?SELECT * FROM t"])
def test_passes_and_limits_are_those_of_csv(folder, source):
    for words in (["--passes", "3", "-c", "--holdout_off"], ["--examples", "1234"], ["--passes", "2", "-k", "-c"]):
        assert predictions(source, *words) == predictions("t.csv", *words)


def test_several_sources_follow_each_other(folder):
    assert predictions("t.parquet", "-d", "t.parquet") == predictions("t.csv", "-d", "t.csv")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cut.parquet", "cut.parquet: damaged, or of another format"),
        ("cut.arrow", "cut.arrow: damaged, or of another format"),
        ("cut.ipc", "cut.ipc: the table can't be read: IOError"),
        ("text.parquet", "text.parquet: damaged, or of another format"),
        ("sqlite:none.db?SELECT 1", "none.db: can't read examples: no such file"),
        ("sqlite:t.db?SELECT * OF t", "syntax error"),
        ("sqlite:t.db?SELECT * FROM missing", "no such table: missing"),
        ("sqlite:cut.db?SELECT * FROM t", "sqlite:cut.db?SELECT * FROM t: "),
        ("sqlite:t.db?SELECT n, n FROM t", "two columns are called 'n'"),
        ("sqlite:t.db?SELECT price FROM t", "no column matches --label click:label"),
        ("sqlite:t.db?DELETE FROM t", "readonly database"),
        (
            "sqlite:t.db?SELECT 'yes' AS click, 1 AS id, CASE WHEN id = 1800 THEN abs(-9223372036854775807 - 1) "
            "ELSE 1 END AS n FROM t",
            "after row 1,000: integer overflow",
        ),
        ("nosuchdb://u:secret@h/x SELECT 1 AS click, 2 AS id", "nosuchdb://u:***@h/x SELECT 1 AS click, 2 AS id: "),
        ("t.db", "not lines of text but an SQLite database: give a query of it"),
    ],
)
def test_what_can_not_be_read_ends_the_run_with_the_reason(folder, source, message, capsys):
    for name in ("t.parquet", "t.arrow", "t.ipc", "t.db"):
        data = (folder / name).read_bytes()
        (folder / name.replace("t.", "cut.")).write_bytes(data[: len(data) // 2])
    (folder / "text.parquet").write_text("1 | a\n")
    capsys.readouterr()
    words = FLAGS if source != "t.db" else []
    assert main(["-d", source, *words, "-f", "m.model", "-p", "p.txt", "--quiet"]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "secret" not in said
    assert said.count("\n") == 1
    assert not (folder / "m.model").exists()


def test_a_bad_value_is_named_and_its_row_skipped(folder, capsys):
    with sqlite3.connect("t.db") as database:
        database.execute("update t set price = 'abc' where id = 1500")
    database.close()
    assert main(["-d", "sqlite:t.db?SELECT * FROM t ORDER BY id", *FLAGS]) == 0
    assert "skipped sqlite:t.db?SELECT * FROM t ORDER BY id:1501:0: not a finite number" in capsys.readouterr().err
    with sqlite3.connect("t.db") as database:
        database.execute("create table b (x blob, click text)")
        database.execute("insert into b values (x'ff00', 'yes')")
    database.close()
    assert main(["-d", "sqlite:t.db?SELECT * FROM b", "--label", "click:binary(yes)"]) == 0


def test_an_empty_result_is_no_example(folder, capsys):
    assert main(["-d", "sqlite:t.db?SELECT * FROM t WHERE id < 0", *FLAGS]) == 1
    assert "no example with a feature (0 lines)" in capsys.readouterr().err


def test_queries_are_told_from_files():
    assert is_query("sqlite:a.db?SELECT 1")
    assert is_query("postgresql+psycopg://u:p@h/d SELECT 1")
    assert not is_query("sqlite.db")
    assert not is_query("postgresql://h/d")
    assert shown("mysql://u:p@h/d SELECT ':x@'") == "mysql://u:***@h/d SELECT ':x@'"
