"""Models without their provenance, and notes of a model: the file is written again, its weights are unchanged."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vwlite.core.options import Options
from vwlite.engine import command_line, storing
from vwlite.engine.provenance import notes_of
from vwlite.engine.workspace import Workspace
from vwlite.errors import ModelError, OptionError
from vwlite.model import model_file
from vwlite.model.stripping import PARTS


def strip(path: str, output: str, keep: Collection[str] = (), journal: str | None = None) -> dict[str, Any]:  # noqa: DOC502, DOC503
    """Writes a model without its provenance; its predictions are the same.

    Args:
        path: The model file.
        output: The new model file, which may be the same.
        keep: What stays: of ``journal``, ``names`` (of features and entities), ``notes`` (with the texts of the card),
            ``paths`` (names of files in options and in the journal).
        journal: Where what was removed is written, as JSON; None for nowhere.

    Returns:
        ``removed``: the parts; ``sha256``: of what was removed, which the new model has, too; ``id``: of the new model.

    Raises:
        OptionError: If there is no part of this name.
        ModelError: If the model can't be read, or a file can't be written.
    """
    unknown = [part for part in keep if part not in PARTS]
    if unknown:
        raise OptionError(f"--keep {unknown[0]}: is none of {', '.join(PARTS)}")
    reader = verified(path)
    arrays, metadata = contents(reader)
    options = Options(command_line.option_groups())
    arrays, metadata, document = storing.stripped(arrays, metadata, keep, options)
    for place in (output, *([journal] if journal else [])):
        model_file.require_writable(place)
    if journal:
        model_file.write_text(journal, document.decode())
    model_file.write(output, arrays, metadata)
    discard_entities(output)
    return {**metadata["stripped"], "id": model_file.open(output).metadata["id"]}


def tag(path: str, notes: Sequence[str]) -> dict[str, str]:  # noqa: DOC502
    """Adds notes to a model, in place; ``NAME=`` removes one.

    Args:
        path: The model file.
        notes: Texts ``NAME=TEXT``.

    Returns:
        The notes of the model by name.

    Raises:
        OptionError: If a note has no name.
        ModelError: If the model can't be read or written.
    """
    reader = verified(path)
    found = notes_of(notes, reader.metadata.get("notes"), "")
    write_again(reader, {"notes": found})
    return found


def keep_texts(path: str, texts: Mapping[str, str]) -> None:  # noqa: DOC502
    """Keeps texts of a card in a model, in place; an empty text removes one.

    Args:
        path: The model file.
        texts: The texts by name.

    Raises:
        ModelError: If the model can't be read or written.
    """
    reader = verified(path)
    both = {**reader.metadata.get("card", {}), **texts}
    write_again(reader, {"card": {name: text for name, text in both.items() if text}})


def write_again(reader: model_file.ModelReader, values: Mapping[str, Any]) -> None:
    """Writes a model again with other metadata; empty values are left out. Raises ModelError if it can't be written."""
    metadata = {name: value for name, value in reader.metadata.items() if name not in ("id", "digests", *values)}
    metadata |= {name: value for name, value in values.items() if value}
    if not os.path.isfile(reader.path):
        raise ModelError(f"{reader.path}: is no regular file, so it can't be written again")
    model_file.write(reader.path, arrays_of(reader), metadata)


def verified(path: str) -> model_file.ModelReader:
    """Opens a model and verifies the digest of every array; raises ModelError."""
    reader = model_file.open(path)
    for name in reader.names():
        reader.array(name, reader.dtype(name))
    return reader


def arrays_of(reader: model_file.ModelReader) -> dict[str, model_file.Array]:
    """The arrays of a model, as model_file.write takes them."""
    return {
        name: (reader.dtype(name), reader.shape(name), reader.array(name, reader.dtype(name)).cast("B"))
        for name in reader.names()
    }


def contents(reader: model_file.ModelReader) -> tuple[dict[str, model_file.Array], dict[str, Any]]:
    """The arrays and the metadata of a model; those of entities in a file beside it, too."""
    metadata = {name: value for name, value in reader.metadata.items() if name not in ("digests", "entities")}
    if "entities" not in reader.metadata:
        return arrays_of(reader), metadata
    workspace = Workspace(["-i", reader.path])
    arrays, _ = storing.contents(workspace)
    return arrays, metadata


def discard_entities(path: str) -> None:
    """Removes the entities of an older model that was overwritten."""
    if os.path.exists(f"{os.path.realpath(path)}.entities"):
        from vwlite.entities import store

        store.discard(path)
