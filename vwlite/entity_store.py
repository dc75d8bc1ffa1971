"""Entities on disk, for --entity_limit: a SQLite file beside a model, ``MODEL.entities``, and a private one of each run.

a) The file beside a model is never changed, only replaced, as the model itself. A run reads it, and writes entities
   that leave its memory to a private file, which has no name any more, so that it is gone with the process.
b) A model and its store are saved together: the new store is built under another name and renamed to
   ``MODEL.entities.new``; the model, which names its store's id, is renamed into place; then the store is. Whenever
   this is cut short, the model in place finds the store it names as ``MODEL.entities`` or ``MODEL.entities.new``.
c) Savers wait for each other (a lock on the folder, gone with its holder), readers never: what they have open stays.
d) A file has the tables store (its id), effects (number, owner, how many entities), and for each effect entities_NUMBER
   (key, serial, waiting, record): the 64-bit key as a signed number, the order in which entities were met, how many
   examples wait for their batch, and limited.pyx's bytes, which have a checksum.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NoReturn
from urllib.parse import quote

from vwlite import model_file
from vwlite.errors import ModelError
from vwlite.paths import explain, inherited

APPLICATION = 0x76776C65  # "vwle": marks our files among SQLite's
VERSION = 1
COLUMNS = "key, serial, waiting, record"
KEYS_AT_ONCE = 1000
PATIENCE = 60.0  # seconds to wait for another process that saves in the same folder
UNKEPT = "cannot keep entities there for --entity_limit"
UNREAD = "cannot read the entities there"
UNSAVED = "not saved, and any older model there is unchanged"
ATTEMPTS = 5  # to find model and store together while somebody saves

Row = tuple[int, int, int, bytes]  # key, serial, examples that wait, record


def place(model: str) -> str:
    """Where the store of a model is."""
    return os.path.realpath(model) + ".entities"


class StoreFile:
    """The store of a model, open for reading.

    Raises FileNotFoundError if there is none, ModelError if it is no such file or damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                head, size = file.read(100), os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ModelError(f"{path}: cannot read the model's entities: {explain(error, path)}") from error
        if not is_store(head):
            raise ModelError(f"{path}: is no store of entities; put back the file that was saved with the model")
        if int.from_bytes(head[60:64], "big") > VERSION:
            raise ModelError(f"{path}: was written by a newer vwlite; update this one (pip install -U vwlite)")
        page = int.from_bytes(head[16:18], "big")
        if size != (page if page > 1 else 65536) * int.from_bytes(head[28:32], "big"):
            self.refuse("its size is not what its head says")
        # The file is never changed, so there is nothing to lock, and its folder may be read-only.
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
            for number, owner, entities in self.connection.execute("SELECT number, owner, entities FROM effects"):
                self.numbers[owner], self.totals[owner] = number, entities
                self.connection.execute(f"SELECT {COLUMNS} FROM entities_{number} LIMIT 0")
        if sorted(self.numbers.values()) != list(range(len(self.numbers))):
            self.refuse("its tables are not numbered from 0")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if hasattr(self, "connection"):
            self.connection.close()

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        """Turn what SQLite reports into a ModelError."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            self.refuse(str(error))

    def refuse(self, what: str) -> NoReturn:
        """Raise a ModelError about the file's content."""
        raise ModelError(f"{self.path}: the file is damaged: {what}; restore it from a copy or train again")

    def require(self, owner: str, total: int) -> None:
        """Raise ModelError unless the store has so many entities of an effect."""
        if self.totals.get(owner, 0) != total:
            self.refuse(f"it has {self.totals.get(owner, 0)} entities of {owner}, the model {total}")

    def read(self, number: int, key: int) -> tuple[int, bytes] | None:
        """One entity: its serial and its record."""
        try:
            return self.connection.execute(
                f"SELECT serial, record FROM entities_{number} WHERE key = ?", (key,)
            ).fetchone()
        except sqlite3.Error as error:
            self.refuse(str(error))

    def rows(self, owner: str) -> Iterator[Row]:
        """All entities of an effect, in the order in which they were met."""
        if owner in self.numbers:
            with self.trouble():
                yield from self.connection.execute(
                    f"SELECT {COLUMNS} FROM entities_{self.numbers[owner]} ORDER BY serial"
                )

    def check(self) -> None:
        """Raise ModelError if the structure of the file is damaged. Reads all of it."""
        with self.trouble():
            ((answer,),) = self.connection.execute("PRAGMA quick_check(1)").fetchall()
        if answer != "ok":
            self.refuse(answer)

    def summaries(self, owner: str) -> Iterator[tuple[str, int, int, float | None]]:
        """Name, examples, coefficients and intercept of all entities of an effect, in order; each record is checked."""
        from vwlite.limited import summary

        count = 0
        for *_, record in self.rows(owner):
            yield summary(record, self)
            count += 1
        self.require(owner, count)


