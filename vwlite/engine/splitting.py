"""Split of a file of text into parts, by a hash of each example; lines are copied as they are."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, BinaryIO

from vwlite.core.options import Options
from vwlite.core.sides import side
from vwlite.engine.conflicts import check_subcommand
from vwlite.engine.conversion import LABELS
from vwlite.engine.feed import Feed
from vwlite.errors import OptionError, VwliteError
from vwlite.input.formats import IN_WORDS, OF_ROWS, PACKED
from vwlite.input.sources import open_source
from vwlite.input.where import looking_for, of_feature
from vwlite.report.outputs import Progress, Sink

SUFFIXES = {"vw": ".vw", "csv": ".csv", "tsv": ".tsv", "json": ".ndjson"}
ROUNDING = 1e-9  # of a sum of shares
BOM = b"\xef\xbb\xbf"

Record = tuple[int, bytes]  # the number of its first line, and its lines


class Split:
    """A split of one source.

    Args:
        options: The options of a run over it.
        shares: Of the parts.
        by: "tag", "line", or the name of a feature, a namespace or a column.
        output: The prefix of the names of the parts; None for that of the source.
        labels: A key of conversion.LABELS.
        seed: Parts of different seeds are independent of each other; 0 is that of --holdout and of folds.

    Raises:
        OptionError: If the source is no text, or is a pipe that would have to be read twice.
    """

    def __init__(  # noqa: DOC503
        self, options: Options, shares: list[float], by: str, output: str | None, labels: str, seed: int = 1
    ) -> None:
        self.options = options
        self.bounds = list(accumulate(shares))
        if self.bounds[-1] > 1 + ROUNDING:
            raise OptionError(f"the shares {' '.join(f'{share:g}' for share in shares)} sum up to more than 1")
        self.by = by
        self.seed = seed
        self.salt = b"seed %d\n" % seed if seed else b""
        self.multiline = labels in ("lines", "decisions")
        self.parsed = by != "line" or bool(options["where"])
        self.path: str = options["data"][0]
        options.set("testonly", True)  # no label is needed
        if by not in ("tag", "line"):
            options.noted = [of_feature(by)]
        self.feed = Feed(options, by != "line", LABELS[labels], self.multiline)
        if self.feed.format in OF_ROWS:
            raise OptionError(
                f"{self.path}: {IN_WORDS[self.feed.format]} has no lines: vwlite convert makes some of it"
            )
        if self.parsed and self.feed.interactive:
            raise OptionError(
                f"--by {by} and --where read the data twice, and a pipe can be read once: name a file, or split --by "
                "line"
            )
        self.predicate: Any = None
        if self.parsed:
            self.predicate = self._predicate()
        self.names = self._names(output, len(shares))
        check_subcommand([self.path], **{f"output {name}": name for name in self.names})
        self.counts = [0] * len(shares)
        self.left_out = self.skipped = self.by_line = self.by_name = 0

    def _predicate(self) -> Any:
        """What finds the name of --by in an example."""
        from vwlite.input.naming import Naming
        from vwlite.input.predicate import Predicate

        return Predicate(
            self.options, Naming(self.options), looking_for(["tag" if self.by == "line" else of_feature(self.by)])
        )

    def _names(self, output: str | None, n: int) -> list[str]:
        """The names of the parts."""
        source = "" if self.path == "-" else self.path
        for packed in PACKED:
            source = source.removesuffix(packed)
        base, suffix = os.path.splitext(source)
        if output is None and not source:
            raise OptionError("standard input has no name that the parts could have: give -o PREFIX")
        prefix = base if output is None else output
        return [f"{prefix}.{i + 1}{suffix or SUFFIXES[self.feed.format]}" for i in range(n)]

    def run(self) -> None:  # noqa: DOC502
        """Splits the source; the parts appear when all are complete.

        Raises:
            VwliteError: If the source can't be read, has no example, or a part can't be written.
        """
        if self.feed.note:
            self.say(f"[info] {self.feed.note}")
        with contextlib.ExitStack() as stack:
            sinks = []
            for name in self.names:
                sinks.append(Sink(name, "examples"))
                stack.callback(sinks[-1].discard)
            self._copy(sinks)
            self._require_keys()
            for sink in sinks:
                sink.commit()
        for name, count in zip(self.names, self.counts, strict=True):
            self.say(f"{name}: {count} examples")
        if 0 in self.counts and sum(self.counts) > 100:
            self.say(
                f"[warning] a part is empty: {self.path} may be a part of a split itself; --seed {self.seed + 1} makes "
                "parts that are independent of that"
            )
        if self.by_line:
            self.say(f"without {self.by}, by their lines = {self.by_line}")
        if self.left_out:
            reason = f" (malformed, or by --where = {self.skipped})" if self.skipped else ""
            self.say(f"left out = {self.left_out}{reason}")

    def _copy(self, sinks: list[Sink]) -> None:
        """Writes each example to its part."""
        buffers: list[list[bytes]] = [[] for _ in sinks]
        progress = Progress(sys.stderr, self.feed.size(), not self.options["quiet"])
        source = open_source(self.path)
        try:
            with open(source.fd, "rb", buffering=1 << 18, closefd=False) as file:
                records = self._records(file)
                if self.feed.format in ("csv", "tsv") and not self.options["header"]:
                    header = next(records, (0, b""))[1]
                    for sink in sinks:
                        sink.write(header)
                for number, (record, key) in enumerate(self._keyed(records)):
                    part = self._part(record if key is None else key)
                    if part < len(sinks):
                        buffers[part].append(record)
                        self.counts[part] += 1
                        if len(buffers[part]) >= 1000:
                            sinks[part].write(b"".join(buffers[part]))
                            buffers[part].clear()
                    else:
                        self.left_out += 1
                    if number % 1000 == 0:
                        progress.update(source.position, number)
            for sink, buffer in zip(sinks, buffers, strict=True):
                sink.write(b"".join(buffer))
        finally:
            progress.clear()
            source.close()
            self.feed.close()
        if not any(self.counts) and not self.left_out:
            raise VwliteError(f"{self.path}: no example to split")

    def _require_keys(self) -> None:
        """Raises VwliteError if no example has what --by names."""
        if self.by_line and not self.by_name:
            what = "a tag" if self.by == "tag" else f"a feature or namespace {self.by} (namespace^name is one of both)"
            raise VwliteError(f"{self.path}: no example has {what}, so --by {self.by} has no effect: leave it out")

    def _part(self, text: bytes) -> int:
        """The part of an example, by its tag, name or lines; the number of parts if it is in none."""
        place = side(self.salt + text.replace(b"\r\n", b"\n").rstrip(b"\n"))
        return next((i for i, bound in enumerate(self.bounds) if place < bound), len(self.bounds))

    def _keyed(self, records: Iterator[Record]) -> Iterator[tuple[bytes, bytes | None]]:
        """Each example with its tag or name; None for one that goes by its line."""
        if not self.parsed:
            yield from ((record, None) for _, record in records)
            return
        keys = (pair for block in self.feed.blocks() for pair in self.predicate.keys(block, self.multiline))
        line, key = next(keys, (0, None))
        for number, record in records:
            if number != line:
                self.skipped += 1
                self.left_out += 1
                continue
            if self.by == "line":
                key = None
            elif key is None:
                self.by_line += 1
            else:
                self.by_name += 1
            yield record, key
            line, key = next(keys, (0, None))

    def _records(self, file: BinaryIO) -> Iterator[Record]:
        """The records of the source, without empty lines; a last line without an end gets one."""
        if self.multiline and self.feed.format == "vw":  # JSON has a decision on each line
            return _decisions(file)
        if self.feed.format in ("csv", "tsv"):
            given = {"tab": "\t", "\\t": "\t"}.get(self.options["separator"], self.options["separator"])
            return _csv_records(file, (given or "\t" * (self.feed.format == "tsv")).encode())
        lines = _lines(file)
        return self._objects(lines) if self.feed.format == "json" else lines

    def _objects(self, lines: Iterator[Record]) -> Iterator[Record]:
        """The lines of NDJSON. Raises VwliteError for an array, and for objects of several lines."""
        first = True
        for number, line in lines:
            text = line.removeprefix(BOM).strip()
            if first and not (text.startswith(b"{") and text.endswith(b"}")):
                raise VwliteError(
                    f"{self.path}: has not an object on each line: vwlite convert {self.path} --to json makes such "
                    "lines"
                )
            first = False
            yield number, line

    def say(self, text: str) -> None:
        """Prints on standard error, unless --quiet."""
        if not self.options["quiet"]:
            print(text, file=sys.stderr, flush=True)


def _lines(file: BinaryIO) -> Iterator[Record]:
    for number, line in enumerate(file, 1):
        if line.strip(b"\r\n"):
            yield number, line if line.endswith(b"\n") else line + b"\n"


def _decisions(file: BinaryIO) -> Iterator[Record]:
    """Examples of several lines, each with the empty line that ends it."""
    first, lines = 0, []
    for number, line in enumerate(file, 1):
        if line.strip(b"\r\n"):
            first = first or number
            lines.append(line if line.endswith(b"\n") else line + b"\n")
        elif lines:
            yield first, b"".join([*lines, line])
            first, lines = 0, []
    if lines:
        yield first, b"".join([*lines, b"\n"])


def _csv_records(file: BinaryIO, separator: bytes) -> Iterator[Record]:
    """Records of CSV: a line end in quotes doesn't end one. Without a separator, the first line says which it is."""
    first, lines, quoted = 0, [], False
    for number, line in enumerate(file, 1):
        separator = separator or _separator(line)
        first = first or number
        lines.append(line)
        if b'"' in line:
            quoted = _ends_quoted(line, quoted, separator)
        if not quoted:
            if len(lines) > 1 or line.strip(b"\r\n"):
                lines[-1] = line if line.endswith(b"\n") else line + b"\n"
                yield first, b"".join(lines)
            first, lines = 0, []
    if lines:
        yield first, b"".join([*lines, b"\n"])


def _separator(line: bytes) -> bytes:
    """The separator of which a line has most outside quotes, as parsers/csv.pyx guesses it."""
    bare = b"".join(line.split(b'"')[::2])
    return max((b",", b";", b"\t"), key=bare.count)


def _ends_quoted(line: bytes, quoted: bool, separator: bytes) -> bool:
    """Whether a line that begins inside quotes, or outside, ends inside them: they begin a cell, or don't count."""
    at = line.find(b'"')
    while at >= 0:
        if not quoted:
            quoted = at == 0 or line[at - 1 : at] == separator
        elif line[at + 1 : at + 2] == b'"':
            at += 1
        else:
            quoted = False
        at = line.find(b'"', at + 1)
    return quoted
