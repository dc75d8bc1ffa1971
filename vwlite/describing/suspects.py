"""Suspects: columns that teach nothing, or too much."""

from __future__ import annotations

from typing import Any

from vwlite.describing.description import Column, Data

SURE = 0.98  # correlation, or share of the label's variance explained, that no honest column has
AREA = 0.995  # AUC, or 1 - AUC
LEAST_ROWS = 20  # rows of which anything is concluded
NEVER = 1e-9  # a probability
HUGE = 1e4  # largest value over the typical one


def suspects_of(data: Data) -> list[dict[str, str]]:
    """What looks wrong in the data.

    Args:
        data: The description.

    Returns:
        For each suspect the column, its kind ("constant", "distinct", "leak", "missing", "range") and the reason.
    """
    found = []
    for column in data.columns:
        for kind, why in (*useless(column, data), *leaks(column, data), *ranges(column)):
            found.append({"column": column.name, "kind": kind, "why": why})
    return found


def useless(column: Column, data: Data) -> list[tuple[str, str]]:
    """Columns from which nothing can be learned."""
    everywhere = column.rows == data.rows >= 2
    distinct = column.distinct or 0
    if everywhere and column.kind != "text" and distinct == 1:
        return [("constant", "all rows have the same value")]
    many = column.rows >= LEAST_ROWS and distinct >= 0.95 * column.rows
    if column.kind in ("category", "entity") and many:
        return [("distinct", f"{distinct:,} values in {column.rows:,} rows: it looks like an id")]
    facts = column.facts
    counts = column.kind == "number" and distinct == 0 and facts["whole"]
    if counts and facts["max"] - facts["min"] == column.rows - 1:
        if facts["ordered"]:
            return [("distinct", "it counts the rows")]
        if column.rows >= LEAST_ROWS and spread_as_numbered(column):
            return [("distinct", "each whole number from its least to its largest once: it looks like an id")]
    return []


def spread_as_numbered(column: Column) -> bool:
    """Whether mean and variance are those of n successive numbers: (low + high) / 2 and n (n + 1) / 12."""
    n, facts = column.rows, column.facts
    middle, variance = (facts["min"] + facts["max"]) / 2, n * (n + 1) / 12
    return abs(facts["mean"] - middle) < 1e-6 * n and abs(facts["sd"] ** 2 - variance) < 1e-6 * variance


def leaks(column: Column, data: Data) -> list[tuple[str, str]]:
    """Columns that may hold the label."""
    binary = data.labels["kind"] == "binary" or (data.labels["kind"] == "class" and data.labels["distinct"] == 2)
    if not (binary or data.labels["kind"] == "number") or column.rows < LEAST_ROWS:
        return []
    of = column.association
    if abs(of.get("correlation", 0)) > SURE:
        return [("leak", f"its correlation with the label is {of['correlation']:.4f}")]
    area = of.get("auc", 0.5)
    if max(area, 1 - area) > AREA:
        return [("leak", f"it alone separates the labels: AUC {area:.4f}")]
    if of.get("explained", 0) > SURE:
        return [("leak", f"its values explain {of['explained']:.1%} of the label's variance")]
    if of.get("presence", 0) > SURE:
        kind = "leak" if column.kind == "flag" else "missing"
        return [(kind, f"whether a row has it explains {of['presence']:.1%} of the label's variance")]
    if binary and "mean_with" in of:
        low, high = data.labels["min"], data.labels["max"]
        share = (data.labels["mean"] - low) / (high - low)
        for only, chance in ((high, share), (low, 1 - share)):
            if of["mean_with"] == only and chance**column.rows < NEVER:
                return [("missing", f"only rows with {one_label(only, data)} have it")]
            if of["mean_without"] == only and chance ** (data.rows - column.rows) < NEVER:
                return [("missing", f"only rows with {one_label(only, data)} lack it")]
    return []


def one_label(label: float, data: Data) -> str:
    """A label in words."""
    return "one of the two labels" if data.labels["kind"] == "class" else f"the label {label:g}"


def ranges(column: Column) -> list[tuple[str, str]]:
    """Numbers whose largest values are out of proportion."""
    typical = column.facts.get("typical", 0)
    largest: Any = max(abs(column.facts.get("min", 0)), abs(column.facts.get("max", 0)))
    if typical > 0 and largest > HUGE * typical:
        return [("range", f"values up to {largest:.6g}, where the typical one is {typical:.6g}")]
    return []
