"""Evaluations as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vwlite.judging.comparison import Comparison
from vwlite.judging.evaluation import MOST_CELLS, Evaluation, Metric
from vwlite.report.outputs import decimals

NOTHING = "n/a"
WORDS = {"number": "numbers", "binary": "two classes", "class": "classes"}


def render(found: Evaluation, samples: int) -> str:
    """The text of an evaluation, whose bootstrap had so many samples."""
    lines = [f"examples = {found.n:,} of {WORDS[found.kind]}, weight = {found.weight:g}"]
    if samples:
        lines.append(f"intervals: {found.level:.3g}, of {samples:,} bootstrap samples of {found.resampled}")
    lines += ["", *of_metrics(found.metrics)]
    for name, (metrics, n) in found.entities.items():
        lines += ["", f"mean over {n:,} of {name}:", *of_metrics(metrics)]
    for name, groups in found.slices.items():
        wanted = [metric.name for metric in groups[0].metrics][:4]
        spans = any(metric.low is not None for group in groups for metric in group.metrics)
        head = [name, "examples", *(part for metric in wanted for part in (metric, *(["interval"] if spans else [])))]
        rows = []
        for group in groups:
            values = {metric.name: metric for metric in group.metrics}
            cells = [part for metric in wanted for part in cells_of(values.get(metric))[: 1 + spans]]
            rows.append([group.name, f"{group.n:,}", *cells])
        lines += ["", *table(head, rows)]
    if found.confusion is not None and len(found.confusion[0]) <= MOST_CELLS:
        names, weights = found.confusion
        rows = [[name, *(f"{cell:g}" for cell in row)] for name, row in zip(names, weights, strict=True)]
        lines += ["", *table(["label \\ predicted", *names], rows)]
    if found.classes:
        rows = [[name, *(number(value) for value in each.values())] for name, each in found.classes]
        lines += ["", *table(["class", *found.classes[0][1]], rows)]
    if found.calibration:
        of_two = found.kind == "binary"
        head = ["examples", "predicted", "observed", *(("interval",) if of_two else ())]
        rows = [
            [f"{one.n:,}", number(one.predicted), number(one.observed), *((span(one.low, one.high),) if of_two else ())]
            for one in found.calibration
        ]
        lines += ["", "calibration, by prediction:", *table(head, rows)]
    if found.lift:
        rows = [[f"{share:.0%}", number(rate), f"{lift:.2f}"] for share, rate, lift in found.lift]
        lines += ["", "lift of the best-scored:", *table(["share", "positive", "lift"], rows)]
    return "\n".join(lines)


def render_comparison(found: Comparison, first: str, other: str, samples: int) -> str:
    """The text of a comparison, whose bootstrap had so many samples."""
    lines = [f"{first} and {other}: {found.n:,} examples of {WORDS[found.kind]}, weight = {found.weight:g}"]
    if found.left_out:
        lines.append(f"left out, as only one predicts it = {found.left_out:,}")
    if samples:
        lines.append(f"intervals: {found.level:.3g}, of {samples:,} bootstrap samples of {found.resampled}")
    rows = []
    for one in found.differences:
        p = "" if one.p is None else f"p = {one.p:.3g} ({one.test})"
        change = NOTHING if one.change is None else f"{one.change:+.6g}"
        rows.append([one.name, number(one.first), number(one.other), change, span(one.low, one.high), p, one.better])
    lines += [
        "",
        *table(["metric", "first", "other", "change", "interval", "", "better"], rows),
        "",
        verdict(found, first, other),
    ]
    return "\n".join(lines)


def verdict(found: Comparison, first: str, other: str) -> str:
    """The sentence about the metric that decides."""
    main = found.main
    if main.change is None or main.low is None:
        return f"{main.name} has no interval, so nothing is decided"
    if not main.better:
        return f"{main.name}: the difference may be chance"
    return f"{main.name}: {other if main.better == 'other' else first} is better"


def of_metrics(metrics: Iterable[Metric]) -> list[str]:
    """A line for each metric."""
    rows = [[metric.name, *cells_of(metric), metric.note] for metric in metrics]
    return [line.rstrip() for line in table(["metric", "value", "interval", ""], rows)]


def cells_of(metric: Metric | None) -> tuple[str, str]:
    """The value and the interval of a metric."""
    if metric is None:
        return NOTHING, ""
    return number(metric.value), span(metric.low, metric.high)


def number(value: float | None) -> str:
    """A number in a table."""
    return NOTHING if value is None else decimals(value)


def span(low: float | None, high: float | None) -> str:
    """An interval in a table."""
    return "" if low is None or high is None else f"{decimals(low, 4, 4)} to {decimals(high, 4, 4)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right; control characters are replaced."""
    cells = [["".join(c if c.isprintable() else "\ufffd" for c in cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
