"""Runs the seeds of a simulation in parallel processes."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from vwlite.errors import VwliteError

Count = Callable[[int], None]

# In a worker: the function for each seed, and a counter of rounds that all workers share.
_play: Callable[[int, Count], Any]
_played: Any

LOOK_EVERY = 0.1  # seconds


def share(play: Callable[[int, Count], Any], seeds: list[int], jobs: int, progress: Count) -> list[Any]:
    """Calls `play(seed, count)` for each seed, in parallel processes.

    Args:
        play: Calls `count` with the number of rounds played since its last call. It is passed to other processes.
        seeds: The argument of each call.
        jobs: The number of processes.
        progress: Called with the number of rounds played by all processes since its last call.

    Returns:
        The results, in the order of the seeds.

    Raises:
        VwliteError: If a process was killed.
        BaseException: The exception of a call in a process.
    """
    # A forked process shares the log of the problem, and starts fast.
    forks = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    context = multiprocessing.get_context("fork" if forks else None)
    played = context.Value("Q", 0)
    shown = 0
    with ProcessPoolExecutor(jobs, context, _begin, (play, played)) as pool:
        try:
            waiting = futures = [pool.submit(_work, seed) for seed in seeds]
            while waiting:
                waiting = list(wait(waiting, LOOK_EVERY, "FIRST_EXCEPTION").not_done)
                now = played.value
                progress(now - shown)
                shown = now
                for future in futures:
                    if future.done():
                        future.result()
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise VwliteError("a process of the simulation was killed; is there memory for so many --jobs?") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _begin(play: Callable[[int, Count], Any], played: Any) -> None:
    """Initializes a worker. Ctrl-C reaches all processes of a terminal; the parent ends the workers."""
    global _play, _played
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _play, _played = play, played


def _work(seed: int) -> Any:
    return _play(seed, _count)


def _count(rounds: int) -> None:
    with _played.get_lock():
        _played.value += rounds
