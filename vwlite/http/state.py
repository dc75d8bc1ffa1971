"""State beside the models, in SQLite: predictions that wait for their labels, and answers to requests with a key.

Design:
a) A remembered prediction is committed before it is answered, without a sync: it survives kill -9, and a power failure
   may lose the last ones. That a label was learned is in the journal; this file follows it. `applied` is the last
   entry of the journal whose effects are in it, committed with them, so after a crash the later ones are applied again.
b) Rows are numbered in order of time, and the oldest go first: by age, or if there are too many.
c) A row whose label was learned stays, without its content, until it would have expired: to say that it was used.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from vwlite.errors import VwliteError

VERSION = 1
KEY_LIFE = 86400.0  # seconds that a key of a request is known
LARGEST_ANSWER = 1 << 16  # bytes of an answer that is stored for a repeated request
AT_ONCE = 2000  # rows that are deleted in one go

TABLES = """
create table waiting(
    n integer primary key, id text not null unique, model text not null, at real not null,
    example blob, prediction blob);
create table keys(
    n integer primary key, key text not null, model text not null, at real not null,
    digest blob not null, done integer not null, status integer not null, answer blob, unique(model, key));
create table applied(entry integer not null, journal text not null);
insert into applied values(0, '');
"""


class Waiting(NamedTuple):
    """A prediction that was remembered.

    Args:
        model: The identity of the model.
        at: When, in seconds since 1970.
        example: What was predicted for; None if its label was learned.
        prediction: The answer.
    """

    model: str
    at: float
    example: bytes | None
    prediction: bytes | None


@dataclass
class Request:
    """A request with a key.

    Args:
        digest: Of its body.
        done: How many of its examples were learned.
        status: Of the answer; 0 before there is one.
        answer: Its body; None if it is too large to be stored.
    """

    digest: bytes
    done: int = 0
    status: int = 0
    answer: bytes | None = None


class State:
    """The database.

    Args:
        path: The file; "" for a temporary one.
        life: Seconds that a prediction waits for its label.
        most: The most predictions that wait; the oldest are dropped for new ones.
        now: The clock.

    Raises:
        VwliteError: If the file is no such database.
    """

    def __init__(
        self, path: str, life: float = 7 * 86400.0, most: int = 1_000_000, now: Callable[[], float] = time.time
    ) -> None:
        self.path, self.life, self.most, self.now = path, life, most, now
        try:
            if path:  # only the owner of the process may read it: it has what clients sent
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            version = self.db.execute("pragma user_version").fetchone()[0]
            self.db.execute("pragma journal_mode=wal")
            self.db.execute("pragma synchronous=normal")
            self.db.execute("pragma wal_autocheckpoint=0")  # another thread does that: see flush_log()
            if version == 0:
                self.db.executescript(f"begin; {TABLES} pragma user_version={VERSION}; commit;")
            elif version != VERSION:
                raise VwliteError(f"{path}: was written by another version of vwlite ({version})")
            self.count: int = self.db.execute("select count(*) from waiting").fetchone()[0]
            self.entry, self.journal = self.db.execute("select entry, journal from applied").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise VwliteError(f"{path}: can't be used for predictions that wait for labels: {error}") from error
        self.open = False  # a transaction is

    def begin(self) -> None:
        """Begins a transaction, unless one is open."""
        if not self.open:
            self.db.execute("begin")
            self.open = True

    def commit(self) -> None:
        """Commits what was changed. Raises sqlite3.Error if that fails, and then nothing is changed."""
        if self.open:
            try:
                self.db.execute("commit")
            except sqlite3.Error:
                self.roll_back()
                raise
            self.open = False

    def roll_back(self) -> None:
        """Takes back what was not committed."""
        if self.open:
            with contextlib.suppress(sqlite3.Error):
                self.db.execute("rollback")
            self.open = False
            self.count = self.db.execute("select count(*) from waiting").fetchone()[0]

    # predictions that wait for their labels

    def remember(self, identifier: str, model: str, example: bytes, prediction: bytes) -> bool:
        """Stores a prediction, uncommitted; returns whether the identifier was new. Raises sqlite3.Error."""
        self.begin()
        try:
            self.db.execute(
                "insert into waiting(id, model, at, example, prediction) values(?, ?, ?, ?, ?)",
                (identifier, model, self.now(), example, prediction),
            )
        except sqlite3.IntegrityError:
            return False
        self.count += 1
        if self.count > self.most:
            self.count -= self.delete("waiting", "1", (), self.count - self.most)
        return True

    def find(self, identifier: str) -> Waiting | None:
        """The prediction with an identifier; None if there is none, or it is long gone."""
        row = self.db.execute("select model, at, example, prediction from waiting where id=?", (identifier,)).fetchone()
        return None if row is None else Waiting(*row)

    def is_expired(self, found: Waiting) -> bool:
        """Whether a prediction has waited for too long."""
        return self.now() - found.at > self.life

    def use(self, identifiers: Iterable[str]) -> None:
        """Marks predictions as used, uncommitted."""
        self.begin()
        self.db.executemany(
            "update waiting set example=null, prediction=null where id=?", ((each,) for each in identifiers)
        )

    def forget_model(self, model: str) -> None:
        """Deletes what belongs to a model, and commits."""
        self.begin()
        self.count -= self.db.execute("delete from waiting where model=?", (model,)).rowcount
        self.db.execute("delete from keys where model=?", (model,))
        self.commit()

    def expire(self) -> bool:
        """Deletes some of what is too old, and commits; returns whether there is more."""
        self.begin()
        gone = self.delete("waiting", "at < ?", (self.now() - 2 * self.life,), AT_ONCE)
        self.count -= gone
        keys = self.delete("keys", "at < ?", (self.now() - KEY_LIFE,), AT_ONCE)
        self.commit()
        return AT_ONCE in (gone, keys)

    def delete(self, table: str, where: str, values: tuple[float, ...], most: int) -> int:
        """Deletes the oldest rows for which a condition holds; returns how many."""
        chosen = f"select n from {table} where {where} order by n limit ?"
        if where != "1":  # rows are in order of time, so the oldest decide
            chosen = f"select n from (select n, at from {table} order by n limit ?) where {where}"
            values = (most, *values)
        else:
            values = (most,)
        return self.db.execute(f"delete from {table} where n in ({chosen})", values).rowcount

    # requests with a key

    def request(self, model: str, key: str) -> Request | None:
        """What is known of a request; None if the key is new."""
        row = self.db.execute(
            "select digest, done, status, answer from keys where model=? and key=?", (model, key)
        ).fetchone()
        return None if row is None else Request(*row)

    def note_request(self, model: str, key: str, request: Request) -> None:
        """Stores what was done of a request, uncommitted."""
        self.begin()
        answer = request.answer if request.answer is None or len(request.answer) <= LARGEST_ANSWER else None
        self.db.execute(
            "insert into keys(key, model, at, digest, done, status, answer) values(?, ?, ?, ?, ?, ?, ?) "
            "on conflict(model, key) do update set done=excluded.done, status=excluded.status, answer=excluded.answer",
            (key, model, self.now(), request.digest, request.done, request.status, answer),
        )

    # the journal

    def apply(self, entry: int) -> None:
        """Notes that the effects of the journal's entries up to this one are here, uncommitted."""
        if entry > self.entry:
            self.begin()
            self.db.execute("update applied set entry=?", (entry,))
            self.entry = entry

    def follow(self, journal: str) -> None:
        """Notes which journal this follows; with another one, numbering begins anew."""
        if journal != self.journal:
            self.begin()
            self.db.execute("update applied set entry=0, journal=?", (journal,))
            self.entry, self.journal = 0, journal
            self.commit()

    def flush_log(self) -> None:
        """Moves SQLite's log into the file; to be called in another thread, as it waits for the disk."""
        if not self.path:
            return
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("pragma busy_timeout=0")
            db.execute("pragma wal_checkpoint(passive)")

    def close(self) -> None:
        """Commits and closes."""
        self.commit()
        self.db.close()
