"""Calls and answers of HTTP, on top of ASGI: bodies with their limits, JSON with the place of what is wrong."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

import msgspec

from vwlite.http.problems import Problem, pointer
from vwlite.input.strict_json import StrictJson

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Type = TypeVar("Type")

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
TEXT = b"text/plain; charset=utf-8"
PROBLEM = b"application/problem+json"
ARROW = b"application/vnd.apache.arrow.stream"
OCTETS = b"application/octet-stream"

STEP = re.compile(r"\.([^.\[`]+)|\[(\d+|\.\.\.)\]")

check = StrictJson().check
encode = msgspec.json.Encoder().encode


class Gone(Exception):
    """The client has closed the connection before its request was complete."""


class Call:
    """A request.

    Args:
        scope: ASGI's description of it.
        receive: Receives its body.
        most: The most bytes of its body, unpacked.
    """

    __slots__ = ("_body", "headers", "most", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self.scope, self.receive, self.most = scope, receive, most
        self.headers: dict[bytes, bytes] = scope["headers_by_name"]
        self._body: bytes | None = None

    @property
    def parts(self) -> Mapping[str, str]:
        """The parts of the path that have names."""
        found: Mapping[str, str] = self.scope["path_params"]
        return found

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query; of one that comes several times, the last."""
        text = self.scope["query_string"]
        if not text:
            return {}
        return {name: values[-1] for name, values in parse_qs(text.decode("latin-1"), keep_blank_values=True).items()}

    @property
    def media(self) -> bytes:
        """The media type of the body, without its parameters; b"" if there is none."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    async def body(self) -> bytes:
        """Receives the body, unpacked. Raises Problem for one that is too large, or packed in another way than gzip."""
        if self._body is not None:
            return self._body
        coding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        if coding not in (b"identity", b"gzip", b"x-gzip", b""):
            raise Problem(415, f"the coding {coding.decode('latin-1')!r} is not understood: send gzip, or none")
        unpacker = zlib.decompressobj(31) if coding.endswith(b"gzip") else None
        pieces: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            piece, more = message.get("body", b""), message.get("more_body", False)
            if unpacker is not None:
                piece = self.unpack(unpacker, piece, self.most - size)
            size += len(piece)
            if size > self.most:
                raise self.too_large()
            pieces.append(piece)
        if unpacker is not None and size and not unpacker.eof:
            raise Problem(400, "the gzip data is cut short")
        self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._body

    def unpack(self, unpacker: Any, piece: bytes, most: int) -> bytes:
        """Unpacks a piece of gzip data, up to the limit."""
        try:
            found: bytes = unpacker.decompress(piece, most + 1)
        except zlib.error as error:
            raise Problem(400, f"the gzip data is damaged: {error}") from None
        if unpacker.unconsumed_tail or len(found) > most:
            raise self.too_large()
        if unpacker.unused_data:
            raise Problem(400, "something follows the gzip data")
        return found

    def too_large(self) -> Problem:
        """The problem of a body that is too large."""
        return Problem(413, f"the body has more than {self.most:,} bytes (--max_body): send it in parts")

    async def json(self, decoder: msgspec.json.Decoder[Type]) -> Type:
        """Receives and decodes a body in JSON. Raises Problem."""
        return decoded(await self.body(), decoder)

    async def form(self) -> dict[str, str]:
        """Receives a body that is a form, or JSON; the values of the query count as well."""
        body = await self.body()
        found = self.query
        if body[:1] in (b"{", b" ", b"\n"):
            found |= {name: value for name, value in decoded(body, OBJECT).items() if isinstance(value, str)}
        elif body:
            text = body.decode("utf-8", "replace")
            found |= {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
        return found


OBJECT: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


class Answer:
    """The answer to a request.

    Args:
        body: Its body.
        status: The HTTP status.
        media: The media type.
        headers: Further headers.

    Attributes:
        reason: What stands beside the status in the first line; "" for the usual words.
    """

    __slots__ = ("body", "headers", "media", "reason", "status")

    def __init__(
        self, body: bytes, status: int = 200, media: bytes = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body, self.status, self.media = body, status, media
        self.headers = headers
        self.reason = ""

    async def send(self, send: Send) -> None:
        """Sends the answer."""
        headers = [(b"content-type", self.media), (b"content-length", str(len(self.body)).encode())]
        if self.headers:
            headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        start: dict[str, Any] = {"type": "http.response.start", "status": self.status, "headers": headers}
        if self.reason:
            start["reason"] = self.reason
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    return Answer(encode(value), status, JSON, headers)


def problem_answer(problem: Problem) -> Answer:
    """The answer that describes a problem; its first line does, too, which is all that River's client shows."""
    answer = Answer(encode(problem.members()), problem.status, PROBLEM, problem.headers)
    answer.reason = problem.detail
    return answer


def decoded(body: bytes, decoder: msgspec.json.Decoder[Type]) -> Type:
    """Decodes JSON. Raises Problem with the place of what is wrong."""
    found = check(body)
    if found is not None:
        reason, offset = found
        raise Problem(400, f"{reason}, at byte {offset}", offset=offset)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, f"not JSON: {error}") from None


def invalid(error: msgspec.ValidationError) -> Problem:
    """The problem of JSON of another structure than is expected."""
    text, _, place = str(error).partition(" - at `")
    place = place.removesuffix("`")
    path = [name or number for name, number in STEP.findall(place.removeprefix("$"))]
    words = text.replace("`", "'").replace("Object", "the object").replace("Expected", "expected")
    where = f"{pointer(*path)}: " if path else ""
    return Problem(400, f"{where}{words}", pointer(*path))


def named(text: str) -> str:
    """A part of a path, as it was before it was encoded."""
    return unquote(text)
