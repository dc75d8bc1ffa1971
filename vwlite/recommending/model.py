"""The model of events: parameters by name, what each user has done, and an earlier model that it is mixed with."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vwlite import __version__
from vwlite.errors import ModelError
from vwlite.model import model_file
from vwlite.recommending.events import Events, placed
from vwlite.recommending.softmax import Parameters, Penalty, groups, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

KIND, READER = "recommend", "vwlite recommend"
MADE = ("id", "vwlite_version", "created")
MOST_EARLIER = 8  # models inside each other


class Model:
    """A model.

    Args:
        users: Names of users.
        items: Names of items.
        at: The parameters.
        how: The hyperparameters.
        seen: What users have done: numbers of users and items, and weights; sorted by user.
        earlier: The model that it is mixed with; None for none.
        about: What the file says of it: user, item, iterations and so on.

    Attributes:
        made: Identity, version of vwlite and time of the file that it was read from; empty without one.
    """

    def __init__(
        self,
        users: list[str],
        items: list[str],
        at: Parameters,
        how: Penalty,
        seen: tuple[Codes, Codes, Floats],
        earlier: Model | None,
        about: dict[str, Any],
    ) -> None:
        self.users, self.items, self.at, self.how = users, items, at, how
        self.seen, self.earlier, self.about = seen, earlier, about
        self.made: dict[str, Any] = {}
        self.number_of_user = {name: i for i, name in enumerate(users)}
        self.number_of_item = {name: i for i, name in enumerate(items)}

    @property
    def n_factors(self) -> int:
        """The number of factors of each user and item."""
        return self.at.items.shape[1]

    def probabilities(self, users: Iterable[str]) -> Floats:
        """The probabilities of all items for users; an unknown user has the factors 0, the mean of the prior.

        Args:
            users: Their names.

        Returns:
            The probabilities, (n, n_items).
        """
        names = list(users)
        numbers = placed(names, self.number_of_user)
        factors = np.where((numbers >= 0)[:, None], self.at.users[np.maximum(numbers, 0)], 0.0)
        found = softmax(self.at._replace(users=factors), slice(None))
        if self.earlier is not None and self.how.share:
            found *= 1 - self.how.share
            found += self.how.share * self.of_earlier(names)
        return found

    def of_earlier(self, users: list[str]) -> Floats:
        """The earlier model's probabilities of the items of this one, 0 for items that it doesn't know."""
        assert self.earlier is not None
        return earlier_probabilities(self.earlier, users, self.items)

    def done_by(self, user: str) -> Codes:
        """The numbers of the items of a user's events."""
        number = self.number_of_user.get(user, -1)
        begin, end = np.searchsorted(self.seen[0], [number, number + 1])
        return self.seen[1][begin:end] if number >= 0 else self.seen[1][:0]

    def popularity(self) -> Floats:
        """Each item's share of all events: the baseline."""
        counts = np.bincount(self.seen[1], self.seen[2], len(self.items))
        return counts / counts.sum()

    def save(self, path: str) -> None:
        """Writes the model atomically; raises ModelError if it can't be written."""
        arrays: dict[str, Any] = {}
        about = packed(self, "", arrays)
        metadata = {
            "vwlite_version": __version__,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "read_by": READER,
            KIND: about,
        }
        model_file.write(path, arrays, metadata)


def earlier_probabilities(earlier: Model, users: list[str], items: list[str]) -> Floats:
    """A model's probabilities of items by name, (n_users, n_items); 0 for those that it doesn't know."""
    numbers = placed(items, earlier.number_of_item)
    found = earlier.probabilities(users)[:, np.maximum(numbers, 0)]
    found[:, numbers < 0] = 0
    return found


def of_events(earlier: Model, events: Events) -> Floats:
    """The probability of each pair of a user and an item by an earlier model, (n,)."""
    found = np.zeros(len(events.weight))
    begins = np.searchsorted(events.user, np.arange(len(events.users) + 1))
    for group in groups(len(events.users), max(len(events.items), len(earlier.items))):
        own = slice(begins[group.start], begins[group.stop])
        table = earlier_probabilities(earlier, events.users[group], events.items)
        found[own] = table[events.user[own] - group.start, events.item[own]]
    return found


