"""Entity store file of a model saved with --entity_limit: ``MODEL.entities``, a SQLite database.

It has the tables store (its id), effects (number, owner, number of entities), and for each effect entities_NUMBER
(key, serial, waiting, record): the 64-bit key as a signed number, the order of first examples, the number of pending
examples, and the record in the format of limited.pyx, with a checksum. The model names the file's id and sha256.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote

from vwlite.core.paths import explain
from vwlite.errors import ModelError
from vwlite.model import model_file

APPLICATION = 0x76776C65  # "vwle": SQLite's application_id of vwlite
VERSION = 1
COLUMNS = "key, serial, waiting, record"
ATTEMPTS = 5  # to open a model and its store while other processes save
PATIENCE = 60.0  # seconds of retries while other processes save it repeatedly

Row = tuple[int, int, int, bytes]  # the values of COLUMNS


def place(model: str) -> str:
    """Path of the store of a model."""
    return os.path.realpath(model) + ".entities"


class StoreFile:
    """Store of a model, open for reading.

    Raises FileNotFoundError if there is none, ModelError if it is not a store or damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with opened(path) as file:
            try:
                head, size = file.read(100), os.fstat(file.fileno()).st_size
            except OSError as error:
                raise ModelError(f"{path}: cannot read the model's entities: {explain(error, path)}") from error
        if not is_store(head):
            raise ModelError(f"{path}: is no store of entities; put back the file that was saved with the model")
        if int.from_bytes(head[60:64], "big") > VERSION:
            raise ModelError(f"{path}: was written by a newer vwlite; update this one (pip install -U vwlite)")
        page = int.from_bytes(head[16:18], "big")
        if size != (page if page > 1 else 65536) * int.from_bytes(head[28:32], "big"):
            self.refuse("its size differs from that in its header")
        # The file is never changed, so no lock is needed, and its folder may be read-only.
        uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro&immutable=1"
        try:
            self.connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            if not os.path.exists(path):  # renamed since
                raise FileNotFoundError(path) from error
            self.refuse(str(error))
        self.numbers: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        with self.trouble():
            ((self.id,),) = self.connection.execute("SELECT id FROM store").fetchall()
            ((others,),) = self.connection.execute(
                "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
            ).fetchall()
            if others:  # they would be executed when the store is copied or read
                self.refuse("it has views, triggers or virtual tables")
            effects = self.connection.execute("SELECT number, owner, entities FROM effects").fetchall()
            for number, owner, entities in effects:
                if not (type(number) is int and type(owner) is str and type(entities) is int and entities >= 0):
                    self.refuse("a row of its table of effects has values of wrong types")
                self.numbers[owner], self.totals[owner] = number, entities
            if sorted(self.numbers.values()) != list(range(len(effects))):
                self.refuse("its tables are not numbered from 0")
            for number in range(len(effects)):
                self.connection.execute(f"SELECT {COLUMNS} FROM entities_{number} LIMIT 0")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "connection"):
            self.connection.close()

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        """Convert SQLite errors to a ModelError."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            self.refuse(str(error))

    def refuse(self, what: str) -> NoReturn:
        """Raise a ModelError about the file's content."""
        raise ModelError(f"{self.path}: the file is damaged: {what}; restore it from a copy or train again")

    def require(self, owner: str, total: int) -> None:
        """Raise ModelError unless the store has `total` entities of an effect."""
        if self.totals.get(owner, 0) != total:
            self.refuse(f"it has {self.totals.get(owner, 0)} entities of {owner}, the model {total}")

    def read(self, number: int, key: int) -> tuple[int, bytes] | None:
        """Read one entity: its serial and its record."""
        with self.trouble():
            row = self.connection.execute(f"SELECT {COLUMNS} FROM entities_{number} WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        _, serial, _, record = self.sound(row)
        return serial, record

    def rows(self, owner: str) -> Iterator[Row]:
        """All entities of an effect, in the order of their first examples."""
        if owner in self.numbers:
            with self.trouble():
                rows = self.connection.execute(f"SELECT {COLUMNS} FROM entities_{self.numbers[owner]} ORDER BY serial")
                yield from map(self.sound, rows)

    def sound(self, row: tuple[Any, ...]) -> Row:
        """Validate a row of a table of entities; raises ModelError for values of other types, which SQLite allows."""
        key, serial, waiting, record = row
        if not (type(key) is type(serial) is type(waiting) is int and type(record) is bytes):
            self.refuse("a row of its entities has values of wrong types")
        return key, serial, waiting, record

    def summaries(self, owner: str) -> Iterator[tuple[int, bytes, int, int, float | None]]:
        """Key, name, examples, coefficients and intercept of all entities of an effect, in order.

        Each record is checked.
        """
        from vwlite.entities.limited import summary

        count = 0
        for key, _, _, record in self.rows(owner):
            yield key % 2**64, *summary(record, self)  # SQLite's numbers have a sign
            count += 1
        self.require(owner, count)


def is_store(head: bytes) -> bool:
    """Whether a file with this head is a store of vwlite; needs 72 bytes."""
    return head.startswith(b"SQLite format 3\0") and int.from_bytes(head[68:72], "big") == APPLICATION


def head(path: str) -> bytes:
    """Read the first bytes of a file, for is_store."""
    with opened(path) as file:
        return file.read(100)


def opened(path: str) -> io.BufferedReader:
    """Open a store file for reading bytes; raises FileNotFoundError or ModelError if it can't be read."""
    try:  # without waiting for the writer of a named pipe
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model's entities: {explain(error, path)}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ModelError(f"{path}: is no regular file, and so no store of entities; choose another name for the model")
    return file


def digest(path: str, file: io.BufferedReader) -> str:
    """Compute the sha256 of an open file; raises ModelError if it can't be read."""
    try:
        return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model's entities: {explain(error, path)}") from error


def find(reader: model_file.ModelReader) -> tuple[model_file.ModelReader, StoreFile | None]:
    """Open the store of a model, if it has one, and verify its sha256.

    The model is opened again if another process has saved it since. Raises ModelError if the store is missing, belongs
    to another model, or is damaged.
    """
    path = place(reader.path)
    end = time.monotonic() + PATIENCE
    attempts = 0
    while "entities" in reader.metadata:
        wanted = reader.metadata["entities"]
        foreign = False
        for name in (path, path + ".new"):
            try:
                with opened(name) as file:
                    store = StoreFile(name)
                    if store.id != wanted.get("id"):
                        foreign = True
                    elif digest(name, file) == wanted.get("sha256"):
                        return reader, store
                    elif os.path.samestat(os.stat(name), os.fstat(file.fileno())):
                        # the file is open, so its inode was not reused
                        store.refuse("it differs from its sha256")
                    store.close()
            except FileNotFoundError:
                continue
        attempts += 1
        if attempts >= ATTEMPTS or time.monotonic() > end:
            break
        time.sleep(0.01)
        reader = model_file.open(reader.path)
        if reader.metadata.get("entities") != wanted:  # saved meanwhile
            attempts = 0
    else:
        return reader, None
    if foreign:
        raise ModelError(
            f"{path}: has the entities of another model, not those of {reader.path}; "
            "put back the file that was saved with it, or train again"
        )
    raise ModelError(
        f"{path}: there is no such file, and the model {reader.path} has its entities there; "
        "copy it together with the model, or train again"
    )


def tables(number: int) -> str:
    """SQL that creates the table of an effect if it does not exist."""
    return (
        f"CREATE TABLE IF NOT EXISTS entities_{number} (key INTEGER PRIMARY KEY, serial INTEGER NOT NULL, "
        "waiting INTEGER NOT NULL, record BLOB NOT NULL);"
        f"CREATE INDEX IF NOT EXISTS waiting_{number} ON entities_{number} (serial) WHERE waiting > 0;"
    )


@contextlib.contextmanager
def trouble(path: str, what: str) -> Iterator[None]:
    """Convert SQLite and system errors to a ModelError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, OSError):
            reason = explain(error, path)
        elif getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            reason = explain(OSError(errno.ENOSPC, ""), path)
        else:
            reason = str(error)
        raise ModelError(f"{path}: {what}: {reason}") from error
