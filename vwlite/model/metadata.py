"""The schema of a model file's metadata.

A digest only proves that a file is as it was written, possibly by an untrusted writer: metadata are checked here before
they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from vwlite.errors import ModelError

DEPTH_LIMIT = 20  # of lists and objects inside each other
LARGEST = 2**64 - 1  # the largest integer that an option can hold


class Kind(NamedTuple):
    """The accepted kind of a value, in words and as a test."""

    words: str
    fits: Callable[[Any], bool]


def or_null(kind: Kind) -> Kind:
    """The kind, or null."""
    return Kind(f"{kind.words} or null", lambda value: value is None or kind.fits(value))


TEXT = Kind("text", lambda value: type(value) is str)
COUNT = Kind("a count", lambda value: type(value) is int and 0 <= value < 1 << 63)
WHOLE = Kind("a whole number", lambda value: type(value) is int)
NUMBER = Kind("a number", lambda value: type(value) in (int, float))
OBJECT = Kind("an object", lambda value: type(value) is dict)
TEXTS = Kind(
    "an object of texts", lambda value: type(value) is dict and all(type(one) is str for one in value.values())
)

# A list stands for a list of its one element, a dictionary for an object with at least these keys, of which those with
# a question mark may be missing.
SOURCE = {"name": TEXT, "sha256": or_null(TEXT), "bytes": or_null(COUNT)}
RUN = {
    "when": or_null(TEXT),
    "version": TEXT,
    "arguments": [TEXT],
    "seed": WHOLE,
    "sources": [SOURCE],
    "examples": WHOLE,
    "loss_before": or_null(NUMBER),
    "loss_after": or_null(NUMBER),
    "parent": or_null(TEXT),
    "via?": TEXT,
    "folder?": TEXT,
    "host?": TEXT,
    "python?": TEXT,
    "config?": TEXT,
    "given?": OBJECT,
    "data?": [TEXT],
    "stopped?": TEXT,
    "redacted?": [TEXT],
}
FIGURES = {
    "example_number?": COUNT,
    "total_features?": COUNT,
    "weighted_labeled?": NUMBER,
    "weighted_labels?": NUMBER,
    "weighted_unlabeled?": NUMBER,
    "sum_loss?": NUMBER,
    "sum_loss_since?": NUMBER,
    "weighted_labeled_before?": NUMBER,
    "dump_interval?": NUMBER,
}
PLUGIN = {"class": TEXT, "package": or_null(TEXT), "version": or_null(TEXT)}
SCHEMA: dict[str, Any] = {
    "id": TEXT,
    "created": TEXT,
    "vwlite_version": TEXT,
    "stack": [{"name": TEXT, "label": TEXT, "prediction": TEXT, "options": OBJECT, "plugin?": PLUGIN}],
    "options": OBJECT,
    "journal": [RUN],
    "figures": FIGURES,
    "digests": OBJECT,
    "stream": {"id?": TEXT, "entry?": COUNT, "flags?": OBJECT, "service?": OBJECT},
    "entities": {"id": TEXT, "sha256": TEXT},
    "notes": TEXTS,
    "card": TEXTS,
    "stripped": {"removed": [TEXT], "sha256": TEXT},
    "tuning": OBJECT,
    "read_by": TEXT,
}
NEEDED = ("id", "created", "vwlite_version", "stack", "options", "journal", "figures")


def check(path: str, metadata: Any) -> None:
    """Raises ModelError unless each value is of its kind. Unknown keys may hold any JSON."""
    if type(metadata) is not dict:
        _fail(path, "metadata", "an object")
    _check_json(path, metadata)
    for name, kind in SCHEMA.items():
        if name in metadata:
            _check(path, name, metadata[name], kind)


def require(path: str, metadata: Mapping[str, Any], names: Iterable[str] = NEEDED) -> None:
    """Raises ModelError if checked metadata lack a key that a model needs to be loaded."""
    for name in names:
        if name not in metadata:
            _fail(path, name, "there")
    if not metadata["stack"]:
        _fail(path, "stack", "a list of learners")


def _check(path: str, place: str, value: Any, kind: Any) -> None:
    if isinstance(kind, Kind):
        if not kind.fits(value):
            _fail(path, place, kind.words)
    elif isinstance(kind, list):
        if type(value) is not list:
            _fail(path, place, "a list")
        for number, item in enumerate(value):
            _check(path, f"{place}[{number}]", item, kind[0])
    else:
        if type(value) is not dict:
            _fail(path, place, "an object")
        for name, inner in kind.items():
            key = name.removesuffix("?")
            if key in value:
                _check(path, f"{place}.{key}", value[key], inner)
            elif key == name:
                _fail(path, f"{place}.{key}", "there")


def _check_json(path: str, metadata: dict[str, Any]) -> None:
    """Finds values that compiled code or a terminal can't process: invalid text, huge numbers, deep nesting."""
    left: list[tuple[Any, str, int]] = [(metadata, "metadata", 0)]
    while left:
        value, place, depth = left.pop()
        if isinstance(value, (dict, list)) and depth == DEPTH_LIMIT:
            _fail(path, place, f"nested less than {DEPTH_LIMIT} deep")
        if isinstance(value, dict):
            left += [(name, place, depth + 1) for name in value]
            left += [(item, name, depth + 1) for name, item in value.items()]
        elif isinstance(value, list):
            left += [(item, place, depth + 1) for item in value]
        elif isinstance(value, str):
            try:
                value.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                _fail(path, place, "text")
        elif isinstance(value, int) and abs(value) > LARGEST:
            _fail(path, place, "a number of at most 64 bits")


def _fail(path: str, place: str, wanted: str) -> NoReturn:
    place = "".join(c if c.isprintable() else "\ufffd" for c in place)  # it may come from the file
    raise ModelError(f"{path}: the file's metadata is not a model's: {place} is not {wanted}; train the model again")
