"""The connection of one client: reads bytes and passes complete lines to the server.

server.py processes the lines and replies.py sends the answers. Each connection has a read buffer of its own. A read is
limited to the bytes that the model processes in a few milliseconds, so that no client delays the others. A client that
doesn't read its answers is not read from (backpressure).
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

LARGE = 1 << 19  # bytes; a fast model processes as many in half of a time slice
TIME_SLICE = 0.002  # seconds, approximately, that the lines of one client may run before those of others
LAST_SLICE = 0.25  # seconds for the pending lines of a TLS connection that the client has closed
LONGEST_TOKEN = 4096


class Connection(asyncio.BufferedProtocol):
    """One client of a server."""

    def __init__(self, server: Host) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.input = LineBuffer(server.blocks)
        self.eager = False  # the last read filled the buffer
        self.lines = 0  # processed so far, for messages
        self.trusted = server.token is None  # no token is due, and the client speaks no other protocol
        self.known = False  # whether the protocol is recognized as VW's lines
        self.skipping = False  # discarding the remainder of a line that is too long
        self.skips_lines = False  # or of a multi-line example, up to an empty line
        self.waiting = False  # for a save; later lines of this client wait, too
        self.paused = False  # until the next time slice
        self.pending = False  # complete lines are buffered for the next time slice
        self.used = 0.0  # seconds used of this time slice
        self.leaving = False  # the server closes as soon as the lines read so far are answered
        self.over = False  # further input is discarded
        self.ended = False  # the client has closed its sending side
        self.left_at = 0.0  # when the server closed its sending side; 0 while it is open
        self.replies: Replies = cast("Replies", None)
        self.reading = True
        self.began = self.heard = server.now()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handles a new connection: creates its replies and registers it."""
        self.transport = cast("asyncio.Transport", transport)
        self.replies = Replies(self.server, self.transport, self.regulate)
        self.server.admission.welcome(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Handles the end of the connection: complete lines have been learned; an unfinished one is discarded."""
        self.over = True
        self.server.part(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Returns the memory that asyncio reads the next bytes into."""
        buffer = self.input
        if not self.over and (buffer.filled == len(buffer) or (self.eager and len(buffer) < LARGE)):
            self.grow()
        if self.over:
            return memoryview(self.server.scrap)
        return memoryview(buffer.bytes)[buffer.filled : buffer.filled + self.server.allowance()]

    def buffer_updated(self, count: int) -> None:
        """Processes the bytes that asyncio has read into the buffer."""
        if self.over:
            return
        self.heard = self.server.now()
        self.input.filled += count
        self.eager = self.input.filled == len(self.input)
        self.server.bytes_in.add(count)
        self.take()

    def eof_received(self) -> bool | None:
        """Handles the client closing its sending side; its last line needs no line end."""
        self.ended = True
        if self.left_at:
            return None
        if self.transport.can_write_eof():
            if not (self.waiting or self.paused or self.pending):
                self.finish_input()
            return True
        if not self.waiting:  # TLS can't half-close: the connection closes when this returns
            self.paused = False
            self.take(last=True)
            self.finish_input()
        return None

    def finish_input(self) -> None:
        """Processes the last line or multi-line example, which needs no end, and closes."""
        if not self.over and self.input.filled and not self.skipping and (self.known or self.begin(ended=True)):
            last = self.input.head(self.input.filled) + self.end_of_example
            self.input.filled = 0
            done = self.server.process(self, last, self.server.now() + LAST_SLICE)
            if last[done:].strip():  # several lines; a single example is never divided
                self.answer(b"!error the connection ended before these lines were processed\n")
        self.finish()

    def pause_writing(self) -> None:
        """Pauses answers and reading: the transport's write buffer is full."""
        self.replies.taken(False)

    def resume_writing(self) -> None:
        """Resumes answers and reading: the client has read what was in the transport's write buffer."""
        self.heard = self.server.now()
        self.replies.taken(True)

    # lines

    def grow(self) -> None:
        """Enlarges the input buffer up to its limit, never while a view of it is in use."""
        size = len(self.input)
        size = min(min(8 * size, LARGE) if size < LARGE else 2 * size, self.server.max_line + LARGE)
        if self.server.reserve(size - len(self.input)):
            self.input.resize(size)
        elif self.input.filled == len(self.input):
            self.fail("the server's buffers are full (--max_buffers), try again later")

    def shrink(self, size: int) -> None:
        """Shrinks the input buffer to `size` bytes if it is empty and larger."""
        if self.input.filled == 0 and len(self.input) > size:
            self.server.release(len(self.input) - size)
            self.input.resize(size)

    @property
    def end_of_example(self) -> bytes:
        """The terminator of a last example that the client left without one."""
        return b"\n\n" if self.server.blocks else END

    def take(self, last: bool = False) -> None:
        """Passes complete lines to the server until the time slice is used up; later ones stay in the buffer.

        `last`: processes them whether or not the client reads its answers, as no other slice follows.
        """
        if self.waiting or self.paused or self.over:
            return
        if (not self.known and not self.begin()) or (self.skipping and not self.skip()):
            return
        end = self.input.whole()
        self.pending = end > 0
        if end and not last and not self.reads_answers():
            return
        began = self.server.now()
        until = began + (LAST_SLICE if last else TIME_SLICE - self.used)
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
        self.pending = taken < end
        self.count_time(self.server.now() - began)
        if self.pending or self.waiting:
            return
        self.input.searched = self.input.filled
        if self.input.filled > self.server.max_line:
            self.too_long()
        self.shrink(LARGE)

    def count_time(self, took: float) -> None:
        """Counts used time; pauses when the slice is over. asyncio reads once a round, uvloop up to 32 times."""
        if self.used == 0 and took > TIME_SLICE / 32 and not self.pending:
            self.server.soon(self.begin_slice)
        self.used += took
        if self.pending or self.used > TIME_SLICE:
            self.pause()

    def begin_slice(self) -> None:
        """Starts a new time slice in another round of the loop."""
        self.used = 0.0

    def take_some(self, end: int, until: float) -> int:
        """Processes lines that together exceed --max_line, refuses each that does; returns the bytes processed."""
        text = self.input.head(end)
        taken = 0
        for start, stop in [*examples(text, self.server.blocks), (end, end)]:
            long = stop - start > self.server.max_line + 1  # its line end doesn't count
            if start > taken and (long or start == end):
                taken += self.server.process(self, text[taken:start], until)
                if self.over or self.waiting or taken < start:
                    break
            if long:
                self.refuse_long()
                self.lines += text.count(END, start, stop)
                taken = stop
        return taken

    def pause(self) -> None:
        """Pauses this client until the next round of the loop; its pending lines stay in the buffer."""
        if not self.waiting and not self.paused:
            self.paused = True
            self.regulate()
            self.server.soon(self.resume)

    def resume(self) -> None:
        """Starts the client's next time slice and continues with its pending lines."""
        if not self.paused:  # eof_received of a TLS connection has ended the pause
            return
        self.paused = False
        self.used = 0.0
        if self.transport.is_closing() or self.over:
            return
        self.take()
        if self.waiting or self.paused or self.pending or self.over:
            return
        if self.ended:
            self.finish_input()
        elif self.leaving:
            self.finish()
        self.regulate()

    def answer_pending(self) -> None:
        """Processes, in time slices, all complete lines that were read, and closes."""
        self.leaving = True
        if self.waiting or self.paused or self.pending:
            self.regulate()
        else:
            self.finish()

    def refuse_long(self) -> None:
        """Answers a line, or multi-line example, that is longer than --max_line."""
        what = "a multi-line example" if self.server.blocks else "a line"
        self.answer(f"!error line {self.lines + 1}: {what} of more than {self.server.max_line} bytes\n".encode())

    def too_long(self) -> None:
        """Refuses a line that exceeds --max_line before its end has arrived, and discards it."""
        self.refuse_long()
        self.skipping = True
        self.skips_lines = self.server.blocks and self.input.head(1) not in (b"{", b"!")
        self.skip()

    def skip(self) -> bool:
        """Discards the remainder of what was too long; returns whether bytes follow it."""
        count, ended = self.input.forget(self.skips_lines)
        self.lines += count
        if not ended:
            self.shrink(SMALL)
            return False
        self.skipping = False
        return self.input.filled > 0

    def begin(self, ended: bool = False) -> bool:
        """Checks the first bytes for the token or another protocol; returns whether lines may be processed.

        `ended`: the client has closed its sending side, so no more bytes follow.
        """
        if not self.trusted:
            self.known = self.trusted = self.check_token(ended)
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
        """Answers a client of another protocol, and discards everything it sends."""
        self.trusted = False
        self.input.filled = 0
        self.server.admission.note_protocol(self, name)
        self.answer(other_protocols.answer(name))
        self.finish()

    def check_token(self, ended: bool) -> bool:
        """Compares the first line with the token; returns whether they are equal."""
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

    def free_buffers(self) -> None:
        """Frees the input buffer and the replies when the connection has ended."""
        self.server.release(max(len(self.input) - SMALL, 0))
        self.replies.forget()
        self.input.filled = 0
        self.input.resize(0)

    # answers

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Sends an answer once the journal has committed this entry and all earlier answers were sent."""
        self.replies.answer(text, entry)
        if self.replies.held:
            self.server.holding.add(self)

    def commit(self, entry: int) -> None:
        """Sends the answers that waited for entries up to this one, which the journal has committed."""
        self.replies.commit(entry)
        if not self.replies.held:
            self.server.holding.discard(self)
            if self.over and not self.waiting:
                self.leave()
        self.regulate()

    def is_silent(self, now: float, patience: float) -> bool:
        """Whether the client has sent nothing for `patience` seconds while the server was not the one to delay it."""
        return not (self.replies.held or self.waiting or self.paused or self.over) and now - self.heard > patience

    def has_unread(self) -> bool:
        """Whether the kernel has received bytes that were not read yet: the process was stopped or busy."""
        return in_kernel(self.transport, termios.FIONREAD) > 0

    def excuse(self, seconds: float) -> None:
        """Extends this client's deadlines by the seconds for which the server was stopped or busy."""
        now = self.server.now()
        self.began = min(self.began + seconds, now)
        self.heard = min(self.heard + seconds, now)
        self.left_at = self.left_at and min(self.left_at + seconds, now)
        self.replies.stuck_since = min(self.replies.stuck_since + seconds, now)

    def wait(self) -> None:
        """Processes no more lines until `proceed`."""
        self.waiting = True
        self.regulate()

    def proceed(self, answer: bytes) -> None:
        """Answers a finished save, and continues with the client's lines."""
        self.waiting = False
        self.heard = self.server.now()
        if self.transport.is_closing():
            return
        self.answer(answer)
        if self.over:
            self.finish()
        else:
            self.pause()

    def finish(self) -> None:
        """Processes no more lines, and closes once all answers are handed to the transport."""
        self.over = True
        self.regulate()
        if not self.replies.held and not self.waiting:
            self.leave()

    def is_done(self) -> bool:
        """Whether the client's kernel has acknowledged all answers."""
        if not self.over or self.replies.held or self.waiting or self.transport.is_closing():
            return False
        return self.replies.unsent() == 0 and in_kernel(self.transport, termios.TIOCOUTQ) == 0

    def leave(self) -> None:
        """Closes the sending side, and discards what the client still sends until it closes, too.

        Closing a socket that has unread bytes resets the connection, and answers on their way could be lost.
        """
        if self.ended or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.left_at:
            self.left_at = self.server.now()
            self.transport.write_eof()

    def fail(self, why: str) -> None:
        """Answers with an error, and closes."""
        self.answer(f"!error {why}\n".encode())
        self.finish()

    def reads_answers(self) -> bool:
        """Whether the client reads its answers, and waits for no save."""
        return not self.waiting and self.replies.are_read()

    def regulate(self) -> None:
        """Pauses or resumes reading from the client: it must read its answers (backpressure)."""
        crowded = self.replies.is_crowded()
        reads = self.reads_answers()
        if reads and self.pending and not self.over:
            self.pause()
        wanted = self.over or (reads and not self.paused and not self.leaving)
        if wanted == self.reading or self.transport.is_closing():
            return
        self.reading = wanted
        if crowded:  # have resume_writing called when the client has read everything
            self.transport.set_write_buffer_limits(0)
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
