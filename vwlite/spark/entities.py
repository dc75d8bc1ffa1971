"""Entities: the posteriors of a random effect as a DataFrame of Spark, in memory or in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from vwlite import __version__, tables
from vwlite.errors import ModelError, OptionError
from vwlite.input.column_map import ColumnMap, Rule, read_map
from vwlite.spark import storage, tasks
from vwlite.spark.checks import require_session
from vwlite.spark.failures import one_line
from vwlite.spark.frames import keyed, of_table, schema_of, sent_to_workers, stream_of_both
from vwlite.spark.reading import Reading, as_arrow, explicit, leaves, name_of_entity, require_kinds
from vwlite.spark.storage import Version

PREFIX = "vw_"
NEWEST = "__vwlite_newest"  # the number of the last part that has an entity
BROADCAST = 50_000  # entities of a table that is sent to every worker rather than shuffled


class Entities:
    """The posteriors of a random effect's entities.

    Args:
        spark: The session.
        version: How they were learned, and their parts.
        parts: In memory a DataFrame of each part, the base first; in a folder only the newest.
        path: The folder; None in memory.

    Attributes:
        version: See Version.
        path: The folder; None in memory.
        changed: The entities that the last fit or update has touched, as a DataFrame.
    """

    def __init__(self, spark: Any, version: Version, parts: Sequence[Any], path: str | None = None) -> None:
        self.spark = spark
        self.version = version
        self.path = path
        self._parts = [of_table(part) for part in parts]
        self.changed = self._parts[-1]

    @property
    def reading(self) -> Reading:
        """How rows are read."""
        return self.version.reading

    @property
    def flags(self) -> str:
        """The options, with what was estimated for all entities given."""
        return self.version.reading.flags

    @property
    def head(self) -> dict[str, Any]:
        """The metadata of the table: options, sums over entities, counts of rows."""
        return json.loads(self.version.head)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of rows: learned, malformed, without an entity (nameless), beyond max_rows (dropped)."""
        skipped = self.head.get("skipped", {})
        found = {name: int(skipped.get(name, 0)) for name in ("rows", "malformed", "nameless")}
        found["nameless"] += self.version.counts.get("nameless", 0)
        return found | {"dropped": self.version.counts.get("dropped", 0)}

    @property
    def problem(self) -> str:
        """The first row that was refused, and why; "" for none."""
        return str(self.head.get("problem", ""))

    @property
    def table(self) -> Any:
        """All entities, each in its newest state, as a DataFrame."""
        from pyspark.sql import functions

        if len(self.version.parts) == 1:
            return self.states
        states, old = self.states, functions.col(tasks.OLD)
        newer = states.where(old > 0).groupBy("key").agg(functions.max(old).alias(NEWEST))
        found = states.join(newer, "key", "left")
        return found.where(old == functions.coalesce(NEWEST, functions.lit(0))).select(self.changed.columns)

    @property
    def states(self) -> Any:
        """The rows of all parts, with the number of the part: several states of an entity may be there."""
        from pyspark.sql import functions

        if len(self.version.parts) == 1:
            return self._parts[0]
        if self.path is not None:
            schema = schema_of(self.flags)
            with one_line():
                return of_table(storage.read_parts(self.spark, self.path, self.version.parts, schema, tasks.OLD))
        found = None
        for number, part in enumerate(self._parts):
            part = part.withColumn(tasks.OLD, functions.lit(number))
            found = part if found is None else found.unionByName(part)
        return found

    def write(self, path: str) -> Entities:  # noqa: DOC502
        """Writes the entities to a folder, as a new table or as the next version of the one there.

        Args:
            path: The folder.

        Returns:
            The entities, read from there.

        Raises:
            VwliteError: If a task fails; then what was there is unchanged.
        """
        from pyspark.sql import functions

        before = storage.versions(self.spark, path)[-1] if storage.there_is_one(self.spark, path) else None
        table = self.table
        with one_line():
            name, _ = storage.write_part(table.withColumn(tasks.HEAD, functions.lit(None).cast("string")), path)
            entities = storage.read_part(self.spark, path, name, table.schema).count()
        number = 0 if before is None else before.number + 1
        version = self.version._replace(number=number, parts=(name,), entities=(entities,))
        storage.append(self.spark, path, version)
        return opened(self.spark, path, version)

    def compact(self) -> Entities:  # noqa: DOC503
        """Writes a new version whose base has all entities, in place of a base and parts that replace some of it.

        Returns:
            The entities, read from there.

        Raises:
            OptionError: If they are in no folder.
            VwliteError: If a task fails; then what was there is unchanged.
        """
        if self.path is None:
            raise OptionError("compact: the entities are in memory; write() them first")
        return self.write(self.path)

    def to_arrow(self) -> Any:
        """All entities as one pyarrow.Table with the metadata, at the driver; in the order of their keys.

        Returns:
            The table.

        Raises:
            ModelError: If parts are missing.
        """
        import pyarrow as pa

        with one_line():
            found = self.states.toArrow()
        wanted = sum(self.version.entities)
        if found.num_rows != wanted:
            raise ModelError(
                f"{self.path or 'the table'}: its parts have {found.num_rows:,} rows, and its manifest says {wanted:,}"
                ": files are missing; restore them, or read an earlier version"
            )
        batches = list(tasks.from_spark(found.to_batches(), self.version.head))
        if not batches:
            return (
                tables.schema(self.flags)
                .empty_table()
                .replace_schema_metadata({tasks.METADATA: self.version.head.encode()})
            )
        return tables.merge([pa.Table.from_batches(batches)])

    def to_model(self, path: str) -> None:  # noqa: DOC502
        """Writes a model file of the command line at the driver: `vwlite -t -i path` predicts the same.

        Args:
            path: The file.

        Raises:
            ModelError: If it can't be written, or parts of the table are missing.
        """
        tables.to_model(self.flags, [self.to_arrow()], path)

    def transform(
        self, rows: Any, outputs: Sequence[str] = ("prediction",), prefix: str = PREFIX, broadcast: bool | None = None
    ) -> Any:
        """Predicts for rows; entities that were never learned get the prior.

        Rows and entities of a partition meet in one shuffle, or the whole table is sent to every worker. The result is
        as lazy as any DataFrame of Spark; a task that fails says so where it is used.

        Args:
            rows: A DataFrame with the columns of features.
            outputs: Columns of the prediction, as --columns: prediction, sd, score, low, high, the effect's name, ...
            prefix: Before the names of these columns.
            broadcast: Whether to send the table to every worker; by default if it has at most 50,000 entities.

        Returns:
            The rows, with the columns of the prediction, doubles.

        Raises:
            OptionError: If a column is missing, or of another type than that learned.
        """
        require_session(self.spark)
        reading = self.reading
        names = used_at_scoring(reading, rows.schema)
        task = tasks.Scoring(
            __version__, self.flags, reading.map_for_scoring(), names, tuple(outputs), prefix, self.version.head
        )
        twice = [name for name in (prefix + output for output in outputs) if name in rows.columns]
        if twice or not outputs:
            raise OptionError(
                f"the rows have a column {twice[0]!r} already: give another prefix" if twice else "outputs: name one"
            )
        result = type(rows.schema)(list(rows.schema.fields))
        for output in outputs:
            result = result.add(prefix + output, "float")
        named = name_of_entity(reading.entity, rows.schema[reading.entity].dataType.simpleString())
        if broadcast is None:
            broadcast = sum(self.version.entities) <= BROADCAST and getattr(self.spark, "_sc", None) is not None
        if broadcast:
            with one_line():
                found = sent_to_workers(self.spark, stream_of(self.to_arrow()))
            return rows.mapInArrow(partial(tasks.score_by, task, found), result)
        both = stream_of_both(self.states, rows, named, ())
        return (
            keyed(both, None)
            .sortWithinPartitions(tasks.KIND)
            .drop("__vwlite_key")
            .mapInArrow(partial(tasks.score, task), result)
        )


