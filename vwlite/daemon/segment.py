"""One file of the journal, ``journal-NUMBER.sqlite``, named for its first entry: a SQLite database and its WAL.

It has the tables journal (its id, and the number of the segment's first entry) and entries, which has a row for each
group of them: number of the first; turn, which counts from 1; the sizes in bytes, as little-endian 32-bit integers; the
bytes, one entry after another; a crc32 of all that. A group is one row and one transaction, and so one statement: a
thread that releases the GIL waits up to 5 ms for it while another thread is busy. With a row for each entry, commits
during such work were 5 times slower for entries of 100 kB, 100 times for entries of 1 kB.

Committed data stays in the WAL, because copying it into the database would write everything twice; the database itself
holds only the tables and their header. To SQLite, the first frame with a wrong checksum is the end of the WAL, as after
a power failure, and no error. So this module looks for more than one commit after that end, which means damage.
Only a following segment proves that a segment ends with its last commit.

A backup of ``*.sqlite`` lacks every entry and looks like a segment without any. So the first commit of a segment, once
it is on disk and before it is acknowledged, changes the user_version in the database's header from NEW_SEGMENT to
IN_USE: from then on there has to be a WAL with a commit in it, or its content in the database (as sqlite3's .backup
writes it). That costs one sync a segment.

Pages have 4096 bytes. A commit writes at least one, so that a commit of 100 bytes takes 4.4 kB, and with SQLite's
largest, 65536 bytes, took 66 kB; large groups were 1.4 times faster with those.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NoReturn
from urllib.parse import quote

from vwlite.core.paths import explain
from vwlite.errors import VwliteError

APPLICATION = 0x76776C6A  # "vwlj": SQLite's application_id of journals
NEW_SEGMENT, IN_USE = 1, 2  # values of user_version; older versions of vwlite always left NEW_SEGMENT
VERSION_PLACE = 60  # offset in the header; sqlite.org/fileformat2.html#the_database_header
PAGE = 4096
NAME = re.compile(r"journal-(\d{10,})\.sqlite(-wal)?")
NEW = "journal.new"  # a segment that is being created
READ = "journal.read"  # a segment that is being opened for reading
WAL_HEAD, FRAME_HEAD = 32, 24
WAL_FORMAT = 3007000
UNREACHED = (  # errors that don't depend on the file's content
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
)


class JournalError(VwliteError):
    """A journal that cannot be read, trusted or written."""


class Segment:
    """A segment that is read.

    Args:
        folder: The journal's folder.
        first: The number of its first entry.
        journal: The journal's id; None to accept any, and use the segment's.

    Raises:
        JournalError: If the file is not a segment of the journal with this id.
    """

    def __init__(self, folder: str, first: int, journal: str | None) -> None:
        self.folder = folder
        self.path = place(folder, first)
        self.first = first
        try:
            with open(self.path, "rb") as file:
                head = file.read(100)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot read the journal: {explain(error, self.path)}") from error
        if not head.startswith(b"SQLite format 3\0") or int.from_bytes(head[68:72], "big") != APPLICATION:
            if not any(head):
                self.refuse("its head is empty", first - 1)
            raise JournalError(f"{self.path}: is not part of a journal; move it out of the folder")
        version = int.from_bytes(head[VERSION_PLACE : VERSION_PLACE + 4], "big")
        self.in_use = version == IN_USE
        if version > IN_USE:
            raise JournalError(f"{self.path}: was written by a newer vwlite; update this one (pip install -U vwlite)")
        with (
            self.trouble(first - 1),
            contextlib.closing(connect(self.path, "mode=ro&immutable=1")) as connection,  # without the WAL
        ):
            ((self.journal, named),) = connection.execute("SELECT id, first FROM journal").fetchall()
        if type(named) is not int or not 0 < named < 2**63 or type(self.journal) is not str:
            self.refuse("its first table holds no number and id", first - 1)
        if named != first:
            raise JournalError(f"{self.path}: begins with entry {named}; rename it to {name(named)}")
        if journal not in (None, self.journal):
            raise JournalError(f"{self.path}: is part of another journal; move it out of the folder")

    @contextlib.contextmanager
    def trouble(self, good: int) -> Iterator[None]:
        """Converts errors of SQLite after a last good entry to a JournalError."""
        try:
            yield
        except (sqlite3.Error, struct.error, ValueError, TypeError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in UNREACHED:
                raise JournalError(f"{self.path}: cannot read the journal: {error}") from error
            self.refuse(" ".join(str(error).split()), good)

    def refuse(self, what: str, good: int) -> NoReturn:
        """Raises a JournalError about damage after a last good entry."""
        raise JournalError(
            f"{self.path}: the file is damaged after entry {good}: {what}; restore it from a copy, or to continue from "
            f"entry {self.first - 1}, move it and those with higher numbers, with their -wal, out of the folder"
        )

    def is_lost(self) -> bool:
        """Whether the segment is marked as in use, but has no entries."""
        return self.in_use and self.last() < self.first

    def last(self) -> int:
        """The number of the last entry, first - 1 for none. Raises JournalError if later commits are unreadable."""
        good, turn = self.first - 1, 0
        commits, last = self.commits()
        with self.trouble(good), reading(self.path) as connection:
            query = "SELECT number, turn, length(sizes) / 4 FROM entries ORDER BY number DESC LIMIT 1"
            for number, count, entries in connection.execute(query):
                good, turn = number + entries - 1, count
        if commits > turn + 1 or (commits == turn + 1 and not last):
            self.refuse("there are commits that SQLite can't reach", good)
        return good

    def commits(self) -> tuple[int, bool]:
        """The number of commits in the WAL, damaged or not, and whether no frame follows the last of them."""
        commits, last, frame = 0, True, FRAME_HEAD + PAGE
        try:
            with open(self.path + "-wal", "rb") as file:
                head = file.read(WAL_HEAD)
                size = os.fstat(file.fileno()).st_size
                if not is_wal(head):
                    if size > WAL_HEAD:  # the head is synced before what follows is written
                        self.refuse("the head of its -wal is broken", self.first - 1)
                    return 0, True
                for start in range(WAL_HEAD, size - frame + 1, frame):
                    found = os.pread(file.fileno(), 16, start)
                    if (
                        found[8:12] == head[16:20] or found[12:] == head[20:24]
                    ):  # the salts, one of which may be damaged
                        last = found[4:8] != b"\0\0\0\0"  # else a frame in the middle of a transaction
                        commits += last
        except FileNotFoundError:
            pass
        except OSError as error:
            raise JournalError(f"{self.path}-wal: cannot read the journal: {explain(error, self.path)}") from error
        return commits, last

    def groups(self, after: int) -> Iterator[tuple[int, list[bytes]]]:
        """Yields groups in order from the one with entry after + 1: number of the first entry, and the entries."""
        query = (
            "SELECT number, turn, sizes, sum, text FROM entries WHERE number >= coalesce("
            "(SELECT number FROM entries WHERE number <= ? ORDER BY number DESC LIMIT 1), 0) ORDER BY number"
        )
        good = max(after, self.first - 1)
        with contextlib.ExitStack() as stack:
            with self.trouble(good):
                rows = stack.enter_context(reading(self.path)).execute(query, (after + 1,))
            while True:
                with self.trouble(good):
                    row = rows.fetchone()
                    if row is None:
                        return
                    number, turn, sizes, expected, text = row
                    if checksum(number, turn, sizes, text) != expected:
                        self.refuse("an entry differs from its checksum", good)
                    entries = cut(sizes, text)
                good = number + len(entries) - 1
                yield number, entries


class Writer:
    """A new segment, which replaces one without entries. Raises sqlite3.Error and OSError, as its methods do.

    Args:
        folder: The journal's folder.
        first: The number of its first entry.
        journal: The journal's id.
    """

    def __init__(self, folder: str, first: int, journal: str) -> None:
        self.path = place(folder, first)
        self.first = first
        make(folder, first, journal)
        self.connection = connect(self.path, "mode=rw")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA wal_autocheckpoint = 0")
        # Pages spilled before the end of a transaction may be written twice, and be read again.
        self.connection.execute("PRAGMA cache_spill = OFF")
        self.turn = 0
        self.size = 0
        # Open as long as the connection is: closing a file releases the locks that this process has on it.
        self.database = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, number: int, entries: Sequence[bytes]) -> None:
        """Writes a group and syncs it to disk."""
        text = entries[0] if len(entries) == 1 else b"".join(entries)
        sizes = struct.pack(f"<{len(entries)}I", *map(len, entries))
        turn = self.turn + 1
        row = (number, turn, sizes, checksum(number, turn, sizes, text), text)
        self.connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", row)
        if self.turn == 0:
            os.pwrite(self.database, IN_USE.to_bytes(4, "big"), VERSION_PLACE)
            os.fsync(self.database)
        self.turn = turn
        self.size = os.stat(self.path + "-wal").st_size

    def close(self) -> None:
        """Closes the files."""
        shut(self.connection)
        os.close(self.database)

    def give_up(self) -> None:
        """Closes the files after an error, and truncates the WAL to the last commit."""
        with contextlib.suppress(sqlite3.Error):
            shut(self.connection)
        os.close(self.database)
        with contextlib.suppress(OSError):
            # It would use space on a full disk, and if only the sync failed, exist twice after a restart.
            if os.stat(self.path + "-wal").st_size > self.size:
                os.truncate(self.path + "-wal", self.size)


def name(first: int) -> str:
    """The file name of the segment whose first entry has this number."""
    return f"journal-{first:010d}.sqlite"


def place(folder: str, first: int) -> str:
    """The path of a segment."""
    return os.path.join(folder, name(first))


def make(folder: str, first: int, journal: str) -> None:
    """Creates a segment without entries, replacing one that has none; raises sqlite3.Error and OSError."""
    new, path = os.path.join(folder, NEW), place(folder, first)
    unlink(new, new + "-wal")  # left by a process that was killed
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with contextlib.closing(connect(new, "mode=rw")) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {NEW_SEGMENT}")
            connection.execute("CREATE TABLE journal (id TEXT NOT NULL, first INTEGER NOT NULL)")
            connection.execute(
                "CREATE TABLE entries (number INTEGER PRIMARY KEY, turn INTEGER NOT NULL, sizes BLOB NOT NULL, "
                "sum INTEGER NOT NULL, text BLOB NOT NULL)"
            )
            connection.execute("INSERT INTO journal VALUES (?, ?)", (journal, first))
            connection.execute("PRAGMA journal_mode = WAL")
        sync(new)
        unlink(path + "-wal")
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unlink(new, new + "-wal")
        raise
    sync(folder)


def connect(path: str, how: str) -> sqlite3.Connection:
    """Opens a database for this process alone, without a file of shared memory."""
    # psow=1: a commit ends with one frame, and is not padded with copies of it.
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?{how}&psow=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


@contextlib.contextmanager
def reading(path: str) -> Iterator[sqlite3.Connection]:
    """Opens a segment for reading without changing its files.

    SQLite deletes a WAL when the last connection closes, even one in which it finds no valid frame, but not if the
    database has been moved. So the files are opened under other names, which are removed as soon as they are open.
    """
    other = os.path.join(os.path.dirname(path), READ)
    unlink(other, other + "-wal")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.link(path, other)
            os.link(path + "-wal", other + "-wal")
    except OSError:  # a file system without links
        unlink(other)
        other = path
    try:
        connection = connect(other, "mode=rw")
        try:
            connection.execute("SELECT * FROM journal").fetchall()  # opens the WAL
        except sqlite3.Error:
            connection.close()
            raise
    finally:
        if other != path:
            unlink(other, other + "-wal")
    try:
        yield connection
    finally:
        shut(connection)


def unlink(*paths: str) -> None:
    """Deletes files, which need not exist."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def shut(connection: sqlite3.Connection) -> None:
    """Closes a connection without copying the WAL into the database (no checkpoint)."""
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
    else:
        connection.interrupt()  # aborts the checkpoint as it begins
    connection.close()


