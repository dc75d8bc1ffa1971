"""GAME: the effects of a model in turn, each with the scores of all others as its offset (block coordinate descent).

Zhang and others 2016, "GLMix: Generalized Linear Mixed Models For Large-Scale Response Prediction". A step shuffles the
rows by the entity of its effect, fits that effect, and hands the rows on with their new scores: one shuffle a step, and
no join. Each step is kept until the next is done.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from vwlite import __version__, tables
from vwlite.engine.library_flags import words_of
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError
from vwlite.spark import storage, tasks
from vwlite.spark.checks import require_session
from vwlite.spark.entities import Entities
from vwlite.spark.estimating import FIRST, estimate
from vwlite.spark.failures import in_a_task, one_line
from vwlite.spark.fitting import require_given_fixed, require_separable, stored, summing
from vwlite.spark.frames import default_partitions, schema_of
from vwlite.spark.reading import ORDER, Columns, Reading, columns_of, name_of_entity, quoted, resolve

SCORE = "__vwlite_score_"  # columns of rows between steps: the score of each effect
OFFSET = "__vwlite_offset"  # the sum of all others, as the step learns it
BASE = "__vwlite_base"  # the initial prediction of the data


class Step(NamedTuple):
    """What a task needs to know to fit an effect.

    Args:
        learning: As for a table of entities, with the offset as the initial prediction.
        effect: The namespace of the effect.
        scores: The columns with the scores of the other effects.
        own: The column with that of this effect.
        names: The columns of the rows that the effect reads.
        keeps: Whether the rows come out, with their new scores, rather than the entities.
    """

    learning: tasks.Learning
    effect: str
    scores: tuple[str, ...]
    own: str
    names: tuple[str, ...]
    keeps: bool


def with_offset(step: Step, batch: Any) -> Any:
    """The columns that an effect reads, and the sum of the other scores, in single precision as offsets are."""
    import numpy as np
    import pyarrow as pa

    total = batch.column(BASE).to_numpy(zero_copy_only=False).astype(np.float64)
    for name in step.scores:
        total = total + batch.column(name).to_numpy(zero_copy_only=False)
    read = batch.select(list(step.names))
    return read.append_column(OFFSET, pa.array(total.astype(np.float32)))


def fit_step(step: Step, batches: Iterable[Any]) -> Iterator[Any]:
    """Fits an effect to the rows of a partition.

    Args:
        step: What to do.
        batches: The partition.

    Yields:
        The rows with their new scores, or the table of entities.
    """
    if not step.keeps:
        yield from tasks.learn(step.learning, (with_offset(step, batch) for batch in batches))
        return
    with in_a_task(f"fitting {step.effect}"):
        tasks.require_version(step.learning.version)
        rows = [batch for batch in batches if batch.num_rows]
        if not rows:
            return
        yield from rescored(step, rows)


def rescored(step: Step, rows: Sequence[Any]) -> Iterator[Any]:
    """The rows with the scores of the effect fitted to them; 0 in rows without an entity."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    task = step.learning

    def learned() -> Iterator[Any]:
        for batch in rows:
            found = with_offset(step, batch)
            yield found.filter(pc.is_valid(found.column(task.entity)))

    found = list(tables.learn(task.flags, learned(), label=task.label or None, columns=task.columns))
    flags = [*words_of(task.flags), "--columns", step.effect]
    asked = (with_offset(step, batch) for batch in rows)
    scores = tables.score(flags, found, asked, columns=task.columns, keep=())
    for batch, scored in zip(rows, scores, strict=True):
        given = scored.column(0).to_numpy(zero_copy_only=False)
        own = np.where(np.isnan(given), 0, given).astype(np.float32)
        place = batch.schema.names.index(step.own)
        yield batch.set_column(place, batch.schema.field(place), pa.array(own))


