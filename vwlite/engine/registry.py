"""The registry of learners: the modules of the package `reductions`, in the order of its lists."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vwlite.core.options import OptionGroup, Options

PACKAGE = "vwlite.reductions"


def names() -> tuple[str, ...]:
    """The names of all learners' modules, bottom to top."""
    package = import_module(PACKAGE)
    return (*package.BOTTOMS, *package.REDUCTIONS)


def module(name: str) -> Any:
    """Imports the module of a learner."""
    return import_module(f"{PACKAGE}.{name}")


def bottoms() -> tuple[Any, ...]:
    """The modules of bottom learners, in order of precedence."""
    return tuple(module(name) for name in import_module(PACKAGE).BOTTOMS)


def reductions() -> tuple[Any, ...]:
    """The modules of reductions, bottom to top."""
    return tuple(module(name) for name in import_module(PACKAGE).REDUCTIONS)


def modules() -> tuple[Any, ...]:
    """The modules of all learners, bottom to top."""
    return bottoms() + reductions()


def default_place() -> str:
    """The reduction above which plugins are placed by default."""
    return str(import_module(PACKAGE).ABOVE)


def option_groups() -> list[OptionGroup]:
    """The options of all learners of vwlite."""
    return [module.OPTIONS for module in modules() if hasattr(module, "OPTIONS")]


def upgrade(kept: dict[str, Any], typed: Options) -> dict[str, Any]:
    """Converts the options stored in an old model to current ones, so that it predicts as before.

    `typed` are the options of the run.
    """
    for module in modules():
        if hasattr(module, "upgrade"):
            kept = module.upgrade(kept, typed)
    return kept


def flags_of_posteriors() -> list[str]:
    """The flags of learners with a posterior."""
    return [f"--{name}" for module in modules() for name in getattr(module, "POSTERIORS", ())]
