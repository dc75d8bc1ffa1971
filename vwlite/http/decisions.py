"""Bandits: decisions among actions, and what they have cost.

A decision in JSON has a context and actions by name; in VW's text it is a shared line and one for each action, in the
order in which they were given. The features of the context are in the namespace `context`, those of an action, and its
name, in the namespace `action`; what is an object inside is a namespace of its own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, ClassVar

from vwlite.core.types import LabelType, PredictionType
from vwlite.daemon.engine import Engine
from vwlite.http.kinds import Kind
from vwlite.http.problems import Problem, pointer
from vwlite.http.records import RecordWriter

MOST_ACTIONS = 10_000
DRAWS = random.SystemRandom()


class Bandit(Kind):
    """Examples are decisions; predictions are an action and the probabilities of all."""

    name: ClassVar[str] = "bandit"
    flavor: ClassVar[str] = "custom"
    takes_records: ClassVar[bool] = False

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.writer = RecordWriter(engine.workspace.options, LabelType.SIMPLE)

    def text(
        self,
        context: Mapping[str, Any] | None,
        actions: Mapping[str, Mapping[str, Any]],
        chosen: str | None = None,
        cost: float = 0.0,
        probability: float = 1.0,
    ) -> bytes:
        """A decision in VW's text, with the empty line at its end; labelled if an action is the chosen one.

        Args:
            context: The features that all actions have.
            actions: The features of each action, by its name.
            chosen: The action that was taken; None if that is not known.
            cost: What it has cost.
            probability: With which it was taken.

        Returns:
            The lines.

        Raises:
            Problem: If it is none.
        """
        if not actions:
            raise Problem(400, "a decision is among one action or more", pointer("actions"))
        if len(actions) > MOST_ACTIONS:
            raise Problem(400, f"more than {MOST_ACTIONS:,} actions", pointer("actions"))
        lines = []
        if context:
            lines.append(b"shared " + self.features("context", context, pointer("context")))
        for number, (name, features) in enumerate(actions.items()):
            if not name:
                raise Problem(400, "an action without a name", pointer("actions"))
            line = self.features("action", {name: True, **features}, pointer("actions", name))
            if name == chosen:
                label = f"{number}:{single(cost):.9g}:{single(probability):.9g} "
                line = label.encode() + line
            lines.append(line)
        if chosen is not None and chosen not in actions:
            raise Problem(400, f"the action {chosen!r} is none of the decision's", pointer("action"))
        return b"".join(lines) + b"\n"

    def features(self, namespace: str, record: Mapping[str, Any], where: str) -> bytes:
        """The features of a line, in a namespace of their own, and in those of objects inside."""
        inner = {name: value for name, value in record.items() if isinstance(value, (dict, list))}
        plain = {name: value for name, value in record.items() if name not in inner}
        try:
            return self.writer.one({namespace: plain, **inner})
        except Problem as problem:
            raise Problem(400, problem.detail, where) from None

    def pairs(self, answer: bytes) -> list[tuple[int, float]]:
        """Numbers of actions and their probabilities, the chosen one first. Of a model without, one of 1."""
        given = self.top.gives_prediction
        word = answer.decode("ascii", "replace").split(" ", 1)[0].strip()
        if given is PredictionType.ACTION:
            return [(int(word), 1.0)]
        found = [pair.rpartition(":") for pair in word.split(",")]
        pairs = [(int(number), float(value)) for number, _, value in found]
        if given is PredictionType.ACTION_SCORES:  # costs, the least first
            return [(number, float(place == 0)) for place, (number, _) in enumerate(pairs)]
        return pairs

    def choice(self, answer: bytes, names: list[str]) -> tuple[str, float, dict[str, float]]:
        """An action drawn by the probabilities, its probability, and those of all actions by name.

        Some policies list the likeliest action first and leave the draw to the caller, as Vowpal Wabbit's do. Others
        have drawn one, for which another draw by the same probabilities is as good.
        """
        pairs = self.pairs(answer)
        shares = [value for _, value in pairs]
        ((chosen, probability),) = DRAWS.choices(pairs, shares) if sum(shares) > 0 else pairs[:1]
        probabilities = {names[number]: value for number, value in pairs}
        return names[chosen], probability, {name: probabilities[name] for name in names if name in probabilities}

    def chosen(self, action: str, probability: float, probabilities: Mapping[str, float]) -> bytes:
        """The members of the answer to a decision in JSON, without braces."""
        shares = ", ".join(f"{quoted(name)}: {value:.6g}" for name, value in probabilities.items())
        words = f'"action": {quoted(action)}, "probability": {probability:.6g}, "probabilities": {{{shares}}}'
        return words.encode()


def single(value: float) -> float:
    """A number that is finite in single precision. Raises Problem for another one."""
    if not math.isfinite(value) or abs(value) > 3.4e38:
        raise Problem(400, f"a cost or reward is a finite number, not {value}", pointer("cost"))
    return value


def cost_of(cost: float | None, reward: float | None) -> float:
    """The cost that a request gives, as such or as a reward. Raises Problem for none or both."""
    if (cost is None) == (reward is None):
        raise Problem(400, "either 'cost' or 'reward' is expected: a reward is a negative cost", pointer("cost"))
    return cost if cost is not None else -float(reward or 0.0)
