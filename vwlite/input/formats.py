"""Formats of input: their options, and which of them a source has."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.errors import OptionError
from vwlite.input.databases import is_query

OPTIONS = OptionGroup(
    "Tables and records",
    (
        Option(
            "format",
            str,
            "the format of the data; otherwise the name of the file says it, or its first bytes",
            choices=("vw", "csv", "tsv", "json", "parquet", "arrow"),
        ),
        Option(
            "columns_in",
            str,
            "what the columns of a table are: 'price:number city:category user:entity /.*/:ignore'; or @FILE, a TOML "
            "file with the same",
            many=True,
            keep=True,
            metavar="MAP",
        ),
        Option("label", str, "the column of the label: NAME, or 'NAME:binary(yes)' and the like", keep=True),
        Option("separator", str, "of the cells of a table in text: a character, or 'tab'", metavar="C"),
        Option("decimal", str, "the decimal point of a table in text", default=".", choices=(".", ",")),
        Option("header", str, "the names of the columns, of a table in text without a header", metavar="A,B,C"),
        Option(
            "missing",
            str,
            "'skip' leaves out values that are NaN, NA or null; otherwise they are errors",
            default="error",
            choices=("error", "skip"),
            keep=True,
        ),
    ),
    examples=(
        "vwlite trips.csv --label 'delay:above(15)' --columns_in 'carrier:category hour:number /.*/:ignore'",
        "vwlite trips.csv --label delay --columns_in @columns.toml",
        "vwlite trips.csv --label delay --missing skip",
        "vwlite --format csv trips.txt --separator ';' --decimal , --header day,hour,delay --label delay",
        "vwlite clicks.ndjson --label 'clicked:binary(yes)' --loss_function logistic -f model",
    ),
)

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".json": "json",
    ".ndjson": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".vw": "vw",
    ".dat": "vw",
}
PACKED = (".gz", ".bz2", ".xz", ".lzma", ".zst")
OF_ROWS = ("parquet", "arrow", "sql")  # formats that are no text
OF_TABLES = ("columns_in", "label", "missing", "separator", "decimal", "header")  # options without effect on VW's text
IN_WORDS = {
    "vw": "VW's text",
    "csv": "CSV",
    "tsv": "a table with tabs",
    "json": "JSON",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "sql": "a query of a database",
}


def by_suffix(path: str) -> str | None:
    """The format that the name of a file says; None if it says none.

    >>> by_suffix("trips.csv.gz")
    'csv'
    """
    name = path.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return SUFFIXES.get(os.path.splitext(name)[1])


def by_content(path: str) -> str | None:
    """The format of a file without a telling name, by its first bytes; None if they can be VW's text."""
    from vwlite.input.sniff import HEAD, recognized

    fd = -1
    try:
        state = os.stat(path) if path != "-" else os.fstat(0)
        if not stat.S_ISREG(state.st_mode):
            return None  # to look at what is in a pipe would take it out
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path != "-" else 0
        return recognized(os.pread(fd, HEAD, 0 if fd else os.lseek(0, 0, os.SEEK_CUR)))
    except OSError:
        return None  # the reader says why
    finally:
        if fd > 0:
            os.close(fd)


def format_of(options: Options, paths: Sequence[str]) -> tuple[str, str]:  # noqa: DOC502
    """The format of the sources of a run.

    Args:
        options: The options of the run.
        paths: The sources; "-" is standard input.

    Returns:
        The format, and a note if it was recognized by the content of a file.

    Raises:
        OptionError: If the sources have different formats, or an option has no effect on theirs.
    """
    note = ""
    found = {}
    for path in paths:
        named = "sql" if is_query(path) else options["format"] or by_suffix(path)
        if named is None and not any(path.lower().endswith(suffix) for suffix in PACKED):
            named = by_content(path)
            if named is not None:
                shown = "stdin" if path == "-" else path
                note = f"{shown}: read as {IN_WORDS[named]}, as it looks like that (--format vw if it is not)"
        found[path] = named or "vw"
    if len(set(found.values())) > 1:
        each = ", ".join(f"{path} is {IN_WORDS[found[path]]}" for path in found)
        raise OptionError(f"sources of one format are read in one run: {each}; convert some of them, or give --format")
    name = next(iter(found.values()), options["format"] or "vw")
    if name == "vw":
        typed = [option for option in OF_TABLES if options.given(option) and options.source(option) != "model"]
        if typed:
            raise OptionError(
                f"--{typed[0]} is of tables, and {', '.join(paths) or 'the input'} is read as VW's text: give "
                "--format csv, for instance"
            )
    return name, note
