"""Checkpoints of served models: each has the daemon's queue of saves, and all of them share one journal."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vwlite.daemon.journal import JournalError
from vwlite.daemon.log import Log
from vwlite.daemon.saving import CHECKPOINT, Saving

if TYPE_CHECKING:
    from vwlite.daemon.journal import Journal
    from vwlite.http.model import Model


class ModelJournal:
    """What one model has in the journal of all, as its Saving uses it.

    Args:
        journal: The journal of all models.
        model: The model.
        trim: Deletes what no model needs any more; called in any thread.
    """

    def __init__(self, journal: Journal, model: Model, trim: Callable[[], None]) -> None:
        self.journal, self.model, self.trim = journal, model, trim

    @property
    def id(self) -> str:
        """The identifier of the journal."""
        return self.journal.id

    @property
    def last(self) -> int:
        """The last entry that the model has learned."""
        return self.model.entry

    @property
    def written(self) -> int:
        """Bytes of the journal that commits have written since the start."""
        return self.journal.written

    @property
    def failure(self) -> JournalError | None:
        """The error of the last commit, None if it succeeded."""
        return self.journal.failure

    def rotate(self) -> int:
        """The last entry that is in a checkpoint made now; segments are those of all models."""
        return self.model.entry

    def discard(self, upto: int) -> None:
        """Lets the journal delete what is in the checkpoints of all models."""
        self.trim()

    def close(self) -> None:
        """Nothing: the journal is closed when all models are saved."""


class ModelHost:
    """What a model's Saving uses of the server: see vwlite/daemon/host.py.

    Args:
        model: The model.
        folder: Where its checkpoint is.
        journal: Its part of the journal; None without one.
        log: The log of events.
    """

    def __init__(self, model: Model, folder: str, journal: ModelJournal | None, log: Log) -> None:
        self.model = model
        self.journal = journal
        self.log = log
        self.now = time.monotonic
        self.original = None
        self.stopped_by = None
        path = os.path.join(folder, CHECKPOINT)
        self.options: dict[str, Any] = {
            "autosave": None,
            "journal": folder if journal is not None else None,
            "final_regressor": None if journal is not None else path,
            "model_dir": None,
        }

    @property
    def engine(self) -> Any:
        """The model's engine."""
        return self.model.engine

    def complain(self, what: str, why: str) -> None:
        """Logs an error."""
        self.log.error(what, model=self.model.name, why=why)


def saving_of(
    model: Model,
    folder: str,
    journal: Journal | None,
    trim: Callable[[], None],
    log: Log,
    loop: asyncio.AbstractEventLoop | None,
) -> Saving:
    """The queue of saves of a model.

    Args:
        model: The model, as its checkpoint has it.
        folder: Where the checkpoint is.
        journal: The journal of all models; None without one.
        trim: Deletes what no model needs any more; called in any thread.
        log: The log of events.
        loop: The event loop, once there is one.

    Returns:
        The queue. It saves when it is asked to, not by itself.
    """
    part = None if journal is None else ModelJournal(journal, model, trim)
    host: Any = ModelHost(model, folder, part, log)
    saving = Saving(host)
    saving.loop = loop
    return saving
