"""Adding posteriors: one entity from several that learned from different examples of the same entity.

With the precision E_i that the data of part i give, its mean m_i and the prior N(0, P_i^-1), the data's information is
b_i = (E_i + P_i) m_i; a full record has it. All data together give

    E = sum_i E_i        b = sum_i b_i        m = (E + P)^-1 b

under the prior P. For squared loss and full posteriors this is the posterior of all examples, exactly. For others it is
the product of the posteriors over the prior that they share, an approximation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vwlite.core.view import CONSTANT
from vwlite.entities import sums
from vwlite.entities.flat import (
    DIAGONAL,
    DTYPES,
    FIELDS,
    FULL,
    MOST_FULL,
    PARTS,
    SINGLE,
    Array,
    Flat,
    concatenated,
)
from vwlite.entities.heads import Head
from vwlite.errors import OptionError

AUTO, STRICT = 512, 2048  # coefficients of a full posterior by default: --posterior_full of reductions/glm.pyx
UNTOLD_AT_LEAST = 1e300  # information that a record doesn't have


def added(whole: Flat, groups: list[list[int]], head: Head) -> Flat:  # noqa: DOC502
    """One entity of each group, from the data of all in it.

    Args:
        whole: All entities.
        groups: The numbers of those with one name.
        head: The metadata of the table.

    Returns:
        The entities.

    Raises:
        OptionError: If the options have posteriors that can't be added.
    """
    require_addable(whole, head)
    prior = sums.single(head.sums, f"{head.owner}.l2")
    return concatenated([_one(whole, group, head, prior) for group in groups])


def require_addable(whole: Flat, head: Head) -> None:
    """Raises OptionError if posteriors of one entity can't be added."""
    options = head.options
    why = ""
    forget = options.get("forget")
    names = [name.removeprefix(f"{head.owner}.") for name in head.sums]
    if head.posterior == "identity":
        why = "--posterior identity stores no precision"
    elif forget is not None and forget < 1:
        why = "with --forget the weight of older data depends on the order of all"
    elif len(whole["origin"]):
        why = "with --fixed same they depend on the fixed part"
    elif "mean.key" in names:
        why = "they are shrunk to the mean of all entities: train with --shrink zero"
    elif "scale.key" in names or head.sums.get(f"{head.owner}.prior_hash", ("", []))[1]:
        why = "their prior is estimated: train with --effect_l2 and a number"
    if why:
        raise OptionError(f"posteriors of the same entity can't be added: {why}")


def _one(whole: Flat, group: Sequence[int], head: Head, prior: float) -> Flat:
    """One entity of several."""
    parts = [whole.take(np.array([i])) for i in group]
    parts.sort(key=lambda part: (*(float(part[name][0]) for name in ("latest", "clock")), content(part)))
    hashes = list(dict.fromkeys(number for part in parts for number in part["hash"].tolist()))
    place = {number: at for at, number in enumerate(hashes)}
    n = len(hashes)
    full = all(part["posterior"][0] != DIAGONAL for part in parts) and n <= _most_full(head)
    intercept = head.options.get("intercept_l2") or 0
    own = np.array([intercept if intercept and one == CONSTANT else -1 for one in hashes], float)
    precision, information = np.zeros((n, n) if full else n), np.zeros(n)
    for part in parts:
        at = np.array([place[number] for number in part["hash"].tolist()], np.int64)
        data = matrix(part) if full or part["posterior"][0] != DIAGONAL else part["precision"]
        ridge = np.where(own[at] < 0, part["prior"][0], own[at])
        told = part["information"]
        if len(told) == 0 or (len(told) and abs(told[0]) >= UNTOLD_AT_LEAST):
            mean = part["mean"]
            told = (data @ mean if data.ndim == 2 else data * mean) + ridge * mean
        information[at] += told
        if full:
            precision[np.ix_(at, at)] += data
        else:
            precision[at] += data if data.ndim == 1 else np.diag(data)
    ridge = np.where(own < 0, prior, own)
    if full:
        mean = np.linalg.solve(precision + np.diag(ridge), information) if n else information
    else:
        mean = information / (precision + ridge)
    packed = precision[np.tril_indices(n)] if full else precision
    arrays = {name: parts[0][name][:1].copy() for name in SINGLE}
    arrays |= {
        "coefficients": np.array([n], np.uint32),
        "waiting": np.array([sum(int(part["waiting"][0]) for part in parts)], np.uint32),
        "count": np.array([sum(int(part["count"][0]) for part in parts)], np.int64),
        "clock": np.array([max(float(part["clock"][0]) for part in parts)]),
        "latest": np.array([max(float(part["latest"][0]) for part in parts)]),
        "prior": np.array([prior]),
        "spread": np.array([sum(float(part["spread"][0]) for part in parts)]),
        "dof": np.array([min(sum(max(float(part["dof"][0]), 0) for part in parts), n)], float),
        "posterior": np.array([FULL if full else DIAGONAL], np.uint8),
        "others": np.zeros(1, np.uint32),
    }
    columns: dict[str, Any] = {name: np.zeros(0, DTYPES[FIELDS[name]]) for name in PARTS}
    columns |= {"name": parts[0]["name"], "hash": np.array(hashes, np.uint32), "mean": mean, "precision": packed}
    for name in ("waiting_example", "waiting_n", "waiting_feature"):
        columns[name] = np.concatenate([part[name] for part in parts])
    if full:
        columns["information"] = information
    elif any(len(part["coefficient_clock"]) for part in parts):
        columns["coefficient_clock"] = np.full(n, arrays["clock"][0])
    return Flat(arrays | columns)


def _most_full(head: Head) -> int:
    """Coefficients up to which a posterior is full."""
    given = head.options.get("posterior_full")
    return min(given or (STRICT if head.posterior == "full" else AUTO), MOST_FULL)


def matrix(part: Flat) -> Array:
    """The precision of one entity as a symmetric matrix."""
    n = int(part["coefficients"][0])
    if part["posterior"][0] == DIAGONAL:
        return np.diag(part["precision"])
    lower = np.zeros((n, n))
    lower[np.tril_indices(n)] = part["precision"]
    return lower + np.tril(lower, -1).T


def content(whole: Flat) -> bytes:
    """All of the entities: a sort by it does not depend on their order."""
    return b"".join(whole[name].tobytes() for name in sorted(FIELDS))
