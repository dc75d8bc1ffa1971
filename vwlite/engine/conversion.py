"""Conversion of examples between formats: from a Feed to lines of VW's text or JSON, or to a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from vwlite.core.options import Options
from vwlite.core.types import LabelType
from vwlite.engine.conflicts import check_subcommand
from vwlite.engine.feed import Feed
from vwlite.errors import OptionError, ParseError, VwliteError
from vwlite.input.formats import IN_WORDS, OF_ROWS, PACKED, by_suffix
from vwlite.input.writing import Lines
from vwlite.report.outputs import PROBLEMS_SHOWN, Progress, Sink, problem_line

LABELS = {
    "simple": LabelType.SIMPLE,
    "class": LabelType.MULTICLASS,
    "classes": LabelType.MULTILABEL,
    "costs": LabelType.COST_SENSITIVE,
    "lines": LabelType.COST_SENSITIVE,
    "decisions": LabelType.CONTEXTUAL_BANDIT,
}
TABLES = ("csv", "parquet")  # formats whose columns are the same in all rows


class Conversion:
    """A conversion of the sources of a run.

    Args:
        options: The options of the run: its sources, and how they are read.
        output: The file to write; "-" is standard output.
        to: "vw", "json", "csv" or "parquet"; None for what the name of the file says.
        labels: A key of LABELS.

    Raises:
        OptionError: If the formats or options can't be used together.
    """

    def __init__(self, options: Options, output: str, to: str | None, labels: str) -> None:  # noqa: DOC503
        self.options = options
        self.output = output
        self.labels = LABELS[labels]
        self.multiline = labels in ("lines", "decisions")
        self.shown = self.skipped = self.count = 0
        self.first_problem = ""
        paths = options["data"]
        check_subcommand(paths, output=output)
        if output.lower().endswith(PACKED):
            raise OptionError(f"-o {output}: no compressed file is written: pipe the output into gzip, for instance")
        self.to = self._format(to)
        self.feed = self._feed(self.to != "vw")
        self.copies = self.to == "vw" and self.feed.format == "vw"
        if not self.copies and not self.feed.wants_names:
            self.feed = self._feed(True)
        if self.multiline and not self.copies:
            raise OptionError(
                f"--labels {labels}: examples of several lines are written as VW's text only: leave --to {self.to} out"
            )
        if self.to in TABLES:
            self._require_files()

    def _format(self, to: str | None) -> str:
        """The format of the output."""
        named = to or by_suffix(self.output) or "vw"
        if named in ("tsv", "arrow"):
            raise OptionError(f"-o {self.output}: {IN_WORDS[named]} is read, but not written: --to csv or --to parquet")
        if named == "parquet":
            from vwlite.input.tables import require_pyarrow

            require_pyarrow(self.output)
        return named

    def _feed(self, names: bool) -> Feed:
        return Feed(self.options, names, self.labels, self.multiline)

    def _require_files(self) -> None:
        """Raises OptionError for sources that can't be read twice."""
        if self.feed.interactive and self.feed.format not in OF_ROWS:
            raise OptionError(
                f"--to {self.to} reads the examples twice, first for the names of the columns, and a pipe can be read "
                "once: name a file, or write --to json"
            )

    def run(self) -> None:  # noqa: DOC502
        """Converts the examples.

        Raises:
            VwliteError: If a source can't be read, the output not be written, or an example not be written so.
        """
        if self.feed.note:
            self.say(f"[info] {self.feed.note}")
        if self.to in TABLES:
            self._write_table()
            return
        lines = self._lines()
        sink = Sink(self.output, "examples")
        try:
            self._each_block(self.feed, lines, lambda block: sink.write(lines.text(block)))
            self._refuse_empty(lines)
            sink.commit()
        finally:
            sink.discard()
        self._summary(lines)

    def _lines(self, report: bool = True) -> Lines:
        problem = self.problem if report else lambda *_: None
        kind: type[Lines] = Lines
        if self.to == "json":
            from vwlite.input.json_writing import JsonLines

            kind = JsonLines
        return kind(self.labels, self.copies, self.multiline, problem, self.feed.names)

    def _each_block(self, feed: Feed, lines: Lines, use: Callable[[Any], None]) -> None:
        """Calls `use` with each block of a feed."""
        progress = Progress(sys.stderr, feed.size(), not self.options["quiet"])
        try:
            for block in feed.blocks():
                use(block)
                progress.update(feed.progress, lines.examples)
        finally:
            progress.clear()
            feed.close()

    def _write_table(self) -> None:
        from vwlite.engine.table_writing import Columns, CsvWriter, ParquetWriter

        columns = Columns()
        lines = self._lines()
        self._each_block(self.feed, lines, lambda block: columns.gather(lines.records(block)))
        self._refuse_empty(lines)
        columns.finish()
        lines = self._lines(report=False)
        sink = Sink(self.output, "examples")
        try:
            writer = (CsvWriter if self.to == "csv" else partial(ParquetWriter, labels=self.labels))(columns, sink)
            self._each_block(self._feed(True), lines, lambda block: writer.write(lines.records(block)))
            writer.close()
            sink.commit()
        finally:
            sink.discard()
        self._summary(lines)
        if columns.reordered:
            self.say(
                f"[warning] {columns.reordered} examples have their features in another order than the columns: sums "
                "in another order can differ in the last digit (--to json keeps the order)"
            )
        self.say(f"[info] read it with: {columns.flags()}")

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes) -> None:
        """Prints the first few malformed lines; with --strict_parse, raises ParseError."""
        name = self.feed.names[source]
        if self.options["strict_parse"]:
            raise ParseError(name, line, column, reason, text.decode("utf-8", "surrogateescape"))
        self.skipped += 1
        shown = problem_line(name, line, column, reason, text)
        self.first_problem = self.first_problem or shown
        if self.shown < PROBLEMS_SHOWN:
            self.shown += 1
            self.say(f"skipped {shown}")

    def say(self, text: str) -> None:
        """Prints on standard error, unless --quiet."""
        if not self.options["quiet"]:
            print(text, file=sys.stderr, flush=True)

    def _refuse_empty(self, lines: Lines) -> None:
        """Raises VwliteError if all lines are malformed: most likely they are of another kind."""
        if self.skipped and not lines.examples:
            raise VwliteError(
                f"{', '.join(self.feed.names)}: all {self.skipped} lines are malformed; the first is "
                f"{self.first_problem} (--format and --labels say what they are)"
            )

    def _summary(self, lines: Lines) -> None:
        where = "" if self.output in ("-", "stdout") else f" to {os.fspath(self.output)}"
        self.say(f"wrote {lines.examples} examples{where}")
        chosen = self.feed.selection
        for name, count in chosen.figures().items() if chosen is not None else ():
            self.say(f"{name} = {count}")
        for remark in chosen.remarks() if chosen is not None else ():
            self.say(f"[warning] {remark}")
        if self.skipped:
            total = lines.examples + self.skipped
            self.say(f"skipped malformed lines = {self.skipped} of {total} (--strict_parse stops at the first)")
