"""The line protocol: splits input into examples in text or JSON, commands, and VW's requests to save."""

from __future__ import annotations

from collections.abc import Iterator

from vwlite.core.marks import has_marks

JSON, COMMAND, BINARY, SAVE, TEXT = b"{", b"!", b"\0", b"save", b""  # kinds of lines; the first three are prefixes
SPECIAL = (JSON, COMMAND, BINARY)
JSON_ENTRY = b"\n"  # begins a journal's entry of JSON; learned lines of text begin with no empty line
EMPTY = (b"\n", b"\r\n")


def examples(text: bytes, blocks: bool) -> Iterator[tuple[int, int]]:
    """Yields start and end of each line or, with `blocks`, of each multi-line example and its empty line, in bytes."""
    start = at = 0
    while at < len(text):
        end = text.index(b"\n", at) + 1
        if not blocks or text[at:end] in EMPTY or (at == start and text[at] in b"{!"):
            yield start, end
            start = end
        at = end


def parts(text: bytes, blocks: bool) -> Iterator[tuple[bytes, bytes]]:
    """Splits complete lines into pieces of one kind each; yields the kind of each piece, and the piece.

    Consecutive examples in text are one piece, of the kind TEXT. Every other line is a piece of its own. With `blocks`
    (multi-line examples), only a line that follows an empty one, or another special one, can be special.
    """
    if not has_marks(text):  # nearly always
        yield TEXT, text
        return
    saves = SAVE in text and any_head_has(SAVE, text)
    if not saves and not any(mark in text for mark in SPECIAL):
        yield TEXT, text
        return
    start = at = 0
    first = True  # line of a multi-line example
    while at < len(text):
        end = text.index(b"\n", at) + 1
        line = text[at:end]
        kind = TEXT
        if first or not blocks:
            kind = line[:1] if line[:1] in SPECIAL else SAVE if saves and asks_to_save(line) else TEXT
        if kind != TEXT:
            if at > start:
                yield TEXT, text[start:at]
            yield kind, line
            start = end
        first = kind != TEXT or line in EMPTY
        at = end
    if start < len(text):
        yield TEXT, text[start:]


def any_head_has(word: bytes, text: bytes) -> bool:
    """Whether a word occurs in some line before the line's first '|'."""
    at = -1
    while (at := text.find(word, at + 1)) >= 0:
        start = text.rfind(b"\n", 0, at) + 1
        if text.find(b"|", start, at) < 0:
            return True
        at = text.find(b"\n", at)
        if at < 0:
            break
    return False


def asks_to_save(line: bytes) -> bool:
    """Whether a line is VW's request to save the model: no features, and a tag that begins with "save".

    >>> asks_to_save(b"save_now"), asks_to_save(b"1 'save |a"), asks_to_save(b"save|a b")
    (True, True, False)
    """
    return save_tag(line) is not None


def save_tag(line: bytes) -> bytes | None:
    """The tag of a line that requests a save, with or without its line end; None for other lines.

    >>> save_tag(b"save_now|")
    b'save_now'
    """
    if SAVE not in line:
        return None
    head, _, features = line.removesuffix(b"\n").removesuffix(b"\r").partition(b"|")
    head = head.partition(b"\t")[2] if b"\t" in head else head
    word = head.rstrip(b" ").rpartition(b" ")[2]
    if word.startswith(b"'"):
        word = word[1:]
    elif head.endswith(b" "):
        return None
    if not word.startswith(SAVE) or any(word for part in features.split(b"|") for word in part.split(b" ")[1:]):
        return None
    return word
