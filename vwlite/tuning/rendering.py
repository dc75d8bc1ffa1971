"""A search as text: the table while it runs, and what it found."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import IO, Any

from vwlite.report.outputs import decimals
from vwlite.tuning.ranges import spelled
from vwlite.tuning.trace import Evaluation
from vwlite.tuning.trial import RISING
from vwlite.tuning.tuner import Listener, Tuned

WIDTH = 12  # of a column at least


class Table(Listener):
    """The table of evaluations on a stream: a line for each; on a terminal those that are no improvement make room.

    Args:
        stream: Where the lines go.
        quiet: Whether only messages about errors are wanted.
        metric: What is compared.
    """

    def __init__(self, stream: IO[str], quiet: bool, metric: str) -> None:
        self.stream, self.quiet = stream, quiet
        self.sign = -1 if metric.partition(":")[0] in RISING else 1
        self.live = stream.isatty()
        self.width = 0
        self.best = math.inf
        self.widths: list[int] = []

    def begin(self, keys: Sequence[str], measured: str) -> None:
        """Prints the head of the table."""
        heads = ["evaluation", "loss", "best", *keys]
        self.widths = [max(WIDTH, len(head)) for head in heads]
        self.line(f"{measured}:")
        self.line(self.row(heads))

    def evaluated(self, evaluation: Evaluation, best: bool) -> None:
        """Prints an evaluation."""
        self.best = min(self.best, evaluation.loss)
        cells = [str(evaluation.number), number(self.sign * evaluation.loss), number(self.sign * self.best)]
        text = self.row([*cells, *(spelled(value) for value in evaluation.values)])
        if not self.live or best:
            self.line(text)
        elif not self.quiet:
            self.clear()
            self.stream.write(text)
            self.stream.flush()
            self.width = len(text)

    def note(self, text: str) -> None:
        """Prints a message."""
        if not self.quiet:
            self.clear()
            print(f"[info] {text}", file=self.stream, flush=True)

    def end(self) -> None:
        """Erases the line of the last evaluation, if it was no improvement."""
        self.clear()

    def row(self, cells: Sequence[str]) -> str:
        """A line of the table."""
        return "  ".join(cell.rjust(width) for cell, width in zip(cells, self.widths, strict=True))

    def line(self, text: str) -> None:
        """Prints a line that stays."""
        if not self.quiet:
            self.clear()
            print(text, file=self.stream, flush=True)

    def clear(self) -> None:
        """Erases the line that makes room."""
        if self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.width = 0


def number(loss: float) -> str:
    """A loss as text."""
    return decimals(loss) if math.isfinite(loss) else "n/a"


def render(found: Tuned) -> str:
    """The text of what a search found."""
    lines = [
        f"evaluations = {len(found.evaluations)} (ended by: {found.why})",
        f"{found.measured} at the start = {number(found.start_loss)} ({values(found.start)})",
        f"{found.measured} at the best = {number(found.loss)} ({values(found.values)})",
    ]
    lines += [
        f"{key}={spelled(found.values[key])} is at the {end} end of its range: a longer range may have a better value"
        for key, end in found.ends.items()
    ]
    if found.passes > 1 or found.final_passes > 1:
        lines.append(f"passes = {found.final_passes}")
    if found.refit is not None:
        lines.append(f"passes that refit = {found.refit}")
        lines.append(f"flags for new entities = {shlex.join(found.new_flags)}")
    if found.test is not None:
        lines.append(
            f"{found.measured.removeprefix('progressive ').partition(' ')[0]} of the test = {number(found.test)}"
        )
    if found.cold is not None:
        entities = f"{found.cold.entities:,} new entities, {found.cold.examples:,} later examples of them"
        lines.append(f"{found.measured.removeprefix('progressive ').partition(' ')[0]} of {entities}:")
        lines += [f"  after {most:>2} examples = {number(loss)}" for most, loss in found.cold.curve]
    lines.append(f"flags = {shlex.join(found.flags)}")
    return "\n".join(lines)


def values(found: dict[str, float]) -> str:
    """Values of options as text."""
    return " ".join(f"{key}={spelled(value)}" for key, value in found.items())


def as_dict(found: Tuned) -> dict[str, Any]:
    """What a search found in values that JSON can represent."""
    keys = list(found.values)
    return {
        **found._asdict(),
        "loss": finite(found.loss),
        "start_loss": finite(found.start_loss),
        "test": None if found.test is None else finite(found.test),
        "evaluations": [one.as_dict(keys) for one in found.evaluations],
        "cold": None
        if found.cold is None
        else {**found.cold._asdict(), "curve": [[most, finite(loss)] for most, loss in found.cold.curve]},
    }


def finite(loss: float) -> float | None:
    """A loss, None if it is not finite."""
    return loss if math.isfinite(loss) else None
