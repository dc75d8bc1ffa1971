"""Merging tables of entities: those of disjoint entities exactly, in an order that does not depend on their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vwlite.core.options import Option, Options
from vwlite.engine.command_line import option_groups
from vwlite.entities import arrow_reading, arrow_tables, flat, heads, same, uniting
from vwlite.entities.heads import Head
from vwlite.errors import ModelError, OptionError

TABLE = "the table of entities"


def merge(tables: Iterable[Any], same: str = "error") -> Any:  # noqa: DOC503
    """Merges tables of entities.

    Args:
        tables: Tables or batches, in any order, with the metadata of `schema`.
        same: What becomes of an entity that is there more than once: "error", "newest" (the state that learned last),
            or "add" (the posterior of the data of all: exact for squared loss; for logistic models the product of the
            posteriors, an approximation).

    Returns:
        A pyarrow.Table, in the order of the entities' keys. It does not depend on the order or number of the tables.

    Raises:
        OptionError: If tables were learned with other options, or an entity is there twice.
        ModelError: If a table is damaged, or none has metadata.
    """
    pa = arrow_tables.pyarrow()
    found: dict[str, Head] = {}
    parts, names = [], []
    for x in arrow_reading.several(tables):
        table = arrow_reading.as_table(x, TABLE)
        text = arrow_reading.metadata_of(table.schema)
        if text is not None and text not in found:
            found[text] = heads.read(text, TABLE)
            names.append(f"table {len(found)}")
        parts.append(arrow_reading.read(table, TABLE))
    if not found:
        raise ModelError(f"{TABLE} has no metadata, which say with which options it was learned: write it again")
    head = heads.united(list(found.values()), declared(), names)
    return pa.Table.from_batches(list(_united(parts, head, same)))


def _united(parts: Sequence[flat.Flat], head: Head, how: str) -> Iterable[Any]:
    for part in parts:
        flat.check(part, TABLE, head.posterior, head.namespace)
    entities = uniting.united(parts, head.namespace, same.rule(how, head))
    head = head._replace(sums=head.sums | same.counted(entities, head, head.owner))
    return arrow_tables.batches(entities, head.of(entities).to_json())


def merge_metadata(texts: Sequence[str]) -> str:  # noqa: DOC503
    """Adds the metadata of tables of distinct entities: their sums and counts.

    Args:
        texts: The value of ``vwlite.entities`` in the metadata of the schema of each; at least one.

    Returns:
        The metadata of all, as JSON.

    Raises:
        OptionError: If tables were learned with other options.
        ModelError: If metadata are damaged, or of a later version.
    """
    if not texts:
        raise OptionError("there are no metadata to merge")
    found = [heads.read(text, f"table {number}") for number, text in enumerate(texts, 1)]
    order = sorted(found, key=lambda head: (head.content, head.to_json()))
    return heads.united(order, declared(), [f"table {number}" for number in range(1, len(order) + 1)]).to_json()


def declared() -> dict[str, Option]:
    """The declarations of all options."""
    return Options(option_groups()).declared
