"""Searches without derivatives for the lowest loss in the unit cube: Nelder-Mead, a grid, samplers of Optuna."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from vwlite.errors import OptionError

METHODS = ("nelder-mead", "grid", "optuna")
STEP = 0.25  # of the first simplex, as a share of the range
NEAR = 1e-3  # of Nelder-Mead: where all corners are as near as that, and their losses differ by
ALIKE = 1e-7  # less than this share, the search has converged

Objective = Callable[[Sequence[float]], float]


def nelder_mead(objective: Objective, start: Sequence[float], evaluations: int) -> None:  # noqa: DOC502
    """Minimises by the simplex method of Nelder and Mead (1965), as SciPy has it.

    The cube is mirrored at its sides, so that a simplex does not collapse there, as it does where points are clipped.

    Args:
        objective: The loss at a point, coordinates from 0 to 1.
        start: The first point.
        evaluations: How many there are at most.

    Raises:
        OptionError: Not by itself; what the objective raises ends the search.
    """
    from scipy.optimize import minimize

    corners = [list(start)]
    for i, place in enumerate(start):
        corner = list(start)
        corner[i] = place + STEP if place + STEP <= 1 else place - STEP
        corners.append(corner)
    first = objective(corners[0])
    scale = abs(first) if math.isfinite(first) and first else 1.0
    minimize(
        lambda places: objective([mirrored(float(place)) for place in places]),
        corners[0],
        method="Nelder-Mead",
        options={
            "initial_simplex": corners,
            "maxfev": 10 * evaluations + 100,  # the objective ends the search: points that come again don't count
            "maxiter": 10 * evaluations + 100,
            "xatol": NEAR,
            "fatol": ALIKE * scale,
        },
    )


def mirrored(place: float) -> float:
    """A place outside of 0 to 1 as its mirror image inside.

    >>> mirrored(0.25), mirrored(1.25), mirrored(-0.25)
    (0.25, 0.75, 0.25)
    """
    place = abs(place) % 2
    return 2 - place if place > 1 else place


def grid(objective: Objective, start: Sequence[float], evaluations: int) -> None:
    """Evaluates a grid with as many points in each direction as there are evaluations for.

    Args:
        objective: The loss at a point, coordinates from 0 to 1.
        start: A point, of which only the number of coordinates counts.
        evaluations: How many there are at most.

    Raises:
        OptionError: If there are too few for two points in each direction.
    """
    n = len(start)
    points = 1
    while (points + 1) ** n <= evaluations:
        points += 1
    if points < 2:
        raise OptionError(f"--method grid: {n} options need {2**n} evaluations at least, not {evaluations}")
    for place in itertools.product([i / (points - 1) for i in range(points)], repeat=n):
        objective(place)


def optuna(objective: Objective, start: Sequence[float], evaluations: int, seed: int) -> None:
    """Minimises by the tree-structured Parzen estimator of Optuna (Bergstra and others 2011), from the given start.

    Args:
        objective: The loss at a point, coordinates from 0 to 1.
        start: The first point.
        evaluations: How many there are at most.
        seed: Of the sampler.

    Raises:
        OptionError: If Optuna is not installed.
    """
    try:
        from optuna import create_study, logging, samplers
    except ImportError:
        raise OptionError("--method optuna needs the package optuna: pip install 'vwlite[tune]'") from None
    logging.set_verbosity(logging.ERROR)
    study = create_study(sampler=samplers.TPESampler(seed=seed % (1 << 32)))
    study.enqueue_trial({f"x{i}": place for i, place in enumerate(start)})
    for _ in range(evaluations):
        trial: Any = study.ask()
        loss = objective([trial.suggest_float(f"x{i}", 0, 1) for i in range(len(start))])
        # the sampler takes finite losses only
        study.tell(trial, loss if math.isfinite(loss) else 1e300)


def search(method: str, objective: Objective, start: Sequence[float], evaluations: int, seed: int) -> None:
    """Searches by a method of METHODS.

    Args:
        method: The method.
        objective: The loss at a point; an exception ends the search.
        start: The first point.
        evaluations: How many there are at most.
        seed: Of a sampler.
    """
    if method == "grid":
        grid(objective, start, evaluations)
    elif method == "optuna":
        optuna(objective, start, evaluations, seed)
    else:
        nelder_mead(objective, start, evaluations)
