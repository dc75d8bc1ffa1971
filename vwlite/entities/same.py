"""The same entity twice: what becomes of an entity that two tables have."""

from __future__ import annotations

from typing import Any

import numpy as np

from vwlite.core.view import CONSTANT
from vwlite.entities.adding import added, content
from vwlite.entities.flat import Flat
from vwlite.entities.heads import Head
from vwlite.entities.uniting import Same
from vwlite.errors import OptionError

RULES = ("error", "add", "newest")


def rule(how: str, head: Head) -> Same:
    """The function that makes one entity of several with one name.

    Args:
        how: "error": OptionError; "newest": the one with the latest time, then the most examples; "add": the posterior
            of the data of all: exact for squared loss, and for a logistic model the product of the posteriors, an
            approximation.
        head: The metadata of the table.

    Returns:
        The function.

    Raises:
        OptionError: If there is no such rule.
    """
    if how not in RULES:
        raise OptionError(f"same is one of {', '.join(RULES)}, not {how!r}")
    if how == "newest":
        return newest
    if how == "add":
        return lambda whole, groups: added(whole, groups, head)
    return refused


def refused(whole: Flat, groups: list[list[int]]) -> Flat:
    """Raises OptionError for the first entity by name."""
    first = min(groups, key=lambda group: whole.name(group[0]))
    more = f", and so are {len(groups) - 1:,} more" if len(groups) > 1 else ""
    raise OptionError(
        f"the entity {whole.shown(first[0])} is there {'twice' if len(first) == 2 else f'{len(first)} times'}{more}: "
        "--same add adds their data, --same newest takes the one that learned last"
    )


def newest(whole: Flat, groups: list[list[int]]) -> Flat:
    """Of each entity the state with the latest time, then clock, then the most examples."""

    def age(i: int) -> tuple[Any, ...]:
        return (*(float(whole[name][i]) for name in ("latest", "clock", "count")), content(whole.take(np.array([i]))))

    return whole.take(np.array([max(group, key=age) for group in groups]))


def counted(entities: Flat, head: Head, owner: str) -> dict[str, tuple[str, list[Any]]]:
    """The sums that can be computed from the entities: numbers of coefficients, and terms of the estimated prior.

    Args:
        entities: The entities.
        head: The metadata of the table.
        owner: The prefix of the effect's arrays.

    Returns:
        The sums.
    """
    n = len(entities["hash"])
    if (head.options.get("intercept_l2") or 0) > 0:
        n -= int((entities["hash"] == CONSTANT).sum())
    return {f"{owner}.spread_count": ("F64", [float(n)])}
