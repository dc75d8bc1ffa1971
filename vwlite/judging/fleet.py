"""Fleet: several models that learn from one reading of the data, each as a run of its own would."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from vwlite.core.files import NewFile
from vwlite.core.learner import walk
from vwlite.core.options import Options
from vwlite.core.paths import explain
from vwlite.engine.feed import Feed
from vwlite.engine.run import Run
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError
from vwlite.features.interactions import OPTIONS as FEATURE_OPTIONS
from vwlite.judging.crew import WINDOW, Crew, cores
from vwlite.parsers.entities import entity_namespaces

# Options that say what a run writes or prints; a fleet prints its own.
REFUSED = {
    "testonly": "nothing would be learned",
    "readable_model": "save a model, and use it with -t",
    "invert_hash": "save a model, and use it with -t",
    "audit": "audit a run of the best setting",
    "raw_predictions": "use -p",
    "save_per_pass": "give --passes fewer",
    "delay": "give it to a run",
    "drift": "give it to a run",
    "dry_run": "vwlite --dry_run prints the stack",
    "entity_limit": "the entities of several models can't share files",
    "preserve_performance_counters": "losses are those of this data",
    "progress": "no table is printed while models learn",
}
HASHED_BY = ("hash", "hash_seed", "redefine", "vw_compat", "transform", "scale")  # what examples are parsed by


def refuse(options: Options, verb: str, refused: dict[str, str]) -> None:
    """Raises OptionError for options that have no effect in a fleet."""
    if errors := [
        f"--{name} has no effect in vwlite {verb}: {why}" for name, why in refused.items() if options.given(name)
    ]:
        raise OptionError(errors)


class Member(Run):
    """A run of a fleet: prints nothing but, if it is the first, malformed lines and messages.

    Args:
        options: Its options.
        workspace: Its workspace.
        feed: The feed of the fleet.
        speaks: Whether it is the first.
        name: What messages call it; "" for nothing.
    """

    must_learn = True

    def __init__(self, options: Options, workspace: Workspace, feed: Feed, speaks: bool, name: str) -> None:
        super().__init__(options, workspace, feed)
        self.speaks, self.name = speaks, name
        self.progress.on = False
        self.seconds = 0.0
        self.pass_number = 0
        self.ended = False
        self.run_block: Callable[[Any], None] = self.driver.run_block
        self.after_pass: Callable[[bool], None] | None = None

    def take(self, block: Any) -> None:
        """Runs a block, and counts the time."""
        if self.driver.done:
            return
        begun = time.perf_counter()
        self.run_block(block)
        self.seconds += time.perf_counter() - begun

    def close_pass(self) -> None:
        """Does what follows a pass."""
        counters = self.driver.counters
        if not self.driver.again:
            self.read = counters.example_number + counters.held_out - self.counted_before
        before = self.best_holdout
        try:
            self.ended = self.ends_with(self.pass_number)
        except VwliteError as error:
            raise type(error)(f"{self.name}: {error}") if self.name and not self.speaks else error from None
        self.pass_number += 1
        self.ended = self.ended or not self.wants_pass(self.pass_number)
        if self.after_pass is not None:
            self.after_pass(self.best_holdout != before)

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Prints malformed lines, if it is the first; see Run."""
        if self.speaks or self.options["strict_parse"]:
            super().problem(source, line, column, reason, text, used)

    def say(self, text: str) -> None:
        """Prints on standard error, if it is the first."""
        if self.speaks:
            super().say(text)

    def log(self, level: str, text: str) -> None:
        """Prints a message with its level, if it is the first."""
        if self.speaks:
            super().log(level, text)

    def saved_elsewhere(self) -> bool:
        """Whether the best model is that of an earlier pass, which was saved."""
        return self.stopped_early and self.saved_best

    def write(self, path: str) -> None:
        """Saves the best model."""
        if not self.saved_elsewhere():
            self.workspace.sources = self.feed.records
            self.workspace.save(path)
            return
        file = None
        try:
            with open(self.options["final_regressor"], "rb") as saved:
                file = NewFile(path)
                file.write(saved.read())
                file.commit()
        except OSError as error:
            raise VwliteError(f"{path}: can't write the model: {explain(error, path)}") from error
        finally:
            if file is not None:
                file.discard()

    def best(self) -> Workspace:
        """The workspace of the best model."""
        if not self.saved_elsewhere():
            return self.workspace
        words = [word for word in ("--quiet",) if self.options["quiet"]]
        return Workspace.load(self.options["final_regressor"], words)


def machine_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def table_bytes(learner: Any) -> int:
    """The bytes of a learner's table of weights; 0 without one."""
    return int(learner.table.bytes) if learner.has_slots and hasattr(learner, "table") else 0


