"""Commits of the journal: requests wait for them, and what they change in the state follows them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from vwlite.daemon.log import Log
from vwlite.http.entries import Header
from vwlite.http.problems import Problem
from vwlite.http.state import Request, State

if TYPE_CHECKING:
    from vwlite.daemon.journal import Journal

AGAIN = {"Retry-After": "1"}


class Commits:
    """Lets requests wait until the journal has committed what they taught.

    Args:
        journal: The journal; None without one, when nothing waits.
        state: What follows the journal.
        log: The log of events.

    Attributes:
        done: The last entry that is committed.
        failure: Why the journal can't be written; "" while it can.
    """

    def __init__(self, journal: Journal | None, state: State, log: Log) -> None:
        self.journal, self.state, self.log = journal, state, log
        self.done = 0 if journal is None else journal.committed
        self.failure = ""
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.changes: deque[tuple[int, Callable[[State], None]]] = deque()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.told: list[Callable[[], None]] = []  # called after each commit, and each failure

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to commit."""
        self.loop = loop
        if self.journal is not None:
            self.journal.start(lambda: loop.call_soon_threadsafe(self.note))

    def require(self, changes: bool) -> None:
        """Refuses to learn while the journal can't be written.

        Args:
            changes: Whether the state will change. While it can't, a label or a key that comes again wouldn't be known.

        Raises:
            Problem: While the journal, or the state, can't be written.
        """
        if self.failure:
            raise Problem(503, f"nothing is learned until the journal can be written: {self.failure}", headers=AGAIN)
        if changes and self.is_behind():
            self.apply()
            if self.is_behind():
                raise Problem(503, "labels and keys of requests can't be stored: see the log", headers=AGAIN)

    def is_behind(self) -> bool:
        """Whether changes could not be made whose entries are committed."""
        return bool(self.changes) and (self.journal is None or self.changes[0][0] <= self.done)

    def after(self, entry: int, change: Callable[[State], None]) -> None:
        """Changes the state when an entry is committed; at once without a journal."""
        self.changes.append((entry, change))
        if self.journal is None or entry <= self.done:
            self.apply()

    async def wait(self, entry: int) -> None:
        """Waits until an entry is committed. Raises Problem if it can't be."""
        if self.journal is None or entry <= self.done:
            return
        assert self.loop is not None
        future = self.loop.create_future()
        self.waiting.append((entry, future))
        await future

    def note(self) -> None:
        """Lets those continue that have waited for what is committed now."""
        journal = self.journal
        if journal is None:
            return
        self.done = journal.committed
        self.apply()
        while self.waiting and self.waiting[0][0] <= self.done:
            _, future = self.waiting.popleft()
            if not future.done():
                future.set_result(None)
        failure = "" if journal.failure is None else str(journal.failure)
        if failure and not self.failure:
            self.log.error("the journal can't be written; nothing is learned until it can", why=failure)
        elif self.failure and not failure:
            self.log.info("the journal can be written again")
        self.failure = failure
        if failure:
            while self.waiting:
                _, future = self.waiting.popleft()
                if not future.done():
                    future.set_exception(Problem(503, unclear(failure), headers=AGAIN))
        for each in self.told:
            each()

    def apply(self) -> None:
        """Makes the changes whose entries are committed; those that fail are tried again later."""
        done = self.done if self.journal is not None else 1 << 62
        count = 0
        try:
            for entry, change in self.changes:
                if entry > done:
                    break
                change(self.state)
                self.state.apply(entry)
                count += 1
            self.state.commit()
        except sqlite3.Error as error:
            self.state.roll_back()
            self.log.error("what waits for labels can't be stored", why=str(error))
            return
        for _ in range(count):
            self.changes.popleft()

    def retry(self) -> None:
        """Makes changes that have failed before."""
        if self.changes:
            self.apply()

    def settled(self) -> int:
        """The last entry whose changes, and those of all before it, are made."""
        return self.changes[0][0] - 1 if self.changes else 1 << 62

    @staticmethod
    def effects(header: Header) -> Callable[[State], None]:
        """The changes of the state that an entry tells of."""

        def change(state: State) -> None:
            """Makes the changes."""
            if header.ids:
                state.use(header.ids)
            if header.key:
                request = Request(header.digest, header.done, header.status, header.answer)
                state.note_request(header.model, header.key, request)

        return change


def unclear(failure: str) -> str:
    """What to tell those whose examples were learned and are not in the journal yet."""
    return (
        f"the journal can't be written ({failure}): what was sent is learned, and is lost if the server ends before it "
        "can be written; send it again with the same Idempotency-Key to be sure"
    )
