"""The output of a run: formats of numbers and messages, files of predictions, and the progress bar."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from vwlite.core.files import NewFile
from vwlite.core.options import Option, OptionGroup
from vwlite.core.paths import explain
from vwlite.errors import VwliteError

OPTIONS = OptionGroup(
    "Output",
    (
        Option(
            "predictions",
            str,
            "write a prediction for each example here",
            short="p",
            metavar="FILE",
            file="written",
            task="predict",
        ),
        Option(
            "columns",
            str,
            "columns of -p: prediction, score, initial, sd, low, high, the same of a label, with "
            "its noise: label_sd, label_low, label_high, and the parts of the score: fixed and each random effect by "
            "its name",
            metavar="NAME,..",
            needs=("predictions", "library", "serving"),
            task="personal",
        ),
        Option(
            "interval",
            float,
            "-p writes the ends of the interval that holds the expected value with this probability, too (low, high; "
            "columns label_low and label_high hold a new label with it)",
            above=0,
            most=0.999999,
            metavar="P",
            needs=("predictions", "library", "serving"),
        ),
        Option(
            "raw_predictions",
            str,
            "write unclipped, unlinked scores here; of a decision those of all actions, in the order of -p",
            short="r",
            metavar="FILE",
            file="written",
        ),
        Option(
            "progress",
            str,
            "rows of the table: 100 every 100 examples, 1.5 (with a dot) at powers of 1.5",
            short="P",
            needs=("!quiet",),
        ),
        Option(
            "report",
            str,
            "metrics for the summary: auc, logloss, brier, accuracy, rmse, mse, mae, calibration, separated by commas; "
            "auc:user is the mean over the entities of the namespace user; or a page of charts to write, FILE.html",
            many=True,
            metavar="NAMES|FILE.html",
            needs=("!quiet", "library"),
            task="look",
        ),
        Option("quiet", bool, "print nothing but errors"),
        Option(
            "audit",
            bool,
            "print each example's features, hashes and weights on standard output",
            short="a",
        ),
    ),
    examples=(
        "vwlite data.vw -i start.model -t -p predictions -r scores",
        "vwlite ratings.vw --bayes_linear --columns prediction,sd -p predictions",
        "vwlite ratings.vw --bayes_linear --interval 0.9 -p predictions",
        "vwlite data.vw --loss_function logistic --link logistic --report auc,logloss -P 100",
        "vwlite data.vw --loss_function logistic --report out.html",
        "vwlite data.vw --quiet --audit",
    ),
)

PAGE = ".html"  # the suffix of a page among the metrics of --report


def pages_of(texts: Iterable[str]) -> list[str]:
    """The pages among the values of --report."""
    return [text for text in texts if text.lower().endswith(PAGE)]


TABLE_HEADER = (
    "average  since         example        example        current        current  current\n"
    "loss     last          counter         weight          label        predict features"
)
FLUSH_BYTES = 1 << 16
PROBLEMS_SHOWN = 5


class Sink:
    """An output file of predictions, or of `what`.

    A regular file is renamed to its name when it is complete; each block is written to a pipe at once. Raises
    VwliteError if the file can't be written.
    """

    def __init__(self, path: str, what: str = "predictions") -> None:
        self.what = what
        self.path = "/dev/stdout" if path in ("stdout", "-") else path
        with self._explained():
            self.file = NewFile(self.path)

    def write(self, text: bytes) -> None:
        """Writes text."""
        with self._explained():
            self.file.write(text)

    def commit(self) -> None:
        """Renames the complete file to its name."""
        with self._explained():
            self.file.commit()

    def discard(self) -> None:
        """Deletes the incomplete file after an error; has no effect after commit()."""
        self.file.discard()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            raise VwliteError(f"{self.path}: can't write {self.what}: {explain(error, self.path)}") from error


def decimals(value: float, places: int = 6, digits: int = 6, as_vw: bool = False) -> str:
    """Formats a number with `places` decimals or, if fewer than three digits would remain, `digits` significant digits.

    `as_vw` always uses decimals.

    >>> decimals(0.25), decimals(0.00012), decimals(1.25e-9), decimals(0.00125, places=4, digits=4), decimals(0.0)
    ('0.250000', '0.000120', '1.25e-09', '0.00125', '0.000000')
    """
    if value == 0 or as_vw or not abs(value) < 100 * 10.0**-places:
        return f"{value:.{places}f}"
    return f"{value:.{digits}g}"


def scalar(value: float) -> str:
    """Formats a prediction as -p does: integers without decimals, others by `decimals`."""
    return f"{value:.0f}" if float(value).is_integer() else decimals(value)


def ratio(loss: float, weight: float, nothing: str, as_vw: bool) -> str:
    """Formats a mean loss for its column of eight characters; returns `nothing` if the weight is 0."""
    return decimals(loss / weight, digits=3, as_vw=as_vw) if weight > 0 else nothing


def shorten(text: str, width: int) -> str:
    """Truncates text to a width, with dots."""
    return text if len(text) <= width else text[: width - 3] + "..."


def problem_line(source: str, line: int, column: int, reason: str, text: bytes) -> str:
    """The message about a malformed line: place, reason, and the beginning of the line."""
    start = text[:60].decode("utf-8", "replace")
    start = start if start.isprintable() else repr(start)[1:-1]
    return f"{source}:{line}:{column}: {reason}: {start}{'...' if len(text) > 60 else ''}"


class Progress:
    """A progress bar on the last line of a terminal: share, rate and time left. Disabled without terminal or size."""

    def __init__(self, stream: IO[str], total: int | None, wanted: bool) -> None:
        self.stream = stream
        self.total = total
        self.on = wanted and bool(total) and stream.isatty()
        self.started = time.monotonic()
        self.shown_at = self.started
        self.width = 0

    def update(self, progress: Callable[[], int | None], examples: int) -> None:
        """Redraws the bar, at most ten times a second; `progress` returns the bytes read, None if unknown."""
        now = time.monotonic()
        if not self.on or now - self.shown_at < 0.1:
            return
        done = progress()
        if done is None:
            return
        self.shown_at = now
        self.clear()
        text = bar(done, self.total or 1, examples, now - self.started)
        self.stream.write(text)
        self.stream.flush()
        self.width = len(text)

    def clear(self) -> None:
        """Erases the bar, so that a line can be printed."""
        if self.width:
            self.stream.write("\r" + " " * self.width + "\r")
            self.width = 0


def bar(done: int, total: int, examples: int, seconds: float) -> str:
    """The text of the progress bar.

    >>> bar(50, 200, 1_000_000, 2.0)
    '[#######                       ]  25%  500,000 examples/s  6 s left'
    """
    share = min(done / total, 1.0)
    filled = int(30 * share)
    left = f"{seconds * (1 - share) / share:.0f} s left" if share > 0 else ""
    return f"[{'#' * filled:<30}] {share:4.0%}  {examples / max(seconds, 1e-9):,.0f} examples/s  {left}"
