"""Answers in text as JSON lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as quoted  # the JSON text of a text


def answer(text: bytes, decisions: bool, columns: Sequence[str] = ("prediction",)) -> bytes:
    r"""An answer in text as a JSON line; `columns` are the names of the numbers in the answer to a single example.

    A column that is called "tag", after an effect, keeps the name; the tag is then called "_tag".

    >>> answer(b"0.385846 tag\n", False)
    b'{"prediction": 0.385846, "tag": "tag"}\n'
    >>> answer(b"0.385846 nan\n", False, ["prediction", "sd"])
    b'{"prediction": 0.385846, "sd": null}\n'
    >>> answer(b"1:0.7,0:0.3\n\n", True)
    b'{"actions": [[1, 0.7], [0, 0.3]]}\n'
    """
    line = text.rstrip(b"\n")
    if line.startswith(b"!"):
        return error(line.removeprefix(b"!error ").decode("utf-8", "replace"))
    words = line.decode("utf-8", "replace").split(" ", 1 if decisions else len(columns))
    if decisions:
        pairs = [pair.partition(":") for pair in words[0].split(",")]
        members = [f'"actions": [{", ".join([f"[{action}, {json_number(p)}]" for action, _, p in pairs])}]']
        tag = words[1:]
    else:
        members = [f"{quoted(name)}: {json_number(word)}" for name, word in zip(columns, words, strict=False)]
        tag = words[len(columns) :]
    if tag:
        members.append(f"{quoted('_tag' if 'tag' in columns else 'tag')}: {quoted(tag[0])}")
    return f"{{{', '.join(members)}}}\n".encode()


def error(message: str) -> bytes:
    """What is wrong with a line, as a JSON line."""
    return f'{{"error": {quoted(message)}}}\n'.encode()


def json_number(word: str) -> str:
    """A number of an answer in JSON, which has none that are not finite."""
    return word if math.isfinite(float(word)) else "null"
