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
    start = at = 0
    first = True  # line of a decision
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
    """Whether a word is anywhere before the first '|' of its line."""
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
    """Whether a line is VW's way to have the model saved: no features, and a tag that begins with "save".

    >>> asks_to_save(b"save_now"), asks_to_save(b"1 'save |a"), asks_to_save(b"save|a b")
    (True, True, False)
    """
    return save_tag(line) is not None


def save_tag(line: bytes) -> bytes | None:
    """The tag of a line, with its end or without, that asks to save the model.

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
