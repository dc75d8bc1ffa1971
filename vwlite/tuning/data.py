"""The data of a search: read once, divided into parts, and kept in memory as blocks of parsed examples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vwlite.core.options import Options
from vwlite.core.types import LabelType
from vwlite.engine.feed import Feed
from vwlite.errors import OptionError, VwliteError
from vwlite.judging.reading import names_of_slices
from vwlite.report.outputs import problem_line
from vwlite.tuning.parts import Chunk, Divider, Facts, content, merged

LEARN, HELD, ASIDE, TEST = range(4)  # parts; ASIDE: of entities that the search doesn't use
N_PARTS = 4


class Kind(NamedTuple):
    """What a stack reads."""

    labels: LabelType
    multiline: bool
    names: bool


class Division(NamedTuple):
    """How examples are divided.

    Args:
        test: The share of examples that nothing but the end sees.
        held: The share of examples held out, by their sides.
        after: How many examples come before those held out; 0 for no such rule.
        period: Every how many examples one is held out; 0 for no such rule.
        by: The name of the entities; "" for none.
        entities: The share of the entities that the search uses.
    """

    test: float = 0.0
    held: float = 0.0
    after: int = 0
    period: int = 0
    by: str = ""
    entities: float = 1.0

    @property
    def holds_out(self) -> bool:
        """Whether examples are held out."""
        return bool(self.held or self.after or self.period)


class Data:
    """Examples in parts.

    Args:
        kind: What the stack reads.

    Attributes:
        chunks: All of them, in their order.
        counts: The number of examples of each part.
        entities: For each example that is in no test, the number of its entity, -1 without one.
        entity_sides: The side of its entity, NaN without one.
        n_entities: How many entities there are.
        digest: A hash of what learners see.
        bytes: Bytes of text read.
        columns: What the columns of a table are.
        records: Name, digest and size of each source.
        names: The names of the sources.
        notes: Messages about the data.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.chunks: list[Chunk] = []
        self.counts = np.zeros(N_PARTS, np.int64)
        self.entities = np.zeros(0, np.int32)
        self.entity_sides = np.zeros(0)
        self.n_entities = 0
        self.digest = ""
        self.bytes = 0
        self.columns: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.notes: list[str] = []

    def of(self, *parts: int) -> Iterator[Any]:
        """The blocks of the examples of some parts, in the order of the data."""
        for chunk in self.chunks:
            block = merged(chunk, parts, self.kind.names, self.kind.multiline)
            if block is not None:
                yield block


def read_data(options: Options, kind: Kind, how: Division) -> Data:  # noqa: DOC502
    """Reads and divides data.

    Args:
        options: The options of the run, which name the data.
        kind: What the stack reads.
        how: How examples are divided.

    Returns:
        The data.

    Raises:
        VwliteError: If a file can't be read, or has no example.
        OptionError: If no example has an entity of the given name.
    """
    options = options.copy()  # reading a table sets what its columns are
    if how.by:
        options.noted = [how.by]
    data = Data(kind._replace(names=kind.names or bool(how.by)))
    feed = Feed(options, data.kind.names, kind.labels, kind.multiline)
    if feed.note:
        data.notes.append(feed.note)
    facts = Facts(names_of_slices(options, [how.by] if how.by else []), kind.multiline)
    divider = Divider(N_PARTS, data.kind.names, kind.multiline)
    hashes = hashlib.sha256(), hashlib.sha256()
    entities, sides = [], []
    used = 0  # examples that the search uses so far
    try:
        for block in feed.blocks():
            content(block, *hashes)
            side, entity_side, entity = facts.look(block)
            parts = parts_of(np.array(side), np.array(entity_side), how, used)
            used += int(np.isin(parts, (LEARN, HELD)).sum())
            data.counts += np.bincount(parts, minlength=N_PARTS)
            inside = parts != TEST
            entities.append(np.array(entity, np.int32)[inside])
            sides.append(np.array(entity_side)[inside])
            data.chunks += divider.divide(block, parts)
        data.chunks.append(divider.finish())
        data.bytes = feed.progress() or 0
    finally:
        feed.close()
    data.entities = np.concatenate([*entities, np.zeros(0, np.int32)])
    data.entity_sides = np.concatenate([*sides, np.zeros(0)])
    data.n_entities = facts.n_entities
    data.digest = hashlib.sha256(hashes[0].digest() + hashes[1].digest()).hexdigest()
    data.records, data.names = feed.records, feed.names
    data.columns = options["columns_in"] if options.source("columns_in") == "model" else []
    require_examples(data, facts, how, options)
    return data


