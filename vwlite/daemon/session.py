"""The client of the daemon's protocol: sends lines, receives answers, counts and times them.

One thread waits for input, for buffer space to send, or for answers, whichever comes first. So a full buffer never
blocks the other directions, and TLS, which permits no two threads on a connection, needs no other code. A session ends
with the command !quit: its answer !bye confirms that no answer is missing. Over TLS, which has no half-close, !quit is
also the only way to end the input.
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
    """A session with a daemon: sends the lines of an input and writes the answers to a sink.

    Args:
        connection: A connected socket, with TLS or without.
        where: The address, for messages.
        sink: The output that answers are written to.
        decisions: Whether examples are multi-line, ended by empty lines; also detected from the answers.
        timeout: Seconds to wait for an answer.
        quits: Whether to end with !quit; otherwise the sending side is closed.

    Attributes:
        progress: The progress display; None for none.
        shown: The number of error answers to print on standard error.
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
        self.last_error = b""  # the last answer, if it is an error
        self.partial = b""  # the beginning of an answer whose end was not received yet
        self.ending = self.bye = False
        self.broken = False  # nothing more can be sent
        self.samples: deque[tuple[int, int, int, float]] = deque()  # lines, decisions, bytes, time sent
        self.latencies = array("d")  # seconds
        self.began = time.monotonic()
        self.seconds = 0.0

    # pipelined: many lines at once

    def stream(self, lines: Input, window: int | None = None) -> None:  # noqa: DOC502
        """Sends all lines without waiting for each answer, and receives the answers.

        Args:
            lines: The input.
            window: The most bytes to send ahead of the answers; None for no limit.

        Raises:
            VwliteError: If answers are missing.
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
        """Reads and counts the next bytes to send.

        Args:
            lines: The input.

        Returns:
            The bytes; b"" if none are available yet.
        """
        piece = lines.read()
        if piece:
            self.sent.take(piece)
        elif lines.ended:
            piece = self.end()
        return piece

    def end(self) -> bytes:
        """Ends the input.

        Returns:
            The last bytes to send.
        """
        self.sent.finish()
        self.ending = True
        if not self.quits:
            self.half_close()
        return END if self.quits else b""

    def half_close(self) -> None:
        """Closes the sending side, which TLS can't do."""
        if not isinstance(self.connection, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)

    def piece_is_sent(self) -> None:
        """Records when a piece was sent; closes the sending side after the last one."""
        if not self.ending:
            self.samples.append((self.sent.lines, self.sent.decisions, self.sent_bytes, time.monotonic()))
        else:
            self.half_close()

    def send(self, data: memoryview) -> int:
        """Sends as much as the socket's buffer accepts.

        Args:
            data: The bytes to send.

        Returns:
            The number of bytes sent; all if the connection is closed.
        """
        try:
            count = self.connection.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            # The answers that can still be read explain more than this error.
            self.broken = self.ending = True
            return len(data)
        self.sent_bytes += count
        return count

    def receive(self) -> bytes | None:  # noqa: DOC501, DOC503
        """Receives answers.

        Returns:
            The bytes; b"" at the end, None if there are none yet.

        Raises:
            VwliteError: If a blocking connection has timed out.
        """
        try:
            return self.connection.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except TimeoutError:
            raise self.too_late() from None
        except OSError:
            self.broken = True
            return b""

    def wait(self, sending: bool, source: int | None) -> None:  # noqa: DOC501, DOC503
        """Waits for input, answers or buffer space.

        Args:
            sending: Whether there are bytes to send.
            source: The descriptor of an input without available bytes; None for none.

        Raises:
            VwliteError: After the timeout, unless an input is waited for.
        """
        poll = select.poll()
        poll.register(self.connection, select.POLLIN | (select.POLLOUT if sending else 0))
        if source is not None:
            poll.register(source, select.POLLIN)
        if not poll.poll(None if source is not None else self.timeout * 1000):
            raise self.too_late()

    def too_late(self) -> VwliteError:
        """The error for answers that were not received in time.

        Returns:
            The exception to raise.
        """
        hint = "" if self.decisions else "; multi-line examples are answered after their empty line: see --decisions"
        return VwliteError(
            f"{self.where}: no answer for {self.timeout:g} s, after {self.answers} answers; {self.missing()} are "
            f"missing{hint}"
        )

    # one example at a time

    def one_by_one(self, lines: Input) -> None:  # noqa: DOC502
        """Sends each example after the answer to the previous one.

        Args:
            lines: The input.

        Raises:
            VwliteError: If answers are missing.
        """
        self.connection.settimeout(self.timeout)
        for example in self.examples(lines):
            due = self.due()
            began = time.monotonic()
            if not self.send_all(example) or not self.receive_until(due):
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
        """Splits the input into examples, and counts them.

        Args:
            lines: The input.

        Yields:
            A line, or the lines of a multi-line example, including empty lines before it.
        """
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

    def send_all(self, data: bytes) -> bool:  # noqa: DOC501, DOC503
        """Sends all bytes, blocking.

        Args:
            data: The bytes to send.

        Returns:
            Whether the connection accepted them.

        Raises:
            VwliteError: If the connection has timed out.
        """
        try:
            self.connection.sendall(data)
        except TimeoutError:
            raise self.too_late() from None
        except OSError:
            self.broken = True
        self.sent_bytes += len(data)
        return not self.broken

    def receive_until(self, due: int) -> bool:
        """Receives answers until there are so many.

        Args:
            due: The number of answers, counted from the start.

        Returns:
            False if the connection ended before.
        """
        while self.answers < due:
            data = self.receive()
            if not data:
                return False
            self.take(data)
        return True

    # answers

    def due(self) -> int:
        """The number of answers that are due.

        Returns:
            The number of examples, in lines or multi-line examples, sent so far.
        """
        return self.sent.decisions if self.decisions else self.sent.lines

    def missing(self) -> int:
        """The number of missing answers.

        Returns:
            The number of answers that are due and were not received.
        """
        return max(self.due() - self.answers, 0)

    def take(self, data: bytes) -> None:
        """Counts received bytes and writes complete answers to the sink.

        Args:
            data: The received bytes.
        """
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
            self.last_error = b""
        if b"!error" in whole or b'{"error"' in whole:
            self.note_errors(whole)
        self.answers += whole.count(b"\n") - empty
        now = time.monotonic()
        while self.samples and self.answers >= self.samples[0][1 if self.decisions else 0]:
            _, _, self.answered_bytes, sent = self.samples.popleft()
            self.latencies.append(now - sent)
        self.sink.write(whole)

    def note_errors(self, whole: bytes) -> None:
        """Counts answers that are errors, and prints the first few.

        Args:
            whole: Complete answers, with their line ends.
        """
        number = self.answers
        for line in whole.split(b"\n"):
            if not line:
                continue
            number += 1
            self.last_error = b""
            if line.startswith((b"!error", b'{"error"')):
                self.errors += 1
                self.last_error = line
                if self.errors <= self.shown:
                    if self.progress is not None:
                        self.progress.clear()
                    print(f"answer {number}: {line.decode('utf-8', 'replace')}", file=sys.stderr)

    def finish(self, all_sent: bool) -> None:
        """Ends the session.

        Args:
            all_sent: Whether the whole input was sent.

        Raises:
            VwliteError: If answers are missing.
        """
        self.seconds = time.monotonic() - self.began
        # Without !bye, an error may be the reason for closing the connection rather than the answer to a line.
        if self.bye or (all_sent and not self.broken and not self.missing() and not (self.quits and self.last_error)):
            return
        what = "multi-line examples" if self.decisions else "lines"
        cut = "" if all_sent and not self.broken else ", before all was sent"
        words = f"; the last answer: {self.last_error.decode('utf-8', 'replace')}" if self.last_error else ""
        raise VwliteError(
            f"{self.where}: the daemon closed the connection{cut}: {self.answers} answers to {self.due()} {what}, "
            f"{self.missing()} are missing{words}"
        )

    def report(self) -> list[str]:
        """The summary: counts, rates and quantiles of latency.

        Returns:
            The lines, each of the form "name = value".
        """
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
    """Whether reading a descriptor wouldn't block."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
