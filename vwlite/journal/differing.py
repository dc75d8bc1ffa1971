"""What two models differ in, section by section: options, stack, journal, metrics, weights, entities."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from vwlite.core.view import CONSTANT
from vwlite.errors import ModelError
from vwlite.journal.comparing import NUMPY, OF_NAMES, array_differences, figures_of, spelled, value_differences
from vwlite.journal.replay import entities_differ
from vwlite.model import model_file
from vwlite.model.model_file import ModelReader
from vwlite.model.model_io import names_of
from vwlite.model.stripping import owner_of_names

SECTIONS = ("options", "stack", "journal", "metrics", "weights", "entities", "other")
OF_RUNS = ("version", "arguments", "seed", "examples", "loss_before", "loss_after", "via")
DIGITS = 12  # of a digest
MOST_LINES = 20  # of a section, as text

Rows = list[dict[str, Any]]


def diff(one: str, other: str, only: Collection[str] = SECTIONS, top: int = 10) -> dict[str, Any]:  # noqa: DOC502
    """Compares two models.

    Args:
        one: A model file.
        other: Another.
        only: The SECTIONS to compare.
        top: How many of the largest differences of weights are listed.

    Returns:
        For each section with differences a list of them: objects with a ``name``, and ``first`` and ``second``, or
        counts. ``equal`` says whether there are none.

    Raises:
        ModelError: If a model can't be read or is damaged.
    """
    readers = model_file.open(one), model_file.open(other)
    compare = {
        "options": lambda: pairs(readers[0].metadata["options"], readers[1].metadata["options"]),
        "stack": lambda: list(stacks(*readers)),
        "journal": lambda: list(journals(*readers)),
        "metrics": lambda: pairs(figures_of(readers[0]), figures_of(readers[1])),
        "weights": lambda: list(weights(*readers, top)),
        "entities": lambda: list(entities(*readers, top)),
        "other": lambda: list(others(*readers)),
    }
    found = {name: rows for name in SECTIONS if name in only and (rows := compare[name]())}
    return {"first": one, "second": other, "equal": not found, **found}


def pairs(one: Mapping[str, Any], other: Mapping[str, Any]) -> Rows:
    """Names whose values differ."""
    return [{"name": name, "first": a, "second": b} for name, a, b in value_differences(one, other)]


def stacks(one: ModelReader, other: ModelReader) -> Iterator[dict[str, Any]]:
    """Learners that differ, from the top of the stack."""
    a, b = ([spelled(learner) for learner in reader.metadata["stack"]] for reader in (one, other))
    for i in range(max(len(a), len(b))):
        first, second = (stack[i] if i < len(stack) else "none" for stack in (a, b))
        if first != second:
            yield {"name": f"learner {i + 1}", "first": first, "second": second}


def journals(one: ModelReader, other: ModelReader) -> Iterator[dict[str, Any]]:
    """What the runs of two models differ in, other than their times."""
    a, b = (list(map(facts_of_run, reader.metadata["journal"])) for reader in (one, other))
    for i in range(max(len(a), len(b))):
        if i >= len(a) or i >= len(b):
            yield {"name": f"run {i + 1}", "first": words(a, i), "second": words(b, i)}
            continue
        for row in pairs(a[i], b[i]):
            yield row | {"name": f"run {i + 1}: {row['name']}"}


def words(runs: list[dict[str, Any]], i: int) -> str:
    """A run in a few words."""
    return f"{runs[i]['examples']} examples" if i < len(runs) else "none"


def facts_of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """What two equal runs have in common."""
    facts = {name: run.get(name) for name in OF_RUNS}
    for i, source in enumerate(run["sources"], 1):
        facts[f"data {i}"] = f"{source['name']} (sha256 {(source['sha256'] or 'unknown')[:DIGITS]})"
    return facts


def weights(one: ModelReader, other: ModelReader, top: int) -> Iterator[dict[str, Any]]:
    """Differences of tables of weights: counts, and the largest by name."""
    owners = dict.fromkeys(
        name.removesuffix(".index") for reader in (one, other) for name in reader.names() if name.endswith(".index")
    )
    for owner in owners:
        tables = table_of(one, owner), table_of(other, owner)
        yield from differing(owner, *tables, labels_of((one, other), owner), top, "weights")


def table_of(reader: ModelReader, owner: str) -> tuple[Any, Any]:
    """The keys and values of the weights of a learner: key is slot times columns."""
    if f"{owner}.index" not in reader.names() or f"{owner}.weight" not in reader.names():
        return np.zeros(0, np.uint64), np.zeros(0)
    index = array_of(reader, f"{owner}.index").astype(np.uint64)
    values = array_of(reader, f"{owner}.weight").astype(float)
    if len(index) != len(values):
        raise ModelError(f"{reader.path}: {owner} has {len(values)} weights for {len(index)} slots; train again")
    return index, values


def array_of(reader: ModelReader, name: str) -> Any:
    """An array of a model as one of NumPy."""
    dtype = reader.dtype(name)
    return np.asarray(reader.array(name, dtype), NUMPY[dtype])


def labels_of(readers: tuple[ModelReader, ModelReader], owner: str) -> Any:
    """The function that names a slot: by the names in either model."""
    names: dict[int, str] = {}
    if "." not in owner:  # names belong to the slots of the model, not to those of one inside it
        for reader in readers:
            names = names_of(reader, "slot") | names
    return lambda slot: names.get(slot, f"slot {slot}")


def differing(
    owner: str, a: tuple[Any, Any], b: tuple[Any, Any], label: Any, top: int, what: str
) -> Iterator[dict[str, Any]]:
    """Rows of the values of two tables that differ; a key that one table lacks has the value 0 there."""
    keys = np.union1d(a[0], b[0])
    first, second = (np.zeros(len(keys)) for _ in range(2))
    for to, (own, values) in ((first, a), (second, b)):
        to[np.searchsorted(keys, own)] = values
    apart = np.abs(first - second)
    differ = np.flatnonzero(apart > 0)
    if not len(differ):
        return
    yield {
        "name": owner,
        "differ": len(differ),
        "of": len(keys),
        "only_first": len(np.setdiff1d(a[0], b[0])),
        "only_second": len(np.setdiff1d(b[0], a[0])),
        "largest": float(apart.max()),
        "what": what,
        "top": [
            {"name": label(int(keys[i])), "first": float(first[i]), "second": float(second[i])}
            for i in differ[np.argsort(-apart[differ], kind="stable")][:top].tolist()
        ],
    }


def entities(one: ModelReader, other: ModelReader, top: int) -> Iterator[dict[str, Any]]:
    """Differences of coefficients: of the entities of each effect, or of the whole stack."""
    owners = dict.fromkeys(
        name.removesuffix(".key")
        for reader in (one, other)
        for name in reader.names()
        if name.endswith(".key") and f"{name.removesuffix('.key')}.coefficients" in reader.names()
    )
    for owner in owners:
        yield from entities_of(owner, one, other, top)
    stores = [reader.metadata.get("entities") for reader in (one, other)]
    if stores[0] and stores[1]:
        yield from ({"name": "entities beside the model", "what": text} for text in entities_differ(one, other))
    elif stores[0] or stores[1]:
        which = "first" if stores[0] else "second"
        yield {"name": "entities", "what": f"only the {which} has its entities in a file beside it"}


def entities_of(owner: str, one: ModelReader, other: ModelReader, top: int) -> Iterator[dict[str, Any]]:
    """Differences of the coefficients of an effect."""
    known: dict[int, str] = {}
    tables: list[Any] = []
    for reader in (one, other):
        keys, hashes, means, names = coefficients_of(reader, owner)
        known |= names
        kind = np.dtype([("entity", np.uint64), ("feature", np.uint32)])
        both = np.zeros(len(keys), kind)
        both["entity"], both["feature"] = keys, hashes
        tables.append((both, means))
    merged = np.unique(np.concatenate([tables[0][0], tables[1][0]]))
    first, second = ((np.searchsorted(merged, table), means) for table, means in tables)
    features = names_of(one, "hash") | names_of(other, "hash")

    def label(place: int) -> str:
        entity, feature = (int(part) for part in merged[place])
        name = "Constant" if feature == CONSTANT else features.get(feature, f"feature {feature}")
        return f"{known.get(entity) or ('' if owner.count('.') == 0 else f'entity {entity}')} {name}".strip()

    for row in differing(owner, first, second, label, top, "coefficients"):
        sets = [set(np.unique(table["entity"]).tolist()) for table, _ in tables]
        yield row | {"entities": [len(sets[0]), len(sets[1])], "common_entities": len(sets[0] & sets[1])}


def coefficients_of(reader: ModelReader, owner: str) -> tuple[Any, Any, Any, dict[int, str]]:
    """Of each coefficient of an effect the key of the entity, the feature and the mean; and names by key."""
    if f"{owner}.key" not in reader.names():
        return np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0), {}
    keys, sizes, hashes, means = (
        array_of(reader, f"{owner}.{name}") for name in ("key", "coefficients", "hash", "mean")
    )
    if len(keys) != len(sizes) or not sizes.sum() == len(hashes) == len(means):
        raise ModelError(f"{reader.path}: the arrays of the entities of {owner} are inconsistent; train again")
    names: dict[int, str] = {}
    if f"{owner}.name_length" in reader.names():
        text, at = bytes(reader.array(f"{owner}.name", "U8")), 0
        for key, length in zip(keys.tolist(), array_of(reader, f"{owner}.name_length").tolist(), strict=True):
            names[key] = text[at : at + length].decode("utf-8", "replace")
            at += length
    return np.repeat(keys, sizes), hashes, means, names


def others(one: ModelReader, other: ModelReader) -> Iterator[dict[str, Any]]:
    """Arrays that differ, other than weights, coefficients and names."""
    everywhere = [{name.rpartition(".")[0] for name in reader.names()} for reader in (one, other)]
    for owner in sorted(everywhere[0] ^ everywhere[1]):
        if owner != "names":
            yield {"name": owner, "what": f"only the {'first' if owner in everywhere[0] else 'second'} has it"}
    for found in array_differences(one, other):
        owner, _, field = found.name.rpartition(".")
        if owner not in everywhere[0] & everywhere[1] or found.name in OF_NAMES:
            continue
        of_entities = any(owner_of_names(f"{owner}.name", dict.fromkeys(reader.names())) for reader in (one, other))
        if field in ("index", "weight") or (of_entities and field in ("hash", "mean", "key")):
            continue
        yield {"name": found.name, "differ": found.n, "of": found.of, "largest": found.largest, "what": found.what}


def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """A comparison as lines of text."""
    if found["equal"]:
        yield f"{found['first']} and {found['second']} are equal"
        return
    yield f"--- {found['first']}"
    yield f"+++ {found['second']}"
    for section in SECTIONS:
        if section not in found:
            continue
        yield ""
        yield section
        rows = found[section]
        for row in rows[:MOST_LINES]:
            if "top" in row:
                yield from table_lines(row)
            elif "first" in row:
                yield f"  {row['name']}: {row['first']} | {row['second']}"
            else:
                yield f"  {row['name']}: {row['what']}"
        if len(rows) > MOST_LINES:
            yield f"  ... and {len(rows) - MOST_LINES} more (--json has all)"


def table_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Lines about a table of weights or coefficients."""
    n = row.get("entities", [0, 0])
    of = f", of {n[0]:,} and {n[1]:,} entities" if max(n) > 1 else ""
    only = [f"{row[f'only_{which}']:,} only in the {which}" for which in ("first", "second") if row[f"only_{which}"]]
    yield (
        f"  {row['name']}: {row['differ']:,} of {row['of']:,} {row['what']} differ{of}"
        f"{''.join(f', {text}' for text in only)}; the largest difference is {row['largest']:.6g}"
    )
    for one in row["top"]:
        yield f"  {one['first']:>+13.6g} {one['second']:>+13.6g}  {one['name']}"
