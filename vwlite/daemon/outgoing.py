"""The input of vwlite client: reads complete lines of its files, and counts the answers they require."""

from __future__ import annotations

import os
import re
from collections import deque

from vwlite.daemon.protocol import asks_to_save
from vwlite.errors import VwliteError
from vwlite.input.sniff import HEAD, require_text
from vwlite.input.sources import Source

PIECE = 1 << 18  # bytes read at a time
LONGEST_LINE = 1 << 26
SPECIAL = re.compile(rb"\n[\n\r{!]")  # a line that is not an example in text; twice as fast as `in`


class Input:
    """Reads complete lines from sources, one after the other; `text` precedes them."""

    def __init__(self, sources: list[Source], text: bytes = b"") -> None:
        self.sources = deque(sources)
        self.rest = bytearray(text)
        self.ended = False
        self.size = PIECE
        self.before = 0  # bytes of the sources that were read to the end
        self.begun = False  # whether any bytes of the first source were read

    def waits(self) -> int | None:
        """The descriptor that `read` may block on; None if it won't block."""
        return self.sources[0].fd if self.sources and self.sources[0].position() is None else None

    def read(self) -> bytes:
        """The next complete lines; b"" if there is none yet, and at the end. Raises VwliteError."""
        while self.sources:
            source = self.sources[0]
            try:
                data = os.read(source.fd, self.size)
            except OSError as error:
                raise VwliteError(f"{source.name}: {error.strerror}") from error
            if data and not self.begun:
                require_text(source.name, data[:HEAD])
            self.begun = bool(data)
            if not data:
                self.before += source.size or 0
                self.sources.popleft().close()
                break
            end = data.rfind(b"\n") + 1
            found = b""
            if end:
                found = b"".join((self.rest, memoryview(data)[:end]))
                self.rest.clear()
            self.rest += data[end:]
            if len(self.rest) > LONGEST_LINE:
                raise VwliteError(f"{source.name}: a line of more than {LONGEST_LINE} bytes")
            return found
        found = bytes(self.rest)
        self.rest.clear()
        self.ended = not self.sources
        return found if not found or found.endswith(b"\n") else found + b"\n"

    def position(self) -> int | None:
        """Bytes read so far from sources whose size is known."""
        return self.before + ((self.sources[0].position() or 0) if self.sources else 0)


class Sent:
    """Counts lines that are not empty, and multi-line examples, to know how many answers are due."""

    def __init__(self) -> None:
        self.lines = self.decisions = 0
        self.open = False  # whether a multi-line example has begun

    def take(self, piece: bytes) -> None:
        """Counts complete lines."""
        if piece[:1] in b"\n\r{!" or SPECIAL.search(piece) or piece.rfind(b"save") >= 0:
            for line in piece.split(b"\n")[:-1]:
                self.one(line)
        else:
            self.lines += piece.count(b"\n")
            self.open = True

    def one(self, line: bytes) -> None:
        """Counts one line."""
        line = line.rstrip(b"\r")
        if not line:
            self.finish()
        elif not self.open and line[:1] in b"{!":
            self.lines += 1
            self.decisions += 1
        else:
            saves = asks_to_save(line)  # such a line has no answer
            self.lines += not saves
            self.open = self.open or not saves

    def finish(self) -> None:
        """Counts a multi-line example that ends."""
        self.decisions += self.open
        self.open = False
