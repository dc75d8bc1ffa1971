"""The model file that SIGHUP loads."""

from __future__ import annotations

import os

from vwlite.core.options import Options
from vwlite.daemon.engine import Engine


class ModelOnDisk:
    """The file of -i, or else of -f, and whether its current content is known.

    Content that this daemon has loaded from the file, or saved to it, is known: loading it again would discard what was
    learned since.

    Args:
        options: The options of the command line.
        path: The file.
        known: Whether its current content is known.
    """

    def __init__(self, options: Options, path: str, known: bool) -> None:
        self.words = list(options.arguments)
        self.path = path
        self.known = self.look() if known else None

    def look(self) -> tuple[int, ...] | None:
        """Identifies the content by device, inode, size and time of change; None if there is no file."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def is_known(self) -> bool:
        """Whether this daemon has loaded or saved the file's current content."""
        return self.known is not None and self.look() == self.known

    def saved(self, path: str) -> None:
        """Records that this daemon has saved a model to a path, which may be the file."""
        if os.path.abspath(path) == os.path.abspath(self.path):
            self.known = self.look()

    def load(self) -> Engine:
        """Loads the file into a new engine. Raises VwliteError."""
        from vwlite.engine.command_line import option_groups, parse

        options = parse(self.words, option_groups())
        options.set("initial_regressor", self.path, "command line")
        known = self.look()
        engine = Engine(options)
        self.known = known
        return engine
