"""The server: accepts connections, passes lines to the model in order, and shuts down.

Everything but the journal's commits runs in the thread of the event loop. A block of lines is learned; its answers
are held until the journal has committed it. commands.py executes the commands of a client, saving.py the saves.
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
from vwlite.daemon.connection import LARGE, TIME_SLICE, Connection
from vwlite.daemon.line_buffer import SMALL
from vwlite.daemon.protocol import JSON_ENTRY
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

SMALLEST_SLICE = 1 << 11  # bytes
GOODBYE = 10.0  # seconds that clients have to read their last answers
TICK = 1.0  # seconds between checks of all clients
REPEAT = 60.0  # seconds until the same error is logged again


class Server:
    """A daemon that serves one model to the clients of its sockets.

    Args:
        options: Those of the command line.
        engine: The model.
        log: The log of events.
        journal: The journal that stores learned lines; None for no journal.
        token: The token that clients have to send first; None for no token.
        original: The model file that SIGHUP loads; None for no such file.
        max_connections: The limit, if the system allows less than --max_connections.
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
        self.soon: Callable[[Callable[[], None]], object]  # schedules a call in the loop's next round
        self.max_line: int = options["max_line"]
        self.blocks = engine.blocks
        self.slice = LARGE  # bytes read from a client at a time
        self.speed = 0.0  # bytes that the model processes in a second
        self.committed = 0 if journal is None else journal.committed
        self.connections: set[Connection] = set()
        self.holding: set[Connection] = set()  # with answers that wait for the journal
        self.buffered = 0
        self.scrap = bytearray(SMALL)  # for input that is discarded
        self.began = self.now()
        self.bytes_in, self.bytes_out, self.lines = Rate(), Rate(), Rate()
        self.latency = Latency()
        self.logged: dict[str, float] = {}  # errors, and when they were logged
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
        """Serves until SIGTERM or SIGINT, saves, and returns.

        Raises VwliteError if the model can't be saved at the end.
        """
        loop = asyncio.get_running_loop()
        self.soon = loop.call_soon
        self.stopping = asyncio.Event()
        loop.set_exception_handler(self.trouble)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        loop.add_signal_handler(signal.SIGHUP, self.reload_model)
        if self.journal is not None:
            self.journal.start(lambda: loop.call_soon_threadsafe(self.journal_committed))
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
        """Logs an error that asyncio has no caller to raise it in (the loop's exception handler)."""
        what, error = about.get("message", ""), about.get("exception")
        if isinstance(error, ConnectionError) or type(error).__module__ == "ssl":
            return  # a client closed the connection, or speaks no TLS
        self.complain(what, why=repr(error) if error is not None else "unknown")

    def complain(self, what: str, why: str) -> None:
        """Logs an error, unless the same one was logged in the last REPEAT seconds."""
        if self.is_news(what):
            self.log.error(what, why=why)

    def is_news(self, what: str) -> bool:
        """Whether a message was not logged in the last REPEAT seconds; if so, notes that it is logged now."""
        now = self.now()
        if what in self.logged and now - self.logged[what] <= REPEAT:
            return False
        self.logged[what] = now
        return True

    def stop(self, number: signal.Signals) -> None:
        """Begins the shutdown; a second signal exits at once."""
        if self.stopped_by is not None:
            raise SystemExit(128 + number)
        self.stopped_by = signal.Signals(number)
        self.log.info("stopping", signal=self.stopped_by.name, connections=len(self.connections))
        if self.stopping is not None:
            self.stopping.set()

    async def end(self) -> None:
        """Stops accepting, waits until clients have read their answers or GOODBYE seconds have passed, and saves."""
        self.admission.stop()
        for connection in list(self.connections):
            connection.answer_pending()
        until = self.now() + GOODBYE
        while (self.now() < until or self.saving.jobs) and not all(each.is_done() for each in self.connections):
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.transport.abort()
        await self.saving.end()

    # clients

    def part(self, connection: Connection) -> None:
        """Removes the connection of a client that has closed it."""
        self.admission.part(connection)
        self.holding.discard(connection)
        connection.free_buffers()

    def reserve(self, count: int) -> bool:
        """Counts `count` more buffered bytes if --max_buffers permits them; returns whether it does."""
        most = self.options["max_buffers"]
        if self.buffered + count > most:
            for connection in self.connections:
                connection.shrink(SMALL)
        if self.buffered + count > most:
            return False
        self.buffered += count
        return True

    def allowance(self) -> int:
        """Bytes to read from a client at a time; fewer when buffers are nearly full, as answers may exceed lines."""
        left = (self.options["max_buffers"] - self.buffered) // 16
        return min(self.slice, max(left, SMALLEST_SLICE))

    def is_crowded(self) -> bool:
        """Whether buffers are over --max_buffers: clients with unread answers are not read from (backpressure)."""
        return self.buffered > self.options["max_buffers"]

    def release(self, count: int) -> None:
        """Subtracts `count` bytes that are no longer buffered."""
        self.buffered -= count

    def process(self, connection: Connection, lines: memoryview | bytes, until: float) -> int:
        """Processes complete lines of a client until the time `until` or a save; returns the bytes processed."""
        began = self.now()
        done = self.commands.run(connection, lines, until)
        took = self.now() - began
        # for a few lines the overhead dominates, so they are no measure of the model's speed
        if done >= SMALLEST_SLICE or took > TIME_SLICE:
            speed = done / max(took, 1e-6)
            self.speed = speed if not self.speed else 0.8 * self.speed + 0.2 * speed
            self.slice = min(max(int(self.speed * TIME_SLICE), SMALLEST_SLICE), LARGE)
        return done

    def learn(
        self, connection: Connection, lines: memoryview | bytes, until: float = math.inf, json: bool = False
    ) -> tuple[bytes, int]:
        """Passes lines, or one example in JSON, to the model until the time `until`.

        Returns their answers, and the journal entry that must be committed before they are sent (0 for none).
        """
        trouble = b""
        try:
            if json:
                answers = self.engine.run_json(bytes(lines), connection.lines + 1)
            else:
                answers = self.engine.run(lines, connection.lines + 1, until - self.now())
        except Exception as error:  # such as a full disk; the line that caused it is unknown
            self.complain("lines of a client could not be processed", why=repr(error))
            answers = self.engine.answers.drain()
            trouble = f"!error {shown(error)}\n".encode("utf-8", "replace")
        connection.lines += self.engine.lines
        self.log_remarks()
        entry = 0
        if self.journal is not None:
            learned = self.engine.take_learned()
            if learned:
                entry = self.journal.append(JSON_ENTRY + bytes(lines) if json else learned)
        self.saving.look()
        if trouble:
            connection.answer(answers + trouble, entry)
            connection.finish()
            return b"", entry
        return answers, entry

    def log_remarks(self) -> None:
        """Logs the model's remarks since the last call."""
        for number, before, after in self.engine.drift.events() if self.engine.drift is not None else ():
            self.log.warning("drift", example=number, loss_before=before, loss_after=after)
        self.saving.save_drifts(self.engine.to_save)
        while self.engine.remarks:
            self.log.warning(self.engine.remarks.pop(0))

    def journal_committed(self) -> None:
        """Sends the answers of committed entries; stops learning while the journal can't be written."""
        journal = self.journal
        if journal is None:
            return
        failure = journal.failure
        if failure is not None and self.engine.driver.refusal is None:
            self.log.error("the journal can't be written; nothing is learned until it can", why=str(failure))
            self.engine.stop_learning(str(failure))
        elif failure is None and self.engine.driver.refusal is not None and not self.engine.drifted:
            self.log.info("the journal can be written again")
            self.engine.stop_learning(None)
            self.saving.save_itself()  # the last checkpoint may have failed, too
        self.committed = journal.committed
        for connection in list(self.holding):
            connection.commit(self.committed)

    async def sweep(self) -> None:
        """Once a second, updates rates and closes connections that have timed out."""
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
                except Exception as error:  # the other connections still have to be checked
                    self.complain("a connection is closed", why=repr(error))
                    connection.transport.abort()

    def look_after(self, connection: Connection, now: float) -> None:
        """Closes the connection of a client that has sent, or read, nothing for --read_timeout seconds."""
        patience = self.options["read_timeout"]
        if connection.left_at and now - connection.left_at > GOODBYE:
            connection.transport.abort()
        elif connection.replies.is_stuck(now, patience):
            self.log.warning("a client reads no answers", seconds=patience)
            connection.transport.abort()
        elif connection.over or connection.has_unread():
            connection.regulate()
        elif not connection.trusted and now - connection.began > admission.TOKEN_TIME:
            connection.fail("no token was received in time")
        elif connection.is_silent(now, patience):
            connection.fail(f"nothing was received for {patience:g} seconds (--read_timeout)")
        else:
            connection.regulate()

    def reload_model(self) -> None:
        """Replaces the model by the current content of its file (on SIGHUP)."""
        if self.original is None:
            self.log.warning("SIGHUP: there is no model file to load; start with -i or -f")
            return
        if self.saving.is_at(self.original.path):  # whether the file is our own is known after the save
            asyncio.get_running_loop().call_later(0.05, self.reload_model)
            return
        if self.original.is_known():
            self.log.info("SIGHUP: the model file is the one that this daemon loaded or saved; the model is unchanged")
            return
        try:
            engine = self.original.load()
        except VwliteError as error:
            self.log.error("SIGHUP: the model is unchanged", why=str(error))
            return
        if engine.blocks != self.blocks:
            self.log.error("SIGHUP: the model is unchanged", why="the file's model expects another kind of examples")
            return
        if self.journal is None:
            self.engine = engine
            self.saving.replaced()
            self.loaded("")
        else:  # a restart continues from the checkpoint
            engine.note_learned()
            self.saving.ask(str(self.saving.checkpoint), self.loaded, engine)

    def loaded(self, trouble: str) -> None:
        """Logs that the model was replaced, or why it was not."""
        if trouble:
            self.log.error("SIGHUP: the model is unchanged", why=trouble)
        else:
            self.log.info("model loaded", id=str(self.engine.workspace.parent))
            self.journal_committed()
