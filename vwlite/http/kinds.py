"""Kinds of models: what their labels are in JSON, and what their predictions are."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, ClassVar

from vwlite.core.types import PredictionType
from vwlite.daemon.engine import Engine
from vwlite.http.problems import Problem, pointer
from vwlite.http.records import Label

Value = bool | int | float | str  # of a label, in JSON

LARGEST = 3.4028235e38  # of single precision


class Kind:
    """What a model learns; here of lines in VW's text alone.

    Args:
        engine: The model.

    Attributes:
        name: The name of the kind.
        flavor: The name that River's API has for it.
        takes_records: Whether examples can be records of JSON.
    """

    name: ClassVar[str] = "lines"
    flavor: ClassVar[str] = "custom"
    takes_records: ClassVar[bool] = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.top = engine.workspace.top
        self.is_number = self.top.gives_prediction is PredictionType.SCALAR and engine.columns == ["prediction"]

    def state(self) -> dict[str, Any]:
        """What has to be stored with the model."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what was stored."""

    def label(self, value: Any) -> Label:
        """The label as the model learns it. Raises Problem for one of another kind."""
        raise Problem(400, f"a model of the kind {self.name!r} learns from lines of text only")

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        """Takes back the names that an example has given to classes, if it is refused."""
        before = self.state()
        try:
            yield
        except Problem:
            self.restore(before)
            raise

    def members(self, answer: bytes) -> bytes:
        """The answer to an example, as JSON without its braces."""
        if self.is_number and answer[-1:].isdigit():  # the usual one: a finite number alone
            return b'"prediction": ' + answer
        return self.engine.in_json(answer)[1:-2]

    def is_bare(self) -> bool:
        """Whether an answer is a number alone, and nothing is said beside it."""
        return self.is_number

    def prediction(self, answer: bytes) -> Any:
        """The prediction as River's API has it."""
        return answer.decode("utf-8", "replace").strip()

    def figures(self, labels: Sequence[Label], answers: Sequence[bytes]) -> list[tuple[Any, Any]]:
        """Labels and predictions, for the metrics."""
        return []


class Regression(Kind):
    """Labels and predictions are numbers."""

    name = "regression"
    flavor = "regression"
    takes_records = True

    def label(self, value: Any) -> Label:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
            raise Problem(400, f"the label of a regression is a finite number, not {shown(value)}", pointer("label"))
        return float(value)

    def prediction(self, answer: bytes) -> float | None:
        """The number; None if it is not finite."""
        value = number(answer)
        return value if math.isfinite(value) else None


class Binary(Kind):
    """Labels are two values of any kind; predictions are the probability of the positive one.

    true and false, 0 and 1, -1 and 1 have their usual meaning. Of other values the first that is met is the positive
    class, and the second the other one.
    """

    name = "binary"
    flavor = "binary"
    takes_records = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.positive: Value | None = None
        self.negative: Value | None = None

    def state(self) -> dict[str, Any]:
        """The names of the classes."""
        return {"positive": self.positive, "negative": self.negative}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over the names of the classes."""
        self.positive, self.negative = state.get("positive"), state.get("negative")

    def label(self, value: Any) -> Label:
        """1 for the positive class and -1 for the other; the first two values name the classes."""
        if not isinstance(value, (bool, int, float, str)) or (isinstance(value, float) and not math.isfinite(value)):
            raise Problem(400, f"a label is a text, a number, true or false, not {shown(value)}", pointer("label"))
        if same(value, self.positive):
            return 1.0
        if same(value, self.negative):
            return -1.0
        if self.positive is None and (self.negative is not None or not is_low(value)):
            self.positive = value
            return 1.0
        if self.negative is None:
            self.negative = value
            return -1.0
        raise Problem(
            400,
            f"the label {shown(value)} is a third one: the two of this model are {shown(self.negative)} and "
            f"{shown(self.positive)}",
            pointer("label"),
        )

    def names(self) -> tuple[str | None, str]:
        """The names of the negative and of the positive class in JSON; None for a negative one not yet met."""
        negative, positive = self.negative, self.positive
        if negative is None:
            negative = False if positive is None or isinstance(positive, bool) else 0 if positive == 1 else None
        if positive is None:
            positive = True if negative is None or isinstance(negative, bool) else 1
        return (None if negative is None else name(negative)), name(positive)

    def prediction(self, answer: bytes) -> dict[str, float] | None:
        """The probability of each class."""
        value = number(answer)
        if not 0 <= value <= 1:
            return None
        negative, positive = self.names()
        rest = float(f"{1 - value:.6g}")
        return {positive: value} if negative is None else {negative: rest, positive: value}

    def is_bare(self) -> bool:
        """Whether an answer is a number alone, and it is clear which class it is the probability of."""
        return self.is_number and (self.positive is None or is_plain(self.positive))

    def members(self, answer: bytes) -> bytes:
        """The prediction, and which class it is the probability of."""
        found = super().members(answer)
        if self.positive is not None and not is_plain(self.positive):
            found += b', "of": ' + quoted(name(self.positive)).encode()
        return found


class Multiclass(Kind):
    """Labels are classes: texts or whole numbers. Predictions are a class, or the probability of each."""

    name = "multiclass"
    flavor = "multiclass"
    takes_records = True

    def label(self, value: Any) -> Label:
        """The class as it stands in a line."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int) and 0 <= value < 1 << 32:
            return str(value)
        if isinstance(value, str) and value and not any(c <= " " or c in ":|" for c in value):
            return value
        raise Problem(
            400,
            f"a label is a class: a text without blanks, ':' and '|', or a whole number from 0, not {shown(value)}",
            pointer("label"),
        )

    def probabilities(self, answer: bytes) -> dict[str, float]:
        """The probability of each class; empty if the model predicts none."""
        if self.top.gives_prediction is not PredictionType.PROBABILITIES:
            return {}
        words = answer.decode("utf-8", "replace").split()
        return {word.rpartition(":")[0]: number(word.rpartition(":")[2].encode()) for word in words}

    def prediction(self, answer: bytes) -> Any:
        """The class that is most probable."""
        likely = self.probabilities(answer)
        whole = answer.decode("utf-8", "replace").strip()
        word = max(likely, key=lambda each: likely[each]) if likely else whole
        named = self.top.classes is not None and self.top.classes.named
        return int(word) if word.isascii() and word.isdigit() and not named else word

    def members(self, answer: bytes) -> bytes:
        """The class, and the probabilities."""
        found = super().members(answer)
        if self.top.gives_prediction is PredictionType.PROBABILITIES:
            value = self.prediction(answer)
            word = str(value) if isinstance(value, int) else quoted(value)
            return b'"prediction": ' + word.encode() + b", " + found
        return found


def number(word: bytes) -> float:
    """The first number of an answer."""
    try:
        return float(word.split(None, 1)[0])
    except (ValueError, IndexError):
        return math.nan


def same(value: Any, other: Value | None) -> bool:
    """Whether two labels are the same class, as 1, 1.0 and true are."""
    return other is not None and bool(value == other)


def is_low(value: Value) -> bool:
    """Whether a label is by its nature the negative class."""
    return value is False or (not isinstance(value, (bool, str)) and value in (0, -1))


def is_plain(value: Value) -> bool:
    """Whether a label is by its nature the positive class."""
    return value is True or (not isinstance(value, (bool, str)) and value == 1)


def name(value: Value) -> str:
    """A label as a key of JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def shown(value: Any) -> str:
    """A value of JSON in a message."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
