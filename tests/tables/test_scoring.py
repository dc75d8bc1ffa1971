"""score: the predictions of `vwlite -t -i`, from a table of entities and rows."""

import numpy as np
import pyarrow as pa
import pytest

from tests.support.tables import COLUMNS, INDEPENDENT, command_line, in_shares, learned, rows
from vwlite import Workspace, tables
from vwlite.errors import OptionError

KINDS = ("--bayes_linear --noise 1", "--bayes_logistic --link logistic", "--bayes_logistic --batch_size 7")


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_the_model(kind, tmp_path):
    flags, table = f"{kind} {INDEPENDENT}", rows()
    model = command_line(table, flags, tmp_path / "model")
    x = rows(seed=5, users=80).drop_columns(["y"])
    wanted = Workspace(["-t", "-i", str(model), "--columns", "prediction,sd,user"]).predict(x)
    entities = in_shares(flags, table, 3)
    words = f"{flags} --columns prediction,sd,user"
    x = x.rename_columns(["id", *x.column_names[1:]])
    found = pa.Table.from_batches(
        tables.score(
            words, entities, x.to_batches(100), columns=f"id:entity@user {COLUMNS.partition(' ')[2]}", keep=["id"]
        )
    )
    assert found.column_names == ["id", "prediction", "sd", "user"]
    for k, name in enumerate(found.column_names[1:]):
        assert np.array_equal(found[name].to_numpy(), wanted[:, k])


def test_columns_and_label_of_the_table_are_used():
    flags, table = f"--bayes_linear --noise 1 {INDEPENDENT}", rows()
    entities = learned(flags, table)
    (one,) = tables.score(flags, entities, [table.combine_chunks().to_batches()[0]])
    text = entities[0].schema.metadata[b"vwlite.entities"].decode()
    bare = [batch.replace_schema_metadata(None) for batch in entities]
    (two,) = tables.score(flags, bare, [table.drop_columns(["y"]).combine_chunks().to_batches()[0]], metadata=text)
    assert one.column("prediction").equals(two.column("prediction"))
    assert one.schema.names == [*table.column_names, "prediction"]


def test_rows_that_are_no_examples_have_no_prediction():
    flags, table = f"--bayes_linear --noise 1 {INDEPENDENT}", rows()
    batch = table.slice(0, 4).combine_chunks().to_batches()[0]
    batch = batch.set_column(1, "x", pa.array([1.0, float("nan"), 2.0, 3.0]))
    (found,) = tables.score(flags, learned(flags, table), [batch])
    assert found.column("prediction").is_null().to_pylist() == [False, True, False, False]
    assert [len(each) for each in tables.score(flags, [], [batch.slice(0, 0)])] == [0]


def test_unknown_entities_get_the_prior():
    flags = (
        "--bayes_linear --noise 1 --random_effect user --fixed none --shrink zero --effect_l2 4 --columns prediction,sd"
    )
    batch = pa.record_batch({"user": ["new", None]})
    (found,) = tables.score(flags, [], [batch], columns="user:entity")
    assert found.column("prediction").to_pylist() == [0, 0]
    assert found.column("sd").to_pylist() == [0.5, 0]


def test_a_name_twice_is_refused():
    flags, table = f"--bayes_linear --noise 1 {INDEPENDENT}", rows()
    batch = table.append_column("prediction", table["x"]).combine_chunks().to_batches()[0]
    with pytest.raises(OptionError, match="'prediction'"):
        list(tables.score(flags, learned(flags, table), [batch], columns=f"{COLUMNS} prediction:ignore"))


def test_scoring_changes_nothing():
    flags, table = f"--bayes_logistic --batch_size 7 {INDEPENDENT}", rows()
    entities = learned(flags, table)
    before = pa.Table.from_batches(entities)
    list(tables.score(flags, entities, table.to_batches()))
    assert pa.Table.from_batches(entities).equals(before)
