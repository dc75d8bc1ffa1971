"""The exceptions of vwlite. All derive from `VwliteError`."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN_TEXT = 80  # characters of a bad line that a message quotes


class VwliteError(Exception):
    """The base class of vwlite's exceptions; the message is for the user."""


class OptionError(VwliteError):
    """One or more options that cannot be used.

    Args:
        errors: The messages, one for each error; or a single message.

    Attributes:
        errors: The list of messages.
    """

    def __init__(self, errors: Iterable[str] | str) -> None:
        self.errors = [errors] if isinstance(errors, str) else list(errors)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "\n".join(self.errors)


class StackError(VwliteError):
    """Two neighbouring learners whose types of labels or predictions differ."""


class ParseError(VwliteError):
    """A malformed line of input.

    Args:
        source: The name of the input.
        line: The number of the line, from 1.
        column: The column of the error in bytes, from 1; 0 in a row that was never text.
        reason: What is wrong.
        text: The line, or of such a row the name and the value.
    """

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
        if self.column == 0:
            return f"{self.source} {self.line}: {self.reason}: {shown}"
        return f"{self.source}:{self.line}:{self.column}: {self.reason}: {shown}"


class ReductionError(VwliteError):
    """A reduction in Python that can't be used or failed; the message names class, method and place in the input."""


class ModelError(VwliteError):
    """A model file that cannot be read, trusted or written."""
