"""The answers of one client on their way out: in order, after the journal's commits, and counted while they wait."""

from __future__ import annotations

import array
import fcntl
import socket
import termios
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from vwlite.daemon.host import Host

HELD = 1 << 20  # bytes of answers that may wait, for the client or for the journal


class Replies:
    """Answers that wait for the journal, and those that wait in the transport until the client reads them.

    Args:
        server: Counts the bytes of all clients.
        transport: Where answers go.
        changed: Called when reading from the client may have to pause or go on (backpressure).

    Attributes:
        held: Answers, each with the entry of the journal that it waits for.
        taking: Whether the client reads what is written.
    """

    def __init__(self, server: Host, transport: asyncio.Transport, changed: Callable[[], None]) -> None:
        self.server = server
        self.transport = transport
        self.changed = changed
        self.held: deque[tuple[int, bytes]] = deque()
        self.held_bytes = 0
        self.times: deque[tuple[int, float, int]] = deque()  # entry, when lines came, and how many they are
        self.taking = True
        self.waits = 0  # bytes of answers, as counted by the server
        self.stuck_since, self.stuck_bytes = server.now(), 0
        transport.set_write_buffer_limits(HELD)

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Send an answer when the journal has this entry and all earlier answers were sent."""
        if not text:
            return
        if self.held or entry > self.server.committed:
            self.held.append((max(entry, self.held[-1][0] if self.held else 0), text))
            self.held_bytes += len(text)
            self.account()
            self.changed()
        else:
            self.write(text)

    def note_time(self, began: float, count: int) -> None:
        """So many lines came then; their answers were sent, or wait behind the last one that is held."""
        if self.held:
            self.times.append((self.held[-1][0], began, count))
        else:
            self.server.latency.add(self.server.now() - began, count)

    def commit(self, entry: int) -> None:
        """Send the answers that waited for entries up to this one."""
        ready = []
        while self.held and self.held[0][0] <= entry:
            _, text = self.held.popleft()
            ready.append(text)
            self.held_bytes -= len(text)
        if ready:
            self.write(b"".join(ready))
        while self.times and self.times[0][0] <= entry:
            _, began, count = self.times.popleft()
            self.server.latency.add(self.server.now() - began, count)

    def write(self, text: bytes) -> None:
        """Send bytes, however long the client takes to read them."""
        self.server.bytes_out.add(len(text))
        self.transport.write(text)
        self.account()
        if self.is_crowded():
            self.changed()

    def taken(self, everything: bool) -> None:
        """The client reads again what is written, or is slow to do so."""
        self.taking = everything
        if everything:
            self.transport.set_write_buffer_limits(HELD)
            self.account()
        self.changed()

    def unsent(self) -> int:
        """Bytes of answers that the transport still has."""
        try:
            return self.transport.get_write_buffer_size()
        except AttributeError:  # of TLS, once it has ended
            return 0

    def account(self) -> None:
        """Count what waits for the client among all that waits."""
        waits = self.held_bytes + self.unsent()
        self.server.release(self.waits - waits)
        self.waits = waits

    def forget(self) -> None:
        """The client has gone: nothing waits for it."""
        self.server.release(self.waits)
        self.waits = 0

    def is_stuck(self, now: float, patience: float) -> bool:
        """Whether the client has read nothing for so long though there is something."""
        waits = self.unsent()
        if waits == 0 or waits < self.stuck_bytes:
            self.stuck_since = now
        self.stuck_bytes = waits
        self.account()
        return waits > 0 and now - self.stuck_since > patience

    def is_crowded(self) -> bool:
        """Whether this client is one of those for whom too much waits."""
        return self.waits > 0 and self.server.is_crowded()

    def are_read(self) -> bool:
        """Whether the client reads its answers, so that there may be more."""
        return self.taking and self.held_bytes <= HELD and not self.is_crowded()


def in_kernel(transport: asyncio.Transport, question: int) -> int:
    """Bytes of a connection that the kernel has: FIONREAD those not read yet, TIOCOUTQ those not acknowledged yet."""
    one = transport.get_extra_info("socket")
    if one is None or one.fileno() < 0 or (question == termios.TIOCOUTQ and one.family == socket.AF_UNIX):
        return 0
    count = array.array("i", [0])
    fcntl.ioctl(one.fileno(), question, count)
    return count[0]
