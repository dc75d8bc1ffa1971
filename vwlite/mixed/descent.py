"""BFGS: minimizes a smooth function of a few parameters by Broyden, Fletcher, Goldfarb and Shanno's method.

Nocedal and Wright 2006, "Numerical Optimization", algorithm 6.1, with a backtracking line search. It has converged if
the expected decrease of a further step, half of g' H g, is less than GAIN. That is in units of the function, so it does
not depend on the units of the parameters; for a deviance it is far below statistical error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GAIN = 1e-12
MOST_STEPS = 200


class Place(NamedTuple):
    """The value at a point, and a function that computes the gradient there."""

    value: float
    gradient: Callable[[], Array]


def descend(
    function: Callable[[Array], Place | None], start: Array, curvature: Array, stopping: Callable[[], bool]
) -> tuple[Array, int, bool]:
    """Minimizes a function from a starting point.

    Args:
        function: Its value, None where it has none.
        start: A point where it has one.
        curvature: About what its second derivatives there are; the first step is made with that.
        stopping: Asked between steps whether to end with what there is.

    Returns:
        The point, the number of steps, whether they converged.
    """
    x = start
    place = function(x) if len(x) else None
    if place is None:
        return x, 0, True
    inverse = np.diag(1 / curvature)
    value, gradient = place.value, place.gradient()
    for steps in range(MOST_STEPS):
        step = -inverse @ gradient
        slope = float(gradient @ step)
        noise = 1e-14 * (1 + abs(value))  # rounding error of the value
        if not slope < -2 * max(GAIN, noise):
            return x, steps, True
        if stopping():
            return x, steps, False
        limit = np.abs(step).max() / (2 + 2 * np.abs(x).max())
        length = min(1.0, 1 / limit)
        for _ in range(30):
            place = function(x + length * step)
            if place is not None and place.value <= value + 1e-4 * length * slope + noise:
                break
            fallen = np.inf if place is None else place.value - value
            # the minimum of the parabola through both values and the slope, within bounds
            best = -slope * length / (2 * (fallen / length - slope)) if np.isfinite(fallen) else 0.1 * length
            length = min(max(best, 0.1 * length), 0.5 * length)
        else:
            return x, steps, -slope < 1e-5
        if place is None:
            return x, steps, False
        moved, before = length * step, gradient
        x = x + moved
        value, gradient = place.value, place.gradient()
        change = gradient - before
        along = float(moved @ change)
        if along > 1e-12 * np.linalg.norm(moved) * np.linalg.norm(change):
            if steps == 0:
                inverse = inverse * (along / float(change @ inverse @ change))
            turned = np.eye(len(x)) - np.outer(moved, change) / along
            inverse = turned @ inverse @ turned.T + np.outer(moved, moved) / along
    return x, MOST_STEPS, False
