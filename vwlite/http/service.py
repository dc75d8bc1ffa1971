"""The service: what all doors of HTTP share."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from typing import Any

from vwlite.daemon.log import Log
from vwlite.http.calls import encode
from vwlite.http.entries import Header
from vwlite.http.events import Streams
from vwlite.http.house import House
from vwlite.http.model import ERROR, Model
from vwlite.http.problems import Problem
from vwlite.http.records import Label
from vwlite.http.settings import Settings
from vwlite.http.state import State, Waiting

RETRY = {"Retry-After": "5"}


class Service:
    """Learns, predicts, and remembers predictions that wait for labels.

    Args:
        settings: Of the server.
        log: The log of events.

    Raises:
        VwliteError: If the folder of the models can't be used.
    """

    def __init__(self, settings: Settings, log: Log) -> None:  # noqa: DOC502
        self.settings, self.log = settings, log
        self.house = House(settings, log)
        self.streams = Streams()
        self.house.changed.append(self.streams.tell)
        self.v1: Any = None
        self.follower: Any = None
        self.taken: set[str] = set()  # identifiers whose labels are being learned
        self.began = time.time()
        self.ready = False
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to serve."""
        loop = asyncio.get_running_loop()
        self.house.start(loop)
        self.tasks = [loop.create_task(self.work())]
        if self.follower is not None:
            self.tasks.append(loop.create_task(self.follower.run()))
        self.ready = True

    def require_writer(self) -> None:
        """Raises Problem if this server only follows another one."""
        if self.settings.follows:
            raise Problem(403, "this server follows another one and only predicts: send this to that one")

    async def end(self) -> None:
        """Saves and closes. Raises VwliteError if a model can't be saved."""
        self.ready = False
        self.streams.end()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.house.end()

    async def work(self) -> None:
        """Once a second: saves that are due, and what is too old."""
        loop = asyncio.get_running_loop()
        count = 0
        while True:
            await asyncio.sleep(1.0)
            count += 1
            try:
                self.house.tick()
                if count % 5 == 0:
                    while self.house.state.expire():
                        await asyncio.sleep(0)
                    await loop.run_in_executor(None, self.house.state.flush_log)
            except Exception as error:  # the next second may be better
                self.log.error("work in the background has failed", why=repr(error))

    # one example

    def predict(self, model: Model, line: bytes) -> bytes:
        """The answer to an example without a label. Raises Problem."""
        (answer,) = model.predict([line])
        if answer.startswith(ERROR):
            raise refusal(answer)
        return answer

    async def learn(  # noqa: DOC502
        self,
        model: Model,
        line: bytes,
        label: Label,
        header: Header | None = None,
        identifier: str | None = None,
        waiting: Waiting | None = None,
    ) -> bytes:
        """Learns an example, and waits until it is in the journal.

        Args:
            model: The model.
            line: The example in VW's text.
            label: Its label, for the metrics.
            header: What the journal has to know beside it.
            identifier: Of the remembered prediction whose label this is.
            waiting: That prediction.

        Returns:
            The answer that was given before.

        Raises:
            Problem: If it can't be learned.
        """
        model.open += 1
        try:
            answer, entry = self.teach(model, line, label, header or Header(model.uid), identifier, waiting)
            await self.house.commits.wait(entry)
        finally:
            model.open -= 1
        return answer

    def teach(
        self,
        model: Model,
        line: bytes,
        label: Label,
        header: Header,
        identifier: str | None = None,
        waiting: Waiting | None = None,
    ) -> tuple[bytes, int]:
        """As `learn`, without waiting: returns the entry of the journal as well. What is refused uses no identifier."""
        if identifier is not None and waiting is not None:
            header.ids = [identifier]
            if waiting.prediction is not None:
                header.answers = [waiting.prediction]
        effects = self.freeing(header) if header.ids or header.key else None
        self.taken.update(header.ids)
        try:
            (answer,), entry = self.house.learn(model, [line], [label], header, effects)
            if answer.startswith(ERROR):
                raise refusal(answer)
        except BaseException:
            self.taken.difference_update(header.ids)
            raise
        return answer, entry

    def freeing(self, header: Header) -> Any:
        """The changes of the state that belong to an entry; then its identifiers are no longer being learned."""
        change = self.house.commits.effects(header)

        def apply(state: State) -> None:
            """Makes the changes."""
            change(state)
            self.taken.difference_update(header.ids)

        return apply

    # predictions that wait for labels

    def remember(
        self, model: Model, example: bytes, prediction: bytes, identifier: str | None = None, commits: bool = True
    ) -> str:
        """Stores a prediction; returns its identifier. Raises Problem if that is not new, or the disk is full."""
        self.require_writer()
        name = identifier or new_identifier()
        try:
            if not self.house.state.remember(name, model.uid, example, prediction):
                raise Problem(409, f"the identifier {name!r} was used before", "/id")
        except sqlite3.Error as error:
            raise self.no_room(error) from error
        if commits:
            self.commit()
        return name

    def commit(self) -> None:
        """Commits predictions that were stored. Raises Problem if that fails: then none of them is."""
        try:
            self.house.state.commit()
        except sqlite3.Error as error:
            raise self.no_room(error) from error

    def no_room(self, error: sqlite3.Error) -> Problem:
        """The problem of predictions that can't be stored, which are taken back."""
        self.house.state.roll_back()
        return Problem(503, f"the prediction can't be remembered: {error}", headers=RETRY)

    def recall(self, identifier: str, model: Model | None) -> tuple[Model, Waiting]:
        """The prediction with an identifier, and its model. Raises Problem if it can't be used."""
        state: State = self.house.state
        found = state.find(identifier)
        if found is None:
            raise Problem(404, f"no prediction is remembered as {identifier!r}: it is unknown, or long gone", "/id")
        if model is not None and found.model != model.uid:
            raise Problem(409, f"{identifier!r} is a prediction of another model than {model.name!r}", "/id")
        if found.example is None or identifier in self.taken:
            raise Problem(410, f"the label of {identifier!r} was learned already", "/id")
        if state.is_expired(found):
            raise Problem(410, f"{identifier!r} has waited for its label for more than --id_ttl", "/id")
        if model is None:
            name = next((name for name, each in self.house.known.items() if each.uid == found.model), None)
            if name is None:
                raise Problem(410, f"the model of {identifier!r} was deleted, or replaced", "/id")
            model = self.house.find(name)
        return model, found


def refusal(answer: bytes) -> Problem:
    """The problem of an example that the model has refused."""
    return Problem(400, answer.removeprefix(ERROR).decode("utf-8", "replace"))


def new_identifier() -> str:
    """A random identifier, which can't be guessed. Those made later sort later, which keeps the index compact."""
    milliseconds = int(time.time() * 1000)
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | int.from_bytes(uuid.uuid4().bytes[-7:], "big")))


def text_of(value: Any) -> bytes:
    """A value in JSON."""
    return encode(value)
