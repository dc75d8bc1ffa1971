"""Flat: the posteriors of an effect's entities as flat arrays of NumPy, a part for each entity, as in a model file.

A model file has one array for each field of a record (table_io.pyx): one number an entity, or a part of n numbers for
each. So entities are selected, sorted and united without a Python object for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from vwlite.entities import segments
from vwlite.errors import ModelError

Array = np.ndarray[Any, Any]

DTYPES: dict[str, Any] = {"U64": "<u8", "U32": "<u4", "I64": "<i8", "F64": "<f8", "F32": "<f4", "U8": "u1"}

# Fields of a record: those with one number an entity, then those with a part for each.
SINGLE = {
    **{"key": "U64", "coefficients": "U32", "name_length": "U32", "waiting": "U32", "count": "I64", "clock": "F64"},
    **{"latest": "F64", "prior": "F64", "spread": "F64", "dof": "F64", "posterior": "U8", "others": "U32"},
}
PARTS = {
    **{"name": "U8", "hash": "U32", "mean": "F64", "precision": "F64", "coefficient_clock": "F64"},
    **{"waiting_example": "F64", "waiting_n": "U32", "waiting_feature": "U32", "factor": "F64", "origin": "F64"},
    **{"other_hash": "U32", "other_origin": "F64", "between": "F64", "information": "F64"},
}
FIELDS = SINGLE | PARTS
DIAGONAL, FULL, WITH_FACTOR = 0, 1, 2  # kinds of posteriors: Posterior of table_io.pyx
MOST, MOST_FULL, MOST_OTHERS = 1 << 28, 1 << 15, 128  # coefficients: record.pxd
UNCOUNTED = -1.0  # degrees of freedom of old models


def numbers(dtype: str, values: Any) -> Array:
    """The values of an array of a model: an array already, bytes, or pieces of bytes."""
    if isinstance(values, np.ndarray):
        return values
    data = values if isinstance(values, (bytes, bytearray, memoryview)) else b"".join(values)
    return np.frombuffer(data, DTYPES[dtype])


def triangle(n: Array) -> Array:
    """The sizes of packed symmetric matrices."""
    return n * (n + 1) // 2


def offsets(lengths: Array) -> Array:
    """Where each part begins, and where the last one ends."""
    begin = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=begin[1:])
    return begin


class Flat:
    """Posteriors of entities as flat arrays, by the names of FIELDS.

    Args:
        arrays: An array for each field.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = dict(arrays)
        self._begin: dict[str, Array] = {}

    def __len__(self) -> int:
        """The number of entities."""
        return len(self.arrays["key"])

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def lengths(self, name: str) -> Array:
        """How many numbers of a field each entity has."""
        arrays = self.arrays
        n = arrays["coefficients"].astype(np.int64)
        if name == "name":
            return arrays["name_length"].astype(np.int64)
        if name in ("hash", "mean"):
            return n
        full = arrays["posterior"] != DIAGONAL
        if name == "precision":
            return np.where(full, triangle(n), n)
        if name == "coefficient_clock":
            return np.where(full, 0, n) if len(arrays[name]) else np.zeros_like(n)
        if name == "origin":
            return n if len(arrays[name]) else np.zeros_like(n)
        if name == "information":
            return np.where(full, n, 0) if len(arrays[name]) else np.zeros_like(n)
        if name == "factor":
            return np.where(arrays["posterior"] == WITH_FACTOR, 1 + triangle(n), 0)
        others = arrays["others"].astype(np.int64)
        if name in ("other_hash", "other_origin"):
            return others
        if name == "between":
            return others * n
        waiting = arrays["waiting"].astype(np.int64)
        if name == "waiting_feature":
            total = offsets(arrays["waiting_n"].astype(np.int64))
            begin = offsets(waiting)
            if begin[-1] >= len(total):
                return np.full(len(waiting), -1)
            return 2 * np.diff(total[begin])
        return waiting * (3 if name == "waiting_example" else 1)

    def begin(self, name: str) -> Array:
        """Where the part of each entity begins in a field, and where the last one ends."""
        if name not in self._begin:
            self._begin[name] = offsets(self.lengths(name))
        return self._begin[name]

    def take(self, order: Array) -> Flat:
        """The entities of these numbers, in this order."""
        return taken([self], order)

    def slice(self, first: int, last: int) -> Flat:
        """The entities from one number to before another, as views."""
        taken = {name: self.arrays[name][first:last] for name in SINGLE}
        for name in PARTS:
            begin = self.begin(name) if len(self.arrays[name]) else np.zeros(len(self) + 1, np.int64)
            taken[name] = self.arrays[name][begin[first] : begin[last]]
        return Flat(taken)

    def names(self) -> list[bytes]:
        """The name of each entity."""
        text, begin = self.arrays["name"].tobytes(), self.begin("name").tolist()
        return [text[begin[i] : begin[i + 1]] for i in range(len(self))]

    def name(self, i: int) -> bytes:
        """The name of an entity."""
        begin = self.begin("name")
        return self.arrays["name"][begin[i] : begin[i + 1]].tobytes()

    def shown(self, i: int) -> str:
        """The name of an entity for a message."""
        name = self.name(i).decode("utf-8", "replace")
        return repr(name if len(name) <= 40 else f"{name[:40]}...")

    def hashes(self, namespace: int) -> Array:
        """The hash of each entity's name: its key, unless another entity has that."""
        begin = self.begin("name")
        return np.frombuffer(segments.hashes_of_names(self.arrays["name"], begin, namespace), np.uint64)


