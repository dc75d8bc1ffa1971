"""Random damage: to bytes, to JSON values, and to models and caches whose digests are made right again."""

from __future__ import annotations

import copy
import random
import struct
from pathlib import Path
from typing import Any

from tests.support import caches
from vwlite.model import model_file

ODD_BYTES = (
    b"\0",
    b"\xff",
    b"|",
    b":",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"-",
    b"'",
    b"\xef\xbb\xbf",
    b"{",
    b'"',
    b"[",
    b"e",
)
ODD_NUMBERS = (0, 1, -1, 2**31, 2**32, 2**63, -(2**63), 2**64, 10**40, 0.5, -0.0, 1e308, 1e-320)
ODD_VALUES: tuple[Any, ...] = (None, True, False, "", "x", "\udc80", "é" * 300, [], {}, [[]], {"a": None}, *ODD_NUMBERS)
ODD_WORDS = (0, 1, 2**7, 2**15, 2**16, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 0x7FC00000, 0x7F800000)


def of_bytes(r: random.Random, data: bytes) -> bytes:
    """Returns data with one to eight changes: bytes or words set, pieces cut, doubled, moved or put in."""
    out = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 4, 8))):
        at = r.randrange(len(out) + 1)
        length = min(len(out) - at, r.choice((1, 4, 8, 64, 1000)))
        piece = bytes(out[at : at + length])
        kind = r.randrange(7)
        if kind == 0 and piece:
            out[at] ^= 1 << r.randrange(8)
        elif kind == 1:
            out[at:at] = r.choice(ODD_BYTES) * r.choice((1, 1, 3, 500))
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at:at] = piece * r.choice((1, 2, 50))
        elif kind == 4:
            to = r.randrange(len(out) + 1)
            out[to:to] = piece
        elif kind == 5 and len(out) >= at + 8:
            struct.pack_into("<Q", out, at, r.choice(ODD_WORDS))
        elif kind == 6 and r.random() < 0.3:
            del out[at:]
    return bytes(out)


def of_json(r: random.Random, value: Any) -> Any:
    """Returns a copy of a JSON value with one place in it changed, removed or doubled."""
    root = [copy.deepcopy(value)]
    places: list[tuple[Any, Any]] = []

    def visit(container: Any) -> None:
        for key in list(container.keys() if isinstance(container, dict) else range(len(container))):
            places.append((container, key))
            if isinstance(container[key], (dict, list)):
                visit(container[key])

    visit(root)
    container, key = r.choice(places)
    kind = r.randrange(4)
    if kind == 0 and container is not root:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[r.choice(("x", "", "é", str(key) + "x"))] = container.pop(key)
    elif kind == 2 and isinstance(container, list) and container is not root:
        container.insert(key, copy.deepcopy(container[key]))
    else:
        container[key] = r.choice(ODD_VALUES)
    return root[0]


def of_model(r: random.Random, path: Path) -> None:
    """Damages the metadata or an array of a model file; its digests are those of what it then holds."""
    reader = model_file.open(path)
    metadata = {name: value for name, value in reader.metadata.items() if name not in ("digests", "format_version")}
    arrays: dict[str, model_file.Array] = {
        name: (reader.dtype(name), reader.shape(name), bytes(reader.array(name, reader.dtype(name))))
        for name in reader.names()
    }
    for _ in range(r.choice((1, 1, 2, 4))):
        if r.random() < 0.5 or not arrays:
            metadata = of_json(r, metadata)
            if not isinstance(metadata, dict):
                metadata = {"id": metadata}
            continue
        name = r.choice(list(arrays))
        dtype, shape, data = arrays[name]
        size = model_file.ITEM_SIZES[dtype]
        kind = r.randrange(5)
        if kind == 0 and data:
            at = r.randrange(len(data) // size) * size
            word = r.choice(ODD_WORDS).to_bytes(8, "little")[:size]
            data = data[:at] + word + data[at + size :]
        elif kind == 1 and data:
            data = data[: len(data) // size // 2 * size]
            shape = [len(data) // size]
        elif kind == 2:
            data += data[-size:] or bytes(size)
            shape = [len(data) // size]
        elif kind == 3:
            shape = [*shape, 1]
        else:
            del arrays[name]
            continue
        arrays[name] = (dtype, shape, data)
    model_file.write(path, arrays, metadata)


def of_cache(r: random.Random, path: Path) -> None:
    """Damages blocks of a cache, or what is said of them; their checksums are those of what they then hold."""

    def change(head: caches.Head, block: bytes) -> tuple[caches.Head, bytes]:
        if r.random() < 0.3:
            field = r.choice(caches.Head._fields[:-1])
            value = r.choice((*ODD_WORDS, getattr(head, field) + r.choice((-1, 1))))
            return head._replace(**{field: value % 2**64}), block
        changed = bytearray(block)
        for _ in range(r.choice((1, 1, 2, 8)) if block else 0):
            at = r.randrange(len(changed))
            if r.random() < 0.5:
                changed[at] ^= 1 << r.randrange(8)
            else:
                word = r.choice(ODD_WORDS).to_bytes(8, "little")[: r.choice((1, 2, 4, 8))]
                changed[at : at + len(word)] = word[: len(changed) - at]
        return head, bytes(changed)

    caches.rewrite(path, change)
