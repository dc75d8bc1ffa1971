"""A client: bytes in, whole lines to the model. What happens to the lines is in server.py, to answers in replies.py.

Reading goes into memory of the connection's own, as many bytes at a time as the model takes some milliseconds for, so
that no client keeps the others waiting. A client that doesn't read its answers is not read from (backpressure).
"""

from __future__ import annotations

import asyncio
import hmac
import termios
from typing import TYPE_CHECKING, cast

from vwlite.daemon import other_protocols
from vwlite.daemon.line_buffer import END, SMALL, LineBuffer
from vwlite.daemon.protocol import examples
from vwlite.daemon.replies import Replies, in_kernel

if TYPE_CHECKING:
    from vwlite.daemon.host import Host

LARGE = 1 << 18
TURN = 0.002  # seconds that a client may keep the others waiting, about
LAST_TURN = 0.25  # seconds for what came before the end of a connection that can only end as a whole
LONGEST_TOKEN = 4096


class Connection(asyncio.BufferedProtocol):
    """One client of a server."""

    def __init__(self, server: Host) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.input = LineBuffer(server.blocks)
        self.eager = False  # the last read filled the buffer
        self.lines = 0  # received, for messages
        self.trusted = server.token is None  # neither a token is due, nor does it speak another protocol
        self.known = False  # what the client speaks
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
        self.replies: Replies = cast("Replies", None)
        self.reading = True
        self.began = self.heard = server.now()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self.transport = cast("asyncio.Transport", transport)
        self.replies = Replies(self.server, self.transport, self.regulate)
        self.server.admission.welcome(self)

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone; what it sent whole has been learned, and an unfinished line means nothing."""
        self.over = True
        self.server.part(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        buffer = self.input
        if not self.over and (buffer.filled == len(buffer) or (self.eager and len(buffer) < LARGE)):
            self.grow()
        if self.over:
            return memoryview(self.server.scrap)
        return memoryview(buffer.bytes)[buffer.filled : buffer.filled + self.server.allowance()]

    def buffer_updated(self, count: int) -> None:
        """Bytes have come."""
        if self.over:
            return
        self.heard = self.server.now()
        self.input.filled += count
        self.eager = self.input.filled == len(self.input)
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
            self.take(last=True)
            self.finish_input()
        return None

    def finish_input(self) -> None:
        """The last line, or decision, needs no end."""
        if not self.over and self.input.filled and not self.skipping and (self.known or self.begin(ended=True)):
            last = self.input.head(self.input.filled) + self.end_of_example
            self.input.filled = 0
            done = self.server.process(self, last, self.server.now() + LAST_TURN)
            if last[done:].strip():  # never of a single example
                self.answer(b"!error the connection ended before these lines were worked on\n")
        self.finish()

    def pause_writing(self) -> None:
        """The client is slow to read its answers."""
        self.replies.taken(False)

    def resume_writing(self) -> None:
        """It has read them."""
        self.heard = self.server.now()
        self.replies.taken(True)

    # lines

    def grow(self) -> None:
        """Enlarge the input buffer up to its limit, never while a view of it is in use."""
        size = min(2 * len(self.input), self.server.max_line + LARGE)
        if self.server.reserve(size - len(self.input)):
            self.input.resize(size)
        elif self.input.filled == len(self.input):
            self.fail("too much is waiting at this server, try again later")

    def shrink(self, size: int) -> None:
        """Shrink the input buffer while it is empty."""
        if self.input.filled == 0 and len(self.input) > size:
            self.server.release(len(self.input) - size)
            self.input.resize(size)

    @property
    def end_of_example(self) -> bytes:
        """What ends a last example that nothing ended."""
        return b"\n\n" if self.server.blocks else END

    def take(self, last: bool = False) -> None:
        """Give whole lines to the server, as far as it is this client's turn, and keep what is left.

        `last`: it is, whether or not answers are read, as there will be no other.
        """
        if self.waiting or self.resting or self.over:
            return
        if (not self.known and not self.begin()) or (self.skipping and not self.skip()):
            return
        end = self.input.whole()
        self.behind = end > 0
        if end and not last and not self.is_heeded():
            return
        began = self.server.now()
        until = began + (LAST_TURN if last else TURN - self.used)
        taken = 0
        if end > self.server.max_line:
            taken = self.take_some(end, until)
        elif end:
            with memoryview(self.input.bytes) as view, view[:end] as lines:
                taken = self.server.process(self, lines, until)
        if self.over:
            return
        if taken:
            self.input.drop(taken)
        self.behind = taken < end
        self.count_turn(self.server.now() - began)
        if self.behind or self.waiting:
            return
        self.input.searched = self.input.filled
        if self.input.filled > self.server.max_line:
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
        text = self.input.head(end)
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
        """The buffered line has no end, and is too long already."""
        self.refuse_long()
        self.skipping = True
        self.skips_lines = self.server.blocks and self.input.head(1) not in (b"{", b"!")
        self.skip()

    def skip(self) -> bool:
        """Forget the rest of what was too long; whether there is anything behind it."""
        count, ended = self.input.forget(self.skips_lines)
        self.lines += count
        if not ended:
            self.shrink(SMALL)
            return False
        self.skipping = False
        return self.input.filled > 0

    def begin(self, ended: bool = False) -> bool:
        """Judge the first bytes, which are the token if there is one; whether lines may be run.

        `ended`: no more will come.
        """
        if not self.trusted:
            self.known = self.trusted = self.hear_token(ended)
            if self.trusted:
                self.server.admission.trust(self)
            return self.known and self.input.filled > 0
        head = self.input.first_line(other_protocols.LOOK)
        name = other_protocols.recognize(head, ended)
        self.known = name == other_protocols.VW
        if name:
            self.refuse_protocol(name)
        return self.known or not head  # only empty lines so far

    def refuse_protocol(self, name: str) -> None:
        """Answer a client of another protocol, and read nothing more of what it sends."""
        self.trusted = False
        self.input.filled = 0
        self.server.admission.note_protocol(self, name)
        self.answer(other_protocols.answer(name))
        self.finish()

    def hear_token(self, ended: bool) -> bool:
        """Whether the first line was the token."""
        first, end, _ = self.input.head(self.input.filled).partition(END)
        if end and hmac.compare_digest(first.rstrip(b"\r"), self.server.token or b""):
            self.input.drop(len(first) + 1)
            return True
        whole = bool(end) or self.input.filled > LONGEST_TOKEN
        if whole or ended:
            name = other_protocols.recognize(self.input.first_line(other_protocols.LOOK), ended=True)
            if name:
                self.refuse_protocol(name)
            elif whole:
                self.fail("the first line has to be the token")
        return False

    def give_back(self) -> None:
        """Free the buffers, once."""
        self.server.release(max(len(self.input) - SMALL, 0))
        self.replies.forget()
        self.input.filled = 0
        self.input.resize(0)

    # answers

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Send an answer when the journal has this entry and all earlier answers were sent."""
        self.replies.answer(text, entry)
        if self.replies.held:
            self.server.holding.add(self)

    def commit(self, entry: int) -> None:
        """The journal has entries up to this one."""
        self.replies.commit(entry)
        if not self.replies.held:
            self.server.holding.discard(self)
            if self.over and not self.waiting:
                self.leave()
        self.regulate()

    def is_silent(self, now: float, patience: float) -> bool:
        """Whether nothing has come for so long though nothing keeps the client waiting."""
        return not (self.replies.held or self.waiting or self.resting or self.over) and now - self.heard > patience

    def has_unread(self) -> bool:
        """Whether bytes have arrived at this machine and were not read yet: the process was stopped or busy."""
        return in_kernel(self.transport, termios.FIONREAD) > 0

    def excuse(self, seconds: float) -> None:
        """The server was stopped or busy for so long, which no client has to answer for."""
        now = self.server.now()
        self.began = min(self.began + seconds, now)
        self.heard = min(self.heard + seconds, now)
        self.left_at = self.left_at and min(self.left_at + seconds, now)
        self.replies.stuck_since = min(self.replies.stuck_since + seconds, now)

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
        if not self.replies.held and not self.waiting:
            self.leave()

    def is_done(self) -> bool:
        """Whether the client's machine has all answers."""
        if not self.over or self.replies.held or self.waiting or self.transport.is_closing():
            return False
        return self.replies.unsent() == 0 and in_kernel(self.transport, termios.TIOCOUTQ) == 0

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

    def is_heeded(self) -> bool:
        """Whether the client reads its answers, and waits for nothing."""
        return not self.waiting and self.replies.are_read()

    def regulate(self) -> None:
        """Read only from who takes answers."""
        crowded = self.replies.is_crowded()
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