def parts_of(sides: Any, entity_sides: Any, how: Division, before: int) -> Any:
    """The part of each example.

    Args:
        sides: Of the examples.
        entity_sides: Of their entities.
        how: How examples are divided.
        before: How many examples the search uses of those before.

    Returns:
        The parts, uint8 of shape (n,).
    """
    parts = np.full(len(sides), LEARN, np.uint8)
    if how.test:
        parts[sides >= 1 - how.test] = TEST
    if how.entities < 1:
        parts[(parts == LEARN) & ~(entity_sides < how.entities)] = ASIDE
    used = parts == LEARN
    if how.held:
        # of those that are in no test
        parts[used & (sides >= (1 - how.test) * (1 - how.held))] = HELD
    elif how.after or how.period:
        number = before + np.cumsum(used)  # from 1
        held = number > how.after if how.after else number % how.period == 0
        parts[used & held] = HELD
    return parts


def require_examples(data: Data, facts: Facts, how: Division, options: Options) -> None:
    """Raises VwliteError without examples, OptionError if none has an entity; notes malformed lines."""
    where = ", ".join(data.names)
    if facts.first_problem is not None:
        source, line, column, reason, text = facts.first_problem
        first = problem_line(data.names[source], line, column, reason, text)
        if options["strict_parse"]:
            raise VwliteError(first)
        data.notes.append(f"malformed lines are left out = {facts.problems}, the first is {first}")
    if not data.counts.sum():
        raise VwliteError(f"{where}: no example to tune with")
    if how.by and not data.n_entities and data.counts[:TEST].sum():
        raise OptionError(f"--by {how.by}: no example has a feature, namespace or column of this name")
    if how.entities < 1 and not data.counts[LEARN]:
        raise OptionError(
            f"--entities {how.entities:g}: no example is left of the {data.n_entities:,} entities of {how.by}: give a "
            "larger share"
        )
    if not data.counts[LEARN]:
        raise VwliteError(f"{where}: no example is left to learn from: hold fewer out")
    if how.holds_out and not data.counts[HELD]:
        raise VwliteError(f"{where}: nothing was held out: there are too few examples, or --holdout is too small")
    if how.test and not data.counts[TEST]:
        raise VwliteError(f"{where}: no example is in the test: there are too few, or --test is too small")


def divided(data: Data, parts: Any, n_parts: int) -> list[list[Any]]:
    """Copies the examples that are in no test into other parts.

    Args:
        data: The data.
        parts: The part of each of these examples, uint8 of shape (n,); a number from n_parts on leaves it out.
        n_parts: The number of parts.

    Returns:
        The blocks of each part.
    """
    divider = Divider(n_parts, data.kind.names, data.kind.multiline)
    at = 0
    chunks: list[Chunk] = []
    for chunk in data.chunks:
        n = sum(part != TEST for part in chunk.parts)
        block = merged(chunk, (LEARN, HELD, ASIDE), data.kind.names, data.kind.multiline)
        if block is not None:
            chunks += divider.divide(block, np.ascontiguousarray(parts[at : at + n], np.uint8))
        at += n
    chunks.append(divider.finish())
    return [[chunk.blocks[i] for chunk in chunks if chunk.blocks[i] is not None] for i in range(n_parts)]


def ordinals(entities: Any) -> Any:
    """For each example, how many of its entity come before it.

    >>> ordinals(np.array([4, 2, 4, 4, 2])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(entities, kind="stable")
    ranked = entities[order]
    first = np.r_[True, ranked[1:] != ranked[:-1]] if len(ranked) else np.zeros(0, bool)
    begin = np.maximum.accumulate(np.where(first, np.arange(len(ranked)), 0))
    found = np.empty(len(entities), np.int64)
    found[order] = np.arange(len(ranked)) - begin
    return found


def blocks_of(files: Iterable[str], options: Options, kind: Kind) -> Data:
    """Reads further files, such as those of --validation, with nothing held out."""
    other = options.copy()
    other.data = None
    other.set("data", list(files))
    return read_data(other, kind, Division())
