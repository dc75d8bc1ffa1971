"""Tasks: what Spark's workers run on a partition, an iterator of Arrow batches in, an iterator of batches out.

A task writes nothing but its output, talks to no other task, and may run twice: Spark takes the output of one attempt.
One Workspace learns all entities of a partition.

The rows of a table of entities are followed by one row that has no entity: its column `head` has the metadata of the
partition's table (sums over entities, counts of rows), which Spark would lose with the schema of a batch.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from vwlite import tables
from vwlite.engine.library_flags import words_of
from vwlite.errors import VwliteError
from vwlite.spark.estimating import spread_of
from vwlite.spark.failures import in_a_task
from vwlite.spark.reading import ORDER

KIND, ROW, GIVEN, HEAD, DROPPED, OLD = (
    *("__vwlite_kind", "__vwlite_row", "__vwlite_given"),
    *("head", "__vwlite_dropped", "__vwlite_part"),
)
ENTITY, ONE_ROW = 0, 1  # kinds of rows in a stream of both
METADATA = b"vwlite.entities"


class Learning(NamedTuple):
    """What a task needs to know to learn; it travels to the workers.

    Args:
        version: The version of vwlite at the driver.
        flags: The options.
        columns: The column map.
        label: As --label.
        entity: The column of the entity's name.
        changed: Whether only entities that were touched are handed out.
        heads_only: Whether only the metadata is handed out, with sums to estimate what all entities share.
        ridge: The given ridge, for these sums.
        intercept: That of the constant, if it has one of its own; else 0.
    """

    version: str
    flags: str
    columns: str
    label: str
    entity: str
    changed: bool = False
    heads_only: bool = False
    ridge: float = 1.0
    intercept: float = 0.0


class Scoring(NamedTuple):
    """What a task needs to know to score rows.

    Args:
        version: The version of vwlite at the driver.
        flags: The options of the table of entities.
        columns: The column map, without what only learning needs.
        names: The columns of the rows that are read.
        outputs: The columns to append, as --columns names them.
        prefix: Before the names of these columns.
        head: The metadata of the whole table.
    """

    version: str
    flags: str
    columns: str
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    prefix: str
    head: str


def require_version(version: str) -> None:
    """Raises VwliteError if the worker has another vwlite than the driver."""
    from vwlite import __version__

    if version != __version__:
        raise VwliteError(
            f"Spark's workers have vwlite {__version__}, and the driver {version}: install the same version on both"
        )


class Both:
    """A stream of entities, then of rows; or of rows alone.

    Args:
        batches: The batches.
        entity: The column of the entity's name, by which rows without one are left out.

    Attributes:
        nameless: Rows without an entity.
        dropped: Rows beyond max_rows.
        seen: Rows to learn or to score.
    """

    def __init__(self, batches: Iterable[Any], entity: str | None) -> None:
        self._batches = iter(batches)
        self._waiting: Any = None
        self._entity = entity
        self.nameless = self.dropped = self.seen = 0

    def entities(self) -> Iterator[Any]:
        """Yields batches of a table of entities, until the first row.

        Yields:
            A batch.
        """
        for batch in self._batches:
            if KIND not in batch.schema.names:
                self._waiting = batch
                return
            rows = batch.column(KIND).to_numpy(zero_copy_only=False)
            n = int((rows == ENTITY).sum())
            if n:
                yield struct_of(batch.slice(0, n), GIVEN)
            if n < batch.num_rows:
                self._waiting = batch.slice(n)
                return

    def rows(self) -> Iterator[Any]:
        """Yields batches of rows that have an entity and are not beyond max_rows.

        Yields:
            A batch of at least one row.
        """
        if self._waiting is not None:
            found = self._row(self._waiting)
            self._waiting = None
            if found.num_rows:
                yield found
        for batch in self._batches:
            found = self._row(batch)
            if found.num_rows:
                yield found

    def _row(self, batch: Any) -> Any:
        import pyarrow.compute as pc

        if KIND in batch.schema.names:
            batch = struct_of(batch, ROW)
        if DROPPED in batch.schema.names:
            kept = batch.column(DROPPED)
            n = pc.sum(kept.cast("int64")).as_py() or 0
            self.dropped += n
            batch = batch.filter(pc.invert(kept)) if n else batch
        names = [name for name in batch.schema.names if not name.startswith(ORDER) and name != DROPPED]
        batch = batch.select(names)
        if self._entity is not None:
            missing = batch.column(self._entity).null_count
            if missing:
                self.nameless += missing
                batch = batch.filter(pc.is_valid(batch.column(self._entity)))
        self.seen += batch.num_rows
        return batch


def struct_of(batch: Any, name: str) -> Any:
    """The fields of a column of structs, as a batch."""
    import pyarrow as pa

    return pa.RecordBatch.from_struct_array(batch.column(name))


def from_spark(batches: Iterable[Any], head: str | None = None) -> Iterator[Any]:
    """Batches of a table of entities as the core has them; only the newest state of each entity, if there are several.

    Args:
        batches: The batches of Spark.
        head: The metadata to put beside them; None for none.

    Yields:
        A batch.
    """
    import pyarrow as pa

    for batch in newest(batches):
        names = [name for name in batch.schema.names if name not in (HEAD, OLD)]
        batch = with_lists(batch.select(names))
        place = names.index("key")
        batch = batch.set_column(place, "key", batch.column("key").cast(pa.binary(8)))
        yield batch if head is None else batch.replace_schema_metadata({METADATA: head.encode()})


def newest(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches, without states of entities that a later part of the table replaces.

    Args:
        batches: Batches with the number of the part in the column OLD, or without that.

    Yields:
        A batch.
    """
    import numpy as np
    import pyarrow as pa

    several = []
    for batch in batches:
        if OLD not in batch.schema.names:
            yield batch
        else:
            several.append(batch)
    if not several:
        return
    table = pa.Table.from_batches(several).combine_chunks()
    part = table[OLD].to_numpy()
    if len(np.unique(part)) > 1:
        # two entities whose names have one hash differ in their keys
        codes = pa.compute.dictionary_encode(table["key"]).combine_chunks().indices.to_numpy()
        order = np.lexsort((part, codes))
        last = np.append(codes[order][1:] != codes[order][:-1], True)
        table = table.take(pa.array(np.sort(order[last])))
    yield from table.to_batches()


