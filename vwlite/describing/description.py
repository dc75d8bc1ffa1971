"""Description of data: columns with kinds, coverage and ranges, labels and duplicates, from the counts of a Tally."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vwlite.describing.tally import Tally

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
LOOKED_AT = 1000  # columns with most rows, of which quantiles and AUCs are computed
FEW = 24  # distinct values of a number that Tally tells apart
FEW_WORDS = 20  # names without a value in a namespace, each of which is a flag; of more, the namespace is a text
ENTITIES = 50  # distinct values of a category that may name entities, at least
ROWS_EACH = 3  # of an entity, on average at least
SHOWN_VALUES = 5  # most frequent ones of a category
SHOWN_LABELS = 20

FEATURE = np.dtype(
    [("count", "u8"), ("labelled", "u8"), ("y", "f8"), ("yy", "f8"), ("column", "u4"), ("number", "u4")], align=True
)
NUMBER = np.dtype(
    [
        *((name, "u8") for name in ("count", "labelled", "whole", "ordered")),
        *((name, "f8") for name in ("x", "xx", "y", "yy", "xy", "lx", "lxx")),
        *((name, "f4") for name in ("low", "high", "previous")),
        ("n_few", "u4"),
        ("feature", "u4"),
        ("few", "f4", (FEW,)),
    ],
    align=True,
)
COLUMN = np.dtype(
    [
        ("rows", "u8"),
        ("last", "u8"),
        ("labelled", "u8"),
        ("y", "f8"),
        ("yy", "f8"),
        ("features", "u8"),
        ("space", "u4"),
    ],
    align=True,
)
SPACE = np.dtype([("rows", "u8"), ("last", "u8"), ("features", "u8"), ("hash", "u4")], align=True)
SAMPLE = np.dtype([("row", "u8"), ("feature", "u4"), ("x", "f4"), ("y", "f4")], align=True)


class Column(NamedTuple):
    """A column of the data, or a feature of it.

    Args:
        name: With its namespace, `ns^name`; of a namespace of names, `ns`.
        kind: number, flag, category, entity or text.
        rows: How many have it.
        distinct: Of the values of a category, or the words of a text; of a number None if there are many.
        facts: min, max, mean, sd and quantiles of a number, the most frequent values of a category.
        association: How the label depends on it, as suspects.py reads it.
    """

    name: str
    kind: str
    rows: int
    distinct: int | None
    facts: dict[str, Any]
    association: dict[str, float]


class Data(NamedTuple):
    """What is known of data.

    Args:
        rows: Examples.
        facts: Other counts, by name.
        labels: Their kind, distribution and moments.
        spaces: Namespaces: name, rows and features.
        columns: Those with most rows first.
        features: How many different ones there are; at least, if `facts["left_out"]`.
    """

    rows: int
    facts: dict[str, Any]
    labels: dict[str, Any]
    spaces: list[dict[str, Any]]
    columns: list[Column]
    features: int


def description_of(tally: Tally, classes: bool) -> Data:
    """What the counts say of the data.

    Args:
        tally: The counts of all rows.
        classes: Whether labels are classes.

    Returns:
        The description.
    """
    records = tally.records()
    values, numbers, columns, spaces = (
        np.frombuffer(records[name], kind)
        for name, kind in (("values", FEATURE), ("numbers", NUMBER), ("columns", COLUMN), ("spaces", SPACE))
    )
    samples = np.frombuffer(records["samples"], SAMPLE)
    names = Names(tally)
    found = [*of_numbers(tally, numbers, names), *of_columns(tally, values, columns, names)]
    found.sort(key=lambda one: (-one[0].rows, one[0].name))
    found = with_samples(found, samples, names, tally)
    return Data(
        tally.rows,
        {
            "labelled": tally.labelled,
            "malformed": tally.malformed,
            "tagged": tally.tagged,
            "weight": tally.weight,
            "weights_given": tally.weights_given,
            "left_out": tally.left_out,
            "duplicates": duplicates(tally),
            "sampled": tally.sample_mask + 1,
        },
        labels_of(tally, classes),
        [
            {"name": name, "rows": int(space["rows"]), "features": int(space["features"])}
            for name, space in zip(names.spaces, spaces, strict=True)
        ],
        [column for column, _ in found],
        tally.known.n,
    )


class Names:
    """The names of features and columns."""

    def __init__(self, tally: Tally) -> None:
        arrays = tally.known.arrays()
        self._ends = np.frombuffer(arrays["end"][2], np.uint64).astype(np.int64)
        self._text = bytes(arrays["text"][2])
        self.spaces = [as_text(name) for name in tally.names_of_spaces()]
        self._columns = tally.names_of_columns()

    def feature(self, number: int) -> str:
        """The name of a feature, as in audits."""
        begin = self._ends[number - 1] if number else 0
        return as_text(self._text[begin : self._ends[number]])

    def column(self, number: int) -> tuple[str, bool]:
        """The name of a column, and whether its features have a value in their names."""
        space, valued, name = self._columns[number]
        parts = [part for part in (self.spaces[space], as_text(name)) if part]
        return "^".join(parts), valued


def as_text(name: bytes) -> str:
    """A name as text; what is not UTF-8 is replaced."""
    return name.decode("utf-8", "replace")


def duplicates(tally: Tally) -> dict[str, Any]:
    """How many rows repeat an earlier one, with the same features, label and weight."""
    share = tally.n_repeated / tally.n_marked if tally.n_marked else 0.0
    exact = tally.mark_mask == 0
    return {"rows": tally.n_repeated if exact else round(share * tally.rows), "share": share, "exact": exact}


def labels_of(tally: Tally, classes: bool) -> dict[str, Any]:
    """The kind of the labels, and how they are distributed."""
    found = tally.labels()
    if tally.labelled == 0:
        return {"kind": "none"}
    if found is not None and classes:
        found = [(as_text(label), count) for label, count in found]
    common = sorted(found, key=lambda one: (-one[1], one[0])) if found is not None else []
    shown = [{"label": label, "rows": count, "share": count / tally.labelled} for label, count in common[:SHOWN_LABELS]]
    if classes:
        two = {"min": 0.0, "max": 1.0, "mean": tally.y / tally.labelled} if tally.n_labels == 2 else {}
        return {"kind": "class", "distinct": tally.n_labels, "labels": shown, **two}
    n = tally.labelled
    variance = max(tally.yy / n - (tally.y / n) ** 2, 0.0) * (n / (n - 1) if n > 1 else 1)
    facts: dict[str, Any] = {
        "distinct": None if found is None else len(found),
        "labels": shown if found is not None and len(found) <= SHOWN_LABELS else [],
        "min": tally.y_low,
        "max": tally.y_high,
        "mean": tally.y / n,
        "sd": variance**0.5,
        "whole": bool(tally.whole_labels),
    }
    if found is not None and len(found) == 1:
        return {"kind": "constant", **facts}
    if found is not None and len(found) == 2:
        return {"kind": "binary", **facts}
    return {"kind": "number", **facts}


def of_numbers(tally: Tally, numbers: Any, names: Names) -> Iterator[tuple[Column, int]]:
    """The features with numbers, each with its number."""
    n = numbers["count"].astype(float)
    mean = numbers["x"] / np.maximum(n, 1)
    variance = np.maximum(numbers["xx"] / np.maximum(n, 1) - mean**2, 0) * n / np.maximum(n - 1, 1)
    count = numbers["labelled"].astype(float)
    safe = np.maximum(count, 1)
    xy = numbers["xy"] - numbers["lx"] * numbers["y"] / safe
    xx = numbers["lxx"] - numbers["lx"] ** 2 / safe
    yy = numbers["yy"] - numbers["y"] ** 2 / safe
    sound = (xx > 1e-12 * np.maximum(numbers["lxx"], 1e-300)) & (yy > 1e-12 * np.maximum(numbers["yy"], 1e-300))
    with np.errstate(all="ignore"):
        correlation = np.where(sound & (count > 2), xy / np.sqrt(xx * yy), 0.0)
    for i, number in enumerate(numbers):
        few = sorted(number["few"][: min(number["n_few"], FEW)].tolist())
        distinct = len(few) if number["n_few"] <= FEW else None
        is_flag = few in ([0.0, 1.0], [0.0], [1.0]) and distinct is not None
        facts = {
            "min": float(number["low"]),
            "max": float(number["high"]),
            "mean": float(mean[i]),
            "sd": float(variance[i]) ** 0.5,
            "whole": bool(number["whole"] == number["count"]),
            "ordered": bool(number["ordered"] == number["count"]),
        }
        association = {"correlation": float(correlation[i])} | presence(
            tally, int(number["labelled"]), float(number["y"])
        )
        feature = int(number["feature"])
        yield (
            Column(
                names.feature(feature),
                "flag" if is_flag else "number",
                int(number["count"]),
                distinct,
                facts,
                association,
            ),
            feature,
        )


def of_columns(tally: Tally, values: Any, columns: Any, names: Names) -> Iterator[tuple[Column, int]]:
    """The categories, flags and texts; each with the number of a feature if it is one, else -1."""
    plain = np.flatnonzero(values["number"] == 0)
    order = plain[np.argsort(values["column"][plain], kind="stable")]
    ends = np.searchsorted(values["column"][order], np.arange(len(columns)), side="right")
    begin = 0
    for number, end in enumerate(ends.tolist()):
        features, begin = order[begin:end], end
        if len(features) == 0:
            continue
        name, valued = names.column(number)
        count = values["count"][features]
        rows = min(int(columns["rows"][number]), tally.rows)
        alone = int(count.sum()) <= rows
        flags = len(features) <= FEW_WORDS and not (alone and rows >= 0.95 * tally.rows and len(features) > 1)
        if not valued and flags:
            for feature in features.tolist():
                yield of_flag(tally, values[feature], names.feature(feature)), feature
            continue
        kind = "category" if valued or alone else "text"
        if kind == "category" and len(features) >= ENTITIES and rows >= ROWS_EACH * len(features):
            kind = "entity"
        top = features[np.argsort(-count, kind="stable")[:SHOWN_VALUES]]
        shown = [value_of(names.feature(int(one)), name) for one in top]
        facts: dict[str, Any] = {
            "values": [{"value": one, "rows": int(values["count"][i])} for one, i in zip(shown, top, strict=True)],
            "features": int(count.sum()),
        }
        column = columns[number]
        association = presence(tally, int(column["labelled"]), float(column["y"]))
        if kind != "text":
            association |= explained(values[features])
        yield Column(name or "(no namespace)", kind, rows, len(features), facts, association), -1


def of_flag(tally: Tally, value: Any, name: str) -> Column:
    """A name without a value, which is there or not."""
    association = presence(tally, int(value["labelled"]), float(value["y"]))
    return Column(name, "flag", min(int(value["count"]), tally.rows), 1, {}, association)


def value_of(name: str, column: str) -> str:
    """The value in the name of a feature of a column."""
    rest = name.removeprefix(column)
    return rest[1:] if rest[:1] in ("=", "^") else rest or name


def presence(tally: Tally, n: int, y: float) -> dict[str, float]:
    """How the label depends on whether a row has a column.

    Args:
        tally: The counts of all rows.
        n: Labelled rows that have it.
        y: The sum of their labels.

    Returns:
        "presence", the share of the label's variance that it explains, and "mean_with" and "mean_without", the mean
        labels; empty where all or no rows have it.
    """
    rest = tally.labelled - n
    if n <= 0 or rest <= 0 or tally.yy == 0:
        return {}
    total = tally.yy - tally.y**2 / tally.labelled
    if total <= 1e-12 * tally.yy:
        return {}
    with_it, without = y / n, (tally.y - y) / rest
    between = n * rest / tally.labelled * (with_it - without) ** 2
    return {"presence": between / total, "mean_with": with_it, "mean_without": without}


def explained(values: Any) -> dict[str, float]:
    """The share of the label's variance that the values of a category explain: adjusted R^2 of its means."""
    n = float(values["labelled"].sum())
    k = float(np.count_nonzero(values["labelled"]))
    if n - k < 20 or k < 2:
        return {}
    y, yy = values["y"].sum(), values["yy"].sum()
    total = yy - y**2 / n
    within = total - ((values["y"] ** 2 / np.maximum(values["labelled"], 1)).sum() - y**2 / n)
    if total <= 1e-12 * yy:
        return {}
    return {"explained": float(1 - (max(within, 0.0) / (n - k)) / (total / (n - 1)))}