def is_store(head: bytes) -> bool:
    """Whether a file that starts so is one of ours; needs 72 bytes."""
    return head.startswith(b"SQLite format 3\0") and int.from_bytes(head[68:72], "big") == APPLICATION


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(100)


def find(reader: model_file.ModelReader) -> tuple[model_file.ModelReader, StoreFile]:
    """Open the store of a model. The model is opened again if somebody has saved it since.

    Raises ModelError if the store is not there, is another model's, or is damaged.
    """
    path = place(reader.path)
    foreign = False
    for _ in range(ATTEMPTS):
        for name in (path, path + ".new"):
            try:
                store = StoreFile(name)
            except FileNotFoundError:
                continue
            if store.id == reader.metadata.get("entities"):
                return reader, store
            store.close()
            foreign = True
        time.sleep(0.01)
        reader = model_file.open(reader.path)
    if foreign:
        raise ModelError(
            f"{path}: has not the entities of {reader.path} but those of another model; "
            "put back the file that was saved with it, or train again"
        )
    raise ModelError(
        f"{path}: there is no such file, and the model {reader.path} has its entities there; "
        "copy it together with the model, or train again"
    )


class EntityStore:
    """The entities of one run that are not in memory: `base`, those of the model loaded, and what has changed since.

    Args:
        folder: Where the private file is made; None for the system's place for temporary files.
        base: The store of the model that was loaded, if it has one.

    Methods raise ModelError when the disk is full or a file is damaged.
    """

    def __init__(self, folder: str | None, base: StoreFile | None) -> None:
        self.folder = folder if folder is not None and os.path.isdir(folder) else tempfile.gettempdir()
        self.base = base
        self.owners = [] if base is None else sorted(base.numbers, key=base.numbers.__getitem__)
        self.totals = {} if base is None else dict(base.totals)
        self.own: sqlite3.Connection | None = None
        self.failed: ModelError | None = None

    def __del__(self) -> None:
        if self.own is not None:
            self.own.close()

    def refuse(self, what: str) -> NoReturn:
        """Raise a ModelError about what was read."""
        if self.base is None:
            raise ModelError(f"{self.folder}: the entities kept there for --entity_limit are damaged: {what}")
        self.base.refuse(what)

    def add(self, owner: str) -> int:
        """The number of an effect's table."""
        if owner not in self.owners:
            self.owners.append(owner)
        return self.owners.index(owner)

    def count(self, number: int, total: int) -> None:
        """Note how many entities an effect has, before a save."""
        self.totals[self.owners[number]] = total

    def read(self, number: int, key: int) -> tuple[int, bytes, bool] | None:
        """One entity: its serial, its record, and whether this process wrote it; None if it is not here."""
        if self.failed is not None:
            raise self.failed
        if self.own is not None:
            with _trouble(self.folder, UNKEPT):
                found = self.own.execute(
                    f"SELECT serial, record, 1 FROM entities_{number} WHERE key = ?", (key,)
                ).fetchone()
            if found is not None:
                return found
        if self.base is None or number >= len(self.base.numbers):
            return None
        known = self.base.read(number, key)
        return None if known is None else (*known, False)

    def write(self, number: int, rows: list[Row]) -> None:
        """Keep entities, which replace older states of the same."""
        if self.failed is not None:
            raise self.failed
        try:
            with _trouble(self.folder, UNKEPT):
                if self.own is None:
                    self.own = self._make_own()
                self.own.execute("BEGIN")
                self.own.executemany(f"INSERT OR REPLACE INTO entities_{number} VALUES (?, ?, ?, ?)", rows)
                self.own.execute("COMMIT")
        except ModelError as error:
            self.failed = error  # without a journal nobody knows what the file has now
            raise

    def rows(self, number: int) -> Iterator[tuple[int, int, int, bytes, bool]]:
        """All entities of an effect, in the order in which they were met, and whether this process wrote them."""
        streams: list[Iterator[tuple[int, int, int, bytes, bool]]] = []
        if self.own is not None:
            streams.append((*row, True) for row in self._own_rows(self.own, number))
        if self.base is not None:
            streams.append((*row, False) for row in self.base.rows(self.owners[number]))
        # An entity has the same serial in both; the first stream's comes first.
        for _, same in groupby(merge(*streams, key=itemgetter(1)), key=itemgetter(1)):
            yield next(same)

    def _own_rows(self, own: sqlite3.Connection, number: int) -> Iterator[Row]:
        with _trouble(self.folder, UNREAD):
            yield from own.execute(f"SELECT {COLUMNS} FROM entities_{number} ORDER BY serial")

    def waiting(self, number: int) -> Iterator[int]:
        """Keys of the entities that have, or in an older state had, examples waiting, in the order of rows().

        Entities may be written meanwhile.
        """
        query = (
            f"SELECT key, serial FROM entities_{number} WHERE waiting > 0 AND serial > ? "
            f"ORDER BY serial LIMIT {KEYS_AT_ONCE}"
        )
        last = -1
        while True:
            found: set[tuple[int, int]] = set()
            sources = [self.own] if self.own is not None else []
            if self.base is not None and number < len(self.base.numbers):
                sources.append(self.base.connection)
            for source in sources:
                with _trouble(self.folder if source is self.own else self.base.path, UNREAD):
                    found.update((serial, key) for key, serial in source.execute(query, (last,)))
            if not found:
                return
            # What lies behind the first so many may be only a part of what is there.
            for serial, key in sorted(found)[:KEYS_AT_ONCE]:
                yield key
                last = serial

    def _make_own(self) -> sqlite3.Connection:
        descriptor, path = tempfile.mkstemp(prefix=".vwlite-", suffix=".tmp", dir=self.folder)
        os.close(descriptor)
        try:
            own = _connect(path)
            own.executescript("".join(_tables(number) for number in range(len(self.owners))))
        finally:
            os.unlink(path)
        return own

    @contextlib.contextmanager
    def saved(self, model: str | os.PathLike[str]) -> Iterator[str]:
        """Save the store beside a model: the body writes the model, which names the id given.

        Afterwards the model has this store, or, if the body raises or anything is killed, what it had before.
        """
        model = os.fspath(model)
        require_place(model)
        target = place(model)
        folder = os.path.dirname(target)
        new_id = os.urandom(8).hex()
        with _trouble(target, UNSAVED):
            os.makedirs(folder, exist_ok=True)
        temporary = os.path.join(folder, f".vwlite-{os.urandom(8).hex()}.tmp")
        try:
            with _trouble(target, UNSAVED):
                self._build(temporary, new_id)
                if os.path.exists(target):
                    os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
                _sync(temporary)
            with locked(folder, model):
                _settle(model)
                with _trouble(target, UNSAVED):
                    os.replace(temporary, target + ".new")
                    _sync(folder)
                try:
                    yield new_id
                finally:
                    _settle(model)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def _build(self, path: str, new_id: str) -> None:
        """Write a store with all entities."""
        with contextlib.closing(_connect(path)) as target:
            if self.base is not None:
                self.base.connection.backup(target)
            else:
                target.execute(f"PRAGMA application_id = {APPLICATION}")
                target.execute(f"PRAGMA user_version = {VERSION}")
                target.execute("CREATE TABLE store (id TEXT NOT NULL)")
                target.execute(
                    "CREATE TABLE effects (number INTEGER PRIMARY KEY, owner TEXT NOT NULL, entities INTEGER NOT NULL)"
                )
            target.executescript("".join(_tables(number) for number in range(len(self.owners))))
            target.execute("BEGIN")
            target.execute("DELETE FROM store")
            target.execute("INSERT INTO store VALUES (?)", (new_id,))
            for number, owner in enumerate(self.owners):
                target.execute(
                    "INSERT OR REPLACE INTO effects VALUES (?, ?, ?)", (number, owner, self.totals.get(owner, 0))
                )
            target.execute("COMMIT")
        if self.own is not None:
            self._copy_own(path)

    def _copy_own(self, path: str) -> None:
        assert self.own is not None
        name = f"store_{os.urandom(4).hex()}"  # after a full disk one may not be let go
        self.own.execute(f"ATTACH ? AS {name}", (path,))
        try:
            self.own.execute(f"PRAGMA {name}.journal_mode = OFF")
            self.own.execute(f"PRAGMA {name}.synchronous = OFF")
            self.own.execute("BEGIN")
            for number in range(len(self.owners)):
                self.own.execute(
                    f"INSERT OR REPLACE INTO {name}.entities_{number} SELECT * FROM main.entities_{number} ORDER BY key"
                )
            self.own.execute("COMMIT")
        finally:
            with contextlib.suppress(sqlite3.Error):
                if self.own.in_transaction:
                    self.own.execute("ROLLBACK")
                self.own.execute(f"DETACH {name}")


