"""What a daemon says on standard error: a line an event, as text or as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import TextIO


class Log:
    """Writes events with their circumstances.

    >>> import io
    >>> log = Log(stream := io.StringIO(), as_json=True)
    >>> log.info("listening", port=26542)
    >>> '"event": "listening", "port": 26542' in stream.getvalue()
    True
    """

    def __init__(self, stream: TextIO | None = None, as_json: bool = False, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr or open(os.devnull, "w", encoding="ascii")  # noqa: SIM115
        self.as_json = as_json
        self.quiet = quiet

    def info(self, event: str, **about: object) -> None:
        """Something happened as it should."""
        if not self.quiet:
            self._write("info", event, about)

    def warning(self, event: str, **about: object) -> None:
        """Something that somebody may want to look at."""
        self._write("warning", event, about)

    def error(self, event: str, **about: object) -> None:
        """Something that somebody has to look at."""
        self._write("error", event, about)

    def plain(self, text: str) -> None:
        """Lines as they are, such as a summary."""
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text + "\n")
            self.stream.flush()

    def _write(self, level: str, event: str, about: dict[str, object]) -> None:
        when = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03}Z"
        if self.as_json:
            line = json.dumps({"time": stamp, "level": level, "event": event, **about}, default=str)
        else:
            words = " ".join(f"{name}={value}" for name, value in about.items())
            line = f"{stamp} {level}: {event}{' ' + words if words else ''}"
        self.plain(line.replace("\n", " "))  # if nobody listens any more, serving is more important
