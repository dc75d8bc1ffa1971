"""A column that the map ignores is no feature, and --where, --by, --group, --time and the like still find it."""

import csv
import datetime
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.models import arrays
from vwlite.cli import main

LARGE = 2**40 + 1  # more digits than single precision has


def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    found = []
    for i in range(600):
        x = float(random.normal())
        row = {"y": int(x + random.normal() > 0), "x": round(x, 4), "part": ["train", "test", None][i % 3], "on": i % 2}
        found.append(row | {"age": [0, 31.5][i % 2], "key": LARGE + i % 4, "day": f"2026-01-{i % 28 + 1:02}"})
    return found


ROWS = rows()
MAP = ["--label", "y:binary(1)", "--loss_function", "logistic", "--columns_in"]
IGNORED = "part:ignore on:ignore age:ignore key:ignore day:ignore /.*/:auto"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, names in (("t", list(ROWS[0])), ("less", ["y", "x"])):
        with open(f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(ROWS)
    Path("t.ndjson").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    parquet.write_table(pa.Table.from_pylist(ROWS), "t.parquet")
    with sqlite3.connect("t.db") as database:
        database.execute('create table t (y integer, x real, part text, "on" integer, age real, key integer, day text)')
        database.executemany("insert into t values (:y, :x, :part, :on, :age, :key, :day)", ROWS)
    database.close()


@pytest.mark.parametrize("source", ["t.csv", "t.ndjson", "t.parquet", "sqlite:t.db?SELECT * FROM t"])
@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ('part == "train"', lambda row: row["part"] == "train"),
        ('part != "train"', lambda row: row["part"] == "test"),
        ("part is missing", lambda row: row["part"] is None),
        ("age == 0", lambda row: row["age"] == 0),
        ("age > 31 and on == 1", lambda row: row["age"] > 31),
        (f'key == "{LARGE}"', lambda row: row["key"] == LARGE),
        ('day < "2026-01-03" and x > 0', lambda row: row["day"] < "2026-01-03" and row["x"] > 0),
    ],
)
def test_where_finds_it_and_learners_do_not(source, expression, holds):
    with open("chosen.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["y", "x"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row for row in ROWS if holds(row))
    assert main([source, *MAP, IGNORED, "--where", expression, "-f", "m", "--quiet"]) == 0
    assert main(["chosen.csv", *MAP, "/.*/:auto", "-f", "n", "--quiet"]) == 0
    assert arrays("m") == arrays("n")


def judged(capsys, *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--samples", "0", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def groups(found: Any, name: str) -> dict[str, int]:
    return {group["name"]: group["examples"] for group in found["slices"][name]}


@pytest.mark.parametrize("source", ["t.csv", "t.ndjson", "t.parquet"])
def test_slices_and_folds_go_by_it(source, capsys):
    assert main([source, *MAP, IGNORED, "-f", "m", "--quiet"]) == 0
    assert main(["less.csv", *MAP, "/.*/:auto", "-f", "n", "--quiet"]) == 0
    assert arrays("m") == arrays("n")
    found = judged(capsys, "eval", "m", "-d", source, "--by", "part", "--by", "age", "--entity", "key")
    assert groups(found, "part") == {"train": 200, "test": 200, "(missing)": 200}
    assert groups(found, "age") == {"0": 300, "31.5": 300}
    assert found["entities"]["key"]["entities"] == 4
    assert found["metrics"] == judged(capsys, "eval", "n", "-d", "less.csv")["metrics"]
    for passes in ([], ["--passes", "3"]):
        words = ["cv", source, *MAP, IGNORED, "--group", "key", "-k", "2", "--by", "age", "--by", "on", *passes]
        found = judged(capsys, *words)["pooled"]
        assert groups(found, "age") == {"0": 300, "31.5": 300}
        assert groups(found, "on") == {"0": 300, "1": 300}


def test_the_number_0_is_a_slice_of_folds_although_they_are_read_twice(capsys):
    # it was missing in what is read again from the cache
    found = judged(capsys, "cv", "t.csv", *MAP, "day:ignore part:category key:category /.*/:auto", "--by", "on")
    assert groups(found["pooled"], "on") == {"0": 300, "1": 300}


def test_parts_searches_and_delays_go_by_it(capsys):
    assert main(["split", "t.csv", "0.5", "0.5", "--by", "key", "--columns_in", IGNORED, "--label", "y"]) == 0
    parts = [{line.split(",")[5] for line in Path(f"t.{i}.csv").read_text().split()[1:]} for i in (1, 2)]
    assert all(parts) and not parts[0] & parts[1] and len(parts[0] | parts[1]) == 4
    words = [*MAP, IGNORED, "--holdout", "0.3", "--tune", "l=.1..1", "--evaluations", "2"]
    found = []
    for share in ([], ["--by", "key", "--entities", "0.5"]):
        capsys.readouterr()
        assert main(["tune", "t.csv", *words, *share, "--json", "--quiet"]) == 0
        found.append(json.loads(capsys.readouterr().out)["start_loss"])
    assert found[0] != found[1]
    with open("timed.csv", "w", encoding="utf-8") as file:
        file.write("y,x,at\n" + "".join(f"{row['y']},{row['x']},{60 * i}\n" for i, row in enumerate(ROWS)))
    losses = []
    for delay in (["--delay", "120s", "--time", "at"], ["--delay", "1"]):
        capsys.readouterr()
        assert main(["timed.csv", *MAP, "at:ignore /.*/:auto", *delay]) == 0
        losses += re.findall("average loss = (.*)", capsys.readouterr().err)
    assert len(losses) == 2 and losses[0] == losses[1]


def test_keys_inside_of_others_lists_and_what_is_no_value(capsys):
    lines = [{"y": i % 2, "user": {"age": i % 3, "tags": ["a", "b"]}, "x": i, "none": None} for i in range(90)]
    Path("d.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns = "user.age:ignore user.tags:ignore none:ignore /.*/:auto"
    for expression, n in (("user^age == 0", 30), ("user^tags is missing", 90), ("none is missing", 90)):
        capsys.readouterr()
        assert main(["d.ndjson", "--label", "y", "--columns_in", columns, "--where", expression]) == 0
        assert f"number of examples = {n}\n" in capsys.readouterr().err


def test_long_texts_and_signs_are_compared_as_those_of_features(capsys):
    texts = ["a b", "c:d", " e|f ", "\u00e9" * 3000, ""]
    with open("d.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["y", "x", "t"], *([i % 2, i, texts[i % 5]] for i in range(100))])
    for text in texts:
        found = []
        for role in ("ignore", "category"):
            words = ["--columns_in", f"t:{role} /.*/:auto", "--where", f't == "{text}"', "--allow_empty"]
            capsys.readouterr()
            assert main(["d.csv", "--label", "y", *words]) == 0
            found += re.findall("number of examples = (.*)", capsys.readouterr().err)
        assert found[0] == found[1] == ("0" if text == "" else "20")


def chosen(capsys, source: str, columns: str, expression: str) -> int:
    words = ["--label", "y", "--columns_in", columns, "--where", expression, "--allow_empty"]
    capsys.readouterr()
    assert main([source, *words]) == 0
    return int(re.findall("number of examples = (.*)", capsys.readouterr().err)[0])


@pytest.fixture
def odd(folder) -> list[dict[str, Any]]:
    found = []
    for i in range(140):
        day = datetime.date(2020, 1, 1) + datetime.timedelta(i % 5)
        row: dict[str, Any] = {"y": i % 2, "x": i}
        row |= {"code": ["a", "5", "007", "1e99", "nan", None, "-98765432109876543"][i % 7]}
        row |= {"big": [0.5, 1e300, 2e7 + 0.5, -1.0][i % 4], "on": [True, False, None][i % 3], "user id": f"u{i % 4}"}
        at = datetime.datetime(2020, 1, 1, 0, 0, i % 60)
        found.append(row | {"day": day, "at": at, "long": [2**60 + 1, 10**15 + i % 8, -(2**60) - 1, 7][i % 4]})
    with open("odd.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    Path("odd.ndjson").write_text("".join(json.dumps(row, default=str) + "\n" for row in found))
    parquet.write_table(pa.Table.from_pylist(found), "odd.parquet")
    return found


FORMATS = ["odd.csv", "odd.ndjson", "odd.parquet"]


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ('code != "a"', lambda row: row["code"] not in ("a", None)),  # also where it looks like a number
        ("code != 5", lambda row: row["code"] not in ("5", None)),
        ('code == "1e99"', lambda row: row["code"] == "1e99"),
        ('code == "nan"', lambda row: row["code"] == "nan"),
        ('code == "-98765432109876543"', lambda row: row["code"] == "-98765432109876543"),
        ("code is missing", lambda row: row["code"] is None),
        ("big > 1", lambda row: row["big"] > 1),
        ("big is missing", lambda row: False),
        ('day < "2020-01-03"', lambda row: row["day"] < datetime.date(2020, 1, 3)),
        ('day == "2020-01-02"', lambda row: row["day"] == datetime.date(2020, 1, 2)),
        ('at == "2020-01-01 00:00:00"', lambda row: row["at"].second == 0),
        ('at > "2020-01-01 00:00:30"', lambda row: row["at"].second > 30),
        (f'long == "{2**60 + 1}"', lambda row: row["long"] == 2**60 + 1),
        (f'long == "{-(2**60) - 1}"', lambda row: row["long"] == -(2**60) - 1),
        (f'long == "{10**15 + 5}"', lambda row: row["long"] == 10**15 + 5),
        ("long == 7", lambda row: row["long"] == 7),
        ('user_id == "u1"', lambda row: row["user id"] == "u1"),  # as the name of a feature is written
        ('`user id` == "u1"', lambda row: row["user id"] == "u1"),
    ],
)
def test_a_cell_is_the_same_in_each_format(source, expression, holds, odd, capsys):
    assert chosen(capsys, source, "x:auto /.*/:ignore", expression) == sum(map(holds, odd))


@pytest.mark.parametrize("source", FORMATS[1:])
def test_what_is_false_is_missing_as_where_it_is_a_feature(source, odd, capsys):
    for role in ("ignore", "flag"):
        columns = f"x:auto on:{role} /.*/:ignore"
        assert chosen(capsys, source, columns, "has on") == sum(row["on"] is True for row in odd)


@pytest.mark.parametrize("source", FORMATS)
def test_delays_read_times_and_days(source, odd, capsys):
    def losses(*words: str) -> list[str]:
        capsys.readouterr()
        assert main([source, "--label", "y", "--columns_in", "x:auto /.*/:ignore", *words]) == 0
        return re.findall("average loss = (.*)|waiting for labels = (.*)", capsys.readouterr().err)

    with open("numbers.csv", "w", encoding="utf-8") as file:
        file.write(
            "y,x,at,day\n" + "".join(f"{r['y']},{r['x']},{r['at'].second},{86400 * r['day'].day}\n" for r in odd)
        )
    for name, delay in (("at", "20s"), ("day", "100000s")):
        found = losses("--delay", delay, "--time", name)
        capsys.readouterr()
        words = ["--label", "y", "--columns_in", "x:auto /.*/:ignore", "--delay", delay, "--time", name]
        assert main(["numbers.csv", *words]) == 0
        assert found == re.findall("average loss = (.*)|waiting for labels = (.*)", capsys.readouterr().err)


def test_digits_of_a_long_number_in_json_name_an_entity(odd, capsys):
    # as they do in CSV and Parquet: 10^15 + 1 and 10^15 + 5 were one
    found = []
    for source in FORMATS:
        columns = "x:auto long:category /.*/:ignore"
        assert main([source, "--label", "y", "--columns_in", columns, "-f", "m", "--quiet"]) == 0
        found.append(arrays("m"))
    assert found[0] == found[1] == found[2]


def test_entities_whose_names_are_numbers_are_not_cut_into_ranges(capsys):
    with open("ids.csv", "w", encoding="utf-8") as file:
        file.write("y,x,id,income\n")
        file.writelines(f"{i % 2},{i % 7},{1000 + i % 50},{(1 + i % 50) * [500, 10**6][i % 2]}\n" for i in range(1000))
    assert main(["ids.csv", "--label", "y", "--columns_in", "x:auto /.*/:ignore", "-f", "m", "--quiet"]) == 0
    for columns in ([], ["--columns_in", "x:auto id:number /.*/:ignore"]):
        capsys.readouterr()
        words = ["--label", "y", *(columns or ["--columns_in", "x:auto /.*/:ignore"]), "-k", "2"]
        assert main(["cv", "ids.csv", *words, "--entity", "id", "--resample", "id", "--samples", "20", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pooled"]["entities"]["id"]["entities"] == 50
    found = judged(capsys, "eval", "m", "-d", "ids.csv", "--entity", "id", "--by", "income")
    assert found["entities"]["id"]["entities"] == 50
    # numbers that are noted as texts, as they are long, are in ranges with the others
    assert len(found["slices"]["income"]) == 4


def test_decimal_commas_of_long_numbers_are_points(capsys):
    with open("d.csv", "w", encoding="utf-8") as file:
        file.write("y;x;t\n" + "".join(f"{i % 2};{i};{(1, 1700000000)[i % 2] + i},5\n" for i in range(100)))
    words = ["--label", "y", "--decimal", ",", "--separator", ";", "--columns_in", "t:ignore /.*/:auto", "--where"]
    for expression, n in (("t > 30", 85), ('t == "1700000051.5"', 1), ("t == 21.5", 1)):
        assert main(["d.csv", *words, expression]) == 0
        assert f"number of examples = {n}\n" in capsys.readouterr().err


def test_what_reads_expressions_is_imported_only_for_them():
    program = "import sys; from vwlite import Workspace; Workspace('--quiet').learn('1 | a')\n"
    program += "print('vwlite.input.where' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("role", ["ignore", "category", "number"])
def test_a_column_comes_before_a_namespace_of_its_name(role, capsys):
    with open("d.csv", "w", encoding="utf-8") as file:
        file.write("y,user,age\n" + "".join(f"{i % 2},{i % 4},{20 + i % 2}\n" for i in range(80)))
    words = ["cv", "d.csv", "--label", "y", "--columns_in", f"user:{role} age:number@user", "-k", "2", "--by", "user"]
    assert groups(judged(capsys, *words)["pooled"], "user") == {"0": 20, "1": 20, "2": 20, "3": 20}


def test_zeros_are_one_slice(capsys):
    zeros = ["0", "-0", "0.0", "-0.0", "-1e-46"]
    rows_of: list[dict[str, Any]] = [{"y": i % 2, "x": i, "z": zeros[i % 5]} for i in range(100)]
    with open("d.csv", "w", encoding="utf-8") as file:
        file.write("y,x,z\n" + "".join(f"{r['y']},{r['x']},{r['z']}\n" for r in rows_of))
    lines = (f'{{"y":{r["y"]},"x":{r["x"]},"z":{r["z"]}}}\n' for r in rows_of)
    Path("d.ndjson").write_text("".join(lines))
    parquet.write_table(pa.Table.from_pylist([r | {"z": float(r["z"])} for r in rows_of]), "d.parquet")
    for name in ("d.csv", "d.ndjson", "d.parquet"):
        for role in ("ignore", "number"):
            words = ["--label", "y", "--columns_in", f"x:auto z:{role}", "-k", "2", "--by", "z"]
            assert groups(judged(capsys, "cv", name, *words)["pooled"], "z") == {"0": 100}
