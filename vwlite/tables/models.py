"""Model files of tables of entities."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from vwlite.engine import entity_tables, storing
from vwlite.entities import arrow_reading, flat, heads, same, uniting
from vwlite.entities.flat import Flat
from vwlite.entities.heads import Head
from vwlite.errors import OptionError
from vwlite.tables.workspaces import Flags, Task


def to_model(  # noqa: DOC503
    flags: Flags,
    tables: Iterable[Any] | Mapping[str, Iterable[Any]],
    path: str | os.PathLike[str],
    *,
    same: str = "error",
    metadata: str | Mapping[str, str] | None = None,
) -> None:
    """Writes the model file of the command line: ``vwlite -t -i path`` predicts as if one process had learned all.

    Args:
        flags: The options with which the tables were learned.
        tables: Tables or batches of entities, in any order. With several random effects, those of each by its name:
            ``{"user": users, "item": items}``; what they share, such as counts of rows, is that of the first.
        path: The model file.
        same: What becomes of an entity that is there twice: as of `merge`.
        metadata: The metadata of all tables as JSON, from `merge_metadata`, where an engine has not kept those of the
            tables' schemas; with several effects for each by its name.

    Raises:
        OptionError: If a table was learned with other options, or an entity is there twice.
        ModelError: If a table is damaged, or the file can't be written; an older one is unchanged.

    >>> import os, tempfile
    >>> import pyarrow as pa
    >>> from vwlite import Workspace, tables
    >>> rows = pa.record_batch({"user": ["ann"] * 9, "y": [1.0] * 9})
    >>> flags = "--bayes_linear --noise 1 --fixed none --shrink zero --effect_l2 1 --random_effect user"
    >>> path = os.path.join(tempfile.mkdtemp(), "users.model")
    >>> tables.to_model(flags, tables.learn(flags, [rows], label="y"), path)
    >>> round(Workspace.load(path).predict({"user": "ann"}), 3)
    0.9
    """
    of_effects: Mapping[Any, Iterable[Any]] = tables if isinstance(tables, Mapping) else {None: tables}
    if not of_effects:
        raise OptionError("there is no table to make a model of")
    workspace = Task(flags, next(iter(of_effects))).workspace
    arrays = entity_tables.as_numbers(entity_tables.arrays_of(workspace))
    first: Head | None = None
    for name, each in of_effects.items():
        task = Task(flags, name)
        own = entity_tables.head_of(workspace, task.effect, task.learner.owner, arrays)
        text = metadata.get(task.effect) if isinstance(metadata, Mapping) else metadata
        given = None if text is None else heads.read(text, "the metadata")
        entities, head = put_together(task, own, each, same, given)
        if first is not None:
            small = {key: value for key, value in head.sums.items() if key.startswith(f"{own.owner}.")}
            head = head._replace(sums=small)
        arrays = entity_tables.placed(own, entities, head, arrays)
        first = first or head
    assert first is not None
    entity_tables.write_model(workspace, first, arrays, path)


def put_together(
    task: Task, own: Head, tables: Iterable[Any], how: str, given: Head | None, where: str = "the table of entities"
) -> tuple[Flat, Head]:
    """The entities of all tables, and their metadata."""
    parts, found, names = [], [], []
    seen = set()
    for number, x in enumerate(arrow_reading.several(tables)):
        name = f"{where} {number + 1}"
        table = arrow_reading.as_table(x, where)
        text = arrow_reading.metadata_of(table.schema)
        if text is not None and text not in seen:  # batches of one table have the same
            head = entity_tables.head_in(task.workspace, own, table, where)
            found += [] if head is None else [head]
            names.append(name)
        seen.add(text)
        parts.append(arrow_reading.read(table, where))
    for part in parts:
        flat.check(part, where, own.posterior, own.namespace)
    declared = task.workspace.options.declared
    head = given or (heads.united(found, declared, names) if found else own)
    return uniting.united(parts, own.namespace, same.rule(how, head)), head


def replace_entities(  # noqa: DOC502
    model: str | os.PathLike[str], table: Any, path: str | os.PathLike[str], effect: str | None = None
) -> None:
    """Writes a model with the entities of a table in place of its own.

    Args:
        model: The model file with the other parts.
        table: The table of entities.
        path: The model file that is written.
        effect: The random effect; by default the only one.

    Raises:
        OptionError: If the table was learned with other options, or the model has no such effect.
        ModelError: If the table is damaged, or the file can't be written; an older one is unchanged.
    """
    task = Task(["-i", os.fspath(model)], effect, loads=True)
    arrays = entity_tables.as_numbers(storing.contents(task.workspace)[0])
    own = entity_tables.head_of(task.workspace, task.effect, task.learner.owner, arrays)
    entities, head = put_together(task, own, [table], "error", None)
    if head is not own:
        ours = {name: value for name, value in own.sums.items() if not name.startswith(f"{own.owner}.")}
        theirs = {name: value for name, value in head.sums.items() if name.startswith(f"{own.owner}.")}
        head = head._replace(sums=ours | theirs, figures={}, options=own.options)
    arrays = entity_tables.placed(own, entities, head, arrays)
    entity_tables.write_model(task.workspace, head, arrays, path)
