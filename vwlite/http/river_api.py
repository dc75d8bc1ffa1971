"""River's API, as its client riverapi speaks it.

The paths, and what is in requests and answers, are those of django-river-ml (its documented specification).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from vwlite import __version__
from vwlite.http.calls import OCTETS, Answer, Call, Receive, Send, decoded, json_answer
from vwlite.http.events import Listener, text_of
from vwlite.http.model import Model
from vwlite.http.problems import Problem
from vwlite.http.records import Label
from vwlite.http.service import Service
from vwlite.http.uploads import Upload, read_upload

FLAVORS = ("regression", "binary", "multiclass", "creme", "custom", "cluster", "neighbor")
ABSENT: Any = msgspec.UNSET


class Body(msgspec.Struct):
    """A request to learn, predict or label."""

    model: Any = None
    features: Any = ABSENT
    ground_truth: Any = None
    prediction: Any = None
    identifier: Any = None
    label: Any = None


class Remembered(msgspec.Struct):
    """What is stored of a prediction.

    Args:
        features: What was predicted for.
        prediction: As it was answered.
    """

    features: dict[str, Any]
    prediction: Any


BODY = msgspec.json.Decoder(Body)
REMEMBERED = msgspec.json.Decoder(Remembered)
STORED = msgspec.json.Encoder()


class RiverApi:
    """Handlers of River's API.

    Args:
        service: The service.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.house = service.house

    def routes(self) -> list[tuple[str, str, Callable[[Call], Awaitable[Answer]], bool]]:
        """Path, method, handler, and whether a token is needed."""
        return [
            ("/", "GET", self.info, False),
            ("/models/", "GET", self.models, True),
            ("/learn/", "POST", self.learn, True),
            ("/predict/", "POST", self.predict, True),
            ("/label/", "POST", self.label, True),
            ("/metrics/", "GET", self.metrics, True),
            ("/stats/", "GET", self.stats, True),
            ("/model/", "DELETE", self.delete, True),
            ("/model/download/{name}/", "GET", self.download, True),
            ("/model/{first}/", "GET", self.model, True),
            ("/model/{first}/", "POST", self.upload, True),
            ("/model/{first}/{second}/", "POST", self.upload, True),
        ]

    async def info(self, call: Call) -> Answer:
        """What this server is."""
        return json_answer(
            {
                "status": "running",
                "version": __version__,
                "id": "vwlite",
                "name": "vwlite",
                "description": "An online learner that speaks Vowpal Wabbit's command line",
                "storage": "disk" if self.service.settings.folder else "memory",
            }
        )

    async def models(self, call: Call) -> Answer:
        """The names of the models."""
        return json_answer({"models": self.house.names()})

    async def upload(self, call: Call) -> Answer:
        """Makes a model of what is uploaded."""
        flavor = call.parts["first"]
        if flavor not in FLAVORS:
            raise Problem(404, f"no flavor named {flavor!r}; there are: {', '.join(FLAVORS)}")
        found: Upload = read_upload(await call.body(), flavor, call.query.get("strict") in ("1", "true"))
        name = call.parts.get("second")
        if name is None:
            name = f"{secrets.choice(FIRST)}-{secrets.choice(SECOND)}-{secrets.token_hex(2)}"
        model, _ = self.house.maker.create(
            name, found.words, found.kind, found.content, notes=found.notes, steps=found.steps
        )
        answer: dict[str, Any] = {"name": name, "options": " ".join(model.words), "notes": found.notes}
        if found.exact is not None:
            answer["exact"] = found.exact
        return json_answer(answer, 201)

    async def predict(self, call: Call) -> Answer:
        """Predicts, and remembers the prediction."""
        body = await call.json(BODY)
        began = time.perf_counter_ns()
        model = self.house.find(body.model)
        features = features_of(body)
        answer = self.service.predict(model, model.writer.one(features))
        prediction = model.kind.prediction(answer)
        found = {"model": model.name, "prediction": prediction}
        if self.service.settings.follows:
            model.times["predict"].add(time.perf_counter_ns() - began)
            return json_answer(found)
        stored = STORED.encode(Remembered(features, prediction))
        found["identifier"] = self.service.remember(model, stored, answer, text(body.identifier, "identifier"))
        model.times["predict"].add(time.perf_counter_ns() - began)
        self.house.tell("predict", model, features=features, prediction=prediction)
        return json_answer(found, 201)

    async def learn(self, call: Call) -> Answer:
        """Learns an example, or the label of a remembered prediction."""
        body = await call.json(BODY)
        if body.ground_truth is None and not self.learns_alone(body):
            raise Problem(400, "'ground_truth' is missing: this model learns from labels", "/ground_truth")
        if body.identifier is not None:
            model, features, prediction = await self.learn_label(body, body.ground_truth)
        else:
            model = self.house.find(body.model)
            began = time.perf_counter_ns()
            features = features_of(body)
            with model.kind.trying():
                label = model.kind.label(body.ground_truth)
                line = model.writer.one(features, label)
            answer = await self.service.learn(model, line, label)
            prediction = model.kind.prediction(answer)
            model.times["learn"].add(time.perf_counter_ns() - began)
        self.house.tell("learn", model, features=features, prediction=prediction, ground_truth=body.ground_truth)
        return json_answer("Successful learn.", 201)

    def learns_alone(self, body: Body) -> bool:
        """Whether the model may learn without labels, as one in Python may that finds clusters."""
        return body.identifier is None and self.house.find(body.model).kind.name == "python"

    async def label(self, call: Call) -> Answer:
        """Learns the label of a remembered prediction."""
        body = await call.json(BODY)
        if body.label is None:
            raise Problem(400, "'label' is missing", "/label")
        if body.identifier is None:
            raise Problem(400, "'identifier' is missing: predict() returns it", "/identifier")
        model, features, prediction = await self.learn_label(body, body.label)
        self.house.tell("label", model, features=features, prediction=prediction, label=body.label)
        return json_answer("Successful label.")

    async def learn_label(self, body: Body, value: Any) -> tuple[Model, dict[str, Any], Any]:
        """Learns the label of a remembered prediction; returns model, features and prediction."""
        identifier = text(body.identifier, "identifier")
        assert identifier is not None
        model, waiting = self.service.recall(identifier, None if body.model is None else self.house.find(body.model))
        began = time.perf_counter_ns()
        stored = decoded(waiting.example or b"{}", REMEMBERED)
        with model.kind.trying():
            label: Label = model.kind.label(value)
            line = model.writer.one(stored.features, label)
        await self.service.learn(model, line, label, None, identifier, waiting)
        model.times["learn"].add(time.perf_counter_ns() - began)
        return model, stored.features, stored.prediction

    async def metrics(self, call: Call) -> Answer:
        """The metrics of a model."""
        return json_answer(self.house.find((await call.form()).get("model")).scores.figures())

    async def stats(self, call: Call) -> Answer:
        """Number and duration of calls."""
        model = self.house.find((await call.form()).get("model"))
        return json_answer({name: times.members() for name, times in model.times.items()})

    async def delete(self, call: Call) -> Answer:
        """Deletes a model."""
        name = (await call.form()).get("model")
        if name is None:
            raise Problem(400, "the name of a model is expected in 'model'", "/model")
        await self.house.saved(name)
        self.house.maker.delete(name)
        return json_answer("Successful delete.")

    async def model(self, call: Call) -> Answer:
        """What a model is: the steps that its maker knows, and what stands in for them."""
        model = self.house.find(call.parts["first"])
        return json_answer({**model.steps, "vwlite": model.card()})

    async def download(self, call: Call) -> Answer:
        """The model file."""
        model = self.house.find(call.parts["name"])
        disposition = f'attachment; filename="{model.name}.model"'
        return Answer(self.house.maker.content(model), media=OCTETS, headers={"Content-Disposition": disposition})

    # streams

    async def events(self, receive: Receive, send: Send) -> None:
        """Sends what happens: learn, predict and label, with features and prediction."""

        def makes(what: str, model: Model, about: dict[str, Any]) -> bytes:
            """The text of an event with features."""
            return text_of(what, {"model": model.name, **about}) if "features" in about else b""

        await self.service.streams.serve(Listener(makes), receive, send)

    async def metric_events(self, receive: Receive, send: Send) -> None:
        """Sends the metrics of a model whenever it has learned; River's have no name, ours say which model it is."""

        def makes(what: str, model: Model, about: dict[str, Any]) -> bytes:
            """The metrics after an event that teaches."""
            return text_of("", model.scores.figures()) if what in ("learn", "label") else b""

        await self.service.streams.serve(Listener(makes), receive, send)


FIRST = ("amber", "brisk", "calm", "dapper", "eager", "fuzzy", "gentle", "humble", "jolly", "keen", "lucky")
SECOND = (
    "badger",
    "crane",
    "dolphin",
    "ferret",
    "heron",
    "ibex",
    "lemur",
    "marten",
    "otter",
    "puffin",
    "robin",
    "wren",
)


def features_of(body: Body) -> dict[str, Any]:
    """The features of a request. Raises Problem."""
    if body.features is ABSENT:
        raise Problem(400, "'features' is missing: an object of names and values", "/features")
    if not isinstance(body.features, dict):
        raise Problem(400, "'features' has to be an object of names and values", "/features")
    return body.features


def text(value: Any, what: str) -> str | None:
    """A text, or None. Raises Problem for another value, and for one that is too long."""
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise Problem(400, f"{what!r} has to be a text of at most 200 characters", f"/{what}")
    return value
