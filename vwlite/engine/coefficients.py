"""Coefficients of a workspace as a table: for each its entity, feature, mean and standard deviation."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from vwlite.core.hashing import feature_hash, murmur3_32
from vwlite.core.learner import walk
from vwlite.core.options import Options
from vwlite.core.view import CONSTANT
from vwlite.engine.known_features import features_of, names_by_hash
from vwlite.errors import OptionError
from vwlite.features.interactions import namespace_hash

if TYPE_CHECKING:
    import pandas as pd


class Coefficients:
    """A table of coefficients or features: columns of NumPy, and what data frames read.

    Args:
        columns: An array for each name. Of coefficients: ``entity``, ``examples`` (learned for the entity), ``class``
            (its place, from 1; only of learners of classes), ``feature`` (its name, or its number where the name is not
            known), ``number`` (the hash of the feature, or its slot in a table of weights), ``mean`` and ``sd`` (NaN
            where the learner has no posterior).

    >>> from vwlite import Workspace
    >>> workspace = Workspace("--bayes_linear --noise 1 --noconstant")
    >>> _ = workspace.learn([{"a": 2.0}, {"a": 2.0}], y=[4.0, 4.0])
    >>> table = workspace.coefficients(names=["a"])
    >>> [(row["feature"], round(row["mean"], 3), round(row["sd"], 3)) for row in table]
    [('a', 1.778, 0.333)]
    """

    def __init__(self, columns: dict[str, np.ndarray[Any, Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        """The number of coefficients."""
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        """A column. Raises KeyError for a name that is none."""
        return self.columns[name]

    def __iter__(self) -> Any:
        """Yields each row as a dict."""
        values = [column.tolist() for column in self.columns.values()]
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*values, strict=True))

    def __repr__(self) -> str:
        """The size of the table and its columns."""
        return f"<{len(self):,} {'coefficients' if 'mean' in self.columns else 'features'}: {', '.join(self.columns)}>"

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame of pandas.

        Returns:
            The frame, a row for each coefficient.
        """
        import pandas as pd

        return pd.DataFrame(self.columns)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Arrow's C data interface, which Polars and DuckDB read; needs pyarrow."""
        import pyarrow as pa

        return pa.table(self.columns).__arrow_c_stream__(requested_schema)


def coefficients(workspace: Any, effect: str | None, names: Iterable[str], most: int | None = None) -> Coefficients:
    """The coefficients of a workspace; see Workspace.coefficients.

    Args:
        workspace: The workspace.
        effect: The namespace of a random effect.
        names: Of features.
        most: Of a table of weights, only so many, which are furthest from zero: a large one has millions.

    Returns:
        The table.
    """
    learners = learners_of(workspace, effect)
    given = {**hashes(workspace.options, names), CONSTANT: "Constant"}
    bottom = workspace.bottom
    if effect is None and bottom.has_slots:
        return of_table(bottom, workspace, {**workspace.hash_names, **given}, most)
    known = {**names_by_hash(workspace), **given}
    rows = [
        (entity, examples, number, known.get(feature, str(feature)), feature, mean, variance**0.5)
        for number, learner in learners
        for entity, examples, found in learner.entities()
        for feature, (mean, variance) in found.items()
    ]
    entity, examples, number, feature, hashed, mean, sd = zip(*rows, strict=True) if rows else [()] * 7
    classes = {"class": np.array(number, np.int64)} if len(learners) > 1 else {}
    return Coefficients(
        {
            "entity": np.array(entity, object),
            "examples": np.array(examples, np.int64),
            **classes,
            "feature": np.array(feature, object),
            "number": np.array(hashed, np.uint32),
            "mean": np.array(mean, np.float64),
            "sd": np.array(sd, np.float64),
        }
    )


def learners_of(workspace: Any, effect: str | None) -> list[tuple[int, Any]]:
    """The learners of an effect, or the bottom learners: one of each class, with its place from 1.

    Raises OptionError if there is none.
    """
    found = [learner for learner in walk(workspace.top) if learner.entities() is not None]
    effects = dict.fromkeys(learner.owner.partition(".")[2] for learner in found if "." in learner.owner)
    if effect is not None and effect not in effects:
        there = f"there are {', '.join(effects)}" if effects else "there is none"
        raise OptionError(f"no random effect {effect!r} in this workspace: {there}")
    wanted = [learner for learner in found if learner.owner.partition(".")[2] == (effect or "")]
    # the learner of the first class has the plain name, that of the second one "1:" before it
    parts = [(learner.owner.partition(":"), learner) for learner in wanted]
    return sorted(
        ((int(before) + 1 if colon else 1, learner) for (before, colon, _), learner in parts), key=itemgetter(0)
    )


def of_table(bottom: Any, workspace: Any, known: dict[int, str], most: int | None) -> Coefficients:
    """The weights of a learner with a table: all, or those furthest from zero."""
    index, weights, *_ = bottom.columns(True, True)
    slots, means = np.frombuffer(index, np.uint32), np.frombuffer(weights, np.float32).astype(np.float64)
    slots, means = slots[means != 0], means[means != 0]
    if most is not None and most < len(means):
        largest = np.sort(np.argpartition(-np.abs(means), most)[:most])
        slots, means = slots[largest], means[largest]
    width = bottom.width
    kept = features_of(workspace)
    numbers = {} if kept is None else kept.in_slots(slots.tolist())
    by_slot = {slot + i: kept.name(found[0]) for slot, found in numbers.items() for i in range(width)} if kept else {}
    by_slot |= {slot: name.partition("[")[0] for slot, name in workspace.names.items()}
    by_slot |= {bottom.slot_of(number, place): name for number, name in known.items() for place in range(width)}
    shift = (width - 1).bit_length()
    classes = {"class": (slots & ((1 << shift) - 1)).astype(np.int64) + 1} if width > 1 else {}
    return Coefficients(
        {
            "entity": np.full(len(slots), "", object),
            "examples": np.full(len(slots), workspace.driver.counters.example_number, np.int64),
            **classes,
            "feature": np.array([by_slot.get(slot, str(slot)) for slot in slots.tolist()], object),
            "number": slots,
            "mean": means,
            "sd": np.full(len(slots), np.nan),
        }
    )


def features(workspace: Any) -> Coefficients:
    """The features of a workspace; see Workspace.features. Raises OptionError without names."""
    found = features_of(workspace)
    if found is None:
        raise OptionError("this workspace keeps no names of features: --names on or --names stats does")
    columns = {"feature": np.array(found.names(), object), "number": found.hashes, "slot": found.slots()}
    if found.statistics is not None:
        # features learned before there were statistics have no range
        counted = found.statistics["count"] > 0
        columns["count"] = found.statistics["count"]
        columns |= {name: np.where(counted, found.statistics[name], np.nan) for name in ("low", "high")}
        columns["last"] = found.statistics["last"]
    return Coefficients(columns)


def hashes(options: Options, names: Iterable[str]) -> dict[int, str]:
    """The hashes of features by their names, `name` or `namespace^name`."""
    hash_of = murmur3_32 if options["hash"] == "all" else feature_hash
    seed = options["hash_seed"]
    found = {}
    for name in names:
        namespace, caret, feature = str(name).rpartition("^")
        space = namespace_hash(options, namespace) if caret and namespace else murmur3_32(b"", seed) if seed else 0
        found[hash_of((feature if caret else str(name)).encode("utf-8", "surrogateescape"), space)] = str(name)
    return found
