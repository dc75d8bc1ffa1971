"""The journal, a write-ahead log: what the daemon has learned is on disk before it is acknowledged.

a) The event loop's thread appends entries. The journal's thread commits all entries appended since as one group (group
   commit): groups grow while the disk is busy, and one sync serves all pending entries.
b) A commit is synced (``synchronous = FULL``), and so is the folder after a file was created. Entries up to `committed`
   survive kill -9 and a power failure if the disk honours syncs; later ones survive up to some number.
c) Each segment (segment.py) continues the one before. A new one begins with the first commit after a start, after
   `rotate`, at an orderly end, and after an error, when the content of the file is unknown. Old ones never change.
d) After an orderly end, and in all segments but the newest, damaged or missing entries are reported when they are read.
   In the newest after a kill, damage to the last commit, or a -wal whose end is missing, looks like a power failure
   during the commit. Damage before the last commit is reported there too, and so is a -wal that is missing.

Measured on two cores and a virtual disk that writes 350 MB/s with a sync every 4 MB: entries of 100 kB are committed at
450 MB/s, 200 while another thread holds the GIL; of 1 kB at 330 and 175. A single entry of 100 bytes takes 0.25 ms, of
100 kB 0.45 ms. A restart reads 1100 MB/s.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, pairwise

from vwlite.core.paths import explain
from vwlite.daemon.segment import NAME, JournalError, Segment, Writer, name, place, sync, unlink

LOCK = "lock"
KNOWN = re.compile(rb"[0-9a-f]{16}\n")
GROUP = 1 << 23  # approximate limit of a group in bytes; three copies of it exist during a commit
LONGEST = 500_000_000  # bytes of an entry; SQLite's limit of a row is 1e9
RETRY = 1.0  # seconds between a failed commit and the next attempt
PATIENCE = 10.0  # seconds for the last commits when closing

Text = bytes  # in the class, `bytes` is a method

__all__ = ["Journal", "JournalError"]


class Journal:
    """A journal of learned lines: numbered entries in SQLite files (WAL), one file a segment.

    Creates the folder (mode 0700) and the first segment if they don't exist, and locks the folder until `close`. Call
    `entries` first, then `start`, then the other methods, from any thread.

    Args:
        folder: The path of the folder.

    Attributes:
        id: The journal's identifier, created with the first segment; stored in every segment and in the lock file.
        last: The number of the last entry appended, 0 before any.
        committed: Entries up to this number are on disk.
        failure: The error of the last commit, None if it succeeded.
        written: Bytes that commits have written since the start.

    Raises:
        JournalError: If the folder can't be used, another process uses it, or the newest segment is damaged.
    """

    id: str
    last: int
    committed: int
    failure: JournalError | None

    def __init__(self, folder: str) -> None:  # noqa: DOC503
        self.folder = folder
        self.failure = None
        self.written = 0
        self._lock, known = lock(folder)
        try:
            self._firsts = segments(folder)
            newest = Segment(folder, self._firsts[-1], None) if self._firsts else None
            self.id = known or os.urandom(8).hex() if newest is None else newest.journal
            self.last = self.committed = 0 if newest is None else newest.last()
            with refused(folder):
                if known != self.id:
                    os.pwrite(self._lock, f"{self.id}\n".encode(), 0)
                    os.fsync(self._lock)
                if newest is None:
                    Writer(folder, 1, self.id).close()
                    self._firsts = [1]
        except BaseException:
            os.close(self._lock)
            raise
        self._changed = threading.Condition(threading.Lock())
        self._waiting: list[Text] = []  # appended entries that the thread hasn't fetched yet
        self._cuts: deque[int] = deque()  # entries after which a new segment begins
        self._closing: float | None = None  # the deadline of the last commits, once closing
        self._writer: Writer | None = None  # of the segment that commits are written to
        self._thread: threading.Thread | None = None
        self._told: Callable[[], object] = bool

    def first(self) -> int:
        """The number of the first entry that the journal has, or of the next one if it has none."""
        with self._changed:
            return self._firsts[0]

    def entries(self, after: int) -> Iterator[tuple[int, Text]]:
        """Yields number and text of all entries after the one numbered `after`, in order; to be called before `start`.

        If the journal has no entry `after`, as when a model was saved before its entries were committed, numbering
        continues from there. Raises JournalError if the newest segment has lost later entries. Iterating raises it at
        the first missing or damaged entry; those before it are good.
        """
        newest = self._firsts[-1]
        if after < newest and Segment(self.folder, newest, self.id).is_lost():
            path = place(self.folder, newest)
            raise JournalError(
                f"{path}-wal: is missing or has lost all entries from {newest} on, which were acknowledged; restore it "
                f"from a copy (see docs/how-to/backup.md), or to continue from entry {newest - 1}, move {name(newest)} "
                "and those with higher numbers, with their -wal, out of the folder"
            )
        if after > self.last:
            self.last = self.committed = after
            return iter(())
        return self._entries(after)

    def _entries(self, after: int) -> Iterator[tuple[int, Text]]:
        begin = max((index for index, first in enumerate(self._firsts) if first <= after + 1), default=0)
        number = after + 1
        for index, first in enumerate(self._firsts[begin:], begin):
            stop = self._firsts[index + 1] if index + 1 < len(self._firsts) else self.last + 1
            if number < first:
                self._miss(number, first)
            if number >= stop:
                continue
            segment = Segment(self.folder, first, self.id)
            for group, texts in segment.groups(number - 1):
                if number < group < stop:
                    self._miss(number, group)
                # After an error a segment may have more than was committed, and the next one has it again.
                for each, text in enumerate(texts[: max(stop - group, 0)], group):
                    if each >= number:
                        yield each, text
                        number = each + 1
            if number < stop:
                segment.last()  # raises a more precise error for a damaged file
                self._miss(number, stop)

    def _miss(self, number: int, found: int) -> None:
        """Raises a JournalError about missing entries."""
        before = [f" after {name(first)}" for first in self._firsts if first < number]
        rest = [name(first) for first in self._firsts if first >= number]
        what = "restore the files that had them from a copy"
        if rest:
            what += (
                f", or to continue from entry {number - 1}, move {rest[0]} and those with higher numbers, with their "
                "-wal, out of the folder"
            )
        missing = f"entries {number} to {found - 1} are missing{before[-1] if before else ''}"
        raise JournalError(f"{self.folder}: {missing}; {what}")

    def start(self, told: Callable[[], object]) -> None:
        """Starts the journal's thread, which calls `told` after each commit and each failure."""
        self._told = told
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def append(self, text: Text) -> int:
        """Adds an entry to the next group, without I/O; returns its number. The caller limits pending entries."""
        if len(text) > LONGEST:
            raise JournalError(f"journal: an entry of {len(text)} bytes is longer than {LONGEST}; send shorter lines")
        with self._changed:
            if self._closing is not None:
                raise JournalError("journal: it was closed")
            self._waiting.append(text)
            self.last += 1
            self._changed.notify()
            return self.last

    def rotate(self) -> int:
        """Begins a new segment with the next entry; returns the number of the last entry before it."""
        with self._changed:
            if self._cuts and self._cuts[-1] == self.last:
                return self.last
            self._cuts.append(self.last)
            self._changed.notify()
            return self.last

    def discard(self, upto: int) -> None:
        """Deletes segments whose entries are all <= upto, but never the newest; raises JournalError if that fails.

        This takes 0.1 s or more for 400 MB: call it in a separate thread while clients wait.
        """
        with self._changed:
            firsts = list(self._firsts)
        for first, after in pairwise(firsts):
            if after - 1 > upto:
                break
            path = place(self.folder, first)
            try:
                unlink(path, path + "-wal")  # in this order, as a -wal alone is no segment
            except OSError as error:
                raise JournalError(f"{path}: cannot delete the segment: {explain(error, path)}") from error
            with self._changed:
                self._firsts = [each for each in self._firsts if each != first]

    def bytes(self) -> int:
        """Bytes on disk of all segments."""
        with self._changed:
            paths = [place(self.folder, first) for first in self._firsts]
        total = 0
        for path in paths:
            for each in (path, path + "-wal"):
                with contextlib.suppress(OSError):
                    total += os.stat(each).st_size
        return total

    def close(self, patience: float = PATIENCE) -> None:
        """Commits pending entries, retrying for `patience` seconds, ends the thread, and releases the lock.

        Raises JournalError if entries are not committed then.
        """
        if self._closing is not None:
            return
        with self._changed:
            self._closing = time.monotonic() + patience
            if not self._cuts or self._cuts[-1] != self.last:
                self._cuts.append(self.last)  # the next segment proves where this one ends
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(patience + RETRY)
        if self._thread is None or not self._thread.is_alive():
            os.close(self._lock)
        # otherwise the thread still writes, and the lock is released when the process exits
        if self.committed < self.last:
            why = "it was not started" if self._thread is None else self.failure or "journal: the disk does not answer"
            raise JournalError(
                f"{self.folder}: entries {self.committed + 1} to {self.last} are not in the journal, and are lost "
                f"unless the model was saved: {why}"
            )

    def _run(self) -> None:
        """The journal's thread: commits groups until the journal is closed."""
        taken: deque[Text] = deque()
        while True:
            with self._changed:
                while not (taken or self._waiting or self._due() or self._closing is not None):
                    self._changed.wait()
                waiting, self._waiting = self._waiting, []
            taken.extend(waiting)
            if not taken and not self._due():
                break
            try:
                done = self._commit(taken)
            except Exception as error:  # if the thread ended, all clients would wait forever
                self.failure = JournalError(f"journal: {reason(error)}")
                self._give_up()
                self._tell()
                if not self._pause(bool(taken)):
                    break
                continue
            for _ in range(done):
                taken.popleft()
            self.committed += done
            self.failure = None
            self._tell()
        if self._writer is not None:
            self._writer.close()

    def _due(self) -> bool:
        """Whether a new segment is due before the next commit."""
        return bool(self._cuts) and self._cuts[0] <= self.committed

    def _commit(self, taken: deque[Text]) -> int:
        """Creates the segment that is due and commits one group; returns the number of entries committed."""
        number = self.committed + 1
        if self._due():
            if self._writer is not None and self._writer.first != number:
                self._writer.close()
                self._writer = None
            if self._firsts[-1] != number:
                self._begin(number)
            with self._changed:
                self._cuts.popleft()
        most = self._cuts[0] - self.committed if self._cuts else len(taken)
        size = 0
        texts: list[Text] = []
        for text in islice(taken, most):
            size += len(text)
            if texts and size > GROUP:
                break
            texts.append(text)
        if texts:
            writer = self._writer or self._begin(number)
            before = writer.size
            writer.write(number, texts)
            self.written += writer.size - before
        return len(texts)

    def _begin(self, number: int) -> Writer:
        """Creates a new segment."""
        self._writer = Writer(self.folder, number, self.id)
        with self._changed:
            if self._firsts[-1] != number:
                self._firsts.append(number)
        return self._writer

    def _give_up(self) -> None:
        """Closes the segment after a failed commit."""
        if self._writer is not None:
            self._writer.give_up()
            self._writer = None

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop was closed meanwhile
            self._told()

    def _pause(self, waits: bool) -> bool:
        """Waits before a retry; returns whether there is one."""
        with self._changed:
            if self._closing is None:
                self._changed.wait_for(lambda: self._closing is not None, RETRY)
                return True
            left = self._closing - time.monotonic()
            if left <= 0 or not (waits or self._waiting):
                return False
            self._changed.wait(min(left, RETRY))
            return True


