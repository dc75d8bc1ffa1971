"""Coefficients of a workspace as arrays and frames, against predictions of single features."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from vwlite import Workspace
from vwlite.engine.coefficients import coefficients
from vwlite.errors import OptionError

ROWS = [{"user": f"u{i % 5}", "x": {"p": i % 3, "q": 2.0}, "price": i / 7, "city": "Bonn"} for i in range(60)]
NAMES = ("price", "city=Bonn", "x^p", "x^q")


def learned(flags, labels=None):
    workspace = Workspace(flags)
    rows = ROWS if "user" in flags else [{**row, "user": None} for row in ROWS]
    workspace.learn(rows, y=labels or [i % 4 for i in range(60)])
    return workspace


@pytest.mark.parametrize("flags", ["", "--ftrl", "--bayes_linear --noise 1", "--hash all --hash_seed 7", "-b 8"])
def test_a_weight_is_the_prediction_of_its_feature_alone(flags):
    flags += " --noconstant --min_prediction -99 --max_prediction 99"
    workspace = learned(flags)
    table = workspace.coefficients(names=NAMES)
    assert sorted(table["feature"]) == sorted(NAMES)
    for row in table:
        space, _, name = row["feature"].rpartition("^")
        assert workspace.predict(f"|{space} {name}:1") == pytest.approx(row["mean"], rel=1e-5)


def test_coefficients_of_entities_have_their_standard_deviations():
    workspace = learned("--bayes_linear --noise 1 --random_effect user:x --columns prediction,user,sd")
    frame = workspace.coefficients("user", names=NAMES).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["entity", "examples", "feature", "number", "mean", "sd"]
    assert set(frame.feature) == {"Constant", "x^p", "x^q"}
    assert (frame.examples == 12).all()
    ann = frame[frame.entity == "u3"].set_index("feature")["mean"]
    _, user, _ = workspace.predict({"user": "u3", "x": {"p": 1, "q": 2.0}})
    assert user == pytest.approx(ann["Constant"] + ann["x^p"] + 2 * ann["x^q"], rel=1e-4)
    assert (frame.sd > 0).all()


def test_classes_are_numbered():
    labels = [1 + i % 3 for i in range(60)]
    names = {}
    for flags in ("--oaa 3 --noconstant", "--oaa 3 --bayes_linear --noise 1 --noconstant"):
        workspace = learned(f"{flags} --scores", labels)
        table = workspace.coefficients(names=NAMES)
        names[flags] = set(zip(table["class"].tolist(), table["feature"], strict=True))
        for row in table:
            space, _, name = row["feature"].rpartition("^")
            scores = workspace.predict(f"|{space} {name}:1")
            assert scores[row["class"]] == pytest.approx(row["mean"], rel=1e-4, abs=1e-6)
    assert len(set(map(frozenset, names.values()))) == 1


def test_frames_of_other_packages_read_the_table():
    table = learned("--bayes_linear --noise 1 --random_effect user").coefficients("user")
    assert pl.DataFrame(table)["mean"].to_list() == table["mean"].tolist()
    connection = duckdb.connect()
    connection.register("rows", table.to_pandas())
    assert connection.execute("select count(*) from rows").fetchall() == [(len(table),)]
    assert np.array_equal(table.to_pandas()["sd"], table["sd"])
    assert repr(table) == f"<{len(table):,} coefficients: entity, examples, feature, number, mean, sd>"


def test_a_workspace_that_has_learned_nothing_has_no_coefficients():
    for flags in ("", "--bayes_linear", "--bayes_linear --random_effect user"):
        assert len(Workspace(flags).coefficients()) == 0
        assert list(Workspace(flags).coefficients()) == []
    assert len(Workspace("--bayes_linear --random_effect user").coefficients("user")) == 0


def test_a_random_effect_that_is_not_there_is_named():
    with pytest.raises(OptionError, match="no random effect 'item' in this workspace: there are user"):
        Workspace("--bayes_linear --random_effect user").coefficients("item")
    with pytest.raises(OptionError, match="there is none"):
        Workspace().coefficients("user")


def test_entities_out_of_memory_are_in_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace = learned("--bayes_linear --noise 1 --random_effect user --entity_limit 2")
    assert sorted(set(workspace.coefficients("user")["entity"])) == ["u0", "u1", "u2", "u3", "u4"]


@pytest.mark.parametrize("flags", ["", "--oaa 3", "-b 8"])
def test_most_are_those_furthest_from_zero(flags):
    workspace = learned(flags, [1 + i % 3 for i in range(60)])
    everything = workspace.coefficients(names=NAMES)
    rows = sorted(everything, key=lambda row: -abs(row["mean"]))
    for most in (1, 3, len(rows), 1000):
        few = coefficients(workspace, None, NAMES, most)
        assert sorted(abs(few["mean"])) == sorted(abs(row["mean"]) for row in rows[:most])  # some are equal
        means = dict(zip(everything["number"], everything["mean"], strict=True))
        assert all(means[row["number"]] == row["mean"] for row in few)
        assert list(few.columns) == list(everything.columns)
