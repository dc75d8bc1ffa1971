"""Parts of River's models, as pickles.py reads them: classes, attributes, numbers, and what was learned already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vwlite.http.pickles import Call, Dict, Name, shown

MOST_STEPS = 200  # of a pipeline, also of those inside it
LEARNED = ("_weights", "_idx", "counts", "means", "min", "max", "abs_max", "values", "classifiers")  # empty before


class Refused(ValueError):
    """A model that vwlite can't stand in for; the message says what would do."""


@dataclass
class Translation:
    """The flags that stand in for a model.

    Args:
        options: The flags.
        exact: Whether predictions are the same, to five digits.
        notes: What is different.
        models: The model's steps, by the names of their classes.
    """

    options: list[str] = field(default_factory=list)
    exact: bool = True
    notes: list[str] = field(default_factory=list)
    models: list[tuple[str, Any]] = field(default_factory=list)

    def differ(self, note: str) -> None:
        """Notes a difference, once."""
        self.exact = False
        if note not in self.notes:
            self.notes.append(note)


def kind_of(value: Any) -> str:
    """The name of an object's class, without its module; "" for what is no object of River."""
    if isinstance(value, Call) and isinstance(value.function, Name) and value.function.module.startswith("river."):
        return shown(value.function.name)
    return ""


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, by their names."""
    state = value.state if isinstance(value, Call) else None
    return {name: each for name, each in state.items if isinstance(name, str)} if isinstance(state, Dict) else {}


def number(value: Any, what: str) -> float:
    """A number, or that of a constant schedule. Raises Refused for another one."""
    if kind_of(value) == "Constant":
        value = state_of(value).get("learning_rate")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(f"{what}: only a constant is understood, not {kind_of(value) or type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise Refused(f"{what}: a number too large") from None


def steps_of(value: Any) -> list[Any]:
    """The steps of a pipeline, also of those inside it; of another object, itself. Raises Refused for none."""
    found: list[Any] = []
    left = [value]
    seen = 0
    while left:
        one = left.pop()
        seen += 1
        if seen > MOST_STEPS:
            raise Refused(f"a pipeline of more than {MOST_STEPS} steps")
        if kind_of(one) != "Pipeline":
            found.append(one)
            continue
        left += reversed(members(state_of(one).get("steps")))
    if not found:
        raise Refused("a pipeline without steps: it needs a model")
    return found


def members(value: Any) -> list[Any]:
    """The values of a dict, or of an object that is one."""
    return [each for _, each in value.items] if isinstance(value, (Call, Dict)) else []


def is_filled(value: Any) -> bool:
    """Whether a container, as it stands in a pickle, has anything in it."""
    if isinstance(value, Call):
        arguments = value.arguments if isinstance(value.arguments, tuple) else ()
        return bool(value.items or value.members) or any(is_filled(each) for each in arguments[:1])
    return bool(value.items if isinstance(value, Dict) else isinstance(value, list) and value)


def has_learned(step: Any) -> bool:
    """Whether an object was taught before it was stored."""
    state = state_of(step)
    count = state_of(state.get("optimizer")).get("n_iterations")
    if isinstance(count, (int, float)) and count > 0:
        return True
    given = state.get("categories") is not None  # those of OneHotEncoder are its values then
    return any(is_filled(state.get(name)) for name in LEARNED if not (given and name == "values"))
