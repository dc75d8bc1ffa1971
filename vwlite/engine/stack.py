"""Builds the stack of learners from the options, and checks the types of neighbouring learners.

Learners are modules of `reductions` with a function setup(builder), which returns the learner or None. The modules and
their order come from the registry (registry.py) and from plugins (plugins.py); this module names none of them.
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
    """Builds a stack; the argument of a learner's setup().

    Args:
        options: The options of the run.

    Attributes:
        base: The top of the stack so far, None for a bottom learner.
        notes: Messages about the stack for the user.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.base: Any = None
        self.notes: list[str] = []
        self.built: list[Any] = []  # the modules whose learners are in the stack

    def build(self) -> Any:
        """Builds the stack; returns its top learner.

        Raises StackError if the types of two neighbours differ, OptionError if a learner can't be set up.
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
        """Adds a module's learner to the top, if its setup() returns one."""
        learner = module.setup(self)
        if learner is not None:
            plugins.refuse_python_learner(learner)
            if learner.base is not None:
                check_seam(learner)
            self.base = learner
            self.built.append(module)

    def require(self, name: str) -> Any:
        """Returns the base, with this module's learner added on top if it is not in the stack yet."""
        module = registry.module(name)
        if module not in self.built:
            self.add(module)
        return self.base

    def effect(self, name: str, ridge: float | None) -> Any:
        """Creates a learner of random effects, called `name`; None if the options request no such learner."""
        for module in registry.bottoms():
            learner = module.effect(self, name, ridge) if hasattr(module, "effect") else None
            if learner is not None:
                return learner
        return None

    def flags_of_posteriors(self) -> list[str]:
        """The flags of learners that effect() can create."""
        return registry.flags_of_posteriors()

    def fixed_models(self) -> Any:
        """The factory of fixed models: saved models that score inside the stack."""
        from vwlite.engine.fixed import FixedModels

        return FixedModels(self.options, build)

    def note(self, text: str) -> None:
        """Adds a message for the user, once."""
        if text not in self.notes:
            self.notes.append(text)

    def vectors(self, width: int, flag: str) -> Any:
        """Returns a base with `width` weight vectors, which the learner of `flag` needs.

        Learners that have only one vector are copied, with all below them.
        """
        lowest = [i for i, learner in enumerate(reversed(list(chain(self.base)))) if not learner.holds_vectors]
        if not lowest or width == 1 or self.base.takes_label is not Learner.takes_label:
            return self.base  # learners of other labels are not copied: check_seam refuses them
        from vwlite.bases.replicas import Replicas

        built, above = self.built[: lowest[-1] + 1], self.built[lowest[-1] + 1 :]
        tops = [self.base_of(built) for _ in range(width)]
        self.base, self.built = Replicas(tops, flag), built
        for module in above:
            self.add(module)
        return self.base

    def base_of(self, modules: Sequence[Any]) -> Any:
        """Builds a stack of these modules' learners alone."""
        inner = Builder(self.options)
        for module in modules:
            inner.add(module)
        return inner.base


def build(options: Options) -> Any:
    """Builds the stack of the options; returns its top learner."""
    return Builder(options).build()


def set_widths(top: Learner, width: int = 1) -> None:
    """Sets each learner's number of weight vectors, needed by those above, and the stride between its own."""
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
    """Whether one of a learner's necessary options is given, or it has none."""
    group = getattr(module, "OPTIONS", None)
    necessary = [option.name for option in group.options if option.necessary] if group else []
    return not necessary or any(name in options and options.given(name) for name in necessary)


def check_seam(learner: Any) -> None:
    """Compares the types of labels and predictions of a reduction with those of its base.

    Raises StackError that names both learners, both types, and learners that fit.
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
    """The names of the modules of a stack's learners, top to bottom; then the kinds of needs.py that they have."""
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
    """The stack as --dry_run prints it: one learner a line, top to bottom."""
    lines = []
    for entry in describe(top):
        taken = "".join(f"  {spell(name, value)}" for name, value in entry["options"].items())
        origin = f"  ({plugins.spell(entry['plugin'])})" if "plugin" in entry else ""
        lines.append(f"{entry['name']:<20} {entry['label']} -> {entry['prediction']}{taken}{origin}")
    return "\n".join(lines)
