"""Charts of a model: the largest weights, and the effects of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vwlite.core.learner import walk
from vwlite.core.view import CONSTANT
from vwlite.engine.coefficients import coefficients
from vwlite.errors import OptionError
from vwlite.pictures.chart import NORMAL_95, Chart, bars, intervals

if TYPE_CHECKING:
    from vwlite.engine.workspace import Workspace

TOP = 30
MOST_ENTITIES = 60  # of a caterpillar plot


def effects_of(workspace: Workspace) -> list[str]:
    """The namespaces of a workspace's random effects."""
    learners = [learner for learner in walk(workspace.top) if learner.entities() is not None]
    return list(dict.fromkeys(learner.owner.partition(".")[2] for learner in learners if "." in learner.owner))


def weights(workspace: Workspace, top: int = TOP) -> Chart | None:
    """The weights that are farthest from zero.

    Args:
        workspace: The model.
        top: Their number.

    Returns:
        The chart; None without weights.
    """
    try:
        table = coefficients(workspace, None, (), most=top)
    except OptionError:
        return None  # only effects
    order = np.argsort(-np.abs(table["mean"]), kind="stable")[:top]
    rows = []
    for i in order:
        label = shown(str(table["feature"][i]))
        if "class" in table.columns:
            label += f" (class {table['class'][i]})"
        sd = float(table["sd"][i])
        rows.append((label, float(table["mean"][i]), None if np.isnan(sd) else sd))
    if not rows:
        return None
    has_sd = any(sd is not None for *_, sd in rows)
    about = "Those farthest from zero. " + (
        "Lines are two standard deviations of the posterior." if has_sd else "This model has no posterior."
    )
    return bars("Weights", about, rows)


def shown(feature: str) -> str:
    """The name of a feature, or the number of one without a name."""
    return f"#{feature}" if feature.isdecimal() else feature


def caterpillar(workspace: Workspace, effect: str) -> Chart | None:
    """The intercepts of the entities of an effect in order of their means, with intervals (a caterpillar plot).

    Args:
        workspace: The model.
        effect: The namespace of the effect.

    Returns:
        The chart, of at most MOST_ENTITIES of them at equal distances by rank; None without an intercept.
    """
    table = coefficients(workspace, effect, ())
    there = np.flatnonzero(table["number"] == CONSTANT)
    if not len(there):
        return None
    order = there[np.argsort(table["mean"][there], kind="stable")[::-1]]
    if len(order) > MOST_ENTITIES:
        order = order[np.linspace(0, len(order) - 1, MOST_ENTITIES).round().astype(int)]
    rows: list[tuple[str, float, Any, Any]] = []
    for i in order:
        mean, sd = float(table["mean"][i]), float(table["sd"][i])
        ends = (None, None) if np.isnan(sd) else (mean - NORMAL_95 * sd, mean + NORMAL_95 * sd)
        rows.append((str(table["entity"][i]), mean, *ends))
    some = "" if len(there) == len(order) else f" {len(order)} of {len(there):,} entities, at equal distances by rank."
    return intervals(f"Effects of {effect}", f"Intercepts, with intervals of 95% of the posterior.{some}", rows, 0.0)
