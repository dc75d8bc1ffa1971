"""Converts answers in text to JSON lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as quoted  # encodes a string in JSON

from vwlite.core.types import PredictionType


def answer(
    text: bytes, kind: PredictionType, columns: Sequence[str] = ("prediction",), named: bool = False, classes: int = 0
) -> bytes:
    r"""Converts an answer in text to a JSON line.

    Args:
        text: The driver's output for one example.
        kind: The stack's type of prediction.
        columns: The names of the numbers in the answer to a single example. A column called "tag", after an
            effect, keeps the name; the tag is then called "_tag".
        named: Whether classes have names, which are strings; else they are numbers.
        classes: The number of scores or probabilities of classes.

    Returns:
        The JSON object and a line end, encoded in ASCII; {"error": ...} if the answer is an error.

    >>> answer(b"0.385846 tag\n", PredictionType.SCALAR)
    b'{"prediction": 0.385846, "tag": "tag"}\n'
    >>> answer(b"0.385846 nan\n", PredictionType.SCALAR, ["prediction", "sd"])
    b'{"prediction": 0.385846, "sd": null}\n'
    >>> answer(b"1:0.7,0:0.3\n\n", PredictionType.ACTION_PROBABILITIES)
    b'{"actions": [[1, 0.7], [0, 0.3]]}\n'
    >>> answer(b"cat:0.7 dog:0.3 tag\n", PredictionType.PROBABILITIES, named=True, classes=2)
    b'{"probabilities": {"cat": 0.7, "dog": 0.3}, "tag": "tag"}\n'
    """
    shown = text.decode("utf-8", "replace").removesuffix("\n")
    if shown.startswith("!"):
        return error(shown.rstrip("\n").removeprefix("!error "))
    lines = shown.removesuffix("\n").split("\n")
    if kind in (PredictionType.SCALAR, PredictionType.CLASS):
        words = lines[0].split(" ", len(columns))
        numbers = [json_number(word) for word in words]
        if kind is PredictionType.CLASS and columns[0] == "prediction":
            numbers[0] = json_class(words[0], named)
        members = [f"{quoted(name)}: {number}" for name, number in zip(columns, numbers, strict=False)]
        tag = words[len(columns) :]
    elif kind in (PredictionType.SCORES, PredictionType.PROBABILITIES):
        words = lines[0].split(" ", classes)
        pairs = [word.rpartition(":") for word in words[:classes]]
        members = [of_classes(kind.value, [f"{quoted(name)}: {json_number(number)}" for name, _, number in pairs])]
        tag = words[classes:]
    elif kind is PredictionType.LINE_CHOICE:
        chosen = [word for word in (line.split(" ", 1)[0] for line in lines) if word != "0"]
        members, tag = [f'"prediction": {json_class(chosen[0] if chosen else "0", named)}'], []
    elif kind is PredictionType.LINE_PROBABILITIES:
        members = [f'"probabilities": [{", ".join(json_number(line.split(" ", 1)[0]) for line in lines)}]']
        tag = lines[0].split(" ", 1)[1:]
    else:
        word, *tag = lines[0].split(" ", 1)
        members = [of_actions(word, kind, named)]
    if tag:
        members.append(f"{quoted('_tag' if 'tag' in columns else 'tag')}: {quoted(tag[0])}")
    return f"{{{', '.join(members)}}}\n".encode()


def of_classes(name: str, members: Sequence[str]) -> str:
    """The JSON member that maps each class to a number."""
    return f"{quoted(name)}: {{{', '.join(members)}}}"


def of_actions(word: str, kind: PredictionType, named: bool) -> str:
    """The JSON member with the predicted classes, the chosen action, or a number for each action."""
    if kind is PredictionType.CLASSES:
        return f'"classes": [{", ".join(json_class(name, named) for name in word.split(",") if name)}]'
    if kind is PredictionType.ACTION:
        return f'"action": {word}'
    pairs = [pair.rpartition(":") for pair in word.split(",")]
    return f'"actions": [{", ".join([f"[{json_class(name, named)}, {json_number(p)}]" for name, _, p in pairs])}]'


def json_class(word: str, named: bool) -> str:
    """A class, or the number of an action, in JSON."""
    return word if word.isascii() and word.isdigit() and not named else quoted(word)


def error(message: str) -> bytes:
    """An error message as a JSON line."""
    return f'{{"error": {quoted(message)}}}\n'.encode()


def json_number(word: str) -> str:
    """A number in JSON; null if it is not finite, which JSON can't represent."""
    try:
        return word if math.isfinite(float(word)) else "null"
    except ValueError:
        return "null"
