"""Models in memory: loaded when they are asked for; those that were not used lately are saved and leave."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from vwlite.daemon.saving import CHECKPOINT
from vwlite.http.checkpoints import saving_of
from vwlite.http.engines import from_file
from vwlite.http.model import Model

if TYPE_CHECKING:
    from vwlite.http.host import Host
    from vwlite.http.known import Known

PREVIOUS = "previous.model"
PAUSE = 10.0  # seconds until a model that could not be saved is tried again
AT_ONCE = 4  # saves of models that leave memory: each is a copy of the process


class Memory:
    """The models of a server that are in memory.

    Args:
        house: All its models.
    """

    def __init__(self, house: Host) -> None:
        self.house = house

    def load(self, name: str) -> Model:
        """Loads a model that is on disk. Raises VwliteError."""
        known = self.house.known[name]
        if known.model is not None:
            return known.model
        path = os.path.join(self.house.folder(name), CHECKPOINT)
        engine, service = from_file(path)
        model = Model(name, known.uid, engine, service)
        model.entry = known.entry
        before = str(service.get("previous", PREVIOUS))
        model.previous = before if os.path.basename(before) == before else ""
        if self.house.journal is None and known.entry:  # the next server may use the journal again
            engine.stands = {"id": known.journal, "entry": known.entry}
        self.settle(model, known)
        return model

    def settle(self, model: Model, known: Known) -> None:
        """Keeps a model that equals its checkpoint, if it has one."""
        known.model = model
        if self.house.settings.folder is not None:
            known.saving = saving_of(
                model,
                self.house.folder(model.name),
                self.house.journal,
                self.house.ask_trim,
                self.house.log,
                self.house.loop,
            )
            known.saving.saved_entry = known.entry

    def make_room(self, but: str) -> None:
        """Lets models that were not used lately leave memory, once they are saved."""
        if self.house.settings.folder is None:
            return
        loaded = [(name, each) for name, each in self.house.known.items() if each.model is not None]
        too_many = len(loaded) - self.house.settings.max_loaded
        if too_many <= 0:
            return
        loaded.sort(key=lambda pair: pair[1].model.used if pair[1].model is not None else 0.0)
        running = sum(each.saving is not None and bool(each.saving.jobs) for _, each in loaded)
        for name, each in loaded[:too_many]:
            if name == but or each.model is None or each.model.open or each.saving is None or each.saving.jobs:
                continue
            if each.saving.changed():
                if running >= AT_ONCE or self.house.loop is None or time.monotonic() < each.not_before:
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
                    known.not_before = time.monotonic() + PAUSE
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
