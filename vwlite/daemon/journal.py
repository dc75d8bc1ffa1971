"""The journal: what the daemon has learned is on disk before anybody is told.

a) The thread of the loop appends entries; the journal's own thread takes all that were appended since, as one group,
   commits it and takes the next: groups grow while the disk is busy, and one sync is for all that wait.
b) A commit is synced (``synchronous = FULL``), and so is the folder when a file was made. Entries up to `committed`
   outlive kill -9 and a power cut, as far as the disk does what it is told; later ones are there up to some number.
c) Segments (segment.py) go on from each other. A new one begins with the first commit after a start, after `rotate`,
   at an orderly end, and after an error, because nobody knows what a file has then. Nothing is written to an old one.
d) After an orderly end, and in all segments but the newest, whatever is damaged or gone is reported when it is needed.
   In the newest after a kill, damage to its last commit looks like a power cut, which cuts a commit short, and so does
   a -wal whose end was cut off; damage before the last commit is reported there too, and so is a -wal that is gone.

Measured on two cores and a virtual disk that takes 350 MB/s with a sync every 4 MB: entries of 100 kB are committed at
450 MB/s, 200 beside a thread that keeps the GIL busy, 1 kB at 330 and 175. A lone entry of 100 bytes takes 0.25 ms, of
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
GROUP = 1 << 23  # bytes, about, of a group, of which there are three copies meanwhile
LONGEST = 500_000_000  # bytes of an entry; SQLite takes 1e9 in a row
RETRY = 1.0  # seconds after a failure
PATIENCE = 10.0  # seconds for what waits at the end

Text = bytes  # in the class, `bytes` is a method

__all__ = ["Journal", "JournalError"]


class Journal:
    """Learned lines on disk before anybody is told: numbered entries in SQLite files (WAL), one file a segment.

    Makes the folder (mode 0700) and its first segment if need be, and keeps others out until `close`. First come
    `entries`, then `start`, then the rest, from any thread. Raises JournalError if the folder can't be used, another
    process uses it, or the newest segment is damaged.

    Attributes:
        id: Made with the first segment; in every segment, and in the lock's file, where it outlives them all.
        last: The number of the last entry appended, 0 before any.
        committed: Entries up to this are on disk.
        failure: Why the last commit failed, None if it didn't.
        written: Bytes that commits have taken on disk since the start.
    """

    id: str
    last: int
    committed: int
    failure: JournalError | None

    def __init__(self, folder: str) -> None:
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
        self._waiting: list[Text] = []  # entries that the thread hasn't taken yet
        self._cuts: deque[int] = deque()  # entries after which a new segment begins
        self._closing: float | None = None  # when the time of the last commits ends
        self._writer: Writer | None = None  # where commits go to
        self._thread: threading.Thread | None = None
        self._told: Callable[[], object] = bool

    def entries(self, after: int) -> Iterator[tuple[int, Text]]:
        """Number and text of all entries after one, in order; before `start`.

        If the journal has less than `after`, as when a model was saved before its entries were committed, it goes on
        from there. Raises JournalError if the newest segment has lost what comes after; iterating does where an entry
        is missing or damaged, and those before it are good.
        """
        newest = self._firsts[-1]
        if after < newest and Segment(self.folder, newest, self.id).is_lost():
            path = place(self.folder, newest)
            raise JournalError(
                f"{path}-wal: is gone or has lost all entries from {newest} on, which were acknowledged; put it back "
                f"from a copy (README says how to make one), or to go on from entry {newest - 1}, move {name(newest)} "
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
                segment.last()  # raises if it knows why
                self._miss(number, stop)

    def _miss(self, number: int, found: int) -> None:
        """Raise a JournalError about entries that are not there."""
        before = [f" after {name(first)}" for first in self._firsts if first < number]
        rest = [name(first) for first in self._firsts if first >= number]
        what = "restore the files that had them from a copy"
        if rest:
            what += (
                f", or to go on from entry {number - 1}, move {rest[0]} and those with higher numbers, with their "
                "-wal, out of the folder"
            )
        missing = f"entries {number} to {found - 1} are missing{before[-1] if before else ''}"
        raise JournalError(f"{self.folder}: {missing}; {what}")

    def start(self, told: Callable[[], object]) -> None:
        """Begin to commit; `told` is called in the journal's thread after each commit and each failure."""
        self._told = told
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def append(self, text: Text) -> int:
        """Put an entry into the next group, without I/O; its number. What waits is for the caller to bound."""
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
        """Let the next entry go to a new segment; the number of the last entry before it."""
        with self._changed:
            if self._cuts and self._cuts[-1] == self.last:
                return self.last
            self._cuts.append(self.last)
            self._changed.notify()
            return self.last

    def discard(self, upto: int) -> None:
        """Delete segments whose entries are all <= upto, but never the newest; JournalError if that is impossible.

        Takes 0.1 s or more for 400 MB, so call it in a thread of its own where somebody waits.
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
                raise JournalError(f"{path}: cannot delete what the model has: {explain(error, path)}") from error
            with self._changed:
                self._firsts = [each for each in self._firsts if each != first]

    def bytes(self) -> int:
        """Bytes on disk since the oldest segment kept."""
        with self._changed:
            paths = [place(self.folder, first) for first in self._firsts]
        total = 0
        for path in paths:
            for each in (path, path + "-wal"):
                with contextlib.suppress(OSError):
                    total += os.stat(each).st_size
        return total

    def close(self, patience: float = PATIENCE) -> None:
        """Commit what waits, trying again for so many seconds, end the thread, and let others in.

        Raises JournalError if something is not committed then.
        """
        if self._closing is not None:
            return
        with self._changed:
            self._closing = time.monotonic() + patience
            if not self._cuts or self._cuts[-1] != self.last:
                self._cuts.append(self.last)  # the next segment says how far this one goes
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(patience + RETRY)
        if self._thread is None or not self._thread.is_alive():
            os.close(self._lock)
        # else it still writes, and the lock goes with the process
        if self.committed < self.last:
            why = "it was not started" if self._thread is None else self.failure or "journal: the disk does not answer"
            raise JournalError(
                f"{self.folder}: entries {self.committed + 1} to {self.last} are not in the journal, and are lost "
                f"unless the model was saved: {why}"
            )

    def _run(self) -> None:
        """The thread: commits."""
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
            except Exception as error:  # a thread that ended silently would leave everybody waiting
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
        """Whether a new segment is to be made before the next commit."""
        return bool(self._cuts) and self._cuts[0] <= self.committed

    def _commit(self, taken: deque[Text]) -> int:
        """Commit some of these, and make the segment that is due; how many entries were committed."""
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
        """Make a new segment."""
        self._writer = Writer(self.folder, number, self.id)
        with self._changed:
            if self._firsts[-1] != number:
                self._firsts.append(number)
        return self._writer

    def _give_up(self) -> None:
        """Leave the segment as it is."""
        if self._writer is not None:
            self._writer.give_up()
            self._writer = None

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # of a loop that was closed meanwhile
            self._told()

    def _pause(self, waits: bool) -> bool:
        """Wait before the next try, if there is to be one."""
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
    """Lock a folder, which is made if it isn't there: what holds the lock, and the journal's id or ''."""
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
            f"{folder}: another process keeps its journal there; stop it, or name another folder"
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"{folder}: cannot be locked: {reason(error)}; name a folder on a local disk") from error
    return descriptor, known[:16].decode() if KNOWN.fullmatch(known) else ""


def segments(folder: str) -> list[int]:
    """First entries of the segments in a folder, in order; removes what `discard` may have left when it was killed."""
    with refused(folder):
        matches = [found for found in map(NAME.fullmatch, os.listdir(folder)) if found]
        firsts = sorted(int(found[1]) for found in matches if found[2] is None)
        for found in matches:
            first, path = int(found[1]), os.path.join(folder, found[0])
            if found[2] is not None and first not in firsts:
                if not firsts or first > firsts[0]:
                    raise JournalError(f"{path}: has no {found[0][:-4]} beside it; put that back, or move this away")
                os.unlink(path)
    return firsts


@contextlib.contextmanager
def refused(folder: str) -> Iterator[None]:
    """Turn errors into a JournalError about a folder."""
    try:
        yield
    except OSError as error:
        code = error.errno
        why = explain(error, folder) if code != errno.ENOENT else "cannot be made"
        raise JournalError(f"{folder}: cannot keep a journal there: {why}") from error
    except sqlite3.Error as error:
        raise JournalError(f"{folder}: cannot keep a journal there: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Why something failed, without saying where."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return os.strerror(errno.ENOSPC)
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        return f"{error} ({error.sqlite_errorname})"  # type: ignore[attr-defined]
    return str(error) or type(error).__name__
