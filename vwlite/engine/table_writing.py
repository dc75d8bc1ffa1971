"""Tables made of examples: their columns, and writers of CSV and Parquet."""

from __future__ import annotations

import heapq
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vwlite.core.types import LabelType
from vwlite.errors import VwliteError
from vwlite.input.column_map import Rule
from vwlite.input.writing import number_text
from vwlite.report.outputs import Sink

if TYPE_CHECKING:
    from vwlite.input.writing import Record

SPECIAL = ("_label", "_weight", "_initial", "_tag")
Key = tuple[str, str]
ROLES = {"_weight": "weight", "_initial": "initial", "_tag": "tag"}
ONLY_JSON = "--to json or --to vw can hold that"


class Order:
    """An order of names in which each pair that followed each other does so, where one order can have all of them."""

    def __init__(self) -> None:
        self.after: dict[str, set[str]] = {}  # by name, in the order of appearance: the names that follow it

    def see(self, name: str, before: str | None) -> None:
        """Adds a name, and that it follows another."""
        if name not in self.after:
            self.after[name] = set()
        if before is not None and before != name:
            self.after[before].add(name)

    def names(self) -> list[str]:
        """The names in order: of those that may come next, the one that appeared first (Kahn 1962)."""
        ranks = {name: i for i, name in enumerate(self.after)}
        every = list(self.after)
        waits = dict.fromkeys(every, 0)
        for followers in self.after.values():
            for name in followers:
                waits[name] += 1
        ready = [ranks[name] for name in every if not waits[name]]
        heapq.heapify(ready)
        found: dict[str, None] = {}
        left = iter(every)
        while len(found) < len(every):
            # in a circle no name may come next: then the first that is left does
            name = every[heapq.heappop(ready)] if ready else next(name for name in left if name not in found)
            if name in found:
                continue
            found[name] = None
            for follower in self.after[name]:
                waits[follower] -= 1
                if waits[follower] == 0:
                    heapq.heappush(ready, ranks[follower])
        return list(found)


class Columns:
    """The columns of a table of examples, as the first pass over the examples finds them.

    A column is known by its namespace and its name. A namespace of names alone (words, an entity) is one column,
    without a name of its own; it has several as soon as a feature there has a value or is a category. Columns stand in
    the order of the features, if one order fits all examples.
    """

    def __init__(self) -> None:
        self.spaces = Order()
        self.inner: dict[str, Order] = {}  # of the names in each namespace
        self.roles: dict[Key, str] = {}  # number or category
        self.parted: set[str] = {""}  # namespaces whose names are columns
        self.wordy: set[str] = set()  # others of which an example has several features
        self.special: set[str] = set()
        self.order: list[Key] = []
        self.places: dict[Key, int] = {}
        self.special_names: list[str] = []
        self.reordered = 0  # examples whose features stand in another order than the columns

    def gather(self, records: Sequence[Record]) -> None:  # noqa: DOC502
        """Adds the columns of examples.

        Args:
            records: The examples, as of writing.Lines.records.

        Raises:
            VwliteError: If an example doesn't fit into a table with those before it.
        """
        for place, label, weight, initial, tag, features in records:
            given = (label is not None, weight != 1, initial != 0, tag != "")
            self.special.update(name for name, there in zip(SPECIAL, given, strict=True) if there)
            space: str | None = None
            before: str | None = None
            for namespace, name, text, value in features:
                if namespace != space:
                    self.spaces.see(namespace, space)
                    self.inner.setdefault(namespace, Order())
                    space, before = namespace, None
                elif namespace not in self.parted:
                    self.wordy.add(namespace)
                self.inner[namespace].see(name, before)
                before = name
                role = "number" if text is None else "category"
                known = self.roles.setdefault((namespace, name), role)
                if known != role:
                    raise VwliteError(
                        f"{place}: {name} is a {role}, and a {known} in the examples before, but a column is one of "
                        f"the two: {ONLY_JSON}"
                    )
                if text is not None or value != 1:
                    self.parted.add(namespace)

    def finish(self) -> None:
        """Completes the columns.

        Raises:
            VwliteError: If two columns would have one name, or there is none.
        """
        for space in self.spaces.names():
            self.order += [(space, name) for name in (self.inner[space].names() if space in self.parted else [""])]
        self.places = {key: i for i, key in enumerate(self.order)}
        self.roles.update({key: "text" if key[0] in self.wordy else "entity" for key in self.order if not key[1]})
        self.special_names = [name for name in SPECIAL if name in self.special]
        if not self.header:
            raise VwliteError(f"no example has a feature or a label, so a table would have no column: {ONLY_JSON}")
        found: dict[str, Key] = {name: ("", name) for name in SPECIAL}
        for key in self.order:
            name = key[1] or key[0]
            if name in SPECIAL:
                raise VwliteError(f"a feature is called {name}, as is the column of what is no feature")
            other = found.setdefault(name, key)
            if other != key:
                one, two = (f"the namespace {space!r}" if space else "no namespace" for space, _ in (other, key))
                raise VwliteError(f"{name} is in {one} and in {two}, and a column has one namespace: {ONLY_JSON}")

    @property
    def header(self) -> list[str]:
        """The names of all columns."""
        return [*self.special_names, *(name or namespace for namespace, name in self.order)]

    def cells(self, record: Record) -> list[Any]:
        """The cells of an example: numbers, texts, and None where there is nothing. Raises VwliteError for a second."""
        place, label, weight, initial, tag, features = record
        special = dict(zip(SPECIAL, (label, weight, initial, tag or None), strict=True))
        cells: list[Any] = [special[name] for name in self.special_names]
        n = len(cells)
        cells += [None] * len(self.order)
        before, ordered = 0, True
        for namespace, name, text, value in features:
            key = (namespace, name if namespace in self.parted else "")
            if key not in self.places:
                raise VwliteError(f"{place}: {name} was not there when the columns were read: the source has changed")
            at = n + self.places[key]
            if not key[1]:
                cells[at] = name if cells[at] is None else f"{cells[at]} {name}"
                before, ordered = at, ordered and at >= before
                continue
            before, ordered = at, ordered and at >= before
            if cells[at] is not None:
                raise VwliteError(f"{place}: {name} occurs twice, and a row has one cell for it: {ONLY_JSON}")
            cells[at] = value if text is None else text
        self.reordered += not ordered
        return cells

    def flags(self) -> str:
        """The flags with which the table is read as the same examples."""
        rules = [Rule(name, ROLES[name]) for name in self.special_names if name in ROLES]
        rest = False
        for namespace, name in self.order:
            role = self.roles[namespace, name]
            if role == "number" and not namespace:
                rest = True
                continue
            shown = name or namespace
            as_pattern = len(shown) > 1 and shown[0] == shown[-1] == "/"
            text = f"^{re.escape(shown)}$" if as_pattern else shown
            rules.append(Rule(text, role, as_pattern, namespace if name else ""))
        if rest:
            rules.append(Rule(".*", "number", pattern=True))
        label = "_label" if "_label" in self.special else "none"
        return f"--label {label}" + (f" --columns_in {shlex.quote(' '.join(map(str, rules)))}" if rules else "")


