"""Colours and small pictures for a terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO

CODES = {"error": "31", "warning": "33", "good": "32"}
HEIGHTS = "▁▂▃▄▅▆▇█"
WIDEST = 40  # characters of a sparkline


def has_colours(stream: IO[str]) -> bool:
    """Whether a stream is a terminal with colours, and NO_COLOR (no-color.org) is not set."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def coloured(text: str, meaning: str, stream: IO[str]) -> str:
    """Text in the colour of its meaning, a key of CODES, where a stream has colours.

    Args:
        text: The text.
        meaning: A key of CODES.
        stream: Where it will be written.

    Returns:
        The text, with codes around it or without.
    """
    return f"\x1b[{CODES[meaning]}m{text}\x1b[0m" if has_colours(stream) else text


def sparkline(values: Sequence[float]) -> str:
    """A line of blocks whose heights are numbers, from the least to the greatest.

    Args:
        values: The numbers; of more than WIDEST, the last ones.

    Returns:
        A character for each number.

    >>> sparkline([4, 3, 2, 2.5, 1])
    '█▆▃▅▁'
    """
    shown = list(values)[-WIDEST:]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    if not high > low:
        return HEIGHTS[0] * len(shown)
    return "".join(HEIGHTS[round((value - low) / (high - low) * (len(HEIGHTS) - 1))] for value in shown)
