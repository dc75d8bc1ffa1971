"""Sums over entities: what a model has beside its entities, such as the estimate of the noise, and how two are added.

They are kept by the names of the arrays of a model file, as lists of numbers that JSON can represent, each with its
type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vwlite.entities.flat import DTYPES, FIELDS, Array, numbers
from vwlite.errors import ModelError, OptionError

Sums = dict[str, tuple[str, list[Any]]]  # the type and the numbers of each array

MOST_NUMBERS = 1 << 20  # of an array in sums


def _dof(values: Sequence[float]) -> float:
    """The degrees of freedom of all; unknown if those of one are."""
    return sum(values) if min(values) >= 0 else -1.0


SINGLE: dict[str, Callable[[Sequence[float]], float]] = {
    **dict.fromkeys(("spread_sum", "noise_sum", "weight_sum"), math.fsum),
    **dict.fromkeys(("spread_count", "noise_count", "weight_count"), sum),
    "dof_sum": _dof,
    "scaled": max,
    "min_label": min,
    "max_label": max,
}
ADDED = ("mean", "scale")  # tables of sums by feature: of coefficients (bayes/spread.pyx), and of squares
LEAST, MOST = 1e-9, 1e9  # of an estimated ridge, as in bayes/spread.pyx


def of_arrays(arrays: Mapping[str, tuple[str, Sequence[int], Any]], owner: str) -> Sums:
    """The sums among the arrays of a model: single numbers, and what an effect has beside its entities.

    Args:
        arrays: The type, shape and values by name.
        owner: The prefix of the effect's arrays, such as random_effect.user.

    Returns:
        The sums.
    """
    found: Sums = {}
    for name, (dtype, shape, values) in arrays.items():
        own = name.startswith(f"{owner}.")
        if (own and name[len(owner) + 1 :] in FIELDS) or not (own or (not list(shape) and not _of_effect(name, owner))):
            continue
        found[name] = dtype, numbers(dtype, values).tolist()
    return found


def _of_effect(name: str, owner: str) -> bool:
    """Whether an array is of an effect: random_effect.user.l2, not random_effect.weight_sum."""
    return name.startswith(owner.partition(".")[0] + ".") and name.count(".") > 1


def read(value: Any, where: str) -> Sums:
    """Sums from JSON. Raises ModelError if they are none."""
    found: Sums = {}
    if not isinstance(value, dict):
        raise ModelError(f"{where}: not a sound table of entities: its sums are none; write it again")
    for name, entry in value.items():
        if not (
            isinstance(entry, list)
            and len(entry) == 2
            and entry[0] in DTYPES
            and isinstance(entry[1], list)
            and len(entry[1]) <= MOST_NUMBERS
            and all(type(number) in (int, float) and math.isfinite(number) for number in entry[1])
        ):
            raise ModelError(f"{where}: not a sound table of entities: its sum {name[:60]!r} is none; write it again")
        try:
            np.array(entry[1], DTYPES[entry[0]])
        except (OverflowError, ValueError):
            raise ModelError(
                f"{where}: not a sound table of entities: its sum {name[:60]!r} is too large; write it again"
            ) from None
        found[name] = entry[0], entry[1]
    return found


def to_arrays(sums: Sums) -> dict[str, tuple[str, list[int], Array]]:
    """The arrays of a model file, without their shapes: single numbers among them have one dimension here."""
    return {name: (dtype, [len(values)], np.array(values, DTYPES[dtype])) for name, (dtype, values) in sums.items()}


def united(several: Sequence[Sums], first_ridge: float = 1.0, noise: float | None = None) -> Sums:
    """The sums of all entities of several tables of one effect.

    Args:
        several: The sums of each.
        first_ridge: The ridge that an estimated one begins with.
        noise: The variance of the noise; None if it is estimated.

    Returns:
        Their sums. Ranges of labels are united, an estimated ridge is that of the united sums.

    Raises:
        OptionError: If something can't be added, such as estimated covariances, or labels of two kinds.
    """
    if len(several) == 1:
        return dict(several[0])
    names = dict.fromkeys(name for sums in several for name in sums)
    found: Sums = {}
    ridges = []
    for name in names:
        there = [sums[name] for sums in several if name in sums]
        dtype, short = there[0][0], name.rpartition(".")[2]
        values = [one for _, one in there]
        if any(kind != dtype for kind, _ in there):
            raise OptionError(f"{name} is of two types in the tables to be united")
        if len(name.split(".")) > 3 and name.split(".")[-2] in ADDED:
            continue
        if all(one == values[0] for one in values[1:]) and short not in SINGLE:
            found[name] = there[0]
        elif short in SINGLE and all(len(one) == 1 for one in values):
            found[name] = dtype, [SINGLE[short]([one[0] for one in values])]
        elif short == "l2":
            ridges.append(name)
            found[name] = there[0]
        elif short == "negative_label":
            raise OptionError("the labels of the negative class are -1 in one table and 0 in another: train them alike")
        else:
            raise OptionError(f"{name} differs between the tables, and can't be united: fit them with it given")
    for name in ridges:
        found[name] = "F64", [ridge(found, name.rpartition(".")[0], first_ridge, noise)]
    _add_tables(several, names, found)
    return found


def ridge(sums: Sums, owner: str, first: float, noise: float | None = None) -> float:
    """The ridge of an effect that is estimated from sums over its entities, as bayes/spread.pyx does.

    Args:
        sums: The sums.
        owner: The prefix of the effect's arrays.
        first: The ridge that the estimate begins with, which counts as one degree of freedom.
        noise: The variance of the noise; None for that of the sums.

    Returns:
        The ridge, the ratio of the noise variance and that of the effects.
    """
    scale = noise_of(sums, owner) if noise is None else noise
    spread, dof = single(sums, f"{owner}.spread_sum"), single(sums, f"{owner}.dof_sum")
    variance = (spread + scale / first) / (max(dof, 0) + 1)
    if not (variance > 0 and math.isfinite(variance)):
        return first
    return min(max(scale / variance, LEAST), MOST)


def noise_of(sums: Sums, owner: str) -> float:
    """The variance of the noise that is estimated from sums over entities; 1 before two examples."""
    total, count = single(sums, f"{owner}.noise_sum"), single(sums, f"{owner}.noise_count")
    return total / count if count >= 2 and total > 0 else 1.0


def single(sums: Sums, name: str) -> float:
    """A single number; 0 if it is not there."""
    return float(sums[name][1][0]) if name in sums else 0.0


def _add_tables(several: Sequence[Sums], names: Mapping[str, None], found: Sums) -> None:
    """Adds the tables of numbers by feature, whose rows are sums: of coefficients and squares, with their counts."""
    for prefix in dict.fromkeys(name.rpartition(".")[0] for name in names):
        parts = prefix.split(".")
        if len(parts) < 3 or parts[-1] not in ADDED:
            continue
        there = [sums for sums in several if f"{prefix}.key" in sums]
        template = {name: there[0][name] for name in names if name.rpartition(".")[0] == prefix and name in there[0]}
        rows = len(there[0][f"{prefix}.key"][1])
        total: dict[int, list[float]] = {}
        for sums in there:
            n = sums[f"{prefix}.coefficients"][1][0]
            hashes = sums[f"{prefix}.hash"][1][:n]
            values, counts = sums[f"{prefix}.mean"][1][:n], sums[f"{prefix}.precision"][1][:n]
            for hash_, value, count in zip(hashes, values, counts, strict=True):
                one = total.setdefault(hash_, [0.0, 0.0])
                one[0] += value
                one[1] += count
        keys = sorted(total)
        means = [total[key][0] for key in keys]
        counts = [total[key][1] for key in keys]
        if parts[-1] == "scale":  # the second row has the mean squares
            means += [value / count if count else 1.0 for value, count in zip(means, counts, strict=True)]
            counts += [0.0] * len(keys)
        found |= template
        found[f"{prefix}.coefficients"] = "U32", [len(keys)] * rows
        found[f"{prefix}.hash"] = "U32", keys * rows
        found[f"{prefix}.mean"] = "F64", means
        found[f"{prefix}.precision"] = "F64", counts
