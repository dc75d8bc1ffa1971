"""The protocol of HTTP/1.1: uvicorn's, with limits to the size of a head and to the time that a request may take."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vwlite.http.calls import encode
from vwlite.http.problems import Problem

GRACE = 0.5  # seconds in which a request may come that a client has sent before the server ended
START = b"HTTP/1.1 "
INTERIM = START + b"1"  # an answer before the answer: 100 Continue
LONGEST = 200  # characters of the words beside a status
HEAD_END = b"\r\n\r\n"


class Joined:
    """A transport that sends the head of an answer together with what follows it at once, in one call of the system.

    It puts other words beside the status in the first line, for which ASGI has no place: River's client shows them and
    not the body.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.transport, self.loop = transport, loop
        self.words = self.head = b""

    def say(self, words: str) -> None:
        """Sets the words, of which what a line can't have is replaced."""
        self.words = "".join(c if " " <= c <= "~" else "?" for c in words[:LONGEST]).encode()

    def write(self, data: bytes) -> None:
        """Writes bytes; those of a head when more comes, at the latest in the next round of the loop."""
        if self.head:
            self.transport.write(self.head + data)
            self.head = b""
        elif not data.startswith(START) or data.startswith(INTERIM):
            self.transport.write(data)
        else:
            if self.words:
                data = data[: len(START) + 4] + self.words + data[data.find(b"\r\n") :]
                self.words = b""
            self.head = data
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Sends a head that nothing has followed."""
        if self.head:
            self.transport.write(self.head)
            self.head = b""

    def close(self) -> None:
        """Closes, when everything is sent."""
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's."""
        return getattr(self.transport, name)


def protocol_of(max_head: int, seconds: float) -> type[HttpToolsProtocol]:
    """The class of connections with these limits.

    Args:
        max_head: The most bytes of a request's head.
        seconds: In which a request has to arrive, and a part of an answer to be read.

    Returns:
        The class.
    """

    class Limited(HttpToolsProtocol):
        """A connection; closed if a request takes too long or its head is too large, or its client reads nothing."""

        timer: asyncio.TimerHandle | None = None
        head = 0  # bytes of the head so far; -1 in a body
        tail = b""  # the last bytes of the head so far
        unsent = 0  # bytes of answers that are not sent yet
        last = False  # the server ends: the next request is the last one

        def connection_made(self, transport: Any) -> None:
            """Begins to wait for a request."""
            joined: Any = Joined(transport, self.loop)
            super().connection_made(joined)
            self.say = joined.say
            self.arm()

        def shutdown(self) -> None:
            """Closes, when the server ends: after the request that is being answered, or one that is on its way."""
            if self.cycle is not None and not self.cycle.response_complete:
                super().shutdown()
                return
            self.last = True
            self.disarm()
            self.timer = self.loop.call_later(GRACE, self.transport.close)

        def on_message_begin(self) -> None:
            """Begins a request."""
            super().on_message_begin()
            self.scope["set_reason"] = self.say  # type: ignore[typeddict-unknown-key]

        def connection_lost(self, exc: Exception | None) -> None:
            """Ends."""
            self.disarm()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Passes on what was received, within the limits."""
            if self.timer is None:
                self.arm()
            if self.head >= 0:
                begun = self.tail + data[: len(HEAD_END) - 1]  # the end may come in two parts
                ended = begun.find(HEAD_END) >= 0
                end = 0 if ended else data.find(HEAD_END)
                self.tail = b"" if end >= 0 else (self.tail + data)[-len(HEAD_END) + 1 :]
                self.head += len(data) if end < 0 else end
                if self.head > max_head:
                    self.refuse(431, f"the head of the request has more than {max_head} bytes")
                    return
            super().data_received(data)

        def on_headers_complete(self) -> None:
            """Notes that the head is complete."""
            self.head = -1
            super().on_headers_complete()
            if self.last and self.cycle is not None:
                self.cycle.keep_alive = False

        def on_message_complete(self) -> None:
            """Notes that the request is complete."""
            super().on_message_complete()
            if not self.last:
                self.disarm()
            self.head = 0

        def on_response_complete(self) -> None:
            """Notes how much of the answer is not sent yet: a client may not read it."""
            super().on_response_complete()
            size, watched = self.transport.get_write_buffer_size(), self.unsent > 0
            self.unsent = size
            if size and not watched:
                self.loop.call_later(seconds, self.watch)

        def watch(self) -> None:
            """Closes the connection of a client that has read nothing of its answer for too long."""
            size = self.transport.get_write_buffer_size()
            stuck = size >= self.unsent
            self.unsent = size
            if size and stuck:
                self.transport.abort()
            elif size:
                self.loop.call_later(seconds, self.watch)

        def arm(self) -> None:
            """Starts the time in which a request has to arrive."""
            self.disarm()
            self.timer = self.loop.call_later(seconds, self.late)

        def disarm(self) -> None:
            """Stops the time."""
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

        def late(self) -> None:
            """Closes the connection of a request that has not arrived in time."""
            self.timer = None
            started = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
            if started or self.transport.is_closing():
                return
            if self.head == 0 and (self.cycle is None or self.cycle.response_complete):
                self.transport.close()  # nothing was sent
                return
            self.refuse(408, f"the request has not arrived within {seconds:g} seconds (--read_timeout)")

        def send_400_response(self, msg: str) -> None:
            """Refuses what is no HTTP."""
            self.refuse(400, msg)

        def refuse(self, status: int, why: str) -> None:
            """Answers with a problem, and closes."""
            if self.transport.is_closing():
                return
            problem = Problem(status, why)
            body = encode(problem.members())
            title = problem.members()["title"]
            head = (
                f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()

    return Limited
