"""A small model file, and bytes in and out of files."""

import array

from vwlite.model import model_file

ARRAYS: dict[str, model_file.Array] = {
    "gd.bias": ("U8", [3], b"abc"),
    "gd.index": ("U32", [3], array.array("I", [1, 5, 9])),
    "gd.weight": ("F32", [3], array.array("f", [0.5, -1.5, 2.0])),
    "gd.table": ("F64", [2, 2], memoryview(array.array("d", [1, 2, 3, 4]))),
    "gd.count": ("I64", [], array.array("q", [-7])),
    "gd.slots": ("U64", [1], array.array("Q", [2**64 - 1])),
    "gd.nothing": ("F32", [0], b""),
    "gd.nowhere": ("F32", [2, 0], b""),
}
METADATA = {"id": "abc", "options": {"link": "logistic", "name": "ü\udc80"}, "journal": []}


def content(path):
    """All that a reader can get out of a file."""
    reader = model_file.open(path)
    names = reader.names()
    return reader.metadata, [(n, reader.shape(n), reader.array(n, reader.dtype(n)).tolist()) for n in names]


def overwrite(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()
