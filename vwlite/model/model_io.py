"""Saver and Loader, the argument of a learner's save_load: the same line writes a field or reads it.

>>> from vwlite.model.model_io import Saver
>>> io = Saver()
>>> io.float32("offset", 0.5)
0.5
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from vwlite.core.learner import Learner, walk
from vwlite.core.parameters import all_finite
from vwlite.errors import ModelError

if TYPE_CHECKING:
    from vwlite.model.model_file import Array, ModelReader

CODES = {"F32": "f", "F64": "d", "I64": "q", "U64": "Q", "U32": "I", "U8": "B"}


class Store(Protocol):
    """The interface of the file with evicted entities of a model, implemented in `store_file`."""

    def require(self, owner: str, total: int) -> None:
        """Raises ModelError unless the learner `owner` has this number of entities in the file."""

    def rows(self, owner: str) -> Iterator[tuple[int, int, int, bytes]]:
        """Yields the entities of a learner: key, serial, number of pending examples, and record."""

    def refuse(self, what: str) -> NoReturn:
        """Raises ModelError: the file can't be used."""


class Saver:
    """Collects a stack's fields as arrays; every method returns the value it was given."""

    saving = True

    def __init__(self, weights_only: bool = False, prefix: str = "") -> None:
        self.weights_only = weights_only
        self.arrays: dict[str, Array] = {}
        self.prefix = prefix
        self.owner = ""

    def nested(self, name: str) -> Saver:
        """A saver of another stack's fields, into the same file, under this learner's name."""
        inner = Saver(weights_only=True, prefix=f"{self.prefix}{self.owner}.{name}.")
        inner.arrays = self.arrays
        return inner

    def float32(self, name: str, value: float) -> float:
        """A number in single precision."""
        return self.scalar(name, "F32", value)

    def float64(self, name: str, value: float) -> float:
        """A number in double precision."""
        return self.scalar(name, "F64", value)

    def int64(self, name: str, value: int) -> int:
        """A whole number."""
        return int(self.scalar(name, "I64", value))

    def scalar(self, name: str, dtype: str, value: float) -> float:
        """A number of any of these types."""
        try:
            packed = struct.pack("<" + CODES[dtype], value)
        except OverflowError:
            self.refuse(f"{name} is {value}, which is too large")
        self.arrays[f"{self.prefix}{self.owner}.{name}"] = (dtype, [], packed)
        return value

    def text(self, name: str, value: str) -> str:
        """A text, kept as UTF-8."""
        self.array(name, "U8", value.encode("utf-8", "surrogateescape"))
        return value

    def array(self, name: str, dtype: str, values: Any) -> Any:
        """A flat array; `values` is any buffer of items of the type."""
        self.arrays[f"{self.prefix}{self.owner}.{name}"] = (
            dtype,
            [len(values) // struct.calcsize(CODES[dtype])],
            values,
        )
        return values

    def require_finite(self) -> None:
        """Raises ModelError for infinite numbers or NaN among the fields, which can't be loaded."""
        for name, (dtype, _, values) in self.arrays.items():
            if dtype not in ("F32", "F64"):
                continue
            pieces = [values] if isinstance(values, (bytes, bytearray, memoryview)) else values
            if not all(all_finite(memoryview(piece).cast("B"), struct.calcsize(CODES[dtype])) for piece in pieces):
                raise ModelError(
                    f"the model can't be saved, and any older one is unchanged: numbers in {name} are infinite or NaN; "
                    "look for extreme values in the data, or a learning rate or penalty that is too large"
                )

    def refuse(self, what: str) -> NoReturn:
        """Raises ModelError: the learner's state can't be saved in a model that could be loaded again."""
        raise ModelError(f"{self.prefix}{self.owner} can't be saved, and any older model is unchanged: {what}")


class Loader:
    """Reads a stack's fields; the value passed in is ignored. `store` has evicted entities.

    Raises ModelError for a field that is not there.
    """

    saving = False

    def __init__(self, reader: ModelReader, prefix: str = "", store: Store | None = None) -> None:
        self.reader = reader
        self.prefix = prefix
        self.owner = ""
        self._store = store
        self.fields = set(reader.names())

    @property
    def store(self) -> Store:
        """The file with the entities of the model."""
        if self._store is None:
            self.refuse("its entities are in a file that its metadata does not name")
        return self._store

    def nested(self, name: str) -> Loader:
        """A loader of the fields that a nested Saver wrote."""
        return Loader(self.reader, f"{self.prefix}{self.owner}.{name}.")

    def has(self, name: str) -> bool:
        """Whether the model holds the field."""
        return f"{self.prefix}{self.owner}.{name}" in self.fields

    def float32(self, name: str, value: float) -> float:
        """A number in single precision."""
        return self.scalar(name, "F32")

    def float64(self, name: str, value: float) -> float:
        """A number in double precision."""
        return self.scalar(name, "F64")

    def int64(self, name: str, value: int) -> int:
        """A whole number."""
        return int(self.scalar(name, "I64"))

    def scalar(self, name: str, dtype: str) -> float:
        """A number of any of these types."""
        values = self.array(name, dtype, None)
        if len(values) != 1:
            self.refuse(f"{name} is not a single number")
        return float(values[0]) if dtype != "I64" else values[0]

    def text(self, name: str, value: str) -> str:
        """A text."""
        return bytes(self.array(name, "U8", None)).decode("utf-8", "surrogateescape")

    def array(self, name: str, dtype: str, values: Any) -> Any:
        """A flat array, as a read-only memoryview."""
        return self.reader.array(f"{self.prefix}{self.owner}.{name}", dtype)

    def refuse(self, what: str) -> NoReturn:
        """Raises ModelError: the value that was read is invalid."""
        raise ModelError(
            f"{self.reader.path}: {self.prefix}{self.owner} can't be restored: {what}; train the model again"
        )


def save_load(top: Learner, io: Saver | Loader) -> None:
    """Saves or loads a stack, top to bottom; fields have their learner's name as a prefix."""
    anew = [other for learner in walk(top) for other in learner.begin_anew] if not io.saving else []
    for learner in walk(top):
        if learner not in anew:
            io.owner = learner.owner
            learner.save_load(io)


# The keys of stored names of features: (type, array of keys, array of names).
NAMED = {"slot": ("U64", "names.slot", "names.text"), "hash": ("U32", "names.hash", "names.hash_text")}


def names_to_arrays(names: Mapping[int, str], kind: str) -> dict[str, Any]:
    """Arrays with the names of features, by slot of the bottom learner or by hash; none without names."""
    dtype, key, texts = NAMED[kind]
    if not names:
        return {}
    numbers = sorted(names)
    text = "\n".join(names[number].replace("\n", " ") for number in numbers).encode("utf-8", "surrogateescape")
    width = int(dtype[1:]) // 8
    packed = b"".join(number.to_bytes(width, "little") for number in numbers)
    return {key: (dtype, [len(numbers)], packed), texts: ("U8", [len(text)], text)}


def names_of(reader: ModelReader, kind: str) -> dict[int, str]:
    """The inverse of names_to_arrays; raises ModelError for invalid arrays."""
    dtype, key, texts = NAMED[kind]
    if key not in reader.names():
        return {}
    found = bytes(reader.array(texts, "U8")).decode("utf-8", "surrogateescape").split("\n")
    return dict(zip(reader.array(key, dtype), found, strict=False))
