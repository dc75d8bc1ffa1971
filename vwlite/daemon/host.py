"""What the parts of a daemon know of the server that they are parts of, and of its clients."""

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
    """One connection, as who works on its lines sees it."""

    lines: int
    waiting: bool
    over: bool
    transport: asyncio.Transport
    replies: Any

    def answer(self, text: bytes, entry: int = 0) -> None:
        """Send an answer, once this entry of the journal is committed."""

    def proceed(self, answer: bytes) -> None:
        """Go on after wait(), with this answer."""

    def wait(self) -> None:
        """Work on no line before proceed()."""

    def finish(self) -> None:
        """Send what waits, and close."""

    def fail(self, why: str) -> None:
        """Answer with an error, and close."""


class Host(Protocol):
    """The server."""

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
        """Log that something goes wrong, but not a thousand times a second."""

    def is_news(self, what: str) -> bool:
        """Whether something was not logged lately; then it is to be logged now."""
        ...

    def part(self, connection: Any) -> None:
        """A client has gone."""

    def reserve(self, count: int) -> bool:
        """Whether so many more bytes may be kept for clients; then they are counted."""
        ...

    def release(self, count: int) -> None:
        """So many are kept no longer."""

    def allowance(self) -> int:
        """Bytes that a client may send at a time."""
        ...

    def is_crowded(self) -> bool:
        """Whether buffers are over their limit (backpressure): who takes no answers is not read from."""
        ...

    def process(self, connection: Any, lines: memoryview | bytes, until: float) -> int:
        """Whole lines of a client; how many bytes were worked on."""
        ...

    def learn(self, connection: Any, lines: memoryview | bytes, until: float = ...) -> tuple[bytes, int]:
        """Give lines to the model; their answers, and the entry of the journal that they have to wait for."""
        ...
