"""A client's side of the daemon's protocol: lines in, answers out, counted and timed.

One thread does it all and waits for whatever comes first, input, room to send, or answers; so it never stands still
however much of one is waiting, and TLS, which allows no two threads on a connection, is no other case. The conversation
ends with the command !quit: its answer !bye tells that no answer is missing, and over TLS, which has no half-close, it
is also the only way to say that nothing more will come.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator

from vwlite.daemon.outgoing import PIECE, Input, Sent
from vwlite.errors import VwliteError
from vwlite.report.outputs import PROBLEMS_SHOWN, Progress, Sink

END = b"\n\n!quit\n"  # the first ends a line, and the second a decision, that may be open
BYE = b"!bye\n"
SHARES = (("median", 0.5), ("90%", 0.9), ("99%", 0.99), ("99.9%", 0.999), ("most", 1.0))


class Session:
    """Lines to a daemon and its answers.

    Args:
        connection: A connected socket, with TLS or without.
        where: What it is connected to, for messages.
        sink: Where answers go.
        decisions: Whether empty lines end examples; the answers tell too, as soon as there is one.
        timeout: Seconds to wait for an answer.
        quits: Whether to end with !quit; else the end is that the sending side is closed.

    Attributes:
        progress: Where to show how far it is.
        shown: How many answers that are errors to show on standard error.
    """

    def __init__(
        self, connection: socket.socket, where: str, sink: Sink, decisions: bool, timeout: float, quits: bool = True
    ) -> None:
        self.connection = connection
        self.where = where
        self.sink = sink
        self.decisions = decisions
        self.timeout = timeout
        self.quits = quits
        self.progress: Progress | None = None
        self.shown = PROBLEMS_SHOWN
        self.sent = Sent()
        self.sent_bytes = self.answered_bytes = self.received_bytes = 0
        self.answers = self.errors = 0
        self.last_words = b""  # the last answer, if it is an error
        self.partial = b""  # of an answer
        self.ending = self.bye = False
        self.broken = False  # nothing more can be sent
        self.samples: deque[tuple[int, int, int, float]] = deque()  # lines, decisions, bytes, and when they were sent
        self.latencies = array("d")  # seconds
        self.began = time.monotonic()
        self.seconds = 0.0

    # many lines at once

    def stream(self, lines: Input, window: int | None = None) -> None:
        """Send all lines, at most `window` bytes ahead of the answers, and take answers as they come.

        Raises VwliteError if not all is answered.
        """
        self.connection.setblocking(False)
        if window is not None:
            lines.size = max(min(PIECE, window // 2), 1)
        waiting = memoryview(b"")
        while not self.bye:
            moved, source = False, None
            ahead = self.sent_bytes - self.answered_bytes
            if not waiting and not self.ending and (window is None or not ahead or ahead + lines.size <= window):
                source = lines.waits()
                if source is None or ready(source):
                    waiting = memoryview(self.next_piece(lines))
                    moved, source = True, None
            if waiting:
                count = self.send(waiting)
                waiting = waiting[count:]
                moved = moved or count > 0
                if not waiting:
                    self.piece_is_sent()
            data = self.receive()
            if data:
                self.take(data)
            elif data is not None:
                break
            elif not moved:
                self.wait(bool(waiting), source)
            if self.progress is not None:
                self.progress.update(lines.position, self.answers)
        self.finish(lines.ended)

    def next_piece(self, lines: Input) -> bytes:
        """What to send next, counted; none if there is nothing yet, or no end to send."""
        piece = lines.read()
        if piece:
            self.sent.take(piece)
        elif lines.ended:
            piece = self.end()
        return piece

    def end(self) -> bytes:
        """What to send at the end."""
        self.sent.finish()
        self.ending = True
        if not self.quits:
            self.half_close()
        return END if self.quits else b""

    def half_close(self) -> None:
        """Say that nothing more will come; TLS has no way to."""
        if not isinstance(self.connection, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)

    def piece_is_sent(self) -> None:
        """Note when; or close the sending side behind the last one."""
        if not self.ending:
            self.samples.append((self.sent.lines, self.sent.decisions, self.sent_bytes, time.monotonic()))
        else:
            self.half_close()

    def send(self, data: memoryview) -> int:
        """Send what there is room for; how many bytes. Of a connection that is closed it is all."""
        try:
            count = self.connection.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            # There may still be answers to read, and they are worth more than the reason.
            self.broken = self.ending = True
            return len(data)
        self.sent_bytes += count
        return count

    def receive(self) -> bytes | None:
        """Answers; none at the end, None if there are none yet."""
        try:
            return self.connection.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except TimeoutError:
            raise self.too_late() from None
        except OSError:
            self.broken = True
            return b""

    def wait(self, sending: bool, source: int | None) -> None:
        """Wait until something can be done. Raises VwliteError after the timeout, unless it is the input that waits."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN | (select.POLLOUT if sending else 0))
        if source is not None:
            poll.register(source, select.POLLIN)
        if not poll.poll(None if source is not None else self.timeout * 1000):
            raise self.too_late()

    def too_late(self) -> VwliteError:
        """No answer came."""
        hint = "" if self.decisions else "; a model of decisions answers when an empty line ends one: see --decisions"
        return VwliteError(
            f"{self.where}: no answer for {self.timeout:g} s, after {self.answers} answers; {self.missing()} are "
            f"missing{hint}"
        )

    # one after the other

    def one_by_one(self, lines: Input) -> None:
        """Send an example when the one before has its answer. Raises VwliteError if not all is answered."""
        self.connection.settimeout(self.timeout)
        for example in self.examples(lines):
            due = self.due()
            began = time.monotonic()
            if not self.send_all(example) or not self.hear(due):
                return self.finish(False)
            if due > len(self.latencies):
                self.latencies.append(time.monotonic() - began)
            if self.progress is not None:
                self.progress.update(lines.position, self.answers)
        end = self.end()
        if end and self.send_all(end):
            self.half_close()
        while not self.bye and (data := self.receive()):
            self.take(data)
        return self.finish(True)

    def examples(self, lines: Input) -> Iterator[bytes]:
        """Lines, each as soon as it is an example, or the lines of a decision; with empty ones that go before."""
        text = b""
        while not lines.ended:
            for line in lines.read().split(b"\n")[:-1]:
                before = self.due()
                self.sent.one(line)
                text += line + b"\n"
                if self.due() > before:
                    yield text
                    text = b""
        if self.decisions and self.sent.open:
            self.sent.finish()
            yield text + b"\n"
        elif text:
            yield text

    def send_all(self, data: bytes) -> bool:
        """Send bytes; whether they could be sent."""
        try:
            self.connection.sendall(data)
        except TimeoutError:
            raise self.too_late() from None
        except OSError:
            self.broken = True
        self.sent_bytes += len(data)
        return not self.broken

    def hear(self, due: int) -> bool:
        """Take answers until there are so many; whether they came."""
        while self.answers < due:
            data = self.receive()
            if not data:
                return False
            self.take(data)
        return True

    # answers

    def due(self) -> int:
        """How many answers there should be."""
        return self.sent.decisions if self.decisions else self.sent.lines

    def missing(self) -> int:
        """How many answers there should be besides."""
        return max(self.due() - self.answers, 0)

    def take(self, data: bytes) -> None:
        """Write and count what has come."""
        self.received_bytes += len(data)
        data = self.partial + data if self.partial else data
        end = data.rfind(b"\n") + 1
        whole, self.partial = data[:end], data[end:]
        if self.ending and self.quits and (whole == BYE or whole.endswith(b"\n" + BYE)):
            self.bye = True
            whole = whole[: -len(BYE)]
        empty = whole.count(b"\n\n") + whole.startswith(b"\n")
        if empty:
            self.decisions = True
        if whole:
            self.last_words = b""
        if b"!error" in whole or b'{"error"' in whole:
            self.note_errors(whole)
        self.answers += whole.count(b"\n") - empty
        now = time.monotonic()
        while self.samples and self.answers >= self.samples[0][1 if self.decisions else 0]:
            _, _, self.answered_bytes, sent = self.samples.popleft()
            self.latencies.append(now - sent)
        self.sink.write(whole)

    def note_errors(self, whole: bytes) -> None:
        """Count answers that are errors, and show the first few."""
        number = self.answers
        for line in whole.split(b"\n"):
            if not line:
                continue
            number += 1
            self.last_words = b""
            if line.startswith((b"!error", b'{"error"')):
                self.errors += 1
                self.last_words = line
                if self.errors <= self.shown:
                    if self.progress is not None:
                        self.progress.clear()
                    print(f"answer {number}: {line.decode('utf-8', 'replace')}", file=sys.stderr)

    def finish(self, all_sent: bool) -> None:
        """After the last answer; raises VwliteError if it isn't."""
        self.seconds = time.monotonic() - self.began
        # Without !bye, an error may be why it closed the connection, and no answer to a line.
        if self.bye or (all_sent and not self.broken and not self.missing() and not (self.quits and self.last_words)):
            return
        what = "decisions" if self.decisions else "lines"
        cut = "" if all_sent and not self.broken else ", before all was sent"
        words = f"; its last words: {self.last_words.decode('utf-8', 'replace')}" if self.last_words else ""
        raise VwliteError(
            f"{self.where}: the daemon closed the connection{cut}: {self.answers} answers to {self.due()} {what}, "
            f"{self.missing()} are missing{words}"
        )

    def report(self) -> list[str]:
        """Lines that sum it up."""
        seconds = max(self.seconds or time.monotonic() - self.began, 1e-9)
        found = [
            f"lines = {self.sent.lines}",
            f"answers = {self.answers}",
            f"seconds = {seconds:.3f}",
            f"answers per second = {self.answers / seconds:.0f}",
            f"megabytes per second = {self.sent_bytes / seconds / 1e6:.1f} sent, "
            f"{self.received_bytes / seconds / 1e6:.1f} received",
        ]
        if self.decisions:
            found.insert(1, f"decisions = {self.sent.decisions}")
        if self.errors:
            found.append(f"answers that are errors = {self.errors}")
        if self.latencies:
            times = sorted(self.latencies)
            parts = [f"{name} {1000 * times[int(share * (len(times) - 1))]:.3f}" for name, share in SHARES]
            found.append(f"milliseconds to an answer, of {len(times)} = {', '.join(parts)}")
        return found


def ready(descriptor: int) -> bool:
    """Whether reading wouldn't wait."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
