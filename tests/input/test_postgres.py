"""Queries of a real PostgreSQL: the same examples as CSV of the same rows, streamed, and told where they break off."""

import csv
import datetime
import decimal

import pytest
import sqlalchemy

from tests.support import postgres
from vwlite.cli import main

pytestmark = pytest.mark.skipif(postgres.programs() is None, reason="no PostgreSQL here: apt-get install postgresql")
FLAGS = ["--label", "click:binary(yes)", "--loss_function", "logistic", "--quiet"]
COLUMNS = "id:tag price:number city:category seen:date(hour,dow) new:flag /.*/:auto"
ROWS = [
    {
        "id": i,
        "price": decimal.Decimal(i % 7) / 4,
        "city": ["New York", "Rome", None][i % 3],
        "seen": datetime.datetime(2026, 11, 1 + i % 28, i % 24, 30),
        "new": i % 5 == 0,
        "n": i % 4,
        "click": ["yes", "no"][i % 2],
    }
    for i in range(2500)
]


@pytest.fixture(scope="module")
def url():
    with postgres.server() as url:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                sqlalchemy.text(
                    "create table t (id integer, price numeric(9, 2), city text, seen timestamp, new boolean, "
                    "n bigint, click text)"
                )
            )
            connection.execute(
                sqlalchemy.text("insert into t values (:id, :price, :city, :seen, :new, :n, :click)"), ROWS
            )
        engine.dispose()
        yield url


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def predictions(source, *words):
    assert main(["-d", source, "-p", "p.txt", *FLAGS, *words]) == 0
    with open("p.txt") as file:
        return file.read()


def test_rows_of_a_query_are_those_of_a_table_in_text(url):
    with open("t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows({**row, "new": str(row["new"]).lower()} for row in ROWS)
    expected = predictions("t.csv", "--columns_in", COLUMNS, "-f", "csv.model")
    assert predictions(f"{url} SELECT * FROM t ORDER BY id", "--columns_in", COLUMNS, "-f", "sql.model") == expected
    query = f"{url} SELECT * FROM t WHERE id < 100 ORDER BY id"
    assert predictions(query, "-t", "-i", "csv.model") == predictions(query, "-t", "-i", "sql.model")


def test_types_of_columns_are_found_by_themselves(url):
    query = f"{url} SELECT price, city, new, n, click FROM t ORDER BY id"
    assert predictions(query) == predictions(query, "--columns_in", "price:number city:category new:flag n:number")


def test_a_query_that_fails_in_the_middle_names_the_row_and_writes_no_model(url, tmp_path, capsys):
    query = f"{url} SELECT 'yes' AS click, 1 / (150000 - g) AS n FROM generate_series(1, 200000) g"
    assert main(["-d", query, *FLAGS, "-f", "m"]) == 1
    error = capsys.readouterr().err
    assert "after row 149,000: " in error
    assert "division by zero" in error
    assert not (tmp_path / "m").exists()


def test_a_database_that_goes_away_is_told(url, tmp_path, capsys):
    leave = "CASE WHEN g = 50001 THEN pg_terminate_backend(pg_backend_pid()) END"
    query = f"{url} SELECT 'yes' AS click, g AS n, {leave} AS gone FROM generate_series(1, 90000) g"
    assert main(["-d", query, *FLAGS, "--columns_in", "n:number gone:ignore", "-f", "m"]) == 1
    error = capsys.readouterr().err
    assert "after row 50,000: " in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT * FROM missing", 'relation "missing" does not exist'),
        ("SELECT * OF t", "syntax error"),
        ("SELECT n, n FROM t", "two columns are called 'n'"),
        ("SELECT price FROM t", "no column matches --label click"),
        ("SELECT 'yes' AS click, ARRAY[1, 2] AS n", "row 1, column 'n': 'n' is of type list"),
    ],
)
def test_a_query_that_can_not_be_learned_is_refused_in_one_line(url, query, why, capsys):
    assert main(["-d", f"{url} {query}", *FLAGS]) == 1
    error = capsys.readouterr().err
    assert why in error
    assert len(error.splitlines()) == 1


def test_a_server_that_is_not_there_and_a_wrong_password_are_told_without_it(tmp_path, capsys):
    source = f"postgresql+psycopg://ann:secret@/shop?host={tmp_path} SELECT 1 AS n"
    assert main(["-d", source, *FLAGS]) == 1
    error = capsys.readouterr().err
    assert "No such file or directory" in error
    assert "secret" not in error
    assert len(error.splitlines()) == 1
