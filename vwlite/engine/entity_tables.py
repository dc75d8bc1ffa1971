"""Tables of entities of a workspace: the posteriors of a random effect, handed out as Arrow and taken back."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vwlite.core.learner import walk
from vwlite.engine import storing
from vwlite.engine.coefficients import learners_of
from vwlite.entities import arrow_reading, arrow_tables, flat, heads, same, sums, uniting
from vwlite.entities.flat import Flat
from vwlite.entities.heads import Head
from vwlite.errors import ModelError, OptionError
from vwlite.features.interactions import namespace_hash
from vwlite.model.model_io import Loader, Saver, save_load

TABLE = "the table of entities"  # in messages
OF_ROWS = ("columns_in", "label")  # options about the rows that were learned


def only_effect(workspace: Any, effect: str | None) -> tuple[str, Any]:
    """The name of an effect, and its learner.

    Args:
        workspace: The workspace.
        effect: The name; None for the only effect.

    Returns:
        The name and the learner.

    Raises:
        OptionError: If there is no such effect, several and no name, or if it has a learner for each class.
    """
    names = effects_of(workspace)
    if effect is None:
        if len(names) != 1:
            there = f"and there are {', '.join(names)}: say which" if names else "and there is none in these options"
            raise OptionError(f"a table of entities is of one random effect, {there}")
        effect = names[0]
    learners = learners_of(workspace, effect)
    if len(learners) > 1:
        raise OptionError(f"the effect {effect!r} has a learner for each class, and a table of entities has one")
    if workspace.entity_store is not None:
        raise OptionError("with --entity_limit entities are on disk: load the model without it for a table of entities")
    return effect, learners[0][1]


def effects_of(workspace: Any) -> list[str]:
    """The names of the random effects of a workspace."""
    owners = [learner.owner for learner in walk(workspace.top) if learner.entities() is not None]
    return list(dict.fromkeys(owner.partition(".")[2] for owner in owners if "." in owner))


def arrays_of(workspace: Any) -> dict[str, Any]:
    """The arrays of a workspace's model."""
    workspace.driver.before_save()
    saver = Saver()
    save_load(workspace.top, saver)
    return saver.arrays


def flat_of(arrays: Mapping[str, Any], owner: str, full: bool) -> Flat:
    """The entities among arrays as a saver collects them."""

    def get(name: str) -> Any:
        dtype, _, values = arrays[f"{owner}.{name}"]
        return flat.numbers(dtype, values)

    return flat.of_arrays(get, lambda name: f"{owner}.{name}" in arrays, full)


def head_of(workspace: Any, effect: str, owner: str, arrays: Mapping[str, Any]) -> Head:
    """The metadata of the table of an effect."""
    options = workspace.options
    return Head(
        effect,
        owner,
        namespace_hash(options, effect),
        options["posterior"],
        options.kept(),
        sums.of_arrays(arrays, owner),
        {name: value for name, value in storing.figures_of(workspace) if math.isfinite(value)},
        {},
    )


def taken(workspace: Any, effect: str | None, changed: bool) -> tuple[Flat, Head]:
    """The entities of a workspace's effect, and the metadata of their table; see Workspace.entities."""
    effect, learner = only_effect(workspace, effect)
    arrays = arrays_of(workspace)
    head = head_of(workspace, effect, learner.owner, arrays)
    found = flat_of(arrays, learner.owner, head.full)
    mark = workspace.marks.get(effect)
    workspace.marks[effect] = mark_of(found)
    return found.take(since(found, mark)) if changed and mark is not None else found, head


def mark_of(entities: Flat) -> tuple[Any, Any]:
    """What shows whether an entity has learned since: its examples, and those of them that wait for a batch."""
    return entities["count"].copy(), entities["waiting"].copy()


def since(entities: Flat, mark: tuple[Any, Any]) -> Any:
    """The numbers of the entities that have learned since a mark: new ones come after the others."""
    counts, waiting = mark
    n = len(counts)
    learned = np.ones(len(entities), bool)
    learned[:n] = (entities["count"][:n] != counts) | (entities["waiting"][:n] != waiting)
    return np.flatnonzero(learned)


def table(entities: Flat, head: Head) -> Any:
    """Entities as a pyarrow.Table, in the order of their keys."""
    pa = arrow_tables.pyarrow()
    entities = uniting.by_key(entities)
    return pa.Table.from_batches(list(arrow_tables.batches(entities, head.of(entities).to_json())))


def add(workspace: Any, effect: str | None, x: Any, how: str) -> None:
    """Adds the entities of a table to a workspace; see Workspace.add_entities."""
    effect, learner = only_effect(workspace, effect)
    found = arrow_reading.as_table(x, TABLE)
    arrays = arrays_of(workspace)
    own = head_of(workspace, effect, learner.owner, arrays)
    given = head_in(workspace, own, found, TABLE)
    entities = arrow_reading.read(found, TABLE)
    flat.check(entities, TABLE, own.posterior, own.namespace)
    add_flat(workspace, own, entities, how, None if given is None else given.sums, arrays)


def head_in(workspace: Any, own: Head, found: Any, where: str) -> Head | None:  # noqa: DOC503
    """The metadata of a table; None without any.

    Args:
        workspace: The workspace that takes it.
        own: The metadata of the workspace's own table.
        found: A pyarrow.Table.
        where: What it is, for messages.

    Returns:
        The metadata.

    Raises:
        OptionError: If it is of another effect, or was made with other options.
        ModelError: If the metadata are damaged, or of a later version.
    """
    text = arrow_reading.metadata_of(found.schema)
    if text is None:
        return None
    given = heads.read(text, where)
    if given.effect != own.effect:
        raise OptionError(f"{where} is of the effect {given.effect!r}, not of {own.effect!r}")
    declared = workspace.options.declared
    heads.require_alike(own.options, given.options, declared, own.effect, ("the workspace", where))
    return given


