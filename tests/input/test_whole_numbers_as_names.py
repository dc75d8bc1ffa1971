"""Whole numbers that are names have all of their digits, in tables, dicts and rows of a database alike."""

import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from vwlite import Workspace
from vwlite.cli import main

FLAGS = "--bayes_linear --noise 1 --noconstant --fixed none --shrink zero --effect_l2 1 --random_effect user"
LARGE = (2**53 - 1, 2**53, 2**53 + 1, 10**17, 2**60 + 1, 2**63 - 1, -(2**53) - 1, -(2**63))


def names(workspace: Workspace) -> list[str]:
    return sorted(workspace.entities()["entity"].to_pylist())


@pytest.mark.parametrize("number", [0, 5, -7, *LARGE])
def test_a_number_and_its_digits_are_one_entity(number):
    workspace = Workspace(FLAGS)
    workspace.learn({"user": number}, 1.0)
    workspace.learn({"user": str(number)}, 1.0)
    workspace.learn({"user": number}, 1.0, columns="user:entity")
    workspace.learn(pa.table({"user": pa.array([number], pa.int64())}), y=[1.0])
    workspace.learn(pa.table({"user": pa.array([number], pa.decimal128(30, 0))}), y=[1.0])
    workspace.learn(pa.table({"user": pa.array([number], pa.int64()).dictionary_encode()}), y=[1.0])
    if -(2**63) <= number < 2**63:
        workspace.learn({"user": np.int64(number)}, 1.0)
    assert names(workspace) == [str(number)]


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_numbers_without_a_sign_have_64_bits(number):
    workspace = Workspace(FLAGS)
    workspace.learn(pa.table({"user": pa.array([number], pa.uint64())}), y=[1.0])
    workspace.learn({"user": number}, 1.0)
    workspace.learn({"user": np.uint64(number)}, 1.0)
    assert names(workspace) == [str(number)]


def test_neighbours_are_two_entities_and_two_categories():
    ids = [2**60 + 1, 2**60 + 2]
    workspace = Workspace(FLAGS)
    workspace.learn(pa.table({"user": ids}), y=[1.0, 2.0])
    assert names(workspace) == [str(one) for one in ids]
    weights = Workspace("--noconstant")
    weights.learn(pa.table({"shop": ids}), y=[1.0, 2.0], columns="shop:category")
    texts = Workspace("--noconstant")
    texts.learn(pa.table({"shop": [str(one) for one in ids]}), y=[1.0, 2.0], columns="shop:category")
    assert [weights.predict(f"| shop={one}") for one in ids] == [texts.predict(f"| shop={one}") for one in ids]
    assert weights.predict(f"| shop={ids[0]}") != weights.predict(f"| shop={ids[1]}")


def test_numbers_that_are_features_stay_numbers():
    table = pa.table({"a": [2**60 + 1]})
    one, two = Workspace("--noconstant"), Workspace("--noconstant")
    assert one.learn(table, y=[1.0]) == two.learn(pa.table({"a": [float(2**60 + 1)]}), y=[1.0])
    assert one.predict("| a:1") == two.predict("| a:1") != 0
    assert one.predict({"a": 2**60 + 1}) == one.predict({"a": float(2**60)})


def test_rows_of_a_database_keep_digits(tmp_path):
    from vwlite.cli import main

    with sqlite3.connect(tmp_path / "d.db") as connection:
        connection.execute("CREATE TABLE t (user INTEGER, y REAL)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, 1.0) for number in LARGE])
    words = ["--label", "y", *FLAGS.split(), "-f", str(tmp_path / "m"), "--quiet"]
    assert main(["-d", f"sqlite:{tmp_path}/d.db?SELECT * FROM t", *words]) == 0
    assert names(Workspace.load(tmp_path / "m")) == sorted(map(str, LARGE))


@pytest.mark.parametrize("words", [[], ["--label", "y", "--columns_in", "user:entity /.*/:auto"]])
def test_objects_of_json_keep_digits(words, tmp_path):
    numbers = (1234567, -12345678, 10**15, 10**15 + 1, *LARGE)
    data, model = str(tmp_path / "d.ndjson"), str(tmp_path / "m")
    (tmp_path / "d.ndjson").write_text("".join(f'{{"user":{n} , "_label":1, "y":1, "_tag":{n}}}\n' for n in numbers))
    said = str(tmp_path / "p")
    assert main([data, *FLAGS.split(), *words, "-f", model, "-p", said, "--quiet"]) == 0
    assert names(Workspace(f"-i {model}")) == sorted(map(str, numbers))
    tags = [line.split()[1] for line in Path(said).read_text().splitlines()]
    assert tags == [str(n) for n in numbers]
