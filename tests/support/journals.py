"""Journals for tests: entries that can be told from each other, and waiting for commits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from vwlite.daemon.journal import Journal

LIMIT = 120.0  # seconds for what takes a few milliseconds


def text(number: int) -> bytes:
    """What entry so and so holds: from nothing to 30 kB."""
    return b"%d " % number * (number * 7919 % 5000 if number % 7 else number % 3)


class Running:
    """A journal that commits what comes after an entry, and is closed at the end of a with statement."""

    def __init__(self, folder: str | Path, after: int = 0) -> None:
        self.journal = Journal(os.fspath(folder))
        self.found = list(self.journal.entries(after))
        self.event = threading.Event()
        self.failures: list[str] = []
        self.journal.start(self.told)

    def told(self) -> None:
        if self.journal.failure is not None:
            self.failures.append(str(self.journal.failure))
        self.event.set()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait until the journal's thread has brought something about."""
        while True:
            self.event.clear()
            if happened():
                return
            assert self.event.wait(LIMIT)

    def add(self, entries: Iterable[bytes]) -> None:
        """Append entries, each in a group of its own."""
        for entry in entries:
            number = self.journal.append(entry)
            self.until(lambda number=number: self.journal.committed >= number)  # type: ignore[misc]


def written(folder: str | Path, *counts: int) -> list[tuple[int, bytes]]:
    """Make a journal with a segment for each count, and so many groups of one entry in it."""
    with Running(folder) as running:
        for count in counts:
            running.journal.rotate()
            running.add(text(running.journal.last + 1) for _ in range(count))
    return expected(sum(counts))


def expected(last: int, after: int = 0) -> list[tuple[int, bytes]]:
    """The entries after one, up to another."""
    return [(number, text(number)) for number in range(after + 1, last + 1)]


def read(folder: str | Path, after: int = 0) -> list[tuple[int, bytes]]:
    """What a journal has after an entry."""
    journal = Journal(os.fspath(folder))
    try:
        return list(journal.entries(after))
    finally:
        journal.close()


def names(folder: str | Path) -> list[str]:
    """The segments' first entries and what else there is."""
    return sorted(path.name.removeprefix("journal-000000").removesuffix(".sqlite") for path in Path(folder).iterdir())


def frames(path: Path) -> list[tuple[int, bool]]:
    """Where the frames of a WAL start, and which of them end commits."""
    content = path.read_bytes()
    starts = range(32, len(content), 24 + 4096)
    return [(start, content[start + 4 : start + 8] != bytes(4)) for start in starts]


def damage(path: Path, place: int, flip: int = 0x40) -> None:
    """Change bits of one byte."""
    content = bytearray(path.read_bytes())
    content[place] ^= flip
    path.write_bytes(content)
