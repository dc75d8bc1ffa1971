"""What is uploaded for a model: flags, a model file, or a model of River, which is read and never run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vwlite.http.calls import OBJECT, decoded
from vwlite.http.engines import words_of
from vwlite.http.pickles import Call, Dict, Name, Unreadable, plain, read, shown
from vwlite.http.problems import Problem
from vwlite.http.river_models import translate
from vwlite.http.river_parts import Refused, state_of

KINDS = {"regression": "regression", "binary": "binary", "multiclass": "multiclass", "creme": None, "custom": None}
NOTHING_ELSE = {
    "cluster": "clusters are learned without labels, and vwlite learns from labels",
    "neighbor": "vwlite has no nearest neighbours; --random_effect has a model for each user or item",
}
MOST_PARAMETERS = 100  # of a step that are stored


@dataclass
class Upload:
    """What an upload asks for.

    Args:
        kind: The kind of the model; None for any.
        words: Its flags.
        content: Instead of flags, a model file.
        notes: What its sender should know.
        steps: What the sender calls the steps of the model, with their parameters.
        exact: Whether predictions are those of the sender's model; None if it has none.
    """

    kind: str | None
    words: list[str] = field(default_factory=list)
    content: bytes | None = None
    notes: list[str] = field(default_factory=list)
    steps: dict[str, Any] = field(default_factory=dict)
    exact: bool | None = None


def read_upload(body: bytes, flavor: str, strict: bool) -> Upload:
    """Reads an upload.

    Args:
        body: What was sent: a pickle, JSON, or a model file.
        flavor: What River's API calls the kind of the model.
        strict: Whether models are refused that are not translated exactly.

    Returns:
        What it asks for.

    Raises:
        Problem: If that can't be done.
    """
    if flavor in NOTHING_ELSE:
        raise Problem(400, f"the flavor {flavor!r} is not served: {NOTHING_ELSE[flavor]}")
    kind = KINDS[flavor]
    if not body:
        raise Problem(400, "the upload is empty: send flags, a model file, or a model of River")
    if is_model_file(body):
        return Upload(kind, content=body)
    if body.lstrip()[:1] == b"{":
        return of_options(decoded(body, OBJECT).get("options"), kind)
    try:
        value = read(body)
    except Unreadable as error:
        raise Problem(400, f"the upload can't be read: {error}") from None
    if isinstance(value, (bytes, bytearray)):
        return Upload(kind, content=bytes(value))
    if isinstance(value, Dict):
        return of_options(next((each for name, each in value.items if name == "options"), None), kind)
    if not isinstance(value, Call):
        return of_options(value, kind)
    try:
        found = translate(value)
        steps = {name: parameters(step) for name, step in found.models}
    except (Refused, Unreadable) as error:
        raise Problem(400, str(error)) from None
    if strict and not found.exact:
        raise Problem(400, f"the model is not translated exactly, as strict=true asks for: {'; '.join(found.notes)}")
    return Upload(kind, found.options, notes=found.notes, steps=steps, exact=found.exact)


def parameters(step: Any) -> Any:
    """What is known of a step: its plain parameters."""
    found = {}
    for name, value in list(state_of(step).items())[:MOST_PARAMETERS]:
        if value is None or isinstance(value, (bool, int, float, str)):
            found[shown(name)] = plain(value)
        elif isinstance(value, Call) and value.state is not None and isinstance(value.function, Name):
            found[shown(name)] = shown(value.function.name)
    return found


def of_options(options: Any, kind: str | None) -> Upload:
    """An upload of flags."""
    if not isinstance(options, str):
        raise Problem(400, 'flags are a text, such as "--loss_function logistic", or {"options": "..."}', "/options")
    if any("\ud800" <= sign <= "\udfff" for sign in options):
        raise Problem(400, "the options hold signs that are no text", "/options")
    return Upload(kind, words_of(options))


def is_model_file(body: bytes) -> bool:
    """Whether bytes begin as those of a model file do: the length of a header, and the header."""
    return len(body) > 9 and body[8:9] == b"{" and int.from_bytes(body[:8], "little") <= len(body)
