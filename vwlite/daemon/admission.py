"""Admission control: accepts connections up to --max_connections, and evicts unauthenticated ones first.

A stranger is a client that has not sent the token yet, has not completed the TLS handshake, or speaks another protocol.
At the limit, the oldest stranger is closed for a new connection. So strangers, however many, can keep out a client with
the token only if they connect faster than it sends its first line.
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

TOKEN_TIME = 10.0  # seconds that clients have for the TLS handshake, and then for sending the token
ACCEPT_AGAIN = 0.2  # seconds until the next attempt if the system has no descriptor for a client
FULL = b"!error too many connections, try again later\n"


class Admission:
    """Accepts connections for a server.

    Args:
        server: The server.
        most: The limit of connections.

    Attributes:
        welcomed: Connections that were served, so far.
        turned_away: Connections that were refused or closed because there were too many.
        other_protocols: Connections that spoke another protocol, by its name.
        failed_handshakes: Connections whose TLS handshake failed.
    """

    def __init__(self, server: Host, most: int) -> None:
        self.server = server
        self.most = most
        self.strangers: dict[Connection, None] = {}  # oldest first, as in `handshakes`
        self.handshakes: dict[asyncio.Task[None], tuple[float, socket.socket]] = {}  # start time and socket
        self.evicted: set[asyncio.Task[None]] = set()  # handshakes that were aborted and are about to fail
        self.welcomed = self.turned_away = self.failed_handshakes = 0
        self.other_protocols: dict[str, int] = {}

    async def accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Accepts connections of a listening socket; those in a TLS handshake count towards the limit."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                one, _ = await loop.sock_accept(listener)
            except Exception as error:  # the client has closed the connection, or no descriptors are left
                if not isinstance(error, ConnectionAbortedError):
                    self.server.complain("connections can't be accepted", why=str(error))
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
            await asyncio.sleep(0)  # other clients get a time slice in between

    async def greet(self, one: socket.socket, context: ssl.SSLContext | None) -> None:
        """Creates the connection of an accepted socket, with TLS if there is a context."""
        patience = None if context is None else TOKEN_TIME
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Connection(self.server), one, ssl=context, ssl_handshake_timeout=patience
            )
        except OSError:  # the client closed the connection, or speaks no TLS
            self.failed_handshakes += context is not None

    def greeted(self, task: asyncio.Task[None]) -> None:
        """Handles the end of `greet`, with or without a connection."""
        self.handshakes.pop(task, None)
        self.evicted.discard(task)

    def stop(self) -> None:
        """Aborts pending TLS handshakes at shutdown."""
        for task in [*self.handshakes, *self.evicted]:
            task.cancel()

    def welcome(self, connection: Connection) -> None:
        """Registers a new connection, or refuses it if there are too many and no stranger can be evicted."""
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
        """Records that a client has sent the token."""
        self.strangers.pop(connection, None)

    def note_protocol(self, connection: Connection, name: str) -> None:
        """Counts a client of another protocol; its connection stays open until it has read the error."""
        self.strangers[connection] = None
        self.other_protocols[name] = self.other_protocols.get(name, 0) + 1
        if self.server.is_news(name):
            self.server.log.warning("a connection that speaks another protocol was refused", protocol=name)

    def part(self, connection: Connection) -> None:
        """Removes a connection that has ended."""
        self.server.connections.discard(connection)
        self.strangers.pop(connection, None)

    def evict_stranger(self) -> bool:
        """Closes the oldest stranger's connection; returns whether there was one."""
        for stranger in self.strangers:
            del self.strangers[stranger]
            if not stranger.over:
                stranger.over = True
                stranger.answer(FULL)
            stranger.transport.abort()
            return True
        return False

    def evict_oldest(self) -> bool:
        """Closes the oldest stranger's connection, which may be in a TLS handshake; returns whether there was one."""
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
