"""Models of entities by hand, and examples for them."""

import math
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.models import CONSTANT, key
from vwlite import Workspace
from vwlite.core.learner import walk

Vector = NDArray[np.float64]
WIDE = "--min_prediction -1e9 --max_prediction 1e9"


def effect(workspace: Workspace, name: str) -> Any:
    """The learner of an effect."""
    return next(learner for learner in walk(workspace.top) if learner.owner == f"random_effect.{name}")


def mean(workspace: Workspace, name: str, entity: str, column: int = CONSTANT) -> float:
    found = effect(workspace, name).coefficients(key(name, entity))
    return float(found[column][0])


class Entity:
    """Brute force: ridge regression of one entity, one example after the other."""

    def __init__(self, p: int, ridge: float) -> None:
        self.h: Vector = ridge * np.eye(p)
        self.m: Vector = np.zeros(p)

    def learn(self, row: Vector, y: float, w: float, offset: float) -> None:
        old = self.h @ self.m
        self.h = self.h + w * np.outer(row, row)
        self.m = np.asarray(np.linalg.solve(self.h, old + w * row * (y - offset)), np.float64)


def people(seed: int, n: int, logistic: bool = False) -> list[dict[str, Any]]:
    """Examples of users and items with two features each; all numbers are float32."""
    source = random.Random(seed)
    taste = {f"u{k}": source.gauss(0, 1) for k in range(6)}
    charm = {f"i{k}": source.gauss(0, 1) for k in range(5)}
    found = []
    for _ in range(n):
        user, item = source.choice(list(taste)), source.choice(list(charm))
        x = [float(np.float32(source.gauss(0, 1))) for _ in range(2)]
        score = taste[user] + charm[item] + x[0] - 0.5 * x[1] * taste[user]
        label = math.copysign(1, score + source.gauss(0, 1)) if logistic else float(f"{score:.3f}")
        found.append({"y": label, "w": source.choice([1.0, 2.0, 0.5]), "user": user, "item": item, "x": x, "o": 0.25})
    return found


def line(row: dict[str, Any]) -> str:
    words = " ".join(f"x{k}:{value!r}" for k, value in enumerate(row["x"]))
    return f"{row['y']:g} {row['w']} {row['o']} |user {row['user']} |item {row['item']} |c {words}"
