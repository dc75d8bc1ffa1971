"""The ridge of an effect, estimated once for all entities: sums over the partitions of each fit give the next ridge.

With the ridge given, entities are independent, so a fit does not depend on how they were dealt to partitions. Nor does
the estimate, which is where the ridge no longer changes: the variance of the coefficients is the sum of their squares
over their effective number, the trace of H (H + ridge)^-1 (MacKay 1992, "Bayesian interpolation", equation 2.24), and
the ridge is the noise over that variance. One process that learns example by example estimates as it goes along, and
ends with another number.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from vwlite import tables
from vwlite.core.view import CONSTANT
from vwlite.engine import entity_tables
from vwlite.engine.library_flags import words_of
from vwlite.engine.workspace import Workspace

FIRST, LEAST, MOST = 1.0, 1e-9, 1e9  # of a ridge; it begins with 1, which counts as one coefficient
CLOSE = 1e-3  # relative change of the ridge at which it is taken
MOST_ROUNDS = 25  # jobs; mostly fewer than ten are needed
AT_ONCE = 1 << 22  # numbers of the matrices inverted together
DIAGONAL = 0  # of the column posterior


def spread_of(batches: Iterable[Any], ridge: float, intercept: float) -> tuple[float, float]:
    """The sum of the squares of entities' coefficients, and their effective number.

    Args:
        batches: A table of entities, learned with a given ridge.
        ridge: The ridge.
        intercept: The ridge of the constant, which is left out of the sums; 0 if it has none of its own.

    Returns:
        Both sums.
    """
    squares, dof = [], []
    for batch in batches:
        sizes = np.diff(batch.column("hash").offsets.to_numpy())
        full = batch.column("posterior").to_numpy() != DIAGONAL
        at_mean = batch.column("mean").offsets.to_numpy()
        at_precision = batch.column("precision").offsets.to_numpy()
        hashes = np.asarray(batch.column("hash").values).view(np.uint32)
        means, precision = (np.asarray(batch.column(name).values) for name in ("mean", "precision"))
        for n in np.unique(sizes[sizes > 0]).tolist():
            for is_full in (False, True):
                chosen = np.flatnonzero((sizes == n) & (full == is_full))
                step = max(1, AT_ONCE // (n * n if is_full else n))
                for begin in range(0, len(chosen), step):
                    some = chosen[begin : begin + step]
                    columns = at_mean[some][:, None] + np.arange(n)
                    length = n * (n + 1) // 2 if is_full else n
                    data = precision[at_precision[some][:, None] + np.arange(length)]
                    own = (hashes[columns] == CONSTANT) & (intercept > 0)
                    prior = np.where(own, intercept, ridge)
                    counted = ~own
                    squares.append(float((means[columns] ** 2)[counted].sum()))
                    dof.append(float(effective(data, prior, is_full)[counted].sum()))
    return math.fsum(squares), math.fsum(dof)


def effective(data: Any, prior: Any, full: bool) -> Any:
    """The effective number of each coefficient, from 0 (only the prior is known) to 1.

    Args:
        data: The precision that the data give, of shape (entities, n), or packed lower triangles.
        prior: The prior's precision, (entities, n).
        full: Whether posteriors are full.

    Returns:
        The numbers, (entities, n).
    """
    if not full:
        return data / (data + prior)
    n = prior.shape[1]
    whole = np.zeros((len(data), n, n))
    rows, columns = np.tril_indices(n)
    whole[:, rows, columns] = data
    whole[:, columns, rows] = data
    index = np.arange(n)
    whole[:, index, index] += prior
    return 1 - prior * np.linalg.inv(whole)[:, index, index]


def given(flags: str, ridge: float) -> str:
    """Flags with a ridge in place of an estimated one."""
    found, words = [], iter(words_of(flags))
    for word in words:
        name, equals, _ = word.partition("=")
        if name.replace("-", "_") == "__effect_l2":
            if not equals:
                next(words, None)
        else:
            found.append(word)
    return shlex.join([*found, "--effect_l2", repr(ridge)])


def intercept_of(flags: str) -> float:
    """The ridge of the constant, if it has one of its own; else 0."""
    return float(Workspace(flags).options["intercept_l2"] or 0)


def estimate(flags: str, run: Callable[[str], Sequence[dict[str, Any]]], begin: float = FIRST) -> str:
    """Estimates the ridge.

    Args:
        flags: The options, with --effect_l2 auto.
        run: Fits all entities with the flags given to it, and returns `head`, `spread` and `dof` of each partition.
        begin: The ridge to begin with, such as that of the sweep before.

    Returns:
        The flags, with the ridge given.
    """
    workspace = Workspace(given(flags, FIRST))
    has_noise = entity_tables.only_effect(workspace, None)[1].has_noise
    noise = str(workspace.options["noise"]) if has_noise else "1"
    ridge = begin
    for _ in range(MOST_ROUNDS):
        found = run(given(flags, ridge))
        if not found:
            break
        scale = noise_of(found) if noise == "auto" else float(noise)
        spread, dof = (math.fsum(each[name] for each in found) for name in ("spread", "dof"))
        variance = (spread + scale / FIRST) / (max(dof, 0) + 1)
        after = min(max(scale / variance, LEAST), MOST) if 0 < variance < math.inf else ridge
        close = abs(after - ridge) <= CLOSE * ridge
        ridge = after
        if close:
            break
    return given(flags, ridge)


def noise_of(found: Sequence[dict[str, Any]]) -> float:
    """The variance of the noise, from sums over all partitions; 1 without any."""
    head = json.loads(tables.merge_metadata([each["head"] for each in found]))
    total, count = (
        next((float(values[0]) for name, (_, values) in head["sums"].items() if name.endswith(f".{short}")), 0.0)
        for short in ("noise_sum", "noise_count")
    )
    return total / count if count >= 2 and total > 0 else 1.0
