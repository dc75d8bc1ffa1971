"""Simulation of partitions at scale: how even they are, what they hold, and when the last task of a job ends.

    python -m benchmarks.partitions

Entities are dealt to partitions by a hash, and rows to entities by a power law, as clicks are. An entity with many rows
is one task's work, however many tasks there are: max_rows limits that. The figures of the plan in docs/scale.md come
from here. Nothing is sampled that can be counted: partitions get sums of many independent entities, and the largest
entities are placed one by one.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

ROWS_A_SECOND = 157_000  # that one core shuffles and learns: a prototype on an idle machine
SHUFFLED = 50  # bytes a row
ENTITY = 300  # bytes in Parquet, of 25 diagonal coefficients
MEMORY = 700  # bytes in a task, of such an entity
LARGEST = 200_000  # entities that are placed one by one
TASK = 1.0  # seconds that a task takes beside its rows: start, reading, writing


class Plan(NamedTuple):
    """A day at scale.

    Args:
        entities: Known entities.
        seen: Of these, with rows today.
        rows: Rows of the day.
        partitions: Tasks of the shuffle.
        cores: Tasks at a time.
        exponent: Of the power law: the r-th largest entity has rows in proportion to r^-exponent.
        max_rows: The most rows of an entity that are learned; 0 for all.
    """

    entities: int
    seen: int
    rows: int
    partitions: int
    cores: int
    exponent: float
    max_rows: int


class Outcome(NamedTuple):
    """What a plan comes to.

    Args:
        largest: Rows of the largest entity.
        dropped: Share of the rows beyond max_rows.
        mean: Rows learned of a partition.
        worst: Of the largest partition.
        entities: Known entities of the largest partition.
        shuffled: Bytes of the largest partition that are shuffled.
        memory: Bytes of the largest partition's entities seen today.
        ideal: Seconds of the job if all work were even.
        seconds: Seconds until the last task ends.
    """

    largest: float
    dropped: float
    mean: float
    worst: float
    entities: int
    shuffled: float
    memory: float
    ideal: float
    seconds: float


def power_sums(n: int, exponent: float) -> float:
    """The sum of r^-exponent over r from 1 to n, by Euler and Maclaurin beyond the first million."""
    first = min(n, 1_000_000)
    total = float((np.arange(1, first + 1, dtype=float) ** -exponent).sum())
    if n > first:
        a, b = first + 0.5, n + 0.5
        total += math.log(b / a) if exponent == 1 else (b ** (1 - exponent) - a ** (1 - exponent)) / (1 - exponent)
    return total


def simulate(plan: Plan, seed: int = 0) -> Outcome:
    """Deals entities to partitions, and tasks to cores, the next task to the first core that is free.

    Args:
        plan: The plan.
        seed: Of the hashes.

    Returns:
        The outcome.
    """
    g = np.random.default_rng(seed)
    top = min(LARGEST, plan.seen)
    scale = plan.rows / power_sums(plan.seen, plan.exponent)
    large = scale * np.arange(1, top + 1, dtype=float) ** -plan.exponent
    rest = max(plan.rows - large.sum(), 0.0)
    small = plan.seen - top
    limit = plan.max_rows or math.inf
    learned = np.minimum(large, limit)
    dropped = float((large - learned).sum())
    kept_rest = min(rest, small * limit)
    all_rows, rows = np.zeros(plan.partitions), np.zeros(plan.partitions)
    where = g.integers(0, plan.partitions, top)
    np.add.at(rows, where, learned)
    np.add.at(all_rows, where, large)
    # the others are many and alike: their numbers in partitions are those of a multinomial draw
    counts = g.multinomial(small, np.full(plan.partitions, 1 / plan.partitions)) if small else np.zeros(plan.partitions)
    each = kept_rest / small if small else 0.0
    rows += counts * each
    all_rows += counts * (rest / small if small else 0.0)
    seen = counts + np.bincount(where, minlength=plan.partitions)
    known = g.multinomial(plan.entities, np.full(plan.partitions, 1 / plan.partitions))
    seconds = TASK + rows / ROWS_A_SECOND + (all_rows - rows) / (10 * ROWS_A_SECOND)
    return Outcome(
        float(large[0]),
        (dropped + rest - kept_rest) / plan.rows,
        float(rows.mean()),
        float(rows.max()),
        int(known.max()),
        float(all_rows.max()) * SHUFFLED,
        float(seen.max()) * MEMORY,
        float(seconds.sum()) / plan.cores,
        last_end(seconds, plan.cores),
    )


def last_end(seconds: Iterable[float], cores: int) -> float:
    """When the last task ends, if each core takes the next one as soon as it is free."""
    free = [0.0] * cores
    for each in seconds:
        heapq.heappush(free, heapq.heappop(free) + float(each))
    return max(free)


def table(plans: list[Plan]) -> str:
    """The outcomes as a table of Markdown."""
    lines = [
        "| partitions | max_rows | largest entity | dropped | rows a partition: mean, largest | shuffled, largest | "
        "memory of entities | even | last task |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for plan in plans:
        found = simulate(plan)
        limit = f"{plan.max_rows:,}" if plan.max_rows else "none"
        lines.append(
            f"| {plan.partitions:,} | {limit} | {found.largest:,.0f} | {found.dropped:.1%} | {found.mean:,.0f}, "
            f"{found.worst:,.0f} | {found.shuffled / 1e6:,.0f} MB | {found.memory / 1e6:,.0f} MB | "
            f"{found.ideal:,.0f} s | {found.seconds:,.0f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables of docs/scale.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=10**9)
    parser.add_argument("--rows", type=int, default=10**10)
    parser.add_argument("--seen", type=float, default=0.1, help="share of the entities with rows today")
    parser.add_argument("--cores", type=int, default=200)
    parser.add_argument("--exponent", type=float, default=0.8)
    args = parser.parse_args()
    plans = [
        Plan(args.entities, round(args.entities * args.seen), args.rows, partitions, args.cores, args.exponent, most)
        for partitions in (256, 1024, 4096, 16384)
        for most in (0, 100_000)
    ]
    print(table(plans))
    size = args.entities * ENTITY
    print(f"table: {size / 1e9:,.0f} GB; of those seen: {size * args.seen / 1e9:,.0f} GB")
    print(f"shuffled a day: {args.rows * SHUFFLED / 1e9:,.0f} GB; core hours: {args.rows / ROWS_A_SECOND / 3600:,.1f}")
    collisions = args.entities**2 / 2 / 2**64
    print(f"entities whose 64-bit hashes meet: {-math.expm1(-collisions):.1%}")


if __name__ == "__main__":
    main()
