"""Files of tables in binary formats, as streams of Arrow: Parquet and Arrow IPC, by the package pyarrow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from vwlite.core.paths import explain
from vwlite.errors import VwliteError

ROWS = 8192  # of a batch


def require_pyarrow(path: str) -> Any:
    """The package pyarrow.

    Args:
        path: The file that needs it, for the message.

    Returns:
        The module.

    Raises:
        VwliteError: If it is missing.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise VwliteError(f"{path}: needs the package pyarrow: pip install 'vwlite[parquet]'") from error
    return pyarrow


@contextlib.contextmanager
def opened(path: str, form: str) -> Iterator[Any]:
    """Opens a file; yields a reader of batches, which are read one after the other.

    Args:
        path: The file.
        form: "parquet" or "arrow" (a file or a stream of Arrow IPC).

    Yields:
        A pyarrow.RecordBatchReader.

    Raises:
        VwliteError: If the file can't be read, or pyarrow is missing.
    """
    pyarrow = require_pyarrow(path)
    with contextlib.ExitStack() as stack:
        try:
            if form == "parquet":
                from pyarrow import parquet

                file = stack.enter_context(parquet.ParquetFile(path))
                yield pyarrow.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(ROWS))
                return
            source = stack.enter_context(pyarrow.memory_map(path))
            if source.read(6) == b"ARROW1":
                file = stack.enter_context(pyarrow.ipc.open_file(source))
                batches = (file.get_batch(i) for i in range(file.num_record_batches))
                yield pyarrow.RecordBatchReader.from_batches(file.schema, batches)
                return
            source.seek(0)
            yield stack.enter_context(pyarrow.ipc.open_stream(source))
        except OSError as error:
            raise VwliteError(f"{path}: {explain(error, path) if error.errno else _damage(error)}") from error
        except pyarrow.ArrowException as error:
            raise VwliteError(f"{path}: {_damage(error)}") from error


def _damage(error: Exception) -> str:
    return f"damaged, or of another format ({str(error).strip().splitlines()[0]})"
