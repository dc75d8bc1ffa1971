"""Reading tables of entities: the columns of Arrow, checked, as flat arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from vwlite.entities.arrow_tables import KEY, LISTS, NUMBERS, pyarrow
from vwlite.entities.flat import DTYPES, FIELDS, Array, Flat, concatenated, empty, refuse

NAMES = ("entity", "key")
SHOWN = 3  # columns in a message


def as_table(x: Any, where: str) -> Any:
    """A pyarrow.Table of anything that offers Arrow's C data interface. Raises ModelError for anything else."""
    pa = pyarrow()
    if isinstance(x, pa.Table):
        return x
    try:
        if isinstance(x, pa.RecordBatch):
            return pa.Table.from_batches([x])
        if isinstance(x, pa.RecordBatchReader):
            return x.read_all()
        if hasattr(x, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(x).read_all()
        if hasattr(x, "__arrow_c_array__"):
            return pa.Table.from_batches([pa.record_batch(x)])
    except (pa.ArrowException, TypeError, ValueError) as error:
        refuse(where, first_line(error))
    raise TypeError(f"a table of entities is a table of Arrow, a data frame, or a file, not {type(x).__name__}")


def several(x: Any) -> Iterable[Any]:
    """Tables or batches; a single one alone."""
    return [x] if hasattr(x, "__arrow_c_stream__") or hasattr(x, "__arrow_c_array__") else x


def first_line(error: Exception) -> str:
    """An error of pyarrow in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def metadata_of(schema: Any) -> str | None:
    """The text in the metadata of a schema; None without one."""
    found = (schema.metadata or {}).get(KEY)
    return None if found is None else found.decode("utf-8", "replace")


def require_columns(names: Any, where: str) -> None:
    """Raises ModelError if columns of a table of entities are missing."""
    wanted = (*NAMES, *NUMBERS, *LISTS)
    missing = [name for name in wanted if name not in names]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        refuse(where, f"it has no column {', '.join(map(repr, missing[:SHOWN]))}{more}")


def read(table: Any, where: str) -> Flat:
    """The entities of a table. Raises ModelError for columns that are missing or of wrong types.

    Args:
        table: A pyarrow.Table.
        where: What it is, for messages.

    Returns:
        The entities, not checked yet: flat.check() does that.
    """
    pa = pyarrow()
    require_columns(table.column_names, where)
    wanted = [name for name in (*NAMES, "raw", *NUMBERS, *LISTS) if name in table.column_names]
    try:
        table = table.select(wanted)
        table.validate(full=True)
        parts = [_of_batch(batch, where) for batch in table.to_batches() if batch.num_rows]
    except pa.ArrowException as error:
        refuse(where, first_line(error))
    return concatenated(parts) if parts else empty()


def _of_batch(batch: Any, where: str) -> Flat:
    pa = pyarrow()
    arrays: dict[str, Array] = {}
    names = _names(batch, where)
    arrays["name_length"], arrays["name"] = names
    for name in ("key", *NUMBERS, *LISTS):
        if batch.column(name).null_count:
            refuse(where, f"the column {name!r} has nulls")
    key = _cast(batch.column("key"), pa.binary(8), "key", where)
    arrays["key"] = np.frombuffer(key.buffers()[1], "<u8", len(key) + key.offset)[key.offset :]
    for name, dtype in NUMBERS.items():
        column = _cast(batch.column(name), getattr(pa, dtype)(), name, where)
        arrays[name] = column.to_numpy(zero_copy_only=False).view(DTYPES[FIELDS[name]])
    lengths: dict[str, Array] = {}
    for name, dtype in LISTS.items():
        lengths[name], arrays[name] = _list(batch.column(name), name, dtype, where)
    for name, of in (("coefficients", "hash"), ("waiting", "waiting_n"), ("others", "other_hash")):
        arrays[name] = lengths[of].astype(np.uint32)
    flat = Flat(arrays)
    for name in LISTS:
        if name != "between" and not np.array_equal(flat.lengths(name), lengths[name]):
            refuse(where, f"the lists of {name!r} are not as long as those of 'hash'")
    if not np.array_equal(flat.lengths("between"), lengths["between"]):
        refuse(where, "the lists of 'between' are not as long as those of 'hash' times 'other_hash'")
    return flat


def _names(batch: Any, where: str) -> tuple[Array, Array]:
    """The lengths of the names, and the names."""
    pa = pyarrow()
    column = batch.column("entity")
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type)):
        column = _cast(column, pa.large_string(), "entity", where)
    column = _cast(column, pa.large_binary(), "entity", where)
    if "raw" in batch.schema.names and batch.column("raw").null_count < len(batch):
        import pyarrow.compute as pc

        column = pc.coalesce(_cast(batch.column("raw"), pa.large_binary(), "raw", where), column)
    if column.null_count:
        refuse(where, "the column 'entity' has nulls")
    begin = np.frombuffer(column.buffers()[1], np.int64, len(column) + 1 + column.offset)[column.offset :]
    text = column.buffers()[2]
    names = np.frombuffer(text, np.uint8)[begin[0] : begin[-1]] if text is not None else np.zeros(0, np.uint8)
    if (np.diff(begin) > np.iinfo(np.uint32).max).any():
        refuse(where, "a name is too long")
    return np.diff(begin).astype(np.uint32), names


def _list(column: Any, name: str, dtype: str, where: str) -> tuple[Array, Array]:
    """The lengths of the lists of a column, and their values."""
    pa = pyarrow()
    types = pa.types
    if types.is_null(column.type):
        column = column.cast(pa.list_(getattr(pa, dtype)()))
    if not (types.is_list(column.type) or types.is_large_list(column.type)):
        try:
            column = column.cast(pa.large_list(column.type.value_type))
        except (pa.ArrowException, AttributeError):
            refuse(where, f"the column {name!r} is of type {column.type}, not of lists of numbers")
    begin = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.values.slice(begin[0], begin[-1] - begin[0])
    if values.null_count:
        refuse(where, f"the column {name!r} has nulls in its lists")
    if dtype == "int32" and types.is_uint32(values.type):
        values = values.view(pa.int32())
    values = _cast(values, getattr(pa, dtype)(), name, where)
    return np.diff(begin), values.to_numpy(zero_copy_only=False).view(DTYPES[FIELDS[name]])


def _cast(column: Any, to: Any, name: str, where: str) -> Any:
    """A column as another type, if no value changes."""
    pa = pyarrow()
    if column.type == to:
        return column
    kinds = pa.types
    number = kinds.is_floating(to) or kinds.is_integer(to)
    if number and not (kinds.is_floating(column.type) or kinds.is_integer(column.type)):
        refuse(where, f"the column {name!r} is of type {column.type}, not {to}")
    try:
        return column.cast(to)
    except pa.ArrowException:
        refuse(where, f"the column {name!r} is of type {column.type}, with values that are no {to}")
