"""The input buffer of a client: holds bytes until a line, or a multi-line example, is complete."""

from __future__ import annotations

import re

from vwlite.daemon.protocol import EMPTY

SMALL = 1 << 13  # bytes of a connection's buffer that the server does not count
END = b"\n"
NOT_EMPTY = re.compile(rb"[^\r\n]")


class LineBuffer:
    """A byte buffer with free capacity at its end.

    Args:
        blocks: Whether examples are multi-line: each ends with an empty line.

    Attributes:
        bytes: The whole buffer, including its free capacity.
        filled: The number of bytes in use, from the first on.
    """

    def __init__(self, blocks: bool) -> None:
        self.blocks = blocks
        self.bytes = bytearray(SMALL)
        self.filled = 0
        self.searched = 0  # no complete line ends before this position

    def __len__(self) -> int:
        return len(self.bytes)

    def resize(self, size: int) -> None:
        """Copies the content to a new buffer of `size` bytes, since views of the old one may be in use."""
        larger = bytearray(size)
        larger[: self.filled] = self.bytes[: self.filled]
        self.bytes = larger

    def head(self, count: int) -> bytes:
        """The first `count` bytes, or fewer if there are not so many."""
        return bytes(self.bytes[: min(count, self.filled)])

    def first_line(self, count: int) -> bytes:
        """Up to `count` bytes from the start of the first line that is not empty."""
        found = NOT_EMPTY.search(self.bytes, 0, self.filled)
        return bytes(self.bytes[found.start() : min(found.start() + count, self.filled)]) if found else b""

    def whole(self) -> int:
        """The end of the last complete line, or multi-line example, in bytes; 0 if there is none yet."""
        buffer, filled = self.bytes, self.filled
        if not self.blocks:
            return buffer.rfind(END, self.searched, filled) + 1
        since = max(self.searched - 2, 0)
        end = 0
        for mark in (b"\n\n", b"\n\r\n"):
            found = buffer.rfind(mark, since, filled)
            if found >= 0:
                end = max(end, found + len(mark))
        # empty lines, commands and JSON end with their line
        while end < filled and buffer[end] in b"\r\n!{":
            found = buffer.find(END, end, filled)
            if found < 0 or (buffer[end] == 13 and found > end + 1):
                break
            end = found + 1
        return end

    def drop(self, count: int) -> None:
        """Discards the first `count` bytes."""
        self.bytes[: self.filled - count] = self.bytes[count : self.filled]
        self.filled -= count
        self.searched = 0

    def forget(self, lines: bool) -> tuple[int, bool]:
        """Discards the remainder of a line or, with `lines`, of a multi-line example up to its empty line.

        Returns the number of lines that ended, and whether the end of the line or example was found.
        """
        count = at = 0
        while (found := self.bytes.find(END, at, self.filled)) >= 0:
            count += 1
            line = bytes(self.bytes[at : found + 1])
            at = found + 1
            if not lines or line in EMPTY:
                self.drop(at)
                return count, True
        # of an unfinished line only whether it is empty so far has to be remembered
        left = bytes(self.bytes[at : min(self.filled, at + 2)])
        left = left if left in (b"", b"\r") else b"x"
        self.bytes[: len(left)] = left
        self.filled = len(left)
        self.searched = 0
        return count, False
