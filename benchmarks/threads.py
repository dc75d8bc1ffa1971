"""Benchmark of --threads: runs with one thread and with several, side by side.

Runs take turns, and the ratio is the median of the ratios of the pairs. Each is a whole process, start-up included.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.entities import say, scaled, wait_for_quiet

DEALT = "--random_effect user:c --fixed none --effect_l2 1 --shrink zero --quiet"
USERS = 2000


class Case(NamedTuple):
    """A run: its lines, numbers of a line, whether labels are classes, and its flags."""

    what: str
    lines: int
    width: int
    classes: bool
    flags: str


CASES = {
    "full-160": Case("160 coefficients, full posterior", 100_000, 160, False, "--bayes_linear"),
    "full-80": Case("80 coefficients, full posterior", 100_000, 80, False, "--bayes_linear"),
    "full-20": Case("20 coefficients, full posterior, logistic", 400_000, 20, True, "--bayes_logistic"),
    "batches": Case("20 coefficients, batches of 10, logistic", 400_000, 20, True, "--bayes_logistic --batch_size 10"),
    "diagonal-20": Case(
        "20 coefficients, diagonal posterior, logistic", 400_000, 20, True, "--bayes_logistic --posterior diagonal"
    ),
    "diagonal-80": Case(
        "80 coefficients, diagonal posterior", 100_000, 80, False, "--bayes_linear --posterior diagonal"
    ),
    "large-batches": Case(
        "80 coefficients, batches of 200 (SciPy)", 100_000, 80, False, "--bayes_linear --batch_size 200"
    ),
}


class Run(NamedTuple):
    """Seconds of a process."""

    wall: float
    cpu: float


def data(case: Case, lines: int, seed: int = 1) -> Iterator[str]:
    """Lines of a case: a user, and numbers with 3 digits."""
    source = random.Random(seed)
    taste = [source.gauss(0, 1) for _ in range(USERS)]
    names = [f"x{i}" for i in range(case.width)]
    for _ in range(lines):
        user = source.randrange(USERS)
        score = taste[user] + source.gauss(0, 1)
        label = (1 if score > 0 else -1) if case.classes else round(score, 3)
        yield f"{label} |user u{user} |c " + " ".join(f"{name}:{source.random():.3f}" for name in names) + "\n"


def measured(command: Sequence[str]) -> Run:
    """Runs a command; raises CalledProcessError if it fails."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def compare(case: Case, path: Path, threads: int, rounds: int) -> str:
    """A row of the table."""
    command = [sys.executable, "-P", "-m", "vwlite", str(path), *case.flags.split(), *DEALT.split(), "--threads"]
    measured([*command, "1"])  # reads the data into memory
    pairs = [(measured([*command, "1"]), measured([*command, str(threads)])) for _ in range(rounds)]
    one, many = (Run(*map(statistics.median, zip(*runs, strict=True))) for runs in zip(*pairs, strict=True))
    ratio = statistics.median(first.wall / second.wall for first, second in pairs)
    best = min(first.wall for first, _ in pairs) / min(second.wall for _, second in pairs)
    return (
        f"| {case.what} | {one.wall:.2f} | {many.wall:.2f} | **{ratio:.2f}** | {best:.2f} | {one.cpu:.2f} "
        f"| {many.cpu:.2f} |"
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's values."""
    parser = argparse.ArgumentParser(description="Measure --threads beside one thread; print a table.")
    parser.add_argument("--case", action="append", choices=tuple(CASES), help="repeatable (all)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="beside one (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs (%(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the lines (%(default)s)")
    parser.add_argument("--wait", type=float, default=10, help="minutes at most to wait for an idle machine")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the status is 1 if a command failed, whatever the figures."""
    chosen = arguments(argv)
    load = wait_for_quiet(chosen.wait)
    n = chosen.threads
    print(f"{os.cpu_count()} cores, load {load:.1f} before; medians of {chosen.rounds} pairs; CPU of all threads.\n")
    print(f"| work | 1 thread, s | {n} threads, s | ratio | of the best | CPU, s | CPU of {n}, s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.case or CASES:
            path = Path(folder, "data.vw")
            with path.open("w", encoding="ascii") as file:
                file.writelines(data(CASES[name], scaled(CASES[name].lines, chosen.scale)))
            try:
                print(compare(CASES[name], path, n, chosen.rounds), flush=True)
            except subprocess.CalledProcessError as error:
                say(f"{name}: {error}")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
