"""What the content of two model files differs in: options, stack, counts, arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from vwlite.errors import ModelError
from vwlite.model.model_file import ModelReader
from vwlite.model.model_io import NAMED
from vwlite.model.stripping import FIXED

MOST_SHOWN = 60  # characters of a value
NUMPY = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "U64": np.uint64, "U32": np.uint32, "U8": np.uint8}
OF_NAMES = frozenset(field for _, *fields in NAMED.values() for field in fields)


# where the table of a run that goes on stands: --quiet and the commands that train several models print none
OF_TABLE = ("dump_interval", "sum_loss_since", "weighted_labeled_before")


def figures_of(reader: ModelReader) -> dict[str, Any]:
    """The counts and losses of a model, without those of the table that its run printed."""
    return {name: value for name, value in reader.metadata["figures"].items() if name not in OF_TABLE}


class ArrayDifference(NamedTuple):
    """What an array of two models differs in.

    Args:
        name: The name of the array.
        n: How many values differ; of arrays of different kinds or lengths, None.
        of: How many values there are.
        largest: The largest absolute difference; None if it is no number.
        what: In words.
    """

    name: str
    n: int | None
    of: int
    largest: float | None
    what: str


def array_differences(one: ModelReader, other: ModelReader) -> list[ArrayDifference]:
    """The arrays in which two models differ, in the order of the first; raises ModelError for damaged ones."""
    found = []
    for name in dict.fromkeys([*one.names(), *other.names()]):
        if name not in one.names() or name not in other.names():
            which = "second" if name not in one.names() else "first"
            found.append(ArrayDifference(name, None, 0, None, f"only the {which} has it"))
        elif name.endswith(FIXED):
            found += of_fixed(name, one, other)
        elif difference := array_difference(name, one, other):
            found.append(difference)
    return found


def array_difference(name: str, one: ModelReader, other: ModelReader) -> ArrayDifference | None:
    """What an array of both models differs in; None if it is equal bit for bit."""
    kinds = one.dtype(name), other.dtype(name)
    if kinds[0] != kinds[1]:
        return ArrayDifference(name, None, 0, None, f"{kinds[0]} and {kinds[1]}")
    a, b = (np.asarray(reader.array(name, kinds[0]), NUMPY[kinds[0]]) for reader in (one, other))
    if len(a) != len(b):
        return ArrayDifference(name, None, 0, None, f"{len(a):,} and {len(b):,} values")
    differ = (
        a.view(np.uint8).reshape(len(a), -1) != b.view(np.uint8).reshape(len(a), -1) if len(a) else np.zeros((0, 1))
    )
    n = int(np.count_nonzero(differ.any(axis=1)))
    if n == 0:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype(float) - b.astype(float)).max()
    largest = float(apart) if np.isfinite(apart) else None
    shown = "" if largest is None or kinds[0] == "U8" else f", the largest difference is {largest:.6g}"
    return ArrayDifference(name, n, len(a), largest, f"{n:,} of {len(a):,} values differ{shown}")


def of_fixed(name: str, one: ModelReader, other: ModelReader) -> list[ArrayDifference]:
    """Whether the models inside two models are not the same; provenance alone is no difference."""
    a, b = (read_json(reader, name) for reader in (one, other))
    if all(a.get(field) == b.get(field) for field in ("id", "options")):
        return []
    return [ArrayDifference(name, None, 0, None, f"the models {a.get('id')} and {b.get('id')} are inside")]


def read_json(reader: ModelReader, name: str) -> dict[str, Any]:
    """The metadata of a model inside a model."""
    try:
        found = json.loads(bytes(reader.array(name, "U8")))
        if isinstance(found, dict):
            return found
    except (ValueError, RecursionError):
        pass
    raise ModelError(f"{reader.path}: {name} can't be read; train the model again")


def value_differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Names whose values differ, with both values as text; "none" for one that is missing."""
    return [
        (name, shown(one.get(name)), shown(other.get(name)))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]


def shown(value: Any) -> str:
    """A value as short text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "given" if value else "not given"
    text = " ".join(str(one) for one in value) if isinstance(value, list) else str(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def spelled(learner: Mapping[str, Any]) -> str:
    """A learner of a stack in a line."""
    options = " ".join(f"--{name} {shown(value)}" for name, value in learner.get("options", {}).items())
    return f"{learner['name']} {options}".strip()
