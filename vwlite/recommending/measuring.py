"""How well events are predicted that a model has not learned: log likelihood, recall and NDCG of the first k items."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.core.elementary import array_log
from vwlite.errors import VwliteError
from vwlite.recommending.events import Events, placed
from vwlite.recommending.model import Model
from vwlite.recommending.softmax import groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Figures(NamedTuple):
    """Metrics of a model, or of the baseline.

    Args:
        log_likelihood: The mean of log q over the events, by their weights.
        recall: The share of a user's items that are among the first k, of k at most; the mean over users. NaN if
            lists can have none of the items.
        ndcg: The normalized discounted cumulative gain of the first k; the mean over users.
    """

    log_likelihood: float
    recall: float
    ndcg: float


class Measured(NamedTuple):
    """Metrics of events.

    Args:
        k: The number of items of a list.
        events, users: Pairs and users that are measured.
        unknown_items: Pairs that are left out, because the model has not met the item.
        unknown_users: Users that the model has not met, who are measured all the same.
        learned: Pairs that the model has learned, which lists don't have without `repeat`.
        model: The metrics of the model.
        popularity: Those of each item's share of all events that the model has learned.
    """

    k: int
    events: int
    users: int
    unknown_items: int
    unknown_users: int
    learned: int
    model: Figures
    popularity: Figures


def measure(model: Model, events: Events, k: int, repeat: bool = False) -> Measured:  # noqa: DOC502
    """Measures a model by events that it has not learned.

    Args:
        model: The model.
        events: The events.
        k: The number of items of a list.
        repeat: Whether lists have items that the user had before, too.

    Returns:
        The metrics.

    Raises:
        VwliteError: If the model knows no item of the events.
    """
    item = placed(events.items, model.number_of_item)[events.item]
    known = item >= 0
    if not known.any():
        raise VwliteError("the model knows no item of these events, so they can't be measured")
    user, item, weight = events.user[known], item[known], events.weight[known]
    totals: dict[str, list[Any]] = {"model": [], "popularity": []}
    popularity = model.popularity()
    ranks = 1 / (array_log(np.arange(2.0, k + 2)) / array_log(np.array([2.0])))
    begins = np.searchsorted(user, np.arange(len(events.users) + 1))
    rows = learned = 0
    for group in groups(len(events.users), len(model.items)):
        own = slice(begins[group.start], begins[group.stop])
        names = events.users[group]
        row = user[own] - group.start
        hits = np.zeros((len(names), len(model.items)), bool)
        hits[row, item[own]] = True
        before = [model.done_by(name) for name in names]
        learned += int(sum(hits[i, done].sum() for i, done in enumerate(before)))
        if repeat:
            before = [done[:0] for done in before]
        for i, done in enumerate(before):
            hits[i, done] = False
        rows += int(hits.any(axis=1).sum())
        for kind in totals:
            table = model.probabilities(names) if kind == "model" else np.tile(popularity, (len(names), 1))
            likely = weight[own] @ array_log(np.maximum(table[row, item[own]], np.finfo(float).tiny))
            totals[kind].append((likely, *of_lists(table, hits, before, ranks)))
    found = {}
    for kind, parts in totals.items():
        sums = [float(sum(part[i] for part in parts)) for i in range(3)]
        found[kind] = Figures(sums[0] / float(weight.sum()), *(one / rows if rows else math.nan for one in sums[1:]))
    users = np.unique(user)
    new = sum(events.users[i] not in model.number_of_user for i in users)
    return Measured(k, int(known.sum()), len(users), int((~known).sum()), new, learned, **found)


def of_lists(table: Floats, hits: Any, before: list[Any], ranks: Floats) -> tuple[float, float]:
    """The sums of recall and NDCG over users.

    Args:
        table: Scores, (n_users, n_items).
        hits: Which items the users turned to, of the same shape.
        before: The items of each user that no list has.
        ranks: The gain of each place of a list.

    Returns:
        The sums over users with hits.
    """
    recall = ndcg = 0.0
    for scores, wanted, done in zip(table, hits, before, strict=True):
        n = min(int(wanted.sum()), len(ranks))
        if n:
            found = wanted[first(scores, done, len(ranks))]
            recall += found.sum() / n
            ndcg += (ranks[: len(found)] * found).sum() / ranks[:n].sum()
    return recall, ndcg


def first(scores: Floats, without: Any, k: int) -> Any:
    """The numbers of the k items with the highest scores, best first, ties by number.

    Args:
        scores: Of the items.
        without: Numbers of items that are left out.
        k: How many, at most.

    Returns:
        The numbers.
    """
    scores = scores.copy()
    scores[without] = -np.inf
    k = min(k, len(scores) - len(np.unique(without)))
    if k <= 0:
        return np.zeros(0, np.int64)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    able = np.flatnonzero(scores >= least)
    return able[np.argsort(-scores[able], kind="stable")][:k]
