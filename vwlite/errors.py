"""What can go wrong, as exceptions. All are `VwliteError`, so a caller can catch the whole family."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN_TEXT = 80  # characters of a bad line that a message quotes


class VwliteError(Exception):
    """Anything vwlite refuses to do, with a message for the person who asked for it."""


class OptionError(VwliteError):
    """One or more options that cannot be used. `errors` lists them all, so that they can be mended in one go."""

    def __init__(self, errors: Iterable[str] | str) -> None:
        self.errors = [errors] if isinstance(errors, str) else list(errors)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "\n".join(self.errors)


class StackError(VwliteError):
    """Two neighbouring learners whose label or prediction types do not fit."""


class ParseError(VwliteError):
    """A line of input that could not be read; `line` and `column` count from 1."""

    def __init__(self, source: str, line: int, column: int, reason: str, text: str) -> None:
        super().__init__(source, line, column, reason, text)
        self.source = source
        self.line = line
        self.column = column
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= SHOWN_TEXT else self.text[: SHOWN_TEXT - 3] + "..."
        # A message is one line, whatever bytes the input held.
        shown = shown if shown.isprintable() else repr(shown)[1:-1]
        return f"{self.source}:{self.line}:{self.column}: {self.reason}: {shown}"


class ReductionError(VwliteError):
    """A reduction in Python that can't be used, or that failed: its class, its method and the place in the input."""


class ModelError(VwliteError):
    """A model file that cannot be read, trusted or written."""
