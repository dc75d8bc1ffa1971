"""Charts as data, which page.py and png.py draw."""

from __future__ import annotations

from typing import Any, NamedTuple

NORMAL_95 = 1.96  # standard deviations on either side of an interval of 95%
KINDS = ("curves", "calibration", "bars", "intervals", "table")


class Chart(NamedTuple):
    """A chart, with the same as a table.

    Args:
        kind: One of KINDS.
        title: Its title.
        about: What it shows, in words.
        content: Of "curves" `series`, [{name, points}], and `logX`, `logY`, `xName`; of "calibration" `bins`,
            [{examples, predicted, observed}]; of "bars" `rows`, [{label, value, sd, text}]; of "intervals" `rows`,
            [{label, value, low, high, text}], and `at`, where a line is; of "table" nothing.
        heads: Of the table's columns.
        rows: Of the table, texts.
    """

    kind: str
    title: str
    about: str
    content: dict[str, Any]
    heads: list[str]
    rows: list[list[str]]


def text(value: float | None) -> str:
    """A number in a table or beside a bar."""
    return "n/a" if value is None else f"{value:.4g}"


def span(low: float | None, high: float | None) -> str:
    """An interval in a table."""
    return "" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def curves(
    title: str, about: str, series: dict[str, list[tuple[float, float]]], x_name: str, log_x: bool = False
) -> Chart:
    """Lines over a common axis.

    Args:
        title: The title.
        about: What it shows.
        series: The points of each line.
        x_name: The name of the axis.
        log_x: Whether it is logarithmic.

    Returns:
        The chart; its table has the values of all lines at the places of the first.
    """
    names = list(series)
    values = [dict(points) for points in series.values()]
    places = sorted({x for points in series.values() for x, _ in points})
    every = max(1, len(places) // 20)
    rows = [
        [f"{x:g}", *(text(value.get(x)) for value in values)]
        for i, x in enumerate(places)
        if (len(places) - 1 - i) % every == 0
    ]
    lines = [{"name": name, "points": [list(point) for point in points]} for name, points in series.items()]
    return Chart(
        "curves", title, about, {"series": lines, "xName": x_name, "logX": log_x, "logY": False}, [x_name, *names], rows
    )


def intervals(
    title: str,
    about: str,
    rows: list[tuple[str, float, float | None, float | None]],
    at: float | None = None,
) -> Chart:
    """Estimates with intervals.

    Args:
        title: The title.
        about: What it shows.
        rows: The name, value and ends of each estimate.
        at: Where a line across is, such as the value of all examples.

    Returns:
        The chart.
    """
    content: dict[str, Any] = {
        "rows": [
            {"label": label, "value": value, "low": low, "high": high, "text": text(value)}
            for label, value, low, high in rows
        ]
    }
    if at is not None:
        content["at"] = at
    cells = [[label, text(value), span(low, high)] for label, value, low, high in rows]
    return Chart("intervals", title, about, content, ["name", "value", "interval"], cells)


def bars(title: str, about: str, rows: list[tuple[str, float, float | None]]) -> Chart:
    """Bars from zero, each with a standard deviation if it has one.

    Args:
        title: The title.
        about: What it shows.
        rows: The name, value and standard deviation of each bar.

    Returns:
        The chart.
    """
    drawn = [
        {"label": label, "value": value, "text": text(value)} | ({} if sd is None else {"sd": sd})
        for label, value, sd in rows
    ]
    cells = [[label, text(value), "" if sd is None else text(sd)] for label, value, sd in rows]
    return Chart("bars", title, about, {"rows": drawn}, ["name", "value", "standard deviation"], cells)