def game(  # noqa: DOC503
    rows: Any,
    effects: Sequence[str],
    flags: str,
    *,
    order: str | Sequence[str],
    label: str | None = None,
    weight: str | None = None,
    columns: Columns = None,
    sweeps: int = 5,
    partitions: int | None = None,
    paths: Sequence[str] | None = None,
) -> dict[str, Entities]:
    """Fits several random effects in turn, each to what the others leave, and again in each sweep.

    Of a fixed part, give the score as the initial prediction (score_fixed(), and the role initial in columns): it is
    not fitted again.

    Args:
        rows: A DataFrame.
        effects: As --random_effect, in the order of a sweep: ``["user:genre", "movie"]``.
        flags: The other options of all effects, such as ``"--square --effect_l2 3 --shrink zero"``; with
            ``--effect_l2 auto`` the ridge of an effect is estimated anew in each step, from all its entities.
        order: The column by which the rows of an entity are learned, or several.
        label: The column of the label, as --label.
        weight: The column of importance weights.
        columns: The column map, as --columns_in.
        sweeps: How often each effect is fitted.
        partitions: The number of tasks; by default spark.sql.shuffle.partitions. The rows of a task are in its memory.
        paths: A folder for each effect; by default they are kept in Spark's memory and on its disks.

    Returns:
        The entities of each effect, by its namespace. The score of a row is the initial prediction and the sum of the
        effects' scores: `score_game`.

    Raises:
        OptionError: If options or columns can't be used.
        VwliteError: If a task fails.
    """
    spark = rows.sparkSession
    require_session(spark)
    names = [effect.partition(":")[0] for effect in effects]
    if len(names) < 2 or len(set(names)) < len(names):
        raise OptionError("effects: expected two or more, each once; fit() fits one")
    if sweeps < 1 or (paths is not None and len(paths) != len(effects)):
        raise OptionError("sweeps is at least 1, and paths are as many as effects")
    readings = []
    for effect in effects:
        own = shlex.join([*words_of(flags), "--fixed", "none", "--random_effect", effect])
        require_given_fixed(own)
        require_separable(own)
        readings.append(read_for(rows.schema, own, names, label, weight, columns, order))
    frame = with_scores(rows, readings)
    n = partitions or default_partitions(spark)
    found: dict[str, Entities] = {}
    kept: Any = None
    ridges = [FIRST] * len(effects)
    for sweep in range(sweeps):
        for k, reading in enumerate(readings):
            dealt = dealt_by(frame, reading, n)
            given = reading
            if tables.crossing(reading.flags):
                dealt = dealt.persist()
                given = estimated(dealt, reading, names, k, ridges[k])
                ridges[k] = float(words_of(given.flags)[-1])
            if sweep == sweeps - 1:
                step = step_of(given, names, k, False)
                out = dealt.mapInArrow(partial(fit_step, step), schema_of(given.flags))
                found[names[k]] = stored(spark, out, given, paths[k] if paths else None)
                if k == len(readings) - 1:
                    dealt.unpersist()
                    break
            step = step_of(given, names, k, True)
            frame = keep(dealt.mapInArrow(partial(fit_step, step), frame.schema))
            dealt.unpersist()
            if kept is not None:
                kept.unpersist()
            kept = frame
    if kept is not None:
        kept.unpersist()
    return found


def read_for(
    schema: Any,
    flags: str,
    names: Sequence[str],
    label: str | None,
    weight: str | None,
    columns: Columns,
    order: str | Sequence[str],
) -> Reading:
    """How the rows are read for one effect: columns that name entities of the others are no features."""
    from vwlite.input.column_map import ColumnMap, Rule, read_map

    effect = Workspace(flags).options["random_effect"][0].partition(":")[0]
    given = read_map(columns, label)
    found = ColumnMap(given.rules, given.label, bool(given.rules))
    others = []
    for field in schema.fields:
        rule = found.rule_of(field.name, names)
        if rule is not None and rule.role == "entity" and (rule.namespace or rule.name) != effect:
            others.append(Rule(field.name, "ignore"))
    rest = [rule for rule in given.rules if rule.role != "entity" or (rule.namespace or rule.name) == effect]
    rest = rest if given.rules else [Rule(".*", "auto", True)]
    own = [Rule(effect, "entity")] if not given.rules else []
    rules = " ".join(str(rule) for rule in (*own, *others, *rest))
    return resolve(schema, flags, label=label, weight=weight, columns=rules, order=columns_of(order))


