"""Heads: the metadata of a table of entities, with the options that it was learned with and sums over the entities."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vwlite.core.options import Option, spell
from vwlite.entities import sums
from vwlite.entities.arrow_tables import VERSION
from vwlite.entities.flat import Flat, refuse
from vwlite.errors import ModelError, OptionError

INTERVAL = "dump_interval"  # the figure that is no count
SHOWN = 3  # options in a message
COUNTED = ("rows", "malformed", "nameless")  # rows learned or predicted; refused; without an entity


class Head(NamedTuple):
    """The metadata of a table of entities.

    Attributes:
        effect: The namespace of the effect.
        owner: The prefix of the effect's arrays in a model.
        namespace: The hash of that.
        posterior: What is stored of the posterior precision.
        options: The options of the model, as model files store them.
        sums: Sums over the entities: see sums.py.
        figures: Counts of the model, by the names of a model file.
        skipped: Numbers of rows, by COUNTED.
        problem: The first row that was refused, and why; "" for none.
        content: A digest of the entities, by which batches of one table are told from two tables.
    """

    effect: str
    owner: str
    namespace: int
    posterior: str
    options: dict[str, Any]
    sums: sums.Sums
    figures: dict[str, float]
    skipped: dict[str, int]
    problem: str = ""
    content: str = ""

    @property
    def full(self) -> bool:
        """Whether entities begin with full posteriors."""
        return self.posterior in ("auto", "full")

    def to_json(self) -> str:
        """The text in the metadata of a table."""
        return json.dumps({"version": VERSION, **self._asdict()}, allow_nan=False)

    def of(self, entities: Flat) -> Head:
        """The metadata of these entities."""
        digest = hashlib.sha256(np.ascontiguousarray(entities["key"]).data)
        digest.update(np.ascontiguousarray(entities["count"]).data)
        return self._replace(content=digest.hexdigest()[:16])


def read(text: str, where: str) -> Head:
    """Reads the metadata of a table of entities.

    Args:
        text: The text.
        where: The table, for messages.

    Returns:
        The metadata.

    Raises:
        ModelError: If they are of a later version, or are none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(where, f"its metadata can't be read ({error})")
    version = found.get("version") if isinstance(found, dict) else None
    if type(version) is not int or version < 1:
        refuse(where, "its metadata has no version")
    if version > VERSION:
        raise ModelError(
            f"{where}: a table of entities of version {version}, and this vwlite reads up to {VERSION}: update vwlite "
            "(pip install -U vwlite)"
        )
    wanted: dict[str, Any] = {
        "effect": str,
        "owner": str,
        "namespace": int,
        "posterior": str,
        "options": dict,
        "sums": dict,
    }
    wanted |= {"figures": dict, "skipped": dict, "problem": str, "content": str}
    for name, kind in wanted.items():
        if type(found.get(name)) is not kind:
            refuse(where, f"its metadata has no {name}")
    if not (found["effect"] and found["owner"].endswith(f".{found['effect']}") and 0 <= found["namespace"] < 1 << 32):
        refuse(where, "its metadata names no effect")
    numbers = [*found["figures"].values(), *found["skipped"].values()]
    if not all(type(number) in (int, float) and math.isfinite(number) and abs(number) < 1 << 63 for number in numbers):
        refuse(where, "its metadata has counts that are no numbers")
    return Head(**{name: found[name] for name in wanted} | {"sums": sums.read(found["sums"], where)})


def differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], declared: Mapping[str, Option], effect: str, strict: bool
) -> list[tuple[str, Any, Any]]:
    """The options in which two tables or models differ so that entities of one are none of the other.

    Args:
        ours: The options of one, as model files store them.
        theirs: Those of the other.
        declared: The declarations.
        effect: The namespace of the effect; of the option that lists effects only its own part is compared.
        strict: Whether all options that model files store have to be the same, not only those that shape entities.

    Returns:
        The name of each such option, and its values.
    """
    found = []
    for name in sorted({*ours, *theirs}):
        option = declared.get(name)
        if option is None or not (option.fixed or strict):
            continue
        mine, other = (_value(options, name, option, effect) for options in (ours, theirs))
        if mine != other and not (mine in option.alike and other in option.alike):
            found.append((name, mine, other))
    return found


def _value(options: Mapping[str, Any], name: str, option: Option, effect: str) -> Any:
    """The value of an option."""
    value = options.get(name, [] if option.many else False if option.type is bool else option.default)
    if option.necessary and isinstance(value, list):  # a part for each effect
        return [one for one in value if isinstance(one, str) and one.partition(":")[0] == effect]
    return value


def require_alike(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    declared: Mapping[str, Option],
    effect: str,
    names: tuple[str, str],
    strict: bool = False,
) -> None:
    """Raises OptionError that names both values if two tables or models differ in an option; see differences()."""
    found = differences(ours, theirs, declared, effect, strict)
    if found:
        mine, other = (" ".join(spelled(name, pair[k]) for name, *pair in found[:SHOWN]) for k in range(2))
        raise OptionError(
            f"{names[0]} was made with {mine}, and {names[1]} with {other}: their entities don't fit together; train "
            "both alike"
        )


def spelled(name: str, value: Any) -> str:
    """An option as on the command line, also one that is not given."""
    return f"no --{name}" if value in (None, False, []) else spell(name, value)


def united(heads: Sequence[Head], declared: Mapping[str, Option], names: Sequence[str], strict: bool = True) -> Head:
    """The metadata of the entities of several tables: their sums and counts are added.

    Args:
        heads: The metadata of each; at least one.
        declared: The declarations of options.
        names: What each is, for messages.
        strict: As of differences().

    Returns:
        The metadata.

    Raises:
        OptionError: If tables were learned with other options, or are of other effects.
    """
    first = heads[0]
    for head, name in zip(heads[1:], names[1:], strict=True):
        if head.effect != first.effect or head.namespace != first.namespace:
            raise OptionError(f"{names[0]} has entities of {first.effect!r}, and {name} of {head.effect!r}")
        require_alike(_compared(first, head), _compared(head, first), declared, first.effect, (names[0], name), strict)
    noise = first.options.get("noise", "auto")
    ridge = [head.sums for head in heads]
    figures: dict[str, float] = {}
    skipped: dict[str, int] = {}
    for head in heads:
        for key, value in head.figures.items():
            figures[key] = max(figures.get(key, 0), value) if key == INTERVAL else figures.get(key, 0) + value
        for key, count in head.skipped.items():
            skipped[key] = skipped.get(key, 0) + count
    options = max((head.options for head in heads), key=lambda options: "columns_in" in options)
    known = None if noise == "auto" else float(noise)
    problems = sorted(head.problem for head in heads if head.problem)
    return first._replace(
        options=options,
        sums=sums.united(ridge, 1.0, known),
        figures=figures,
        skipped=skipped,
        problem=problems[0] if problems else "",
        content=hashlib.sha256("".join(sorted(head.content for head in heads)).encode()).hexdigest()[:16],
    )


def _compared(head: Head, other: Head) -> dict[str, Any]:
    """The options of a table, without the columns of one that has seen no row."""
    options = dict(head.options)
    if "columns_in" not in head.options or "columns_in" not in other.options:
        options.pop("columns_in", None)
    return options
