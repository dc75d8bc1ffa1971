"""The features that a model has learned from, by number: hashes, names, and statistics if the model has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vwlite.errors import ModelError
from vwlite.features.collisions import collisions
from vwlite.features.known import ARRAYS

if TYPE_CHECKING:
    from vwlite.model.model_file import ModelReader

PREFIX = "known."
SLOTS = "known.slots"  # the last slot of the table, and log2 of the slots of a feature
TYPES = {"U8": np.uint8, "U32": np.uint32, "U64": np.uint64, "F32": np.float32}
STATISTICS = ("count", "last", "low", "high")


class FeatureList:
    """Features in order of appearance, with names and statistics.

    Args:
        arrays: By the names of features.known.ARRAYS, any buffers.
        slots: The last slot of the model's table and log2 of the slots of a feature; None without a table.
    """

    def __init__(self, arrays: Mapping[str, Any], slots: tuple[int, int] | None) -> None:
        found = {name: np.frombuffer(array, TYPES[ARRAYS[name]]) for name, array in arrays.items() if len(array)}
        self.hashes = found.get("hash", np.zeros(0, np.uint32))
        self._ends = found.get("end", np.zeros(0, np.uint64)).astype(np.int64)
        self._text = bytes(arrays["text"])
        state = found["state"].tolist()
        self.examples, self.whole, counts, salt = state[0], bool(state[1]), bool(state[2]), state[3]
        self.digests = salt != 0
        self.statistics = {name: found[name] for name in STATISTICS} if counts and len(self.hashes) else None
        self.table = slots

    def __len__(self) -> int:
        """The number of features."""
        return len(self.hashes)

    def name(self, number: int) -> str:
        """The name of a feature; bytes that are not UTF-8 are surrogates."""
        begin = self._ends[number - 1] if number else 0
        return self._text[begin : self._ends[number]].decode("utf-8", "surrogateescape")

    def names(self) -> list[str]:
        """The names of all."""
        begin, found = 0, []
        for end in self._ends.tolist():
            found.append(self._text[begin:end].decode("utf-8", "surrogateescape"))
            begin = end
        return found

    def slots(self) -> Any:
        """The first slot of each feature in the model's table of weights, int64 (n,); zeros without a table."""
        last, shift = self.table or (0, 0)
        return ((self.hashes.astype(np.uint64) << np.uint64(shift)) & np.uint64(last)).astype(np.int64)

    def in_slots(self, wanted: Iterable[int]) -> dict[int, list[int]]:
        """The numbers of the features in each of these slots."""
        if self.table is None:
            return {}
        first = ~((1 << self.table[1]) - 1)
        asked = np.unique(np.array([slot & first for slot in wanted], np.int64))
        slots = self.slots()
        found: dict[int, list[int]] = {}
        for number in np.flatnonzero(np.isin(slots, asked)).tolist():
            found.setdefault(int(slots[number]), []).append(number)
        return found

    def named(self, slot: int, numbers: Mapping[int, list[int]]) -> list[str]:
        """The names of a slot as in audits, by the result of `in_slots`; of a further weight vector they end in [i]."""
        if self.table is None:
            return []
        place = slot & ((1 << self.table[1]) - 1)
        end = f"[{place}]" if place else ""
        return [self.name(number) + end for number in numbers.get(slot - place, ())]

    def facts(self, number: int) -> dict[str, Any]:
        """The statistics of a feature: count, low, high and last; empty without any."""
        if self.statistics is None or not self.statistics["count"][number]:
            return {}
        found = {name: self.statistics[name][number].item() for name in STATISTICS}
        return {"count": found["count"], "low": found["low"], "high": found["high"], "last": found["last"]}

    def collisions(self) -> dict[str, Any] | None:
        """How many features share a slot with an earlier one (features.collisions); None without a table of weights."""
        if self.table is None:
            return None
        return collisions(len(self), len(np.unique(self.slots())), *self.table)


def of_model(reader: ModelReader) -> FeatureList | None:
    """The features of a model file; None without names. Raises ModelError for arrays that don't fit together."""
    there = set(reader.names())
    if f"{PREFIX}state" not in there:
        return None
    arrays = {
        name: reader.array(f"{PREFIX}{name}", dtype) for name, dtype in ARRAYS.items() if f"{PREFIX}{name}" in there
    }
    slots = list(reader.array(SLOTS, "U64")) if SLOTS in there else None
    n = len(arrays.get("hash", ()))
    sound = (
        {"state", "hash", "end", "text"} <= set(arrays)
        and len(arrays["state"]) == 4
        and all(len(array) == n for name, array in arrays.items() if name not in ("state", "text"))
        and (slots is None or (len(slots) == 2 and slots[1] < 32 and slots[0] < 1 << 32))
        and (not arrays["state"][2] or set(STATISTICS) <= set(arrays))
    )
    ends = np.array(arrays.get("end", ()), np.uint64)
    if not sound or (n and (ends[-1] != len(arrays["text"]) or (ends[1:] < ends[:-1]).any())):
        raise ModelError(f"{reader.path}: the names of its features are inconsistent; train the model again")
    return FeatureList(arrays, None if slots is None else (slots[0], slots[1]))
