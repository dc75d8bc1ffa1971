"""vwlite: an online learner that speaks Vowpal Wabbit's command line.

``vwlite.Workspace("--loss_function logistic")`` learns, predicts, saves and loads; exceptions are in ``vwlite.errors``.
A reduction in Python derives from ``vwlite.Reduction``, declares its ``vwlite.Option``, and is registered with
``vwlite.register``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vwlite import errors
    from vwlite.bases.reduction import Reduction
    from vwlite.core.options import Option
    from vwlite.engine.plugins import register
    from vwlite.engine.workspace import Workspace

__version__ = "0.1.0"
__all__ = ["Option", "Reduction", "Workspace", "__version__", "errors", "register"]

# The modules of names that are imported at first use, so that `vwlite --version` starts fast.
HOMES = {
    "Option": "vwlite.core.options",
    "Reduction": "vwlite.bases.reduction",
    "Workspace": "vwlite.engine.workspace",
    "errors": "vwlite.errors",
    "register": "vwlite.engine.plugins",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Imports an exported name at first use."""
    if name not in HOMES:
        raise AttributeError(f"module 'vwlite' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(HOMES[name])
    return module if name == "errors" else getattr(module, name)
