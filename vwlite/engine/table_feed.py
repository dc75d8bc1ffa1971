"""Feed of tables that are no text: Parquet, Arrow and databases, as blocks of rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

from vwlite.core.options import Options
from vwlite.core.types import LabelType
from vwlite.errors import VwliteError
from vwlite.input import databases, tables
from vwlite.input.column_map import ColumnMap, Rule
from vwlite.input.naming import Naming
from vwlite.parsers.entities import entity_namespaces


class TableFeed:
    """The blocks of one pass over tables; has what a Ring and a parser have.

    Args:
        options: Of the run.
        paths: The files, or queries.
        form: "parquet", "arrow" or "sql".
        digest: Whether to compute sha256 of each file.
        labels: The LabelType of the stack.
        column_map: What the columns are.
        names: Whether learners read the names of features.
        decided: Called with the rules of the columns.
    """

    def __init__(
        self,
        options: Options,
        paths: list[str],
        form: str,
        digest: bool,
        labels: LabelType,
        column_map: ColumnMap,
        names: bool,
        decided: Callable[[list[Rule]], None],
    ) -> None:
        self.options = options
        self.paths = paths
        self.form = form
        self.digest = digest
        self.column_map = column_map
        self.decided = decided
        self.made_with = Naming(options, entity_namespaces(options)), labels, names, options["missing"] == "skip"
        self.records: list[dict[str, Any]] = []
        self.interrupted = False
        self.reader = self  # as a parser has one
        self._read = 0
        self._blocks = self._all()

    def start(self) -> None:
        """Does nothing: blocks are made when they are taken."""

    def take(self) -> Any:
        """The next block; None at the end, or after interrupt()."""
        return None if self.interrupted else next(self._blocks, None)

    def stop(self) -> None:
        """Closes what is open; a second call has no effect."""
        self._blocks.close()

    close = stop

    def interrupt(self) -> None:
        """Lets take() return None; safe in a signal handler."""
        self.interrupted = True

    def progress(self) -> int:
        """Bytes of the files that were read to their ends."""
        return self._read

    def _all(self) -> Generator[Any, None, None]:
        for index, path in enumerate(self.paths):
            record: dict[str, Any] = {"name": databases.shown(path), "sha256": None, "bytes": 0}
            self.records.append(record)
            with contextlib.ExitStack() as stack:
                yield from self._of(path, stack, index)
            if self.form != "sql":
                record["bytes"] = os.path.getsize(path)
                self._read += record["bytes"]
                if self.digest:
                    with open(path, "rb") as file:
                        record["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()

    def _of(self, path: str, stack: contextlib.ExitStack, index: int) -> Iterator[Any]:
        """The blocks of a source."""
        learns = not self.options["testonly"]
        if self.form == "sql":
            from vwlite.parsers.values import Values

            names, chunks = stack.enter_context(databases.rows_of(path))
            yield from Values(*self.made_with, index).blocks(
                names, chunks, self.column_map, learns, databases.shown(path), self.decided
            )
            return
        from vwlite.parsers.arrow import Tables

        table = stack.enter_context(tables.opened(path, self.form))
        blocks = Tables(*self.made_with, index).blocks(
            table, self.column_map, None, None, None, learns, path, self.decided
        )
        try:
            yield from blocks
        except (TypeError, ValueError) as error:
            raise VwliteError(f"{path}: {error}") from error
