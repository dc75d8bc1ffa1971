"""Protocols: the interfaces of the server and its connections that the daemon's other modules use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    import signal

    from vwlite.core.options import Options
    from vwlite.daemon.engine import Engine
    from vwlite.daemon.journal import Journal
    from vwlite.daemon.log import Log
    from vwlite.daemon.reload import ModelOnDisk
    from vwlite.daemon.stats import Latency, Rate


class Client(Protocol):
    """A client's connection, as the modules that process its lines use it."""

    lines: int
    waiting: bool
    over: bool
    transport: asyncio.Transport
    replies: Any

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Sends an answer, once this entry of the journal is committed."""

    def proceed(self, answer: bytes) -> None:
        """Sends this answer and continues after wait()."""

    def wait(self) -> None:
        """Processes no line until proceed()."""

    def finish(self) -> None:
        """Sends pending answers, and closes."""

    def fail(self, why: str) -> None:
        """Answers with an error, and closes."""


class Host(Protocol):
    """The server, as its connections, commands and saves use it."""

    options: Options
    engine: Engine
    log: Log
    journal: Journal | None
    token: bytes | None
    original: ModelOnDisk | None
    now: Callable[[], float]
    soon: Callable[[Callable[[], None]], object]
    max_line: int
    blocks: bool
    committed: int
    began: float
    buffered: int
    scrap: bytearray
    connections: set[Any]
    holding: set[Any]
    bytes_in: Rate
    bytes_out: Rate
    lines: Rate
    latency: Latency
    saving: Any
    admission: Any
    stopped_by: signal.Signals | None

    def complain(self, what: str, why: str) -> None:
        """Logs an error, unless the same one was logged in the last minute."""

    def is_news(self, what: str) -> bool:
        """Whether a message was not logged in the last minute; if so, notes that it is logged now."""
        ...

    def part(self, connection: Any) -> None:
        """Removes the connection of a client that has closed it."""

    def reserve(self, count: int) -> bool:
        """Counts `count` more buffered bytes if --max_buffers permits them; returns whether it does."""
        ...

    def release(self, count: int) -> None:
        """Subtracts `count` bytes that are no longer buffered."""

    def allowance(self) -> int:
        """Bytes to read from a client at a time."""
        ...

    def is_crowded(self) -> bool:
        """Whether buffers are over --max_buffers: clients with unread answers are not read from (backpressure)."""
        ...

    def process(self, connection: Any, lines: memoryview | bytes, until: float) -> int:
        """Processes complete lines of a client; returns the number of bytes processed."""
        ...

    def learn(
        self, connection: Any, lines: memoryview | bytes, until: float = ..., json: bool = ...
    ) -> tuple[bytes, int]:
        """Passes lines to the model; returns answers, and the journal entry to be committed before they are sent."""
        ...
