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
from vwlite.tuning.trial import Judge, Stop, prepared, run

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


class Refit(NamedTuple):
    """How an effect is learned once more, with all else frozen.

    Args:
        effect: The name of the effect.
        passes: Over the examples.
    """

    effect: str
    passes: int


def learn_finally(options: Options, data: Data, tuning: dict[str, Any], refit: Refit | None = None) -> Workspace:  # noqa: DOC502, DOC503
    """Learns the final model, and saves it if the options name a file.

    Args:
        options: The options, with the values found.
        data: The data.
        tuning: What the model's metadata say of the search.
        refit: The effect that is learned once more; None for none.

    Returns:
        The workspace of the model.

    Raises:
        VwliteError: If the model can't be written.
        KeyboardInterrupt: If the user has asked to stop; nothing is written.
    """
    if refit is None:
        return learned(options, data, tuning)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "whole.model")
        whole = options.copy()
        whole.unset("predict_only_model")
        whole.set("final_regressor", path)
        whole.arguments = [word for word in options.arguments if not word.startswith(OF_FINAL)]
        learned(whole, data, tuning)
        last = refitting(options, path, refit)
        last.arguments = [*options.arguments, f"--refit={refit.effect}"]
        return learned(last, data, tuning)


OF_FINAL = ("--final_regressor", "--predict_only_model")  # words that name the file of the model


def refitting(options: Options, path: str, refit: Refit) -> Options:
    """The options of a run that learns an effect of a saved model once more."""
    found = options.copy()
    found.set("initial_regressor", path)
    found.set("refit", refit.effect)
    found.set("passes", refit.passes)
    if refit.passes == 1:
        found.unset("early_terminate")
        found.unset("holdout_off")
    return found


def learned(options: Options, data: Data, tuning: dict[str, Any]) -> Workspace:
    """Learns all examples but those of the test. Raises KeyboardInterrupt if the user has asked to stop."""
    final = FinalRun(options, Workspace(options, "command"), Kept(data, "vw"))
    final.workspace.tuning = tuning
    final.driver.quiet = True
    final.main()
    if final.stopped_by is not None:
        raise KeyboardInterrupt
    return final.workspace


def passes_of_refit(  # noqa: DOC502
    options: Options,
    most: int,
    effect: str,
    learned_from: Sequence[Any],
    held: Sequence[Any],
    size: int,
    judge: Judge,
    stop: Stop,
    stopped: Callable[[], bool],
) -> int:
    """The best number of passes over the examples that refit an effect.

    Args:
        options: The options of the final model.
        most: The most passes that are tried.
        effect: The name of the effect.
        learned_from: The blocks that are learned.
        held: The blocks that are predicted only.
        size: Bytes of text of the data.
        judge: Measures the loss.
        stop: When passes end.
        stopped: Whether the user has asked to stop.

    Returns:
        The number; 1 if there is nothing to compare.

    Raises:
        KeyboardInterrupt: If the user has asked to stop.
    """
    if most == 1 or not held:
        return 1
    inner = options.copy()
    inner.unset("early_terminate")
    inner.unset("holdout_off")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "whole.model")
        workspace = prepared(inner, size)
        learn(workspace, learned_from, stopped)
        workspace.save(path)
        again = prepared(refitting(inner, path, Refit(effect, most)), size)
        return run(again, learned_from, held, judge, stop, stopped).passes


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


def frozen_beside(workspace: Workspace, options: Options, effect: str) -> list[str]:
    """The names of the other parts, for --freeze."""
    frozen = [name for name in effects_of(workspace) if name != effect]
    return frozen + (["fixed"] if options["fixed"] != "none" else [])


def require_effect(workspace: Workspace, flag: str, name: str) -> None:
    """Raises OptionError unless there is a random effect of the name that a flag gives."""
    if name not in effects_of(workspace):
        raise OptionError(f"{flag} needs a model of each {name}: add a random effect of {name}")


def cold_start(  # noqa: DOC502, DOC503
    options: Options,
    data: Data,
    by: str,
    share: float,
    judge: Judge,
    stopped: Callable[[], bool],
    passes: int | None = None,
) -> ColdStart:
    """Measures the loss for new entities: all else is learned of the others, then frozen.

    Args:
        options: The options of the final model.
        data: The data.
        by: The name of the entities, a random effect.
        share: The share of them that is new.
        judge: Measures the loss.
        stopped: Whether the user has asked to stop.
        passes: Over the examples of new entities; None for as many as over the others.

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
        frozen = frozen_beside(workspace, options, by)
        curve = []
        for most in RATINGS:
            inner = options.copy()
            inner.set("initial_regressor", path)
            if frozen:
                inner.set("freeze", frozen)
            inner.set("passes", passes or options["passes"])
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
