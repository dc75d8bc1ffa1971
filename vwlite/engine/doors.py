"""Doors: what Python gives to learn() and predict() - lines, records, arrays, tables - goes to the reader for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from vwlite.input.naming import Naming
from vwlite.parsers.entities import entity_namespaces

if TYPE_CHECKING:
    from vwlite.core.options import Options
    from vwlite.engine.driver import Driver
    from vwlite.engine.turn import OneRecord, Turn

TEXT = (str, bytes, bytearray)
END = object()
NO_FEATURES = ("label", "weight", "initial", "tag", "ignore")  # roles of columns


def encoded(line: str | bytes | bytearray) -> bytes:
    """Encodes a line as the bytes of a file. Raises TypeError for other types than text."""
    if isinstance(line, str):
        return line.encode("utf-8", "surrogateescape")
    if isinstance(line, (bytes, bytearray)):
        return bytes(line)
    raise TypeError(f"lines and {type(line).__name__} in one list: give lines of text, or dicts")


def is_table(x: Any) -> bool:
    """Whether an object offers its columns by Arrow's C data interface."""
    return hasattr(x, "__arrow_c_stream__") or hasattr(x, "__arrow_c_array__")


def is_array(x: Any) -> bool:
    """Whether an object is an array of NumPy or a sparse one of SciPy."""
    return hasattr(x, "shape") and hasattr(x, "dtype") and hasattr(x, "ndim") and not holds_text(x)


def holds_text(x: Any) -> bool:
    """Whether an array holds lines of text."""
    return bool(x.ndim == 1 and len(x) and (x.dtype.kind in "US" or (x.dtype.kind == "O" and isinstance(x[0], TEXT))))


