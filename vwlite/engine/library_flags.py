"""Flags from Python: their words, and the options that only a run of the command line supports."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from vwlite.core.options import Options
from vwlite.errors import OptionError

# Options that only a run of the command line supports, and the alternative.
RUN_ONLY = {
    "data": "give examples to learn() or predict()",
    "no_stdin": "a Workspace doesn't read standard input",
    "cache": "examples are in memory already",
    "cache_file": "examples are in memory already",
    "kill_cache": "examples are in memory already",
    "examples": "call learn() with fewer examples",
    "holdout_period": "call predict() for examples to hold out",
    "holdout_after": "call predict() for examples to hold out",
    "holdout": "call predict() for examples to hold out",
    "where": "give learn() these examples only",
    "sample": "give learn() fewer examples",
    "sample_weights": "give learn() weights",
    "shuffle": "shuffle the examples",
    "interleave": "give the examples in that order",
    "drift": "vwlite.report.drift.Adwin and others watch losses that you feed them",
    "on_drift": "vwlite.report.drift.Adwin and others watch losses that you feed them",
    "delay": "call predict() for each example, and learn() when its label is known",
    "time": "call learn() when the label is known",
    "early_terminate": "stop calling learn()",
    "save_per_pass": "call save() after end_pass()",
    "progress": "a Workspace prints no table",
    "passes": "call learn() for each pass, and end_pass() after it",
    "final_regressor": "call save()",
    "predictions": "predict() and learn() return them",
    "raw_predictions": "predict() and learn() return predictions",
    "readable_model": "save() the model and use the command line",
    "invert_hash": "save() the model and use the command line",
    "audit": "use the command line",
    "threads": "learn() and predict() use one",
    "dry_run": "use the command line",
    "help": "use the command line, vwlite --help",
    "version": "vwlite.__version__ is the version",
}


def refuse_run_options(options: Options) -> None:
    """Raises OptionError for options that a Workspace would silently ignore."""
    errors = [f"--{name} has no effect in a Workspace: {RUN_ONLY[name]}" for name in RUN_ONLY if options.given(name)]
    if options.data is not None:
        errors.append(f"{options.data}: a Workspace reads no files: {RUN_ONLY['data']}")
    if errors:
        raise OptionError(errors)


def words_of(flags: str | Iterable[str]) -> list[str]:
    """Splits flags into words. Raises OptionError for an unclosed quotation, TypeError for other types than text."""
    if isinstance(flags, str):
        try:
            return shlex.split(flags)
        except ValueError as error:
            raise OptionError(f"the flags {flags!r} can't be read: {str(error).lower()}") from error
    words: list[Any] = (
        list(flags) if isinstance(flags, Iterable) and not isinstance(flags, (bytes, Mapping)) else [flags]
    )
    for word in words:
        if not isinstance(word, (str, os.PathLike)):
            kind = type(word).__name__
            raise TypeError(f"flags are text as on the command line, '-b 18 --l1 0.1', or a list of words, not {kind}")
    return [os.fspath(word) for word in words]
