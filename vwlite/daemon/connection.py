"""A client: bytes in, whole lines to the model, answers out in order. What happens to the lines is in server.py.

Reading goes into memory of the connection's own, as many bytes at a time as the model takes some milliseconds for, so
that no client keeps the others waiting. Whoever doesn't take answers is read from no more.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import hmac
import math
import socket
import termios
from collections import deque
from typing import TYPE_CHECKING, cast

from vwlite.daemon.protocol import examples
from vwlite.daemon.room import END, SMALL, Room

if TYPE_CHECKING:
    from vwlite.daemon.server import Server

LARGE = 1 << 18
TURN = 0.002  # seconds that a client may keep the others waiting, about
HELD = 1 << 20  # bytes of answers that may wait, for the client or for the journal
LONGEST_TOKEN = 4096


class Connection(asyncio.BufferedProtocol):
    """One client of a server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.room = Room(server.blocks)
        self.eager = False  # there was more than there was room for
        self.lines = 0  # received, for messages
        self.trusted = server.token is None
        self.skipping = False  # the rest of what is too long: a line,
        self.skips_lines = False  # or lines up to an empty one
        self.waiting = False  # for a save, and other lines of this client with it
        self.resting = False  # while others have their turn
        self.behind = False  # there are whole lines that wait for a turn
        self.used = 0.0  # seconds of this turn
        self.leaving = False  # what was read is answered, and then the server leaves
        self.over = False  # what comes is not wanted any more
        self.ended = False  # the client has said all
        self.left_at = 0.0  # when the server has
        self.held: deque[tuple[int, bytes]] = deque()  # answers, and the entry of the journal that each waits for
        self.held_bytes = 0
        self.times: deque[tuple[int, float, int]] = deque()  # entry, when lines came, and how many they are
        self.taking = True  # the client takes what is written
        self.reading = True
        self.began = self.heard = server.now()
        self.waits = 0  # bytes of answers, as counted by the server
        self.stuck_since, self.stuck_bytes = self.began, 0

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HELD)
        self.server.welcome(self)

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone; what it sent whole has been learnt, and an unfinished line means nothing."""
        self.over = True
        self.server.part(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        room = self.room
        if not self.over and (room.filled == len(room) or (self.eager and len(room) < LARGE)):
            self.grow()
        if self.over:
            return memoryview(self.server.scrap)
        return memoryview(room.bytes)[room.filled : room.filled + self.server.allowance()]

    def buffer_updated(self, count: int) -> None:
        """Bytes have come."""
        if self.over:
            return
        self.heard = self.server.now()
        self.room.filled += count
        self.eager = self.room.filled == len(self.room)
        self.server.bytes_in.add(count)
        self.take()

    def eof_received(self) -> bool | None:
        """The client has said all; a last line needs no end."""
        self.ended = True
        if self.left_at:
            return None
        if self.transport.can_write_eof():
            if not (self.waiting or self.resting or self.behind):
                self.finish_input()
            return True
        if not self.waiting:  # TLS has no way to end one side alone, so it is now or never
            self.resting = False
            self.take(whatever=True)
            self.finish_input()
        return None

    def finish_input(self) -> None:
        """The last line, or decision, needs no end."""
        if not self.over and self.trusted and self.room.filled and not self.skipping:
            last = self.room.head(self.room.filled) + self.end_of_example
            self.room.filled = 0
            self.server.process(self, last, math.inf)
        self.finish()

    def pause_writing(self) -> None:
        """The client is slow to take its answers."""
        self.taking = False
        self.regulate()

    def resume_writing(self) -> None:
        """It has taken them."""
        self.taking = True
        self.heard = self.server.now()
        self.transport.set_write_buffer_limits(HELD)
        self.account()
        self.regulate()

    # lines

    def grow(self) -> None:
        """More room, of a limited size, and not while a view of the old one is about."""
        size = min(2 * len(self.room), self.server.max_line + LARGE)
        if self.server.reserve(size - len(self.room)):
            self.room.resize(size)
        elif self.room.filled == len(self.room):
            self.fail("too much is waiting at this server, try again later")

    def shrink(self, size: int) -> None:
        """Give room back while it is empty."""
        if self.room.filled == 0 and len(self.room) > size:
            self.server.release(len(self.room) - size)
            self.room.resize(size)

    @property
    def end_of_example(self) -> bytes:
        """What ends a last example that nothing ended."""
        return b"\n\n" if self.server.blocks else END

    def take(self, whatever: bool = False) -> None:
        """Give whole lines to the server, as far as it is this client's turn, and keep what is left.

        `whatever`: it is, however long it takes and whether or not answers are taken.
        """
        if self.waiting or self.resting or self.over:
            return
        if (not self.trusted and not self.hear_token()) or (self.skipping and not self.skip()):
            return
        end = self.room.whole()
        self.behind = end > 0
        if end and not whatever and not self.is_heeded():
            return
        began = self.server.now()
        until = math.inf if whatever else began + TURN - self.used
        taken = 0
        if end > self.server.max_line:
            taken = self.take_some(end, until)
        elif end:
            with memoryview(self.room.bytes) as view, view[:end] as lines:
                taken = self.server.process(self, lines, until)
        if self.over:
            return
        if taken:
            self.room.drop(taken)
        self.behind = taken < end
        self.count_turn(self.server.now() - began)
        if self.behind or self.waiting:
            return
        self.room.searched = self.room.filled
        if self.room.filled > self.server.max_line:
            self.too_long()
        self.shrink(LARGE)

    def count_turn(self, took: float) -> None:
        """Rest when the turn is over. One loop reads a client once in a round, the other up to 32 times."""
        if self.used == 0 and took > TURN / 32 and not self.behind:
            self.server.soon(self.begin_turn)
        self.used += took
        if self.behind or self.used > TURN:
            self.rest()

    def begin_turn(self) -> None:
        """Another round of the loop."""
        self.used = 0.0

    def take_some(self, end: int, until: float) -> int:
        """Of lines that are more than one may be, those that each are not; how many bytes were worked on."""
        text = self.room.head(end)
        taken = 0
        for start, stop in [*examples(text, self.server.blocks), (end, end)]:
            long = stop - start > self.server.max_line + 1  # its end doesn't count
            if start > taken and (long or start == end):
                taken += self.server.process(self, text[taken:start], until)
                if self.over or self.waiting or taken < start:
                    break
            if long:
                self.refuse_long()
                self.lines += text.count(END, start, stop)
                taken = stop
        return taken

    def rest(self) -> None:
        """It is the turn of others; what is left, and what comes, is for the next one."""
        if not self.waiting and not self.resting:
            self.resting = True
            self.regulate()
            self.server.soon(self.go_on)

    def go_on(self) -> None:
        """The client's next turn."""
        if not self.resting:  # TLS has ended meanwhile
            return
        self.resting = False
        self.used = 0.0
        if self.transport.is_closing() or self.over:
            return
        self.take()
        if self.waiting or self.resting or self.behind or self.over:
            return
        if self.ended:
            self.finish_input()
        elif self.leaving:
            self.finish()
        self.regulate()

    def answer_the_rest(self) -> None:
        """Take turns until all whole lines that were read are answered, and leave."""
        self.leaving = True
        if self.waiting or self.resting or self.behind:
            self.regulate()
        else:
            self.finish()

    def refuse_long(self) -> None:
        """The answer to what is too long."""
        what = "a decision" if self.server.blocks else "a line"
        self.answer(f"!error line {self.lines + 1}: {what} of more than {self.server.max_line} bytes\n".encode())

    def too_long(self) -> None:
        """What is in the room has no end, and is too long already."""
        self.refuse_long()
        self.skipping = True
        self.skips_lines = self.server.blocks and self.room.head(1) not in (b"{", b"!")
        self.skip()

    def skip(self) -> bool:
        """Forget the rest of what was too long; whether there is anything behind it."""
        count, ended = self.room.forget(self.skips_lines)
        self.lines += count
        if not ended:
            self.shrink(SMALL)
            return False
        self.skipping = False
        return self.room.filled > 0

    def hear_token(self) -> bool:
        """The first line; whether it was the token, and there is more."""
        first, end, _ = self.room.head(self.room.filled).partition(END)
        if end:
            self.trusted = hmac.compare_digest(first.rstrip(b"\r"), self.server.token or b"")
            if self.trusted:
                self.room.drop(len(first) + 1)
                return self.room.filled > 0
        if end or self.room.filled > LONGEST_TOKEN:
            self.fail("the first line has to be the token")
        return False

    def give_back(self) -> None:
        """Let go of the room, once."""
        self.server.release(max(len(self.room) - SMALL, 0) + self.waits)
        self.room.filled = 0
        self.room.resize(0)
        self.waits = 0

    # answers

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Send an answer, when the journal has this entry and all answers before have gone."""
        if not text:
            return
        if self.held or entry > self.server.committed:
            self.held.append((max(entry, self.held[-1][0] if self.held else 0), text))
            self.held_bytes += len(text)
            self.server.holding.add(self)
            self.account()
            self.regulate()
        else:
            self.write(text)

    def note_time(self, began: float, count: int) -> None:
        """So many lines came then, and their answers have gone, or wait behind the last one that is held."""
        if self.held:
            self.times.append((self.held[-1][0], began, count))
        else:
            self.server.latency.add(self.server.now() - began, count)

    def let_go(self, committed: int) -> None:
        """The journal has entries up to here."""
        ready = []
        while self.held and self.held[0][0] <= committed:
            _, text = self.held.popleft()
            ready.append(text)
            self.held_bytes -= len(text)
        if ready:
            self.write(b"".join(ready))
        while self.times and self.times[0][0] <= committed:
            _, began, count = self.times.popleft()
            self.server.latency.add(self.server.now() - began, count)
        if not self.held:
            self.server.holding.discard(self)
            if self.over and not self.waiting:
                self.leave()
        self.regulate()

    def write(self, text: bytes) -> None:
        """Send bytes, however long the client takes."""
        self.server.bytes_out.add(len(text))
        self.transport.write(text)
        self.account()
        if self.is_crowded():
            self.regulate()

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

    def is_stuck(self, now: float, patience: float) -> bool:
        """Whether the client has taken nothing for so long though there is something."""
        waits = self.unsent()
        if waits == 0 or waits < self.stuck_bytes:
            self.stuck_since = now
        self.stuck_bytes = waits
        self.account()
        return waits > 0 and now - self.stuck_since > patience

    def is_silent(self, now: float, patience: float) -> bool:
        """Whether nothing has come for so long though nothing keeps the client waiting."""
        return not (self.held or self.waiting or self.resting or self.over) and now - self.heard > patience

    def wait(self) -> None:
        """Take no more lines until `proceed`."""
        self.waiting = True
        self.regulate()

    def proceed(self, answer: bytes) -> None:
        """What the client waited for is done."""
        self.waiting = False
        self.heard = self.server.now()
        if self.transport.is_closing():
            return
        self.answer(answer)
        if self.over:
            self.finish()
        else:
            self.rest()

    def finish(self) -> None:
        """Take no more lines, and leave when all answers have gone."""
        self.over = True
        self.regulate()
        if not self.held and not self.waiting:
            self.leave()

    def is_done(self) -> bool:
        """Whether the client's machine has all answers."""
        if not self.over or self.held or self.waiting or self.transport.is_closing():
            return False
        if self.unsent():
            return False
        one = self.transport.get_extra_info("socket")
        if one is None or one.family == socket.AF_UNIX:
            return True
        waiting = array.array("i", [0])
        fcntl.ioctl(one.fileno(), termios.TIOCOUTQ, waiting)
        return waiting[0] == 0

    def leave(self) -> None:
        """Say that nothing more comes. What the client still sends is read and forgotten until it ends, too.

        A socket that is closed while there is something to read takes back answers that are on their way.
        """
        if self.ended or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.left_at:
            self.left_at = self.server.now()
            self.transport.write_eof()

    def fail(self, why: str) -> None:
        """Say why, and finish."""
        self.answer(f"!error {why}\n".encode())
        self.finish()

    def is_crowded(self) -> bool:
        """Whether this client is one of those for whom too much waits."""
        return self.waits > 0 and self.server.is_crowded()

    def is_heeded(self) -> bool:
        """Whether the client takes its answers, and waits for nothing."""
        return self.taking and not self.waiting and self.held_bytes <= HELD and not self.is_crowded()

    def regulate(self) -> None:
        """Read only from who takes answers."""
        crowded = self.is_crowded()
        heeded = self.is_heeded()
        if heeded and self.behind and not self.over:
            self.rest()
        wanted = self.over or (heeded and not self.resting and not self.leaving)
        if wanted == self.reading or self.transport.is_closing():
            return
        self.reading = wanted
        if crowded:  # then hear of it when all has been taken
            self.transport.set_write_buffer_limits(0)
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
