"""Files of tables of entities: Parquet, written atomically; and the tables of model files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from vwlite.core.files import NewFile
from vwlite.core.paths import explain
from vwlite.engine import entity_tables
from vwlite.engine.workspace import Workspace
from vwlite.entities import arrow_reading, arrow_tables
from vwlite.entities.flat import refuse
from vwlite.errors import ModelError
from vwlite.model import model_file
from vwlite.tables.merging import merge_metadata

# By measuring (benchmarks/tables.py): coefficients that an entity has met in the same examples have the same bits, so
# plain numbers are smaller, by a fifth, than those whose bytes go apart (BYTE_STREAM_SPLIT), or that have a dictionary.
LEVEL = 1  # of Zstandard: 9 saves 0.2%
GROUP = 1 << 16  # rows of a row group


def export(model: str | os.PathLike[str], effect: str | None = None) -> Any:  # noqa: DOC502
    """The table of the entities of a model file.

    Args:
        model: The model file.
        effect: The random effect; by default the only one.

    Returns:
        A pyarrow.Table, with the columns of `schema`, in the order of the entities' keys.

    Raises:
        OptionError: If the model has no such effect.
        ModelError: If the model can't be read.
    """
    workspace = Workspace(["-i", os.fspath(model)])
    found, head = entity_tables.taken(workspace, effect, False)
    # a run that goes on from a model counts anew
    return entity_tables.table(found, head._replace(figures=model_file.open(model).metadata["figures"]))


def write(table: Any, path: str | os.PathLike[str]) -> None:  # noqa: DOC503
    """Writes a table of entities as one Parquet file, atomically.

    Args:
        table: A table, or batches, as of `learn`.
        path: The file; an older one stays until the new one is complete.

    Raises:
        ModelError: If it can't be written; an older file is unchanged.
        TypeError: If it is no table of entities.
    """
    pa = arrow_tables.pyarrow()
    from pyarrow import parquet

    path = os.fspath(path)
    batches = _batches(table)
    first = next(batches, None)
    if first is None:
        raise TypeError("there is no batch to write: learn() gives one, even without a row")
    arrow_reading.require_columns(first.schema.names, "the table")
    try:
        file = NewFile(path)
        try:
            with (
                os.fdopen(os.dup(file.fd), "wb") as stream,
                parquet.ParquetWriter(stream, first.schema, **_encodings(first.schema)) as writer,
            ):
                writer.write_batch(first, row_group_size=GROUP)
                for batch in batches:
                    writer.write_batch(batch, row_group_size=GROUP)
            file.commit(sync=True)
        except BaseException:
            file.discard()
            raise
    except (OSError, pa.ArrowException) as error:
        why = explain(error, path) if isinstance(error, OSError) and error.errno else arrow_reading.first_line(error)
        raise ModelError(f"{path}: not written, and any older file there is unchanged: {why}") from error


def _batches(table: Any) -> Iterator[Any]:
    """The batches of a table, or of an iterable of batches."""
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        table = arrow_reading.as_table(table, "the table")
        found = table.to_batches()
        return iter(found or [_empty(table.schema)])
    return iter(table)


def _empty(schema: Any) -> Any:
    pa = arrow_tables.pyarrow()
    return pa.RecordBatch.from_arrays([pa.nulls(0).cast(field.type) for field in schema], schema=schema)


def _encodings(schema: Any) -> dict[str, Any]:
    """How the columns of a schema are encoded."""
    whole = [name for name, dtype in arrow_tables.LISTS.items() if dtype == "int32" and name in schema.names]
    return {
        "compression": "zstd",
        "compression_level": LEVEL,
        "use_dictionary": [
            *(f"{name}.list.element" for name in whole),
            *(name for name in arrow_tables.NUMBERS if name in schema.names),
        ],
        "write_statistics": ["entity", "count", "latest"],
        "write_page_checksum": True,
    }


def read(path: str | os.PathLike[str]) -> Any:  # noqa: DOC502
    """Reads a table of entities from a Parquet file, or from all in a folder, as engines write them.

    Args:
        path: The file or folder. In a folder, names that begin with "_" or "." are left out.

    Returns:
        A pyarrow.Table; of several files with their metadata added up.

    Raises:
        ModelError: If a file can't be read, is damaged, or is no table of entities.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        return _read_file(path)
    names = sorted(
        os.path.join(folder, name)
        for folder, inner, files in os.walk(path)
        for name in files
        if not name.startswith(("_", ".")) and not _is_hidden(folder, path)
    )
    if not names:
        raise ModelError(f"{path}: there is no file in this folder; name a table of entities")
    pa = arrow_tables.pyarrow()
    tables = [_read_file(name) for name in names]
    texts = [text for text in map(arrow_reading.metadata_of, (table.schema for table in tables)) if text is not None]
    text = merge_metadata(list(dict.fromkeys(texts))) if texts else None
    wanted = arrow_tables.schema().names
    tables = [table.select([name for name in wanted if name in table.column_names]) for table in tables]
    try:
        whole = pa.concat_tables(
            [table.replace_schema_metadata(None) for table in tables], promote_options="permissive"
        )
    except pa.ArrowException as error:
        refuse(path, arrow_reading.first_line(error))
    return whole.replace_schema_metadata(None if text is None else {arrow_tables.KEY: text.encode()})


def _is_hidden(folder: str, path: str) -> bool:
    inner = os.path.relpath(folder, path).split(os.sep)
    return any(part.startswith(("_", ".")) and part != "." for part in inner)


def _read_file(path: str) -> Any:
    """A Parquet file as a table."""
    pa = arrow_tables.pyarrow()
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            arrow_reading.require_columns(file.schema_arrow.names, path)
            return file.read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno:
            raise ModelError(f"{path}: cannot read the table of entities: {explain(error, path)}") from error
        refuse(path, arrow_reading.first_line(error))
    except (ValueError, MemoryError, OverflowError) as error:  # of damaged files
        refuse(path, arrow_reading.first_line(error))


def paths_of(names: Iterable[str]) -> list[str]:
    """Those of some names that are tables of entities, by their suffix or because they are folders."""
    return [name for name in names if name.endswith((".parquet", ".pq")) or os.path.isdir(name)]
