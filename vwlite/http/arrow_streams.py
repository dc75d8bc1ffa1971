"""Reads Arrow streams of strangers: pyarrow trusts their lengths and offsets, and they can be small and say much."""

from __future__ import annotations

import struct
from typing import Any

from vwlite.http.problems import Problem

DICTIONARY, BATCH = 2, 3  # kinds of messages
HEADER_TYPE, HEADER = 1, 2  # fields of a message, of a dictionary and of a batch: see Message.fbs of Arrow
DICTIONARY_BATCH, COMPRESSION = 1, 3


def read(content: bytes, most: int) -> Any:
    """The table of an Arrow stream, checked.

    Args:
        content: The stream.
        most: The most bytes of its values, those of dictionaries counted as often as they are used.

    Returns:
        The table.

    Raises:
        Problem: If it can't be read, is damaged or too large, or has compressed buffers.
    """
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        raise Problem(415, "Arrow streams need pyarrow on the server: pip install pyarrow") from None
    try:
        for message in pa.ipc.MessageReader.open_stream(content):
            if is_compressed(memoryview(message.metadata)):
                raise Problem(
                    415,
                    "the buffers of the Arrow stream are compressed: send it as it is, or packed by gzip as a whole",
                )
        table = pa.ipc.open_stream(content).read_all()
        table.validate(full=True)
        size = sum(spelled_out(chunk) for column in table.columns for chunk in column.chunks)
    except (pa.ArrowException, OSError, ValueError, TypeError, IndexError, struct.error, MemoryError) as error:
        raise Problem(400, f"the Arrow stream can't be read: {error}") from None
    if size > most:
        raise Problem(
            413, f"the values of the table have {size:,} bytes, of which at most {most:,} are taken (--max_body)"
        )
    return table


def spelled_out(array: Any) -> int:
    """The bytes of the values of an array, each counted wherever it is used."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    kind = array.type
    if pa.types.is_dictionary(kind):
        of, values = kind.value_type, array.dictionary
        if not (pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_primitive(of)):
            raise ValueError(f"a dictionary of {of} is not read here")
        if pa.types.is_primitive(of):
            return 8 * len(array)
        return int(compute.sum(compute.binary_length(values).take(array.indices)).as_py() or 0)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        lengths = np.frombuffer(array.buffers()[1], np.int32)[::4]
        return int(lengths[array.offset : array.offset + len(array)].sum(dtype=np.int64))
    if pa.types.is_struct(kind):
        return sum(map(spelled_out, array.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return spelled_out(array.flatten())
    return int(array.nbytes)


def is_compressed(message: memoryview) -> bool:
    """Whether the buffers of a message are compressed, as its metadata (a flatbuffer) say. Raises struct.error."""
    table = struct.unpack_from("<I", message, 0)[0]
    place = place_of(message, table, HEADER_TYPE)
    kind = message[place] if place else 0
    if kind not in (DICTIONARY, BATCH):
        return False
    batch = follow(message, table, HEADER)
    if kind == DICTIONARY:
        batch = follow(message, batch, DICTIONARY_BATCH)
    return place_of(message, batch, COMPRESSION) != 0


def place_of(message: memoryview, table: int, field: int) -> int:
    """Where a field of a table of a flatbuffer is; 0 if it is absent."""
    fields = table - struct.unpack_from("<i", message, table)[0]
    place = 4 + 2 * field
    if fields < 0 or place >= struct.unpack_from("<H", message, fields)[0]:
        return 0
    offset = struct.unpack_from("<H", message, fields + place)[0]
    return table + int(offset) if offset else 0


def follow(message: memoryview, table: int, field: int) -> int:
    """Where the table is that a field refers to. Raises struct.error if there is none."""
    place = place_of(message, table, field)
    if not place:
        raise struct.error("a part is missing")
    return place + int(struct.unpack_from("<I", message, place)[0])
