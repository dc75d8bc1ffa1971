"""The socket door of a served model: a port for the lines of VW's clients, beside HTTP."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import TYPE_CHECKING, Any

from vwlite.daemon.log import Log
from vwlite.daemon.saving import Saving, shown
from vwlite.daemon.server import GOODBYE, Server
from vwlite.engine.command_line import option_groups, parse
from vwlite.http.entries import Header, split
from vwlite.http.model import Model

if TYPE_CHECKING:
    from vwlite.http.house import House


class LineDoor(Server):
    """Serves the lines of clients of a port, as the daemon does, by a model that HTTP serves as well.

    Args:
        house: The models.
        model: The model.
        saving: Its saves; None if it is in memory only.
        token: The token that clients have to send first; None for no token.
        log: The log of events.
    """

    def __init__(self, house: House, model: Model, saving: Saving | None, token: bytes | None, log: Log) -> None:
        super().__init__(parse(["--daemon"], option_groups()), model.engine, log, None, token)
        self.house, self.model = house, model
        if saving is not None:
            self.saving = saving
        self.committed = house.commits.done
        self.tasks: list[asyncio.Task[None]] = []
        model.open += 1  # it stays in memory
        house.commits.told.append(self.note_commits)

    def open(self, one: socket.socket) -> None:
        """Begins to accept connections."""
        loop = asyncio.get_running_loop()
        self.soon = loop.call_soon
        self.tasks = [loop.create_task(self.sweep()), loop.create_task(self.admission.accept(one, None))]

    def note_commits(self) -> None:
        """Sends the answers of committed entries; learns nothing while the journal can't be written."""
        failure = self.house.commits.failure
        self.engine.stop_learning(failure or None)
        self.committed = self.house.commits.done
        for connection in list(self.holding):
            connection.commit(self.committed)

    def learn(
        self, connection: Any, lines: memoryview | bytes, until: float = math.inf, json: bool = False
    ) -> tuple[bytes, int]:
        """Passes lines to the model; see Server.learn."""
        if self.model.gone:
            connection.answer(b"!error the model was deleted or replaced\n")
            connection.finish()
            return b"", 0
        engine: Any = self.engine
        engine.numbered = True
        try:
            if json:
                answers = engine.run_json(bytes(lines), connection.lines + 1)
            else:
                answers = engine.run(lines, connection.lines + 1, until - self.now())
        except Exception as error:  # such as a full disk; the line that caused it is unknown
            self.complain("lines of a client could not be processed", why=repr(error))
            answers = engine.answers.drain() + f"!error {shown(error)}\n".encode("utf-8", "replace")
        finally:
            engine.numbered = False
        connection.lines += engine.lines
        learned = engine.take_learned()
        entry = 0
        if learned:
            entry = self.house.note(self.model, Header(self.model.uid, scored=False), learned)
            self.house.tell("learn", self.model, examples=len(split(learned, self.blocks)))
        self.log_remarks()
        return answers, entry

    async def end(self) -> None:
        """Stops accepting, and waits until clients have read their answers or GOODBYE seconds have passed."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.admission.stop()
        for connection in list(self.connections):
            connection.answer_pending()
        until = self.now() + GOODBYE
        while self.now() < until and not all(each.is_done() for each in self.connections):
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.transport.abort()
