"""Failures of tasks, reported at the driver in one line.

A task raises TaskError, whose text carries the type and the message of what went wrong through Spark's traceback of
many lines; `one_line` finds it there, and raises the error that a run of the command line would have ended with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vwlite import errors
from vwlite.errors import ModelError, OptionError, ParseError, VwliteError

BEGIN, END = "<vwlite:", ":vwlite>"
UNREADABLE = (
    *("is not a Parquet file", "FAILED_READ_FILE", "CANNOT_READ_FILE_FOOTER", "Could not read footer"),
    "Checksum error",
)
DAMAGED = "damaged or cut short"
NO_SPACE = "No space left on device"


class TaskError(Exception):
    """An error of a task, as text that survives Spark's traceback."""


@contextmanager
def in_a_task(what: str) -> Iterator[None]:
    """Turns errors of vwlite, of Arrow and of the operating system into a TaskError.

    Args:
        what: What the task did, such as "learning".

    Yields:
        Nothing.

    Raises:
        TaskError: In place of such an error.
    """
    try:
        yield
    except TaskError:
        raise
    except (VwliteError, OSError, ValueError, TypeError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        found = {"type": type(error).__name__, "message": message, "what": what}
        raise TaskError(BEGIN + json.dumps(found) + END) from None


def raised(text: str) -> VwliteError | None:
    """The error that a task has reported, in the text of an error of Spark; None without one.

    >>> str(raised('Traceback: <vwlite:{"type": "OptionError", "message": "no", "what": "learning"}:vwlite>'))
    'no'
    """
    begin = text.find(BEGIN)
    end = text.find(END, begin)
    if begin < 0 or end < 0:
        return None
    try:
        found = json.loads(text[begin + len(BEGIN) : end])
    except ValueError:
        return None
    kind = getattr(errors, found["type"], None)
    message = found["message"]
    if kind is not None and kind is not ParseError and issubclass(kind, VwliteError):
        return kind(message)
    if found["type"] in ("OSError", "MemoryError", "ArrowMemoryError"):
        return VwliteError(f"a task of Spark failed while {found['what']}: {message}")
    return VwliteError(message)


def explained(error: BaseException) -> VwliteError | None:
    """What an error of Spark comes from, in one line; None if that is not known.

    Args:
        error: The error.

    Returns:
        The error to raise in its place.
    """
    text = str(error)
    found = raised(text)
    if found is not None:
        return found
    if NO_SPACE in text:
        return VwliteError(
            f"a task of Spark found its disk full ({NO_SPACE}): what was written before is unchanged; free some, or "
            "let spark.local.dir or the table's path point to a larger disk"
        )
    missing = re.search(r"ModuleNotFoundError: No module named '([\w.]+)'", text)
    if missing:
        return VwliteError(
            f"Spark's workers run a Python without {missing[1]}: install {missing[1].partition('.')[0]} there, or set "
            "PYSPARK_PYTHON to a Python that has it (on this machine, sys.executable)"
        )
    if "PYTHON_VERSION_MISMATCH" in text or "different version in worker" in text:
        return VwliteError("Spark's workers run another version of Python than the driver: set PYSPARK_PYTHON")
    path = re.search(r"\[PATH_NOT_FOUND\] Path does not exist: (\S+?)\.? ", text + " ")
    if path:
        return ModelError(f"{path[1]}: there is no such file or folder")
    damaged = re.search(r"(?:file:)?(/[^\s:]*\.(?:parquet|txt))", text)
    signs = (
        "is not a Parquet file",
        "FAILED_READ_FILE",
        "CANNOT_READ_FILE_FOOTER",
        "Could not read footer",
        "Checksum error",
    )
    if damaged and any(sign in text for sign in signs):
        return ModelError(f"{damaged[1]}: {DAMAGED}; restore the file, or read an earlier version")
    return None


@contextmanager
def one_line() -> Iterator[None]:  # noqa: DOC502, DOC503
    """Raises what a failed job comes from as an error of vwlite, with a message of one line.

    Yields:
        Nothing.

    Raises:
        VwliteError: In place of an error of Spark whose reason is known.
    """
    try:
        yield
    except (VwliteError, KeyboardInterrupt):
        raise
    except Exception as error:
        found = explained(error)
        if found is None:
            raise
        raise found from None


__all__ = ["ModelError", "OptionError", "TaskError", "VwliteError", "explained", "in_a_task", "one_line", "raised"]
