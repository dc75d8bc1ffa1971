"""The forms of `vwlite recommend`, and what they print."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from vwlite.errors import OptionError
from vwlite.journal.rendering import printable
from vwlite.recommending import card
from vwlite.recommending.commands import Learned, Settings, learn, learn_users, lists
from vwlite.recommending.events import read_events
from vwlite.recommending.measuring import Measured, measure
from vwlite.recommending.model import Model, load

OF_LEARNING = ("user", "item", "factors", "item_l2", "factor_l2", "earlier", "mix", "holdout", "tune", "seed")
OF_LISTS = ("listed", "repeat")
POPULAR = 5  # items on a card
NAMES = {"listed": "list", "seed": "random_seed", "final": "final_regressor"}  # where an option has another name


class Line(NamedTuple):
    """What is printed at once: text, or values that JSON can represent."""

    text: str
    facts: dict[str, Any]


def run(data: Sequence[str], initial: str | None, users: Sequence[str], given: dict[str, Any]) -> Iterator[Line]:
    """Does what the options of the command say.

    Args:
        data: The data.
        initial: The loaded model; None for none.
        users: Those who get lists.
        given: The other options by name.

    Yields:
        What is printed.

    Raises:
        OptionError: If options don't fit each other.
    """
    own = (*OF_LEARNING, *OF_LISTS, "final", "iterations", "top")
    options = {name: given.pop(name) for name in own}
    if initial is None:
        refuse(options, (*OF_LISTS,), "without -i: a loaded model gives lists")
        if users:
            raise OptionError("--for has no effect without -i: a loaded model gives lists")
        yield from learned(data, options, given)
        return
    refuse(options, OF_LEARNING, "with -i: the loaded model has it")
    model = load(initial)
    if users or options["listed"]:
        refuse(options, ("final", "iterations"), "with --list or --for, which learn nothing")
        yield from listed(model, data, users, options, given)
        return
    if not data:
        refuse(options, ("final", "iterations", "repeat"), "without DATA")
        facts = card.facts_of(model, POPULAR if options["top"] is None else options["top"])
        yield Line(printable(card.lines_of(facts)), facts)
        return
    if options["final"]:
        refuse(options, ("repeat", "top"), "with -f, which learns")
        found = learn_users(model, data, options["iterations"] or Settings().iterations, options["final"], given)
        yield Line(text_of_users(found), {"users": len(found.fit.parameters.users), **facts_of_fit(found)})
        return
    refuse(options, ("iterations",), "without -f: nothing is learned")
    events = read_events(data, model.about["user"], model.about["item"], given)
    measured = measure(model, events, options["top"] or Settings().k, options["repeat"])
    yield Line("\n".join(text_of(measured)), facts_of(measured))


def refuse(options: dict[str, Any], names: Sequence[str], why: str) -> None:
    """Raises OptionError for options that have no effect."""
    wrong = [name for name in names if options[name] not in (None, False)]
    if wrong:
        raise OptionError(f"--{NAMES.get(wrong[0], wrong[0])} has no effect {why}: leave it out")


def learned(data: Sequence[str], options: dict[str, Any], given: dict[str, Any]) -> Iterator[Line]:
    """Learns a model."""
    missing = [f"--{name}" for name in ("user", "item") if not options[name]]
    if missing:
        raise OptionError(f"{' and '.join(missing)} NAME: say which namespace, feature or column names it; or load a "
                          "model with -i")  # fmt: skip
    if options["user"] == options["item"]:
        raise OptionError(f"--user {options['user']} and --item {options['item']} are the same")
    if not options["final"] and not options["holdout"]:
        raise OptionError("-f FILE for the model, or --holdout SHARE to measure one")
    if options["top"] and not options["holdout"]:
        raise OptionError("--top has no effect without --holdout: a list is measured on held-out events")
    default = Settings()
    values = {name: options[name] for name in ("factors", "iterations", "seed", "holdout", "tune", "earlier")}
    values["k"] = options["top"]
    how = default._replace(**{name: value for name, value in values.items() if value is not None})
    ridges = {name: options[name] for name in ("item_l2", "factor_l2") if options[name] is not None}
    share = options["mix"]
    if share is None and how.earlier:
        share = 0.5
    how = how._replace(penalty=default.penalty._replace(**ridges, share=share or 0.0))
    found = learn(data, options["user"], options["item"], how, options["final"], given)
    facts = {
        "users": len(found.model.users),
        "items": len(found.model.items),
        **facts_of_fit(found),
        **found.model.how._asdict(),
        "tried": [{**penalty._asdict(), "log_likelihood": value} for penalty, value in found.tried],
        "held": None if found.held is None else facts_of(found.held),
    }
    yield Line(text_of_model(found), facts)


def listed(
    model: Model, data: Sequence[str], users: Sequence[str], options: dict[str, Any], given: dict[str, Any]
) -> Iterator[Line]:
    """Lists of items."""
    if users and (data or options["listed"]):
        other = "DATA" if data else "--list"
        raise OptionError(f"--for and {other}: lists are for the users of the one or of the other: leave one out")
    if data:
        users = read_events(data, model.about["user"], model.about["item"], given).users
    k = options["top"] or Settings().k
    for user, items in lists(model, users or model.users, k, options["repeat"]):
        text = "".join(f"\t{item}:{probability:.6g}" for item, probability in items)
        yield Line(user + text, {"user": user, "items": [{"item": i, "probability": p} for i, p in items]})


def number(value: float) -> str:
    """A metric as text."""
    return f"{value:.4f}" if math.isfinite(value) else "n/a"


def facts_of(measured: Measured) -> dict[str, Any]:
    """Metrics in values that JSON can represent."""
    figures = {
        kind: {name: value if math.isfinite(value) else None for name, value in found._asdict().items()}
        for kind, found in (("model", measured.model), ("popularity", measured.popularity))
    }
    return {**measured._asdict(), **figures}


def facts_of_fit(found: Learned) -> dict[str, Any]:
    """A fit in values that JSON can represent."""
    return {
        "events": found.events,
        "left_out": found.left_out,
        "unknown_items": found.unknown_items,
        "objective": found.fit.objective,
        "iterations": found.fit.iterations,
        "converged": found.fit.converged,
    }


def text_of(measured: Measured) -> list[str]:
    """Metrics as a table."""
    k = measured.k
    lines = [f"measured = {measured.events:,} pairs of {measured.users:,} users"]
    if measured.unknown_items:
        lines.append(f"pairs left out, the item is new = {measured.unknown_items:,}")
    if measured.unknown_users:
        lines.append(f"new users, who get what is popular = {measured.unknown_users:,}")
    if measured.learned:
        lines.append(f"pairs that the model has learned = {measured.learned:,}")
    lines.append(f"{'':<16}{'model':>12}{'popularity':>12}")
    for name, model, popularity in (
        ("log likelihood", measured.model.log_likelihood, measured.popularity.log_likelihood),
        (f"recall@{k}", measured.model.recall, measured.popularity.recall),
        (f"ndcg@{k}", measured.model.ndcg, measured.popularity.ndcg),
    ):
        lines.append(f"{name:<16}{number(model):>12}{number(popularity):>12}")
    return lines


def text_of_model(found: Learned) -> str:
    """What was learned, as text."""
    penalty = found.model.how
    lines = [
        f"events = {found.events:,} pairs of {len(found.model.users):,} users and {len(found.model.items):,} items"
    ]
    lines += left_out(found)
    flags = f"--item_l2 {penalty.item_l2:g} --factor_l2 {penalty.factor_l2:g}"
    if found.model.earlier is not None:
        flags += f" --mix {penalty.share:g}"
    if found.tried:
        lines.append(f"tuned = {flags} (best of {len(found.tried)})")
    if found.held is not None:
        lines += text_of(found.held)
    return "\n".join([*lines, text_of_fit(found)])


def text_of_users(found: Learned) -> str:
    """What was learned of users, as text."""
    users = len(found.fit.parameters.users)
    lines = [f"users learned = {users:,}, from {found.events - found.unknown_items:,} new pairs"]
    lines += left_out(found)
    if found.unknown_items:
        lines.append(f"pairs left out, the item is new = {found.unknown_items:,}")
    return "\n".join([*lines, text_of_fit(found)])


def left_out(found: Learned) -> list[str]:
    """The line about examples that are no events, if there are any."""
    if not found.left_out:
        return []
    return [f"examples left out, without a user, an item or a label above 0 = {found.left_out:,}"]


def text_of_fit(found: Learned) -> str:
    """How the fit ended."""
    how = "converged after" if found.fit.converged else "stopped after"
    return f"fit = {how} {found.fit.iterations} iterations, objective {found.fit.objective:.6g}"