def add_flat(  # noqa: DOC503
    workspace: Any, own: Head, entities: Flat, how: str, their_sums: sums.Sums | None, arrays: dict[str, Any]
) -> None:
    """Adds entities to an effect; if they can't be loaded, the workspace stays as it was.

    Args:
        workspace: The workspace.
        own: The metadata of the workspace's own table.
        entities: Checked entities.
        how: What becomes of an entity that is there already: see same.py.
        their_sums: The sums beside the table; None to leave those of the workspace as they are.
        arrays: The arrays of the workspace's model.

    Raises:
        OptionError: If an entity is there already, and `how` doesn't say what to do.
        ModelError: If the entities are refused.
    """
    before = as_numbers(arrays)
    there = flat_of(before, own.owner, own.full)
    united = uniting.united([there, entities], own.namespace, same.rule(how, own))
    arrays = {name: array for name, array in before.items() if not is_entities(name, own.owner)}
    if their_sums is not None:
        learned = workspace.driver.counters.example_number > 0 or len(there)
        both = sums.united([own.sums, their_sums], 1.0, noise_of(own)) if learned else own.sums | their_sums
        arrays |= sums.to_arrays(both | same.counted(united, own, own.owner))
    fields = [name.rpartition(".")[2] for name in before if is_entities(name, own.owner)]
    found = flat.to_arrays(united, own.full, fields)
    arrays |= {f"{own.owner}.{name}": array for name, array in found.items()}
    try:
        save_load(workspace.top, reader_of(arrays))
    except BaseException:
        save_load(workspace.top, reader_of(before))
        raise
    workspace.marks[own.effect] = mark_of(united)
    workspace.changes += 1


def placed(own: Head, entities: Flat, head: Head, arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a model with the entities of a table in place of its own.

    Args:
        own: The metadata of the model's own table.
        entities: The entities.
        head: Their metadata.
        arrays: The arrays of the model.

    Returns:
        The arrays.
    """
    fields = [name.rpartition(".")[2] for name in arrays if is_entities(name, own.owner)]
    found = {f"{own.owner}.{name}": array for name, array in flat.to_arrays(entities, own.full, fields).items()}
    small = sums.to_arrays(head.sums | same.counted(entities, head, own.owner))
    return in_place(arrays, own.owner, found, small)


def write_model(workspace: Any, head: Head, arrays: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes a model file with other arrays than those of the workspace.

    Args:
        workspace: The workspace, with the options of the model.
        head: The metadata of a table, with counts and what is known about the rows.
        arrays: The arrays.
        path: The model file.
    """
    from vwlite.model import model_file

    for name in OF_ROWS:
        if name in head.options:
            workspace.options.set(name, head.options[name], "model")
    storing.set_figures(workspace, head.figures)
    model_file.write(path, arrays, workspace.metadata())
    storing.discard_store(path)


def in_place(
    arrays: Mapping[str, Any], owner: str, entities: Mapping[str, Any], small: Mapping[str, Any]
) -> dict[str, Any]:
    """The arrays of a model with other entities and sums, in the order in which a run saves them."""
    merged: dict[str, Any] = {}
    beside = {name for name in small if name.startswith(f"{owner}.")}
    for name, array in arrays.items():
        if name == f"{owner}.key":
            merged |= entities
        elif name in small and not is_entities(name, owner):
            dtype, shape, _ = array
            merged[name] = dtype, shape if not shape else small[name][1], small[name][2]
        elif not is_entities(name, owner):
            merged[name] = array
        if name == f"{owner}.scaled":
            merged |= {each: small[each] for each in small if each in beside and each not in arrays}
    return merged | {name: small[name] for name in small if name not in merged}


def is_entities(name: str, owner: str) -> bool:
    """Whether an array of a model is one of the entities of an effect."""
    return name.startswith(f"{owner}.") and name[len(owner) + 1 :] in flat.FIELDS


def noise_of(head: Head) -> float | None:
    """The given variance of the noise; None if it is estimated."""
    text = head.options.get("noise", "auto")
    return None if text == "auto" else float(text)


def as_numbers(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays with their values as arrays of NumPy."""
    return {name: (dtype, shape, flat.numbers(dtype, values)) for name, (dtype, shape, values) in arrays.items()}


class Arrays:
    """Arrays in memory, as a Loader reads them from a model file.

    Args:
        path: What they are, for messages.
        arrays: Their type, shape and values by name.
    """

    def __init__(self, path: str, arrays: Mapping[str, tuple[str, Sequence[int], Any]]) -> None:
        self.path = path
        self.arrays = arrays

    def names(self) -> list[str]:
        """The names of the arrays."""
        return list(self.arrays)

    def array(self, name: str, dtype: str) -> Any:
        """The values of an array. Raises ModelError if it isn't there, or is of another type."""
        if name not in self.arrays or self.arrays[name][0] != dtype:
            raise ModelError(f"{self.path}: it has no {name} of type {dtype}; write it again")
        return np.ascontiguousarray(self.arrays[name][2]).data


def reader_of(arrays: Mapping[str, Any]) -> Loader:
    """A Loader of arrays in memory."""
    reader: Any = Arrays(TABLE, arrays)
    return Loader(reader)