def with_samples(found: list[tuple[Column, int]], samples: Any, names: Names, tally: Tally) -> list[tuple[Column, int]]:
    """Adds quantiles and AUCs of the numbers with most rows, from the sample."""
    wanted = {feature: i for i, (column, feature) in enumerate(found[:LOOKED_AT]) if column.kind == "number"}
    if not wanted or len(samples) == 0:
        return found
    places = np.full(max(tally.known.n, 1), -1)
    places[list(wanted)] = list(wanted.values())
    of = places[samples["feature"]]
    used = np.flatnonzero(of >= 0)
    used = used[np.argsort(of[used], kind="stable")]
    binary = (tally.labels() or []) if tally.n_labels == 2 else []
    high = max((label if isinstance(label, float) else 1.0 for label, _ in binary), default=math.nan)
    for part in np.split(used, np.flatnonzero(np.diff(of[used])) + 1):
        if len(part) == 0:
            continue
        place = int(of[part[0]])
        column, feature = found[place]
        x = samples["x"][part].astype(float)
        quantiles = np.quantile(x, QUANTILES).tolist()
        facts = {**column.facts, "quantiles": dict(zip(map(str, QUANTILES), quantiles, strict=True))}
        nonzero = np.abs(x[x != 0])
        facts["typical"] = float(np.median(nonzero)) if len(nonzero) else 0.0
        association = dict(column.association)
        if binary:
            y = samples["y"][part].astype(float)
            if (area := auc(x[~np.isnan(y)], y[~np.isnan(y)] == high)) is not None:
                association["auc"] = area
        found[place] = column._replace(facts=facts, association=association), feature
    return found


def auc(x: Any, positive: Any) -> float | None:
    """The probability that a positive row has the larger number, ties counted by half; None without both classes."""
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return None
    _, codes, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[codes][positive].sum() - n * (n + 1) / 2) / (n * m))