def stream_of(table: Any) -> bytes:
    """A table of Arrow as bytes, its stream format."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def used_at_scoring(reading: Reading, schema: Any) -> tuple[str, ...]:  # noqa: DOC502
    """The columns of rows to be scored that are read, after a check that they can be read as those learned.

    Args:
        reading: How rows were read.
        schema: The schema of Spark.

    Returns:
        The names.

    Raises:
        OptionError: If one is missing or of another type.
    """
    require_kinds(reading, schema)
    rules = read_map(reading.map_for_scoring()).rules
    given = {field.name for field in schema.fields}
    names = [name for name in reading.used if name in given]
    arrow = as_arrow(type(schema)([schema[name] for name in names]))
    found = explicit(arrow, ColumnMap((*rules, Rule(".*", "ignore", True)), None, True), [reading.effect], False)
    used = {top for rule, top in zip(found, leaves(arrow), strict=True) if rule.role != "ignore"}
    return tuple(name for name in names if name in used)


def read(path: str, spark: Any = None, version: int | None = None) -> Entities:
    """Reads a table of entities from a folder.

    Args:
        path: The folder.
        spark: The session; by default the active one.
        version: The number of the version; by default the newest.

    Returns:
        The entities.

    Raises:
        ModelError: If there is none, or no such version.
    """
    from vwlite.spark.frames import active

    spark = active(spark)
    require_session(spark)
    found = storage.versions(spark, path)
    chosen = [one for one in found if version is None or one.number == version]
    if not chosen:
        raise ModelError(f"{path}: there is no version {version}, only {', '.join(str(one.number) for one in found)}")
    return opened(spark, path, chosen[-1])


def opened(spark: Any, path: str, version: Version) -> Entities:
    """The entities of a version in a folder."""
    schema = schema_of(version.reading.flags)
    with one_line():
        newest = storage.read_part(spark, path, version.parts[-1], schema)
    return Entities(spark, version, [newest], path)
