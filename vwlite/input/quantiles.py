"""Quantiles of a stream of values, for bins(N) of --transform."""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from typing import Any

from vwlite.errors import OptionError

HEAD = struct.Struct("<QQII")  # values learned, when the next borders are due, numbers of recent values and of borders
AT_ONCE = 1000  # values between two computations of borders, at most


def sketch_type() -> Any:
    """The class of sketches. Raises OptionError without the package that has it."""
    try:
        from datasketches import tdigest_double
    except ImportError:
        raise OptionError("bins(N) of --transform needs the package datasketches: pip install 'vwlite[bins]'") from None
    return tdigest_double


class Quantiles:
    """The borders between N bins of equally many values, by a t-digest.

    The borders are computed anew whenever a tenth more values were learned. In between, values are kept aside, so that
    the sketch, which packs what it was given when it is asked or saved, gives the same results in one run and in two.

    Args:
        n: The number of bins, at least 2.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.count = 0
        self.due = 1
        self.recent: list[float] = []
        self.borders: list[float] = []
        self._sketch = sketch_type()()

    def learn(self, x: float) -> None:
        """Learns a value."""
        self.recent.append(x)
        self.count += 1
        if self.count < self.due:
            return
        for value in self.recent:
            self._sketch.update(value)
        self._sketch.compress()
        self.recent = []
        self.borders = [self._sketch.get_quantile(k / self.n) for k in range(1, self.n)]
        self.due = self.count + min(max(1, self.count // 10), AT_ONCE)

    def bin_of(self, x: float) -> int:
        """The number of the bin of a value, from 1 on; a value on a border belongs to the bin below."""
        return 1 + bisect_left(self.borders, x)

    def to_bytes(self) -> bytes:
        """The state as bytes."""
        head = HEAD.pack(self.count, self.due, len(self.recent), len(self.borders))
        numbers = [*self.recent, *self.borders]
        return head + struct.pack(f"<{len(numbers)}d", *numbers) + bytes(self._sketch.serialize())

    @classmethod
    def from_bytes(cls, n: int, packed: bytes) -> Quantiles:
        """The state of bytes. Raises ValueError if they are none of N bins."""
        found = cls(n)
        if len(packed) < HEAD.size:
            raise ValueError("a sketch is cut short")
        found.count, found.due, n_recent, n_borders = HEAD.unpack_from(packed)
        end = HEAD.size + 8 * (n_recent + n_borders)
        if n_borders != n - 1 or n_recent > AT_ONCE or not n_recent <= found.count < found.due or len(packed) < end:
            raise ValueError("a sketch is not of this rule")
        numbers = list(struct.unpack_from(f"<{n_recent + n_borders}d", packed, HEAD.size))
        found.recent, found.borders = numbers[:n_recent], numbers[n_recent:]
        if not all(map(math.isfinite, numbers)) or found.borders != sorted(found.borders):
            raise ValueError("the numbers of a sketch are damaged")
        try:
            found._sketch = sketch_type().deserialize(packed[end:])
        except (ValueError, IndexError, RuntimeError) as error:
            raise ValueError(f"a sketch is damaged: {error}") from error
        return found
