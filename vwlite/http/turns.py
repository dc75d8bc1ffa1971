"""Turns: a batch lets other requests run every few milliseconds."""

from __future__ import annotations

import asyncio
import time

TURN = 0.004  # seconds after which other requests have their turn


class Turn:
    """The turn of a batch, which begins when this is made."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    async def over(self) -> bool:
        """Lets other requests run if this turn is over; returns whether they could, and another one has begun."""
        if time.monotonic() - self.began <= TURN:
            return False
        await asyncio.sleep(0)
        self.began = time.monotonic()
        return True