class CsvWriter:
    """Writer of a table as CSV (RFC 4180, with line ends of one character)."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        self.columns = columns
        self.sink = sink
        self.sink.write(self._line(columns.header))

    def _line(self, cells: Sequence[Any]) -> bytes:
        texts = []
        for cell in cells:
            text = "" if cell is None else cell if isinstance(cell, str) else number_text(cell)
            if (len(cells) == 1 and not text) or any(sign in text for sign in ',"\n\r'):
                text = '"' + text.replace('"', '""') + '"'
            texts.append(text)
        return (",".join(texts) + "\n").encode()

    def write(self, records: Sequence[Record]) -> None:
        """Writes examples."""
        self.sink.write(b"".join(map(self._line, map(self.columns.cells, records))))

    def close(self) -> None:
        """Does nothing: all is written."""


class ParquetWriter:
    """Writer of a table as Parquet, by pyarrow: numbers in single precision, and texts."""

    def __init__(self, columns: Columns, sink: Sink, labels: LabelType) -> None:
        import pyarrow
        from pyarrow import parquet

        self.columns = columns
        texts = {"_tag"} | ({"_label"} if labels is not LabelType.SIMPLE else set())
        texts |= {name or space for space, name in columns.order if columns.roles[space, name] != "number"}
        self.schema = pyarrow.schema(
            [(name, pyarrow.string() if name in texts else pyarrow.float32()) for name in columns.header]
        )
        self.stream = pyarrow.PythonFile(_Stream(sink), mode="w")
        self.writer = parquet.ParquetWriter(self.stream, self.schema)
        self.rows: list[list[Any]] = []

    def write(self, records: Sequence[Record]) -> None:
        """Writes examples, many at a time."""
        self.rows += map(self.columns.cells, records)
        if len(self.rows) >= 1 << 16:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self.rows:
            cells = zip(*self.rows, strict=True)
            arrays = [pyarrow.array(column, one.type) for column, one in zip(cells, self.schema, strict=True)]
            self.writer.write_table(pyarrow.table(arrays, schema=self.schema))
        self.rows = []

    def close(self) -> None:
        """Writes what is left, and the end of the file."""
        self._flush()
        self.writer.close()


class _Stream:
    """What pyarrow writes to: a Sink."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.at = 0

    def write(self, data: bytes) -> int:
        """Writes bytes; returns their number."""
        self.sink.write(bytes(data))
        self.at += len(data)
        return len(data)

    def tell(self) -> int:
        """The number of bytes so far."""
        return self.at

    def flush(self) -> None:
        """Does nothing: nothing is buffered."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """No."""
        return False

    def seekable(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """Does nothing: the sink is closed by its owner."""
