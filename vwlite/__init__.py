"""vwlite: an online learner that speaks Vowpal Wabbit's command line.

``vwlite.Workspace("--loss_function logistic")`` learns, predicts, saves and loads; errors are in ``vwlite.errors``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vwlite import errors
    from vwlite.workspace import Workspace

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__", "errors"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Imports what is first asked for, so that `vwlite --version` doesn't pay for it."""
    if name == "errors":
        from importlib import import_module

        return import_module("vwlite.errors")
    if name == "Workspace":
        from vwlite.workspace import Workspace

        return Workspace
    raise AttributeError(f"module 'vwlite' has no attribute {name!r}")
