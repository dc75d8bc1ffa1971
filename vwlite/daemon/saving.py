"""Saves the model while it serves, in a forked copy of the process, so that clients don't wait.

Saves run one after the other; each forks when it begins. With a journal, the model is saved to a checkpoint in the
journal's folder: the metadata name the last entry in it, and older segments are deleted. A restart loads the checkpoint
and learns the later entries. Without a journal, the model is saved to -f.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vwlite.core.files import sweep
from vwlite.core.learner import walk
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.model import model_file
from vwlite.report.watching import MOST_SAVED, path_at

if TYPE_CHECKING:
    from vwlite.core.options import Options
    from vwlite.daemon.engine import Engine
    from vwlite.daemon.host import Host
    from vwlite.daemon.journal import Journal

CHECKPOINT = "checkpoint.model"
LARGE_JOURNAL = 1 << 28  # bytes of journal after which a checkpoint is due
DONE = b"\0"  # what a copy writes to the pipe when it has saved
MOST_JOBS = 16  # the longest queue of saves
OFTEN = 600.0  # seconds after which a checkpoint is due, if anything was learned
ENTITIES = ".entities"  # suffix of the file that holds a model's evicted entities

Told = Callable[[str], None]  # called after a save with the error message, "" for success


def autosave(options: Options) -> tuple[float | None, int | None]:
    """Parses --autosave to (seconds, examples), of which at least one is None. Raises OptionError."""
    text = options["autosave"]
    if text is None:
        return None, None
    number = text.removesuffix("s")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise OptionError(f"--autosave {text}: expected a number of examples such as 100000, or of seconds such as 60s")
    return (float(number), None) if text.endswith("s") else (None, int(number))


@dataclass
class Job:
    """A requested save.

    Attributes:
        path: The file.
        told: Callbacks of the requests.
        engine: A model to save and then serve instead of the current one.
        entry: The last journal entry in it, if it is a checkpoint.
        examples: The number of examples the model has seen.
    """

    path: str
    told: list[Told] = field(default_factory=list)
    engine: Engine | None = None
    entry: int | None = None
    examples: int = 0


class Saving:
    """The queue of saves: checkpoints, autosaves, saves requested by clients, and the one at shutdown."""

    def __init__(self, server: Host) -> None:
        self.server = server
        self.seconds, self.examples = autosave(server.options)
        if server.journal is not None and self.seconds is None and self.examples is None:
            self.seconds = OFTEN
        self.loop: asyncio.AbstractEventLoop | None = None
        self.jobs: deque[Job] = deque()  # the first one is running
        self.saved_at = self.begun_at = server.now()  # of the last success, and of the last automatic save
        self.saved_examples = self.begun_examples = server.engine.driver.counters.example_number
        self.saved_entry = 0 if server.journal is None else server.journal.last
        self.begun_bytes = 0  # what the journal had written at the last checkpoint
        self.saves = self.failures = self.drifts = 0

    @property
    def checkpoint(self) -> str | None:
        """The path of checkpoints; None without a journal."""
        return None if self.server.journal is None else os.path.join(self.server.options["journal"], CHECKPOINT)

    @property
    def path(self) -> str | None:
        """The path of automatic saves; None if there are none."""
        path: str | None = self.server.options["final_regressor"]
        return self.checkpoint or path

    def place(self, name: str | None) -> str:
        """The path of a client's save: a name inside --model_dir, or without a name -f or the journal's checkpoint.

        Raises ModelError for names that lead outside --model_dir, and if there is no file to save to.
        """
        options = self.server.options
        if name is None:
            path: str | None = options["final_regressor"] or self.checkpoint
            if path is None:
                raise ModelError("there is no file to save to: the daemon was started without -f")
            return path
        if options["model_dir"] is None:
            raise ModelError("clients can name no files: the daemon was started without --model_dir")
        if not name or name.startswith(".") or name != os.path.basename(name) or "\0" in name:
            raise ModelError(f"{name!r} can't be a model's name: no folders, and no dot in front")
        path = os.path.join(options["model_dir"], name)
        if path.endswith(ENTITIES):
            raise ModelError(f"{name!r} can't be a model's name: such files hold entities of a model")
        if os.path.lexists(path):  # only models may be overwritten
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise ModelError(f"{path}: exists, and is not a model")
            model_file.open(path)
        else:
            self.check_number(path)
        return path

    def check_number(self, path: str) -> None:
        """Raises ModelError if one more model would exceed --max_snapshots in --model_dir."""
        most, folder = self.server.options["max_snapshots"], os.path.dirname(path)
        waiting = {job.path for job in self.jobs if os.path.dirname(job.path) == folder} - {path}
        count = sum(not os.path.exists(each) for each in waiting)
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            for entry in found:
                count += not entry.name.startswith(".") and not entry.name.endswith(ENTITIES)
                if count >= most:  # the rest needn't be counted
                    break
        if count >= most:
            raise ModelError(
                f"{folder} holds {most} models, as many as --max_snapshots permits; use the name of one of them, or "
                "remove some"
            )

    # when saves are due

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Schedules checks of the time since the last save."""
        self.loop = loop
        if self.seconds is not None:
            loop.call_later(min(self.seconds, 1.0), self.tick)

    def tick(self) -> None:
        """Saves if --autosave's seconds have passed, and schedules the next check."""
        assert self.loop is not None and self.seconds is not None
        if self.server.stopped_by is None:
            self.loop.call_later(min(self.seconds, 1.0), self.tick)
            if self.server.now() - self.begun_at >= self.seconds and self.changed():
                self.save_itself()

    def changed(self) -> bool:
        """Whether anything was learned since the last save."""
        if self.server.journal is not None:
            return self.server.journal.last > self.saved_entry
        return self.server.engine.driver.counters.example_number > self.saved_examples

    def look(self) -> None:
        """Saves if --autosave's examples were seen or the journal is large; called after each block of lines."""
        more = self.server.engine.driver.counters.example_number - self.begun_examples
        journal = self.server.journal
        large = journal is not None and journal.written - self.begun_bytes > LARGE_JOURNAL
        if large or (self.examples is not None and more >= self.examples):
            self.save_itself()

    def save_itself(self) -> None:
        """Requests an automatic save, unless one is queued."""
        if self.path is not None and self.loop is not None and all(job.path != self.path for job in self.jobs):
            self.ask(self.path)

    def save_drifts(self, numbers: list[int]) -> None:
        """Saves the model once for the examples at which --on_drift wants that, and clears their list."""
        if not numbers:
            return
        path = path_at(self.server.options["final_regressor"], numbers[-1])
        numbers.clear()
        if self.loop is not None and self.drifts < MOST_SAVED:
            self.drifts += 1
            self.ask(path)

    # the queue

    def ask(self, path: str, told: Told | None = None, engine: Engine | None = None) -> None:
        """Queues a save to a file, and begins it if no other save is running.

        `told` is called later with the error message, or "". Requests for a file whose save is queued share that
        save, of the model as it is when the save begins; what a client teaches before `told` is called is in it, too.
        `engine` replaces the model as soon as its save has succeeded.
        """
        waiting = list(self.jobs)[1:]
        same = [job for job in waiting if job.path == path and (job.engine is None) == (engine is None)]
        if same:
            job = same[0]
            job.engine = engine  # the newest
        else:
            job = Job(path, engine=engine)
            place = 1 + sum(self.is_own(each.path) for each in waiting)  # before those of clients
            self.jobs.insert(place if self.is_own(path) else len(self.jobs), job)
        if told is not None:
            job.told.append(told)
        if len(self.jobs) == 1:
            self.begin()

    def is_at(self, path: str) -> bool:
        """Whether a save to a file is running."""
        return bool(self.jobs) and os.path.abspath(self.jobs[0].path) == os.path.abspath(path)

    def is_own(self, path: str) -> bool:
        """Whether a path is the model's own (-f or the checkpoint), not one that a client has named."""
        return path in (self.path, self.server.options["final_regressor"])

    def is_full(self, path: str) -> bool:
        """Whether the queue has reached its limit, which doesn't apply to the model's own file."""
        return len(self.jobs) > MOST_JOBS and not self.is_own(path)

    def begin(self) -> None:
        """Runs the first job, in a forked copy of the process if possible."""
        assert self.loop is not None
        job = self.jobs[0]
        engine = job.engine or self.server.engine
        try:
            self.mark(job, engine)
            # SQLite's connections can't be used after a fork
            if engine.workspace.entity_store is None and job.engine is None and self.copy(job, engine):
                return
            trouble = attempt(job, engine, self.server.journal)
        except Exception as error:  # an error must not block later jobs and the shutdown
            trouble = shown(error)
        if job.engine is not None and not trouble:
            self.server.engine = job.engine
            self.replaced()
        self.loop.call_soon(self.finished, trouble)

    def replaced(self) -> None:
        """Resets the counts after another model has replaced the current one."""
        self.saved_examples = self.begun_examples = self.server.engine.driver.counters.example_number

    def mark(self, job: Job, engine: Engine) -> None:
        """Records what the save contains; for a checkpoint, begins a new segment of the journal."""
        job.examples = engine.driver.counters.example_number
        if job.path == self.path:
            self.begun_at = self.server.now()
            self.begun_examples = job.examples
        if self.server.journal is not None and job.path == self.checkpoint:
            self.begun_bytes = self.server.journal.written
            job.entry = self.server.journal.rotate()

    def copy(self, job: Job, engine: Engine) -> bool:
        """Forks a process that saves the model as it is now; returns whether the fork succeeded."""
        assert self.loop is not None
        receive, send = os.pipe()
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError as error:  # no memory for it
            os.close(receive)
            os.close(send)
            self.server.log.warning("can't fork; clients wait while the model is saved", why=str(error))
            return False
        if child == 0:
            status = 1
            try:
                die_with(parent)
                os.closerange(3, send)
                os.closerange(send + 1, 1 << 16)
                trouble = attempt(job, engine, self.server.journal)
                os.write(send, trouble.encode("utf-8", "replace")[:4096] or DONE)
                status = 0
            finally:
                os._exit(status)
        os.close(send)
        os.set_blocking(receive, False)
        told = bytearray()
        self.loop.add_reader(receive, self.read_pipe, receive, child, told)
        return True

    def read_pipe(self, pipe: int, child: int, told: bytearray) -> None:
        """Reads the result that a forked copy writes to its pipe."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(pipe, 4096)
            if not data:
                self.ended(pipe, child, told)
            told += data

    def ended(self, pipe: int, child: int, told: bytearray) -> None:
        """Handles the exit of a forked copy."""
        assert self.loop is not None
        self.loop.remove_reader(pipe)
        os.close(pipe)
        how = "with an unknown status"
        with contextlib.suppress(ChildProcessError):
            how = f"with status {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"
        if told == DONE:
            self.finished("")
        else:
            sweep(os.path.dirname(os.path.realpath(self.jobs[0].path)))
            self.finished(told.decode("utf-8", "replace") or f"the saving process ended {how}")

    def finished(self, trouble: str) -> None:
        """Removes the first job, calls its callbacks, and begins the next one."""
        job = self.jobs.popleft()
        self.note(job, trouble)
        if self.jobs:
            self.begin()
        for told in job.told:
            try:
                told(trouble)
            except Exception as error:  # the other callbacks have to be called, too
                self.server.complain("a client could not be answered about its save", why=repr(error))

    def note(self, job: Job, trouble: str) -> None:
        """Logs the result of a save and updates the counts that decide when the next one is due."""
        if trouble:
            self.failures += 1
            self.server.log.error("not saved", path=job.path, why=trouble)
            return
        self.saves += 1
        if self.server.original is not None:
            self.server.original.saved(job.path)
        self.saved_at = self.server.now()
        if job.path == self.path:
            self.saved_examples = job.examples
        if job.entry is not None:
            self.saved_entry = job.entry
            if self.loop is None or self.server.stopped_by is not None:
                self.discard(job.entry)
            else:
                try:  # large files take a while to delete
                    self.loop.run_in_executor(None, self.discard, job.entry)
                except RuntimeError:  # no thread
                    self.discard(job.entry)
        self.server.log.info("saved", path=job.path)

    def discard(self, entry: int) -> None:
        """Deletes the journal's segments whose entries are all in the checkpoint."""
        try:
            if self.server.journal is not None:
                self.server.journal.discard(entry)
        except VwliteError as error:
            self.server.log.warning("old segments of the journal can't be deleted", why=str(error))

    async def end(self) -> None:
        """Saves at shutdown, in this process. Raises ModelError if that fails."""
        while self.jobs:
            await asyncio.sleep(0.01)
        engine, journal = self.server.engine, self.server.journal
        for learner in walk(engine.workspace.top):
            learner.end_examples()
        if journal is not None and engine.learns:
            job = Job(str(self.checkpoint))
            self.mark(job, engine)
            self.note(job, attempt(job, engine, journal))
        path: str | None = self.server.options["final_regressor"]
        if path is not None:
            engine.save(path)
        if journal is not None:
            journal.close()

    def stats(self) -> dict[str, object]:
        """Metrics of saves, for !stats."""
        return {
            "saves": self.saves,
            "saves_failed": self.failures,
            "seconds_since_save": round(self.server.now() - self.saved_at, 3),
        }


def attempt(job: Job, engine: Engine, journal: Journal | None) -> str:
    """Saves in this process; returns the error message, "" for success."""
    try:
        place = None if journal is None or job.entry is None else stream(journal, job.entry, engine.flags)
        engine.save(job.path, place)
    except Exception as error:
        return shown(error)
    return ""


def stream(journal: Journal, entry: int, flags: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's metadata of its journal: id, last entry in the model, flags that later ones are learned with."""
    return {"id": journal.id, "entry": entry, "flags": flags}


def shown(error: Exception) -> str:
    """An error message in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def die_with(parent: int) -> None:
    """Has the kernel kill this forked copy when its parent dies (Linux only).

    A copy that outlived its parent could replace a new checkpoint by an old one. On other systems this relies on the
    copy finishing before a restart has saved.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
