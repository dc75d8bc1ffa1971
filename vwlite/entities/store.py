"""Entity store on disk (SQLite), for --entity_limit: the loaded model's store, and a private file of changed entities.

a) The file beside a model (store_file.py) is never changed, only replaced, like the model itself. A run reads it, and
   writes evicted entities to a private file without a name, which is deleted with the process.
b) A model and its store are saved together: the new store is built under another name and renamed to
   ``MODEL.entities.new``; the model, which names its store's id and sha256, is renamed into place; then the store is.
   If this is interrupted at any point, the model in place finds its store as ``MODEL.entities`` or ``.entities.new``.
c) Savers wait for each other (a lock on the folder, released with its process). Readers never wait: their open files
   stay valid.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, NoReturn

from vwlite.core.files import Temporary, state, sync_folder
from vwlite.core.learner import walk
from vwlite.core.paths import inherited
from vwlite.entities.backoff import Backoff, EntityGate
from vwlite.entities.store_file import (
    APPLICATION,
    COLUMNS,
    VERSION,
    Row,
    StoreFile,
    digest,
    head,
    is_store,
    opened,
    place,
    tables,
    trouble,
)
from vwlite.errors import ModelError
from vwlite.model import model_file

PATIENCE = 60.0  # seconds to wait for another process that saves in the same folder
KEYS_AT_ONCE = 1000
UNKEPT = "cannot keep entities there for --entity_limit"
UNREAD = "cannot read the entities there"
UNSAVED = "not saved, and any older model there is unchanged"


class EntityStore:
    """Store of the entities of one run that are not in memory: those of the loaded model, and evicted changed ones.

    Args:
        folder: Folder of the private file; None for the system's temporary folder.
        base: Store of the loaded model, if it has one.

    Attributes:
        backoff: Exponential backoff of failed writes.
        strict: Raise the first error instead of backoff.

    Methods raise ModelError if the disk is full or a file is damaged. A failed write changes nothing, and succeeds
    later if there is space.
    """

    def __init__(self, folder: str | None, base: StoreFile | None) -> None:
        self.folder = folder if folder is not None and os.path.isdir(folder) else tempfile.gettempdir()
        self.base = base
        self.owners = [] if base is None else sorted(base.numbers, key=base.numbers.__getitem__)
        self.totals = {} if base is None else dict(base.totals)
        self.own: sqlite3.Connection | None = None
        self.failed: ModelError | None = None
        self.backoff = Backoff()
        self.strict = False

    def __del__(self) -> None:
        if self.own is not None:
            self.own.close()

    def refuse(self, what: str) -> NoReturn:
        """Raise a ModelError about invalid data in the store."""
        if self.base is None:
            raise ModelError(f"{self.folder}: the entities stored there for --entity_limit are damaged: {what}")
        self.base.refuse(what)

    def add(self, owner: str) -> int:
        """Register an effect; returns the number of its table."""
        if owner not in self.owners:
            self.owners.append(owner)
        return self.owners.index(owner)

    def gate(self, top: Any) -> EntityGate:
        """Gate that stops a stack from learning while its tables can accept no further entity."""
        effects: list[Any] = [effect for learner in walk(top) if not learner.copied for effect in learner.beside]
        return EntityGate(self.backoff, [effect.table for effect in effects])

    def count(self, number: int, total: int) -> None:
        """Set the number of entities of an effect, before a save."""
        self.totals[self.owners[number]] = total

    def read(self, number: int, key: int) -> tuple[int, bytes, bool] | None:
        """Read one entity: its serial, its record, and whether this process wrote it; None if it does not exist."""
        if self.failed is not None:
            raise self.failed
        if self.own is not None:
            with trouble(self.folder, UNKEPT):
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
        """Write entities, which replace older states of the same."""
        if self.failed is not None:
            raise self.failed
        try:
            with trouble(self.folder, UNKEPT):
                if self.own is None:
                    self.own = self._make_own()
                if not self.own.in_transaction:  # as after a KeyboardInterrupt
                    self.own.execute("BEGIN")
                self.own.executemany(f"INSERT OR REPLACE INTO entities_{number} VALUES (?, ?, ?, ?)", rows)
                self.own.execute("COMMIT")
        except ModelError as error:
            try:
                if self.own is not None and self.own.in_transaction:
                    self.own.execute("ROLLBACK")
            except sqlite3.Error:
                self.failed = error  # the content of the file is undefined now
            raise

    def rows(self, number: int) -> Iterator[tuple[int, int, int, bytes, bool]]:
        """All entities of an effect, in the order of their first examples, and whether this process wrote them."""
        streams: list[Iterator[tuple[int, int, int, bytes, bool]]] = []
        if self.own is not None:
            streams.append((*row, True) for row in self._own_rows(self.own, number))
        if self.base is not None:
            streams.append((*row, False) for row in self.base.rows(self.owners[number]))
        # An entity has the same serial in both; that of the first stream is yielded first.
        for _, same in groupby(merge(*streams, key=itemgetter(1)), key=itemgetter(1)):
            yield next(same)

    def _own_rows(self, own: sqlite3.Connection, number: int) -> Iterator[Row]:
        with trouble(self.folder, UNREAD):
            yield from own.execute(f"SELECT {COLUMNS} FROM entities_{number} ORDER BY serial")

    def waiting(self, number: int) -> Iterator[int]:
        """Keys of the entities that have, or in an older state had, pending examples, in the order of rows().

        Entities may be written during the iteration.
        """
        query = (
            f"SELECT key, serial FROM entities_{number} WHERE waiting > 0 AND serial > ? "
            f"ORDER BY serial LIMIT {KEYS_AT_ONCE}"
        )
        last = -1
        while True:
            found: set[tuple[int, int]] = set()
            if self.own is not None:
                with trouble(self.folder, UNREAD):
                    found.update((serial, key) for key, serial in self.own.execute(query, (last,)))
            if self.base is not None and number < len(self.base.numbers):
                with self.base.trouble():
                    rows = self.base.connection.execute(query, (last,)).fetchall()
                if not all(type(key) is type(serial) is int for key, serial in rows):
                    self.base.refuse("a row of its entities has values of wrong types")
                found.update((serial, key) for key, serial in rows)
            if not found:
                return
            # Beyond these, LIMIT may have cut off one of the two lists.
            for serial, key in sorted(found)[:KEYS_AT_ONCE]:
                yield key
                last = serial

    def _make_own(self) -> sqlite3.Connection:
        temporary = Temporary(self.folder, mode=0o600)
        try:
            own = _connect(temporary.path, journal="MEMORY")
            try:
                own.executescript("".join(tables(number) for number in range(len(self.owners))))
            except BaseException:
                own.close()
                raise
        finally:
            temporary.remove()
        return own

    @contextlib.contextmanager
    def saved(self, model: str | os.PathLike[str]) -> Iterator[dict[str, str]]:
        """Save the store beside a model: the body writes the model, with the yielded "entities" in its metadata.

        Atomic: afterwards the model has this store, or, if the body raises or the process is killed, its old one.
        """
        model = os.fspath(model)
        require_place(model)
        target = place(model)
        folder = os.path.dirname(target)
        new_id = os.urandom(8).hex()
        with trouble(target, UNSAVED):
            temporary = Temporary(folder, state(target))
        try:
            with trouble(target, UNSAVED):
                self._build(temporary.path, new_id)
                os.fsync(temporary.fd)
                with opened(temporary.path) as file:
                    named = {"id": new_id, "sha256": digest(temporary.path, file)}
            with locked(folder, model):
                _settle(model)
                with trouble(target, UNSAVED):
                    temporary.place(target + ".new")
                    sync_folder(folder)
                try:
                    yield named
                finally:
                    _settle(model)
        finally:
            temporary.remove()

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
            target.executescript("".join(tables(number) for number in range(len(self.owners))))
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
        name = f"store_{os.urandom(4).hex()}"  # unique, as DETACH may fail after a full disk
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
            for statement in ("ROLLBACK",) * self.own.in_transaction + (f"DETACH {name}",):
                with contextlib.suppress(sqlite3.Error):
                    self.own.execute(statement)


def _connect(path: str, journal: str = "OFF") -> sqlite3.Connection:
    """Open a private database, synced at most once; without a journal, an error leaves it undefined."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("locking_mode = EXCLUSIVE", f"journal_mode = {journal}", "synchronous = OFF", "cache_size = -4000"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


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
            if not is_store(head(path)):
                raise ModelError(f"{path}: is no store of entities, and would be replaced; choose another -f")


def discard(model: str | os.PathLike[str]) -> None:
    """Delete the old store of a model that was replaced by one without a store."""
    model = os.fspath(model)
    with contextlib.suppress(OSError, ModelError), locked(os.path.dirname(place(model)), model):
        if "entities" not in model_file.open(model).metadata:
            for path in (place(model), place(model) + ".new"):
                with contextlib.suppress(FileNotFoundError):
                    if is_store(head(path)):
                        os.unlink(path)


def _settle(model: str) -> None:
    """Complete a save, also one that was killed: rename the new store into place if the model in place names it."""
    new = place(model) + ".new"
    with contextlib.suppress(OSError, ModelError):  # on failure the store is found under its new name
        store = StoreFile(new)
        named = model_file.open(model).metadata.get("entities") if os.path.exists(model) else None
        if named is not None and named["id"] == store.id:
            os.replace(new, place(model))
        else:
            os.unlink(new)
        sync_folder(os.path.dirname(new))


@contextlib.contextmanager
def locked(folder: str, model: str) -> Iterator[None]:
    """Lock a folder against other savers; raise ModelError if one of them takes too long."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:  # writable but not readable, so it can't be locked
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