def _connect(path: str) -> sqlite3.Connection:
    """A file of this process alone, which is synced once if at all."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = OFF", "synchronous = OFF", "cache_size = -4000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _tables(number: int) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS entities_{number} (key INTEGER PRIMARY KEY, serial INTEGER NOT NULL, "
        "waiting INTEGER NOT NULL, record BLOB NOT NULL);"
        f"CREATE INDEX IF NOT EXISTS waiting_{number} ON entities_{number} (serial) WHERE waiting > 0;"
    )


def require_place(model: str | os.PathLike[str]) -> None:
    """Raise ModelError if a model with a store could not be saved there."""
    model = os.fspath(model)
    if inherited(model) is not None or (os.path.exists(model) and not os.path.isfile(model)):
        raise ModelError(
            f"{model}: with --entity_limit a model has a file with its entities beside it, so it can't be a pipe or a "
            "device; name a regular file"
        )
    for path in (place(model), place(model) + ".new"):
        model_file.require_writable(path)
        with contextlib.suppress(FileNotFoundError):
            if not is_store(_head(path)):
                raise ModelError(f"{path}: is no store of entities, and would be replaced; choose another -f")


def discard(model: str | os.PathLike[str]) -> None:
    """Remove the store that a model which was replaced by one without leaves behind."""
    model = os.fspath(model)
    with contextlib.suppress(OSError, ModelError), locked(os.path.dirname(place(model)), model):
        if "entities" not in model_file.open(model).metadata:
            for path in (place(model), place(model) + ".new"):
                with contextlib.suppress(FileNotFoundError):
                    if is_store(_head(path)):
                        os.unlink(path)


def _settle(model: str) -> None:
    """The end of a save, or of one that was killed: the new store goes to its place if the model in place names it."""
    new = place(model) + ".new"
    with contextlib.suppress(OSError, ModelError):  # and then it stays where it is, and is found there
        store = StoreFile(new)
        if os.path.exists(model) and model_file.open(model).metadata.get("entities") == store.id:
            os.replace(new, place(model))
        else:
            os.unlink(new)
        _sync(os.path.dirname(new))


@contextlib.contextmanager
def locked(folder: str, model: str) -> Iterator[None]:
    """Keep other savers out of a folder; raise ModelError if one of them takes too long."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:  # may be written to but not read, and so not locked
        yield
        return
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise ModelError(
                        f"{model}: not saved, and any older model there is unchanged: another process has been saving "
                        f"a model in this folder for {PATIENCE:g} seconds; wait for it and try again"
                    ) from None
                time.sleep(0.02)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _sync(path: str) -> None:
    """Have a file or folder on the disk itself; where a folder can't be, a power cut may bring the old model back."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        if not os.path.isdir(path):
            raise


@contextlib.contextmanager
def _trouble(path: str, what: str) -> Iterator[None]:
    """Turn what SQLite and the system report into a ModelError."""
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
