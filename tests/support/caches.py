"""Caches with changed blocks under right checksums."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vwlite.parsers.cache import SIZES, checksum

HEAD = struct.Struct("<10Q")
PACKED, AS_IT_LIES, LAST = 0x6B636170, 0x6B636F6C, 0x646E6521


class Head(NamedTuple):
    """What stands before a block."""

    kind: int
    n_rows: int
    n_extents: int
    n_features: int
    text_length: int
    form: int
    source: int
    first_line: int
    checksum: int
    n_choices: int


Change = Callable[[Head, bytes], tuple[Head, bytes]]


def blocks(path: Path | str) -> tuple[bytes, list[tuple[Head, bytes]]]:
    """What stands before the blocks of a cache, and its blocks."""
    content = Path(path).read_bytes()
    at = content.index(b"\0") + 1
    at += 8 + int.from_bytes(content[at : at + 8], "little")
    start, found = content[:at], []
    while (head := Head(*HEAD.unpack_from(content, at))).kind != LAST:
        size = length_of(head)
        found.append((head, content[at + HEAD.size :][:size]))
        at += HEAD.size + size
    return start, found


def length_of(head: Head) -> int:
    """Bytes of the block behind it."""
    return head.text_length if head.kind == PACKED else sum(parts_of(head))


def parts_of(head: Head) -> list[int]:
    """Bytes of rows, namespaces, features, names, choices, what is noted, and text of a block as it lies in memory."""
    rows, extents, features, names, choices, noted = SIZES
    n, form = head.n_features, head.form
    lists = [head.n_rows * rows, head.n_extents * extents, n * features, n * names * (form & 1)]
    return [*lists, head.n_choices * choices, noted * (form >> 1), head.text_length]


def sign(head: Head, block: bytes) -> Head:
    """The head with the checksum of the block."""
    found, at = head.first_line % 2**64, 0
    if head.kind == PACKED:
        return head._replace(checksum=checksum(block, found))
    for i, size in enumerate(parts_of(head)):
        if size or i not in (3, 5):  # names, and what is noted, have none where there are none
            found = checksum(block[at : at + size], found)
        at += size
    return head._replace(checksum=found)


def rewrite(path: Path | str, change: Change) -> None:
    """Change each block of a cache; its checksums are those of what it then holds."""
    start, found = blocks(path)
    parts = [start]
    for head, block in found:
        head, block = change(head, block)
        parts += [HEAD.pack(*(number % 2**64 for number in sign(head, block))), block]
    Path(path).write_bytes(b"".join(parts) + HEAD.pack(LAST, *[0] * (len(Head._fields) - 1)))


def adopt(path: Path | str, data: Path | str) -> None:
    """Make a cache one of the file `data` as it is now."""
    content = Path(path).read_bytes()
    at = content.index(b"\0") + 1
    length = int.from_bytes(content[at : at + 8], "little")
    key, found = json.loads(content[at + 8 :][:length]), os.stat(data)
    key["sources"] = [[os.path.abspath(data), found.st_size, found.st_mtime_ns, found.st_ctime_ns]]
    text = json.dumps(key).encode()
    Path(path).write_bytes(content[:at] + len(text).to_bytes(8, "little") + text + content[at + 8 + length :])
