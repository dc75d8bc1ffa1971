"""A served model: its engine, what it knows of labels and predictions, and its figures."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from vwlite.core.learner import walk
from vwlite.http.choice_of_kind import kind_of
from vwlite.http.curve import Curve
from vwlite.http.engines import ServedEngine
from vwlite.http.kinds import Kind
from vwlite.http.latency import Histogram, Recent
from vwlite.http.names import FeatureNames
from vwlite.http.problems import Problem
from vwlite.http.records import Label, RecordWriter
from vwlite.http.scores import scores_of

ERROR = b"!error "
MOST_ACTIONS = 100  # that are counted each
EWM = 0.3  # of the moving average of times of calls, as django-river-ml's


class CallTimes:
    """Number and duration of calls, with the names of River's API."""

    def __init__(self) -> None:
        self.calls = 0
        self.total = 0.0
        self.moving = 0.0
        self.buckets = Histogram()

    def add(self, nanoseconds: float) -> None:
        """Counts a call."""
        self.calls += 1
        self.total += nanoseconds
        self.buckets.add(nanoseconds / 1e9)
        self.moving = nanoseconds if self.calls == 1 else EWM * nanoseconds + (1 - EWM) * self.moving

    def members(self) -> dict[str, Any]:
        """The figures."""
        mean = self.total / self.calls if self.calls else 0.0
        return {
            "n_calls": self.calls,
            "mean_duration": int(mean),
            "mean_duration_human": human(int(mean)),
            "ewm_duration": int(self.moving),
            "ewm_duration_human": human(int(self.moving)),
        }


def human(nanoseconds: int) -> str:
    """A duration in words.

    >>> human(2_626_521)
    '2ms626μs521ns'
    """
    return f"{nanoseconds // 10**6}ms{nanoseconds // 1000 % 1000}μs{nanoseconds % 1000}ns"


