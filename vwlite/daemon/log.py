"""The daemon's log on standard error: one line an event, as text or as JSON. With JSON, nothing else is printed."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import select
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

MOST = 4000  # bytes at once; a pipe that select reports as writable accepts 4096
LONGEST = 500  # characters of one field's value


class Log:
    """Writes events, each with named fields.

    >>> import io
    >>> log = Log(stream := io.StringIO(), as_json=True)
    >>> log.info("listening", port=26542)
    >>> '"event": "listening", "port": 26542' in stream.getvalue()
    True
    """

    def __init__(self, stream: TextIO | None = None, as_json: bool = False, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr or open(os.devnull, "w", encoding="ascii")  # noqa: SIM115
        self.dropped = 0
        self.as_json = as_json
        self.quiet = quiet

    def info(self, event: str, **about: object) -> None:
        """Logs an expected event, unless quiet."""
        if not self.quiet:
            self._write("info", event, about)

    def warning(self, event: str, **about: object) -> None:
        """Logs an event that may need attention."""
        self._write("warning", event, about)

    def error(self, event: str, **about: object) -> None:
        """Logs an error that needs attention."""
        self._write("error", event, about)

    def failure(self, error: BaseException) -> None:
        """Logs an exception: a VwliteError by its message, any other with its traceback in one field."""
        from vwlite.errors import VwliteError

        if isinstance(error, VwliteError):
            for line in str(error).splitlines() or [type(error).__name__]:
                self.error("failed", why=line)
        else:
            trace = "".join(traceback.format_exception(error))
            self._write("error", "failed", {"why": repr(error), "traceback": trace[-3 * LONGEST :]})

    def summary(self, lines: Sequence[str]) -> None:
        """Logs the summary at the end, lines of the form "name = value"; in JSON they are one event."""
        if not self.as_json:
            self.plain("\n".join(lines))
            return
        metrics: dict[str, object] = {}
        for line in lines:
            name, equals, value = line.partition(" = ")
            if equals:
                metrics[name.replace(" ", "_").replace("'", "")] = number(value)
        self.info("summary", **metrics)

    def take_all(self) -> None:
        """With JSON, installs hooks that log warnings, uncaught exceptions and the logging of libraries."""
        if not self.as_json:
            return

        def from_thread(about: Any) -> None:
            self.failure(about.exc_value or about.exc_type())

        def from_nowhere(about: Any) -> None:
            self.failure(about.exc_value or about.exc_type())

        def from_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
            self.warning(str(message), category=category.__name__)

        threading.excepthook = from_thread
        sys.unraisablehook = from_nowhere
        warnings.showwarning = from_warning
        logging.basicConfig(handlers=[LibraryHandler(self)], level=logging.WARNING, force=True)

    def plain(self, text: str) -> None:
        """Writes lines unchanged. Drops them if the pipe is full; the next line reports how many were dropped."""
        if not self._has_room():
            self.dropped += 1
            return
        dropped, self.dropped = self.dropped, 0
        if dropped:
            self.warning("log lines were dropped because the pipe was full", times=dropped)
            self.plain(text)
            return
        with contextlib.suppress(OSError, ValueError):  # an error of the log must not end the daemon
            try:
                self.stream.write(text.encode("utf-8", "replace")[:MOST].decode("utf-8", "ignore") + "\n")
                self.stream.flush()
            except BrokenPipeError:  # the reader has closed the pipe; flushing the buffer at exit would fail again
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), self.stream.fileno())
                self.stream.flush()

    def _has_room(self) -> bool:
        """Whether a short text can be written without blocking."""
        try:
            return bool(select.select([], [self.stream.fileno()], [], 0)[1])
        except (OSError, ValueError):  # no descriptor, as in tests, or one that is closed
            return True

    def _write(self, level: str, event: str, about: dict[str, object]) -> None:
        longest = LONGEST
        while len(line := self._line(level, event, about, longest)) > MOST and longest > 1:
            longest //= 2
        self.plain(line)

    def _line(self, level: str, event: str, about: dict[str, object], longest: int) -> str:
        """Formats an event as one line, with at most `longest` characters of each field's value."""
        about = {
            name: shortened(value, 3 * longest if name == "traceback" else longest) for name, value in about.items()
        }
        when = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03}Z"
        if self.as_json:
            line = json.dumps({"time": stamp, "level": level, "event": event, **about}, default=str)
        else:
            words = " ".join(f"{name}={value}" for name, value in about.items())
            line = f"{stamp} {level}: {event}{' ' + words if words else ''}"
        return "".join([char if char.isprintable() else "?" for char in line.replace("\n", " ")])


class LibraryHandler(logging.Handler):
    """A logging.Handler that forwards the records of libraries, such as asyncio, to the log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Logs a record as a warning."""
        self.log.warning(record.getMessage(), source=record.name)


def number(text: str) -> object:
    """Converts a value to a number (None if it is not finite); returns any other text unchanged."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            found = kind(text)
            return found if math.isfinite(found) else None
    return text


def shortened(value: object, longest: int = LONGEST) -> object:
    """Truncates a field's value to `longest` characters."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= longest else text[:longest] + "..."
