"""learn: rows of whole entities in, their posteriors out. The function that engines call in each task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vwlite.engine import entity_tables
from vwlite.entities import arrow_reading, arrow_tables, flat, uniting
from vwlite.entities.same import refused
from vwlite.tables.workspaces import Flags, Task

BEFORE = "the table before"  # in messages


def learn(  # noqa: DOC502
    flags: Flags,
    batches: Iterable[Any],
    *,
    label: str | None = None,
    weight: str | None = None,
    tag: str | None = None,
    columns: Any = None,
    before: Iterable[Any] | None = None,
    effect: str | None = None,
    changed: bool = False,
) -> Iterator[Any]:
    """Learns rows, and yields the table of the entities.

    The rows of an entity have to be in one call, in the order in which they are to be learned; calls for other entities
    are independent, so that they run in any process. A row that can't be an example is counted, as by the command line,
    unless the flags have --strict_parse.

    Args:
        flags: Options as on the command line, without data and model.
        batches: pyarrow.RecordBatches with the rows.
        label: The column with the label, such as ``"y"`` or ``"y:binary(yes)"``; by default that of --label.
        weight: The column with the importance weight.
        tag: The column with the tag.
        columns: The column map, as of `Workspace.learn`; by default that of --columns_in.
        before: Batches with the entities as they were before these rows. The sums of that table are not loaded: those
            that come out are of these rows alone, and `merge_metadata` adds them.
        effect: The random effect whose entities come out; by default the only one.
        changed: Only the entities that have learned from these rows, not all of `before`.

    Yields:
        pyarrow.RecordBatches of the columns of `schema`, in the order of the entities' keys; at least one. The metadata
        of the schema has sums and counts: see `schema`.

    Raises:
        OptionError: If the flags have no such effect, or `before` was made with other options.
        ModelError: If `before` is damaged.
        ParseError: At a malformed row, with --strict_parse.

    >>> import pyarrow as pa
    >>> rows = pa.record_batch({"user": ["ann", "ann", "bob"], "y": [1.0, 2.0, -1.0]})
    >>> flags = "--bayes_linear --noise 1 --fixed none --shrink zero --effect_l2 1 --random_effect user"
    >>> [batch.select(["entity", "count"]).to_pylist() for batch in learn(flags, [rows], label="y")]
    [[{'entity': 'bob', 'count': 1}, {'entity': 'ann', 'count': 2}]]
    """
    task = Task(flags, effect)
    if before is not None:
        take_before(task, before)
    task.learn(batches, label, weight, tag, columns)
    if before is None:
        task.workspace.marks.pop(task.effect, None)
    found, head = entity_tables.taken(task.workspace, task.effect, changed)
    found = uniting.by_key(found)
    yield from arrow_tables.batches(found, task.finished(head).of(found).to_json())


def take_before(task: Task, before: Iterable[Any]) -> None:
    """Loads entities into a task, without their sums."""
    workspace = task.workspace
    arrays = entity_tables.arrays_of(workspace)
    own = entity_tables.head_of(workspace, task.effect, task.learner.owner, arrays)
    parts = []
    for batch in arrow_reading.several(before):
        table = arrow_reading.as_table(batch, BEFORE)
        entity_tables.head_in(workspace, own, table, BEFORE)
        parts.append(arrow_reading.read(table, BEFORE))
    entities = flat.concatenated(parts) if parts else flat.empty()
    flat.check(entities, BEFORE, own.posterior, own.namespace)
    entities = uniting.united([entities], own.namespace, refused)
    entity_tables.add_flat(workspace, own, entities, "error", None, arrays)


def schema(flags: Flags, effect: str | None = None) -> Any:  # noqa: DOC502
    """The columns of a table of entities, version 1, as a pyarrow.Schema.

    ``entity`` is the name (``raw`` its bytes, where they are not UTF-8); ``key`` the 64-bit key; ``count`` the examples
    learned; ``hash``, ``mean`` and ``precision`` are lists with the 32-bit hash of each feature (as a signed number),
    the posterior mean of its coefficient, and the precision that data give, in units of the noise: a number for each
    coefficient, or packed by rows the lower triangle of a full posterior. The others are what exact resuming needs.

    The metadata has the key ``vwlite.entities``: JSON with the version, the effect, the options, sums and counts.

    Args:
        flags: Options as on the command line.
        effect: The random effect; by default the only one.

    Returns:
        The schema, with the metadata of a table without entities.

    Raises:
        OptionError: If the flags have no such effect.

    >>> schema("--bayes_linear --random_effect user").names[:4]
    ['entity', 'raw', 'key', 'count']
    """
    task = Task(flags, effect)
    _, head = entity_tables.taken(task.workspace, task.effect, False)
    return arrow_tables.schema(task.finished(head).to_json())