class Fleet:
    """Several models that learn from one reading of the data.

    Args:
        settings: The options of each; all have the same data.
        names: What messages call each; "" for nothing.
        again: Whether the data is read once more after the last pass.
        threads: That learn; 0 for one on each core.
        wants_names: Whether names of features are read.
        keeps: Whether the model of the best pass is needed, not only its loss.

    Attributes:
        bytes: That the weights of all models take at most.

    Raises:
        OptionError: If options don't fit together, or the weights into memory.
    """

    def __init__(  # noqa: DOC502
        self,
        settings: Sequence[Options],
        names: Sequence[str],
        again: bool = False,
        threads: int = 0,
        wants_names: bool = False,
        keeps: bool = False,
    ) -> None:
        workspaces: list[Workspace] = []
        self.bytes = 0
        for options, name in zip(settings, names, strict=True):
            try:
                workspaces.append(Workspace(options, "command"))
            except OptionError as error:
                raise OptionError([f"{name}: {one}" if name else one for one in error.errors]) from None
            self.bytes += sum(map(table_bytes, walk(workspaces[-1].top)))
            if self.bytes > machine_bytes():
                n = len(workspaces)
                workspaces.clear()
                gc.collect()  # with gigabytes reserved this process could start no other
                raise OptionError(
                    f"{n} of {len(settings)} settings may take {self.bytes / 1e9:.1f} GB for their weights, and this "
                    f"machine has {machine_bytes() / 1e9:.1f} GB: give fewer settings, or a smaller --bit_precision"
                )
        tops = [workspace.top for workspace in workspaces]
        first = settings[0]
        for top, options, name in zip(tops, settings, names, strict=True):
            if (top.takes_label, top.multiline) != (tops[0].takes_label, tops[0].multiline):
                raise OptionError(
                    f"{name} learns {top.takes_label.value} labels, and {names[0]} {tops[0].takes_label.value} ones: "
                    "settings that share their data have to learn from the same labels"
                )
            if any(known in options and options[known] != first[known] for known in HASHED_BY) or entity_namespaces(
                options
            ) != entity_namespaces(first):
                raise OptionError(f"{name} would read the data otherwise than {names[0]}, and all share one reading")
        drivers = [workspace.driver for workspace in workspaces]
        repeats = any(learner.asks_again for top in tops for learner in walk(top))
        needs = wants_names or any(driver.needs_names for driver in drivers)
        self.feed = Feed(first, needs, tops[0].takes_label, tops[0].multiline, repeats or again)
        self.feed.others = settings[1:]
        for options in settings:
            options.unset("final_regressor")  # a run would save its own model there after each pass
        # transforms change the rows of a decision while it is learned
        changing = tops[0].multiline and any(driver.transforms is not None for driver in drivers)
        self.threads = 1 if changing or first["onethread"] else min(threads or cores(), len(settings))
        self.feed.window = WINDOW
        self.folder: str | None = None
        self.members = []
        for i, (options, workspace) in enumerate(zip(settings, workspaces, strict=True)):
            member = Member(options, workspace, self.feed, i == 0, names[i])
            self.members.append(member)
            options.set("quiet", bool(first["quiet"]))
            if options["passes"] > 1 and keeps and not options["holdout_off"]:
                self.folder = self.folder or tempfile.mkdtemp(prefix="vwlite-")
                options.set("final_regressor", os.path.join(self.folder, f"{i}.model"))
        self.crossed = share_crossings(workspaces)

    def prepare(self) -> None:
        """Configures all drivers from the options."""
        for member in self.members:
            member.prepare()
            member.driver.quiet = True

    def learn(self) -> None:
        """Runs all passes."""
        learning = list(self.members)
        while learning:
            crew = Crew([member.take for member in learning], min(self.threads, len(learning)))
            crew.run(self.blocks(learning), lambda: self.feed.holds)
            for member in learning:
                member.close_pass()
            learning = [member for member in learning if not member.ended]
        for member in self.members:
            for learner in walk(member.workspace.top):
                learner.end_examples()

    def blocks(self, learning: Sequence[Member]) -> Iterator[Any]:
        """The blocks of a pass, until no member wants more (--examples)."""
        with closing(self.feed.blocks(*self.crossed)) as blocks:
            for block in blocks:
                yield block
                if all(member.driver.done for member in learning):
                    return

    def close(self) -> None:
        """Stops threads, closes files, and removes temporary ones."""
        self.feed.close()
        for member in self.members:
            for sink, _ in member.sinks:
                sink.discard()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def share_crossings(workspaces: Sequence[Workspace]) -> list[Any]:
    """Has stacks with the same interactions share the features that the parsing thread crosses.

    Args:
        workspaces: The stacks.

    Returns:
        The interactions that are crossed, one of each kind.
    """
    found: list[tuple[Any, Any]] = []
    for workspace in workspaces:
        options, mine = workspace.options, workspace.interactions
        aside = sorted(name for learner in walk(workspace.top) for name in learner.sets_aside)
        key = ([options[option.name] for option in FEATURE_OPTIONS.options], aside)
        if mine.ahead() is None:
            continue
        other = next((theirs for known, theirs in found if known == key), None)
        if other is None:
            found.append((key, mine))
            mine.like = None
        else:
            mine.like = other
    return [interactions for _, interactions in found]


def warn(text: str) -> None:
    """Prints a warning on standard error."""
    print(f"[warning] {text}", file=sys.stderr, flush=True)