def with_scores(rows: Any, readings: Sequence[Reading]) -> Any:
    """The columns that any effect reads, the initial prediction and a score of 0 for each effect."""
    from pyspark.sql import functions

    from vwlite.input.column_map import read_map

    used = list(dict.fromkeys(name for reading in readings for name in reading.used))
    initial = [rule.name for rule in read_map(readings[0].columns).rules if rule.role == "initial"]
    entities = {reading.entity for reading in readings}
    chosen = []
    for name in used:
        if name in entities:
            kind = rows.schema[name].dataType.simpleString()
            chosen.append(name_of_entity(name, kind).alias(name))
        elif name not in initial:
            chosen.append(functions.col(quoted(name)))
    base = functions.col(quoted(initial[0])) if initial else functions.lit(0.0)
    return rows.select(
        *chosen,
        functions.coalesce(base.cast("float"), functions.lit(0.0).cast("float")).alias(BASE),
        *(functions.lit(0.0).cast("float").alias(f"{SCORE}{k}") for k in range(len(readings))),
        *(functions.col(quoted(name)).alias(f"{ORDER}{i}") for i, name in enumerate(readings[0].order)),
    )


def dealt_by(frame: Any, reading: Reading, partitions: int) -> Any:
    """The rows in partitions by the entity of an effect, in each sorted by the order."""
    from vwlite.spark.frames import key_of

    orders = [f"{ORDER}{i}" for i in range(len(reading.order))]
    return frame.repartition(partitions, key_of(reading)).sortWithinPartitions(*orders)


def step_of(reading: Reading, names: Sequence[str], k: int, keeps: bool) -> Step:
    """The step that fits the k-th effect."""
    from vwlite.input.column_map import read_map

    rules = [str(rule) for rule in read_map(reading.columns).rules if rule.role != "initial"]
    read = [name for name in reading.used if name not in initial_of(reading)]
    task = tasks.Learning(
        __version__,
        reading.flags,
        " ".join([*rules, f"{OFFSET}:initial"]),
        reading.label,
        reading.entity,
    )
    others = tuple(f"{SCORE}{i}" for i in range(len(names)) if i != k)
    return Step(task, names[k], others, f"{SCORE}{k}", tuple(read), keeps)


def initial_of(reading: Reading) -> list[str]:
    """The column of the initial prediction, if there is one."""
    from vwlite.input.column_map import read_map

    return [rule.name for rule in read_map(reading.columns).rules if rule.role == "initial"]


def estimated(dealt: Any, reading: Reading, names: Sequence[str], k: int, begin: float) -> Reading:
    """The reading with what all entities of the effect share given, estimated from sums over all partitions."""
    step = step_of(reading, names, k, False)

    def run(flags: str) -> list[dict[str, Any]]:
        summed = step._replace(learning=summing(step.learning, flags))
        out = dealt.mapInArrow(partial(fit_step, summed), schema_of(flags))
        with one_line():
            return [json.loads(head) for head in storage.heads_of(out)]

    return reading._replace(flags=estimate(reading.flags, run, begin))


def keep(frame: Any) -> Any:
    """A step that is computed now and kept, so that later ones don't repeat it."""
    from pyspark import StorageLevel

    kept = frame.persist(StorageLevel.MEMORY_AND_DISK)
    with one_line():
        kept.count()
    return kept


def score_game(rows: Any, found: dict[str, Entities], into: str = "vw_score") -> Any:
    """The scores of rows by all effects: the initial prediction and the sum of theirs.

    Args:
        rows: A DataFrame.
        found: The entities of each effect, from `game`.
        into: The name of the new column.

    Returns:
        The rows, with the column of the score.

    Raises:
        OptionError: If the rows have the column already, or lack one of the features.
    """
    from pyspark.sql import functions

    if into in rows.columns:
        raise OptionError(f"the rows have a column {into!r} already: give another name")
    scored, parts = rows, []
    for name, users in found.items():
        prefix = f"{SCORE}of_"
        scored = users.transform(scored, [name], prefix)
        parts.append(f"{prefix}{name}")
    initial = initial_of(next(iter(found.values())).reading)
    total = functions.col(quoted(initial[0])) if initial else functions.lit(0.0)
    for part in parts:
        total = total + functions.coalesce(functions.col(quoted(part)), functions.lit(0.0))
    return scored.withColumn(into, total.cast("double")).drop(*parts)
