"""Entries of the journal: what a model has learned, and what belongs to it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from vwlite.core.types import LabelType
from vwlite.http.records import Label


class Header(msgspec.Struct, omit_defaults=True):
    """What an entry says beside the examples.

    Args:
        model: The identity of the model.
        labels: What the model's kind knew of labels before.
        ids: Remembered predictions whose labels these are.
        answers: The remembered predictions, for the metrics.
        key: The key of the request.
        digest: Of the body of the request.
        done: How many examples of the request were learned, with these.
        status: Of the answer, once the request is complete.
        answer: The answer, if it is short.
        scored: Whether the metrics have the examples; those of the socket are in the loss only.
    """

    model: str
    labels: dict[str, Any] | None = None
    ids: list[str] = []
    answers: list[bytes] = []
    key: str = ""
    digest: bytes = b""
    done: int = 0
    status: int = 0
    answer: bytes | None = None
    scored: bool = True


encoder = msgspec.json.Encoder()
decoder = msgspec.json.Decoder(Header)


class Entry(NamedTuple):
    """An entry: a header in JSON on a line, and examples in VW's text.

    Args:
        number: Its number in the journal.
        header: What it says beside the examples.
        text: The examples.
    """

    number: int
    header: Header
    text: bytes

    @staticmethod
    def write(header: Header, text: bytes) -> bytes:
        """The bytes of an entry."""
        return encoder.encode(header) + b"\n" + text

    @classmethod
    def read(cls, number: int, data: bytes) -> Entry:
        """Reads an entry. Raises msgspec.ValidationError if it is none."""
        header, _, text = data.partition(b"\n")
        return cls(number, decoder.decode(header), text)


def split(text: bytes, multiline: bool) -> list[bytes]:
    """Splits text into complete examples: lines, or blocks that end with an empty line."""
    if not multiline:
        *lines, rest = text.split(b"\n")  # a carriage return ends no line
        return [line + b"\n" for line in lines] + ([rest] if rest else [])
    found, begin = [], 0
    while begin < len(text):
        end = text.find(b"\n\n", begin)
        end = len(text) if end < 0 else end + 2
        found.append(text[begin:end])
        begin = end
    return found


def labels_of(lines: list[bytes], kind: LabelType) -> list[Label]:
    """The labels of lines, for the metrics; None for what has none, or one that isn't simple."""
    if kind is LabelType.SIMPLE:
        return [simple(line) for line in lines]
    if kind is LabelType.MULTICLASS:
        return [word(line) for line in lines]
    return [None] * len(lines)


def simple(line: bytes) -> float | None:
    """The number that a line begins with; None without one."""
    try:
        return float(line.split(None, 1)[0])
    except (ValueError, IndexError):
        return None


def word(line: bytes) -> str | None:
    """The word that a line begins with, as text; None if it is a tag, or features."""
    head = line.split(b"|", 1)[0].split()
    if not head or head[0].startswith(b"'") or not line[: line.find(b"|")].endswith(b" "):
        return None
    return head[0].decode("utf-8", "replace")
