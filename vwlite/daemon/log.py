"""What a daemon says on standard error: a line an event, as text or as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from typing import TextIO

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
        about = {name: shortened(value) for name, value in about.items()}
        when = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03}Z"
        if self.as_json:
            line = json.dumps({"time": stamp, "level": level, "event": event, **about}, default=str)
        else:
            words = " ".join(f"{name}={value}" for name, value in about.items())
            line = f"{stamp} {level}: {event}{' ' + words if words else ''}"
        self.plain("".join([char if char.isprintable() else "?" for char in line.replace("\n", " ")]))


def shortened(value: object) -> object:
    """A circumstance of which a line has room for several."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
