"""Who may connect: at most so many, and strangers leave first.

A stranger is a client that has not sent the token yet, has not agreed on TLS yet, or speaks another protocol. Where
there are as many connections as allowed, the one that has been a stranger for longest is closed for a new one. So
strangers, however many, keep out a client with the token only if they come faster than it sends its first line.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from vwlite.daemon.connection import Connection

if TYPE_CHECKING:
    import ssl

    from vwlite.daemon.host import Host

TOKEN_TIME = 10.0  # seconds in which clients have to agree on TLS, and then to send the token
ACCEPT_AGAIN = 0.2  # seconds until the next try where the system has no descriptor for a client
FULL = b"!error too many connections, try again later\n"


class Admission:
    """Accepts connections for a server.

    Attributes:
        welcomed: Connections that were served, so far.
        turned_away: Connections that were refused or closed because there were too many.
        other_protocols: Connections that spoke another protocol, by its name.
        failed_handshakes: Connections that did not agree on TLS.
    """

    def __init__(self, server: Host, most: int) -> None:
        self.server = server
        self.most = most
        self.strangers: dict[Connection, None] = {}  # the oldest first, as in the next
        self.handshakes: dict[asyncio.Task[None], tuple[float, socket.socket]] = {}  # since when, of which client
        self.evicted: set[asyncio.Task[None]] = set()  # whose handshakes are about to fail
        self.welcomed = self.turned_away = self.failed_handshakes = 0
        self.other_protocols: dict[str, int] = {}

    async def accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Accept clients as they come; those that still have to agree on TLS count, too."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                one, _ = await loop.sock_accept(listener)
            except Exception as error:  # a client that went away again, or no descriptors
                if not isinstance(error, ConnectionAbortedError):
                    self.server.complain("no client can be accepted", why=str(error))
                    await asyncio.sleep(ACCEPT_AGAIN)
                continue
            if context is not None and len(self.server.connections) + len(self.handshakes) >= self.most:
                self.turned_away += 1
                if not self.evict_oldest():
                    one.close()
                    continue
            task = loop.create_task(self.greet(one, context))
            self.handshakes[task] = self.server.now(), one
            task.add_done_callback(self.greeted)
            await asyncio.sleep(0)  # others have their time slice between

    async def greet(self, one: socket.socket, context: ssl.SSLContext | None) -> None:
        """Make a connection of an accepted socket."""
        patience = None if context is None else TOKEN_TIME
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Connection(self.server), one, ssl=context, ssl_handshake_timeout=patience
            )
        except OSError:  # it went away, or speaks no TLS
            self.failed_handshakes += context is not None

    def greeted(self, task: asyncio.Task[None]) -> None:
        """A connection was made, or has failed."""
        self.handshakes.pop(task, None)
        self.evicted.discard(task)

    def stop(self) -> None:
        """Accept no more: those that have not agreed on TLS are let go."""
        for task in [*self.handshakes, *self.evicted]:
            task.cancel()

    def welcome(self, connection: Connection) -> None:
        """A connection is there."""
        self.server.connections.add(connection)
        if len(self.server.connections) > self.most:
            self.turned_away += 1
            if not self.evict_stranger():
                connection.input.resize(0)
                connection.over = True
                connection.answer(FULL)
                connection.transport.close()
                return
        if not connection.trusted:
            self.strangers[connection] = None
        self.welcomed += 1

    def trust(self, connection: Connection) -> None:
        """A client has sent the token."""
        self.strangers.pop(connection, None)

    def note_protocol(self, connection: Connection, name: str) -> None:
        """A client speaks another protocol than VW's lines; it stays until it has read why it is not served."""
        self.strangers[connection] = None
        self.other_protocols[name] = self.other_protocols.get(name, 0) + 1
        if self.server.is_news(name):
            self.server.log.warning("a connection of another protocol was refused", protocol=name)

    def part(self, connection: Connection) -> None:
        """A client has gone."""
        self.server.connections.discard(connection)
        self.strangers.pop(connection, None)

    def evict_stranger(self) -> bool:
        """Close the connection of the oldest stranger; whether there was one."""
        for stranger in self.strangers:
            del self.strangers[stranger]
            if not stranger.over:
                stranger.over = True
                stranger.answer(FULL)
            stranger.transport.abort()
            return True
        return False

    def evict_oldest(self) -> bool:
        """Close the oldest connection of a stranger, which may not have agreed on TLS yet; whether there was one."""
        oldest = next(iter(self.strangers), None)
        for task, (since, one) in self.handshakes.items():
            if oldest is not None and oldest.began < since:
                break
            del self.handshakes[task]
            self.evicted.add(task)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # its handshake fails
            return True
        return self.evict_stranger()
