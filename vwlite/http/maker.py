"""Models made, replaced, rolled back and deleted: each appears and goes at once, also on disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vwlite.daemon.saving import CHECKPOINT, ENTITIES
from vwlite.daemon.segment import sync
from vwlite.errors import VwliteError
from vwlite.http.engines import engine_of, from_bytes, from_file, with_defaults, words_of
from vwlite.http.known import NEW, OLD, Known, refused, require_name
from vwlite.http.memory import PREVIOUS, Memory
from vwlite.http.model import Model
from vwlite.http.problems import Problem

if TYPE_CHECKING:
    from vwlite.http.host import Host

BEFORE = "before-"  # beginnings of the names of files of models that were replaced


class Maker:
    """Makes, replaces and deletes the models of a server.

    Args:
        house: All its models.
        memory: Those in memory.
    """

    def __init__(self, house: Host, memory: Memory) -> None:
        self.house, self.memory = house, memory
        self.previous: dict[str, bytes] = {}  # what was there before a model was replaced, of models without a folder

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
        house = self.house
        require_name(name)
        words = [] if content is not None else with_defaults(words_of(flags), kind)
        if name in house.known:
            if content is None and house.find(name).words == words:
                return house.find(name), False
            raise Problem(409, f"there is a model named {name!r} already; delete it first, or replace it")
        if len(house.known) >= house.settings.max_models:
            raise Problem(507, f"there are {len(house.known)} models, as many as --max_models permits: delete some")
        model = self.make(name, words, kind, content, trusted)
        if content is None:  # otherwise the file says it
            model.notes = list(notes)
            model.stand_for(dict(steps or {}))
        self.place(model)
        house.tell("created", model)
        return model, True

    def add(self, model: Model) -> None:
        """Adds a model that is in memory only, as those in Python are. Raises Problem."""
        house = self.house
        require_name(model.name)
        if model.name in house.known:
            raise Problem(409, f"there is a model named {model.name!r} already: delete it first")
        model.open += 1  # it stays in memory
        house.known[model.name] = Known(model.uid, model=model)

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
                engine, service = from_file(path)
            except VwliteError as error:
                self.house.log.error("a model can't be loaded", model=name, why=str(error))
                raise Problem(500, f"the file before {name!r} can't be loaded: see the log of the server") from error
        elif content is None:
            engine = engine_of(words, trusted=trusted)
        else:
            try:
                engine, service = from_bytes("the upload", content, trusted=False)
            except VwliteError as error:
                raise Problem(400, str(error)) from None
        model = Model(name, os.urandom(8).hex(), engine, service)
        if kind is not None and model.kind.name != kind:
            raise Problem(400, f"this makes a model of the kind {model.kind.name!r}, not {kind!r}", "/kind")
        model.words = words or model.words
        model.used = time.monotonic()
        return model

    def place(self, model: Model) -> None:
        """Gives a new model its folder."""
        house = self.house
        known = Known(model.uid)
        if house.settings.folder is not None:
            model.entry = known.entry = 0 if house.journal is None else house.journal.last
            target = house.folder(model.name)
            new = house.folder(f"{NEW}{model.uid}")
            try:
                with refused("can't be saved", house.log):
                    os.makedirs(new, mode=0o700)
                    self.save_to(model, os.path.join(new, CHECKPOINT))
                    os.rename(new, target)
                    sync(house.folder(""))
            except Problem:
                shutil.rmtree(new, ignore_errors=True)
                raise
        house.known[model.name] = known
        self.memory.settle(model, known)
        self.memory.make_room(model.name)

    def save_to(self, model: Model, path: str) -> None:
        """Saves a model with its place in the journal. Raises VwliteError."""
        house = self.house
        stream: dict[str, Any] = {"flags": model.engine.flags}
        if house.journal is not None:
            stream |= {"id": house.journal.id, "entry": model.entry}
        model.engine.save(path, stream)

    def content(self, model: Model) -> bytes:
        """The bytes of a model file. Raises Problem."""
        with refused("can't be saved", self.house.log), TemporaryDirectory() as folder:
            path = os.path.join(folder, "m")
            model.engine.save(path)
            if os.path.exists(path + ENTITIES):
                raise Problem(409, "a part of this model is in a second file (--entity_limit): there is no single one")
            with open(path, "rb") as file:
                return file.read()

    def replace(self, name: str, content: bytes, kind: str | None = None) -> Model:
        """Replaces a model by an uploaded file; the one before is kept for roll_back(). Raises Problem."""
        old = self.house.find(name)
        model = self.make(name, [], kind, content, trusted=False)
        self.exchange(old, model)
        return model

    def exchange(self, old: Model, model: Model) -> None:
        """Puts a model in the place of another one, which is kept as the one before.

        That is done when the checkpoint is in its place, which names the file of the one before.
        """
        house = self.house
        known = Known(model.uid)
        if house.settings.folder is not None:
            model.entry = known.entry = 0 if house.journal is None else house.journal.last
            model.previous = f"{BEFORE}{old.uid}.model"
            folder = house.folder(model.name)
            with refused("can't be saved", house.log):
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
        house.known[model.name] = known
        self.memory.settle(model, known)
        house.tell("replaced", model)

    def forget(self, uid: str) -> None:
        """Deletes what waits for the labels of a model that is gone. If that fails, it goes when it has expired."""
        house = self.house
        try:
            house.state.forget_model(uid)
        except sqlite3.Error as error:
            house.state.roll_back()
            house.log.warning("what waits for the labels of a model that is gone can't be deleted yet", why=str(error))

    def roll_back(self, name: str) -> Model:
        """Exchanges a model and the one that was there before it was replaced. Raises Problem."""
        house = self.house
        old = house.find(name)
        content = path = None
        if house.settings.folder is None:
            content = self.previous.get(name)
        elif old.previous:
            path = os.path.join(house.folder(name), old.previous)
        if content is None and (path is None or not os.path.exists(path)):
            raise Problem(409, f"{name!r} was never replaced: there is no model before it")
        model = self.make(name, [], None, content, False, path)
        self.exchange(old, model)
        return model

    def delete(self, name: str) -> None:
        """Deletes a model. Raises Problem."""
        house = self.house
        if name not in house.known:
            house.find(name)
        known = house.known[name]
        if house.settings.folder is not None and os.path.isdir(house.folder(name)):
            old = house.folder(f"{OLD}{known.uid}")
            with refused("can't be deleted", house.log):
                os.rename(house.folder(name), old)
                sync(house.folder(""))
            shutil.rmtree(old, ignore_errors=True)
        del house.known[name]
        self.previous.pop(name, None)
        if known.model is not None:
            known.model.gone = True
            house.tell("deleted", known.model)
        self.forget(known.uid)