def checksum(number: int, turn: int, sizes: bytes, text: bytes) -> int:
    """The CRC-32 of a group's row."""
    return zlib.crc32(text, zlib.crc32(sizes, zlib.crc32(struct.pack("<qq", number, turn))))


def cut(sizes: bytes, text: bytes) -> list[bytes]:
    """Splits the bytes of a group into entries."""
    stops = list(accumulate(struct.unpack(f"<{len(sizes) // 4}I", sizes)))
    return [text[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def is_wal(head: bytes) -> bool:
    """Whether these bytes are a valid WAL header, checked as SQLite does (sqlite.org/fileformat2.html#walformat)."""
    if len(head) < WAL_HEAD:
        return False
    magic, version, page, *_, first, second = struct.unpack(">8I", head)
    a = b = 0
    words = struct.unpack(f"{'>' if magic & 1 else '<'}6I", head[:24])
    for even, odd in zip(words[::2], words[1::2], strict=True):
        a = (a + even + b) & 0xFFFFFFFF
        b = (b + odd + a) & 0xFFFFFFFF
    return magic & ~1 == 0x377F0682 and (version, page) == (WAL_FORMAT, PAGE) and (first, second) == (a, b)


def sync(path: str) -> None:
    """Syncs a file or folder to disk; ignores file systems that can't sync folders."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
