"""Bootstrap intervals of metrics (Efron 1979), of examples or of whole entities.

A sample of a bootstrap draws as many units as there are, with replacement; the interval has the middle share of the
metric over the samples (percentiles, Efron and Tibshirani 1993, 13.3). Units are examples. Where examples of one user
resemble each other, whole users have to be drawn, or intervals are too narrow: `units` are then their numbers.

More than MOST_UNITS units are dealt at random into that many groups of about equal size, which are drawn instead. The
variance of a mean is the same in expectation, and its relative error sqrt(2 / MOST_UNITS), 2%, that of 2,000 samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from vwlite.judging.records import Codes, Floats

MOST_UNITS = 4096
AT_ONCE = 1 << 22  # counts of samples in memory
FEWEST = 0.5  # share of the samples in which a metric has to be defined


class Resampling(NamedTuple):
    """How samples are drawn.

    Args:
        samples: Their number; 0 for no intervals.
        level: The share of the middle, such as 0.95.
        seed: Of the draws.
        units: (n,): the number of each example's unit, from 0; None for the examples themselves.
    """

    samples: int = 1000
    level: float = 0.95
    seed: int = 0
    units: Codes | None = None


def sampled(columns: Floats, how: Resampling) -> Floats:
    """The sums of columns in each sample of a bootstrap.

    Args:
        columns: (n, columns).
        how: The samples.

    Returns:
        (samples, columns).
    """
    sums = unit_sums(columns, how)
    return np.concatenate([counts @ sums for counts in draws(len(sums), how)]) if how.samples else sums[:0]


def unit_sums(columns: Floats, how: Resampling) -> Floats:
    """The sums of columns over each unit, or over groups of units where there are many; (units, columns)."""
    units = np.arange(len(columns)) if how.units is None else how.units
    n = int(units.max()) + 1 if len(units) else 0
    if n > MOST_UNITS:
        dealt = np.random.default_rng((how.seed, 1)).permutation(np.arange(n) % MOST_UNITS)
        units, n = dealt[units], MOST_UNITS
    elif how.units is None:
        return columns
    return np.stack([np.bincount(units, column, minlength=n) for column in columns.T], axis=1)


def draws(n: int, how: Resampling) -> Iterator[Any]:
    """How often each of n units is in each sample, float64 (samples of a part, n)."""
    random = np.random.default_rng(how.seed)
    step = max(1, AT_ONCE // max(n, 1))
    for begin in range(0, how.samples, step):
        rows = min(step, how.samples - begin)
        drawn = random.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)


def interval(values: Floats, level: float) -> tuple[float, float] | None:
    """The middle share of values over the samples; None if a metric is undefined in most of them."""
    there = values[np.isfinite(values)]
    if not len(there) or len(there) < FEWEST * len(values):
        return None
    low, high = np.quantile(there, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson(successes: Any, n: Any, level: float) -> tuple[Any, Any]:
    """The interval of a share (Wilson 1927), also for a weighted share with an effective number n."""
    from vwlite.core.draws import quantile

    z = quantile((1 + level) / 2)
    n = np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = successes / n
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