def spark_schema(schema: Any) -> Any:
    """The Arrow schema of what a task puts out: every column may be null, keys are of any length, and the metadata."""
    import pyarrow as pa

    fields = [pa.field(field.name, field.type if field.name != "key" else pa.binary()) for field in schema]
    return pa.schema([*fields, pa.field(HEAD, pa.string())])


def to_spark(batch: Any) -> Any:
    """A batch of a table of entities as Spark reads it."""
    import pyarrow as pa

    to = spark_schema(batch.schema)
    columns = [
        pa.nulls(batch.num_rows, field.type) if is_empty(batch.column(name)) else batch.column(name).cast(field.type)
        for name, field in zip(batch.schema.names, to, strict=False)
    ]
    return pa.RecordBatch.from_arrays([*columns, pa.nulls(batch.num_rows, pa.string())], schema=to)


def is_empty(column: Any) -> bool:
    """Whether a column has nothing but empty lists: null is cheaper for Spark."""
    import pyarrow as pa

    return pa.types.is_list(column.type) and column.offsets[0] == column.offsets[-1]


def with_lists(batch: Any) -> Any:
    """A batch with empty lists in place of null."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        if pa.types.is_list(column.type) and column.null_count:
            begin = column.offsets
            column = pa.ListArray.from_arrays(begin, column.values, type=column.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def row_of_head(schema: Any, head: str) -> Any:
    """The row that carries the metadata of a partition's table."""
    import pyarrow as pa

    to = spark_schema(schema)
    columns = [pa.nulls(1, field.type) for field in to if field.name != HEAD]
    return pa.RecordBatch.from_arrays([*columns, pa.array([head], pa.string())], schema=to)


def learn(task: Learning, batches: Iterable[Any]) -> Iterator[Any]:
    """Learns the rows of a partition, sorted by the order, after the entities of before, if there are any.

    Args:
        task: What to do.
        batches: The partition.

    Yields:
        Batches of the table of entities, then the row of its metadata; nothing for an empty partition.
    """
    with in_a_task("learning"):
        require_version(task.version)
        both = Both(batches, task.entity)
        before = list(from_spark(both.entities()))
        rows = both.rows()
        first = next(rows, None)
        if first is None and not (before or both.nameless or both.dropped):
            return
        schema, head, entities = None, b"", 0
        spread = dof = 0.0
        found = tables.learn(
            task.flags,
            chained(first, rows),
            label=task.label or None,
            columns=task.columns,
            before=before or None,
            changed=task.changed,
        )
        for batch in found:
            schema = batch.schema
            head = (schema.metadata or {}).get(METADATA, head)
            entities += batch.num_rows
            if task.heads_only:
                squares, number = spread_of([batch], task.ridge, task.intercept)
                spread, dof = spread + squares, dof + number
            elif batch.num_rows:
                yield to_spark(batch)
        beside = {"head": head.decode(), "nameless": both.nameless, "dropped": both.dropped, "entities": entities}
        beside |= {"spread": spread, "dof": dof} if task.heads_only else {}
        yield row_of_head(schema, json.dumps(beside))


def chained(first: Any, rest: Iterable[Any]) -> Iterator[Any]:
    """A batch, unless it is None, and those after it."""
    if first is not None:
        yield first
    yield from rest


def score(task: Scoring, batches: Iterable[Any]) -> Iterator[Any]:
    """Scores the rows of a partition by its entities, which come before them.

    Args:
        task: What to do.
        batches: The partition.

    Yields:
        Batches of the rows, with the columns of the prediction.
    """
    with in_a_task("scoring"):
        require_version(task.version)
        both = Both(batches, None)
        before = list(from_spark(both.entities()))
        rows = both.rows()
        first = next(rows, None)
        if first is None:
            return
        yield from scored(task, before, chained(first, rows))


def score_by(task: Scoring, entities: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """Scores the rows of a partition by a whole table of entities, which is broadcast.

    Args:
        task: What to do.
        entities: The broadcast variable with the table, as a stream of Arrow.
        batches: The partition.

    Yields:
        Batches of the rows, with the columns of the prediction.
    """
    import pyarrow as pa

    with in_a_task("scoring"):
        require_version(task.version)
        before = list(from_spark(pa.ipc.open_stream(entities.value)))
        yield from scored(task, before, Both(batches, None).rows())


def scored(task: Scoring, before: list[Any], rows: Iterable[Any]) -> Iterator[Any]:
    """The rows with the columns of the prediction, called by the prefix and the name in --columns."""
    import pyarrow as pa

    waiting: deque[Any] = deque()

    def used() -> Iterator[Any]:
        for batch in rows:
            waiting.append(batch)
            yield batch.select(list(task.names))

    flags = [*words_of(task.flags), "--columns", ",".join(task.outputs)]
    found = tables.score(flags, before, used(), columns=task.columns, keep=(), metadata=task.head)
    for scores in found:
        batch = waiting.popleft()
        names = [*batch.schema.names, *(task.prefix + name for name in task.outputs)]
        yield pa.RecordBatch.from_arrays([*batch.columns, *scores.columns], names=names)
