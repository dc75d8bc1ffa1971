"""Advice: the flags that a description of data suggests to start with, and why."""

from __future__ import annotations

import re
import shlex
from typing import Any

from vwlite.describing.description import Column, Data
from vwlite.features.collisions import expected_collisions
from vwlite.input.formats import OF_TABLES

DEFAULT_BITS, MOST_BITS = 18, 28
SHARED = 0.05  # of the features that may share a slot
FEW_CLASSES = 100
MOST_ENTITIES, MOST_SUSPECTS = 3, 8  # that become flags


def flags_for(data: Data, suspects: list[dict[str, str]], tabular: bool, given: list[str]) -> list[dict[str, str]]:
    """The flags that a run over the data should begin with.

    Args:
        data: The description.
        suspects: Of the same data.
        tabular: Whether the data is a table or records, whose columns have no namespaces.
        given: Words about how to read the data.

    Returns:
        "flag" and "why" of each; none without labels, nor if they are too many classes to be counted.
    """
    if data.labels["kind"] == "none" or (data.labels["kind"] == "class" and data.labels["distinct"] is None):
        return []  # nothing can be learned, or classes are too many for a weight vector each
    named = given[given.index("--label") + 1] if "--label" in given else ""
    two = data.labels["kind"] == "class" and data.labels["distinct"] == 2 and named and ":" not in named
    if two:
        rare = data.labels["labels"][-1]["label"]
        given = [f"{named}:binary({rare})" if word == named else word for word in given]
    found = [{"flag": shlex.join(given), "why": "how the data was read"}] if given else []
    if data.labels["kind"] == "constant":
        return found
    odd = {suspect["column"]: suspect["kind"] for suspect in suspects}
    entities = [
        column
        for column in data.columns
        if column.kind == "entity" and odd.get(column.name) is None and (tabular or "=" not in column.name)
    ]
    entities = [column for column in entities if can_be_entity(column, tabular)][:MOST_ENTITIES]
    if two:
        data = data._replace(labels={**data.labels, "kind": "binary"})
    found += of_labels(data, entities)
    for column in entities:
        each = column.rows / (column.distinct or 1)
        why = f"{column.distinct:,} values of {column.name}, each in {each:.0f} rows: a small model of each"
        found.append({"flag": f"--random_effect {shlex.quote(column.name)}", "why": why})
    less = of_suspects(data, odd, tabular)
    ignored = [one for one in less if one["flag"].startswith("--columns_in")]
    # the first rule that matches a column counts
    found = ignored + found + [one for one in less if one not in ignored]
    if ignored and "--columns_in" not in given:
        found.insert(len(ignored), {"flag": "--columns_in '/.*/:auto'", "why": "all other columns as they look"})
    bits = bits_for(data.features)
    if not entities and bits > DEFAULT_BITS:
        shared = expected_collisions(data.features, DEFAULT_BITS)
        found.append(
            {
                "flag": f"-b {bits}",
                "why": f"{data.features:,} features, of which {shared:,.0f} would share a slot with -b {DEFAULT_BITS}, "
                f"{expected_collisions(data.features, bits):,.0f} with -b {bits}",
            }
        )
    clock = next((column for column in data.columns if is_clock(column, data)), None)
    if clock is not None:
        found.append(
            {
                "flag": f"--holdout_after {int(0.8 * data.rows)}",
                "why": f"rows are in the order of {clock.name}: judge by the last ones, not by random ones",
            }
        )
    return found


def can_be_entity(column: Column, tabular: bool) -> bool:
    """Whether --random_effect can name a column: one of a table, or a namespace with a name a row."""
    return "^" not in column.name and (tabular or column.facts["features"] == column.rows) and column.name.isprintable()


