"""The output queue of one client: sends answers in order, after the journal's commits, and counts buffered bytes."""

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

HELD = 1 << 20  # bytes of answers that may be buffered, for the client or for the journal


class Replies:
    """Holds answers until the journal has committed, and tracks those in the transport that the client hasn't read.

    Args:
        server: Counts the bytes of all clients.
        transport: The transport that answers are written to.
        changed: Called when reading from the client may have to pause or resume (backpressure).

    Attributes:
        held: Answers, each with the entry of the journal that it waits for.
        taking: Whether the client reads its answers: the transport's buffer is below its limit.
    """

    def __init__(self, server: Host, transport: asyncio.Transport, changed: Callable[[], None]) -> None:
        self.server = server
        self.transport = transport
        self.changed = changed
        self.held: deque[tuple[int, bytes]] = deque()
        self.held_bytes = 0
        self.times: deque[tuple[int, float, int]] = deque()  # entry, when lines arrived, how many
        self.taking = True
        self.waits = 0  # buffered bytes of answers, as counted by the server
        self.stuck_since, self.stuck_bytes = server.now(), 0
        transport.set_write_buffer_limits(HELD)

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Sends an answer once the journal has committed this entry and all earlier answers were sent."""
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
        """Records the latency of `count` lines that arrived at `began`, when the last of their answers is sent."""
        if self.held:
            self.times.append((self.held[-1][0], began, count))
        else:
            self.server.latency.add(self.server.now() - began, count)

    def commit(self, entry: int) -> None:
        """Sends the answers that waited for entries up to this one."""
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
        """Passes bytes to the transport, which buffers them until the client reads."""
        self.server.bytes_out.add(len(text))
        self.transport.write(text)
        self.account()
        if self.is_crowded():
            self.changed()

    def taken(self, everything: bool) -> None:
        """Records that the transport's buffer is empty enough again (`everything`), or over its limit."""
        self.taking = everything
        if everything:
            self.transport.set_write_buffer_limits(HELD)
            self.account()
        self.changed()

    def unsent(self) -> int:
        """Bytes of answers in the transport's buffer."""
        try:
            return self.transport.get_write_buffer_size()
        except AttributeError:  # of TLS, once it has ended
            return 0

    def account(self) -> None:
        """Updates this client's share of the server's count of buffered bytes."""
        waits = self.held_bytes + self.unsent()
        self.server.release(self.waits - waits)
        self.waits = waits

    def forget(self) -> None:
        """Subtracts this client's buffered bytes after its connection has ended."""
        self.server.release(self.waits)
        self.waits = 0

    def is_stuck(self, now: float, patience: float) -> bool:
        """Whether there are unread answers, of which the client has read none for `patience` seconds."""
        waits = self.unsent()
        if waits == 0 or waits < self.stuck_bytes:
            self.stuck_since = now
        self.stuck_bytes = waits
        self.account()
        return waits > 0 and now - self.stuck_since > patience

    def is_crowded(self) -> bool:
        """Whether buffers are over their limit and this client has answers in them."""
        return self.waits > 0 and self.server.is_crowded()

    def are_read(self) -> bool:
        """Whether the client reads its answers fast enough to be sent more."""
        return self.taking and self.held_bytes <= HELD and not self.is_crowded()


def in_kernel(transport: asyncio.Transport, question: int) -> int:
    """Bytes of a connection in the kernel: with FIONREAD not read yet, with TIOCOUTQ not acknowledged yet."""
    one = transport.get_extra_info("socket")
    if one is None or one.fileno() < 0 or (question == termios.TIOCOUTQ and one.family == socket.AF_UNIX):
        return 0
    count = array.array("i", [0])
    fcntl.ioctl(one.fileno(), question, count)
    return count[0]
