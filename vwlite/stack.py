"""Builds the stack of learners that the options ask for, and checks every seam."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vwlite.errors import OptionError, StackError
from vwlite.learner import Learner, walk
from vwlite.options import spell

if TYPE_CHECKING:
    from types import ModuleType

    from vwlite.options import OptionGroup, Options

# The one ordered list, bottom to top. Of the bottom learners the first whose setup() answers is taken.
BOTTOM_LEARNERS = ("nothing", "glm", "gd")
REDUCTIONS = ("random_effect", "offset", "classweight", "scorer", "binary", "thompson")


def modules() -> list[ModuleType]:
    """The modules of all learners, bottom to top."""
    return [import_module(f"vwlite.reductions.{name}") for name in BOTTOM_LEARNERS + REDUCTIONS]


def option_groups() -> list[OptionGroup]:
    """The options of all learners that have some."""
    return [module.OPTIONS for module in modules() if hasattr(module, "OPTIONS")]


def upgrade(kept: dict[str, Any], typed: Options) -> dict[str, Any]:
    """What a model keeps of its options, in the words of today, for a run with these options: old models do what they
    did.
    """
    for module in modules():
        if hasattr(module, "upgrade"):
            kept = module.upgrade(kept, typed)
    return kept


def build(options: Options) -> Any:
    """The top learner of the stack.

    Raises StackError when two neighbours don't fit, OptionError when a learner can't be set up.
    """
    found = modules()
    top: Any = None
    for module in found[: len(BOTTOM_LEARNERS)]:
        if top is None and is_wanted(module, options):
            top = module.setup(options, None)
    for module in found[len(BOTTOM_LEARNERS) :]:
        learner = module.setup(options, top) if is_wanted(module, options) else None
        if learner is not None:
            check_seam(learner)
            top = learner
    width = 1
    for learner in walk(top):
        learner.spread(width)
        width *= learner.feature_width
    return top


def effect(options: Options, name: str, ridge: float) -> Any:
    """The learner of a random effect, with parameters for each entity.

    Raises OptionError when no learner that can be one was asked for.
    """
    glm = import_module("vwlite.reductions.glm")
    kind = glm.kind_of(options)
    if kind is None:
        kinds = ", ".join(f"--{one}" for one in glm.KINDS)
        raise OptionError([f"--random_effect {name} needs a learner for the effects: one of {kinds}"])
    to_mean = options["shrink"] == "mean" and options["fixed"] != "same"  # else the fixed part is the mean
    return glm.GLM(options, kind, f"random_effect.{name}", ridge, to_mean)


def is_wanted(module: ModuleType, options: Options) -> bool:
    """Whether one of the learner's necessary options is given; a learner without such options is always asked."""
    group = getattr(module, "OPTIONS", None)
    necessary = [option.name for option in group.options if option.necessary] if group else []
    return not necessary or any(options.given(name) for name in necessary)


def check_seam(learner: Any) -> None:
    """Compare what a reduction hands down and expects back with what its base takes and gives.

    Raises StackError that names both learners, both types, and what would fit.
    """
    base = learner.base
    seams = (
        ("labels", "takes", learner.base_label, base.takes_label),
        ("predictions", "gives", learner.base_prediction, base.gives_prediction),
    )
    for what, verb, wanted, got in seams:
        if wanted is not got:
            fitting = [other.name for other in walk(base.base) if getattr(other, f"{verb}_{what[:-1]}") is wanted]
            hint = f"put it above {' or '.join(fitting)}" if fitting else f"no learner of this run {verb} {wanted.name}"
            raise StackError(
                f"{learner.name} can't stand on {base.name}: it works with {wanted.name} {what}, "
                f"{base.name} {verb} {got.name}; {hint}"
            )
    if learner.base_multiline is not base.multiline:
        kinds = {True: "blocks of lines", False: "single lines"}
        raise StackError(
            f"{learner.name} can't stand on {base.name}: it hands down {kinds[learner.base_multiline]}, "
            f"{base.name} takes {kinds[base.multiline]}"
        )


def modules_of(top: Learner) -> list[str]:
    """The names of the modules of a stack's learners, top to bottom, without those beside them."""
    names: list[str] = []
    learner: Learner | None = top
    while learner is not None:
        names.append(type(learner).__module__.rpartition(".")[2])
        learner = learner.base
    return names


def describe(top: Learner) -> list[dict[str, Any]]:
    """The stack top to bottom, for the model file and the card."""
    return [
        {
            "name": learner.name,
            "label": learner.takes_label.name,
            "prediction": learner.gives_prediction.name,
            "options": learner.options,
        }
        for learner in walk(top)
    ]


def table(top: Learner) -> str:
    """The stack as --dry-run prints it: one learner a line, top to bottom."""
    lines = []
    for entry in describe(top):
        taken = "".join(f"  {spell(name, value)}" for name, value in entry["options"].items())
        lines.append(f"{entry['name']:<20} {entry['label']} -> {entry['prediction']}{taken}")
    return "\n".join(lines)
