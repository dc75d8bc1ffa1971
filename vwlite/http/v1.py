"""The API /v1: models, predictions, learning, labels that come later; one example at a time, or many (batches.py)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np

from vwlite.engine.coefficients import coefficients
from vwlite.http.batches import Batches
from vwlite.http.calls import JSON, OCTETS, Answer, Call, decoded, encode, json_answer
from vwlite.http.decisions import Bandit, cost_of
from vwlite.http.entries import Header
from vwlite.http.explain import explain, explain_decision
from vwlite.http.messages import LABEL, LEARN, PREDICT, PUT, Label, Learn, Predict
from vwlite.http.model import Model
from vwlite.http.problems import Problem, pointer
from vwlite.http.service import Service
from vwlite.http.state import Waiting

KINDS = ("regression", "binary", "multiclass", "bandit", "lines")
LONGEST_KEY = 200
MOST_ENTITIES = 1000  # of a random effect whose coefficients are compared: requests wait meanwhile


class Stored(msgspec.Struct, omit_defaults=True):
    """What is remembered of a prediction.

    Args:
        features: Of an example.
        context: Of a decision.
        actions: Of a decision.
        action: The one that was chosen.
        probability: With which it was chosen.
    """

    features: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    actions: dict[str, dict[str, Any]] | None = None
    action: str | None = None
    probability: float | None = None


STORED = msgspec.json.Decoder(Stored)


class V1:
    """Handlers of /v1.

    Args:
        service: The service.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.house = service.house
        self.batches = Batches(service)
        service.v1 = self

    def routes(self) -> list[tuple[str, str, Callable[[Call], Awaitable[Answer]], bool]]:
        """Path, method, handler, and whether a token is needed."""
        top = "/v1/models"
        return [
            (f"{top}/{{name}}:predict", "POST", self.predict, True),
            (f"{top}/{{name}}:learn", "POST", self.learn, True),
            (top, "GET", self.models, True),
            (f"{top}/{{name}}:label", "POST", self.label, True),
            (f"{top}/{{name}}:rollback", "POST", self.roll_back, True),
            (f"{top}/{{name}}/file", "GET", self.file, True),
            (f"{top}/{{name}}/metrics", "GET", self.metrics, True),
            (f"{top}/{{name}}/weights", "GET", self.weights, True),
            (f"{top}/{{name}}", "GET", self.card, True),
            (f"{top}/{{name}}", "PUT", self.put, True),
            (f"{top}/{{name}}", "DELETE", self.delete, True),
        ]

    # models

    async def models(self, call: Call) -> Answer:
        """All models, in short."""
        cards = []
        for name in self.house.names():
            known = self.house.known[name]
            cards.append({"name": name, **known.card} if known.model is None else known.model.card())
        return json_answer({"models": cards})

    async def card(self, call: Call) -> Answer:
        """A model: what it is, and its stack."""
        model = self.house.find(call.parts["name"])
        about = {**model.card(), "labels": model.kind.state(), "stack": model.stack()}
        return json_answer(about, headers=etag(model))

    async def put(self, call: Call) -> Answer:
        """Makes a model of flags or of a model file; a file replaces the model of the name with ?replace=1."""
        name, query = call.parts["name"], call.query
        if call.media == OCTETS:
            kind = wanted(query.get("kind"))
            content = await call.body()
            if query.get("replace") in ("1", "true") and name in self.house.known:
                await self.house.saved(name)
                return json_answer(self.house.maker.replace(name, content, kind).card())
            model, new = self.house.maker.create(name, kind=kind, content=content)
        else:
            require_media(call, JSON)
            body = await call.json(PUT)
            if body.options is None and body.kind is None:
                raise Problem(400, "give 'options', 'kind' or both", "/options")
            model, new = self.house.maker.create(name, body.options or "", wanted(body.kind))
        return json_answer(model.card(), 201 if new else 200, etag(model))

    async def delete(self, call: Call) -> Answer:
        """Deletes a model."""
        await self.house.saved(call.parts["name"])
        self.house.maker.delete(call.parts["name"])
        return Answer(b"", 204)

    async def roll_back(self, call: Call) -> Answer:
        """Exchanges a model and the one that was there before it was replaced."""
        await self.house.saved(call.parts["name"])
        return json_answer(self.house.maker.roll_back(call.parts["name"]).card())

    async def file(self, call: Call) -> Answer:
        """The model file."""
        model = self.house.find(call.parts["name"])
        if call.headers.get(b"if-none-match") == etag(model)["ETag"].encode():
            return Answer(b"", 304, OCTETS, etag(model))
        headers = {"Content-Disposition": f'attachment; filename="{model.name}.model"', **etag(model)}
        return Answer(self.house.maker.content(model), media=OCTETS, headers=headers)

    async def metrics(self, call: Call) -> Answer:
        """The metrics of a model, and the curve of its loss."""
        model = self.house.find(call.parts["name"])
        curve = [{"weight": weight, "loss": loss} for weight, loss in model.curve.rows()]
        found: dict[str, Any] = {"model": model.id, "metrics": model.scores.figures(), "curve": curve}
        if model.recent.weight:
            found["recent_loss"] = model.recent.mean
        unknown = model.engine.workspace.unknown_features()
        if unknown is not None:
            found["unknown_features"] = unknown
        if model.scores.averaged:
            points = [{"examples": weight, "value": value} for weight, value in model.metric_curve.rows()]
            found["metric_curve"] = {"metric": model.scores.averaged, "points": points}
        if model.choices:
            found["actions"] = model.actions()
        if hasattr(model.scores, "calibration"):
            found["calibration"] = model.scores.calibration()
        return json_answer(found)

    async def weights(self, call: Call) -> Answer:
        """The coefficients that are furthest from zero, with their standard deviations where there is a posterior."""
        model = self.house.find(call.parts["name"])
        text = call.query.get("top", "20")
        if not re.fullmatch("[0-9]{1,4}", text) or not 0 < int(text) <= 1000:
            raise Problem(400, f"top={text[:40]}: expected a number from 1 to 1000")
        return json_answer({"model": model.id, "weights": top_weights(model, int(text))})

    # examples

    async def predict(self, call: Call) -> Answer:
        """Predicts for one example, or for a batch."""
        model = self.house.find(call.parts["name"])
        if call.media != JSON:
            return await self.batches.run(call, model, "predict")
        body = await call.json(PREDICT)
        if isinstance(model.kind, Bandit):
            return self.decide(model, model.kind, body, wants_terms(call))
        if body.features is None:
            raise missing("features")
        line = self.writer(model).one(body.features)
        answer = self.service.predict(model, line)
        members = model.kind.members(answer)
        if body.remember or body.id is not None:
            stored = encode(Stored(features=body.features))
            members += b', "id": ' + encode(self.service.remember(model, stored, answer, body.id))
        if wants_terms(call):
            members += b', "terms": ' + encode(explain(model, line))
        self.tell("predict", model, body.features, answer)
        return self.answered(model, members)

    def decide(self, model: Model, kind: Bandit, body: Predict, explains: bool = False) -> Answer:
        """Chooses an action; the decision is always remembered, as its cost comes later."""
        if body.actions is None:
            raise missing("actions")
        text = kind.text(body.context, body.actions)
        answer = self.service.predict(model, text)
        action, probability, probabilities = kind.choice(answer, list(body.actions))
        members = kind.chosen(action, probability, probabilities)
        if explains:
            members += b', "explanation": ' + encode(explain_decision(model, text, list(body.actions), action))
        if not self.service.settings.follows:
            stored = encode(Stored(context=body.context, actions=body.actions, action=action, probability=probability))
            members += b', "id": ' + encode(self.service.remember(model, stored, answer, body.id))
        model.note_choice(action)
        self.house.tell("predict", model, context=body.context, action=action, probability=probability)
        return self.answered(model, members)

    async def learn(self, call: Call) -> Answer:
        """Learns one example, or a batch."""
        model = self.house.find(call.parts["name"])
        if call.media != JSON:
            return await self.batches.run(call, model, "learn")
        body = await call.json(LEARN)

        async def teach(header: Header | None) -> bytes:
            """Learns the example; returns the prediction made before."""
            line, label = self.example(model, body)
            answer = await self.service.learn(model, line, label, header)
            self.tell("learn", model, body.features, answer, body.label)
            return answer

        return await self.once(call, model, teach)

    async def label(self, call: Call) -> Answer:
        """Learns the label of a remembered prediction, or what a decision has cost; or of a batch."""
        model = self.house.find(call.parts["name"])
        if call.media != JSON:
            return await self.batches.run(call, model, "label")
        body = await call.json(LABEL)

        async def teach(header: Header | None) -> bytes:
            """Learns the label; returns the prediction of the model as it is now."""
            _, waiting = self.service.recall(body.id, model)
            line, label, stored = self.remembered(model, body, waiting)
            answer = await self.service.learn(model, line, label, header, body.id, waiting)
            self.count_cost(model, body, stored)
            self.tell("label", model, stored.features, answer, body.label)
            return answer

        return await self.once(call, model, teach)

    # parts of these

    async def once(self, call: Call, model: Model, teach: Callable[[Header | None], Awaitable[bytes]]) -> Answer:
        """Teaches an example; a request with a key that was answered before gets that answer again."""
        key = call.headers.get(b"idempotency-key")
        if key is None:
            return self.learned(model, await teach(None))
        header = self.batches.begin(model, key, await call.body())
        if isinstance(header, Answer):
            return header
        try:
            if header.done:  # the answer was lost, not the example
                return json_answer({"repeated": True, "model": model.id, "examples": model.examples})
            header.done = 1
            answer = self.learned(model, await teach(header))
            self.batches.store(header, answer)
            return answer
        finally:
            self.batches.open.pop((model.uid, header.key), None)

    def example(self, model: Model, body: Learn) -> tuple[bytes, Any]:
        """The text of a labelled example, and its label. Raises Problem."""
        kind = model.kind
        if isinstance(kind, Bandit):
            if body.actions is None or body.action is None:
                raise missing("actions" if body.actions is None else "action")
            if body.probability is None:
                raise Problem(400, "'probability' is expected: with which the action was chosen", "/probability")
            cost = cost_of(body.cost, body.reward)
            return kind.text(body.context, body.actions, body.action, cost, body.probability), None
        if body.features is None:
            raise missing("features")
        if body.label is None:
            raise Problem(400, "'label' is missing: this model learns from labels", "/label")
        with kind.trying():
            label = kind.label(body.label)
            return self.writer(model).one(body.features, label, body.weight), label

    def remembered(self, model: Model, body: Label, waiting: Waiting) -> tuple[bytes, Any, Stored]:
        """The text of a remembered prediction with its label, the label, and what was stored. Raises Problem."""
        stored = decoded(waiting.example or b"{}", STORED)
        kind = model.kind
        if isinstance(kind, Bandit):
            cost = cost_of(body.cost, body.reward)
            actions = stored.actions or {}
            line = kind.text(stored.context, actions, stored.action, cost, stored.probability or 1.0)
            return line, None, stored
        if body.label is None:
            raise Problem(400, "'label' is missing", "/label")
        with kind.trying():
            label = kind.label(body.label)
            return self.writer(model).one(stored.features or {}, label, body.weight), label, stored

    @staticmethod
    def count_cost(model: Model, body: Label, stored: Stored) -> None:
        """Counts what a decision has cost, once that is learned."""
        if isinstance(model.kind, Bandit):
            model.note_cost(stored.action or "", cost_of(body.cost, body.reward))

    @staticmethod
    def stored(features: dict[str, Any]) -> Stored:
        """What is remembered of an example."""
        return Stored(features=features)

    @staticmethod
    def writer(model: Model) -> Any:
        """What writes the records of a model. Raises Problem if it takes none."""
        if not model.kind.takes_records:
            raise Problem(400, f"a model of the kind {model.kind.name!r} takes lines of VW's text (text/plain)")
        return model.writer

    def tell(self, what: str, model: Model, features: Any, answer: bytes, label: Any = None) -> None:
        """Tells those who listen of an example."""
        if not self.service.streams.listeners:
            self.service.streams.number += 1
            return
        about = {"features": features, "prediction": model.kind.prediction(answer)}
        if label is not None:
            about["label" if what == "label" else "ground_truth"] = label
        self.house.tell(what, model, **about)

    def answered(self, model: Model, members: bytes) -> Answer:
        """The answer to a prediction."""
        return Answer(b'{%b, "model": "%b"}' % (members, model.id.encode()))

    def learned(self, model: Model, answer: bytes) -> Answer:
        """The answer to an example that was learned: the prediction made before."""
        examples = model.examples
        if isinstance(model.kind, Bandit):
            return Answer(b'{"model": "%b", "examples": %d}' % (model.id.encode(), examples))
        members = model.kind.members(answer)
        return Answer(b'{%b, "model": "%b", "examples": %d}' % (members, model.id.encode(), examples))


