"""Crew: threads that hand the blocks of a feed to several workers, each of which gets all of them in order.

A free thread takes the worker that is furthest behind, and gives it the next few blocks. So all cores are busy, a
worker's tables stay in a core's cache for a while, and results don't depend on the number of threads. The main thread
takes blocks from the feed, and helps while the blocks that it may hold at once are in use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

WINDOW = 6  # blocks that are valid at once
BATCHES = 3  # that these make


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Threads that run workers; see the module.

    Args:
        workers: Functions of a block.
        threads: The number of threads, with the calling one.
    """

    def __init__(self, workers: Sequence[Callable[[Any], None]], threads: int) -> None:
        self.workers = workers
        self.threads = threads
        self.changed = threading.Condition()
        self.batches: dict[int, list[Any]] = {}
        self.made = 0  # batches
        self.done = [0] * len(workers)  # batches of each worker
        self.busy = [False] * len(workers)
        self.failures: list[tuple[int, int, BaseException]] = []
        self.over = False

    def run(self, blocks: Iterable[Any], window: Callable[[], int]) -> None:  # noqa: DOC502
        """Hands all blocks to all workers.

        Args:
            blocks: The blocks.
            window: How many of the last blocks are valid, the newest included; asked after the first one was taken.

        Raises:
            BaseException: That of a worker; of several, that which was furthest behind.
        """
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.threads - 1)]
        for thread in threads:
            thread.start()
        try:
            batch: list[Any] = []
            size = most = 0
            for block in blocks:
                if not size:
                    size = max(1, window() // BATCHES)
                    most = max(1, window() // size)
                batch.append(block)
                if len(batch) == size:
                    self._add(batch)
                    batch = []
                    # the next block replaces the oldest one
                    self._finish(self.made - most + 1)
            if batch:
                self._add(batch)
            self._finish(self.made)
        finally:
            with self.changed:
                self.over = True
                self.changed.notify_all()
            for thread in threads:
                thread.join()

    def _add(self, batch: list[Any]) -> None:
        with self.changed:
            self.batches[self.made] = batch
            self.made += 1
            self.changed.notify_all()

    def _finish(self, number: int) -> None:
        """Helps until all workers have done so many batches; raises the exception of a worker."""
        with self.changed:
            while not self.failures and min(self.done, default=number) < number:
                if not self._step():
                    self.changed.wait()
            while self.failures and any(self.busy):
                self.changed.wait()
            if self.failures:
                raise min(self.failures, key=lambda failure: failure[:2])[2]
            for old in [old for old in self.batches if old < number]:
                del self.batches[old]

    def _work(self) -> None:
        with self.changed:
            while not (self.over or self.failures):
                if not self._step():
                    self.changed.wait()

    def _step(self) -> bool:
        """Gives the worker that is furthest behind its next batch; False if none waits for one. The lock is held."""
        waiting = [i for i, busy in enumerate(self.busy) if not busy and self.done[i] < self.made]
        if not waiting:
            return False
        i = min(waiting, key=self.done.__getitem__)
        self.busy[i] = True
        batch, worker = self.batches[self.done[i]], self.workers[i]
        self.changed.release()
        failure: BaseException | None = None
        try:
            for block in batch:
                worker(block)
        except BaseException as error:
            failure = error
        finally:
            self.changed.acquire()
        self.busy[i] = False
        if failure is not None:
            self.failures.append((self.done[i], i, failure))
        self.done[i] += 1
        self.changed.notify_all()
        return True
