"""The model file that SIGHUP loads."""

from __future__ import annotations

import os

from vwlite.core.options import Options
from vwlite.daemon.engine import Engine


class ModelOnDisk:
    """The file named with -i, or else with -f, and which of the files that were there is known.

    What this daemon has loaded from there, or saved there, is known: to load it again would be to forget what was
    learned since.

    Args:
        options: Those of the command line.
        path: The file.
        known: Whether the file that is there now is.
    """

    def __init__(self, options: Options, path: str, known: bool) -> None:
        self.words = list(options.arguments)
        self.path = path
        self.known = self.look() if known else None

    def look(self) -> tuple[int, ...] | None:
        """What tells the file from others that were or will be there; None if there is none."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def is_known(self) -> bool:
        """Whether the file is one that was loaded or saved here."""
        return self.known is not None and self.look() == self.known

    def saved(self, path: str) -> None:
        """A model was saved."""
        if os.path.abspath(path) == os.path.abspath(self.path):
            self.known = self.look()

    def load(self) -> Engine:
        """An engine with the model in the file. Raises VwliteError."""
        from vwlite.engine.command_line import option_groups, parse

        options = parse(self.words, option_groups())
        options.set("initial_regressor", self.path, "command line")
        known = self.look()
        engine = Engine(options)
        self.known = known
        return engine
