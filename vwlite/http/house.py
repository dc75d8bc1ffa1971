"""All models of a server, and the journal that they share: found, taught and saved here.

Design:
a) A folder for each model, named as it is; in it the checkpoint, and the model that was there before it was replaced.
   A new folder appears complete, and a deleted one goes at once, so that a crash leaves either.
b) The journal has what all models have learned. An entry names the model by its identity, not by its name: what was
   learned by a model that is deleted is no part of the next one of that name.
c) A model that was not used lately is saved and leaves memory. It comes back when it is asked for.
d) Everything but commits and saves runs in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vwlite.daemon.journal import Journal, lock
from vwlite.daemon.log import Log
from vwlite.daemon.saving import Saving
from vwlite.errors import VwliteError
from vwlite.http.commits import Commits
from vwlite.http.entries import Entry, Header
from vwlite.http.known import Known, find_all, same_place
from vwlite.http.maker import Maker
from vwlite.http.memory import Memory
from vwlite.http.model import ERROR, Model
from vwlite.http.problems import Problem
from vwlite.http.records import Label
from vwlite.http.recovery import recover
from vwlite.http.state import State

if TYPE_CHECKING:
    from vwlite.http.settings import Settings

OFTEN = 600.0  # seconds between checkpoints of a model that learns, unless --autosave says otherwise
SEGMENT = 1 << 26  # bytes of the journal after which a new segment begins
LARGE = 1 << 28  # bytes of the journal after which checkpoints are due


class House:
    """The models of a server.

    Args:
        settings: Of the server.
        log: The log of events.

    Raises:
        VwliteError: If the folder can't be used, or what is in it is damaged.
    """

    def __init__(self, settings: Settings, log: Log) -> None:  # noqa: DOC503
        self.settings, self.log = settings, log
        self.known: dict[str, Known] = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.journal: Journal | None = None
        self.began = time.time()
        self.begun_bytes = self.begun_entry = 0  # of the journal's segment
        self.memory = Memory(self)
        self.maker = Maker(self, self.memory)
        self.changed: list[Callable[[str, Model, dict[str, Any]], None]] = []  # called with what happens to models
        folder = settings.folder
        if folder is not None:
            for each in (folder, os.path.join(folder, "models")):
                os.makedirs(each, mode=0o700, exist_ok=True)
        path = "" if folder is None else os.path.join(folder, "waiting.db")
        self.ending = False
        self.discarding: asyncio.Future[None] | None = None
        self.lock: int | None = None
        try:
            if folder is not None:
                if settings.journal is None or not same_place(settings.journal, folder):
                    self.lock, _ = lock(folder)
                if settings.journal is not None:
                    self.journal = Journal(settings.journal)
            self.state = State(path, settings.id_life, settings.max_ids)
            self.commits = Commits(self.journal, self.state, log)
            if folder is not None:
                self.known.update(find_all(self.folder(""), self.journal))
                if self.journal is not None:
                    self.state.follow(self.journal.id)
                    recover(self, self.memory, self.journal)
        except BaseException:
            if self.journal is not None:
                self.journal.close()
            self.unlock()
            raise

    def unlock(self) -> None:
        """Lets another process use the folder."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    # at the start

    def folder(self, name: str) -> str:
        """The folder of a model."""
        assert self.settings.folder is not None
        return os.path.join(self.settings.folder, "models", name)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to serve."""
        self.loop = loop
        self.commits.start(loop)
        for each in self.known.values():
            if each.saving is not None:
                each.saving.loop = loop
        self.memory.make_room("")

    # finding

    def names(self) -> list[str]:
        """The names of all models."""
        return sorted(self.known)

    def find(self, name: Any) -> Model:
        """The model of a name, loaded if it is not in memory. Raises Problem if there is none."""
        known = self.known.get(name) if isinstance(name, str) else None
        if known is None:
            if not isinstance(name, str):
                raise Problem(400, "the name of a model is expected in 'model'", "/model")
            there = ", ".join(self.names()[:10]) or "none yet"
            raise Problem(404, f"no model named {name!r}; there are: {there}")
        model = known.model
        if model is None:
            try:
                model = self.memory.load(name)
            except VwliteError as error:
                self.log.error("a model can't be loaded", model=name, why=str(error))
                raise Problem(500, f"the file of {name!r} can't be loaded: see the log of the server") from error
            self.memory.make_room(name)
        model.used = time.monotonic()
        return model

    def saves(self, name: str) -> bool:
        """Whether a save of a model is running."""
        known = self.known.get(name)
        return known is not None and known.saving is not None and bool(known.saving.jobs)

    async def saved(self, name: str) -> None:
        """Waits until no save of a model runs: it would end in the folder of the next model of that name."""
        while self.saves(name):
            await asyncio.sleep(0.01)

    # learning

    def learn(
        self,
        model: Model,
        lines: Sequence[bytes],
        labels: Sequence[Label],
        header: Header | None = None,
        effects: Callable[[State], None] | None = None,
    ) -> tuple[list[bytes], int]:
        """Learns labelled examples, and predicts for others.

        Args:
            model: The model.
            lines: Complete examples in VW's text.
            labels: Their labels, for the metrics; None for an example without one.
            header: What the journal has to know beside the examples.
            effects: What to do to the state when they are in the journal, unless all of them were refused.

        Returns:
            The answers; and the entry of the journal that has to be committed before they are sent, 0 for none.

        Raises:
            Problem: If the journal can't be written.
        """
        if model.gone:
            raise Problem(404, f"the model {model.name!r} was deleted or replaced meanwhile")
        self.commits.require(effects is not None)
        answers = model.run(lines)
        self.log_remarks(model)
        model.score(labels, answers if header is None or not header.answers else header.answers)
        model.names.read(lines, model.examples)
        model.failures += model.errors
        entry = self.note(model, header or Header(model.uid), model.engine.take_learned())
        if effects is not None and not all(answer.startswith(ERROR) for answer in answers):
            self.commits.after(entry, effects)
        return answers, entry

    def note(self, model: Model, header: Header, learned: bytes) -> int:
        """Appends what a model has learned to the journal; returns the number of the entry, 0 without one."""
        model.note_loss()
        if self.journal is None or not learned:
            return 0
        header.labels = model.kind.state() or None
        model.entry = self.journal.append(Entry.write(header, learned))
        return model.entry

    def log_remarks(self, model: Model) -> None:
        """Logs what the model has to say of the data."""
        for number, before, after in model.engine.drift.events() if model.engine.drift is not None else ():
            self.log.warning("drift", model=model.name, example=number, loss_before=before, loss_after=after)
        while model.engine.remarks:
            self.log.warning(model.engine.remarks.pop(0), model=model.name)

    def tell(self, what: str, model: Model, **about: Any) -> None:
        """Tells those who listen what happens to a model."""
        for listener in self.changed:
            listener(what, model, about)

    # saving

    def tick(self) -> None:
        """Once a second: begins what is due, of saves and of segments of the journal; and the state's own work."""
        self.commits.retry()
        journal = self.journal
        now = time.monotonic()
        self.memory.make_room("")
        loaded = [each for each in self.known.values() if each.saving is not None]
        if journal is not None and journal.written - self.begun_bytes > SEGMENT:
            self.begun_bytes, self.begun_entry = journal.written, journal.rotate()
        if any(each.saving is not None and each.saving.jobs for each in loaded):
            return
        due = [each for each in loaded if each.saving is not None and self.is_due(each.saving, now)]
        if due:
            first = min(due, key=lambda each: each.saving.begun_at if each.saving is not None else 0.0)
            assert first.saving is not None
            first.saving.begun_at = now
            first.saving.save_itself()

    def is_due(self, saving: Saving, now: float) -> bool:
        """Whether a model has to be saved."""
        if not saving.changed():
            return False
        often, examples = self.settings.autosave or OFTEN, self.settings.autosave_examples
        if examples is not None:
            more = saving.server.engine.driver.counters.example_number - saving.begun_examples
            if more >= examples:
                return True
        large = self.journal is not None and self.journal.written - saving.begun_bytes > LARGE
        return large or now - saving.begun_at >= often

    def ask_trim(self) -> None:
        """Lets the journal delete what no model needs any more; called in any thread."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.trim)

    def trim(self) -> None:
        """Deletes the segments of the journal that no model needs any more."""
        if self.journal is None or self.loop is None or self.ending:
            return
        needed = [
            each.saving.saved_entry for each in self.known.values() if each.saving is not None and each.saving.changed()
        ]
        upto = min([*needed, self.journal.last, self.commits.settled()])
        self.discarding = self.loop.run_in_executor(None, self.discard, upto)

    def discard(self, upto: int) -> None:
        """Deletes old segments; runs in another thread."""
        try:
            if self.journal is not None:
                self.state.flush_log()  # what follows from these entries has to be on disk before they go
                self.journal.discard(upto)
        except (VwliteError, sqlite3.Error) as error:
            self.log.warning("old segments of the journal can't be deleted", why=str(error))

    async def end(self) -> None:
        """Saves what has changed, and closes the files. Raises VwliteError."""
        self.ending = True
        trouble: VwliteError | None = None
        for name, each in self.known.items():
            if each.saving is None or not (each.saving.changed() or each.saving.jobs):
                continue
            try:
                await each.saving.end()
            except VwliteError as error:  # the other models have to be saved, too
                self.log.error("not saved", model=name, why=str(error))
                trouble = error
        if self.discarding is not None:  # the next server must not meet half of it
            await self.discarding
        if self.journal is not None:
            self.journal.close()
            self.commits.note()
        self.commits.retry()
        self.state.close()
        self.unlock()
        if trouble is not None:
            raise trouble
