"""Which learners there are: the modules of `reductions`, in the order that its lists say."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vwlite.core.options import OptionGroup, Options

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


def option_groups() -> list[OptionGroup]:
    """The options of all learners of vwlite that have some."""
    return [module.OPTIONS for module in modules() if hasattr(module, "OPTIONS")]


def upgrade(kept: dict[str, Any], typed: Options) -> dict[str, Any]:
    """What a model keeps of its options, in the words of today, for a run with these options: old models do what they
    did.
    """
    for module in modules():
        if hasattr(module, "upgrade"):
            kept = module.upgrade(kept, typed)
    return kept


def flags_of_posteriors() -> list[str]:
    """The flags of learners that know how sure they are."""
    return [f"--{name}" for module in modules() for name in getattr(module, "POSTERIORS", ())]
