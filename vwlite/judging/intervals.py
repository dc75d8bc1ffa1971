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

from vwlite.bayes.blas import in_one_thread

if TYPE_CHECKING:
    from vwlite.judging.records import Codes, Floats

MOST_UNITS = 4096
AT_ONCE = 1 << 18  # counts of samples in memory: they stay in a cache
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


@in_one_thread
def sampled(sums: Floats, how: Resampling) -> Floats:
    """The sums of columns in each sample of a bootstrap.

    Args:
        sums: (units, columns): over each unit.
        how: The samples.

    Returns:
        (samples, columns).
    """
    return np.concatenate([counts @ sums for counts in draws(len(sums), how)]) if how.samples else sums[:0]


def dealt(n: int, how: Resampling) -> tuple[Codes, int]:
    """The units of a bootstrap.

    Args:
        n: The number of examples.
        how: The samples.

    Returns:
        (n,): the unit of each example, or the group of units where there are many; and the number of these.
    """
    units = how.units
    most = n if units is None else int(units.max()) + 1 if n else 0
    if most > MOST_UNITS:
        groups = np.random.default_rng((how.seed, 1)).permutation(np.arange(most) % MOST_UNITS)
        return groups if units is None else groups[units], MOST_UNITS
    return np.arange(n) if units is None else units, most


def unit_sums(columns: Floats, how: Resampling) -> Floats:
    """The sums of columns (n, columns) over the units of a bootstrap, (units, columns)."""
    units, n = dealt(len(columns), how)
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
