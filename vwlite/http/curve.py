"""The curve of a model's loss over its examples, in a bounded number of points."""

from __future__ import annotations

from typing import Any

MOST = 600  # points; then each two become one


class Curve:
    """Means of the loss over equal numbers of examples, by weight.

    Attributes:
        width: The weight of the examples of a point; it doubles when there are too many points.
        points: Sums of weight and of loss, one pair for each point; the last one grows.
    """

    def __init__(self) -> None:
        self.width = 1.0
        self.points: list[list[float]] = []
        self.weight = self.loss = 0.0  # of all examples so far

    def take(self, weight: float, loss: float) -> None:
        """Takes the sums of weight and loss of all examples so far."""
        more, extra = weight - self.weight, loss - self.loss
        self.weight, self.loss = weight, loss
        if more <= 0:
            return
        if not self.points or self.points[-1][0] >= self.width:
            if len(self.points) == MOST:
                self.points = [
                    [one[0] + two[0], one[1] + two[1]]
                    for one, two in zip(self.points[::2], self.points[1::2], strict=True)
                ]
                self.width *= 2
                if self.points[-1][0] >= self.width:
                    self.points.append([0.0, 0.0])
            else:
                self.points.append([0.0, 0.0])
        self.points[-1][0] += more
        self.points[-1][1] += extra

    def rows(self) -> list[tuple[float, float]]:
        """Of each point: the weight of all examples up to it, and its mean loss."""
        found, total = [], 0.0
        for weight, loss in self.points:
            total += weight
            if weight > 0:
                found.append((total, loss / weight))
        return found

    def state(self) -> dict[str, Any]:
        """What has to be stored with the model."""
        return {"width": self.width, "points": self.points, "weight": self.weight, "loss": self.loss}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what was stored."""
        self.width = float(state.get("width", 1.0))
        self.points = [[float(weight), float(loss)] for weight, loss in state.get("points", ())][:MOST]
        self.weight, self.loss = float(state.get("weight", 0.0)), float(state.get("loss", 0.0))
