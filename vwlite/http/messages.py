"""Requests of /v1, as types: they are decoded by them, and the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Features = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="Names and values: a number is the feature `name:value`, a text the category `name=text`, true is "
        "`name`; false, null and 0 are left out; an object or a list inside is a namespace.",
        examples=[{"price": 2.5, "city": "Bonn", "new": True, "user": {"id": "ann"}}],
    ),
]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Importance = Annotated[float, msgspec.Meta(ge=0, le=3e38)]
Probability = Annotated[float, msgspec.Meta(gt=0, le=1)]
Value = bool | int | float | str


class Predict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An example to predict for: features; or of a bandit the context, and the actions by name."""

    features: Features | None = None
    context: Features | None = None
    actions: dict[str, Features] | None = None
    remember: bool = False
    id: Identifier | None = None


class Learn(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A labelled example to learn: features and label; or of a bandit what was done, and what it has cost."""

    features: Features | None = None
    label: Value | None = None
    weight: Importance = 1.0
    context: Features | None = None
    actions: dict[str, Features] | None = None
    action: str | None = None
    probability: Probability | None = None
    cost: float | None = None
    reward: float | None = None


class Label(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The label of a remembered prediction; or of a decision, what it has cost or brought."""

    id: Identifier
    label: Value | None = None
    weight: Importance = 1.0
    cost: float | None = None
    reward: float | None = None


class Put(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A model to make: its flags, its kind, or both."""

    options: str | None = None
    kind: str | None = None


PREDICT = msgspec.json.Decoder(Predict)
LEARN = msgspec.json.Decoder(Learn)
LABEL = msgspec.json.Decoder(Label)
PUT = msgspec.json.Decoder(Put)


# What is answered. Answers are written by hand, as that is faster; tests compare them with these types.


class Problem(msgspec.Struct, omit_defaults=True):
    """What is wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    message: str
    pointer: str | None = None
    offset: int | None = None


class Term(msgspec.Struct, omit_defaults=True):
    """A term of a score: value times weight; its part with random effects, the weight's sd of a posterior."""

    feature: str
    value: float
    weight: float
    term: float
    part: str | None = None
    sd: float | None = None


class ExplainedAction(msgspec.Struct, omit_defaults=True):
    """The score of an action, and its terms."""

    action: str
    score: float
    terms: list[Term]
    sd: float | None = None


class Explanation(msgspec.Struct):
    """Why a decision is what it is: the action taken, then the others from the best score on."""

    scores_are: str
    best: str
    actions: list[ExplainedAction]


class Prediction(msgspec.Struct, omit_defaults=True):
    """A prediction: a number, the probability of the positive class, or a class; of a bandit, an action."""

    model: str
    prediction: float | int | str | None = None
    of: str | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    probabilities: dict[str, float] | None = None
    action: str | None = None
    probability: float | None = None
    id: str | None = None
    terms: list[Term] | None = None
    explanation: Explanation | None = None


class Learned(Prediction, omit_defaults=True):
    """An example that was learned, and the prediction that was made before."""

    examples: int = 0
    repeated: bool = False


class Card(msgspec.Struct, omit_defaults=True):
    """A model in short."""

    name: str
    id: str
    kind: str
    examples: int
    loss: float | None
    options: str = ""
    made: str = ""
    entities: int | None = None
    notes: list[str] = []
    labels: dict[str, Any] = {}
    stack: list[Any] = []


class Models(msgspec.Struct):
    """All models."""

    models: list[Card]


class Point(msgspec.Struct):
    """A point of the curve of the loss: the weight of all examples up to it, and the mean loss since the one before."""

    weight: float
    loss: float


class MetricPoint(msgspec.Struct):
    """A point of the curve of a metric: the number of examples up to it, and the mean since the one before."""

    examples: float
    value: float


class MetricCurve(msgspec.Struct):
    """The curve of the metric that is a mean over examples."""

    metric: str
    points: list[MetricPoint]


class Bin(msgspec.Struct):
    """A range of predicted probabilities."""

    examples: int
    predicted: float
    observed: float


class Action(msgspec.Struct, omit_defaults=True):
    """An action of a bandit: how often it was chosen, how often its cost is known, and the mean of that."""

    action: str
    decisions: int
    costs: int
    mean_cost: float | None = None


class Metrics(msgspec.Struct, omit_defaults=True):
    """Metrics of predictions that were made before their labels were learned."""

    model: str
    metrics: dict[str, float]
    curve: list[Point]
    metric_curve: MetricCurve | None = None
    calibration: list[Bin] = []
    recent_loss: float | None = None
    actions: list[Action] = []


class Weight(msgspec.Struct, omit_defaults=True):
    """A coefficient, with its standard deviation where there is a posterior; of an entity, or of a class (from 1)."""

    feature: str
    mean: float
    sd: float | None = None
    effect: str = ""
    entity: str = ""
    of_class: int | None = msgspec.field(name="class", default=None)
    examples: int = 0


class Weights(msgspec.Struct):
    """The coefficients that are furthest from zero."""

    model: str
    weights: list[Weight]
