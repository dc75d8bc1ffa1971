"""Commands: dispatches a client's lines to the model, the JSON reader or a command such as !stats."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from typing import TYPE_CHECKING

from vwlite.daemon import json_answers
from vwlite.daemon.protocol import COMMAND, JSON, SAVE, TEXT, parts, save_tag
from vwlite.errors import ModelError

if TYPE_CHECKING:
    from vwlite.daemon.host import Client, Host


class Commands:
    """Processes the lines of clients by their kind, and answers them in order."""

    def __init__(self, server: Host) -> None:
        self.server = server

    def run(self, connection: Client, lines: memoryview | bytes, until: float) -> int:
        """Processes complete lines of one client in order; returns the number of bytes processed.

        Stops at a save that the client has to wait for, and at the time `until`, when other clients get a time slice.
        """
        began = self.server.now()
        text = bytes(lines)
        before = connection.lines
        done = 0
        for kind, part in parts(text, self.server.blocks):
            if kind == TEXT:
                processed = self.examples(connection, part, until)
            else:
                self.one(connection, kind, part)
                processed = len(part)
            done += processed
            if processed < len(part) or connection.over or connection.waiting or self.server.now() > until:
                break
        self.server.lines.add(connection.lines - before)
        connection.replies.note_time(began, connection.lines - before)
        return done

    def examples(self, connection: Client, text: bytes, until: float) -> int:
        """Processes lines in VW's text until the time `until`; returns the number of bytes processed."""
        answers, entry = self.server.learn(connection, text, until)
        connection.answer(answers, entry)
        return self.server.engine.bytes

    def one(self, connection: Client, kind: bytes, text: bytes) -> None:
        """Processes a line that is not an example in VW's text."""
        if kind == JSON:
            self.example_in_json(connection, text)
        elif kind == COMMAND:
            connection.lines += 1
            self.command(connection, text.strip()[1:].decode("utf-8", "replace"))
        elif kind == SAVE:
            connection.lines += 1
            stem, _, name = (save_tag(text) or b"").partition(b"_")
            self.save(connection, os.fsdecode(name) if stem == SAVE and name else None, silent=True)
        else:  # BINARY
            connection.fail("binary input (a cache of VW) is not supported; send text")

    def example_in_json(self, connection: Client, text: bytes) -> None:
        """Processes one example in JSON, and answers in JSON."""
        engine, most = self.server.engine, self.server.options["max_json"]
        if len(text) > most + 1:  # its line end doesn't count
            connection.lines += 1
            connection.answer(json_answers.error(f"an example in JSON of more than {most} bytes (--max_json)"))
            return
        answers, entry = self.server.learn(connection, text, json=True)
        if answers:
            connection.answer(engine.in_json(answers), entry)

    def command(self, connection: Client, text: str) -> None:
        """Executes a command, a line that starts with "!", and answers it with one line."""
        name, _, rest = text.partition(" ")
        if name == "ping":
            connection.answer(b"!pong\n")
        elif name == "stats":
            connection.answer(json.dumps(self.stats()).encode() + b"\n")
        elif name == "save":
            self.save(connection, None)
        elif name == "snapshot":
            self.save(connection, rest.strip())
        elif name == "quit":
            connection.answer(b"!bye\n")
            connection.finish()
        else:
            shown = name[:40].encode("utf-8", "backslashreplace")
            names = b"only !ping, !stats, !save, !snapshot NAME and !quit"
            connection.answer(b"!error there is no command !%b, %b\n" % (shown, names))

    def save(self, connection: Client, name: str | None, silent: bool = False) -> None:
        """Saves the model as it is now; later lines of this client wait for the save, so that they are not in it."""

        def told(trouble: str) -> None:
            answer = f"!error {trouble}\n" if trouble else f"!saved {path}\n"
            connection.proceed(b"" if silent and not trouble else answer.encode("utf-8", "backslashreplace"))

        try:
            path = self.server.saving.place(name)
            if self.server.saving.is_full(path):
                raise ModelError("too many saves are waiting, try again later")
        except ModelError as error:
            connection.answer(f"!error {error}\n".encode("utf-8", "backslashreplace"))
        else:
            connection.wait()
            self.server.saving.ask(path, told)

    def stats(self) -> dict[str, object]:
        """The server's metrics, for !stats."""
        server, counters = self.server, self.server.engine.driver.counters
        now = server.now()
        loss = counters.sum_loss / counters.weighted_labeled if counters.weighted_labeled > 0 else math.nan
        found: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "uptime_seconds": round(now - server.began, 3),
            "model": server.engine.workspace.parent,
            "learns": server.engine.learns and server.engine.driver.refusal is None,
            "examples": counters.example_number,
            "average_loss": loss if math.isfinite(loss) else None,
            "malformed": counters.problems,
            "unmatched": server.engine.workspace.unmatched(),
            "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
            "connections": len(server.connections),
            "connections_so_far": server.admission.welcomed,
            "connections_turned_away": server.admission.turned_away,
            "other_protocols": server.admission.other_protocols,
            "failed_handshakes": server.admission.failed_handshakes,
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
        unknown = server.engine.workspace.unknown_features()
        if unknown is not None:
            found["unknown_features"] = round(unknown, 6)
        if server.journal is not None:
            found["journal"] = {
                "entries": server.journal.last,
                "committed": server.journal.committed,
                "bytes": server.journal.bytes(),
                "failure": None if server.journal.failure is None else str(server.journal.failure),
            }
        return found
