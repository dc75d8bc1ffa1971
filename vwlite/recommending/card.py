"""The card of a model of events: its size, settings and data, and what is popular."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vwlite.recommending.model import Model

SHOWN_DIGITS = 12  # of a sha256


def facts_of(model: Model, top: int) -> dict[str, Any]:
    """What a model is, in values that JSON can represent.

    Args:
        model: The model.
        top: How many items are listed.

    Returns:
        Its identity, sizes, settings and data; the items with most events and their share of all events, as `popular`;
        the same of the earlier model that it is mixed with, which has no identity of its own, as `earlier`.
    """
    about, share = model.about, model.popularity()
    order = np.argsort(-share, kind="stable")[:top]
    facts = {
        **model.made,
        "events": len(model.seen[0]),
        "users": len(model.users),
        "items": len(model.items),
        **{name: about[name] for name in ("user", "item", "factors", "seed", "iterations", "converged")},
        **model.how._asdict(),
        "sources": about["sources"],
        "popular": [{"item": model.items[i], "share": float(share[i])} for i in order],
    }
    if model.earlier is not None:
        facts["earlier"] = facts_of(model.earlier, top)
    return facts


def lines_of(facts: dict[str, Any]) -> Iterator[str]:
    """The card as lines of text."""
    if "id" in facts:
        yield f"model {facts['id']}, by vwlite {facts['vwlite_version']} at {facts['created']}"
    users, items = f"{facts['users']:,} users ({facts['user']})", f"{facts['items']:,} items ({facts['item']})"
    yield f"events = {facts['events']:,} pairs of {users} and {items}"
    flags = f"--factors {facts['factors']} --item_l2 {facts['item_l2']:g} --factor_l2 {facts['factor_l2']:g}"
    if "earlier" in facts:
        flags += f" --mix {facts['share']:g}"
    yield f"learned with {flags} --random_seed {facts['seed']}"
    yield f"fit = {'converged' if facts['converged'] else 'stopped'} after {facts['iterations']} iterations"
    for i, sources in enumerate(facts["sources"]):
        for source in sources:
            digest = f"sha256 {source['sha256'][:SHOWN_DIGITS]}, " if source["sha256"] else ""
            yield f"{'users learned' if i else 'learned'} from {source['name']} ({digest}{source['bytes']:,} bytes)"
    if facts["popular"]:
        yield "most events:"
        for one in facts["popular"]:
            yield f"  {one['item']}  {one['share']:.6g}"
    if "earlier" in facts:
        yield "the earlier model:"
        yield from (f"  {line}" for line in lines_of(facts["earlier"]))