class Doors:
    """Runs examples from Python through a stack.

    Args:
        driver: The driver of the stack.
        parser: The parser of lines.
        options: The options of the workspace.
    """

    def __init__(self, driver: Driver, parser: Any, options: Options) -> None:
        self.driver = driver
        self.parser = parser
        self.options = options
        self.naming = Naming(options, entity_namespaces(options))
        self._records: Any = None
        self._arrays: Any = None
        self._tables: Any = None
        self.learned: set[str] | None = None  # columns of tables; see note_learned()

    def run(self, x: Any, y: Any, weight: Any, tag: Any, columns: Any, learning: bool) -> Any:
        """Learns from examples or predicts for them; see Workspace.learn."""
        if isinstance(x, TEXT):
            self.refuse_beside(y, weight, tag, columns)
            results = self.driver.run_lines(self.parser, self.driver.one_example(encoded(x)), learning)
            return results[0] if results else None
        if isinstance(x, Mapping):
            self.refuse_decisions("a dict")
            self.records.use(self.record_map(y, columns))
            return self.driver.run_rows(self.records.one(x, y, weight, tag), learning)[0]
        if is_table(x):
            return self.table(x, y, weight, tag, columns, learning)
        if is_array(x):
            return self.array(x, y, weight, tag, columns, learning)
        if not isinstance(x, Iterable) or hasattr(x, "columns"):  # iteration would give the names of columns
            raise TypeError(
                f"examples are lines of text, dicts, an array, or a table such as a data frame (anything with "
                f"__arrow_c_stream__); one of them, or several lines or dicts in a list, not {type(x).__name__}"
            )
        return self.several(iter(x), y, weight, tag, columns, learning)

    def one_record(self, turn: Turn) -> OneRecord | None:
        """The shortest way of one dict; None if dicts have a column map, or can't be examples.

        Its reader is its own: a map that is given with another dict is not for these.
        """
        if self.driver.top.multiline or self.options["columns_in"] or self.options["label"]:
            return None
        from vwlite.engine.turn import OneRecord
        from vwlite.parsers.records import Records

        return OneRecord(self.driver, Records(*self.made_with), turn)

    def several(self, x: Iterator[Any], y: Any, weight: Any, tag: Any, columns: Any, learning: bool) -> list[Any]:
        """Runs lines or dicts."""
        first = next(x, END)
        if first is END:
            return []
        x = chain((first,), x)
        if isinstance(first, TEXT):
            self.refuse_beside(y, weight, tag, columns)
            return self.driver.run_lines(self.parser, map(encoded, x), learning)
        if isinstance(first, Mapping):
            self.refuse_decisions("dicts")
            self.records.use(self.record_map(y, columns))
            for name, values in (("y", y), ("tag", tag), ("weight", weight)):
                if isinstance(values, TEXT):
                    role = "label" if name == "y" else name
                    key = encoded(values).decode(errors="replace").partition(":")[0]
                    raise TypeError(
                        f"{name} is the text {values!r}, where one value for each record is expected; a key of dicts "
                        f"is the {role} by columns={{{key!r}: {role!r}}}"
                    )
            if isinstance(weight, (int, float)):
                weight = repeat(weight)
            return self.rows(self.records.blocks(x, y, weight, tag), learning)
        raise TypeError(
            f"a list holds lines of text or dicts, not {type(first).__name__}: give rows of numbers as an array"
        )

    def array(self, x: Any, y: Any, weight: Any, tag: Any, columns: Any, learning: bool) -> Any:
        """Runs the rows of an array; a single row if it has one dimension."""
        from vwlite.input.beside import Beside

        self.refuse_decisions("an array")
        one = x.ndim == 1
        if one:
            x = x.reshape(1, -1)
            y, weight, tag = ([value] if value is not None else None for value in (y, weight, tag))
        if x.ndim != 2:
            raise ValueError(f"x has {x.ndim} dimensions, where rows and columns are expected")
        if isinstance(columns, (str, Mapping)):
            raise TypeError("the columns of an array are a list of their names")
        results = self.rows(self.arrays.blocks(x, columns, Beside(x.shape[0], y, weight, tag)), learning)
        return results[0] if one else as_array(results)

    def table(self, x: Any, y: Any, weight: Any, tag: Any, columns: Any, learning: bool) -> Any:
        """Runs the rows of a table."""
        self.refuse_decisions("a table")
        column_map, y, weight, tag = self.column_map(y, weight, tag, columns)
        note = None if column_map.strict else self.note_learned if learning else self.require_learned
        return as_array(self.rows(self.tables.blocks(x, column_map, y, weight, tag, learning, decided=note), learning))

    def note_learned(self, rules: Sequence[Any]) -> None:
        """Notes the columns of features of a table that is learned: those that all such tables have."""
        names = {rule.name for rule in rules if rule.role not in NO_FEATURES}
        self.learned = names if self.learned is None else self.learned & names

    def require_learned(self, rules: Sequence[Any]) -> None:
        """Raises ValueError for a table to be predicted without a column that all tables that were learned had."""
        missing = (self.learned or set()) - {rule.name for rule in rules}
        if missing:
            raise ValueError(
                f"the table has no column {min(missing)!r}, which those that were learned had: predict with the same "
                "columns, in any order (dicts may lack some)"
            )

    def rows(self, blocks: Iterator[Any], learning: bool) -> list[Any]:
        """Runs blocks of rows."""
        results = []
        for block in blocks:
            results += self.driver.run_rows(block, learning)
        return results

    def column_map(self, y: Any, weight: Any, tag: Any, columns: Any) -> tuple[Any, Any, Any, Any]:
        """The column map of a table, and what is given beside it: labels, weights, tags."""
        from vwlite.input.column_map import ColumnMap, Rule, read_label, read_map

        options = self.options
        given = columns if columns is not None else options["columns_in"]
        found = read_map(given, options["label"] if y is None else None)
        rules = []
        if isinstance(weight, str):
            rules.append(Rule(weight, "weight"))
            weight = None
        if isinstance(tag, str):
            rules.append(Rule(tag, "tag"))
            tag = None
        label = found.label
        if isinstance(y, str):
            label, y = read_label(y), None
        return ColumnMap((*rules, *found.rules), label, bool(found.rules)), y, weight, tag

    def record_map(self, y: Any, columns: Any) -> Any:
        """The column map of dicts, that given or that of the options; None without one."""
        options = self.options
        if columns is None and not options["columns_in"] and not options["label"]:
            return None
        from vwlite.input.column_map import read_map

        given = columns if columns is not None else options["columns_in"]
        found = read_map(given, options["label"] if y is None else None)
        return found if found.rules or found.label else None

    @property
    def made_with(self) -> tuple[Any, ...]:
        """What readers are made with."""
        driver = self.driver
        return self.naming, driver.top.takes_label, driver.needs_names, self.options["missing"] == "skip"

    @property
    def records(self) -> Any:
        """The reader of dicts."""
        if self._records is None:
            from vwlite.parsers.records import Records

            self._records = Records(*self.made_with)
        return self._records

    @property
    def arrays(self) -> Any:
        """The reader of arrays."""
        if self._arrays is None:
            from vwlite.parsers.arrays import Arrays

            self._arrays = Arrays(*self.made_with)
        return self._arrays

    @property
    def tables(self) -> Any:
        """The reader of tables."""
        if self._tables is None:
            from vwlite.parsers.arrow import Tables

            self._tables = Tables(*self.made_with)
        return self._tables

    def refuse_beside(self, *values: Any) -> None:
        """Raises TypeError if labels or columns are given beside lines, which have their own."""
        if any(value is not None for value in values):
            raise TypeError("a line of text has its label, weight and tag inside: '1 2 tag| price:0.5'")

    def refuse_decisions(self, what: str) -> None:
        """Raises TypeError if the stack's examples have several lines, which `what` can't be."""
        if self.driver.top.multiline:
            raise TypeError(f"this stack learns decisions of several lines, which {what} can't give: give text")


def as_array(results: Sequence[Any]) -> Any:
    """Predictions as an array: float32 for numbers; a list of those that are dicts or have different lengths."""
    import numpy as np

    if results and isinstance(results[0], float):
        return np.array(results, np.float32)
    if results and isinstance(results[0], Mapping):
        return list(results)
    if results and isinstance(results[0], (list, tuple)):
        if len({len(one) for one in results}) > 1:
            return list(results)
        return np.array(results, np.float32)
    return np.array(results) if results else np.zeros(0, np.float32)
