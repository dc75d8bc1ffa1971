"""The server: connections, the order of what is learned, and the end.

Everything but the journal's commits happens in the one thread of the loop. A block of lines is learned; its answers
wait until the journal has it. The commands of a client are in commands.py, the saves in saving.py.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vwlite.core.options import Options
from vwlite.daemon import admission
from vwlite.daemon.admission import Admission
from vwlite.daemon.commands import Commands
from vwlite.daemon.connection import LARGE, TURN, Connection
from vwlite.daemon.line_buffer import SMALL
from vwlite.daemon.saving import Saving, shown
from vwlite.daemon.stats import Latency, Rate
from vwlite.errors import VwliteError

if TYPE_CHECKING:
    import socket
    import ssl

    from vwlite.daemon.engine import Engine
    from vwlite.daemon.journal import Journal
    from vwlite.daemon.log import Log
    from vwlite.daemon.reload import ModelOnDisk

SMALLEST_SLICE = 1 << 11
GOODBYE = 10.0  # seconds that clients have to take their last answers
TICK = 1.0  # seconds from one look at all clients to the next
TELL_AGAIN = 60.0  # seconds until the same trouble is said again


class Server:
    """One model behind sockets.

    Args:
        options: Those of the command line.
        engine: The model.
        log: Where to say what happens.
        journal: Where learned lines are kept, if anywhere.
        token: What clients have to send first, if anything.
        original: The model file that SIGHUP loads, if there is one.
        max_connections: If the system allows less than --max_connections.
    """

    def __init__(
        self,
        options: Options,
        engine: Engine,
        log: Log,
        journal: Journal | None = None,
        token: bytes | None = None,
        original: ModelOnDisk | None = None,
        max_connections: int | None = None,
    ) -> None:
        self.options = options
        self.engine = engine
        self.log = log
        self.journal = journal
        self.token = token
        self.original = original
        self.now = time.monotonic
        self.soon: Callable[[Callable[[], None]], object]  # calls in the loop's next round
        self.max_line: int = options["max_line"]
        self.blocks = engine.blocks
        self.slice = LARGE  # bytes that a client may send at a time
        self.speed = 0.0  # bytes that the model takes in a second
        self.committed = 0 if journal is None else journal.committed
        self.connections: set[Connection] = set()
        self.holding: set[Connection] = set()  # those with answers that wait for the journal
        self.buffered = 0
        self.scrap = bytearray(SMALL)  # where bytes go that nobody wants any more
        self.began = self.now()
        self.bytes_in, self.bytes_out, self.lines = Rate(), Rate(), Rate()
        self.latency = Latency()
        self.told: dict[str, float] = {}  # troubles, and when they were said
        self.commands = Commands(self)
        self.saving = Saving(self)
        self.admission = Admission(self, max_connections or options["max_connections"])
        self.stopped_by: signal.Signals | None = None
        self.stopping: asyncio.Event | None = None
        if journal is not None:
            engine.note_learned()

    async def serve(
        self, sockets: list[socket.socket], context: ssl.SSLContext | None, ready: Callable[[], None]
    ) -> None:
        """Serve until SIGTERM or SIGINT, save, and return.

        Raises VwliteError if the model can't be saved at the end.
        """
        loop = asyncio.get_running_loop()
        self.soon = loop.call_soon
        self.stopping = asyncio.Event()
        loop.set_exception_handler(self.trouble)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        loop.add_signal_handler(signal.SIGHUP, self.take_model)
        if self.journal is not None:
            self.journal.start(lambda: loop.call_soon_threadsafe(self.journal_told))
        self.saving.start(loop)
        tasks = [loop.create_task(self.sweep())]
        tasks += [loop.create_task(self.admission.accept(each, context)) for each in sockets]
        ready()
        await self.stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for each in sockets:
            each.close()
        await self.end()

    def trouble(self, loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        """What asyncio can't hand to anybody."""
        what, error = about.get("message", ""), about.get("exception")
        if isinstance(error, ConnectionError) or type(error).__module__ == "ssl":
            return  # a client that went away, or speaks no TLS
        self.complain(what, why=repr(error) if error is not None else "unknown")

    def complain(self, what: str, why: str) -> None:
        """Log that something goes wrong, but not a thousand times a second."""
        if self.is_news(what):
            self.log.error(what, why=why)

    def is_news(self, what: str) -> bool:
        """Whether something was not logged lately; then it is to be logged now."""
        now = self.now()
        if what in self.told and now - self.told[what] <= TELL_AGAIN:
            return False
        self.told[what] = now
        return True

    def stop(self, number: signal.Signals) -> None:
        """The end begins; a second signal doesn't wait for anybody."""
        if self.stopped_by is not None:
            raise SystemExit(128 + number)
        self.stopped_by = signal.Signals(number)
        self.log.info("stopping", signal=self.stopped_by.name, connections=len(self.connections))
        if self.stopping is not None:
            self.stopping.set()

    async def end(self) -> None:
        """Accept no more, let everybody take their answers, save."""
        self.admission.stop()
        for connection in list(self.connections):
            connection.answer_the_rest()
        until = self.now() + GOODBYE
        while (self.now() < until or self.saving.jobs) and not all(each.is_done() for each in self.connections):
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.transport.abort()
        await self.saving.end()

    # clients

    def part(self, connection: Connection) -> None:
        """A client has gone."""
        self.admission.part(connection)
        self.holding.discard(connection)
        connection.give_back()

    def reserve(self, count: int) -> bool:
        """Whether so many more bytes may be kept for clients; then they are counted."""
        most = self.options["max_buffers"]
        if self.buffered + count > most:
            for connection in self.connections:
                connection.shrink(SMALL)
        if self.buffered + count > most:
            return False
        self.buffered += count
        return True

    def allowance(self) -> int:
        """Bytes that a client may send at a time: what they are answered may be longer, and has to wait somewhere."""
        left = (self.options["max_buffers"] - self.buffered) // 16
        return min(self.slice, max(left, SMALLEST_SLICE))

    def is_crowded(self) -> bool:
        """Whether buffers are over their limit (backpressure): who takes no answers is not read from."""
        return self.buffered > self.options["max_buffers"]

    def release(self, count: int) -> None:
        """So many are kept no longer."""
        self.buffered -= count

    def process(self, connection: Connection, lines: memoryview | bytes, until: float) -> int:
        """Whole lines of a client; how many bytes were worked on before it was `until`, or the client has to wait."""
        began = self.now()
        done = self.commands.run(connection, lines, until)
        took = self.now() - began
        # most of what a few lines take is not theirs, so they say little about many
        if done >= SMALLEST_SLICE or took > TURN:
            speed = done / max(took, 1e-6)
            self.speed = speed if not self.speed else 0.8 * self.speed + 0.2 * speed
            self.slice = min(max(int(self.speed * TURN), SMALLEST_SLICE), LARGE)
        return done

    def learn(self, connection: Connection, lines: memoryview | bytes, until: float = math.inf) -> tuple[bytes, int]:
        """Give lines to the model, as many as it works on before it is `until`.

        Returns their answers, and the entry of the journal that they have to wait for.
        """
        trouble = b""
        try:
            answers = self.engine.run(lines, connection.lines + 1, until - self.now())
        except Exception as error:  # such as a full disk; which lines it concerns, nobody knows
            self.complain("lines of a client could not be worked on", why=repr(error))
            answers = self.engine.answers.drain()
            trouble = f"!error {shown(error)}\n".encode("utf-8", "replace")
        connection.lines += self.engine.lines
        self.say_remarks()
        entry = 0
        if self.journal is not None:
            learned = self.engine.take_learned()
            if learned:
                entry = self.journal.append(learned)
        self.saving.look()
        if trouble:
            connection.answer(answers + trouble, entry)
            connection.finish()
            return b"", entry
        return answers, entry

    def say_remarks(self) -> None:
        """Log what the model has said since this was last called."""
        while self.engine.remarks:
            self.log.warning(self.engine.remarks.pop(0))

    def journal_told(self) -> None:
        """The journal has committed, or failed to."""
        journal = self.journal
        if journal is None:
            return
        failure = journal.failure
        if failure is not None and self.engine.driver.refusal is None:
            self.log.error("the journal can't be written; nothing is learned until it can", why=str(failure))
            self.engine.stop_learning(str(failure))
        elif failure is None and self.engine.driver.refusal is not None:
            self.log.info("the journal can be written again")
            self.engine.stop_learning(None)
            self.saving.save_itself()  # nobody knows what became of the checkpoint
        self.committed = journal.committed
        for connection in list(self.holding):
            connection.commit(self.committed)

    async def sweep(self) -> None:
        """Once a second: who has been silent for too long, and rates."""
        while True:
            before = self.now()
            await asyncio.sleep(TICK)
            now = self.now()
            if now - before > 2 * TICK:  # the process was stopped, or busy
                for connection in self.connections:
                    connection.excuse(now - before - TICK)
            for rate in (self.bytes_in, self.bytes_out, self.lines):
                rate.tick(now)
            for connection in list(self.connections):
                try:
                    self.look_after(connection, now)
                except Exception as error:  # the others still have to be looked after
                    self.complain("a client is let go", why=repr(error))
                    connection.transport.abort()

    def look_after(self, connection: Connection, now: float) -> None:
        """Let a client go that has been silent or deaf for too long."""
        patience = self.options["read_timeout"]
        if connection.left_at and now - connection.left_at > GOODBYE:
            connection.transport.abort()
        elif connection.replies.is_stuck(now, patience):
            self.log.warning("a client takes no answers", seconds=patience)
            connection.transport.abort()
        elif connection.over or connection.has_unread():
            connection.regulate()
        elif not connection.trusted and now - connection.began > admission.TOKEN_TIME:
            connection.fail("no token came in time")
        elif connection.is_silent(now, patience):
            connection.fail(f"nothing came for {patience:g} seconds")
        else:
            connection.regulate()

    def take_model(self) -> None:
        """SIGHUP: the model file, as it is now, takes the model's place."""
        if self.original is None:
            self.log.warning("SIGHUP: there is no model file to load; start with -i or -f")
            return
        if self.saving.is_at(self.original.path):  # then nobody knows yet whose file it is
            asyncio.get_running_loop().call_later(0.05, self.take_model)
            return
        if self.original.is_known():
            self.log.info("SIGHUP: the model file is one that was loaded or saved here; going on with what was learned")
            return
        try:
            engine = self.original.load()
        except VwliteError as error:
            self.log.error("SIGHUP: going on with the model as it is", why=str(error))
            return
        if engine.blocks != self.blocks:
            self.log.error("SIGHUP: going on with the model as it is", why="the file's takes another kind of examples")
            return
        if self.journal is None:
            self.engine = engine
            self.saving.replaced()
            self.loaded("")
        else:  # a restart goes on from the checkpoint
            engine.note_learned()
            self.saving.ask(str(self.saving.checkpoint), self.loaded, engine)

    def loaded(self, trouble: str) -> None:
        """Another model has taken the model's place, unless there was trouble."""
        if trouble:
            self.log.error("SIGHUP: going on with the model as it is", why=trouble)
        else:
            self.log.info("model loaded", id=str(self.engine.workspace.parent))
            self.journal_told()
