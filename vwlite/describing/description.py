"""Description of data: columns with kinds, coverage and ranges, labels and duplicates, from the counts of a Tally."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from vwlite.describing.columns import Groups, name_of, numbers_of
from vwlite.describing.tally import Tally

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
LOOKED_AT = 1000  # columns with most rows, of which quantiles and AUCs are computed
FEW_WORDS = 20  # names without a value in a namespace, each of which is a flag; of more, the namespace is a text
ENTITIES = 50  # distinct values of a category that may name entities, at least
ROWS_EACH = 3  # of an entity, on average at least
SHOWN_VALUES = 5  # most frequent ones of a category
SHOWN_LABELS = 20


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
    spaces = [as_text(name) for name in tally.names.of_spaces()]
    found = [*of_numbers(tally), *of_columns(tally, spaces)]
    found.sort(key=lambda one: (-one[0].rows, one[0].name))
    found = with_samples(found, tally)
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
            "sampled": tally.sample.mask + 1,
        },
        labels_of(tally, classes),
        [
            {"name": name, "rows": rows, "features": features}
            for name, (rows, features) in zip(spaces, tally.names.spaces_seen(), strict=True)
        ],
        [column for column, _ in found],
        tally.known.n,
    )


def as_text(name: bytes) -> str:
    """A name as text; what is not UTF-8 is replaced."""
    return name.decode("utf-8", "replace")


def duplicates(tally: Tally) -> dict[str, Any]:
    """How many rows repeat an earlier one, with the same features, label and weight."""
    repeats = tally.repeats
    share = repeats.n_again / repeats.n_rows if repeats.n_rows else 0.0
    exact = repeats.mask == 0
    return {"rows": repeats.n_again if exact else round(share * tally.rows), "share": share, "exact": exact}


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
        return {"kind": "class", "distinct": None if found is None else len(found), "labels": shown, **two}
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


def of_numbers(tally: Tally) -> Iterator[tuple[Column, int]]:
    """The features with numbers, each with its number."""
    for feature, rows, labelled, y, facts, correlation, few in numbers_of(tally):
        kind = "flag" if few in ([0.0, 1.0], [0.0], [1.0]) else "number"
        association = {"correlation": correlation} | presence(tally, labelled, y)
        distinct = None if few is None else len(few)
        # a name that comes twice in a row counts twice
        yield Column(name_of(tally, feature), kind, min(rows, tally.rows), distinct, facts, association), feature


def of_columns(tally: Tally, spaces: list[str]) -> Iterator[tuple[Column, int]]:
    """The categories, flags and texts; each with the number of a feature if it is one, else -1."""
    groups, names = Groups(tally), tally.names.of_columns()
    for number, column_rows, labelled, y, distinct, total in groups.columns():
        space, valued, own = names[number]
        name = "^".join(part for part in (spaces[space], as_text(own)) if part)
        rows = min(column_rows, tally.rows)
        alone = total <= rows
        flags = distinct <= FEW_WORDS and not (alone and rows >= 0.95 * tally.rows and distinct > 1)
        if not valued and flags:
            for feature, count, labelled_with, y_with in groups.features(number):
                association = presence(tally, labelled_with, y_with)
                yield Column(name_of(tally, feature), "flag", min(count, tally.rows), 1, {}, association), feature
            continue
        kind = "category" if valued or alone else "text"
        if kind == "category" and distinct >= ENTITIES and rows >= ROWS_EACH * distinct:
            kind = "entity"
        facts: dict[str, Any] = {
            "values": [
                {"value": value_of(name_of(tally, feature), name), "rows": count}
                for feature, count in groups.most_frequent(number, SHOWN_VALUES)
            ],
            "features": total,
        }
        association = presence(tally, labelled, y)
        if kind != "text" and (share := groups.explained(number)) is not None:
            association |= {"explained": share}
        yield Column(name or "(no namespace)", kind, rows, distinct, facts, association), -1


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


def with_samples(found: list[tuple[Column, int]], tally: Tally) -> list[tuple[Column, int]]:
    """Adds quantiles and AUCs of the numbers with most rows, from the sample."""
    places = [place for place, (column, _) in enumerate(found[:LOOKED_AT]) if column.kind == "number"]
    if not places:
        return found
    binary = (tally.labels() or []) if tally.n_labels == 2 else []
    high = max((label if isinstance(label, float) else 1.0 for label, _ in binary), default=math.nan)
    wanted = [found[place][1] for place in places]
    summaries = tally.sample.summaries(wanted, tally.known.n, list(QUANTILES), high)
    for place, summary in zip(places, summaries, strict=True):
        if summary is None:
            continue
        column, feature = found[place]
        quantiles, typical, area = summary
        facts = {
            **column.facts,
            "quantiles": dict(zip(map(str, QUANTILES), quantiles, strict=True)),
            "typical": typical,
        }
        association = column.association if area is None else {**column.association, "auc": area}
        found[place] = column._replace(facts=facts, association=association), feature
    return found
