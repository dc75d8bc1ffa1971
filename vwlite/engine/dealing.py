"""Several threads: which runs can deal entities to them, and the stack of each."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from vwlite.core.learner import walk
from vwlite.core.options import Options
from vwlite.engine import stack, storing
from vwlite.engine.dealt_driver import DealtDriver
from vwlite.errors import OptionError
from vwlite.features.interactions import Interactions

if TYPE_CHECKING:
    from vwlite.input.transforms import Transforms


def make_driver(options: Options, top: Any, interactions: Interactions) -> DealtDriver:
    """Creates the driver of a stack for --threads; raises OptionError if the run needs all entities together."""
    require(options, top, interactions)
    aside = interactions.aside_names

    def make(driver: DealtDriver) -> Iterator[tuple[Any, Interactions, Transforms | None]]:
        for _ in range(options["threads"]):
            own = twin(options)
            yield (
                stack.build(own),
                Interactions(own, own["bit_precision"], aside),
                None if driver.transforms is None else copy_of(driver.transforms, own),
            )

    return DealtDriver(top, interactions, not options["noconstant"], options["threads"], make)


def require(options: Options, top: Any, interactions: Interactions) -> None:
    """Raises OptionError with all that threads can't share, and what to give instead."""
    learns = not options["testonly"]
    flag = f"--threads {options['threads']}"
    learners = list(walk(top))
    if not any(learner.effect for learner in learners):
        raise OptionError(
            f"{flag}: the entities of a random effect are dealt to threads, and this stack has none ({top.name}): "
            "leave --threads out"
        )
    if options["audit"] or options["invert_hash"]:
        name = "--audit" if options["audit"] else "--invert_hash"
        raise OptionError(
            f"{flag}: {name} shows the coefficients before each example, and threads learn several at once: leave one "
            "of the two out"
        )
    above = [learner for learner in learners if learner.base is not None]
    found = [each for learner in above for each in learner.across_entities(learns)]
    if interactions.has_wildcards:
        found.append(("interactions with wildcards", "the interactions by name"))
    if learns and transforms_learn(options):
        found.append(("a --transform that learns", None))
    if learns and options["names"] != "off":
        found.append((f"--names {options['names']}", None))
    if not found:
        return
    shared = joined([what for what, _ in found])
    instead = [given for _, given in found if given is not None]
    advice = f"give {joined(instead)}" if instead else f"leave {joined([what for what, _ in found])} or --threads out"
    if 0 < len(instead) < len(found):
        advice += f", and leave {joined([what for what, given in found if given is None])} or --threads out"
    raise OptionError(f"{flag} deals the entities to threads, which can't share {shared}: {advice}")


def joined(words: list[str]) -> str:
    """Words as a list in a sentence."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def transforms_learn(options: Options) -> bool:
    """Whether a transform of features has statistics."""
    from vwlite.features.transform_rules import STEPS, read_rules

    return any(STEPS[name].state for rule in read_rules(options) for name, _ in rule.steps)


def twin(options: Options) -> Options:
    """Options for the stack of a thread: files were read already."""
    own = options.copy()
    for name, option in options.declared.items():
        if option.file == "read" and options.given(name):
            own.set(name, options[name], "model")
    return own


def copy_of(transforms: Transforms, options: Options) -> Transforms:
    """Transforms with the same rules and statistics."""
    from vwlite.input.transforms import Transforms
    from vwlite.model import model_file

    own = Transforms(options, transforms.naming, transforms.rules)
    arrays = {f"transforms.{name}": array for name, array in transforms.statistics.arrays().items()}
    reader = model_file.from_bytes("<threads>", b"".join(model_file.pack("<threads>", arrays, {})))
    storing.restore_transforms(SimpleNamespace(driver=SimpleNamespace(transforms=own)), reader)
    return own
