"""After a search: the final model of all examples but those of the test, and the cold-start curve."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from vwlite.core.learner import end_pass, walk
from vwlite.core.options import Options
from vwlite.engine.run import Run
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError
from vwlite.tuning.data import ASIDE, HELD, LEARN, Data, divided, ordinals
from vwlite.tuning.trial import Judge, prepared

RATINGS = (0, 1, 3, 5, 10, 15)  # examples of a new entity that are learned
WARM, FIRST, LATER, LEFT_OUT = range(4)  # parts of the cold-start curve


class Kept:
    """The blocks in memory as the input of a run; see Feed."""

    selection = None
    note = ""
    cache_path = None
    keeps_cache = False
    interactive = False
    head = None
    wants_names = False

    def __init__(self, data: Data, format_: str) -> None:
        self.data = data
        self.format = format_
        self.records = data.records
        self.names = self.paths = data.names

    def size(self) -> int | None:
        """Bytes to read, for the progress bar; None for no bar."""
        return None

    def description(self) -> list[str]:
        """Lines for the header."""
        return []

    def progress(self) -> int | None:
        """Bytes of text read."""
        return self.data.bytes

    def blocks(self, *stacks: Any) -> Iterator[Any]:
        """The blocks of a pass: all examples but those of the test."""
        yield from self.data.of(LEARN, HELD, ASIDE)

    def interrupt(self) -> None:
        """Does nothing: the driver stops."""

    def close(self) -> None:
        """Does nothing: there is no file."""


class FinalRun(Run):
    """A run over blocks in memory that prints messages, but no table and no summary."""

    def say(self, text: str) -> None:
        """Prints nothing."""


def learn_finally(options: Options, data: Data, tuning: dict[str, Any]) -> Workspace:  # noqa: DOC502, DOC503
    """Learns the final model, and saves it if the options name a file.

    Args:
        options: The options, with the values found.
        data: The data.
        tuning: What the model's metadata say of the search.

    Returns:
        The workspace of the model.

    Raises:
        VwliteError: If the model can't be written.
        KeyboardInterrupt: If the user has asked to stop; nothing is written.
    """
    run = FinalRun(options, Workspace(options, "command"), Kept(data, "vw"))
    run.workspace.tuning = tuning
    run.driver.quiet = True
    run.main()
    if run.stopped_by is not None:
        raise KeyboardInterrupt
    return run.workspace


class ColdStart(NamedTuple):
    """How well new entities are predicted after some of their examples.

    Args:
        entities: The number of new entities that have examples to be measured on.
        examples: The number of examples that are measured.
        curve: The number of examples learned of each new entity, and the loss of its later ones.
    """

    entities: int
    examples: int
    curve: list[tuple[int, float]]


def effects_of(workspace: Workspace) -> list[str]:
    """The names of the random effects."""
    return [learner.effect for learner in walk(workspace.top) if learner.effect is not None]


def require_effect(workspace: Workspace, by: str) -> None:
    """Raises OptionError unless there is a random effect of the entities that are new."""
    if by not in effects_of(workspace):
        raise OptionError(f"--cold needs a model of each {by}: add a random effect of {by}")


def cold_start(  # noqa: DOC502, DOC503
    options: Options,
    data: Data,
    by: str,
    share: float,
    judge: Judge,
    stopped: Callable[[], bool],
) -> ColdStart:
    """Measures the loss for new entities: all else is learned of the others, then frozen.

    Args:
        options: The options of the final model.
        data: The data.
        by: The name of the entities, a random effect.
        share: The share of them that is new.
        judge: Measures the loss.
        stopped: Whether the user has asked to stop.

    Returns:
        The curve.

    Raises:
        VwliteError: If no new entity has more examples than are learned.
        KeyboardInterrupt: If the user has asked to stop.
    """
    new = data.entity_sides >= 1 - share
    before = ordinals(data.entities)
    parts = np.where(new, np.where(before < RATINGS[-1], FIRST, LATER), WARM)
    measured = int((parts == LATER).sum())
    if not measured or not (parts == WARM).any():
        raise VwliteError(
            f"--cold {share:g}: no new {by} has more than {RATINGS[-1]} examples"
            if not measured
            else f"--cold {share:g}: no {by} is left that is not new"
        )
    warm, _, later = divided(data, parts, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "warm.model")
        workspace = prepared(options, data.bytes)
        learn(workspace, warm, stopped)
        workspace.save(path)
        frozen = [name for name in effects_of(workspace) if name != by]
        frozen += ["fixed"] if options["fixed"] != "none" else []
        curve = []
        for most in RATINGS:
            inner = options.copy()
            inner.set("initial_regressor", path)
            if frozen:
                inner.set("freeze", frozen)
            workspace = prepared(inner, data.bytes)
            if most:
                chosen = np.where((parts == FIRST) & (before < most), WARM, LEFT_OUT)
                learn(workspace, divided(data, chosen, 1)[0], stopped)
            curve.append((most, judge.of(workspace, later)))
    entities = len(np.unique(data.entities[parts == LATER]))
    return ColdStart(entities, measured, curve)


def learn(workspace: Workspace, blocks: Sequence[Any], stopped: Callable[[], bool]) -> None:
    """Learns blocks in the passes of the options."""
    for _ in range(workspace.options["passes"]):
        for block in blocks:
            workspace.driver.run_block(block)
            if stopped():
                raise KeyboardInterrupt
        end_pass(workspace.top)
        workspace.driver.end_pass()
        workspace.driver.again = True