def lock(folder: str) -> tuple[int, str]:
    """Locks a folder, creating it if needed; returns the descriptor that holds the lock, and the journal's id or ''."""
    path = os.path.join(folder, LOCK)
    with refused(folder):
        if not os.path.isdir(folder):
            os.makedirs(folder, mode=0o700)
            sync(os.path.dirname(os.path.abspath(folder)))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        known = os.pread(descriptor, 17, 0)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(
            f"{folder}: another process has its journal there; stop it, or name another folder"
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"{folder}: cannot be locked: {reason(error)}; name a folder on a local disk") from error
    return descriptor, known[:16].decode() if KNOWN.fullmatch(known) else ""


def segments(folder: str) -> list[int]:
    """First entries of the segments in a folder, in order; removes files that an interrupted `discard` has left."""
    with refused(folder):
        matches = [found for found in map(NAME.fullmatch, os.listdir(folder)) if found]
        firsts = sorted(int(found[1]) for found in matches if found[2] is None)
        for found in matches:
            first, path = int(found[1]), os.path.join(folder, found[0])
            if found[2] is not None and first not in firsts:
                if not firsts or first > firsts[0]:
                    raise JournalError(f"{path}: has no {found[0][:-4]} beside it; restore that, or move this away")
                os.unlink(path)
    return firsts


@contextlib.contextmanager
def refused(folder: str) -> Iterator[None]:
    """Converts errors to a JournalError about a folder."""
    try:
        yield
    except OSError as error:
        code = error.errno
        why = explain(error, folder) if code != errno.ENOENT else "cannot be made"
        raise JournalError(f"{folder}: cannot store a journal there: {why}") from error
    except sqlite3.Error as error:
        raise JournalError(f"{folder}: cannot store a journal there: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The reason of an error, without the path."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return os.strerror(errno.ENOSPC)
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        return f"{error} ({error.sqlite_errorname})"  # type: ignore[attr-defined]
    return str(error) or type(error).__name__
