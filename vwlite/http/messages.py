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
Weight = Annotated[float, msgspec.Meta(ge=0, le=3e38)]
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
    weight: Weight = 1.0
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
    weight: Weight = 1.0
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