def of_labels(data: Data, entities: list[Column]) -> list[dict[str, str]]:
    """The loss and the learner for the kind of label."""
    labels = data.labels
    posterior = {"number": "--bayes_linear", "binary": "--bayes_logistic --link logistic"}
    if entities and labels["kind"] in posterior and labels["kind"] != "binary":
        return [{"flag": "--bayes_linear", "why": "labels are numbers, and entities need a learner with a posterior"}]
    if labels["kind"] == "binary":
        low, high = labels["min"], labels["max"]
        if (low, high) not in ((0, 1), (-1, 1)):
            if low >= 1 and labels["whole"]:
                return [{"flag": f"--oaa {int(high)}", "why": f"two labels, {low:g} and {high:g}"}]
            return [{"flag": "--loss_function squared", "why": f"labels are numbers, {low:g} and {high:g} so far"}]
        if entities:
            return [{"flag": posterior["binary"], "why": "labels are two classes, and entities need a posterior"}]
        return [
            {"flag": "--loss_function logistic --link logistic", "why": f"labels are two classes, {low:g} and {high:g}"}
        ]
    if labels["kind"] == "class":
        why = f"labels are {labels['distinct']:,} class{'es' if labels['distinct'] > 1 else ''}"
        return [{"flag": f"--oaa {max(labels['distinct'], 2)}", "why": why}]
    if labels["kind"] == "number" and labels["whole"] and labels["min"] == 0 and is_count(labels):
        return [
            {
                "flag": "--loss_function poisson --link poisson",
                "why": "labels are whole numbers from 0 on, as of counts",
            }
        ]
    if labels["kind"] == "number":
        why = f"labels are numbers from {labels['min']:.6g} to {labels['max']:.6g}"
        distinct = labels["distinct"]
        if labels["whole"] and labels["min"] >= 1 and distinct is not None and distinct == labels["max"] <= FEW_CLASSES:
            why += f" (if they are classes, --oaa {distinct})"
        return [{"flag": "--loss_function squared", "why": why}]
    return []


def is_count(labels: dict[str, Any]) -> bool:
    """Whether whole labels spread as counts do: a variance of at least half the mean."""
    return bool(labels["sd"] ** 2 >= 0.5 * labels["mean"])


def of_suspects(data: Data, odd: dict[str, str], tabular: bool) -> list[dict[str, str]]:
    """Flags that leave out suspects, and that transform numbers with a huge range."""
    found = []
    columns = {column.name: column for column in data.columns}
    out = [name for name, kind in odd.items() if kind in ("constant", "distinct", "leak", "missing")][:MOST_SUSPECTS]
    for name in out:
        why = {
            "constant": "is the same in all rows",
            "distinct": "names the row",
            "leak": "may hold the label: look whether it is known when you predict",
            "missing": "is there for one label: look whether it is known when you predict",
        }[odd[name]]
        if tabular and "^" not in name and name.isprintable() and not re.search(r"[\s:@/]", name):
            flag = f"--columns_in {shlex.quote(name + ':ignore')}"
        else:
            rule = f"{name}:drop" if columns[name].kind in ("number", "flag") else f"/^{pattern_of(name)}/:drop"
            flag = f"--transform {shlex.quote(rule)}"
        found.append({"flag": flag, "why": f"{name} {why}"})
    for name in [name for name, kind in odd.items() if kind == "range"][:MOST_SUSPECTS]:
        step = "log" if columns[name].facts["min"] >= 0 else "scale"
        found.append({"flag": f"--transform {shlex.quote(f'{name}:{step}')}", "why": f"{name} has a huge range"})
    return found


def pattern_of(name: str) -> str:
    """A regular expression of --transform for the features of a category."""
    return re.escape(name) + "="


def bits_for(features: int) -> int:
    """The least bits of a table, from the default on, in which few features share a slot."""
    for bits in range(DEFAULT_BITS, MOST_BITS):
        if expected_collisions(features, bits) <= SHARED * features:
            return bits
    return MOST_BITS


def is_clock(column: Column, data: Data) -> bool:
    """Whether rows are in the order of a number that all have."""
    return (
        column.kind == "number"
        and column.rows == data.rows
        and data.rows >= 20
        and column.distinct is None
        and bool(column.facts["ordered"])
    )


def is_tabular(kind: str) -> bool:
    """Whether data of a format is a table or records."""
    return kind in OF_TABLES or kind in ("csv", "tsv", "json", "parquet", "arrow")
