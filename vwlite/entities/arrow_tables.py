"""Arrow tables of entities: the columns, the metadata beside them, and how flat arrays become batches.

A row is an entity. Lists hold what it has for each coefficient: the hash of the feature, the mean, the precision that
the data give (of a full posterior the packed lower triangle). Hashes are int32 with the bits of uint32, and a name that
is not UTF-8 is in the column `raw`: Spark has neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vwlite.entities.flat import FIELDS, Array, Flat
from vwlite.errors import VwliteError

VERSION = 1
KEY = b"vwlite.entities"  # of the metadata

# The columns after the name: those with one number an entity, then the lists.
NUMBERS = {
    **{"count": "int64", "clock": "float64", "latest": "float64", "prior": "float64", "spread": "float64"},
    **{"dof": "float64", "posterior": "int8"},
}
LISTS = {
    **{"hash": "int32", "mean": "float64", "precision": "float64", "coefficient_clock": "float64"},
    **{"factor": "float64", "origin": "float64", "information": "float64"},
    **{"other_hash": "int32", "other_origin": "float64", "between": "float64"},
    **{"waiting_example": "float64", "waiting_n": "int32", "waiting_feature": "int32"},
}
ROWS, BYTES = 1 << 16, 1 << 26  # of a batch at most, or one entity
assert {*NUMBERS, *LISTS, "key", "name", "coefficients", "name_length", "waiting", "others"} == set(FIELDS)


def pyarrow() -> Any:
    """The package pyarrow. Raises VwliteError if it is missing."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise VwliteError("tables of entities need the package pyarrow: pip install 'vwlite[parquet]'") from error
    return pa


def schema(metadata: str | None = None) -> Any:
    """The columns of a table of entities, as a pyarrow.Schema.

    Args:
        metadata: The text in its metadata.

    Returns:
        The schema.
    """
    pa = pyarrow()
    types = {name: getattr(pa, dtype)() for name, dtype in {**NUMBERS, **LISTS}.items()}
    fields = [
        pa.field("entity", pa.string(), nullable=False),
        pa.field("raw", pa.binary()),
        pa.field("key", pa.binary(8), nullable=False),
        *(pa.field(name, types[name], nullable=False) for name in NUMBERS),
        *(pa.field(name, pa.list_(pa.field("element", types[name], nullable=False)), nullable=False) for name in LISTS),
    ]
    return pa.schema(fields, metadata=None if metadata is None else {KEY: metadata.encode()})


def batches(flat: Flat, metadata: str | None = None) -> Iterator[Any]:
    """The entities as pyarrow.RecordBatches, of at most ROWS rows and about BYTES each; one without rows for none.

    Args:
        flat: The entities.
        metadata: The text in the metadata of each batch.

    Yields:
        A batch.
    """
    of = schema(metadata)
    for first, last in pieces(flat):
        yield batch(flat, first, last, of)


def pieces(flat: Flat) -> Iterator[tuple[int, int]]:
    """The first entity of each batch, and the one after its last."""
    size = np.full(len(flat), 100, np.int64)
    for name in ("name", *LISTS):
        if len(flat[name]):
            size += flat.lengths(name) * flat[name].itemsize
    total = np.cumsum(size)
    first, done = 0, 0
    while True:
        last = int(np.searchsorted(total, done + BYTES, side="right"))
        last = min(max(last, first + 1), first + ROWS, len(flat))
        yield first, last
        if last >= len(flat):
            return
        first, done = last, int(total[last - 1])


def batch(flat: Flat, first: int, last: int, of: Any) -> Any:
    """The entities from one number to before another, as a batch of a schema; nothing but the offsets is copied."""
    pa = pyarrow()
    n = last - first

    def buffer(array: Array) -> Any:
        return pa.py_buffer(np.ascontiguousarray(array))

    names, raw = names_of(flat, first, last)
    columns = [names, raw]
    keys = buffer(flat["key"][first:last].astype("<u8", copy=False))
    columns.append(pa.Array.from_buffers(pa.binary(8), n, [None, keys]))
    for name in NUMBERS:
        columns.append(
            pa.array(np.ascontiguousarray(flat[name][first:last]).view(of.field(name).type.to_pandas_dtype()))
        )
    for name in LISTS:
        values, begin = flat[name], np.zeros(n + 1, np.int32)
        if len(values):
            at = flat.begin(name)
            begin = (at[first : last + 1] - at[first]).astype(np.int32)
            values = values[at[first] : at[last]]
        inner = pa.array(values.view(of.field(name).type.value_type.to_pandas_dtype()))
        columns.append(pa.Array.from_buffers(of.field(name).type, n, [None, buffer(begin)], children=[inner]))
    return pa.RecordBatch.from_arrays(columns, schema=of)


def names_of(flat: Flat, first: int, last: int) -> tuple[Any, Any]:
    """The columns entity and raw."""
    pa = pyarrow()
    at, n = flat.begin("name"), last - first
    offsets = pa.py_buffer(np.ascontiguousarray((at[first : last + 1] - at[first]).astype(np.int32)))
    text = pa.py_buffer(np.ascontiguousarray(flat["name"][at[first] : at[last]]))
    names = pa.Array.from_buffers(pa.string(), n, [None, offsets, text])
    try:
        names.validate(full=True)
    except pa.ArrowInvalid:
        raw = pa.Array.from_buffers(pa.binary(), n, [None, offsets, text]).to_pylist()
        names = pa.array([name.decode("utf-8", "replace") for name in raw], pa.string())
        shown = names.to_pylist()
        return names, pa.array(
            [None if one.encode() == name else name for one, name in zip(shown, raw, strict=True)], pa.binary()
        )
    return names, pa.nulls(n, pa.binary())
