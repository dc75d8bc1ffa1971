"""A model as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from vwlite import __version__
from vwlite.core.view import CONSTANT
from vwlite.exporting.linear import Linear

COLUMNS = ("part", "entity", "feature", "key", "weight", "sd")


def rows(model: Linear) -> Iterator[tuple[str, str, str, int, float, float | None]]:
    """The coefficients: part, entity, name of the feature, its slot or hash, weight, standard deviation."""
    constant = CONSTANT & model.mask
    for key, weight in model.weights.items():
        name = model.names.get(key) or ("Constant" if key == constant else "")
        yield "fixed", "", name, key, weight, model.deviations.get(key)
    for effect in model.effects:
        for entity, own in effect.entities.items():
            for number, weight in own.items():
                sd = effect.deviations[entity].get(number)
                yield effect.namespace, entity, model.hash_names.get(number, ""), number, weight, sd


def as_csv(model: Linear) -> str:
    """The coefficients as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for *texts, weight, sd in rows(model):
        writer.writerow([*texts, repr(weight), "" if sd is None else repr(sd)])
    return out.getvalue()


def as_json(model: Linear) -> str:
    """The model as one JSON object: how examples are read, weights, effects."""
    constant = CONSTANT & model.mask
    weights: list[dict[str, Any]] = []
    for key, weight in model.weights.items():
        name = model.names.get(key) or ("Constant" if key == constant else None)
        sd = model.deviations.get(key)
        weights.append(
            {"key": key, **({"name": name} if name else {}), "weight": weight, **({} if sd is None else {"sd": sd})}
        )
    effects = [
        {
            "namespace": effect.namespace,
            "of": effect.of,
            "prior": [coefficient(model, number, weight, None) for number, weight in effect.prior.items()],
            "entities": {
                entity: [
                    coefficient(model, number, weight, effect.deviations[entity].get(number))
                    for number, weight in own.items()
                ]
                for entity, own in effect.entities.items()
            },
        }
        for effect in model.effects
    ]
    whole = {
        "model": model.id,
        "vwlite_version": __version__,
        "settings": model.settings,
        "mask": model.mask,
        "weights": weights,
        "effects": effects,
    }
    return json.dumps(whole, indent=1) + "\n"


def coefficient(model: Linear, number: int, weight: float, sd: float | None) -> dict[str, Any]:
    """A coefficient of an effect."""
    name = model.hash_names.get(number)
    named = {"name": name} if name else {}
    return {"key": number, **named, "weight": weight, **({} if sd is None else {"sd": sd})}
