"""Sources that are read in turn, one example of each: a parser and a ring of blocks for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vwlite.engine.selection import Selection

MANY = 4  # sources: more are parsed in the learning thread, as a thread for each would be too many


class Interleaved:
    """The blocks of a pass over several sources; has what a Ring and a parser have.

    Args:
        parsers: A parser for each source.
        rings: The ring of blocks of each.
        selection: What takes the examples.
    """

    def __init__(self, parsers: list[Any], rings: list[Any], selection: Selection) -> None:
        self.parsers = parsers
        self.rings = rings
        self.selection = selection
        self.interrupted = False
        self.reader = self  # as a parser has one
        self._blocks: Iterator[Any] = iter(())

    @property
    def records(self) -> list[dict[str, Any]]:
        """What is known of each source that was opened."""
        return [record for parser in self.parsers for record in parser.reader.records]

    def start(self) -> None:
        """Starts the parsing threads."""
        for ring in self.rings:
            ring.start()
        self._blocks = self.selection.interleaved([iter(ring.take, None) for ring in self.rings])

    def take(self) -> Any:
        """The next block; None at the end, or after interrupt()."""
        return None if self.interrupted else next(self._blocks, None)

    def stop(self) -> None:
        """Stops the parsing threads; a second call has no effect."""
        for ring in self.rings:
            ring.stop()

    def close(self) -> None:
        """Closes the sources."""
        for parser in self.parsers:
            parser.close()

    def interrupt(self) -> None:
        """Lets take() return None; safe in a signal handler."""
        self.interrupted = True
        for ring in self.rings:
            ring.interrupt()

    def progress(self) -> int:
        """Bytes of the sources read so far."""
        return sum(int(parser.reader.progress()) for parser in self.parsers)
