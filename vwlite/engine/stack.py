"""Builds the stack of learners that the options ask for, and checks every seam.

Learners are modules of `reductions` with a function setup(builder), which returns the learner or None; which modules
there are, and in what order, is said there (registry.py) and by plugins (plugins.py). Nothing here knows any by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vwlite.core.learner import Learner, chain, walk
from vwlite.core.options import spell
from vwlite.core.types import LabelType
from vwlite.engine import plugins, registry
from vwlite.errors import StackError

if TYPE_CHECKING:
    from vwlite.core.options import Options


class Builder:
    """What a learner's setup() is given.

    Attributes:
        options: The options of the run.
        base: The learners so far, None for a bottom learner.
        notes: What is to be said about the stack.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.base: Any = None
        self.notes: list[str] = []
        self.built: list[Any] = []  # the modules whose learners are in the stack

    def build(self) -> Any:
        """The top learner of the stack.

        Raises StackError when two neighbours don't fit, OptionError when a learner can't be set up.
        """
        for module in registry.bottoms():
            if self.base is None and is_wanted(module, self.options):
                self.add(module)
        reductions: Sequence[Any] = registry.reductions()
        if added := [plugin for plugin in plugins.known() if is_wanted(plugin, self.options)]:
            reductions = plugins.in_order(registry.bottoms(), reductions, added)
        for module in reductions:
            if is_wanted(module, self.options):
                self.add(module)
        set_widths(self.base)
        return self.base

    def add(self, module: Any) -> None:
        """Put a module's learner on top, if it answers."""
        learner = module.setup(self)
        if learner is not None:
            plugins.refuse_python_learner(learner)
            if learner.base is not None:
                check_seam(learner)
            self.base = learner
            self.built.append(module)

    def require(self, name: str) -> Any:
        """The base with the learner of this module in it, put on top if the options have not asked for it."""
        module = registry.module(name)
        if module not in self.built:
            self.add(module)
        return self.base

    def effect(self, name: str, ridge: float | None) -> Any:
        """A learner with parameters for each entity, called `name`; None when none that can be one was asked for."""
        for module in registry.bottoms():
            learner = module.effect(self, name, ridge) if hasattr(module, "effect") else None
            if learner is not None:
                return learner
        return None

    def flags_of_posteriors(self) -> list[str]:
        """The flags of learners that can be an effect()."""
        return registry.flags_of_posteriors()

    def fixed_models(self) -> Any:
        """What opens and restores saved models that score inside the stack."""
        from vwlite.engine.fixed import FixedModels

        return FixedModels(self.options, build)

    def note(self, text: str) -> None:
        """Say something about the stack, once."""
        if text not in self.notes:
            self.notes.append(text)

    def vectors(self, width: int, flag: str) -> Any:
        """The base as it can hold so many weight vectors, which the learner of `flag` needs.

        Learners that hold only one are copied, with all below them.
        """
        lowest = [i for i, learner in enumerate(reversed(list(chain(self.base)))) if not learner.holds_vectors]
        if not lowest or width == 1 or self.base.takes_label is not Learner.takes_label:
            return self.base  # of learners of other labels no copies are made: the seam is refused
        from vwlite.bases.replicas import Replicas

        built, above = self.built[: lowest[-1] + 1], self.built[lowest[-1] + 1 :]
        tops = [self.base_of(built) for _ in range(width)]
        self.base, self.built = Replicas(tops, flag), built
        for module in above:
            self.add(module)
        return self.base

    def base_of(self, modules: Sequence[Any]) -> Any:
        """A stack of these modules' learners alone."""
        inner = Builder(self.options)
        for module in modules:
            inner.add(module)
        return inner.base


def build(options: Options) -> Any:
    """The top learner of the stack that the options ask for."""
    return Builder(options).build()


def set_widths(top: Learner, width: int = 1) -> None:
    """Tell each learner how many weight vectors those above need of it, and how far its own lie apart."""
    learners = list(chain(top))
    for i, learner in enumerate(learners):
        step = 1
        for below in learners[i + 1 :]:
            if below.copied:
                break
            step *= below.feature_width
        learner.set_place(width, step)
        width = 1 if learner.copied else width * learner.feature_width
        for other in learner.beside:
            set_widths(other)


def is_wanted(module: Any, options: Options) -> bool:
    """Whether one of the learner's necessary options is given; a learner without such options is always asked."""
    group = getattr(module, "OPTIONS", None)
    necessary = [option.name for option in group.options if option.necessary] if group else []
    return not necessary or any(name in options and options.given(name) for name in necessary)


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
    """The names of the modules of a stack's learners, top to bottom; then the kinds of needs.py that there are."""
    learners = list(chain(top))
    kinds = {
        "table": any(learner.has_slots for learner in learners),
        "classes": top.classes is not None,
        "probable": top.gives_probabilities,
        "decisions": top.takes_label is LabelType.CONTEXTUAL_BANDIT,
    }
    return [
        *(learner.name if learner.plugin else type(learner).__module__.rpartition(".")[2] for learner in learners),
        *(kind for kind, present in kinds.items() if present),
    ]


def describe(top: Learner) -> list[dict[str, Any]]:
    """The stack top to bottom, for the model file and the card."""
    return [
        {
            "name": learner.name,
            "label": learner.takes_label.name,
            "prediction": learner.gives_prediction.name,
            "options": learner.options,
            **({"plugin": learner.plugin} if learner.plugin else {}),
        }
        for learner in walk(top, copies=False)
    ]


def table(top: Learner) -> str:
    """The stack as --dry-run prints it: one learner a line, top to bottom."""
    lines = []
    for entry in describe(top):
        taken = "".join(f"  {spell(name, value)}" for name, value in entry["options"].items())
        origin = f"  ({plugins.spell(entry['plugin'])})" if "plugin" in entry else ""
        lines.append(f"{entry['name']:<20} {entry['label']} -> {entry['prediction']}{taken}{origin}")
    return "\n".join(lines)
