"""Databases: the rows of a query, as chunks of tuples.

A source is ``sqlite:FILE?QUERY``, or for other databases a URL of SQLAlchemy and the query behind a blank:
``postgresql+psycopg://user@host/shop SELECT ...``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

from vwlite.errors import VwliteError

CHUNK = 1000  # rows
SQLITE = re.compile(r"sqlite:(?!//)([^?]+)\?(.+)", re.DOTALL)
URL = re.compile(r"([a-z][a-z0-9]*(?:\+[a-z0-9_]+)?://\S+)\s+(.+)", re.DOTALL)

Rows = tuple[list[str], Iterator[list[tuple[Any, ...]]]]


def is_query(source: str) -> bool:
    """Whether a source is a query of a database.

    >>> is_query("sqlite:shop.db?SELECT 1"), is_query("shop.db")
    (True, False)
    """
    return bool(SQLITE.fullmatch(source) or URL.fullmatch(source))


def shown(source: str) -> str:
    """A source without its password, for messages."""
    return re.sub(r"(://[^:/@\s]*):[^@/\s]*@", r"\1:***@", source)


@contextlib.contextmanager
def rows_of(source: str) -> Iterator[Rows]:
    """Runs a query; yields the names of its columns, and chunks of rows, which are streamed.

    Args:
        source: The source.

    Yields:
        The names, and an iterator of lists of tuples.

    Raises:
        VwliteError: If the database can't be read, or goes away.
    """
    found = SQLITE.fullmatch(source)
    opened = _sqlite(*found.groups()) if found else _sqlalchemy(*_parts(source))
    name = shown(source)
    with contextlib.ExitStack() as stack:
        try:
            names, chunks = stack.enter_context(opened)
        except VwliteError:
            raise
        except Exception as error:  # each database has exceptions of its own
            raise VwliteError(f"{name}: {_in_one_line(error)}") from error
        yield names, _watched(name, chunks)


def _parts(source: str) -> tuple[str, str]:
    found = URL.fullmatch(source)
    if found is None:
        raise VwliteError(f"{shown(source)}: expected sqlite:FILE?QUERY, or URL QUERY")
    return found[1], found[2]


def _in_one_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"needs the package {error.name}: pip install {error.name}"
    return str(error).strip().split("\n")[0] or type(error).__name__


def _watched(name: str, chunks: Iterator[list[tuple[Any, ...]]]) -> Iterator[list[tuple[Any, ...]]]:
    """The chunks; raises VwliteError with the number of the row where the database fails."""
    count = 0
    try:
        for chunk in chunks:
            yield chunk
            count += len(chunk)
    except Exception as error:
        raise VwliteError(f"{name}: after row {count:,}: {_in_one_line(error)}") from error


@contextlib.contextmanager
def _sqlite(path: str, query: str) -> Iterator[Rows]:
    import sqlite3

    if not os.path.exists(path):
        raise VwliteError(f"{path}: can't read examples: no such file")
    address = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23") + "?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        yield names, iter(lambda: cursor.fetchmany(CHUNK), [])


@contextlib.contextmanager
def _sqlalchemy(url: str, query: str) -> Iterator[Rows]:
    try:
        import sqlalchemy
    except ImportError as error:
        raise VwliteError(f"{shown(url)}: needs SQLAlchemy: pip install 'vwlite[sql]'") from error
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            found = connection.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(
                sqlalchemy.text(query)
            )
            yield list(found.keys()), ([tuple(row) for row in part] for part in found.partitions(CHUNK))
    finally:
        engine.dispose()
