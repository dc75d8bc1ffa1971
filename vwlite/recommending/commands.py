"""What `vwlite recommend` does: learn a model of events, learn users by it, measure it, and list items for users."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from vwlite.errors import OptionError, VwliteError
from vwlite.model.model_file import require_writable
from vwlite.recommending.events import Events, chosen, divided, placed, read_events
from vwlite.recommending.measuring import Measured, first, measure
from vwlite.recommending.model import MOST_EARLIER, Model, depth_of, load, of_events
from vwlite.recommending.softmax import Fit, Pairs, Parameters, Penalty, begin, fit, fit_users
from vwlite.tuning.ranges import Range
from vwlite.tuning.search import search

# the ranges that are searched
RIDGES = Range("ridge", "", 1e-3, 1e3, False)
SHARES = Range("share", "", 0.01, 0.99, False)


class Settings(NamedTuple):
    """How a model is learned.

    Args:
        factors: Of each user and item.
        penalty: Ridges, and the share of the earlier model.
        iterations: Of the optimiser, at most.
        seed: Of the start.
        k: The number of items of a list.
        holdout: The share of the pairs that is held out and measured; 0 for none.
        tune: How many models are learned to find the ridges and the share; 0 for none.
        earlier: The file of the earlier model; "" for none.
    """

    factors: int = 8
    penalty: Penalty = Penalty(0.1, 10.0, 0.0)
    iterations: int = 200
    seed: int = 0
    k: int = 10
    holdout: float = 0.0
    tune: int = 0
    earlier: str = ""


class Learned(NamedTuple):
    """What was learned.

    Args:
        model: The model.
        fit: Its fit.
        events: The pairs that were read.
        left_out: Examples that are no events.
        unknown_items: Pairs left out because the loaded model has not met the item.
        tried: The penalties tried, with the log likelihood held out.
        held: The metrics of what was held out; None without.
    """

    model: Model
    fit: Fit
    events: int
    left_out: int
    unknown_items: int
    tried: list[tuple[Penalty, float]]
    held: Measured | None


def learn(  # noqa: DOC502, DOC503
    paths: Sequence[str],
    user: str,
    item: str,
    how: Settings,
    path: str | None = None,
    given: Mapping[str, Any] | None = None,
) -> Learned:
    """Learns a model of all events, after measuring one without those that are held out.

    Args:
        paths: The data.
        user: The namespace, feature or column of users.
        item: That of items.
        how: The settings.
        path: Where the model is written; None for nowhere.
        given: Options about the data, by name.

    Returns:
        What was learned.

    Raises:
        OptionError: If settings don't fit each other, or the names are not in the data.
        VwliteError: If a file can't be read or written, or there is no event.
    """
    if how.tune and not how.holdout:
        raise OptionError("--tune needs held-out events to compare by: add --holdout 0.2")
    if how.penalty.share and not how.earlier:
        raise OptionError("--mix needs an earlier model: name it with --earlier, or leave it out")
    if not how.factors and how.tune and not how.earlier:
        raise OptionError("--tune with --factors 0: only the ridge of the items is left, and popularity needs none")
    earlier = load(how.earlier) if how.earlier else None
    if depth_of(earlier) > MOST_EARLIER:
        raise OptionError(f"--earlier {how.earlier}: {MOST_EARLIER + 1} models inside each other are the most")
    if path:
        require_writable(path)
    events = read_events(paths, user, item, given or {}, bool(path))
    penalty, tried, held = how.penalty, [], None
    if how.holdout:
        less, out = divided(events, how.holdout)
        z = of_events(earlier, less) if earlier is not None else None
        if how.tune:
            tried = tuned(less.pairs(z), less, out, earlier, how)
            penalty = max(tried, key=lambda one: one[1])[0]
        trial = modelled(less, fitted(less.pairs(z), penalty, how), penalty, earlier, {})
        held = measure(trial, out, how.k)
    z = of_events(earlier, events) if earlier is not None else None
    found = fitted(events.pairs(z), penalty, how)
    about = {
        "user": user,
        "item": item,
        "factors": how.factors,
        "seed": how.seed,
        "iterations": found.iterations,
        "converged": found.converged,
        "sources": [sources(events)],
    }
    model = modelled(events, found, penalty, earlier, about)
    if path:
        model.save(path)
    return Learned(model, found, len(events.weight), events.left_out, 0, tried, held)


def sources(events: Events) -> list[dict[str, Any]]:
    """The names and digests of what was read, for the model."""
    from vwlite.engine.provenance import without_secrets

    return [{**one, "name": without_secrets(str(one["name"]))} for one in events.records]


def fitted(pairs: Pairs, penalty: Penalty, how: Settings) -> Fit:
    """A fit from the start. Raises VwliteError if it ended where numbers are not finite."""
    found = fit(pairs, begin(pairs, how.factors, how.seed), penalty, how.iterations)
    if not math.isfinite(found.objective):
        raise VwliteError("the fit has not stayed finite: are there extreme labels or weights?")
    return found


def modelled(events: Events, found: Fit, penalty: Penalty, earlier: Model | None, about: dict[str, Any]) -> Model:
    """The model of a fit."""
    seen = (events.user, events.item, events.weight)
    return Model(events.users, events.items, found.parameters, penalty, seen, earlier, about)


def tuned(pairs: Pairs, less: Events, out: Events, earlier: Model | None, how: Settings) -> list[tuple[Penalty, float]]:
    """Searches for the penalty with the highest log likelihood held out, by the simplex method.

    Args:
        pairs: The events that are learned.
        less: The same, with names.
        out: Those held out.
        earlier: The earlier model; None for none.
        how: The settings, of which `penalty` is the start.

    Returns:
        The penalties tried, and the log likelihood of each.
    """
    tried: dict[Penalty, float] = {}
    ranges = [RIDGES, RIDGES] if how.factors else []
    ranges += [SHARES] if earlier is not None else []

    def penalty_at(places: Sequence[float]) -> Penalty:
        values = [one.value(place) for one, place in zip(ranges, places, strict=True)]
        share = values.pop() if earlier is not None else 0.0
        item_l2, factor_l2 = values or how.penalty[:2]
        return Penalty(item_l2, factor_l2, share)

    def loss(places: Sequence[float]) -> float:
        penalty = penalty_at(places)
        if penalty not in tried:
            if len(tried) == how.tune:
                raise Enough
            model = modelled(less, fitted(pairs, penalty, how), penalty, earlier, {})
            tried[penalty] = measure(model, out, how.k).model.log_likelihood
        return -tried[penalty]

    values = [*(how.penalty[:2] if how.factors else ()), how.penalty.share or 0.5]
    start = [one.place(value) for one, value in zip(ranges, values, strict=False)]
    with suppress(Enough):
        search("nelder-mead", loss, start, how.tune, how.seed)
    return list(tried.items())


class Enough(Exception):
    """Ends a search."""


def learn_users(  # noqa: DOC502
    model: Model, paths: Sequence[str], iterations: int, path: str, given: Mapping[str, Any] | None = None
) -> Learned:
    """Learns the users of new events, with all that is of items frozen; the others stay as they are.

    Args:
        model: The model. What these users have done before counts, too.
        paths: The data.
        iterations: Of the optimiser, at most.
        path: Where the new model is written.
        given: Options about the data, by name.

    Returns:
        What was learned.

    Raises:
        VwliteError: If a file can't be read or written, or the model knows no item of the events.
    """
    require_writable(path)
    events = read_events(paths, model.about["user"], model.about["item"], given or {}, True)
    known = placed(events.items, model.number_of_item)[events.item] >= 0
    if not known.any():
        raise VwliteError(f"{', '.join(paths)}: the model knows no item of these events")
    new = chosen(events, known)
    users = sorted({*model.users, *new.users})
    number = {name: i for i, name in enumerate(users)}
    item = placed(new.items, model.number_of_item)
    old_user = placed(model.users, number)[model.seen[0]]
    keys = (
        np.r_[old_user, placed(new.users, number)[new.user]] * len(model.items) + np.r_[model.seen[1], item[new.item]]
    )
    unique, inverse = np.unique(keys, return_inverse=True)
    weight: Any = np.bincount(inverse, np.r_[model.seen[2], new.weight])
    everything = events._replace(
        users=users,
        items=model.items,
        user=unique // len(model.items),
        item=unique % len(model.items),
        weight=weight,
    )
    touched = placed(new.users, number)
    which = np.isin(everything.user, touched)
    part = chosen(everything, which)
    z = of_events(model.earlier, part) if model.earlier is not None else np.zeros(len(part.weight))
    # chosen() numbers the items of the part only; the model's numbers are those that the parameters have
    pairs = Pairs(part.user, everything.item[which], part.weight, z, len(part.users), len(model.items))
    found = fit_users(pairs, model.at, model.how, iterations)
    factors = np.zeros((len(users), model.n_factors))
    factors[placed(model.users, number)] = model.at.users
    factors[placed(part.users, number)] = found.parameters.users
    about = {**model.about, "sources": [*model.about["sources"], sources(events)]}
    at = Parameters(model.at.item, factors, model.at.items)
    seen = (everything.user, everything.item, everything.weight)
    after = Model(users, model.items, at, model.how, seen, model.earlier, about)
    after.save(path)
    return Learned(after, found, len(events.weight), events.left_out, int((~known).sum()), [], None)


def lists(model: Model, users: Sequence[str], k: int, repeat: bool) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """The first k items for users.

    Args:
        model: The model.
        users: Their names; unknown ones get what is liked most.
        k: How many items.
        repeat: Whether lists have items that the user had before, too.

    Yields:
        The user, and items with their probabilities, best first.
    """
    for user in users:
        scores = model.probabilities([user])[0]
        done = np.zeros(0, np.int64) if repeat else model.done_by(user)
        yield user, [(model.items[i], float(scores[i])) for i in first(scores, done, k)]
