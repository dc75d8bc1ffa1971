"""Learning curves: metrics of held-out data after training on more and more examples."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from vwlite.engine import command_line
from vwlite.engine.run import Run
from vwlite.engine.storing import loss_of
from vwlite.errors import OptionError, VwliteError
from vwlite.judging.commands import evaluation_of
from vwlite.judging.evaluation import Metric
from vwlite.judging.intervals import Resampling

FIRST = 100  # examples
OF_RUNS = (
    *("-f", "--final_regressor", "-d", "--data", "-t", "--testonly", "-p", "--predictions"),
    *("--examples", "--daemon"),
)


class Point(NamedTuple):
    """A point of a learning curve.

    Args:
        examples: The number of examples that were read.
        loss: Their progressive loss; None if it is undefined.
        metrics: Those of the held-out data.
    """

    examples: int
    loss: float | None
    metrics: list[Metric]

    def value(self, name: str) -> Metric:
        """A metric. Raises OptionError if there is none of this name."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise OptionError(f"there is no metric {name}: there are {', '.join(metric.name for metric in self.metrics)}")


def learning_curve(  # noqa: DOC502, DOC503
    data: Sequence[str],
    test: Sequence[str],
    flags: Sequence[str] = (),
    sizes: Sequence[int] = (),
    how: Resampling | None = None,
    given: dict[str, Any] | None = None,
) -> Iterator[Point]:
    """Trains on the first examples of data, more and more of them, and evaluates each model on the same held-out data.

    Args:
        data: The training data, in files that can be read several times.
        test: The held-out data.
        flags: Of the training.
        sizes: Numbers of examples, increasing; by default 100, 200, 400, ... and all.
        how: The bootstrap of the held-out metrics.
        given: Options about the held-out data, by name; those of the training data are among the flags.

    Yields:
        A point for each size up to the number of examples there are.

    Raises:
        OptionError: If a flag is not one of training.
        VwliteError: If a file can't be read, or nothing be learned from it.
        KeyboardInterrupt: If a run was stopped by a signal.
    """
    names = [word.partition("=")[0] for word in flags]
    wrong = [name for name in names if (f"--{name[2:].replace('-', '_')}" if name[:2] == "--" else name) in OF_RUNS]
    if wrong:
        raise OptionError(f"{wrong[0]}: a learning curve decides that itself: leave it out")
    if "-" in (*data, *test):
        raise OptionError(
            "a learning curve reads its data several times, and standard input can be read once: name files"
        )
    if any(one >= other for one, other in pairwise(sizes)):
        raise OptionError(f"sizes increase, and {', '.join(map(str, sizes))} do not")
    with tempfile.TemporaryDirectory(prefix="vwlite-") as folder:
        path, seen = os.path.join(folder, "model"), 0
        for size in sizes or doubling():
            words = [*flags, *(f"--data={one}" for one in data), f"--examples={size}", f"--final_regressor={path}"]
            run = Run(command_line.parse([*words, "--quiet"], command_line.option_groups()))
            if run.main():
                raise KeyboardInterrupt
            if not run.read:
                raise VwliteError(f"{', '.join(data)}: no example to learn from")
            if run.read == seen:
                return
            seen = run.read
            found = evaluation_of(path, test, how, given=given)
            yield Point(seen, loss_of(run.workspace), found.metrics)
            if seen < size:
                return


def doubling() -> Iterator[int]:
    """100, 200, 400, ..."""
    size = FIRST
    while True:
        yield size
        size *= 2
