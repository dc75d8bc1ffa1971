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
            choices=("vw", "csv", "tsv", "json", "vwjson", "dsjson", "libsvm", "words", "ntv", "parquet", "arrow"),
        ),
        Option(
            "json",
            bool,
            "the data is VW's JSON, an object a line; the same as --format vwjson",
            needs=("command",),
        ),
        Option(
            "dsjson",
            bool,
            "the data is the log of a decision service in JSON; the same as --format dsjson",
            needs=("command",),
        ),
        Option(
            "chain_hash",
            bool,
            "in VW's JSON, hash a string with the hash of its name as the seed",
            keep=True,
            needs=("json", "dsjson", "format=vwjson", "format=dsjson", "serving"),
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
        "vwlite --json examples.json --chain_hash -f model",
        "vwlite --dsjson decisions.json --cb_explore_adf -f model",
        "vwlite --format libsvm heart.txt --loss_function logistic -f model",
    ),
)

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".dsjson": "dsjson",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
    ".svmlight": "libsvm",
    ".json": "json",
    ".ndjson": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".vw": "vw",
}
PACKED = (".gz", ".bz2", ".xz", ".lzma", ".zst")
OF_ROWS = ("parquet", "arrow", "sql")  # formats that are no text
OF_TABLES = ("columns_in", "label", "missing", "separator", "decimal", "header")  # options of formats with columns
WITHOUT_COLUMNS = (
    "vw",
    "vwjson",
    "dsjson",
    "libsvm",
    "words",
    "ntv",
)  # the label has a place of its own
OF_DECISIONS = ("vw", "vwjson", "dsjson")  # formats with multi-line examples
IN_WORDS = {
    "vw": "VW's text",
    "csv": "CSV",
    "tsv": "a table with tabs",
    "json": "JSON",
    "vwjson": "VW's JSON",
    "dsjson": "dsjson",
    "libsvm": "libsvm",
    "words": "labels and words",
    "ntv": "records of bags of features",
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


def by_flag(options: Options) -> str | None:
    """The format that a flag says; None if none does. Raises OptionError for flags that differ."""
    given = [f"--format {options['format']}"] if options["format"] else []
    given += [flag for flag in ("--json", "--dsjson") if options[flag[2:]]]
    formats = {"--json": "vwjson", "--dsjson": "dsjson"}
    named = {formats.get(flag, options["format"]) for flag in given}
    if len(named) > 1:
        raise OptionError(f"{' and '.join(given)}: one run reads one format, leave one of them out")
    return named.pop() if named else None


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
    given = by_flag(options)
    for path in paths:
        named = "sql" if is_query(path) else given or by_suffix(path)
        if named in (None, "json") and not given and not any(path.lower().endswith(suffix) for suffix in PACKED):
            before, named = named, by_content(path)
            if before == "json" and named not in ("dsjson", "ntv"):
                found[path] = before
                continue
            if named is not None:
                shown = "stdin" if path == "-" else path
                note = f"{shown}: read as {IN_WORDS[named]}, as it looks like that (--format vw if it is not)"
        found[path] = named or "vw"
    if len(set(found.values())) > 1:
        each = ", ".join(f"{path} is {IN_WORDS[found[path]]}" for path in found)
        raise OptionError(f"sources of one format are read in one run: {each}; convert some of them, or give --format")
    name = next(iter(found.values()), given or "vw")
    if name in WITHOUT_COLUMNS:
        typed = [option for option in OF_TABLES if options.given(option) and options.source(option) != "model"]
        if typed:
            shown = ", ".join("stdin" if path == "-" else path for path in paths)
            raise OptionError(
                f"--{typed[0]} is of tables, and {shown or 'the input'} is read as {IN_WORDS[name]}: give "
                "--format csv, for instance"
            )
    return name, note
