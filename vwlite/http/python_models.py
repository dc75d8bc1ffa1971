"""Models in Python of the operator's own, such as those of River: anything with learn_one and predict_one.

They come from the server's disk, by an import path on its command line, and never from a request. They live as long as
the process: there is no way to save an object of Python that is safe to load.
"""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace
from typing import Any

import msgspec

from vwlite.errors import VwliteError
from vwlite.http.kinds import Kind
from vwlite.http.model import ERROR, Model

ENCODER = msgspec.json.Encoder()


class PythonKind(Kind):
    """Labels are values of any kind; predictions are what the object predicts."""

    name = "python"
    takes_records = True

    def __init__(self, engine: Any, probabilities: bool) -> None:
        self.engine = engine
        self.name = "python"  # type: ignore[misc]
        self.probabilities = probabilities

    def is_bare(self) -> bool:
        """No: a prediction may be anything."""
        return False

    def label(self, value: Any) -> Any:
        """The value as it is."""
        return value

    def members(self, answer: bytes) -> bytes:
        """The prediction, as JSON without braces."""
        return b'"prediction": ' + answer

    def prediction(self, answer: bytes) -> Any:
        """The prediction."""
        return msgspec.json.decode(answer)


class Writer:
    """Writes a record as a line of JSON."""

    def one(self, record: dict[str, Any], label: Any = None, weight: float | None = None) -> bytes:
        """The line of a record and its label."""
        return ENCODER.encode([record, label, label is not None or None]) + b"\n"

    def many(self, records: Any, labels: Any, weights: Any) -> list[bytes | str]:
        """The lines of records and their labels."""
        return [self.one(record, label) for record, label in zip(records, labels, strict=True)]


class PythonEngine:
    """What the rest of the service uses of an engine."""

    def __init__(self) -> None:
        self.blocks = False
        self.remarks: list[str] = []
        self.drift: Any = None
        self.columns = ["prediction"]
        counters = SimpleNamespace(example_number=0, weighted_labeled=0.0, sum_loss=0.0)
        self.driver = SimpleNamespace(counters=counters)
        self.workspace = SimpleNamespace(
            options={}, top=SimpleNamespace(takes_label=None), unknown_features=lambda: None
        )
        self.about: Any = dict

    def take_learned(self) -> bytes:
        """Nothing: the journal has only what can be learned again."""
        return b""

    def save(self, path: str, stream: Any = None) -> None:
        """Raises VwliteError: such a model can't be saved."""
        raise VwliteError("a model in Python can't be saved or downloaded: it lives as long as the server")


class PythonModel(Model):
    """A model that is an object of Python.

    Args:
        name: Its name.
        target: The object.
        where: Its import path.
    """

    def __init__(self, name: str, target: Any, where: str) -> None:
        from vwlite.http.curve import Curve
        from vwlite.http.latency import Recent
        from vwlite.http.scores import Scores

        self.name, self.uid, self.target = name, f"python-{name}", target
        engine: Any = PythonEngine()
        self.engine = engine
        self.kind = PythonKind(engine, hasattr(target, "predict_proba_one"))
        self.scores = Scores(self.kind)
        self.writer: Any = Writer()
        self.curve, self.metric_curve, self.recent = Curve(), Curve(), Recent()
        self.begin()
        self.words = [where]
        self.notes = ["it is in memory only: what it learns ends with the server"]

    def run(self, lines: Any, learning: bool = True) -> list[bytes]:
        """Predicts for records, and learns those with a label."""
        return [self.example(line, learning) for line in lines]

    def predict(self, lines: Any) -> list[bytes]:
        """Predicts for records."""
        return self.run(lines, False)

    def example(self, line: bytes, learning: bool) -> bytes:
        """Predicts for a record, and learns it if it has a label; an error of the object is the answer."""
        record, label, labelled = msgspec.json.decode(line)
        try:
            predict = getattr(self.target, "predict_proba_one", None) or self.target.predict_one
            try:
                found = predict(record)
            except NotImplementedError:
                found = self.target.predict_one(record)
            if learning:
                if labelled:
                    self.target.learn_one(record, label)
                else:
                    self.target.learn_one(record)
                self.engine.driver.counters.example_number += 1
            return ENCODER.encode(plain(found))
        except Exception as error:  # the operator's code; the server goes on
            return ERROR + f"{type(error).__name__}: {error}".encode("utf-8", "replace").replace(b"\n", b" ")

    def stack(self) -> list[dict[str, Any]]:
        """None that is known."""
        return []

    def entities(self) -> int | None:
        """None: it has none."""
        return None


def plain(value: Any) -> Any:
    """A prediction as JSON has it."""
    if isinstance(value, dict):
        return {spelled(name): plain(each) for name, each in value.items()}
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def spelled(name: Any) -> str:
    """A class as a key of JSON."""
    return str(name).lower() if isinstance(name, bool) else str(name)


def load(name: str, where: str) -> PythonModel:
    """Makes the model of an import path.

    Args:
        name: The name of the model.
        where: `module:object`; an object without learn_one, such as a function, is called for it.

    Returns:
        The model.

    Raises:
        VwliteError: If there is none.
    """
    module, _, path = where.partition(":")
    try:
        target: Any = importlib.import_module(module)
        for part in path.split("."):
            target = getattr(target, part)
        if isinstance(target, type) or not hasattr(target, "learn_one"):
            target = target()
    except Exception as error:  # whatever the operator's module does when it is imported
        raise VwliteError(f"--model {name}={where}: {type(error).__name__}: {error}") from error
    if not (hasattr(target, "learn_one") and hasattr(target, "predict_one")):
        raise VwliteError(f"--model {name}={where}: has no learn_one and predict_one")
    return PythonModel(name, target, where)
