"""All models of a server: made, loaded, saved, replaced and deleted, with the journal that they share.

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
import contextlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vwlite.core.files import sweep
from vwlite.daemon.journal import Journal, lock
from vwlite.daemon.log import Log
from vwlite.daemon.saving import CHECKPOINT, ENTITIES, Saving
from vwlite.daemon.segment import sync
from vwlite.errors import ModelError, VwliteError
from vwlite.http.checkpoints import saving_of
from vwlite.http.commits import Commits
from vwlite.http.engines import engine_of, with_defaults, words_of
from vwlite.http.entries import Entry, Header
from vwlite.http.model import ERROR, Model
from vwlite.http.problems import Problem
from vwlite.http.records import Label
from vwlite.http.recovery import recover
from vwlite.http.state import State
from vwlite.model import model_file

if TYPE_CHECKING:
    from vwlite.http.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PREVIOUS = "previous.model"
BEFORE = "before-"  # beginnings of the names of files of models that were replaced
NEW, OLD = ".new-", ".old-"  # beginnings of the names of folders that are made or deleted
OFTEN = 600.0  # seconds between checkpoints of a model that learns, unless --autosave says otherwise
SEGMENT = 1 << 26  # bytes of the journal after which a new segment begins
AT_ONCE = 4  # saves of models that leave memory: each is a copy of the process
LARGE = 1 << 28  # bytes of the journal after which checkpoints are due


@dataclass
class Known:
    """A model that has a folder, in memory or not.

    Args:
        uid: Its identity.
        entry: The journal's last entry in its checkpoint.
        journal: The identifier of the journal of its checkpoint; "" without one.
        card: What it is, as of the checkpoint.
        model: The model, if it is in memory.
        saving: Its saves, if it is in memory and has a folder.
    """

    uid: str
    entry: int = 0
    journal: str = ""
    card: dict[str, Any] = field(default_factory=dict)
    model: Model | None = None
    saving: Saving | None = None


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
        self.previous: dict[str, bytes] = {}  # what was there before a model was replaced, of models without a folder
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
                self.find_all()
                if self.journal is not None:
                    self.state.follow(self.journal.id)
                    recover(self, self.journal)
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

    def find_all(self) -> None:
        """Finds the models on disk."""
        top = self.folder("")
        for name in sorted(os.listdir(top)):
            path = os.path.join(top, name)
            if name.startswith((NEW, OLD)):
                shutil.rmtree(path, ignore_errors=True)
            elif NAME.fullmatch(name) and os.path.isdir(path):
                sweep(path)
                self.known[name] = self.look(os.path.join(path, CHECKPOINT))

    def look(self, path: str) -> Known:
        """What a checkpoint says of its model. Raises ModelError."""
        stream = stream_of(model_file.open(path).metadata)
        service = stream.get("service")
        if not isinstance(service, dict) or not isinstance(service.get("uid"), str):
            raise ModelError(f"{path}: is not a model that vwlite serve has saved; upload it instead")
        entry = int(stream.get("entry", 0))
        journal = str(stream.get("id", ""))
        if self.journal is not None and entry and journal != self.journal.id:
            raise ModelError(f"{path}: belongs to another journal than {self.journal.folder}; put that back")
        return Known(service["uid"], entry, journal, dict(service.get("card", {})))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to serve."""
        self.loop = loop
        self.commits.start(loop)
        for each in self.known.values():
            if each.saving is not None:
                each.saving.loop = loop
        self.make_room("")

    # models in memory

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
                model = self.load(name)
            except VwliteError as error:
                self.log.error("a model can't be loaded", model=name, why=str(error))
                raise Problem(500, f"the file of {name!r} can't be loaded: see the log of the server") from error
            self.make_room(name)
        model.used = time.monotonic()
        return model

    def load(self, name: str) -> Model:
        """Loads a model that is on disk. Raises VwliteError."""
        known = self.known[name]
        if known.model is not None:
            return known.model
        path = os.path.join(self.folder(name), CHECKPOINT)
        stream = stream_of(model_file.open(path).metadata)
        service = stream.get("service", {})
        engine = engine_of([], path, flags=stream.get("flags"))
        model = Model(name, known.uid, engine, service)
        model.entry = known.entry
        before = str(service.get("previous", PREVIOUS))
        model.previous = before if os.path.basename(before) == before else ""
        if self.journal is None and known.entry:  # the next server may use the journal again
            engine.stands = {"id": known.journal, "entry": known.entry}
        self.settle(model, known)
        return model

    def settle(self, model: Model, known: Known) -> None:
        """Keeps a model that equals its checkpoint, if it has one."""
        known.model = model
        if self.settings.folder is not None:
            known.saving = saving_of(model, self.folder(model.name), self.journal, self.ask_trim, self.log, self.loop)
            known.saving.saved_entry = known.entry

    def make_room(self, but: str) -> None:
        """Lets models that were not used lately leave memory, once they are saved."""
        if self.settings.folder is None:
            return
        loaded = [(name, each) for name, each in self.known.items() if each.model is not None]
        too_many = len(loaded) - self.settings.max_loaded
        if too_many <= 0:
            return
        loaded.sort(key=lambda pair: pair[1].model.used if pair[1].model is not None else 0.0)
        running = sum(each.saving is not None and bool(each.saving.jobs) for _, each in loaded)
        for name, each in loaded[:too_many]:
            if name == but or each.model is None or each.model.open or each.saving is None or each.saving.jobs:
                continue
            if each.saving.changed():
                if running >= AT_ONCE or self.loop is None:
                    continue
                running += 1
            self.rest(name, each)

    def rest(self, name: str, known: Known) -> None:
        """Lets a model leave memory; a changed one is saved first, and leaves if it wasn't used meanwhile."""
        saving, model = known.saving, known.model
        assert saving is not None and model is not None
        if saving.changed():
            used = model.used

            def saved(trouble: str) -> None:
                """Lets the model leave if nothing has changed since."""
                if trouble:
                    return
                if known.model is model and model.used == used and not saving.changed():
                    self.rest(name, known)
                self.make_room("")

            if not saving.jobs:
                saving.ask(str(saving.path), saved)
        elif not saving.jobs and not model.open:
            known.card = model.card()
            known.entry = max(known.entry, saving.saved_entry)
            known.model = known.saving = None

    # making, replacing and deleting

    def create(
        self,
        name: str,
        flags: str | Sequence[str] = (),
        kind: str | None = None,
        content: bytes | None = None,
        trusted: bool = False,
        notes: Sequence[str] = (),
        steps: dict[str, Any] | None = None,
    ) -> tuple[Model, bool]:
        """Makes a model.

        Args:
            name: Its name.
            flags: Its flags; by default those of the kind.
            kind: What it has to learn.
            content: Instead of flags, a model file.
            trusted: Whether they come from the operator.
            notes: What its maker should know.
            steps: The steps of the pipeline that it stands in for.

        Returns:
            The model, and whether it is new: there may be one already that was made of the same.

        Raises:
            Problem: If it can't be made, or there is another one of that name.
        """
        require_name(name)
        words = [] if content is not None else with_defaults(words_of(flags), kind)
        if name in self.known:
            if content is None and self.find(name).words == words:
                return self.find(name), False
            raise Problem(409, f"there is a model named {name!r} already; delete it first, or replace it")
        if len(self.known) >= self.settings.max_models:
            raise Problem(507, f"there are {len(self.known)} models, as many as --max_models permits: delete some")
        model = self.make(name, words, kind, content, trusted)
        if content is None:  # otherwise the file says it
            model.notes = list(notes)
            model.stand_for(dict(steps or {}))
        self.place(model)
        self.tell("created", model)
        return model, True

    def add(self, model: Model) -> None:
        """Adds a model that is in memory only, as those in Python are. Raises Problem."""
        require_name(model.name)
        if model.name in self.known:
            raise Problem(409, f"there is a model named {model.name!r} already: delete it first")
        model.open += 1  # it stays in memory
        self.known[model.name] = Known(model.uid, model=model)

    def make(
        self,
        name: str,
        words: list[str],
        kind: str | None,
        content: bytes | None,
        trusted: bool,
        path: str | None = None,
    ) -> Model:
        """A model with a new identity, that is nowhere yet: of flags, an upload, or a file here. Raises Problem."""
        service: dict[str, Any] = {}
        if path is not None:
            try:
                stream = stream_of(model_file.open(path).metadata)
                service = dict(stream.get("service", {}))
                engine = engine_of([], path, flags=stream.get("flags"))
            except (VwliteError, Problem) as error:
                self.log.error("a model can't be loaded", model=name, why=str(error))
                raise Problem(500, f"the file before {name!r} can't be loaded: see the log of the server") from error
        elif content is None:
            engine = engine_of(words, trusted=trusted)
        else:
            from tempfile import TemporaryDirectory

            try:
                given = stream_of(model_file.from_bytes("the upload", content).metadata).get("service")
                service = dict(given) if isinstance(given, dict) else {}
                with TemporaryDirectory() as folder:
                    path = os.path.join(folder, "upload.model")
                    with open(path, "wb") as file:
                        file.write(content)
                    engine = engine_of([], path, trusted=False)
            except (VwliteError, Problem) as error:
                raise Problem(400, re.sub(r"\S*/upload\.model", "the upload", str(error))) from None
        model = Model(name, os.urandom(8).hex(), engine, service)
        if kind is not None and model.kind.name != kind:
            raise Problem(400, f"this makes a model of the kind {model.kind.name!r}, not {kind!r}", "/kind")
        model.words = words or model.words
        model.used = time.monotonic()
        return model

    def place(self, model: Model) -> None:
        """Gives a new model its folder."""
        known = Known(model.uid)
        if self.settings.folder is not None:
            model.entry = known.entry = 0 if self.journal is None else self.journal.last
            target = self.folder(model.name)
            new = self.folder(f"{NEW}{model.uid}")
            try:
                with refused("can't be saved", self.log):
                    os.makedirs(new, mode=0o700)
                    self.save_to(model, os.path.join(new, CHECKPOINT))
                    os.rename(new, target)
                    sync(self.folder(""))
            except Problem:
                shutil.rmtree(new, ignore_errors=True)
                raise
        self.known[model.name] = known
        self.settle(model, known)
        self.make_room(model.name)

    def save_to(self, model: Model, path: str) -> None:
        """Saves a model with its place in the journal. Raises VwliteError."""
        stream: dict[str, Any] = {"flags": model.engine.flags}
        if self.journal is not None:
            stream |= {"id": self.journal.id, "entry": model.entry}
        model.engine.save(path, stream)

    def content(self, model: Model) -> bytes:
        """The bytes of a model file. Raises Problem."""
        from tempfile import TemporaryDirectory

        with refused("can't be saved", self.log), TemporaryDirectory() as folder:
            path = os.path.join(folder, "m")
            model.engine.save(path)
            if os.path.exists(path + ENTITIES):
                raise Problem(409, "a part of this model is in a second file (--entity_limit): there is no single one")
            with open(path, "rb") as file:
                return file.read()

    def replace(self, name: str, content: bytes, kind: str | None = None) -> Model:
        """Replaces a model by an uploaded file; the one before is kept for roll_back(). Raises Problem."""
        old = self.find(name)
        model = self.make(name, [], kind, content, trusted=False)
        self.exchange(old, model)
        return model

    def exchange(self, old: Model, model: Model) -> None:
        """Puts a model in the place of another one, which is kept as the one before.

        That is done when the checkpoint is in its place, which names the file of the one before.
        """
        known = Known(model.uid)
        if self.settings.folder is not None:
            model.entry = known.entry = 0 if self.journal is None else self.journal.last
            model.previous = f"{BEFORE}{old.uid}.model"
            folder = self.folder(model.name)
            with refused("can't be saved", self.log):
                self.save_to(old, os.path.join(folder, model.previous))
                self.save_to(model, os.path.join(folder, CHECKPOINT))
            for each in os.listdir(folder):
                if each.startswith((BEFORE, PREVIOUS)) and not each.startswith(model.previous):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, each))
        else:
            self.previous[model.name] = self.content(old)
        old.gone = True
        self.forget(old.uid)
        self.known[model.name] = known
        self.settle(model, known)
        self.tell("replaced", model)

    def forget(self, uid: str) -> None:
        """Deletes what waits for the labels of a model that is gone. If that fails, it goes when it has expired."""
        try:
            self.state.forget_model(uid)
        except sqlite3.Error as error:
            self.state.roll_back()
            self.log.warning("what waits for the labels of a model that is gone can't be deleted yet", why=str(error))

    def roll_back(self, name: str) -> Model:
        """Exchanges a model and the one that was there before it was replaced. Raises Problem."""
        old = self.find(name)
        content = path = None
        if self.settings.folder is None:
            content = self.previous.get(name)
        elif old.previous:
            path = os.path.join(self.folder(name), old.previous)
        if content is None and (path is None or not os.path.exists(path)):
            raise Problem(409, f"{name!r} was never replaced: there is no model before it")
        model = self.make(name, [], None, content, False, path)
        self.exchange(old, model)
        return model

    def delete(self, name: str) -> None:
        """Deletes a model. Raises Problem."""
        if name not in self.known:
            self.find(name)
        known = self.known[name]
        if self.settings.folder is not None and os.path.isdir(self.folder(name)):
            old = self.folder(f"{OLD}{known.uid}")
            with refused("can't be deleted", self.log):
                os.rename(self.folder(name), old)
                sync(self.folder(""))
            shutil.rmtree(old, ignore_errors=True)
        del self.known[name]
        self.previous.pop(name, None)
        if known.model is not None:
            known.model.gone = True
            self.tell("deleted", known.model)
        self.forget(known.uid)

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
        self.make_room("")
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


def stream_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a model file says beside the model; empty if it says nothing."""
    stream = metadata.get("stream")
    return stream if isinstance(stream, dict) else {}


def require_name(name: str) -> None:
    """Raises Problem for what can't be the name of a model."""
    if not NAME.fullmatch(name):
        raise Problem(400, "the name of a model is 1 to 128 letters, digits, '.', '_' and '-', and begins with no sign")


def same_place(one: str, other: str) -> bool:
    """Whether two paths are those of one folder."""
    return os.path.realpath(one) == os.path.realpath(other)


class refused:  # noqa: N801
    """Converts errors of files to a Problem, which tells no paths; the log has them."""

    def __init__(self, what: str, log: Log) -> None:
        self.what, self.log = what, log

    def __enter__(self) -> None:
        """Begins."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Raises Problem for an error of files."""
        if isinstance(error, (OSError, VwliteError)):
            self.log.error(f"a model {self.what}", why=str(error))
            cause = error if isinstance(error, OSError) else error.__cause__
            why = cause.strerror if isinstance(cause, OSError) and cause.strerror else "see the log of the server"
            raise Problem(503, f"the model {self.what}: {why}", headers={"Retry-After": "10"}) from error
