"""Detects other formats than Vowpal Wabbit's text from the first bytes of a file, for error messages."""

from __future__ import annotations

import re

from vwlite.errors import VwliteError

HEAD = 4096  # bytes that are inspected

# Formats whose first bytes no line of examples has. Compressed formats that are decompressed by their suffix:
PACKED = ((rb"\x1f\x8b", "gzip", ".gz"), (rb"BZh[1-9]1AY", "bzip2", ".bz2"), (rb"\xfd7zXZ\x00", "xz", ".xz"),
          (rb"\x28\xb5\x2f\xfd", "zstd", ".zst"))  # fmt: skip
# Other formats: name, and what to do.
MAGIC = (
    (rb"PK\x03\x04", "a zip archive", "unpack it first (`unzip -p FILE | vwlite ...`)"),
    (rb"vwlite cache ", "a cache of vwlite", "give it as --cache_file, or the text it was made from"),
    (rb"\x04\x22\x4d\x18|\x1f\x9d|7z\xbc\xaf", "a compressed file", "unpack it first"),
    (rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff", "UTF-32 text", "convert it first (`iconv -f UTF-32 -t UTF-8`)"),
    (
        rb"\xff\xfe|\xfe\xff|(?:[\t -~]\x00){4}|(?:\x00[\t -~]){4}",
        "UTF-16 text",
        "convert it first (`iconv -f UTF-16 -t UTF-8`)",
    ),
    (rb'.{8}\{"__metadata__"', "a model of vwlite", "give it as -i"),
    (rb"[\x04-\x20]\x00\x00\x00\d+\.\d+\.\d+", "a model or cache of Vowpal Wabbit", "give the text it was made from"),
    (rb"SQLite format 3\x00", "an SQLite database", "give a query of it (`-d 'sqlite:FILE?SELECT ...'`)"),
    (rb"PAR1|ARROW1", "a table in a binary format", "name the file *.parquet or *.arrow, or give --format"),
    (
        rb"Obj\x01|\x93NUMPY|\x80[\x02-\x05][\x00-\xff]",
        "a table in a binary format",
        "write its rows as CSV or as lines of text first",
    ),
    (rb"%PDF-|\x7fELF|\x89PNG|GIF8|\xff\xd8\xff", "a binary file", "give lines of text"),
)


def foreign(head: bytes) -> tuple[str, str] | None:
    """Names the format of bytes that can't be lines of examples, and what to do; None if they can be.

    >>> foreign(b"PK\\x03\\x04...")
    ('a zip archive', 'unpack it first (`unzip -p FILE | vwlite ...`)')
    """
    for pattern, tool, suffix in PACKED:
        if re.match(pattern, head):
            advice = f"unpack them first (`{tool} -dc | vwlite ...`), or name the file *{suffix}"
            return f"bytes compressed by {tool}", advice
    for pattern, what, advice in MAGIC:
        if re.match(pattern, head, re.DOTALL):
            return what, advice
    return None


def require_text(name: str, head: bytes) -> None:
    """Raises VwliteError, which says what to do, for a file that begins like another format."""
    found = foreign(head)
    if found is not None:
        raise VwliteError(f"{name}: not lines of text but {found[0]}: {found[1]}")


def recognized(head: bytes) -> str | None:
    """The format of the first bytes of a file, if they can't be examples in VW's text; None if they can.

    >>> recognized(b"age,city\\n3,oslo\\n"), recognized(b"1 | a,b")
    ('csv', None)
    """
    if head.startswith((b"PAR1", b"ARROW1")):
        return "parquet" if head.startswith(b"PAR1") else "arrow"
    if foreign(head) is not None or b"\0" in head:
        return None
    text = head.lstrip(b"\xef\xbb\xbf\r\n")
    if re.match(rb'[ \t\r\n]*(\[[ \t\r\n]*)?\{[ \t\r\n]*["}]', text):
        return "dsjson" if is_dsjson(text) else "ntv" if is_ntv(text) else "json"
    lines = text.split(b"\n")[:20]
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # it may be cut
    lines = [line.rstrip(b"\r") for line in lines if line.strip()]
    if len(lines) < 2 or b"|" in lines[0]:
        return None
    for separator, name in ((b",", "csv"), (b"\t", "tsv"), (b";", "csv")):
        counts = [b"".join(line.split(b'"')[::2]).count(separator) for line in lines]
        if counts[0] > 0 and (min(counts) == max(counts) or b'"' in text):
            return name
    return None


def is_dsjson(text: bytes) -> bool:
    """Whether JSON begins like the log of a decision service: an object with its keys.

    >>> is_dsjson(b'{"EventId":"e","a":[1],"c":{"x":{"y":1},"_multi":[{}]},"p":[1]}')
    True
    """
    return all(re.search(rb'[{,]\s*"%b"\s*:\s*%b' % key, text) for key in ((b"c", rb"\{"), (b"a", rb"\["))) and any(
        re.search(rb'[{,]\s*"%b"\s*:' % key, text) for key in (b"EventId", b"_label_cost", b"_labelIndex")
    )


def is_ntv(text: bytes) -> bool:
    """Whether JSON begins with a record that has a bag of features of name, term and value.

    >>> is_ntv(b'{"label": 1, "features": [{"name": "a", "term": "b", "value": 1}]}')
    True
    """
    feature = re.search(rb'"features"\s*:\s*\[\s*(\{[^{}\[\]]*\})', text)
    return feature is not None and all(
        re.search(rb'[{,]\s*"%b"\s*:' % key, feature[1]) for key in (b"name", b"term", b"value")
    )


def looks_like(head: bytes) -> str:
    """Guesses the format of bytes without examples, for a message; "" if it is unknown.

    >>> looks_like(b"age,city\\n3,oslo\\n")
    'CSV: give --format csv'
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lines = [line.rstrip(b"\r") for line in text.split(b"\n")[:20] if line.strip()]
    if not text:
        return "an empty file"
    if re.match(rb"<!doctype html|<html", text, re.IGNORECASE):
        return "HTML, perhaps the error page of a download"
    if text.startswith(b"<"):
        return "XML"
    if text.startswith((b"{", b"[")):
        return "JSON: give --format json, or --json for Vowpal Wabbit's"
    if any(byte < 9 for byte in head):
        return "a binary file"
    if b"|" in text:
        return "lines without features behind their '|'"
    if all(re.match(rb"[-+.\d]+( +\d+:[-+.\deE]+)+ *(#|$)", line) for line in lines):
        return "the format of libsvm: give --format libsvm"
    for separator, name in ((b",", "CSV: give --format csv"), (b"\t", "a table: give --format tsv"),
                            (b";", "CSV: give --format csv")):  # fmt: skip
        counts = {line.count(separator) for line in lines[:-1] or lines}
        if min(counts) > 0:
            return name
    if all(re.fullmatch(rb"[-+.\deE ]+", line) for line in lines):
        return "labels without features"
    return "text without a '|': features follow a '|'"
