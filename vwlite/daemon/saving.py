"""When and how the model is saved while it serves: by a copy of the process, so that nobody has to wait.

Saves are made one after the other, each by a copy of the process that is forked when its turn comes. With a journal,
the model goes to a checkpoint in its folder: its metadata say which entry is the last one in it, and older segments are
let go. A restart loads it and learns the entries behind it. Without, it goes to -f.
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

if TYPE_CHECKING:
    from vwlite.core.options import Options
    from vwlite.daemon.engine import Engine
    from vwlite.daemon.host import Host
    from vwlite.daemon.journal import Journal

CHECKPOINT = "checkpoint.model"
LARGE_JOURNAL = 1 << 28  # bytes after which a checkpoint is due
DONE = b"\0"  # what a copy says when it has saved
MOST_JOBS = 16  # that wait
OFTEN = 600.0  # seconds after which one is, if anything was learned
ENTITIES = ".entities"  # what the name of a model's store ends with

Told = Callable[[str], None]  # is given what went wrong, or nothing


def autosave(options: Options) -> tuple[float | None, int | None]:
    """(seconds, examples) of --autosave; one is None, or both. Raises OptionError."""
    text = options["autosave"]
    if text is None:
        return None, None
    number = text.removesuffix("s")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise OptionError(f"--autosave {text}: expected a number of examples such as 100000, or of seconds such as 60s")
    return (float(number), None) if text.endswith("s") else (None, int(number))


@dataclass
class Job:
    """A save that was asked for.

    Attributes:
        path: The file.
        told: Those who asked for it.
        engine: A model that takes the model's place with it.
        entry: The last entry of the journal in it, if it is a checkpoint.
        examples: How many the model has learned.
    """

    path: str
    told: list[Told] = field(default_factory=list)
    engine: Engine | None = None
    entry: int | None = None
    examples: int = 0


class Saving:
    """Checkpoints, autosaves, the saves that clients ask for, and the one at the end."""

    def __init__(self, server: Host) -> None:
        self.server = server
        self.seconds, self.examples = autosave(server.options)
        if server.journal is not None and self.seconds is None and self.examples is None:
            self.seconds = OFTEN
        self.loop: asyncio.AbstractEventLoop | None = None
        self.jobs: deque[Job] = deque()  # the first one is being done
        self.saved_at = self.begun_at = server.now()  # the last one that succeeded, and the last of its own accord
        self.saved_examples = self.begun_examples = server.engine.driver.counters.example_number
        self.saved_entry = 0 if server.journal is None else server.journal.last
        self.begun_bytes = 0  # what the journal had written at the last checkpoint
        self.saves = self.failures = 0

    @property
    def checkpoint(self) -> str | None:
        """Where checkpoints go."""
        return None if self.server.journal is None else os.path.join(self.server.options["journal"], CHECKPOINT)

    @property
    def path(self) -> str | None:
        """Where a save goes by itself."""
        path: str | None = self.server.options["final_regressor"]
        return self.checkpoint or path

    def place(self, name: str | None) -> str:
        """Where a client's save goes: under a name inside --model_dir, or to -f, or else the journal's checkpoint.

        Raises ModelError for names that lead anywhere else, and where there is no such place.
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
        if os.path.lexists(path):  # whatever is no model is not to be lost
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise ModelError(f"{path}: is there already, and is no model")
            model_file.open(path)
        else:
            self.check_number(path)
        return path

    def check_number(self, path: str) -> None:
        """Raises ModelError if clients have as many models in --model_dir as they may, and this would be one more."""
        most, folder = self.server.options["max_snapshots"], os.path.dirname(path)
        waiting = {job.path for job in self.jobs if os.path.dirname(job.path) == folder} - {path}
        count = sum(not os.path.exists(each) for each in waiting)
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            for entry in found:
                count += not entry.name.startswith(".") and not entry.name.endswith(ENTITIES)
                if count >= most:  # however many there are
                    break
        if count >= most:
            raise ModelError(
                f"{folder} holds {most} models, as many as --max_snapshots allows; take the name of one of them, or "
                "remove some"
            )

    # when

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
            if self.server.now() - self.begun_at >= self.seconds and self.changed():
                self.save_itself()

    def changed(self) -> bool:
        """Whether anything was learned since the last save."""
        if self.server.journal is not None:
            return self.server.journal.last > self.saved_entry
        return self.server.engine.driver.counters.example_number > self.saved_examples

    def look(self) -> None:
        """After a block of lines: is it time?"""
        more = self.server.engine.driver.counters.example_number - self.begun_examples
        journal = self.server.journal
        large = journal is not None and journal.written - self.begun_bytes > LARGE_JOURNAL
        if large or (self.examples is not None and more >= self.examples):
            self.save_itself()

    def save_itself(self) -> None:
        """A save that nobody asked for, unless one is at hand."""
        if self.path is not None and self.loop is not None and all(job.path != self.path for job in self.jobs):
            self.ask(self.path)

    # one after the other

    def ask(self, path: str, told: Told | None = None, engine: Engine | None = None) -> None:
        """Save to a file, now if no other save is at work.

        `told` is given what went wrong, or nothing, some time after this has returned. All who ask for the same file
        while it waits for its turn get one save, of the model as it is then; who asked has to teach it nothing until
        told, or has that in it, too. `engine` takes the model's place as soon as its save has succeeded.
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
        """Whether a save to a file is at work."""
        return bool(self.jobs) and os.path.abspath(self.jobs[0].path) == os.path.abspath(path)

    def is_own(self, path: str) -> bool:
        """Whether this is where the model goes, and no copy that a client has named."""
        return path in (self.path, self.server.options["final_regressor"])

    def is_full(self, path: str) -> bool:
        """Whether so many saves wait already that there is no room for another copy."""
        return len(self.jobs) > MOST_JOBS and not self.is_own(path)

    def begin(self) -> None:
        """Do the first job."""
        assert self.loop is not None
        job = self.jobs[0]
        engine = job.engine or self.server.engine
        try:
            self.mark(job, engine)
            # SQLite's connections can't be taken along
            if engine.workspace.entities is None and job.engine is None and self.copy(job, engine):
                return
            trouble = attempt(job, engine, self.server.journal)
        except Exception as error:  # nothing may keep later jobs, and the end, from being done
            trouble = shown(error)
        if job.engine is not None and not trouble:
            self.server.engine = job.engine
            self.replaced()
        self.loop.call_soon(self.finished, trouble)

    def replaced(self) -> None:
        """Another model has taken the model's place, and has been saved."""
        self.saved_examples = self.begun_examples = self.server.engine.driver.counters.example_number

    def mark(self, job: Job, engine: Engine) -> None:
        """Note what the save will have; for a checkpoint the journal goes on in a new segment."""
        job.examples = engine.driver.counters.example_number
        if job.path == self.path:
            self.begun_at = self.server.now()
            self.begun_examples = job.examples
        if self.server.journal is not None and job.path == self.checkpoint:
            self.begun_bytes = self.server.journal.written
            job.entry = self.server.journal.rotate()

    def copy(self, job: Job, engine: Engine) -> bool:
        """Fork a process that saves the model as it is now; whether that was possible."""
        assert self.loop is not None
        receive, send = os.pipe()
        parent = os.getpid()
        try:
            child = os.fork()
        except OSError as error:  # no memory for it
            os.close(receive)
            os.close(send)
            self.server.log.warning("saving while clients wait", why=str(error))
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
        self.loop.add_reader(receive, self.hear, receive, child, told)
        return True

    def hear(self, pipe: int, child: int, told: bytearray) -> None:
        """A copy says something, or has ended."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(pipe, 4096)
            if not data:
                self.ended(pipe, child, told)
            told += data

    def ended(self, pipe: int, child: int, told: bytearray) -> None:
        """A copy has ended."""
        assert self.loop is not None
        self.loop.remove_reader(pipe)
        os.close(pipe)
        how = "nobody knows how"
        with contextlib.suppress(ChildProcessError):
            how = f"with status {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"
        if told == DONE:
            self.finished("")
        else:
            sweep(os.path.dirname(os.path.realpath(self.jobs[0].path)))
            self.finished(told.decode("utf-8", "replace") or f"the saving process ended, {how}")

    def finished(self, trouble: str) -> None:
        """The first job has been done."""
        job = self.jobs.popleft()
        self.note(job, trouble)
        if self.jobs:
            self.begin()
        for told in job.told:
            try:
                told(trouble)
            except Exception as error:  # the others have to be told, too
                self.server.complain("a client could not be told of its save", why=repr(error))

    def note(self, job: Job, trouble: str) -> None:
        """What a save means to those that follow."""
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
        """Let go of what a checkpoint has."""
        try:
            if self.server.journal is not None:
                self.server.journal.discard(entry)
        except VwliteError as error:
            self.server.log.warning("the journal keeps more than it has to", why=str(error))

    async def end(self) -> None:
        """The last save, here and now. Raises ModelError if it fails."""
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
        """For !stats."""
        return {
            "saves": self.saves,
            "saves_failed": self.failures,
            "seconds_since_save": round(self.server.now() - self.saved_at, 3),
        }


def attempt(job: Job, engine: Engine, journal: Journal | None) -> str:
    """Save here and now; what went wrong, or nothing."""
    try:
        place = None if journal is None or job.entry is None else stream(journal, job.entry, engine.flags)
        engine.save(job.path, place)
    except Exception as error:
        return shown(error)
    return ""


def stream(journal: Journal, entry: int, flags: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its journal: the last entry in it, and the flags that later ones are learned with."""
    return {"id": journal.id, "entry": entry, "flags": flags}


def shown(error: Exception) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def die_with(parent: int) -> None:
    """A copy that outlived its parent could put an old checkpoint in the place of a new one. (Linux; elsewhere the time
    that a restart takes has to be enough.)
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
