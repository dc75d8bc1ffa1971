"""What lines are: examples, examples in JSON, commands."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from vwlite.daemon import jsonlines
from vwlite.errors import VwliteError

if TYPE_CHECKING:
    from vwlite.daemon.connection import Connection
    from vwlite.daemon.server import Server

SPECIAL = (b"{", b"!", b"\0")


class Commands:
    """Takes the lines of clients apart, and answers them in order."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def run(self, connection: Connection, lines: memoryview | bytes) -> None:
        """Whole lines of one client, as they came."""
        began = self.server.now()
        text = bytes(lines)
        before = connection.lines
        # single bytes are found far faster than two
        if any(mark in text for mark in SPECIAL):
            for kind, part in parts(text, self.server.blocks):
                self.one(connection, kind, part)
                if connection.over:
                    break
        else:
            self.examples(connection, text)
        self.server.lines.add(connection.lines - before)
        self.server.latency.add(self.server.now() - began, connection.lines - before)

    def examples(self, connection: Connection, text: bytes) -> None:
        """Lines in VW's text."""
        answers, entry = self.server.learn(connection, text)
        connection.answer(answers, entry)

    def one(self, connection: Connection, kind: bytes, text: bytes) -> None:
        """Several lines of examples, or one that is something else."""
        if kind == b"{":
            self.example_in_json(connection, text)
        elif kind == b"!":
            connection.lines += 1
            self.command(connection, text.strip()[1:].decode("utf-8", "replace"))
        elif kind == b"\0":
            connection.fail("binary input (a cache of VW) is not understood here; send text")
        else:
            self.examples(connection, text)

    def example_in_json(self, connection: Connection, text: bytes) -> None:
        """One example, and its answer in JSON."""
        blocks = self.server.blocks
        try:
            lines = jsonlines.to_text(text, blocks)
        except VwliteError as error:
            connection.answer(jsonlines.answer(f"!error {error}\n".encode("utf-8", "backslashreplace"), blocks))
        else:
            before = connection.lines
            answers, entry = self.server.learn(connection, lines)
            connection.lines = before
            if answers:
                connection.answer(jsonlines.answer(answers, blocks, self.server.engine.columns), entry)
        connection.lines += 1

    def command(self, connection: Connection, text: str) -> None:
        """A line that starts with an exclamation mark has an answer of one line."""
        name, _, rest = text.partition(" ")
        server = self.server
        try:
            if name == "ping":
                answer = "!pong"
            elif name == "stats":
                answer = json.dumps(self.stats())
            elif name == "save":
                answer = f"!saved {server.saving.now()}"
            elif name == "snapshot":
                answer = f"!saved {server.engine.save(server.engine.place(rest.strip()))}"
            elif name == "quit":
                answer = "!bye"
            else:
                answer = f"!error there is no command !{name[:40]}, only !ping, !stats, !save, !snapshot NAME and !quit"
        except (VwliteError, OSError) as error:
            answer = f"!error {' '.join(str(error).split())}"
        connection.answer(answer.encode("utf-8", "backslashreplace") + b"\n")
        if name == "quit":
            connection.finish()

    def stats(self) -> dict[str, object]:
        """How things are."""
        server, driver = self.server, self.server.engine.driver
        now = server.now()
        labelled = driver.weighted_labeled
        found: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "uptime_seconds": round(now - server.began, 3),
            "model": server.engine.workspace.parent,
            "learns": server.engine.learns and driver.refusal is None,
            "examples": driver.example_number,
            "average_loss": driver.sum_loss / labelled if labelled > 0 else None,
            "malformed": driver.problems,
            "connections": len(server.connections),
            "connections_so_far": server.welcomed,
            "connections_turned_away": server.turned_away,
            "buffered_bytes": server.buffered,
            "lines": server.lines.total,
            "lines_per_second": round(server.lines.per_second(now), 1),
            "bytes_in": server.bytes_in.total,
            "bytes_out": server.bytes_out.total,
            "latency_ms": {
                name: None if (seconds := server.latency.percentile(share)) is None else round(1e3 * seconds, 4)
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))
            },
            **server.saving.stats(),
        }
        if server.journal is not None:
            found["journal"] = {
                "entries": server.journal.last,
                "committed": server.journal.committed,
                "bytes": server.journal.bytes(),
                "failure": None if server.journal.failure is None else str(server.journal.failure),
            }
        return found


def parts(text: bytes, blocks: bool) -> list[tuple[bytes, bytes]]:
    """Lines of examples, together, and each other line by itself; the first is of the kind b"".

    In blocks of lines only what follows an empty line, or another special one, can be special.
    """
    found: list[tuple[bytes, bytes]] = []
    start = at = 0
    boundary = True
    while at < len(text):
        end = text.index(b"\n", at) + 1
        kind = text[at : at + 1]
        if kind in SPECIAL and (boundary or not blocks):
            if at > start:
                found.append((b"", text[start:at]))
            found.append((kind, text[at:end]))
            start = end
            boundary = True
        else:
            boundary = text[at:end] in (b"\n", b"\r\n")
        at = end
    if start < len(text):
        found.append((b"", text[start:]))
    return found
