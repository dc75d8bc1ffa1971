"""A trial: a model learned with some values of the tuned options, and its loss of examples that it didn't learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from vwlite.core.learner import Verdict, end_pass, walk
from vwlite.core.options import Options
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError

RISING = ("auc", "accuracy")  # metrics of which more is better
METRICS = ("loss", "auc", "accuracy", "brier", "logloss", "mae", "mse", "rmse")


class Outcome(NamedTuple):
    """What a trial finds.

    Args:
        loss: The loss or metric; infinite if it is undefined.
        passes: The pass after which it was best, from 1.
    """

    loss: float
    passes: int


class Silent:
    """Listener of a driver whose remarks and malformed lines were reported when the data were read."""

    def row(self, *_: Any) -> None:
        """Ignores a row of the table."""

    def problem(self, *_: Any) -> None:
        """Ignores a malformed line."""

    def remark(self, text: str) -> None:
        """Ignores a remark."""

    def place(self, source: int, line: int) -> str:
        """The name of a line in messages."""
        return f"line {line}"


class Stop(NamedTuple):
    """When passes end: the rule of early stopping.

    Args:
        patience: Passes in a row without a lower loss after which no further one is made.
        improvement: The least relative improvement that counts.
    """

    patience: int
    improvement: float


def improves(loss: float, best: float | None, improvement: float) -> bool:
    """Whether a loss is lower than the best one, by a share of that which counts.

    >>> improves(0.98, 1.0, 0.01), improves(0.995, 1.0, 0.01), improves(5.0, None, 0.01)
    (True, False, True)
    """
    return best is None or loss < best - improvement * abs(best)


class Judge:
    """Losses of examples that a workspace doesn't learn.

    Args:
        metric: One of METRICS, or one of an entity, such as rmse:user; "loss" is that of the learner.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric

    @property
    def rises(self) -> bool:
        """Whether more is better."""
        return self.metric.partition(":")[0] in RISING

    def observe(self, workspace: Workspace) -> Any:
        """Has a workspace's predictions recorded from now on; returns the report, None for the loss itself."""
        if self.metric == "loss":
            return None
        from vwlite.report import figures

        options = workspace.options.copy()
        options.set("report", [self.metric])
        report = figures.Report(options, workspace.top)
        workspace.driver.observer = report.metrics
        return report

    def value(self, report: Any, loss: float, weight: float) -> float:
        """The loss (of all weights) or metric, of which less is better; infinite if undefined."""
        if report is None:
            found = loss / weight if weight > 0 else math.nan
        else:
            figure = report.figures()[-1]
            found = math.nan if figure.value is None else figure.value
        if self.rises:
            found = -found
        return found if math.isfinite(found) else math.inf

    def of(self, workspace: Workspace, blocks: Sequence[Any]) -> float:
        """The loss of blocks that are predicted only."""
        driver = workspace.driver
        training, driver.training = driver.training, False
        observer = driver.observer
        before = driver.counters.sum_loss, driver.counters.weighted_labeled
        try:
            report = self.observe(workspace)
            for block in blocks:
                driver.run_block(block)
        finally:
            driver.training, driver.observer = training, observer
        counters = driver.counters
        return self.value(report, counters.sum_loss - before[0], counters.weighted_labeled - before[1])


def prepared(options: Options, size: int) -> Workspace:
    """A workspace whose driver runs blocks in memory, of so many bytes of text."""
    workspace = Workspace(options, "command")
    driver = workspace.driver
    driver.listener = Silent()
    driver.quiet = True
    driver.unmatched = None
    for learner in walk(workspace.top):
        learner.tell = silent
        learner.expect(size)
    return workspace


def silent(text: str) -> None:
    """Ignores a remark of a learner."""


def run(
    workspace: Workspace,
    learned: Sequence[Any],
    held: Sequence[Any],
    judge: Judge,
    stop: Stop,
    stopped: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Learns in passes, and measures the loss of other examples after each; without any, the progressive loss.

    Args:
        workspace: The workspace, new.
        learned: The blocks that are learned.
        held: The blocks that are predicted only.
        judge: Measures the loss.
        stop: When passes end.
        stopped: Whether the user has asked to stop.

    Returns:
        The best loss and its pass.

    Raises:
        VwliteError: If no example has a label.
        KeyboardInterrupt: If the user has asked to stop.
    """
    driver = workspace.driver
    report = None if held else judge.observe(workspace)
    best: float | None = None
    best_pass = stale = 0
    for number in range(1, workspace.options["passes"] + 1):
        for block in learned:
            driver.run_block(block)
            if stopped():
                raise KeyboardInterrupt
        counters = driver.counters
        if counters.weighted_labeled <= 0:
            raise VwliteError("no example has a label and a weight, so nothing can be tuned: are labels missing?")
        verdict = end_pass(workspace.top)
        driver.end_pass()
        driver.again = True
        total, weight = counters.sum_loss, counters.weighted_labeled
        loss = judge.of(workspace, held) if held else judge.value(report, total, weight)
        if improves(loss, best, stop.improvement):
            best, best_pass, stale = loss, number, 0
        else:
            stale += 1
        if verdict is Verdict.DONE or stale >= stop.patience:
            break
    return Outcome(math.inf if best is None else best, best_pass)


def require_judgeable(workspace: Workspace, holds_out: bool) -> None:
    """Raises OptionError if a stack's loss can't be compared without held-out examples."""
    late = [learner for learner in walk(workspace.top) if learner.waits_for_pass]
    if holds_out:
        return
    if workspace.options["passes"] > 1:
        raise OptionError(
            "--passes: later passes predict examples that were learned: hold some out (--holdout 0.2), or give "
            "--validation FILE"
        )
    if late:
        raise OptionError(
            f"{late[0].name} learns when a pass ends, so its progressive loss is not that of a trained model: hold "
            "examples out (--holdout 0.2), or give --validation FILE"
        )
