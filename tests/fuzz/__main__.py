"""Runs random cases until the time is over; a case that crashes, hangs or raises what no reader should raise is kept.

Each worker is a process of its own, so that a crash ends no more than one case. A case is made by its target and its
number alone: `python -m tests.fuzz --only text --seed 7 --cases 1` makes one again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.fuzz import targets
from vwlite.errors import VwliteError

LONGEST = 120  # seconds that a case may take; under the sanitizers, and on a busy machine


def run_cases(folder: Path, first: int, step: int, stop: int, until: float, names: list[str]) -> None:
    """Runs cases first, first + step, ... in this process, and leaves the folder of a failing one behind."""
    chosen = [target for target in targets.TARGETS if target.__name__ in names]
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    number = first
    for number in range(first, stop, step):
        if time.monotonic() > until:
            break
        os.ftruncate(log, 0)
        target = chosen[number % len(chosen)]
        case = folder / "case"
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        os.chdir(case)
        (folder / "at").write_text(f"{number} {target.__name__}")
        signal.alarm(LONGEST)
        read = target(random.Random(f"{target.__name__} {number}"))
        with contextlib.suppress(VwliteError):
            read()
        signal.alarm(0)
        sys.stdout.flush()
        if b"Traceback (most recent" in Path(folder, "log").read_bytes():
            raise AssertionError("a traceback was printed")
        os.chdir(folder)
    (folder / "at").write_text(f"{number + step} end")


def worker(folder: Path, first: int, step: int, stop: int, until: float, names: list[str]) -> int:
    """Starts a process that runs cases; returns its number."""
    child = os.fork()
    if child == 0:
        status = 1
        os.setpgid(0, 0)  # with the daemon that it may start
        try:
            run_cases(folder, first, step, stop, until, names)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child


def main() -> int:
    """Runs all targets; the exit status is 1 if a case failed."""
    names = [target.__name__ for target in targets.TARGETS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together")
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--seed", type=int, help="number of the first case")
    parser.add_argument("--only", choices=names, action="append", help="just this target; may be repeated")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="where failing cases are left")
    words = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if words.seed is None else words.seed
    names = words.only or names
    folder = words.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"seed {seed}, {words.workers} workers, cases in {folder}", flush=True)
    until = time.monotonic() + words.seconds
    stop = seed + min(words.cases, 10**12)
    running: dict[int, tuple[Path, int]] = {}
    for index in range(words.workers):
        own = folder / f"worker-{index}"
        targets.make_samples(own / "samples")
        running[worker(own, seed + index, words.workers, stop, until, names)] = (own, seed + index)
    done, found = 0, Counter[str]()
    while running:
        child, status = os.wait()
        if child not in running:
            continue
        own, first = running.pop(child)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGTERM)
        number, name = (own / "at").read_text().split()
        done += (int(number) - first) // words.workers + (name != "end")
        if status == 0:
            continue
        found[name] += 1
        kept = folder / f"found-{name}-{number}"
        shutil.move(own / "case", kept)
        shutil.copy(own / "log", kept / "said")
        what = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an error"
        print(f"{name} {number}: {what}: see {kept}", flush=True)
        print(
            "".join(f"    {line}\n" for line in (kept / "said").read_text(errors="replace").splitlines()[-6:]), end=""
        )
        if sum(found.values()) < 100:
            following = int(number) + words.workers
            running[worker(own, following, words.workers, stop, until, names)] = (own, following)
    print(f"{done} cases, {sum(found.values())} failed", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
