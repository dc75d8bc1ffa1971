"""How what comes through a socket is told apart: lines, decisions, JSON, commands, and VW's way to ask for a save."""

from __future__ import annotations

from collections.abc import Iterator

JSON, COMMAND, BINARY, SAVE, TEXT = b"{", b"!", b"\0", b"save", b""  # kinds of lines; the first three begin with it
SPECIAL = (JSON, COMMAND, BINARY)
EMPTY = (b"\n", b"\r\n")


def examples(text: bytes, blocks: bool) -> Iterator[tuple[int, int]]:
    """Where each line, or each decision with the empty line behind it, begins and ends."""
    start = at = 0
    while at < len(text):
        end = text.index(b"\n", at) + 1
        if not blocks or text[at:end] in EMPTY or (at == start and text[at] in b"{!"):
            yield start, end
            start = end
        at = end


def parts(text: bytes, blocks: bool) -> Iterator[tuple[bytes, bytes]]:
    """Whole lines or decisions, cut where something is no example in text: the kind of each piece, and the piece.

    Examples next to each other are one piece, of the kind TEXT. In blocks of lines only what follows an empty line, or
    another special one, can be special.
    """
    saves = SAVE in text and any_head_has(SAVE, text)
    # single bytes are found far faster than two
    if not saves and not any(mark in text for mark in SPECIAL):
        yield TEXT, text
        return
    start = 0
    for begin, end in pieces(text, blocks):
        kind = text[begin : begin + 1]
        if kind not in SPECIAL:
            if not (saves and asks_to_save(text[begin : text.index(b"\n", begin)])):
                continue
            kind = SAVE
        if begin > start:
            yield TEXT, text[start:begin]
        yield kind, text[begin:end]
        start = end
    if start < len(text):
        yield TEXT, text[start:]


def pieces(text: bytes, blocks: bool) -> Iterator[tuple[int, int]]:
    """As `examples`, but binary input may be anywhere and the last decision may be without its end."""
    start = at = 0
    while at < len(text):
        end = text.index(b"\n", at) + 1
        if not blocks or text[at:end] in EMPTY or (at == start and text[at : at + 1] in SPECIAL) or end == len(text):
            yield start, end
            start = end
        at = end


def any_head_has(word: bytes, text: bytes) -> bool:
    """Whether a word is anywhere before the first '|' of its line."""
    at = -1
    while (at := text.find(word, at + 1)) >= 0:
        start = text.rfind(b"\n", 0, at) + 1
        if text.find(b"|", start, at) < 0:
            return True
    return False


def asks_to_save(line: bytes) -> bool:
    """Whether a line without its end has a tag that begins with "save": VW's way to have the model saved.

    >>> asks_to_save(b"1 'save_now |a b"), asks_to_save(b"save|"), asks_to_save(b"1 |a save")
    (True, True, False)
    """
    return save_tag(line) is not None


def save_tag(line: bytes) -> bytes | None:
    """The tag of a line, if it begins with "save"; of a decision, give its first line.

    >>> save_tag(b"1 'save_now |a b")
    b'save_now'
    """
    if SAVE not in line:
        return None
    head, bar, _ = line.partition(b"|")
    head = head.partition(b"\t")[2] if b"\t" in head else head
    head = head if bar else head.removesuffix(b"\r")
    word = head.rstrip(b" ").rpartition(b" ")[2]
    if word.startswith(b"'"):
        word = word[1:]
    elif head.endswith(b" "):
        return None
    return word if word.startswith(SAVE) else None
