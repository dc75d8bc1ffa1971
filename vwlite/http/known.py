"""What a server knows of a model, in memory or not; names of folders and files; errors of files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vwlite.core.files import sweep
from vwlite.daemon.saving import CHECKPOINT
from vwlite.errors import ModelError, VwliteError
from vwlite.http.engines import stream_of
from vwlite.http.problems import Problem
from vwlite.model import model_file

if TYPE_CHECKING:
    from vwlite.daemon.journal import Journal
    from vwlite.daemon.log import Log
    from vwlite.daemon.saving import Saving
    from vwlite.http.model import Model

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
NEW, OLD = ".new-", ".old-"  # beginnings of the names of folders that are made or deleted


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
        not_before: When it may be saved again to leave memory, after a save that failed.
    """

    uid: str
    entry: int = 0
    journal: str = ""
    card: dict[str, Any] = field(default_factory=dict)
    model: Model | None = None
    saving: Saving | None = None
    not_before: float = 0.0


def find_all(top: str, journal: Journal | None) -> Iterator[tuple[str, Known]]:  # noqa: DOC502
    """Finds the models in a folder, and deletes what was half made or half deleted there.

    Args:
        top: The folder.
        journal: The journal in use; None without one.

    Yields:
        The name of each model, and what its checkpoint says.

    Raises:
        ModelError: If a checkpoint is damaged, or belongs to another journal.
    """
    for name in sorted(os.listdir(top)):
        path = os.path.join(top, name)
        if name.startswith((NEW, OLD)):
            shutil.rmtree(path, ignore_errors=True)
        elif NAME.fullmatch(name) and os.path.isdir(path):
            sweep(path)
            yield name, look(os.path.join(path, CHECKPOINT), journal)


def look(path: str, journal: Journal | None) -> Known:
    """What a checkpoint says of its model. Raises ModelError."""
    stream = stream_of(model_file.open(path).metadata)
    service = stream.get("service")
    if not isinstance(service, dict) or not isinstance(service.get("uid"), str):
        raise ModelError(f"{path}: is not a model that vwlite serve has saved; upload it instead")
    entry = int(stream.get("entry", 0))
    of = str(stream.get("id", ""))
    if journal is not None and entry and of != journal.id:
        raise ModelError(f"{path}: belongs to another journal than {journal.folder}; put that back")
    return Known(service["uid"], entry, of, dict(service.get("card", {})))


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
