"""Seeds of a simulation shared among processes."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from vwlite.errors import VwliteError
from vwlite.simulate import Game, Play, play_seed

# Of a worker: what is played, and a counter of rounds that all workers share.
_game: Game
_played: Any

LOOK_EVERY = 0.1  # seconds


def share(game: Game, seeds: list[int], jobs: int, progress: Callable[[int], None]) -> list[list[Play]]:
    """The plays of each seed, in order; raises whatever a worker raises."""
    # A forked process has the log of the problem already, and starts at once.
    forks = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    context = multiprocessing.get_context("fork" if forks else None)
    played = context.Value("Q", 0)
    shown = 0
    with ProcessPoolExecutor(jobs, context, _begin, (game, played)) as pool:
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
            raise VwliteError("a process of the simulation was killed; is there memory for --jobs so many?") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _begin(game: Game, played: Any) -> None:
    """In a new worker. Ctrl-C reaches all processes of a terminal; the first one ends the others."""
    global _game, _played
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _game, _played = game, played


def _work(seed: int) -> list[Play]:
    return play_seed(_game, seed, _count)


def _count(rounds: int) -> None:
    with _played.get_lock():
        _played.value += rounds