def packed(model: Model, prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Adds a model's arrays under a prefix; returns what the metadata say of it."""

    def add(name: str, dtype: str, values: Any, shape: Iterable[int] | None = None) -> None:
        arrays[f"{prefix}{KIND}.{name}"] = (dtype, list(shape or [len(values)]), values)

    for name, names in (("user_names", model.users), ("item_names", model.items)):
        add(name, "U8", json.dumps(names).encode())
    add("item_effect", "F64", np.ascontiguousarray(model.at.item))
    add("user_factors", "F64", np.ascontiguousarray(model.at.users), model.at.users.shape)
    add("item_factors", "F64", np.ascontiguousarray(model.at.items), model.at.items.shape)
    for name, dtype, values in zip(
        ("seen_user", "seen_item", "seen_weight"), ("U32", "U32", "F64"), model.seen, strict=True
    ):
        add(name, dtype, np.ascontiguousarray(values, np.uint32 if dtype == "U32" else np.float64))
    about = {**model.about, **model.how._asdict()}
    if model.earlier is not None:
        about["earlier"] = packed(model.earlier, f"{prefix}earlier.", arrays)
    return about


def load(path: str | os.PathLike[str]) -> Model:  # noqa: DOC503
    """Reads a model of `vwlite recommend`.

    Args:
        path: The file.

    Returns:
        The model.

    Raises:
        ModelError: If it can't be read, is damaged, or is another kind of model.
    """
    reader = model_file.open(path, READER)
    about = reader.metadata.get(KIND)
    if not isinstance(about, dict):
        raise ModelError(f"{reader.path}: is no model of vwlite recommend: it has no items to recommend")
    try:
        found = unpacked(reader, "", about, 0)
        found.made = {name: str(reader.metadata.get(name)) for name in MADE}
        return found
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{reader.path}: its arrays don't fit each other; train the model again") from None


def unpacked(reader: model_file.ModelReader, prefix: str, about: Mapping[str, Any], depth: int) -> Model:
    """The model under a prefix; raises ValueError and others if its arrays don't fit each other."""

    def array(name: str, dtype: str, kind: Any) -> Any:
        found = np.array(reader.array(f"{prefix}{KIND}.{name}", dtype), kind)
        if found.dtype == np.float64 and not np.isfinite(found).all():
            raise ValueError(name)
        return found

    def names(name: str) -> list[str]:
        found = json.loads(bytes(reader.array(f"{prefix}{KIND}.{name}", "U8")))
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise ValueError(name)
        return found

    users, items = names("user_names"), names("item_names")
    k = reader.shape(f"{prefix}{KIND}.item_factors")[1]
    at = Parameters(
        array("item_effect", "F64", np.float64),
        array("user_factors", "F64", np.float64).reshape(len(users), k),
        array("item_factors", "F64", np.float64).reshape(len(items), k),
    )
    user, item = (array(name, "U32", np.int64) for name in ("seen_user", "seen_item"))
    weight = array("seen_weight", "F64", np.float64)
    whole = len(at.item) == len(items) > 0 and len(user) == len(item) == len(weight) > 0
    how = Penalty(*(float(about[name]) for name in Penalty._fields))
    if not (
        whole
        and user.max() < len(users)
        and item.max() < len(items)
        and (np.diff(user) >= 0).all()
        and (weight > 0).all()
        and math.isfinite(float(weight.max()) * len(weight))
        and 0 <= how.item_l2 < math.inf
        and 0 <= how.factor_l2 < math.inf
        and 0 <= how.share < 1
        and well_formed(about)
        and depth <= MOST_EARLIER
    ):
        raise ValueError(prefix)
    earlier = None
    if "earlier" in about:
        earlier = unpacked(reader, f"{prefix}earlier.", about["earlier"], depth + 1)
    rest = {name: value for name, value in about.items() if name not in (*Penalty._fields, "earlier")}
    return Model(users, items, at, how, (user, item, weight), earlier, rest)


def well_formed(about: Mapping[str, Any]) -> bool:
    """Whether what a file says of a model has the types that it should have."""
    return (
        all(isinstance(about[name], str) for name in ("user", "item"))
        and all(isinstance(about[name], int) for name in ("factors", "seed", "iterations", "converged"))
        and all(
            isinstance(source["name"], str)
            and isinstance(source["bytes"], int)
            and (source["sha256"] is None or isinstance(source["sha256"], str))
            for sources in about["sources"]
            for source in sources
        )
    )


def depth_of(model: Model | None) -> int:
    """How many models there are inside each other."""
    return 0 if model is None else 1 + depth_of(model.earlier)
