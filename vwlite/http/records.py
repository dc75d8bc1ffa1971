"""Writes records, as JSON has them, as lines of VW's text, which the model learns and the journal stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vwlite.core.options import Options
from vwlite.core.types import LabelType
from vwlite.errors import VwliteError
from vwlite.http.problems import Problem, pointer
from vwlite.input.naming import Naming
from vwlite.input.writing import Lines
from vwlite.parsers.entities import entity_namespaces
from vwlite.parsers.records import Records

Label = float | str | None
SCALERS = {"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "AdaptiveStandardScaler", "Normalizer"}
EXACT = 1 << 24  # whole numbers up to this are exact in single precision


class RecordWriter:
    """Writes records (dicts of names and values) as lines of VW's text, by the rule of names of all formats.

    Args:
        options: The options of the model.
        labels: The type of its labels.
    """

    def __init__(self, options: Options, labels: LabelType) -> None:
        naming = Naming(options, entity_namespaces(options))
        self.records = Records(naming, labels, True, False, True)
        self.lines = Lines(labels, False, False, self.problem, [""], naming)
        self.problems: dict[int, str] = {}  # by the number of the record, from 1
        self.scales = self.encodes = False

    def stand_for(self, steps: Iterable[str]) -> None:
        """Sets the steps of the pipeline of River that the model stands in for, by the names of their classes.

        Those that scale or encode values see true and false as the numbers 1 and 0, as Python does.
        """
        names = set(steps)
        self.encodes = "OneHotEncoder" in names
        self.scales = self.encodes or bool(names & SCALERS)

    def seen(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record as the steps see it."""
        return {name: self.value(each) for name, each in record.items()} if isinstance(record, dict) else record

    def value(self, value: Any) -> Any:
        """A value as the steps see it; what OneHotEncoder tells apart, and single precision doesn't, as a text."""
        if isinstance(value, bool):
            return int(value)
        if self.encodes and (value is None or (isinstance(value, int) and abs(value) > EXACT)):
            return str(value)
        return value

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes) -> None:
        """Stores what is wrong with a record (the listener of Lines)."""
        shown = text.decode("utf-8", "replace")
        self.problems[line] = f"{shown}: {reason}" if shown else reason

    def one(self, record: dict[str, Any], label: Label = None, weight: float | None = None) -> bytes:
        """Writes a record as a line, with its end. Raises Problem for one that is no example."""
        if self.problems:
            self.problems = {}
        if self.scales:
            record = self.seen(record)
        try:
            line: bytes = self.lines.text(self.records.one(record, label, weight, None))
        except (TypeError, ValueError, OverflowError, VwliteError) as error:
            raise Problem(400, str(error), pointer("features")) from None
        if self.problems:
            raise Problem(400, next(iter(self.problems.values())), pointer("features"))
        return line

    def many(
        self, records: Sequence[dict[str, Any]], labels: Iterable[Label], weights: Iterable[float | None]
    ) -> list[bytes | str]:
        """Writes records as lines, with their ends; in place of one that is no example, what is wrong with it."""
        labels, weights = list(labels), list(weights)
        if self.scales:
            records = [self.seen(record) for record in records]
        found: list[bytes | str] = []
        while len(found) < len(records):
            start = len(found)
            self.problems = {}
            error = self.fill(found, records[start:], labels[start:], weights[start:])
            if error is not None:
                found.append(error)
        return found

    def fill(
        self,
        found: list[bytes | str],
        records: Sequence[dict[str, Any]],
        labels: list[Label],
        weights: list[float | None],
    ) -> str | None:
        """Appends lines up to the first record that can't be read; returns what is wrong with that."""
        start = len(found)
        try:
            for block in self.records.blocks(iter(records), labels, weights, None):
                lines = iter(self.lines.text(block).splitlines(keepends=True))
                for _ in range(block.n_rows):
                    number = len(found) - start + 1
                    found.append(self.problems[number] if number in self.problems else next(lines))
        except (TypeError, ValueError, OverflowError, VwliteError) as error:
            return str(error).partition(": ")[2] or str(error)
        return None
