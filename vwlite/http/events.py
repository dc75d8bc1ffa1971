"""Streams of events (server-sent events): what happens to models, as it happens.

A listener that doesn't read misses events, and is told so; it never delays the server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from vwlite.http.calls import Receive, Send, encode
from vwlite.http.model import Model

MOST = 1000  # events that wait for a listener, and that can be asked for again
MOST_BYTES = 1 << 20  # of them, for a listener, and of those that can be asked for again
MOST_TEXT = 1 << 16  # bytes of an event; a larger one goes without what is large
LARGE = ("features", "context")
HEARTBEAT = 15.0  # seconds without an event
FEW = 8  # listeners that get each event at once
PAUSE = 0.0005  # seconds after an event for each listener, if there are more: writing to them leaves time for requests
HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Listener:
    """A client that listens.

    Args:
        makes: Returns the text of an event for this listener, b"" if it is none for it; without it, the listener gets
            the text that is made once for all of them.
        name: Of the model whose events these are; None for all.
    """

    def __init__(
        self, makes: Callable[[str, Model, dict[str, Any]], bytes] | None = None, name: str | None = None
    ) -> None:
        self.makes, self.name = makes, name
        self.queue: deque[bytes] = deque()
        self.bytes = 0  # in it
        self.lost = 0
        self.wake = asyncio.Event()

    def put(self, text: bytes) -> None:
        """Adds an event; drops it if too many wait."""
        if len(self.queue) >= MOST or self.bytes + len(text) > MOST_BYTES:
            self.lost += 1
        else:
            self.queue.append(text)
            self.bytes += len(text)
        self.wake.set()

    def take(self) -> bytes:
        """Removes and returns what waits."""
        self.wake.clear()
        text = b"".join(self.queue)
        self.queue.clear()
        self.bytes = 0
        if self.lost:
            text += b'event: lost\ndata: {"events":%d}\n\n' % self.lost
            self.lost = 0
        return text


class Streams:
    """All listeners, and the last events.

    Attributes:
        number: Of the last event.
    """

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.number = 0
        self.last: deque[tuple[int, str, bytes]] = deque()  # numbers, names of models, texts
        self.bytes = 0  # of them
        self.ended = False

    def tell(self, what: str, model: Model, about: dict[str, Any]) -> None:
        """Tells listeners of an event."""
        self.number += 1
        if not self.listeners:
            return
        text = text_of(what, {"model": model.name, "id": model.id, **about}, self.number)
        if len(text) > MOST_TEXT:
            about = {name: value for name, value in about.items() if name not in LARGE}
            text = text_of(what, {"model": model.name, "id": model.id, **about}, self.number)
        self.last.append((self.number, model.name, text))
        self.bytes += len(text)
        while len(self.last) > MOST or self.bytes > MOST_BYTES:
            self.bytes -= len(self.last.popleft()[2])
        for each in self.listeners:
            if each.name is None or each.name == model.name:
                own = text if each.makes is None else each.makes(what, model, about)
                if own:
                    each.put(own)

    def end(self) -> None:
        """Ends all streams."""
        self.ended = True
        for each in self.listeners:
            each.wake.set()

    async def serve(self, listener: Listener, receive: Receive, send: Send, after: int | None = None) -> None:
        """Sends events to a listener until it goes away; those after a number first, as far as they are known."""
        if after is not None:
            for number, name, text in self.last:
                if number > after and listener.name in (None, name):
                    listener.put(text)
        self.listeners.add(listener)
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEAD})
            await send({"type": "http.response.body", "body": b"\n", "more_body": True})
            while not self.ended:
                waits = asyncio.ensure_future(listener.wake.wait())
                await asyncio.wait({waits, gone}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                waits.cancel()
                if gone.done():
                    return
                text = listener.take() or b"\n"  # a comment would be an item for River's client
                await send({"type": "http.response.body", "body": text, "more_body": True})
                if len(self.listeners) > FEW:
                    await asyncio.wait({gone}, timeout=PAUSE * len(self.listeners))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.listeners.discard(listener)
            gone.cancel()


async def disconnected(receive: Receive) -> None:
    """Waits until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def text_of(event: str, data: Any, number: int | None = None) -> bytes:
    """The text of an event."""
    lines = b"" if number is None else b"id: %d\n" % number
    if event:
        lines += b"event: %s\n" % event.encode()
    return lines + b"data: " + encode(data) + b"\n\n"