def empty() -> Flat:
    """No entities."""
    return Flat({name: np.zeros(0, DTYPES[dtype]) for name, dtype in FIELDS.items()})


def concatenated(parts: Sequence[Flat]) -> Flat:
    """The entities of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    arrays = {}
    for name, dtype in FIELDS.items():
        there = [part[name] for part in parts if len(part[name])]
        arrays[name] = np.concatenate(there) if there else np.zeros(0, DTYPES[dtype])
    return Flat(arrays)


def taken(parts: Sequence[Flat], order: Array) -> Flat:
    """Entities of several tables by their numbers, counted over all tables, in this order."""
    order = np.ascontiguousarray(order, np.int64)
    arrays = {
        name: (parts[0][name] if len(parts) == 1 else np.concatenate([part[name] for part in parts]))[order]
        for name in SINGLE
    }
    for name, dtype in PARTS.items():
        if not any(len(part[name]) for part in parts):
            arrays[name] = np.zeros(0, DTYPES[dtype])
            continue
        sources = [np.ascontiguousarray(part[name]).view(np.uint8) for part in parts]
        begins = [part.begin(name) * part[name].itemsize for part in parts]
        arrays[name] = np.frombuffer(segments.gather(sources, begins, order), DTYPES[dtype])
    return Flat(arrays)


def check(flat: Flat, where: str, posterior: str, namespace: int) -> None:  # noqa: DOC502
    """Raises ModelError unless the arrays are entities of a table: consistent, finite, distinct coefficients.

    Args:
        flat: The entities.
        where: What they are, for messages.
        posterior: What is stored of the posterior precision, by --posterior.
        namespace: The hash of the effect's namespace.

    Raises:
        ModelError: If they are not.
    """
    count = len(flat)
    for name in SINGLE:
        if len(flat[name]) != count:
            refuse(where, f"the column {name!r} has {len(flat[name]):,} values for {count:,} entities")
    if not count:
        if any(len(flat[name]) for name in PARTS):
            refuse(where, "there are values of no entity")
        return
    n, kinds, full = flat["coefficients"], flat["posterior"], posterior in ("auto", "full")
    _require(flat, where, "posterior", kinds <= (WITH_FACTOR if full else DIAGONAL))
    _require(flat, where, "hash", n <= np.where(kinds == DIAGONAL, MOST, MOST_FULL))
    _require(flat, where, "other_hash", flat["others"] <= np.where(kinds == DIAGONAL, 0, MOST_OTHERS))
    for name in PARTS:
        if int(flat.begin(name)[-1]) != len(flat[name]):
            refuse(where, f"the column {name!r} has another number of values than the entities have coefficients")
    for name, dtype in FIELDS.items():
        if dtype == "F64" and not np.isfinite(flat[name]).all():
            refuse(where, f"the column {name!r} has numbers that are infinite or NaN")
    if len(flat["waiting_feature"]) and not np.isfinite(flat["waiting_feature"][1::2].view(np.float32)).all():
        refuse(where, "the column 'waiting_feature' has numbers that are infinite or NaN")
    _require(flat, where, "count", flat["count"] >= 0)
    _require(flat, where, "prior", flat["prior"] >= 0)
    _require(flat, where, "dof", (flat["dof"] == UNCOUNTED) | ((flat["dof"] >= 0) & (flat["dof"] <= n)))
    if posterior != "identity":  # which is I with the prior's: the data's may be below 0
        _check_precisions(flat, where)
    twice = segments.with_repeated(flat["hash"], flat.begin("hash"))
    if twice >= 0:
        refuse(where, f"the entity {flat.shown(twice)} has a coefficient twice")
    _check_keys(flat, where, namespace)


def _check_precisions(flat: Flat, where: str) -> None:
    """Raises ModelError for a variance below 0, or a factor that is none."""
    full = flat["posterior"] != DIAGONAL
    variances = flat["precision"][diagonals(flat)] if full.any() else flat["precision"]
    if (variances < 0).any():
        refuse(where, "the column 'precision' has numbers below 0")
    factors = np.flatnonzero(flat["posterior"] == WITH_FACTOR)
    begin = flat.begin("factor")
    for i in factors.tolist():
        n = int(flat["coefficients"][i])
        factor = flat["factor"][begin[i] : begin[i + 1]]
        at = 1 + triangle(np.arange(n)) + np.arange(n)
        if not (factor[0] >= 0 and (factor[at] > 0).all()):
            refuse(where, f"the factor of the entity {flat.shown(i)} is none")


def diagonals(flat: Flat) -> Array:
    """Where the diagonals of all precisions are, coefficient after coefficient."""
    n = flat["coefficients"].astype(np.int64)
    own = np.arange(int(n.sum())) - np.repeat(flat.begin("hash")[:-1], n)
    full = np.repeat(flat["posterior"] != DIAGONAL, n)
    return np.repeat(flat.begin("precision")[:-1], n) + np.where(full, triangle(own) + own, own)


MOST_TRIES = 16  # keys of an entity whose name has the hash of others, of which there is never more than one by chance


def _check_keys(flat: Flat, where: str, namespace: int) -> None:
    """Raises ModelError for a key that is not that of its name."""
    hashes = flat.hashes(namespace)
    for i in np.flatnonzero(flat["key"] != hashes).tolist():
        key, hash, name = int(flat["key"][i]), int(hashes[i]), flat.name(i)
        if all(segments.key_of(hash, name, tries) != key for tries in range(1, MOST_TRIES)):
            refuse(where, f"the key of the entity {flat.shown(i)} is not that of this name in this effect")


def _require(flat: Flat, where: str, name: str, sound: Array) -> None:
    if not sound.all():
        i = int(np.argmin(sound))
        refuse(where, f"the column {name!r} has a value that is not possible, of the entity number {i + 1:,}")


def refuse(where: str, what: str) -> NoReturn:
    """Raises ModelError about a table of entities."""
    raise ModelError(f"{where}: not a sound table of entities: {what}; write it again")


def of_arrays(get: Any, has: Any, full: bool) -> Flat:
    """Entities of the arrays of a model, in which some fields are missing where all records are alike.

    Args:
        get: Returns an array by its name.
        has: Whether there is one.
        full: Whether the table's records begin with full posteriors.

    Returns:
        The entities.
    """
    arrays: dict[str, Array] = {}
    for name in FIELDS:
        if has(name):
            arrays[name] = get(name)
    count = len(arrays["key"])
    for name, dtype in FIELDS.items():
        if name not in arrays:
            value: float = UNCOUNTED if name == "dof" else FULL if name == "posterior" and full else 0
            arrays[name] = np.full(count if name in SINGLE else 0, value, DTYPES[dtype])
    return Flat(arrays)


def to_arrays(flat: Flat, full: bool, fields: Iterable[str]) -> dict[str, tuple[str, list[int], Array]]:
    """The arrays of a model file: the inverse of of_arrays.

    Args:
        flat: The entities.
        full: Whether the table's records begin with full posteriors.
        fields: Names of the fields that models with these options have.

    Returns:
        The type, shape and values of each array.
    """
    plain = bool((flat["posterior"] == (FULL if full else DIAGONAL)).all())
    alone = not flat["others"].any()
    fields = set(fields)
    left_out = (
        *(("posterior", "factor") if plain else ()),
        *(("others", "other_hash", "other_origin", "between") if alone else ()),
        *(name for name in ("origin", "information") if name not in fields and not len(flat[name])),
    )
    return {
        name: (FIELDS[name], [len(flat[name])], np.ascontiguousarray(flat[name]))
        for name in ORDER
        if name not in left_out
    }


# as table_io.pyx saves them
ORDER = (
    *("key", "coefficients", "name_length", "waiting", "count", "clock", "latest", "prior", "spread", "name", "hash"),
    *("mean", "precision", "coefficient_clock", "waiting_example", "waiting_n", "waiting_feature", "posterior"),
    *("factor", "origin", "others", "other_hash", "other_origin", "between", "information", "dof"),
)
