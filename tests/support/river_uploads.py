"""Models of River as the HTTP service stands in for them: made as an upload makes them, and compared with River's."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from functools import cache
from typing import Any

import dill
from river import datasets

from vwlite.daemon.log import Log
from vwlite.http.house import House
from vwlite.http.model import Model
from vwlite.http.settings import Settings
from vwlite.http.uploads import Upload, read_upload

Data = list[tuple[dict[str, Any], Any]]


def made(model: Any, flavor: str, strict: bool = True) -> tuple[Upload, Model]:
    """The upload of a model, and the served model that is made of it."""
    upload = read_upload(dill.dumps(model), flavor, strict)
    house = House(Settings(), Log(quiet=True))
    found, _ = house.maker.create(
        "m", upload.words, upload.kind, upload.content, notes=upload.notes, steps=upload.steps
    )  # fmt: skip
    return upload, found


def worst(model: Any, data: Iterable[tuple[dict[str, Any], Any]], flavor: str, strict: bool = True) -> float:
    """The largest difference of predictions before learning, divided by the prediction if that is above 1."""
    _, served = made(model, flavor, strict)
    found = 0.0
    for x, y in data:
        wanted = model.predict_proba_one(x)[True] if flavor == "binary" else model.predict_one(x)
        record, label = json.loads(json.dumps(x)), served.kind.label(y)
        prediction = served.kind.prediction(served.run([served.writer.one(record, label)])[0])
        predicted = prediction["true"] if flavor == "binary" else prediction
        assert abs(wanted) < 1e6 or math.isnan(wanted), "a rate too high for the data"
        if not math.isnan(wanted):  # as River predicts for what MinMaxScaler has not seen
            found = max(found, abs(predicted - wanted) / max(1.0, abs(wanted)))
        model.learn_one(x, y)
    return found


@cache
def real(name: str) -> Data:
    """Data of River: numbers, and labels of the kind."""
    if name == "phishing":
        return list(datasets.Phishing())
    if name == "segments":
        return [(x, y in ("grass", "sky", "path")) for x, y in datasets.ImageSegments().take(700)]
    if name == "chicks":
        return list(datasets.ChickWeights())
    return [({key: each for key, each in x.items() if isinstance(each, (int, float))}, y)
            for x, y in datasets.TrumpApproval()]  # fmt: skip


@cache
def mixed(binary: bool = False, texts: bool = True, flags: bool = True, positive: bool = False) -> Data:
    """Made-up data: whole and other numbers, zeros, flags, texts, keys that are missing, and one that comes late."""
    draw = random.Random(7)
    found = []
    for i in range(400):
        x: dict[str, Any] = {"i": draw.randint(-3, 3), "zero": 0, "f": draw.gauss(0, 1)}
        if draw.random() < 0.7:
            x["m"] = draw.uniform(-2, 5)
        if i > 200:
            x["late"] = draw.gauss(3, 2)
        if flags:
            x["b"] = draw.random() < 0.5
        if texts:
            x["s"] = draw.choice("abcde")
            x["città: x"] = draw.choice(["Rome in", "Bonn", "", "a|b", "x:y", "3"])
        y = 1.5 * x["f"] - x.get("m", 0) + 0.3 * x["i"] + draw.gauss(0, 0.3) + (x.get("s") == "a") + x.get("b", 0)
        found.append((x, y > 0 if binary else abs(y) if positive else y))
    return found
