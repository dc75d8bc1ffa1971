"""Fitting: learns the entities of a DataFrame, and goes on with the rows of the next day."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from vwlite import __version__, tables
from vwlite.engine.library_flags import words_of
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError
from vwlite.spark import storage, tasks
from vwlite.spark.checks import require_session
from vwlite.spark.entities import Entities, opened, read
from vwlite.spark.estimating import estimate, intercept_of
from vwlite.spark.failures import one_line
from vwlite.spark.frames import (
    KEY,
    dealt,
    default_partitions,
    key_of,
    keyed,
    rows_by_entity,
    schema_of,
    stream_of_both,
)
from vwlite.spark.reading import ORDER, Columns, Reading, require_kinds, resolve, the_effect
from vwlite.spark.storage import MOST_PARTS, Version

ESTIMATED = "--effect_l2 auto"  # the reason of crossing() that goes away once sums over all entities are known
FEW = 10_000  # entities of a task that is worth its price
BROADCAST_KEYS = 200_000  # names of entities seen today, up to which they are sent to all workers


def fit(  # noqa: DOC503
    rows: Any,
    flags: str,
    *,
    order: str | list[str] | tuple[str, ...],
    label: str | None = None,
    weight: str | None = None,
    columns: Columns = None,
    partitions: int | None = None,
    max_rows: int | None = None,
    path: str | None = None,
    stream: tuple[str, int] | None = None,
) -> Entities:
    """Learns the posteriors of a random effect, each entity in one task of Spark.

    The result is that of one process which learns the rows in this order, bit for bit, whatever the number of
    partitions; where options let entities influence each other (--effect_l2 auto, --shrink mean, ...), what they share
    is estimated by a first job, from sums over all partitions, and given to the second.

    Args:
        rows: A DataFrame; its columns are what the column map says.
        flags: Options as on the command line, with one --random_effect and --fixed none.
        order: The column by which the rows of an entity are learned, or several. Values should differ within an
            entity: Spark may repeat a task, and may hand it equal ones in another order.
        label: The column of the label, as --label: ``"click:binary(yes)"``.
        weight: The column of importance weights.
        columns: The column map, as --columns_in: ``"user:entity city:category@ctx score:initial"``.
        partitions: The number of tasks; by default spark.sql.shuffle.partitions.
        max_rows: How many rows of an entity are learned, the newest by the order; the others are counted.
        path: A folder to write the entities to; by default they are kept in Spark's memory and on its disks.
        stream: Of a stream its identifier and the number of the batch, which the table remembers.

    Returns:
        The entities.

    Raises:
        OptionError: If options or columns can't be used.
        VwliteError: If a task fails; then nothing was written.
    """
    spark = rows.sparkSession
    require_session(spark)
    the_effect(flags)
    require_given_fixed(flags)
    if max_rows is not None and max_rows < 1:
        raise OptionError(f"max_rows={max_rows}: at least one row of each entity is learned")
    reading = resolve(rows.schema, flags, label=label, weight=weight, columns=columns, order=order)
    by_entity = dealt(rows_by_entity(rows, reading, max_rows), reading, partitions)
    require_separable(flags)
    kept = None
    if tables.crossing(flags):
        given, kept = estimated(by_entity, reading)
        reading = reading._replace(flags=given)
    out = (kept or by_entity).mapInArrow(partial(tasks.learn, learning(reading)), schema_of(reading.flags))
    found = stored(spark, out, reading, path, None, stream)
    if kept is not None:
        kept.unpersist()
    return found


def require_given_fixed(flags: str) -> None:
    """Checks that no fixed part would be learned, by each partition another one.

    Args:
        flags: The options.

    Raises:
        OptionError: If there would be one.
    """
    options = Workspace(flags).options
    if options["fixed"] != "none":
        raise OptionError(
            f"{flags}: fit() learns random effects alone: add --fixed none. Train the fixed part by the command line "
            "or by fit_fixed(), and give its score as the offset: score_fixed(), and the role initial in columns"
        )


def require_separable(flags: str) -> None:
    """Checks that entities influence each other by nothing but what can be estimated once for all, and then given.

    Args:
        flags: The options.

    Raises:
        OptionError: With the reason.
    """
    left = [reason for reason in tables.crossing(flags) if not reason.startswith(ESTIMATED)]
    if left:
        raise OptionError(left)


def learning(reading: Reading, changed: bool = False) -> tasks.Learning:
    """What tasks need to know to learn."""
    return tasks.Learning(__version__, reading.flags, reading.columns, reading.label, reading.entity, changed)


def summing(task: tasks.Learning, flags: str) -> tasks.Learning:
    """The same task with a ridge given, of which only the sums are wanted."""
    ridge = float(words_of(flags)[-1])
    return task._replace(flags=flags, heads_only=True, ridge=ridge, intercept=intercept_of(flags))


def estimated(by_entity: Any, reading: Reading) -> tuple[str, Any]:
    """Estimates what all entities share, from sums over the partitions.

    Args:
        by_entity: Rows in partitions by entity.
        reading: How they are read.

    Returns:
        The options with what was estimated given, and the rows, kept for the next job.
    """
    from pyspark import StorageLevel

    kept = by_entity.persist(StorageLevel.MEMORY_AND_DISK)

    def run(flags: str) -> list[dict[str, Any]]:
        out = kept.mapInArrow(partial(tasks.learn, summing(learning(reading), flags)), schema_of(flags))
        with one_line():
            return [json.loads(head) for head in storage.heads_of(out)]

    return estimate(reading.flags, run), kept


def stored(
    spark: Any,
    out: Any,
    reading: Reading,
    path: str | None,
    old: Entities | None = None,
    stream: tuple[str, int] | None = None,
) -> Entities:
    """Runs the job that learns, and keeps or writes what it puts out.

    Args:
        spark: The session.
        out: What tasks put out, not computed yet.
        reading: How rows are read.
        path: The folder, or None.
        old: The entities that the job went on with.
        stream: The identifier of a stream and the number of its batch.

    Returns:
        The entities.
    """
    if path is None:
        from pyspark import StorageLevel

        part, name = out.persist(StorageLevel.MEMORY_AND_DISK), ""
        with one_line():
            found = storage.heads_of(part)
        frames = [*(old._parts if old else ()), part]
    else:
        name, found = storage.write_part(out, path)
        frames = []
    heads = [json.loads(head) for head in found]
    version = united(old, reading, heads, name)
    if stream is not None:
        version = version._replace(streams={**version.streams, stream[0]: stream[1]})
    if path is None:
        return Entities(spark, version, frames)
    if old is None and storage.there_is_one(spark, path):
        version = version._replace(number=storage.versions(spark, path)[-1].number + 1)
    storage.append(spark, path, version)
    return opened(spark, path, version)


def united(old: Entities | None, reading: Reading, heads: list[dict[str, Any]], name: str) -> Version:
    """The next version: the metadata of the partitions and of the version before, added up."""
    texts = [head["head"] for head in heads if head["head"]]
    counts = {key: sum(head[key] for head in heads) for key in ("nameless", "dropped")}
    entities = sum(head["entities"] for head in heads)
    if old is None:
        head = tables.merge_metadata(texts) if texts else metadata_of_none(reading.flags)
        return Version(0, (name,), (entities,), head, reading, counts, {})
    was = old.version
    known = (
        [was.head] if json.loads(was.head)["skipped"].get("rows") else []
    )  # a table of no rows has not their columns
    return was._replace(
        number=was.number + 1,
        parts=(*was.parts, name),
        entities=(*was.entities, entities),
        head=tables.merge_metadata([*known, *texts]) if known or texts else was.head,
        reading=reading,
        counts={key: was.counts.get(key, 0) + value for key, value in counts.items()},
    )


def metadata_of_none(flags: str) -> str:
    """The metadata of a table without entities."""
    return tables.schema(flags).metadata[tasks.METADATA].decode()


def update(  # noqa: DOC503
    users: Entities | str,
    rows: Any,
    *,
    partitions: int | None = None,
    max_rows: int | None = None,
    stream: tuple[str, int] | None = None,
) -> Entities:
    """Goes on learning with the rows of the next day: only entities that have some are read, learned and written.

    What was learned yesterday and the rows of today meet in one shuffle. Three days are one run over all rows, bit for
    bit. Of entities in a folder, the result is its next version: a part with the entities that have changed, beside
    those before; `read(path).changed` has them.

    Args:
        users: The entities, or the folder with them.
        rows: A DataFrame with the columns of the first day.
        partitions: The number of tasks; by default spark.sql.shuffle.partitions, or fewer for few entities.
        max_rows: How many rows of an entity are learned, the newest; the others are counted.
        stream: Of a stream its identifier and the number of the batch; a batch that was learned is not learned again.

    Returns:
        The entities.

    Raises:
        OptionError: If options or columns can't be used.
        VwliteError: If a task fails; then what was written before is unchanged.
    """
    from pyspark.sql import functions

    spark = rows.sparkSession
    require_session(spark)
    if isinstance(users, str):
        users = read(users, spark)
    if stream is not None and users.version.streams.get(stream[0], -1) >= stream[1]:
        return users
    if max_rows is not None and max_rows < 1:
        raise OptionError(f"max_rows={max_rows}: at least one row of each entity is learned")
    if len(users.version.parts) >= MOST_PARTS:
        users = users.compact() if users.path is not None else users
    was = users.reading
    require_kinds(was, rows.schema)
    label = was.label or None
    reading = resolve(rows.schema, was.flags, label=label, columns=f"{was.columns} /.*/:ignore", order=was.order)
    reading = reading._replace(kinds=was.kinds)
    today = rows_by_entity(rows, reading, max_rows)
    named = functions.col(f"`{reading.entity}`")
    states, n = seen(users.states, today, named)
    orders = [f"{ORDER}{i}" for i in range(len(reading.order))]
    both = stream_of_both(states, today, key_of(reading), orders)
    both = keyed(both, partitions or enough_for(spark, n)).sortWithinPartitions(tasks.KIND, *orders).drop(KEY, *orders)
    task = learning(reading, changed=True)
    out = both.mapInArrow(partial(tasks.learn, task), schema_of(reading.flags))
    return stored(spark, out, reading, users.path, users, stream)


def seen(states: Any, today: Any, named: Any) -> tuple[Any, int]:
    """The entities that have rows today.

    Args:
        states: All entities.
        today: The rows.
        named: The expression of the entity's name in rows.

    Returns:
        The entities, and how many names there are today, if at most BROADCAST_KEYS; else BROADCAST_KEYS + 1.
    """
    from pyspark.sql import functions

    names = today.select(named.alias("entity")).where("entity is not null").distinct()
    with one_line():
        n = names.limit(BROADCAST_KEYS + 1).count()
    few = functions.broadcast(names) if n <= BROADCAST_KEYS else names
    return states.join(few, "entity", "left_semi").select(*states.columns), n


def enough_for(spark: Any, n: int) -> int:
    """The number of partitions for n entities: the usual one, or as many as run at a time if they can hold them.

    Every task has its price, and an update by few rows is over sooner with fewer tasks.

    Args:
        spark: The session.
        n: How many entities have rows; more than BROADCAST_KEYS are many.

    Returns:
        The number.
    """
    usual = default_partitions(spark)
    context = getattr(spark, "_sc", None)  # a session of Spark Connect has none
    if context is None or n > BROADCAST_KEYS:
        return usual
    return min(usual, max(int(context.defaultParallelism), n // FEW + 1))
