"""When and how the model is saved while it serves: by a copy of the process, so that nobody has to wait.

With a journal, the model goes to a checkpoint in its folder: its metadata say which entry is the last one in it, and
older segments are let go. A restart loads it and learns the entries behind it. Without, it goes to -f.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.learner import walk

if TYPE_CHECKING:
    from vwlite.daemon.server import Server
    from vwlite.options import Options

CHECKPOINT = "checkpoint.model"
LARGE_JOURNAL = 1 << 28  # bytes after which a checkpoint is due
OFTEN = 600.0  # seconds after which one is, if anything was learnt


def autosave(options: Options) -> tuple[float | None, int | None]:
    """(seconds, examples) of --autosave; one is None, or both. Raises OptionError."""
    text = options["autosave"]
    if text is None:
        return None, None
    number = text.removesuffix("s")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise OptionError(f"--autosave {text}: expected a number of examples such as 100000, or of seconds such as 60s")
    return (float(number), None) if text.endswith("s") else (None, int(number))


class Saving:
    """Checkpoints, autosaves, and the save at the end."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seconds, self.examples = autosave(server.options)
        if server.journal is not None and self.seconds is None and self.examples is None:
            self.seconds = OFTEN
        self.loop: asyncio.AbstractEventLoop | None = None
        self.saved_at = server.now()
        self.saved_examples = server.engine.driver.example_number
        self.saved_entry = 0 if server.journal is None else server.journal.last
        self.since_save = 0  # bytes that the journal was given
        self.saves = self.failures = 0
        self.writer: asyncio.Task[None] | None = None

    @property
    def path(self) -> str | None:
        """Where a save goes by itself."""
        if self.server.journal is not None:
            return os.path.join(self.server.options["journal"], CHECKPOINT)
        path: str | None = self.server.options["final_regressor"]
        return path

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the clock from time to time."""
        self.loop = loop
        if self.seconds is not None:
            loop.call_later(min(self.seconds, 1.0), self.tick)

    def tick(self) -> None:
        """The clock."""
        assert self.loop is not None and self.seconds is not None
        if self.server.stopped_by is None:
            self.loop.call_later(min(self.seconds, 1.0), self.tick)
            if self.server.now() - self.saved_at >= self.seconds and self.changed():
                self.begin()

    def changed(self) -> bool:
        """Whether anything was learnt since the last save."""
        if self.server.journal is not None:
            return self.server.journal.last > self.saved_entry
        return self.server.engine.driver.example_number > self.saved_examples

    def look(self) -> None:
        """After a block of lines: is it time?"""
        driver, journal = self.server.engine.driver, self.server.journal
        if self.examples is not None:
            due = driver.example_number - self.saved_examples >= self.examples
        else:
            due = journal is not None and self.since_save > LARGE_JOURNAL
        if due:
            self.begin()

    def begin(self) -> None:
        """Save in a copy of this process, unless one is at it."""
        if self.writer is not None or self.path is None or self.loop is None:
            return
        entry = self.mark()
        if self.server.engine.workspace.entities is not None:  # SQLite's connections can't be taken along
            self.finished(entry, self.attempt(self.path))
            return
        try:
            child, pipe = self.copy(self.path)
        except OSError as error:  # no memory for it
            self.server.log.warning("saving while clients wait", why=str(error))
            self.finished(entry, self.attempt(self.path))
            return
        self.writer = self.loop.create_task(self.follow(entry, child, pipe))

    def mark(self) -> int:
        """The last entry that the model has, which the model is told; the journal goes on in a new segment."""
        journal = self.server.journal
        self.since_save = 0
        self.saved_at = self.server.now()
        self.saved_examples = self.server.engine.driver.example_number
        if journal is None:
            return 0
        entry = journal.rotate()
        self.server.engine.workspace.stream = {"id": journal.id, "entry": entry}
        return entry

    def attempt(self, path: str) -> str:
        """Save here and now; what went wrong, or nothing."""
        try:
            self.server.engine.workspace.save(path)
        except VwliteError as error:
            return str(error)
        return ""

    def copy(self, path: str) -> tuple[int, int]:
        """Fork a process that saves the model as it is now: its number, and where it says what went wrong."""
        receive, send = os.pipe()
        sys.stderr.flush()
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError:
            os.close(receive)
            os.close(send)
            raise
        if child:
            os.close(send)
            return child, receive
        status = 1
        try:
            die_with(parent)
            os.closerange(3, send)
            os.closerange(send + 1, 1 << 16)
            os.write(send, self.attempt(path).encode("utf-8", "replace")[:4096])
            status = 0
        finally:
            os._exit(status)

    async def follow(self, entry: int, child: int, pipe: int) -> None:
        """Wait for a copy to end."""
        assert self.loop is not None
        trouble, status = await self.loop.run_in_executor(None, outcome, pipe, child)
        self.finished(entry, trouble or ("" if status == 0 else f"the saving process ended with status {status}"))

    def finished(self, entry: int, trouble: str) -> None:
        """A save has ended."""
        self.writer = None
        if trouble:
            self.failures += 1
            self.server.log.error("not saved", why=trouble)
            return
        self.saves += 1
        if self.server.journal is not None:
            self.saved_entry = max(self.saved_entry, entry)
            if self.loop is None or self.server.stopped_by is not None:
                self.discard(entry)
            else:
                self.loop.run_in_executor(None, self.discard, entry)  # large files take a while to delete
        self.server.log.info("saved", path=self.path)

    def discard(self, entry: int) -> None:
        """Let go of what a checkpoint has."""
        try:
            if self.server.journal is not None:
                self.server.journal.discard(entry)
        except VwliteError as error:
            self.server.log.warning("the journal keeps more than it has to", why=str(error))

    def now(self) -> str:
        """Save to -f, or with a journal and no -f make a checkpoint, and say where. Raises ModelError."""
        path: str | None = self.server.options["final_regressor"]
        if path is None and self.server.journal is not None:
            trouble = self.checkpoint()
            if trouble:
                raise ModelError(trouble)
            return str(self.path)
        return self.server.engine.save(path)

    def replaced(self) -> None:
        """Another model has taken the model's place."""
        self.saved_examples = self.server.engine.driver.example_number
        if self.server.journal is not None:
            self.checkpoint()

    def checkpoint(self) -> str:
        """Save beside the journal, here and now; what went wrong, or nothing."""
        entry = self.mark()
        trouble = self.attempt(str(self.path))
        self.finished(entry, trouble)
        return trouble

    async def end(self) -> None:
        """The last save. Raises ModelError if it fails."""
        if self.writer is not None:
            await self.writer
        journal = self.server.journal
        for learner in walk(self.server.engine.workspace.top):
            learner.end_examples()
        if journal is not None and self.server.engine.learns:
            self.checkpoint()
        path: str | None = self.server.options["final_regressor"]
        if path is not None:
            self.server.engine.save(path)
        if journal is not None:
            journal.close()

    def stats(self) -> dict[str, object]:
        """For !stats."""
        return {
            "saves": self.saves,
            "saves_failed": self.failures,
            "seconds_since_save": round(self.server.now() - self.saved_at, 3),
        }


def die_with(parent: int) -> None:
    """A copy that outlived its parent could put an old checkpoint in the place of a new one. (Linux; elsewhere the time
    that a restart takes has to be enough.)
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


def outcome(receive: int, child: int) -> tuple[str, int]:
    """What a copy says, and how it ended; waits for that."""
    with os.fdopen(receive, "rb") as pipe:
        trouble = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return trouble, os.waitstatus_to_exitcode(status)
