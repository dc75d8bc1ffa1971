"""--label 'NAME:bins(...)': classes of a number by borders, the same in every format."""

import bisect
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from vwlite import Workspace
from vwlite.cli import main

BORDERS = ["-1", "0.1", "5", "20"]


@given(
    st.lists(st.one_of(st.floats(-30, 30, width=32), st.sampled_from((-1.0, 0.1, 5.0, 20.0))), min_size=1, max_size=9)
)
@settings(max_examples=20)
def test_a_number_is_in_the_bin_of_the_first_border_that_is_not_below_it(values):
    borders = [np.float32(border) for border in BORDERS]
    expected = [1 + bisect.bisect_left(borders, np.float32(value)) for value in values]
    label = f"y:bins({','.join(BORDERS)})"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "d.csv").write_text("a,y\n" + "".join(f"1,{value!r}\n" for value in values))
        Path(folder, "d.ndjson").write_text("".join(json.dumps({"a": 1, "y": value}) + "\n" for value in values))
        parquet.write_table(pa.table({"a": [1] * len(values), "y": values}), f"{folder}/d.parquet")
        for name in ("d.csv", "d.ndjson", "d.parquet"):
            words = ["--label", label, "--labels", "class", "-o", f"{folder}/o.vw", "--quiet"]
            assert main(["convert", f"{folder}/{name}", *words]) == 0
            lines = Path(folder, "o.vw").read_text().splitlines()
            assert [int(text.split()[0]) for text in lines] == expected


def test_a_border_of_above_is_the_same_in_every_format(tmp_path, capfd):
    (tmp_path / "d.csv").write_text("a,y\n1,0.1\n1,0.1001\n")
    parquet.write_table(pa.table({"a": [1, 1], "y": [0.1, 0.1001]}), tmp_path / "d.parquet")
    for name in ("d.csv", "d.parquet"):
        assert main(["convert", str(tmp_path / name), "--label", "y:above(0.1)", "--quiet"]) == 0
        assert capfd.readouterr().out == "-1 | a\n1 | a\n"


def test_dicts_and_tables_of_python_have_bins_too():
    table = pa.table({"a": [1, 2, 3], "y": [0, 7, 30]})
    found = Workspace("--oaa 3").learn(table, y="y:bins(5,20)", columns="a:number")
    rows = [{"a": 1, "y": 0}, {"a": 2, "y": 7}, {"a": 3, "y": 30}]
    assert Workspace(["--oaa", "3", "--label", "y:bins(5,20)"]).learn(rows) == list(found)
    assert Workspace("--oaa 3").learn(["1 | a:1", "2 | a:2", "3 | a:3"]) == list(found)


@pytest.mark.parametrize(
    "text", ["y:bins", "y:bins()", "y:bins(a)", "y:bins(2,1)", "y:bins(1,1)", "y:bins(1,nan)", "y:bins(1,inf)"]
)
def test_borders_that_are_none_are_refused(text, tmp_path, capsys):
    (tmp_path / "d.csv").write_text("a,y\n1,2\n")
    assert main(["-d", str(tmp_path / "d.csv"), "--label", text]) == 1
    assert "bins has numbers in parentheses, each above the one before: bins(1,5,20)" in capsys.readouterr().err


def test_a_label_that_is_no_number_is_malformed(tmp_path, capsys):
    (tmp_path / "d.csv").write_text("a,y\n1,2\n1,what\n1,\n")
    assert main(["-d", str(tmp_path / "d.csv"), "--label", "y:bins(5)", "--oaa", "2"]) == 0
    assert "d.csv:3:1: the label is no number" in capsys.readouterr().err
