"""Answers in text as JSON lines."""

from __future__ import annotations

import math
from json.encoder import encode_basestring_ascii as quoted  # the JSON text of a text


def answer(text: bytes, decisions: bool, columns: int = 1) -> bytes:
    r"""An answer in text as a JSON line; `columns` is how many numbers --columns wants of a single example.

    >>> answer(b"0.385846 tag\n", False)
    b'{"prediction": 0.385846, "tag": "tag"}\n'
    >>> answer(b"0.385846 nan\n", False, columns=2)
    b'{"columns": [0.385846, null]}\n'
    >>> answer(b"1:0.7,0:0.3\n\n", True)
    b'{"actions": [[1, 0.7], [0, 0.3]]}\n'
    """
    line = text.rstrip(b"\n")
    if line.startswith(b"!"):
        return error(line.removeprefix(b"!error ").decode("utf-8", "replace"))
    words = line.decode("utf-8", "replace").split(" ", 1 if decisions else columns)
    if decisions:
        pairs = [pair.partition(":") for pair in words[0].split(",")]
        found = f'"actions": [{", ".join([f"[{action}, {json_number(p)}]" for action, _, p in pairs])}]'
    elif columns == 1:
        found = f'"prediction": {json_number(words[0])}'
    else:
        found = f'"columns": [{", ".join(map(json_number, words[:columns]))}]'
        words = words[columns - 1 :]
    tag = f', "tag": {quoted(words[1])}' if len(words) > 1 else ""
    return f"{{{found}{tag}}}\n".encode()


def error(message: str) -> bytes:
    """What is wrong with a line, as a JSON line."""
    return f'{{"error": {quoted(message)}}}\n'.encode()


def json_number(word: str) -> str:
    """A number of an answer in JSON, which has none that are not finite."""
    return word if math.isfinite(float(word)) else "null"
