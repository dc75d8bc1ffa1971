"""score: rows and the posteriors of their entities in, predictions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vwlite.engine import entity_tables
from vwlite.entities import arrow_tables, heads
from vwlite.errors import OptionError
from vwlite.tables.models import put_together
from vwlite.tables.workspaces import Flags, Task


def score(  # noqa: DOC502
    flags: Flags,
    entities: Iterable[Any],
    batches: Iterable[Any],
    *,
    label: str | None = None,
    weight: str | None = None,
    tag: str | None = None,
    columns: Any = None,
    effect: str | None = None,
    keep: Sequence[str] | None = None,
    metadata: str | None = None,
) -> Iterator[Any]:
    """Predicts rows by a table of entities; nothing is learned.

    Args:
        flags: The options with which the table was learned; --columns prediction,sd,user asks for more columns, and
            --link logistic for probabilities. ``-i model`` loads a model, such as one with a fixed part.
        entities: Tables or batches of entities: those of these rows, or more.
        batches: pyarrow.RecordBatches with the rows.
        label: The column with the label, which is not used.
        weight: The column with the weight, which is not used.
        tag: The column with the tag, which is not used.
        columns: The column map; by default the one in the metadata of the table.
        effect: The random effect of the table; by default the only one.
        keep: The columns of the rows that are kept; by default all.
        metadata: The metadata of the table as JSON, where an engine has not kept those of its schema.

    Yields:
        For each batch one with the kept columns, and the columns of the prediction (float32). They are null in rows
        that can't be examples.

    Raises:
        OptionError: If the table was learned with other options, or a column has the name of a prediction's.
        ModelError: If the table is damaged.
    """
    pa = arrow_tables.pyarrow()
    task = Task(flags, effect, loads=True)
    load(task, entities, metadata)
    driver, listener = task.workspace.driver, task.listener
    driver.training = False
    names = columns_of(task.workspace.options)
    for batch in batches:
        kept = batch.schema.names if keep is None else list(keep)
        require_distinct(kept, names)
        listener.refused.clear()
        results: list[Any] = []
        for block in task.blocks([batch], label, weight, tag, columns, learning=False):
            results += driver.run_rows(block, False)
        good = np.ones(batch.num_rows, bool)
        good[np.array(listener.refused, np.int64) - 1] = False
        found = np.full((batch.num_rows, len(names)), np.nan, np.float32)
        if results:
            found[good] = np.array(results, np.float32).reshape(len(results), -1)
        predicted = [pa.array(np.ascontiguousarray(found[:, k]), mask=~good) for k in range(len(names))]
        yield pa.RecordBatch.from_arrays([*(batch.column(name) for name in kept), *predicted], names=[*kept, *names])


def columns_of(options: Any) -> list[str]:
    """The names of the columns of a prediction, by --columns and --interval."""
    if options.given("columns"):
        return str(options["columns"]).split(",")
    return ["prediction", "low", "high"] if options["interval"] else ["prediction"]


def require_distinct(kept: Sequence[str], names: Sequence[str]) -> None:
    """Raises OptionError if a column of the rows has the name of one of the prediction's."""
    twice = sorted({*kept} & {*names})
    if twice:
        raise OptionError(f"the rows have a column {twice[0]!r}, as the prediction has: keep others, or rename it")


def load(task: Task, entities: Iterable[Any], metadata: str | None) -> None:
    """Loads a table of entities into a task that predicts, with its sums; pending examples of batches are applied."""
    workspace = task.workspace
    arrays = entity_tables.arrays_of(workspace)
    own = entity_tables.head_of(workspace, task.effect, task.learner.owner, arrays)
    given = None if metadata is None else heads.read(metadata, "the metadata")
    found, head = put_together(task, own, entities, "error", given)
    if head is not own:
        heads.require_alike(
            own.options, head.options, workspace.options.declared, own.effect, ("the flags", "the table of entities")
        )
        for name in entity_tables.OF_ROWS:
            if name in head.options and not workspace.options.given(name):
                workspace.options.set(name, head.options[name], "model")
    entity_tables.add_flat(workspace, own, found, "error", None if head is own else head.sums, arrays)
    task.learner.close_batches()
