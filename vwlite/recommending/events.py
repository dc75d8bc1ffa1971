"""Events: who did what how often, read from data of any format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.core.sides import side
from vwlite.core.types import LabelType
from vwlite.engine.feed import Feed
from vwlite.errors import OptionError, VwliteError
from vwlite.judging.reading import names_of_slices, options_of
from vwlite.judging.recorder import Recorder
from vwlite.recommending.softmax import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]


class Events(NamedTuple):
    """Events, added up by user and item, sorted by user and item.

    Args:
        users, items: Names, sorted.
        user, item: Their numbers, (n,).
        weight: Label times importance weight, positive, (n,).
        records: Name and digest of each source.
        left_out: Examples without a label, a user or an item, or with the label 0.
    """

    users: list[str]
    items: list[str]
    user: Codes
    item: Codes
    weight: Floats
    records: list[dict[str, Any]]
    left_out: int

    def pairs(self, earlier: Floats | None = None) -> Pairs:
        """The events as the mathematics takes them."""
        z = np.zeros(len(self.weight)) if earlier is None else earlier
        return Pairs(self.user, self.item, self.weight, z, len(self.users), len(self.items))


def read_events(paths: Sequence[str], user: str, item: str, given: Mapping[str, Any], digests: bool = False) -> Events:  # noqa: DOC502
    """Reads events: the label of an example is the amount of what the user did with the item, such as 1.

    Args:
        paths: The data.
        user: The namespace, feature or column of users.
        item: That of items.
        given: Options about the data, by name.
        digests: Whether the sha256 of files is computed.

    Returns:
        The events.

    Raises:
        OptionError: If no example has a user or an item of the names.
        VwliteError: If a file can't be read, a label is negative, or there is no event.
    """
    by = [user, item]
    options = options_of(paths, dict(given), by, ["--testonly"])
    feed = Feed(options, True, LabelType.SIMPLE, False)
    feed.digests = digests
    recorder = Recorder(names_of_slices(options, by))
    try:
        for block in feed.blocks():
            recorder.read(block)
    finally:
        feed.close()
    where = ", ".join(feed.names)
    places, labels, weights = (
        np.frombuffer(view, kind)
        for view, kind in zip(recorder.columns(), (np.uint64, np.float32, np.float32), strict=False)
    )
    if not recorder.seen:
        raise VwliteError(f"{where}: there is no example")
    if not len(labels):
        raise VwliteError(
            f"{where}: no example has a label: the label is how much the user did with the item: 1 for one event"
        )
    slices = [recorder.slice(i) for i in range(2)]
    for flag, name, (texts, _, _) in zip(("--user", "--item"), by, slices, strict=True):
        if not texts:
            raise OptionError(f"{flag} {name}: no example of {where} has a feature, namespace or column of this name")
    for what, bad in (("negative", labels < 0), ("not finite", ~np.isfinite(labels) | ~np.isfinite(weights))):
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            raise VwliteError(
                f"{where}: the label or weight of example {int(places[place]) + 1} is {what} ({labels[place]:g}): the "
                "label is how much the user did with the item, 0 or more"
            )
    coded = [np.frombuffer(codes, np.int32).astype(np.int64) for _, codes, _ in slices]
    amount = labels.astype(float) * weights
    used = (coded[0] >= 0) & (coded[1] >= 0) & (amount > 0)
    if not used.any():
        raise VwliteError(f"{where}: no example has a user, an item and a label above 0")
    users, user_codes = numbered(slices[0][0], coded[0][used])
    items, item_codes = numbered(slices[1][0], coded[1][used])
    keys, inverse = np.unique(user_codes * len(items) + item_codes, return_inverse=True)
    weight: Any = np.bincount(inverse, amount[used], len(keys))
    left_out = int(recorder.seen - used.sum())
    return Events(users, items, keys // len(items), keys % len(items), weight, list(feed.records), left_out)


def numbered(texts: Sequence[bytes], codes: Codes) -> tuple[list[str], Codes]:
    """The names that are used, sorted, and their numbers."""
    names = [text.decode("utf-8", "surrogateescape") for text in texts]
    seen = np.unique(codes)
    order = sorted(seen.tolist(), key=lambda code: names[code])
    rank = np.zeros(len(names), np.int64)
    rank[order] = np.arange(len(order))
    return [names[code] for code in order], rank[codes]


def chosen(events: Events, which: Any) -> Events:
    """Some of the events, with the users and items that they have."""
    users, user = np.unique(events.user[which], return_inverse=True)
    items, item = np.unique(events.item[which], return_inverse=True)
    return events._replace(
        users=[events.users[i] for i in users],
        items=[events.items[i] for i in items],
        user=user.astype(np.int64),
        item=item.astype(np.int64),
        weight=events.weight[which],
    )


def divided(events: Events, share: float) -> tuple[Events, Events]:
    """Holds a share of the pairs of a user and an item out, chosen by their names.

    Args:
        events: The events.
        share: The share, from 0 to 1.

    Returns:
        The others, and those held out.

    Raises:
        VwliteError: If either has none.
    """
    names = zip(events.user.tolist(), events.item.tolist(), strict=True)
    sides = np.array(
        [side(f"{events.users[u]}\0{events.items[i]}".encode("utf-8", "surrogateescape")) for u, i in names]
    )
    held = sides >= 1 - share
    if held.all() or not held.any():
        raise VwliteError(
            f"--holdout {share:g}: {'nothing is left to learn from' if held.all() else 'nothing was held out'}: there "
            f"are {len(sides)} pairs of a user and an item"
        )
    return chosen(events, ~held), chosen(events, held)


def placed(names: Sequence[str], known: Mapping[str, int]) -> Codes:
    """The numbers of names among known ones, -1 for unknown ones."""
    return np.array([known.get(name, -1) for name in names], np.int64)
