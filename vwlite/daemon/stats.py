"""Metrics of a daemon in constant memory: rates over the last minute, and percentiles of latency."""

from __future__ import annotations

import math
import time
from collections import deque

WINDOW = 60  # seconds over which rates are averaged
PER_OCTAVE = 8  # buckets for each factor of 2: the bounds grow by 9 %


class Latency:
    """A histogram of durations with logarithmic buckets: percentiles are exact to 9 %."""

    def __init__(self) -> None:
        self.buckets = [0] * (40 * PER_OCTAVE)  # from a nanosecond to some 1000 seconds
        self.count = 0
        self.longest = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Adds `count` lines with a latency of `seconds`."""
        place = int(math.log2(max(seconds, 1e-9) * 1e9) * PER_OCTAVE)
        self.buckets[min(place, len(self.buckets) - 1)] += count
        self.count += count
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float | None:
        """The latency in seconds at this quantile (0 to 1) of all lines; None if there are none."""
        wanted, seen = share * self.count, 0
        for place, count in enumerate(self.buckets):
            seen += count
            if count and seen >= wanted:
                return min(2.0 ** ((place + 1) / PER_OCTAVE) / 1e9, self.longest)
        return None


class Rate:
    """A counter, and its rate over the last minute."""

    def __init__(self, now: float | None = None) -> None:
        self.total = 0
        started = time.monotonic() if now is None else now
        self.marks: deque[tuple[float, int]] = deque([(started, 0)])

    def add(self, count: int) -> None:
        """Adds to the counter."""
        self.total += count

    def tick(self, now: float) -> None:
        """Records the counter; to be called about once a second."""
        self.marks.append((now, self.total))
        while len(self.marks) > 1 and self.marks[1][0] <= now - WINDOW:
            self.marks.popleft()

    def per_second(self, now: float) -> float:
        """The rate over the last minute, or since the start."""
        since, before = self.marks[0]
        return (self.total - before) / max(now - since, 1e-9)
