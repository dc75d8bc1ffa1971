"""Workspaces of tasks: one for each share of the rows, which learns without a run of the command line around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from vwlite.core.learner import end_pass, walk
from vwlite.engine import entity_tables
from vwlite.engine.workspace import Workspace
from vwlite.entities.heads import Head
from vwlite.errors import OptionError, ParseError
from vwlite.parsers.arrow import Tables

Flags = str | Sequence[str]
NAMELESS = "examples without an entity"  # in the metrics of an effect


class Rows:
    """Counts the rows of tables that are run, and those that are malformed; the driver's listener.

    Args:
        strict: Raise ParseError at the first malformed row.

    Attributes:
        first: The first malformed row, and why.
        refused: The numbers of malformed rows in their batches, from 1; `clear` it between two.
        done: Rows of earlier batches.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.malformed = self.done = 0
        self.first = ""
        self.refused: list[int] = []
        self.notes: list[str] = []

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Counts a malformed row; called by the driver."""
        shown = text.decode("utf-8", "replace")
        if self.strict:
            raise ParseError("row", self.done + line, column, reason, shown)
        self.malformed += not used
        if not used:
            self.refused.append(line)
        if not self.first:
            self.first = str(ParseError("row", self.done + line, column, reason, shown))

    def place(self, source: int, line: int) -> str:
        """The name of a row in messages."""
        return f"row {self.done + line}"

    def remark(self, text: str) -> None:
        """Keeps a message about the data."""
        self.notes.append(text)


class Task:
    """A workspace that learns rows of whole entities, for a table of them.

    Args:
        flags: Options as on the command line.
        effect: The effect whose table is asked for; None for the only one.
        loads: Whether the flags may load a model.

    Raises:
        OptionError: If the flags have no such effect, or load a model.
    """

    def __init__(self, flags: Flags, effect: str | None, loads: bool = False) -> None:  # noqa: DOC503
        self.workspace = Workspace(flags)
        options = self.workspace.options
        if options["initial_regressor"] and not loads:
            raise OptionError("-i: a task that loads a model would have all its entities: give their table as `before`")
        self.effect, self.learner = entity_tables.only_effect(self.workspace, effect)
        self.listener = Rows(options["strict_parse"])
        self.workspace.driver.listener = self.listener
        self.rows = 0

    def learn(
        self, batches: Iterable[Any], label: str | None, weight: str | None, tag: str | None, columns: Any
    ) -> None:
        """Learns the rows of batches, in their order, as a run of the command line does."""
        driver, options = self.workspace.driver, self.workspace.options
        if label is not None:
            options.set("label", label, "model")
        for block in self.blocks(batches, label, weight, tag, columns):
            driver.run_block(block)
        if self.rows:
            if driver.training:
                end_pass(self.workspace.top)
            driver.end_pass()
            for learner in walk(self.workspace.top):
                learner.end_examples()

    def blocks(
        self,
        batches: Iterable[Any],
        label: str | None,
        weight: str | None,
        tag: str | None,
        columns: Any,
        learning: bool = True,
    ) -> Iterator[Any]:
        """Blocks of the rows of batches."""
        doors = self.workspace._doors
        column_map, y, weight_values, tags = doors.column_map(label, weight, tag, columns)
        reader = Tables(*doors.made_with)
        for batch in batches:
            if not batch.num_rows:
                continue
            yield from reader.blocks(
                batch, column_map, y, weight_values, tags, learning, "the table", self.decided if learning else None
            )
            self.rows += batch.num_rows
            self.listener.done = self.rows

    def decided(self, rules: list[Any]) -> None:
        """Keeps what the columns are, so that the model reads other tables alike."""
        given = [str(rule) for rule in rules if rule.role != "label"]
        self.workspace.options.set("columns_in", given, "model")

    def finished(self, head: Head) -> Head:
        """The metadata of the table, with the numbers of rows."""
        metrics = self.workspace_metrics()
        skipped = {
            "rows": self.rows,
            "malformed": self.listener.malformed,
            "nameless": int(metrics.get(f"{self.learner.owner} {NAMELESS}", 0)),
        }
        return head._replace(skipped=skipped, problem=self.listener.first)

    def workspace_metrics(self) -> dict[str, Any]:
        """The metrics of the learners."""
        found: dict[str, Any] = {}
        for learner in walk(self.workspace.top, copies=False):
            found |= learner.metrics()
        return found