class Model:
    """A model that is in memory.

    Args:
        name: Its name.
        uid: Its identity, which another model of the same name has not.
        engine: Its engine.
        service: What was stored beside it; empty for a new one.

    Attributes:
        entry: The journal's last entry that it has learned.
        previous: The file of the model that it has replaced, beside its checkpoint; "" if there is none.
        open: How many requests are using it.
    """

    def __init__(self, name: str, uid: str, engine: ServedEngine, service: dict[str, Any]) -> None:
        self.name, self.uid, self.engine = name, uid, engine
        self.kind: Kind = kind_of(engine)
        self.scores = scores_of(self.kind)
        self.writer = RecordWriter(engine.workspace.options, engine.workspace.top.takes_label)
        self.curve, self.metric_curve = Curve(), Curve()
        self.recent = Recent()
        self.begin()
        engine.about = self.service
        self.restore(service)

    def begin(self) -> None:
        """Sets what every model begins with."""
        self.times = {"predict": CallTimes(), "learn": CallTimes()}
        self.made: str = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.notes: list[str] = []
        self.steps: dict[str, Any] = {}
        self.words: list[str] = []
        self.entry = 0
        self.previous = ""
        self.used = 0.0
        self.open = 0
        self.gone = False
        self.failures = 0
        self.errors = 0  # of the last run
        self.names = FeatureNames()
        self.predicted = 0  # decisions that were only predicted
        self.choices: dict[str, list[float]] = {}  # by action: decisions, labels, sum of costs

    def service(self) -> dict[str, Any]:
        """What is stored beside the model."""
        return {
            "uid": self.uid,
            "kind": self.kind.name,
            "labels": self.kind.state(),
            "scores": self.scores.state(),
            "curve": self.curve.state(),
            "metric_curve": self.metric_curve.state(),
            "made": self.made,
            "notes": self.notes,
            "steps": self.steps,
            "words": self.words,
            "previous": self.previous,
            "names": list(self.names.stored),
            "choices": self.choices,
            "card": {"id": self.id, "kind": self.kind.name, "examples": self.examples, "loss": self.loss()},
        }

    def restore(self, service: dict[str, Any]) -> None:
        """Takes over what was stored. Raises Problem for what makes no sense."""
        try:
            self.kind.restore(dict(service.get("labels", {})))
            self.scores.restore(dict(service.get("scores", {})))
            self.curve.restore(dict(service.get("curve", {})))
            self.metric_curve.restore(dict(service.get("metric_curve", {})))
            self.made = str(service.get("made", self.made))
            self.notes = [str(each) for each in service.get("notes", [])]
            self.stand_for(dict(service.get("steps", {})))
            self.words = [str(each) for each in service.get("words", [])]
            self.names.restore(service.get("names", []))
            self.choices = {
                str(name): [float(each) for each in cell] for name, cell in service.get("choices", {}).items()
            }
        except (TypeError, ValueError, AttributeError) as error:
            raise Problem(400, f"what the model file says of its service makes no sense: {error}") from None

    def stand_for(self, steps: dict[str, Any]) -> None:
        """Sets the steps of the pipeline that the model stands in for, and their parameters."""
        self.steps = steps
        self.writer.stand_for(steps)

    # examples

    def run(self, lines: Sequence[bytes]) -> list[bytes]:
        """Passes complete examples in VW's text to the engine; returns an answer for each, without its end.

        What is labelled is learned. An answer that begins with ERROR is what is wrong with an example.
        """
        answers = self.engine.run(b"".join(lines))
        self.errors = answers.count(ERROR)
        if self.engine.blocks:
            return [each.strip(b"\n") for each in split_blocks(answers)]
        return answers.split(b"\n")[:-1]

    def predict(self, lines: Sequence[bytes]) -> list[bytes]:
        """As `run`, without learning, and without any change of the model."""
        driver: Any = self.engine.driver
        before = driver.training, driver.counting
        driver.training = driver.counting = False
        number = getattr(driver, "number", None)
        if number is not None:
            driver.number += self.predicted  # another draw each time
        try:
            return self.run(lines)
        finally:
            driver.training, driver.counting = before
            if number is not None:
                self.predicted += driver.number - number - self.predicted
                driver.number = number

    def score(self, labels: Sequence[Label], answers: Sequence[bytes]) -> None:
        """Adds examples that were learned to the metrics: their labels, and predictions made before."""
        if self.errors:
            pairs = [pair for pair in zip(labels, answers, strict=True) if not pair[1].startswith(ERROR)]
            labels, answers = [label for label, _ in pairs], [answer for _, answer in pairs]
        self.scores.take(labels, answers)

    def note_loss(self) -> None:
        """Adds what the counters say to the curves of the loss and of the first metric."""
        counters, curve = self.engine.driver.counters, self.curve
        weight, loss = counters.weighted_labeled, counters.sum_loss
        self.recent.take(weight - curve.weight, loss - curve.loss)
        curve.take(weight, loss)
        if self.scores.averaged:
            self.metric_curve.take(*self.scores.total())

    def note_choice(self, action: str) -> None:
        """Counts the choice of an action."""
        self.choice(action)[0] += 1

    def note_cost(self, action: str, cost: float) -> None:
        """Counts what an action has cost."""
        cell = self.choice(action)
        cell[1] += 1
        cell[2] += cost

    def actions(self) -> list[dict[str, Any]]:
        """Of each action: how often it was chosen, how often its cost is known, and the mean of that."""
        return [
            {
                "action": name,
                "decisions": int(decisions),
                "costs": int(labels),
                **({"mean_cost": total / labels} if labels else {}),
            }
            for name, (decisions, labels, total) in self.choices.items()
        ]

    def choice(self, action: str) -> list[float]:
        """The counts of an action; of further ones, together."""
        if action not in self.choices and len(self.choices) >= MOST_ACTIONS:
            action = "(others)"
        return self.choices.setdefault(action, [0, 0, 0.0])

    # about it

    @property
    def examples(self) -> int:
        """The number of examples that were learned."""
        count: int = self.engine.driver.counters.example_number
        return count

    def loss(self) -> float | None:
        """The average loss of predictions before learning; None before any."""
        counters = self.engine.driver.counters
        value = counters.sum_loss / counters.weighted_labeled if counters.weighted_labeled > 0 else math.nan
        return value if math.isfinite(value) else None

    def entities(self) -> int | None:
        """The number of entities of all random effects; None of a model without."""
        counts = self.entities_of_effects()
        return sum(counts.values()) if counts else None

    def effects(self, most: int) -> list[str]:
        """The random effects with at most so many entities."""
        return [name for name, count in self.entities_of_effects().items() if count <= most]

    def entities_of_effects(self) -> dict[str, int]:
        """The number of entities of each random effect; the learners of further classes have the same."""
        learners: list[Any] = list(walk(self.engine.workspace.top))
        counts = {each.owner: each.n_entities() for each in learners if "." in each.owner and ":" not in each.owner}
        return {owner.partition(".")[2]: count for owner, count in counts.items() if count is not None}

    def stack(self) -> list[dict[str, Any]]:
        """The learners, top to bottom."""
        from vwlite.engine.stack import describe

        return describe(self.engine.workspace.top)

    @property
    def id(self) -> str:
        """The identity of the model and of its state: it changes as the model learns."""
        return f"{self.uid}-{self.examples}"

    def card(self) -> dict[str, Any]:
        """What the model is, in short."""
        entities = self.entities()
        return {
            "name": self.name,
            "id": self.id,
            "kind": self.kind.name,
            "options": " ".join(self.words),
            "examples": self.examples,
            "loss": self.loss(),
            "made": self.made,
            **({} if entities is None else {"entities": entities}),
            **({"notes": self.notes} if self.notes else {}),
        }


def split_blocks(answers: bytes) -> list[bytes]:
    """The answers to multi-line examples: blocks that end with an empty line, and single lines of errors."""
    found, begin = [], 0
    while begin < len(answers):
        if answers.startswith(ERROR, begin):
            end = answers.index(b"\n", begin) + 1
            if answers.startswith(b"\n", end):
                end += 1
        else:
            end = answers.find(b"\n\n", begin)
            end = len(answers) if end < 0 else end + 2
        found.append(answers[begin:end])
        begin = end
    return found
