"""Provenance: where a model comes from. What its journal records of a run, redaction, and notes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.errors import OptionError

REDACTED = "<redacted>"
REDACTABLE = ("path", "argv", "host")
LONGEST_NOTE = 10_000  # characters

OPTIONS = OptionGroup(
    "Provenance",
    (
        Option(
            "note",
            str,
            "keep this note in the model, such as owner=ads; may be repeated; NAME= removes the note of a loaded model",
            many=True,
            metavar="NAME=TEXT",
        ),
        Option(
            "redact",
            str,
            "leave these out of the model's journal: path (names of files and folders), argv (the command line), host",
            metavar="WHAT,..",
        ),
    ),
    needs=("final_regressor", "library", "serving"),
    examples=("vwlite data.vw -f model --note owner=ads --note 'ticket=A 42' --redact path,host",),
)

PASSWORD = re.compile(r"(://[^:/@\s]*):[^@/\s]*@")
SECRET = re.compile(r"(?i)\b((?:[a-z_]*(?:password|passwd|pwd|token|secret|api_?key|access_?key))=)[^&\s;]+")


def without_secrets(text: str) -> str:
    """A text without the passwords and tokens of URLs in it.

    >>> without_secrets("postgresql://ann:pw@db/shop?sslpassword=x&a=1 SELECT 1")
    'postgresql://ann:***@db/shop?sslpassword=***&a=1 SELECT 1'
    """
    return SECRET.sub(r"\1***", PASSWORD.sub(r"\1:***@", text))


# "via" of a model that vwlite cv trained begins so
WITHOUT_FOLD = "without fold"


def has_secret(text: str) -> bool:
    """Whether without_secrets() took something out of a text."""
    return ":***@" in text or "=***" in text


def origin(options: Options, use: str) -> dict[str, Any]:
    """What the journal records of a run besides its results.

    Args:
        options: The options of the run.
        use: The kind of run: "command", "library" or "serving".

    Returns:
        ``via``: the kind of run (vwlite cv sets "without fold 2 of 5"). Of a run of the command line also ``folder``,
        in which it was started, ``host``, ``python`` (its version), ``config`` (the configuration file, if there was
        one), ``given``, the options of the command line and of that file, and ``data``, the names of the sources.
    """
    if use != "command":
        return {"via": use}
    sources = [*([options.data] if options.data else []), *options["data"]]
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        folder = ""
    config = options["config"] if "config" in options else None  # noqa: SIM401 - not a dict
    return {
        "via": use,
        "folder": folder,
        "host": os.uname().nodename,
        "python": sys.version.split()[0],
        **({"config": config} if config else {}),
        "given": {name: clean(options[name]) for name in given(options) if name not in ("data", "note")},
        "data": clean(sources or ([] if options["no_stdin"] else ["-"])),
    }


def given(options: Options) -> list[str]:
    """The names of the options that the command line or the configuration file gave, other than that file."""
    return [
        name
        for name in options.declared
        if options.source(name) in ("command line", "config file") and options.given(name) and name != "config"
    ]


def clean(value: Any) -> Any:
    """A value of an option without secrets."""
    if isinstance(value, list):
        return [clean(one) for one in value]
    return without_secrets(value) if isinstance(value, str) else value


def wanted(options: Options) -> list[str]:
    """What --redact names. Raises OptionError for what can't be redacted."""
    return read_list("redact", options["redact"], REDACTABLE)


def read_list(flag: str, text: str | None, allowed: Iterable[str]) -> list[str]:
    """Reads a list of words with commas. Raises OptionError for a word that is not allowed."""
    found = [word.strip() for word in (text or "").split(",") if word.strip()]
    allowed = list(allowed)
    for word in found:
        if word not in allowed:
            raise OptionError(f"--{flag} {text}: {word!r} is none of {', '.join(allowed)}")
    return found


def redact(record: Mapping[str, Any], what: Iterable[str], files: Iterable[str]) -> dict[str, Any]:
    """An entry of a journal without some of its facts.

    Args:
        record: The entry.
        what: Of REDACTABLE.
        files: The names of options whose values are files.

    Returns:
        The entry; ``redacted`` names what it lacks.
    """
    what, found = set(what), dict(record)
    if not what:
        return found
    if "path" in what:
        values = dict(found.get("given", {}))
        names = [name for name in files if isinstance(values.get(name), str)]
        paths = [*(values[name] for name in names), *found.get("data", []), found.get("folder", "")]
        paths.append(found.get("config", ""))
        paths += [source["name"] for source in found["sources"]]
        # of an earlier version it is not known which words are paths
        known = "given" in found or not found["arguments"]
        found["arguments"] = [without_paths(word, paths) for word in found["arguments"]] if known else [REDACTED]
        found["sources"] = [{**source, "name": REDACTED} for source in found["sources"]]
        if "given" in found:
            found["given"] = values | dict.fromkeys(names, REDACTED)
        if "data" in found:
            found["data"] = [REDACTED for _ in found["data"]]
        for name in ("folder", "config"):
            if name in found:
                found[name] = REDACTED
    if "argv" in what:
        found["arguments"] = [REDACTED]
        found.pop("given", None)
    if "host" in what:
        found.pop("host", None)
    return {**found, "redacted": sorted(what.union(found.get("redacted", [])))}


def without_paths(word: str, paths: Iterable[str]) -> str:
    """A word of a command line without the paths in it: the word itself, or the value behind a flag."""
    for path in sorted((path for path in paths if path and path != "-"), key=len, reverse=True):
        if word == path or word.startswith(f"{path}."):
            return REDACTED
        if word.startswith("-") and word.endswith(path):
            return word[: -len(path)] + REDACTED
    # a path in another form, such as of a column map
    if (word.startswith("@") or "/" in word) and not word.startswith("-"):
        return REDACTED
    return re.sub(r"=(@.*|.*/.*)", f"={REDACTED}", word)


def files_of(options: Options) -> list[str]:
    """The names of options whose values are files or folders."""
    return [name for name, option in options.declared.items() if option.file]


def redact_options(kept: Mapping[str, Any], files: Iterable[str]) -> dict[str, Any]:
    """Options that a model keeps, without the files among them: the model has what was in these."""
    files = set(files)
    return {name: REDACTED if name in files and isinstance(value, str) else value for name, value in kept.items()}


def notes_of(texts: Iterable[str], before: Mapping[str, str] | None = None, flag: str = "--note ") -> dict[str, str]:
    """Notes by name, from texts NAME=TEXT on top of earlier notes; an empty text removes one.

    Raises OptionError for a text without a name.
    """
    found = dict(before or {})
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name:
            raise OptionError(f"{flag}{text}: expected NAME=TEXT, such as owner=ads")
        if len(value) > LONGEST_NOTE or len(name) > LONGEST_NOTE:
            raise OptionError(f"{flag}{name[:40]}: a note has at most {LONGEST_NOTE:,} characters")
        if value:
            found[name] = value
        else:
            found.pop(name, None)
    return found
