"""Models of the HTTP service without a server, in memory."""

from __future__ import annotations

from vwlite.daemon.log import Log
from vwlite.http.house import House
from vwlite.http.model import Model
from vwlite.http.settings import Settings


def served(flags: str = "", kind: str | None = None) -> Model:
    """A new model of these flags."""
    model, _ = House(Settings(), Log(quiet=True)).maker.create("m", flags, kind)
    return model
