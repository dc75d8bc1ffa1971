"""What a daemon logs on standard error: a line an event, as text or as JSON. With JSON, there is nothing else."""

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

MOST = 4000  # bytes at once; a pipe that can be written to takes 4096
LONGEST = 500  # letters of one circumstance


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
        self.dropped = 0
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

    def failure(self, error: BaseException) -> None:
        """An error that ends something; one that nobody expected with where it came from, a JSON line even so."""
        from vwlite.errors import VwliteError

        if isinstance(error, VwliteError):
            for line in str(error).splitlines() or [type(error).__name__]:
                self.error("failed", why=line)
        else:
            trace = "".join(traceback.format_exception(error))
            self._write("error", "failed", {"why": repr(error), "traceback": trace[-3 * LONGEST :]})

    def summary(self, lines: Sequence[str]) -> None:
        """The figures at the end, "name = value" each; in JSON they are one event."""
        if not self.as_json:
            self.plain("\n".join(lines))
            return
        figures: dict[str, object] = {}
        for line in lines:
            name, equals, value = line.partition(" = ")
            if equals:
                figures[name.replace(" ", "_").replace("'", "")] = number(value)
        self.info("summary", **figures)

    def take_all(self) -> None:
        """From now on, log also what Python and its libraries would print, if that is to be JSON."""
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
        """Lines as they are, such as a summary. Those for which a pipe has no room are dropped, and counted later."""
        if not self._has_room():
            self.dropped += 1
            return
        dropped, self.dropped = self.dropped, 0
        if dropped:
            self.warning("there was no room to say more", times=dropped)
            self.plain(text)
            return
        with contextlib.suppress(OSError, ValueError):  # whatever happens, serving is more important
            try:
                self.stream.write(text.encode("utf-8", "replace")[:MOST].decode("utf-8", "ignore") + "\n")
                self.stream.flush()
            except BrokenPipeError:  # nobody listens any more; what is kept for them would fail again at the end
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), self.stream.fileno())
                self.stream.flush()

    def _has_room(self) -> bool:
        """Whether a short text can be written without waiting."""
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
        """An event in one line, whose circumstances have at most so many letters."""
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
    """Logs what libraries, such as asyncio, log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log it."""
        self.log.warning(record.getMessage(), source=record.name)


def number(text: str) -> object:
    """A figure as a number, if it is one that JSON has; else as it is written."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            found = kind(text)
            return found if math.isfinite(found) else None
    return text


def shortened(value: object, longest: int = LONGEST) -> object:
    """A circumstance of which a line has room for several."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= longest else text[:longest] + "..."
