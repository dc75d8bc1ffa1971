"""Which learners there are: the modules of `reductions`, in the order that its lists say."""

from __future__ import annotations

from importlib import import_module
from typing import Any

PACKAGE = "vwlite.reductions"


def names() -> tuple[str, ...]:
    """The names of all of them, bottom to top."""
    package = import_module(PACKAGE)
    return (*package.BOTTOMS, *package.REDUCTIONS)


def module(name: str) -> Any:
    """One of them."""
    return import_module(f"{PACKAGE}.{name}")


def bottoms() -> tuple[Any, ...]:
    """The modules of bottom learners, in order of precedence."""
    return tuple(module(name) for name in import_module(PACKAGE).BOTTOMS)


def reductions() -> tuple[Any, ...]:
    """The modules of reductions, bottom to top."""
    return tuple(module(name) for name in import_module(PACKAGE).REDUCTIONS)


def modules() -> tuple[Any, ...]:
    """All of them, bottom to top."""
    return bottoms() + reductions()


def default_place() -> str:
    """The reduction that one from elsewhere stands above, if it doesn't say where."""
    return str(import_module(PACKAGE).ABOVE)
