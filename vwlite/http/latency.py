"""Counts that grow with each call or example, in fixed memory: durations, and the loss of late."""

from __future__ import annotations

import math
from bisect import bisect_left

BOUNDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # seconds
RECENT = 1000.0  # examples


class Histogram:
    """Numbers of durations between fixed bounds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Counts a duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1

    def cumulative(self) -> list[int]:
        """The number of durations up to each bound, and of all."""
        total, found = 0, []
        for count in self.counts:
            total += count
            found.append(total)
        return found


class Recent:
    """The loss of late: a mean in which an example loses its weight over about RECENT later ones.

    Attributes:
        weight: The weight of the examples in it.
        mean: Their mean loss, and `square` the mean of its square.
    """

    def __init__(self) -> None:
        self.weight = self.mean = self.square = 0.0

    def take(self, weight: float, loss: float) -> None:
        """Adds examples of this total weight and loss."""
        if weight <= 0:
            return
        keep = RECENT / (RECENT + weight)
        total = keep * self.weight + weight
        share = weight / total
        mean = loss / weight
        self.mean += share * (mean - self.mean)
        self.square += share * (mean * mean - self.square)
        self.weight = total

    def drift(self, overall: float | None) -> float:
        """How many standard errors the recent loss is above that of all examples.

        The error is that of a mean of independent losses, so of batches, whose means vary less, it is too small.
        """
        variance = self.square - self.mean**2
        if overall is None or variance <= 0 or self.weight < 2:
            return 0.0
        return (self.mean - overall) / math.sqrt(variance / self.weight)
