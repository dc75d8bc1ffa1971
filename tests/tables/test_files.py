"""Files of tables: what is written is read back to the last bit, and a full disk leaves the older file."""

import os

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.leftovers import fill, small_disk
from tests.support.tables import INDEPENDENT, command_line, in_shares, learned, require_same, rows
from vwlite import Workspace, tables
from vwlite.errors import ModelError, OptionError

FLAGS = f"--bayes_logistic --posterior diagonal {INDEPENDENT}"


@pytest.mark.parametrize(
    "kind", ["--bayes_linear --noise 1", "--bayes_logistic --posterior diagonal --batch_size 3", "--square"]
)
def test_files_hold_every_bit(kind, tmp_path):
    table = pa.Table.from_batches(learned(f"{kind} {INDEPENDENT}", rows()))
    tables.write(table, tmp_path / "t.parquet")
    again = tables.read(tmp_path / "t.parquet")
    assert again.equals(table)
    assert again.schema.equals(table.schema, check_metadata=True)


def test_a_folder_of_parts_is_one_table(tmp_path):
    flags, table = FLAGS, rows()
    for number, batch in enumerate(in_shares(flags, table, 4)):
        tables.write([batch], tmp_path / "parts" / f"part-{number}.parquet")
    (tmp_path / "parts" / "_SUCCESS").write_text("")
    (tmp_path / "parts" / ".crc").write_text("x")
    whole = tables.merge([tables.read(tmp_path / "parts")])
    assert whole.drop_columns([]).equals(pa.Table.from_batches(learned(flags, table)))
    tables.to_model(flags, [tables.read(tmp_path / "parts")], tmp_path / "model")
    require_same(command_line(table, flags, tmp_path / "whole"), tmp_path / "model")


def test_tables_that_other_programs_have_written_are_read(tmp_path):
    """DuckDB and Polars keep all values, in types of their own; only the metadata are lost."""
    table = pa.Table.from_batches(learned(FLAGS, rows()))
    x = rows().drop_columns(["y"])
    whole = Workspace(FLAGS)
    whole.add_entities(None, table.replace_schema_metadata(None))
    wanted = whole.predict(x, columns="user:entity off:initial x:number@ctx city:category@ctx").tolist()
    tables.write(table, tmp_path / "t.parquet")
    duckdb.sql(f"COPY (SELECT * FROM '{tmp_path}/t.parquet' ORDER BY entity) TO '{tmp_path}/duck.parquet'")
    pl.read_parquet(tmp_path / "t.parquet").write_parquet(tmp_path / "polars.parquet")
    for name in ("duck", "polars"):
        other = Workspace(FLAGS)
        other.add_entities(None, tables.read(tmp_path / f"{name}.parquet"))
        assert other.predict(x, columns="user:entity off:initial x:number@ctx city:category@ctx").tolist() == wanted
    frame = pl.from_arrow(table)
    other = Workspace(FLAGS)
    other.add_entities(None, frame)
    assert other.entities().drop_columns([]).equals(table)
    with duckdb.connect() as connection:
        query = f"SELECT count FROM '{tmp_path}/t.parquet' WHERE entity = 'u1'"
        assert connection.execute(query).fetchall()[0][0] > 0


def test_the_table_of_a_model_is_that_of_its_rows(tmp_path):
    model = command_line(rows(), FLAGS, tmp_path / "model")
    assert tables.export(model).equals(pa.Table.from_batches(learned(FLAGS, rows())))
    # a table is as good as its batches
    table = tables.export(model)
    tables.to_model(FLAGS, table, tmp_path / "again")
    require_same(model, tmp_path / "again")
    assert tables.merge(table).equals(table)
    (before,) = tables.learn(FLAGS, [], before=table)
    assert pa.Table.from_batches([before]).equals(table)
    with pytest.raises(OptionError, match="no random effect 'item'"):
        tables.export(model, "item")
    with pytest.raises(ModelError, match="no such file"):
        tables.export(tmp_path / "none")


def test_no_entity_is_a_table_too(tmp_path):
    tables.write(tables.learn(FLAGS, []), tmp_path / "t.parquet")
    assert len(tables.read(tmp_path / "t.parquet")) == 0
    assert len(tables.merge([tables.read(tmp_path / "t.parquet")] * 2)) == 0
    tables.to_model(FLAGS, [tables.read(tmp_path / "t.parquet")], tmp_path / "model")
    assert len(Workspace.load(tmp_path / "model").entities()) == 0
    with pytest.raises(TypeError, match="no batch"):
        tables.write([], tmp_path / "t.parquet")
    with pytest.raises(ModelError, match="no column"):
        tables.write(pa.table({"a": [1]}), tmp_path / "t.parquet")


def test_a_full_disk_leaves_the_older_files(tmp_path):
    table = pa.Table.from_batches(learned(FLAGS, rows(20_000, 4000)))
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        small = table.slice(0, 100)
        tables.write(small, disk / "t.parquet")
        tables.to_model(FLAGS, [small], disk / "model")
        before = {name: (disk / name).read_bytes() for name in ("t.parquet", "model")}
        fill(disk)
        for action in (
            lambda: tables.write(table, disk / "t.parquet"),
            lambda: tables.to_model(FLAGS, [table], disk / "model"),
        ):
            with pytest.raises(ModelError, match=r"any older .* there is unchanged: .*(space|full)") as caught:
                action()
            assert "\n" not in str(caught.value)
        assert {name: (disk / name).read_bytes() for name in before} == before
        assert sorted(os.listdir(disk)) == ["filler", "model", "t.parquet"]


def test_large_lists_are_cut_into_batches(tmp_path, monkeypatch):
    from vwlite.entities import arrow_tables

    table = pa.Table.from_batches(learned(FLAGS, rows()))
    monkeypatch.setattr(arrow_tables, "BYTES", 3000)
    batches = learned(FLAGS, rows())
    assert 4 < len(batches) < 60
    assert pa.Table.from_batches(batches).equals(table)
    monkeypatch.setattr(arrow_tables, "BYTES", 1)
    assert len(learned(FLAGS, rows())) == 60


def test_a_pipe_can_be_written_to(tmp_path):
    table = pa.Table.from_batches(learned(FLAGS, rows()))
    os.mkfifo(tmp_path / "pipe")
    import threading

    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    tables.write(table, tmp_path / "pipe")
    reader.join()
    assert pq.read_table(pa.BufferReader(found[0])).equals(table)
