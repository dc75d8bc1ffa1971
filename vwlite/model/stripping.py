"""Stripping: a model without its provenance. What is taken out is a document, whose digest stays in the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from vwlite.model.model_io import NAMED

PARTS = ("journal", "names", "notes", "paths")
FIXED = ".fixed.metadata"  # the metadata of a model inside the model, see vwlite/engine/fixed.py
KNOWN = "known."  # prefix of the arrays with names of features and their statistics, see feature_list.py
NAMES = tuple(field for _, *fields in NAMED.values() for field in fields)
PROVENANCE = {"journal": ("journal", "stream", "workspace"), "notes": ("notes", "card")}

Redact = Callable[[dict[str, Any]], dict[str, Any]]


def strip(
    arrays: Mapping[str, Any], metadata: Mapping[str, Any], keep: Collection[str], redact: Redact
) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Takes the provenance out of a model.

    Args:
        arrays: The arrays of the model, as of model_file.write.
        metadata: Its metadata, without digests.
        keep: The PARTS that stay.
        redact: Returns metadata without paths.

    Returns:
        The arrays, the metadata and the document with what was taken out: a JSON text, whose sha256 is
        ``stripped.sha256`` of the metadata. A part that stays is not in the document.
    """
    kept_arrays, kept, document = (
        dict(arrays),
        dict(metadata),
        {"id": metadata.get("id"), "created": metadata["created"]},
    )
    inner = {name: json.loads(bytes_of(array)) for name, array in arrays.items() if name.endswith(FIXED)}
    if "paths" not in keep:
        document["options"] = metadata["options"]
        kept = redact(kept)
        kept_inner = {name: redact(one) for name, one in inner.items()}
    else:
        kept_inner = {name: dict(one) for name, one in inner.items()}
    for part, fields in PROVENANCE.items():
        if part in keep:
            continue
        document |= {field: metadata[field] for field in fields if field in metadata}
        for one in (kept, *kept_inner.values()):
            for field in fields:
                one.pop(field, None)
            one.setdefault("journal", [])
    if "notes" not in keep:
        for one in (kept, *kept_inner.values()):
            one["journal"] = [without_notes(run) for run in one.get("journal", [])]
    document["inner"] = {name: one.get("journal", []) for name, one in inner.items()}
    if "names" not in keep:
        document["names"] = names_in(arrays)
        kept_arrays = {
            name: array for name, array in kept_arrays.items() if name not in NAMES and not name.startswith(KNOWN)
        }
        kept_arrays |= anonymous(kept_arrays)
    for name, one in kept_inner.items():
        text = json.dumps(one).encode()
        kept_arrays[name] = ("U8", [len(text)], text)
    text = json.dumps(document, sort_keys=True, indent=1).encode()
    removed = [part for part in PARTS if part not in keep]
    kept["stripped"] = {"removed": removed, "sha256": hashlib.sha256(text).hexdigest()}
    kept.pop("id", None)
    kept.pop("digests", None)
    return kept_arrays, kept, text


def without_notes(run: dict[str, Any]) -> dict[str, Any]:
    """A run of a journal without the words of --note on its command line."""
    words, left = [], iter(run["arguments"])
    for word in left:
        if word == "--note":
            next(left, None)
        elif not word.startswith("--note="):
            words.append(word)
    return {**run, "arguments": words}


def bytes_of(array: Any) -> bytes:
    """The bytes of an array, as of model_file.write."""
    buffer = array[2]
    try:
        return bytes(memoryview(buffer).cast("B"))
    except TypeError:
        return b"".join(bytes(piece) for piece in buffer)


def names_in(arrays: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names in arrays: of features, and of the entities of each learner."""
    found = {}
    for name in arrays:
        if name in NAMES and name.endswith("text"):
            found[name] = bytes_of(arrays[name]).decode("utf-8", "replace").split("\n")
        elif name == f"{KNOWN}text":
            text, begin, names = bytes_of(arrays[name]), 0, []
            for end in memoryview(bytes_of(arrays[f"{KNOWN}end"])).cast("Q"):
                names.append(text[begin:end].decode("utf-8", "replace"))
                begin = end
            found[name] = names
        elif owner := owner_of_names(name, arrays):
            text, at, names = bytes_of(arrays[name]), 0, []
            for length in memoryview(bytes_of(arrays[f"{owner}.name_length"])).cast("I"):
                names.append(text[at : at + length].decode("utf-8", "replace"))
                at += length
            found[name] = names
    return found


def anonymous(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays in place of those with names of entities: all are empty. Entities are found by their keys."""
    found: dict[str, Any] = {}
    for name in arrays:
        if owner := owner_of_names(name, arrays):
            dtype, shape, _ = arrays[f"{owner}.name_length"]
            found[name] = ("U8", [0], b"")
            found[f"{owner}.name_length"] = (dtype, shape, bytes(4 * shape[0]))
    return found


def owner_of_names(name: str, arrays: Mapping[str, Any]) -> str:
    """The learner of a field with names of entities; "" for another field."""
    owner = name.removesuffix(".name")
    return owner if owner != name and f"{owner}.key" in arrays and f"{owner}.name_length" in arrays else ""
