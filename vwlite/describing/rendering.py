"""A description of data as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vwlite.describing.description import Column, Data
from vwlite.describing.reading import Described

WIDEST_NAME = 28
WIDEST_VALUE = 24


def render(described: Described, top: int) -> str:
    """The description as text, with at most `top` columns."""
    # names come from data and may contain control characters, which must not reach a terminal
    return "\n".join(
        "".join(c if c.isprintable() else "\ufffd" for c in line).rstrip() for line in lines_of(described, top)
    )


def lines_of(described: Described, top: int) -> Iterator[str]:
    """The lines of the description."""
    data = described.data
    rows = f"{data.rows:,} row{'s' if data.rows > 1 else ''}"
    yield f"{', '.join(described.paths)}: {rows}, {data.features:,} different features"
    yield from (f"  {line}" for line in facts_of(data))
    for problem in described.problems:
        yield f"  malformed rows = {problem['rows']:,}, the first in line {problem['line']}: {problem['reason']}"
    yield ""
    yield "labels"
    yield from (f"  {line}" for line in labels_of(data))
    if len(data.spaces) > 1 or any(space["name"] for space in data.spaces):
        yield ""
        yield "namespaces"
        for space in data.spaces:
            name = shortened(space["name"] or "(no name)", WIDEST_NAME)
            yield f"  {name:{WIDEST_NAME}} {share(space['rows'], data.rows):>6} of rows, {space['features']:,} features"
    yield ""
    yield "columns"
    yield f"  {'name':{WIDEST_NAME}} {'kind':8} {'in rows':>7}  values"
    for column in data.columns[:top]:
        name = shortened(column.name, WIDEST_NAME)
        yield f"  {name:{WIDEST_NAME}} {column.kind:8} {share(column.rows, data.rows):>7}  {values_of(column)}"
    if len(data.columns) > top:
        yield f"  ... and {len(data.columns) - top:,} more (--top)"
    if described.suspects:
        yield ""
        yield "suspects"
        for suspect in described.suspects[:top]:
            yield f"  {suspect['column']}: {suspect['why']}"
        if len(described.suspects) > top:
            yield f"  ... and {len(described.suspects) - top:,} more (--top)"
    if not described.flags:
        return
    yield ""
    yield "start with"
    for one in described.flags:
        yield f"  {one['flag']}"
        yield f"      {one['why']}"
    yield f"  {described.command()}"


def facts_of(data: Data) -> Iterator[str]:
    """Lines about all rows."""
    facts = data.facts
    if data.labels["kind"] != "none" and facts["labelled"] < data.rows:
        yield f"rows without a label = {data.rows - facts['labelled']:,}"
    if facts["weights_given"]:
        yield f"rows with a weight other than 1 = {facts['weights_given']:,}, sum of weights {facts['weight']:.6g}"
    if facts["tagged"]:
        yield f"rows with a tag = {facts['tagged']:,}"
    if facts["duplicates"]["rows"]:
        about = "" if facts["duplicates"]["exact"] else "about "
        yield f"duplicate rows = {about}{facts['duplicates']['rows']:,} ({facts['duplicates']['share']:.2%})"
    if facts["left_out"]:
        yield f"features beyond the limit = {facts['left_out']:,}: only the first {data.features:,} are told apart"


def labels_of(data: Data) -> Iterator[str]:
    """Lines about the labels."""
    labels = data.labels
    if labels["kind"] == "none":
        yield "none: --label NAME says which column of a table is the label"
        return
    if labels["kind"] == "class" and labels["distinct"] is None:
        yield "classes, too many to be counted"
    elif labels["kind"] == "class":
        yield f"{labels['distinct']:,} class{'es' if labels['distinct'] > 1 else ''}"
    elif labels["kind"] == "constant":
        yield "all the same: nothing can be learned"
    elif labels["kind"] == "binary":
        yield "two classes"
    else:
        kind = "whole numbers" if labels["whole"] else "numbers"
        yield (
            f"{kind} from {labels['min']:.6g} to {labels['max']:.6g}, mean {labels['mean']:.6g}, sd {labels['sd']:.6g}"
        )
    for one in labels["labels"]:
        label = one["label"] if isinstance(one["label"], str) else f"{one['label']:.6g}"
        yield f"{shortened(label, WIDEST_NAME):>10} {one['share']:>7.2%}  {one['rows']:,}"


def values_of(column: Column) -> str:
    """The values of a column in a few words."""
    facts = column.facts
    if column.kind == "number" or (column.kind == "flag" and "min" in facts):
        if column.kind == "flag":
            return f"1 in {facts['mean']:.2%}"
        line = f"{facts['min']:.6g} to {facts['max']:.6g}"
        if "quantiles" in facts:
            line += f", median {facts['quantiles']['0.5']:.6g}"
        return line + f", mean {facts['mean']:.6g}, sd {facts['sd']:.6g}"
    if column.kind == "flag":
        return ""
    shown: list[dict[str, Any]] = facts["values"]
    most = ", ".join(
        f"{shortened(one['value'], WIDEST_VALUE)} ({share(one['rows'], column.rows)})" for one in shown[:3]
    )
    return f"{column.distinct:,}: {most}" + (", ..." if (column.distinct or 0) > 3 else "")


def share(part: int, whole: int) -> str:
    """A share in percent."""
    return f"{part / whole:.1%}" if whole else "0%"


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 3] + "..."
