"""The fixed part: a model of the command line scores rows, or is fitted here, and its score is the offset of effects.

Mostly one process that learns one stream is enough: the command line learns a million rows in a second, and a fixed
model has no use for all of 10^9 rows. `score_fixed` sends such a model to all workers. `fit_fixed` fits one to all rows
exactly, by gradients that are added up over partitions; `mix_fixed` mixes weights, which is another estimator.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from vwlite import __version__
from vwlite.engine.workspace import Workspace
from vwlite.errors import ModelError, OptionError
from vwlite.spark import tasks
from vwlite.spark.checks import require_session
from vwlite.spark.failures import in_a_task, one_line
from vwlite.spark.frames import sent_to_workers
from vwlite.spark.reading import ORDER, Columns, as_arrow, columns_of, explicit, leaves, quoted

NOT_SCORED = ("label", "weight", "tag", "ignore")  # roles of columns
LEAST_ROWS = 50_000  # of a shard, below which mixed weights are clearly worse than those of one stream


class FixedRows(NamedTuple):
    """How rows are read for a fixed part; it travels to the workers.

    Args:
        version: The version of vwlite at the driver.
        flags: The options.
        columns: The column map.
        label: As --label.
        used: The columns that are read.
    """

    version: str
    flags: str
    columns: str
    label: str
    used: tuple[str, ...]


def read_fixed(  # noqa: DOC502
    schema: Any, flags: str, label: str | None, weight: str | None, columns: Columns, aside: Sequence[str] = ()
) -> FixedRows:
    """How the rows of a DataFrame are read for a fixed part.

    Args:
        schema: The schema of Spark.
        flags: The options.
        label: As --label.
        weight: The column of importance weights.
        columns: As --columns_in.
        aside: Columns that are no features unless the map names them.

    Returns:
        The reading.

    Raises:
        OptionError: If a column is missing, or of a type that can't be what it should.
    """
    from vwlite.input.column_map import ColumnMap, Rule, read_map

    given = read_map(columns, label)
    rules = (Rule(weight, "weight"), *given.rules) if weight else given.rules
    named = {rule.name for rule in (*rules, given.label) if rule is not None and not rule.pattern}
    kept = type(schema)([field for field in schema.fields if field.name not in aside or field.name in named])
    arrow = as_arrow(kept)
    found = explicit(arrow, ColumnMap(rules, given.label, bool(given.rules)), [], True)
    used = [top for rule, top in zip(found, leaves(arrow), strict=True) if rule.role != "ignore"]
    features = " ".join(str(rule) for rule in found if rule.role not in ("ignore", "label"))
    labels = [rule.name for rule in found if rule.role == "label"]
    text = label or (labels[0] if labels else "")
    if not text:
        raise OptionError("label: name the column of the label")
    return FixedRows(__version__, flags, features, text, tuple(dict.fromkeys(used)))


def blocks_of(workspace: Workspace, rows: FixedRows, batches: Iterable[Any], learning: bool = True) -> Iterator[Any]:
    """The parsed blocks of batches of rows."""
    from vwlite.parsers.arrow import Tables

    doors = workspace._doors
    column_map, y, weight, tag = doors.column_map(rows.label if learning else None, None, None, rows.columns)
    reader = Tables(*doors.made_with)
    for batch in batches:
        yield from reader.blocks(batch.select(list(rows.used)), column_map, y, weight, tag, learning)


# -- scores of a model


def score_fixed(rows: Any, model: str | os.PathLike[str], into: str = "score", columns: Columns = None) -> Any:  # noqa: DOC503
    """Adds the score of a model of the command line to rows, as the offset of random effects.

    The model is loaded at the driver, and sent to every worker once.

    Args:
        rows: A DataFrame.
        model: The model file.
        into: The name of the new column, a float: the score before --link, null in rows that can't be examples.
        columns: The column map of the rows; by default the one that the model has stored.

    Returns:
        The rows, with the score.

    Raises:
        ModelError: If the file can't be read.
        OptionError: If the rows have the column already, or lack one of the features.
    """
    spark = rows.sparkSession
    require_session(spark)
    if into in rows.columns:
        raise OptionError(f"the rows have a column {into!r} already: give another name")
    workspace = Workspace(["-t", "-i", os.fspath(model), "--columns", "score"])
    given = columns if columns is not None else workspace.options["columns_in"]
    reading = rules_for_scoring(rows.schema, given)
    with one_line():
        sent = sent_to_workers(spark, workspace.to_bytes())
    task = FixedRows(__version__, "", reading[0], "", reading[1])
    schema = type(rows.schema)(list(rows.schema.fields)).add(into, "float")
    return rows.mapInArrow(partial(score_rows, task, into, sent), schema)


def rules_for_scoring(schema: Any, given: Any) -> tuple[str, tuple[str, ...]]:
    """The explicit column map of rows that a model scores, and the columns that it reads."""
    from vwlite.input.column_map import ColumnMap, Rule, read_map

    found = read_map(given)
    rules = [rule for rule in found.rules if rule.role not in NOT_SCORED]
    if not rules:
        raise OptionError("columns: the model has not stored what the columns are; give the column map")
    named = {rule.name.partition(".")[0] for rule in rules} | {rule.name for rule in rules}
    patterns = any(rule.pattern for rule in rules)
    kept = type(schema)([field for field in schema.fields if patterns or field.name in named])
    there = {field.name for field in kept.fields}
    in_order = [
        Rule(rule.name, "ignore", rule.pattern) if rule.role in NOT_SCORED else rule
        for rule in found.rules
        if rule.role not in NOT_SCORED or rule.pattern or rule.name in there
    ]
    column_map = ColumnMap((*in_order, Rule(".*", "ignore", True)), None, True)
    arrow = as_arrow(kept)
    explicit_rules = explicit(arrow, column_map, [], False)
    used = [top for rule, top in zip(explicit_rules, leaves(arrow), strict=True) if rule.role != "ignore"]
    text = " ".join(str(rule) for rule in explicit_rules if rule.role != "ignore")
    return f"{text} /.*/:ignore", tuple(dict.fromkeys(used))


@lru_cache(maxsize=2)
def workspace_of(sent: Any) -> Workspace:
    """The workspace of a broadcast variable: made once in a worker process, which runs many tasks."""
    return Workspace.from_bytes(sent.value)


def score_rows(task: FixedRows, into: str, sent: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """Scores the rows of a partition by a model.

    Args:
        task: How rows are read.
        into: The name of the new column.
        sent: The broadcast variable with the workspace's bytes.
        batches: The partition.

    Yields:
        Batches of the rows, with the score.
    """
    import numpy as np
    import pyarrow as pa

    from vwlite.tables.workspaces import Rows

    with in_a_task("scoring"):
        tasks.require_version(task.version)
        workspace = workspace_of(sent)
        listener = Rows(False)
        workspace.driver.listener = listener
        for batch in batches:
            listener.refused.clear()
            results: list[Any] = []
            for block in blocks_of(workspace, task, [batch], False):
                results += workspace.driver.run_rows(block, False)
            good = np.ones(batch.num_rows, bool)
            good[np.array(listener.refused, np.int64) - 1] = False
            found = np.zeros(batch.num_rows, np.float32)
            if results:
                found[good] = np.array(results, np.float32).reshape(len(results), -1)[:, 0]
            column = pa.array(found, mask=~good)
            yield pa.RecordBatch.from_arrays([*batch.columns, column], names=[*batch.schema.names, into])


# -- parameter mixing


def mix_fixed(  # noqa: DOC503
    rows: Any,
    flags: str,
    path: str | os.PathLike[str],
    *,
    order: str | Sequence[str],
    shards: int,
    label: str | None = None,
    weight: str | None = None,
    columns: Columns = None,
    passes: int = 2,
    least_rows: int = LEAST_ROWS,
) -> list[int]:
    """Fits a fixed part by parameter mixing: each shard learns its rows from the same weights, which are then averaged.

    This is another estimator than one stream of all rows, and with many small shards a worse one (docs/scale.md has
    what was measured): at least 50,000 rows a shard, and two passes, came level with one stream. McDonald, Hall and
    Mann 2010, "Distributed training strategies for the structured perceptron".

    Args:
        rows: A DataFrame.
        flags: Options of gradient descent, as on the command line.
        path: The model file to write, of the command line.
        order: The column by which a shard learns its rows, or several; rows are dealt to shards by a hash of it.
        shards: The number of shards.
        label: The column of the label, as --label.
        weight: The column of importance weights.
        columns: The column map, as --columns_in.
        passes: How often every shard learns its rows.
        least_rows: The fewest rows that a shard may have on average.

    Returns:
        The rows that each shard has learned in a pass.

    Raises:
        OptionError: If shards would have fewer rows, or options can't be used.
        VwliteError: If a task fails.
        ModelError: If the model can't be written.
    """
    from pyspark import StorageLevel
    from pyspark.sql import functions

    spark = rows.sparkSession
    require_session(spark)
    orders = columns_of(order)
    reading = read_fixed(rows.schema, flags, label, weight, columns, orders)
    workspace = Workspace(flags)
    require_gd(workspace, flags)
    if passes < 1 or shards < 1:
        raise OptionError("passes and shards are at least 1")
    with one_line():
        n = rows.count()
    if n < least_rows * shards:
        raise OptionError(
            f"{shards} shards of {n // shards:,} rows: weights that are mixed from shards of fewer than "
            f"{least_rows:,} rows are clearly worse than those of one stream; use fewer shards, or one process"
        )
    keys = [functions.col(quoted(name)).alias(f"{ORDER}{i}") for i, name in enumerate(orders)]
    names = [f"{ORDER}{i}" for i in range(len(keys))]
    dealt = rows.select(*(functions.col(quoted(name)) for name in reading.used), *keys)
    dealt = dealt.repartition(shards, *names).sortWithinPartitions(*names).persist(StorageLevel.MEMORY_AND_DISK)
    current = workspace.to_bytes()
    counts: list[int] = []
    for _ in range(passes):
        with one_line():
            sent = sent_to_workers(spark, current)
            out = dealt.mapInArrow(partial(learn_shard, reading, sent), "model binary, n long").collect()
        counts = [int(row.n) for row in out]
        if not counts:
            break
        current = mixed([bytes(row.model) for row in out], counts)
    dealt.unpersist()
    found = Workspace.from_bytes(current)
    found.options.set("columns_in", [reading.columns], "model")
    found.save(path)
    return counts


def require_gd(workspace: Workspace, flags: str) -> None:
    """Checks that a stack is gradient descent alone, of a loss and features that shards can share.

    Args:
        workspace: The workspace.
        flags: Its options, for the message.

    Raises:
        OptionError: If it is not.
    """
    from vwlite.engine.stack import describe

    names = [entry["name"] for entry in describe(workspace.top)]
    if names[-1] != "gd" or len(names) != 2 or workspace.driver.transforms is not None:
        raise OptionError(f"{flags}: a fixed part is fitted here by gradient descent alone (gd), without --transform")


def learn_shard(task: FixedRows, sent: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """Learns the rows of a shard, from the weights of the pass before.

    Args:
        task: How rows are read.
        sent: The broadcast variable with the workspace's bytes.
        batches: The shard.

    Yields:
        One batch, with the workspace's bytes and its rows; nothing for no rows.
    """
    import pyarrow as pa

    from vwlite.tables.workspaces import Rows

    with in_a_task("learning"):
        tasks.require_version(task.version)
        workspace = Workspace.from_bytes(sent.value)
        workspace.driver.listener = Rows(False)
        before = workspace.driver.counters.example_number
        for block in blocks_of(workspace, task, batches):
            workspace.driver.run_block(block)
        n = workspace.driver.counters.example_number - before
        if n:
            yield pa.RecordBatch.from_pydict({"model": [workspace.to_bytes()], "n": [n]})


MIXED_BY_SUM = ("normalized_sum", "total_weight", "t")  # of a shard: their means, so that rates are those of a shard
LARGEST = ("max_label", "normalizer")


def mixed(models: Sequence[bytes], counts: Sequence[int]) -> bytes:
    """Averages the weights of shards, each by its rows, and the sums that its learning rates come from.

    Args:
        models: The bytes of each shard's workspace.
        counts: The rows of each.

    Returns:
        The bytes of a workspace.

    Raises:
        ModelError: If the shards' states can't be averaged.
    """
    import numpy as np

    from vwlite.entities.flat import DTYPES
    from vwlite.model import model_file

    readers = [model_file.from_bytes("<shard>", model) for model in models]
    first = readers[0]
    share = np.array(counts, float) / sum(counts)
    read = [
        {name: np.frombuffer(each.array(name, each.dtype(name)), DTYPES[each.dtype(name)]) for name in each.names()}
        for each in readers
    ]
    owner = next((name.removesuffix(".index") for name in first.names() if name.endswith(".index")), None)
    if owner is None:
        raise ModelError("parameter mixing: the shards have no table of weights")
    index = np.unique(np.concatenate([arrays[f"{owner}.index"] for arrays in read]))
    result: dict[str, Any] = {}
    for name in first.names():
        dtype, short = first.dtype(name), name.rpartition(".")[2]
        several = [arrays[name] for arrays in read]
        if short == "index":
            values = index
        elif first.shape(name) == first.shape(f"{owner}.index") and name.startswith(f"{owner}.") and dtype == "F32":
            dense = np.zeros((len(read), len(index)))
            for row, arrays, each in zip(dense, read, several, strict=True):
                row[np.searchsorted(index, arrays[f"{owner}.index"])] = each
            values = dense.max(0) if short in LARGEST else share @ dense
        elif short == "min_label":
            values = np.min(several, 0)
        elif short in LARGEST:
            values = np.max(several, 0)
        elif short in MIXED_BY_SUM:
            values = share @ np.array(several, float)
        elif all(np.array_equal(each, several[0]) for each in several[1:]) or short in ("multiplier", "decayed"):
            values = several[0]
        else:
            raise ModelError(f"parameter mixing: {name} differs between the shards, and can't be averaged")
        values = np.ascontiguousarray(values, DTYPES[dtype])
        result[name] = dtype, [] if first.shape(name) == [] else [len(values)], values.tobytes()
    metadata = {name: value for name, value in first.metadata.items() if name not in ("digests", "format_version")}
    return b"".join(model_file.pack("<mixture>", result, metadata))
