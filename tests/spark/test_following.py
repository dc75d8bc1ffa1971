"""Structured Streaming: each micro-batch is a version of the table, and a repeated one is not learned twice."""

import os
from typing import Any

import pytest

from tests.support.spark import COLUMNS, FLAGS, clicks, entities, learned, loaded
from vwlite import spark as vws
from vwlite.errors import ModelError, OptionError
from vwlite.spark.following import identity

SETTINGS: dict[str, Any] = {"order": "time", "label": "y", "columns": COLUMNS, "trigger": {"availableNow": True}}


def written(frame, folder, name):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.parquet"
    frame.to_parquet(path, index=False)
    os.utime(path, (1e9 + int(name), 1e9 + int(name)))


def source(spark, folder):
    schema = spark.read.parquet(str(folder)).schema
    return spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(folder))


def test_micro_batches_are_one_run_and_a_repeated_batch_is_not_learned_twice(spark, tmp_path):
    rows = clicks(900, users=40)
    folder, path, checkpoint = tmp_path / "in", str(tmp_path / "lake"), str(tmp_path / "checkpoint")
    written(rows.iloc[:300], folder, "0")
    written(rows.iloc[300:600], folder, "1")
    query = vws.follow(source(spark, folder), path, checkpoint, FLAGS, **SETTINGS)
    query.awaitTermination(120)
    users = vws.read(path, spark)
    assert users.version.number == 1
    stream = identity(spark, checkpoint)
    assert users.version.streams == {stream: 1}
    # a crash between the table's version and the checkpoint's commit: Spark gives the batch again
    again = vws.update(path, spark.createDataFrame(rows.iloc[300:600]), stream=(stream, 1))
    assert again.version.number == 1
    (tmp_path / "checkpoint" / "commits" / "1").unlink()
    for checksum in (tmp_path / "checkpoint" / "commits").glob(".1.crc"):
        checksum.unlink()
    written(rows.iloc[600:], folder, "2")
    vws.follow(source(spark, folder), path, checkpoint, trigger={"availableNow": True}).awaitTermination(120)
    users = vws.read(path, spark)
    assert users.version.streams == {stream: 2}
    assert users.version.number == 2
    assert users.counts["rows"] == 900
    assert entities(loaded(users, tmp_path)).equals(entities(learned(rows, tmp_path)))
    assert [one.version.number for one in (vws.read(path, spark, version=n) for n in range(3))] == [0, 1, 2]
    assert len(vws.vacuum(spark, path, keep=3)) == 0
    compacted = users.compact()
    assert compacted.version.number == 3
    assert len(compacted.version.parts) == 1
    removed = vws.vacuum(spark, path)
    assert len(removed) == 3
    with pytest.raises(ModelError, match="there is no version 1, only 3"):
        vws.read(path, spark, version=1)
    assert entities(loaded(vws.read(path, spark), tmp_path)).equals(entities(learned(rows, tmp_path)))


def test_a_stream_without_a_table_and_without_flags(spark, tmp_path):
    written(clicks(10), tmp_path / "in", "0")
    with pytest.raises(OptionError, match="there is no table of entities here yet"):
        vws.follow(source(spark, tmp_path / "in"), str(tmp_path / "lake"), str(tmp_path / "c"))
    with pytest.raises(OptionError, match="name the column by which rows are learned"):
        vws.follow(source(spark, tmp_path / "in"), str(tmp_path / "lake"), str(tmp_path / "c"), FLAGS)
