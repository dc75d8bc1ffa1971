"""Detects conflicts between the files of a command line before anything is read or written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

from vwlite.core.options import Options
from vwlite.core.paths import inherited
from vwlite.engine.feed import cache_path, data_paths
from vwlite.errors import OptionError
from vwlite.report.watching import is_at_drift

UPDATE = {"--initial_regressor", "--final_regressor"}  # may be the same file: the model is updated
STREAMS = ("data", "predictions", "raw_predictions")  # options whose "-" is standard input or output
ENTITIES = (".entities", ".entities.new")  # suffixes of a model's further files


class Use(NamedTuple):
    """A file that a flag, or another part of the command line (`label`), reads or writes."""

    label: str
    path: str
    written: bool
    of: str = ""  # the flag, if the label is not just that


def check(uses: Iterable[Use]) -> None:
    """Raises OptionError for each two uses of one file of which one would overwrite its content."""
    found: dict[tuple[object, ...], list[Use]] = {}
    for use in uses:
        if key := identity(use.path):
            found.setdefault(key, []).append(use)
    errors = [
        f"{one.label} and {other.label} are the same file, {one.path}, and one would overwrite the other: "
        "name another file for one of them"
        for same in found.values()
        for one, other in combinations(same, 2)
        if (one.written or other.written) and not is_allowed(one, other)
    ]
    if errors:
        raise OptionError(list(dict.fromkeys(errors)))


def check_subcommand(read: Iterable[str | None], **written: str | None) -> None:
    """Checks the files that a subcommand reads ("-" is standard input) and those that its flags write."""
    uses = [Use("the input", "/dev/stdin" if path == "-" else path, False) for path in read if path is not None]
    for name, path in written.items():
        if path is not None:
            uses.append(Use(f"--{name}", "/dev/stdout" if path in ("stdout", "-") else path, True))
    check(uses)


def is_allowed(one: Use, other: Use) -> bool:
    """Whether two uses of one file, one of which writes, are no conflict: an updated model, or a shared stream."""
    if {one.of or one.label, other.of or other.label} == UPDATE and bool(one.of) == bool(other.of):
        return True
    return one.written and other.written and None not in (inherited(one.path), inherited(other.path))


def identity(path: str) -> tuple[object, ...] | None:
    """A key that is equal for all names of one regular file, which need not exist; None for other kinds of files.

    It uses device and inode, so links and mounts are recognized.
    """
    try:
        descriptor = inherited(path)
        found = os.stat(path) if descriptor is None else os.fstat(descriptor)
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None
    except FileNotFoundError:
        folder, name = os.path.split(os.path.realpath(path))
        try:
            found = os.stat(folder)
            return found.st_dev, found.st_ino, name
        except OSError:
            return folder, name
    except (OSError, ValueError):
        return None  # opening it will report the error


def check_run(options: Options, serving: bool) -> None:
    """Raises OptionError if files of a run, or of a daemon, conflict."""
    uses = list(uses_of(options, serving))
    check(uses)
    errors = [
        f"--{name} -: only --data, --predictions and --raw_predictions take - for a stream: name a file (./- if it is "
        "called so)"
        for name, option in options.declared.items()
        if option.file and options[name] == "-" and name not in STREAMS and options.source(name) != "model"
    ]
    final = options["final_regressor"]
    if final and options["save_per_pass"]:
        errors += [
            f"{use.label} {use.path}: --save_per_pass would save a model there: name another file"
            for use in uses
            if is_of_pass(use.path, final, options["passes"])
        ]
    if final and options["on_drift"] == "save":
        errors += [
            f"{use.label} {use.path}: --on_drift would save a model there: name another file"
            for use in uses
            if is_at_drift(use.path, final) and use.label != "--initial_regressor"
        ]
    if options["journal"]:
        errors += [
            f"{use.label} {use.path}: is in the folder of --journal, which is for its own files: name another folder"
            for use in uses
            if use.written and is_inside(use.path, options["journal"])
        ]
    if errors:
        raise OptionError(errors)


def uses_of(options: Options, serving: bool) -> Iterator[Use]:
    """The files that a run reads and writes."""
    paths = [] if serving else data_paths(options)
    for path in paths:
        yield Use("the data", "/dev/stdin" if path == "-" else path, False)
    cache = None if serving else cache_path(options, paths)
    if cache is not None:
        yield Use("--cache_file" if options["cache_file"] else "--cache", cache, True)
    for name, option in options.declared.items():
        path = options[name]
        if option.file in ("", "folder") or name in ("data", "cache_file") or not path:
            continue
        if option.many:
            if options.source(name) != "model":
                yield from (Use(f"--{name}", one, option.file == "written") for one in path)
            continue
        if options.source(name) == "model":  # the model contains it, so the file is not read
            continue
        path = "/dev/stdout" if path in ("stdout", "-") and name.endswith("predictions") else path
        yield Use(f"--{name}", path, option.file == "written")
        if name in ("initial_regressor", "final_regressor", "fixed_effect"):
            for suffix in ENTITIES:
                beside = os.path.realpath(path) + suffix
                if option.file == "written" or os.path.exists(beside):
                    yield Use(f"the entities of --{name}", beside, option.file == "written", of=f"--{name}")


def is_of_pass(path: str, final: str, passes: int) -> bool:
    """Whether --save_per_pass would save to this path after some pass."""
    number = os.path.realpath(path).removeprefix(os.path.realpath(final) + ".")
    return number.isascii() and number.isdigit() and str(int(number)) == number and int(number) < passes


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is directly in a folder."""
    return inherited(path) is None and os.path.dirname(os.path.realpath(path)) == os.path.realpath(folder)