def etag(model: Model) -> dict[str, str]:
    """The header that identifies a model and its state."""
    return {"ETag": f'"{model.id}"'}


def wanted(kind: str | None) -> str | None:
    """A kind of models. Raises Problem for one that there isn't."""
    if kind is not None and kind not in KINDS:
        raise Problem(400, f"no kind named {kind!r}; there are: {', '.join(KINDS)}", "/kind")
    return kind


def missing(what: str) -> Problem:
    """The problem of a member that is missing."""
    return Problem(400, f"{what!r} is missing", pointer(what))


def require_media(call: Call, *media: bytes) -> None:
    """Raises Problem unless the body has one of these types."""
    if call.media not in media:
        names = ", ".join(each.decode() for each in media)
        given = call.media.decode("latin-1") or "none"
        raise Problem(415, f"the Content-Type is {given}; send {names}")


def wants_terms(call: Call) -> bool:
    """Whether a request asks for an explanation."""
    return call.query.get("explain") in ("1", "true")


def top_weights(model: Model, count: int) -> list[dict[str, Any]]:
    """The coefficients that are furthest from zero; those of random effects too, unless there are many entities."""
    if not hasattr(model.engine.workspace, "coefficients"):
        raise Problem(400, "the weights of a model in Python are not known")
    workspace = model.engine.workspace
    bottom, names = workspace.bottom, model.names.by_hash(workspace)
    found: list[dict[str, Any]] = []
    for effect in ("", *model.effects(MOST_ENTITIES)):
        known = names
        if not effect and bottom.has_slots:
            known = {bottom.slot_of(number, i): name for number, name in names.items() for i in range(bottom.width)}
        table = coefficients(workspace, effect or None, (), count)
        largest = np.argsort(-np.abs(table["mean"]), kind="stable")[:count]
        columns = {name: column[largest].tolist() for name, column in table.columns.items()}
        numbers = columns.pop("number")
        columns["feature"] = [known.get(*pair) for pair in zip(numbers, columns["feature"], strict=True)]
        columns["effect"] = [effect] * len(largest)
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        found += [{name: value for name, value in row.items() if value != "" and value == value} for row in rows]
    found = [row for row in found if row.get("mean")]
    found.sort(key=lambda row: -abs(float(row["mean"])))
    return found[:count]
