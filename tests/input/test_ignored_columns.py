"""A column that the map ignores is no feature, and --where, --by, --group, --time and the like still find it."""

import csv
import json
import re
import sqlite3
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
    texts = ["a b", "c:d", "e|f", "\u00e9" * 3000, ""]
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
