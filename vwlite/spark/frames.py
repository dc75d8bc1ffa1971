"""Frames: the DataFrames between steps: rows by entity, and entities before rows in one stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vwlite import tables
from vwlite.errors import VwliteError
from vwlite.spark import tasks
from vwlite.spark.reading import ORDER, Reading, name_of_entity, quoted

KEY = "__vwlite_key"
EMPTY = {"array": "array", "map": "create_map"}  # by type, the function that makes a value of no elements


def active(spark: Any = None) -> Any:
    """The session given, or the active one. Raises VwliteError if there is none."""
    if spark is None:
        from pyspark.sql import SparkSession

        spark = SparkSession.getActiveSession()
    if spark is None:
        raise VwliteError("there is no Spark session: start one, or give spark=")
    return spark


class Inside:
    """A value that travels with each task: what a broadcast variable is without Spark Connect.

    Args:
        value: The value.

    Attributes:
        value: The value.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def destroy(self) -> None:
        """Nothing is left to delete."""


def sent_to_workers(spark: Any, value: Any) -> Any:
    """A broadcast variable, whose value each worker gets once; in a session of Spark Connect, which has none, Inside.

    Args:
        spark: The session.
        value: The value.

    Returns:
        An object with the attribute value and the method destroy.
    """
    if getattr(spark, "_sc", None) is None:
        return Inside(value)
    return spark.sparkContext.broadcast(value)


def schema_of(flags: str) -> Any:
    """The schema in Spark of what tasks put out: entities, and the metadata of the partition."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructField, StructType

    found = tables.schema(flags)
    arrow = pa.schema([pa.field(one.name, one.type if one.name != "key" else pa.binary()) for one in found])
    fields = [StructField(one.name, one.dataType, True) for one in from_arrow_schema(arrow).fields]
    return StructType(
        [*fields, StructField(tasks.HEAD, from_arrow_schema(pa.schema([("t", pa.string())]))[0].dataType)]
    )


def of_table(part: Any) -> Any:
    """The entities of what tasks have put out, without the rows of metadata."""
    if tasks.HEAD not in part.columns:
        return part
    return part.where(f"{tasks.HEAD} is null").drop(tasks.HEAD)


def rows_by_entity(rows: Any, reading: Reading, max_rows: int | None) -> Any:
    """The columns that are read, with the name of the entity as tasks have it, and those of the order.

    Args:
        rows: A DataFrame.
        reading: How it is read.
        max_rows: How many rows of an entity are learned, the newest; the others are marked. None for all.

    Returns:
        A DataFrame.
    """
    from pyspark.sql import Window, functions

    named = name_of_entity(reading.entity, rows.schema[reading.entity].dataType.simpleString())
    found = rows.select(
        named.alias(reading.entity),
        *(functions.col(quoted(name)) for name in reading.used if name != reading.entity),
        *(functions.col(quoted(name)).alias(f"{ORDER}{i}") for i, name in enumerate(reading.order)),
    )
    if max_rows is None:
        return found
    newest_first = [functions.col(f"{ORDER}{i}").desc() for i in range(len(reading.order))]
    window = Window.partitionBy(key_of(reading)).orderBy(*newest_first)
    beyond = functions.col(quoted(reading.entity)).isNotNull() & (functions.row_number().over(window) > max_rows)
    return found.withColumn(tasks.DROPPED, beyond)


def key_of(reading: Reading) -> Any:
    """What rows are dealt to partitions by: the entity; rows without one by their order, lest they meet in one."""
    from pyspark.sql import functions

    orders = [functions.col(f"{ORDER}{i}") for i in range(len(reading.order))]
    nowhere = functions.concat(functions.lit("\0"), functions.xxhash64(*orders).cast("string"))
    return functions.coalesce(functions.col(quoted(reading.entity)), nowhere)


def dealt(frame: Any, reading: Reading, partitions: int | None) -> Any:
    """Rows in partitions by entity, in each sorted by the order: the one shuffle of a step."""
    n = partitions or default_partitions(frame.sparkSession)
    orders = [f"{ORDER}{i}" for i in range(len(reading.order))]
    return frame.repartition(n, key_of(reading)).sortWithinPartitions(*orders)


def default_partitions(spark: Any) -> int:
    """The number of partitions of a shuffle."""
    return int(spark.conf.get("spark.sql.shuffle.partitions"))


def stream_of_both(entities: Any, rows: Any, named: Any, orders: Sequence[str]) -> Any:
    """Entities and rows in one DataFrame, each in a column of structs, to be shuffled together.

    Args:
        entities: The rows of a table of entities.
        rows: The rows.
        named: The expression of the entity's name in rows.
        orders: The columns of the order in rows.

    Returns:
        A DataFrame with the kind, the key, the order and both structs, of which one is null.
    """
    from pyspark.sql import functions

    lit = functions.lit
    ours = rows.select(
        lit(tasks.ONE_ROW).cast("tinyint").alias(tasks.KIND),
        named.alias(KEY),
        *(functions.col(name) for name in orders),
        struct_of(rows).alias(tasks.ROW),
        struct_of(entities, nothing=True).alias(tasks.GIVEN),
    )
    theirs = entities.select(
        lit(tasks.ENTITY).cast("tinyint").alias(tasks.KIND),
        functions.col("entity").alias(KEY),
        *(lit(None).cast(rows.schema[name].dataType).alias(name) for name in orders),
        struct_of(rows, nothing=True).alias(tasks.ROW),
        struct_of(entities, filled=True).alias(tasks.GIVEN),
    )
    return theirs.unionByName(ours)


def struct_of(frame: Any, nothing: bool = False, filled: bool = False) -> Any:
    """The expression of a struct with all columns of a DataFrame, or with nothing in each: null, or an empty list.

    Before each row Spark asks how large the batch for Python is by now, and Arrow then goes through the null lists
    since the last one that was not null: with null in place of empty lists, n rows took n squared steps.

    Args:
        frame: The DataFrame.
        nothing: Whether there is nothing in the columns.
        filled: Whether null lists are handed on as empty ones.

    Returns:
        The expression.
    """
    from pyspark.sql import functions

    columns = []
    for field in frame.schema.fields:
        value = functions.lit(None).cast(field.dataType) if nothing else functions.col(quoted(field.name))
        if (nothing or filled) and field.dataType.typeName() in EMPTY:
            empty = getattr(functions, EMPTY[field.dataType.typeName()])().cast(field.dataType)
            value = empty if nothing else functions.coalesce(value, empty)
        columns.append(value.alias(field.name))
    return functions.struct(*columns)


def keyed(both: Any, partitions: int | None) -> Any:
    """A stream of both in partitions by entity; rows without one are dealt at random."""
    from pyspark.sql import functions

    n = partitions or default_partitions(both.sparkSession)
    nowhere = functions.concat(functions.lit("\0"), functions.xxhash64(tasks.ROW).cast("string"))
    return both.repartition(n, functions.coalesce(functions.col(KEY), nowhere))
