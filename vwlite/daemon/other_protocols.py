"""Recognizes other protocols by the first bytes of a connection, before any line is processed.

A web page can make a browser send HTTP to every port of the user's machine, with a body of the page's choice
(``fetch(url, {method: "POST", mode: "no-cors", body: "1 | victim"})``, or a form). Read as lines, the body would teach
the model, and the commands in it would be executed. The page does not choose how the connection begins: with a request
line, or for https with a TLS ClientHello, for WebRTC over TCP with a STUN message (RFC 8489, framed as in RFC 4571).
A STUN message of less than 256 bytes begins with a zero byte, as a cache of VW does, and is refused like one.

No example in VW's text is misclassified. "GET / HTTP/1.1" before a bar would be the label "GET", which is not a number;
text before a TAB is ignored, so a line with a TAB is not a request line; and "GET|a x" has a tag. The result for a
stream of bytes does not depend on the pieces in which they arrive.
"""

from __future__ import annotations

import re

LOOK = 1 << 12  # bytes after which a first line is classified although its end has not arrived
VW = ""

METHODS = rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE)"
LINES = {  # whole first lines, without their ends
    "HTTP": re.compile(rb"[A-Z]+ \S+ [A-Z]+/\d(?:\.\d)?|" + METHODS + rb" /\S*"),  # RTSP and SIP look alike
    "SSH": re.compile(rb"SSH-\d\.\d+-[^|\t]*"),
    "PROXY": re.compile(rb"PROXY (?:TCP4|TCP6|UNKNOWN)\b[^|\t]*"),  # of a load balancer, in front of what it passes on
}
LONG_REQUEST = re.compile(METHODS + rb" [/h]\S*")  # the beginning of one whose target is long
# (name, first byte, bytes that decide, pattern of these)
BINARY = (
    ("TLS", 0x16, 6, re.compile(rb"\x16\x03[\x00-\x04].{2}\x01", re.DOTALL)),
    ("STUN", 0x01, 4, re.compile(rb"\x01.\x00[\x01\x03]", re.DOTALL)),
)
REDIS = re.compile(rb"\*\d{1,9}(?:\r(?:\n(?:\$(\d)?)?)?)?")  # *2, CR LF, $4: an array whose first item has 4 bytes
CAPITALS = range(ord("A"), ord("Z") + 1)


def recognize(head: bytes, ended: bool) -> str | None:
    r"""The protocol of a connection by its first bytes, which follow any empty lines.

    Args:
        head: The first bytes; those after LOOK are ignored.
        ended: Whether the client has closed its sending side.

    Returns:
        The name of the protocol; VW ("") for lines of VW's text; None if more bytes are needed.

    >>> recognize(b"POST / HTTP/1.1\r\nHost: 127.0.0.1:26542\r\n", False)
    'HTTP'
    >>> recognize(b"POST|a x\n", False)
    ''
    """
    if not head:
        return None
    first = head[0]
    if first in CAPITALS:
        return by_line(head, ended)
    for name, byte, size, pattern in BINARY:
        if first == byte:
            return name if pattern.match(head) else VW if ended or len(head) >= size else None
    if first == ord("*"):
        found = REDIS.match(head)
        if found and found[1]:
            return "Redis"
        return None if found and found.end() == len(head) and not ended else VW
    return VW


def by_line(head: bytes, ended: bool) -> str | None:
    """Recognizes a protocol by a first line that begins with a capital letter."""
    line, end, _ = head[:LOOK].partition(b"\n")
    if end or (ended and len(head) < LOOK):
        line = line.removesuffix(b"\r")
        return next((name for name, pattern in LINES.items() if pattern.fullmatch(line)), VW)
    if len(head) < LOOK:
        return None
    return "HTTP" if LONG_REQUEST.fullmatch(line) else VW


def answer(name: str) -> bytes:
    """The answer to a client of another protocol."""
    why = f"this port speaks VW's lines, not {name}; nothing was learned from this connection, which ends here\n"
    if name in ("HTTP", "TLS"):
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {len(why)}\r\n"
        return f"{head}Connection: close\r\n\r\n{why}".encode()
    return f"!error {why}".encode()
