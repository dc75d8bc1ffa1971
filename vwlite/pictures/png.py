"""Charts as a PNG image, by matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vwlite.errors import VwliteError
from vwlite.pictures.chart import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which is safe for colour-blind readers.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#999999")
WIDTH, LINE, FRAME = 8.0, 0.24, 1.1  # inches
LONGEST = 40  # characters of a label


def require_matplotlib(flag: str) -> None:
    """Raises VwliteError if matplotlib, which a flag needs, is not installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise VwliteError(f"{flag} needs matplotlib: pip install 'vwlite[plot]'") from error


def png(title: str, charts: Sequence[Chart]) -> bytes:
    """Draws charts below each other.

    Args:
        title: Of the whole image.
        charts: The charts; those that are only tables are left out.

    Returns:
        The image.
    """
    from matplotlib.figure import Figure

    drawn = [chart for chart in charts if chart.kind in DRAWERS]
    heights = [height(chart) for chart in drawn]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.5), dpi=120, layout="constrained")
    figure.suptitle(plain(title))
    all_axes = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=heights)[:, 0]
    for chart, axes in zip(drawn, all_axes, strict=True):
        DRAWERS[chart.kind](axes, chart.content)
        axes.set_title(plain(chart.title), fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def height(chart: Chart) -> float:
    """The height of a chart in inches."""
    return FRAME + LINE * len(chart.content["rows"]) if "rows" in chart.content else 3.5


def plain(words: str) -> str:
    """A text without mathematical markup, shortened."""
    shown = words if len(words) <= LONGEST * 2 else words[: LONGEST * 2 - 1] + "…"
    return shown.replace("$", r"\$")


def draw_curves(axes: Axes, content: dict[str, Any]) -> None:
    """Lines."""
    for i, each in enumerate(content["series"]):
        x, y = zip(*each["points"], strict=True)
        axes.plot(x, y, label=plain(each["name"]), color=COLOURS[i % len(COLOURS)], marker="." if len(x) < 30 else None)
    if content["logX"]:
        axes.set_xscale("log")
    axes.set_xlabel(content["xName"])
    axes.legend(frameon=False)


def draw_calibration(axes: Axes, content: dict[str, Any]) -> None:
    """Observed shares beside predicted ones."""
    axes.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1)
    most = max(one["examples"] for one in content["bins"])
    for one in content["bins"]:
        p, n = one["predicted"], one["examples"]
        error = 2 * (p * (1 - p) / n) ** 0.5
        axes.plot([p, p], [max(0, one["observed"] - error), min(1, one["observed"] + error)], color="#555555")
        axes.plot(p, one["observed"], "o", color=COLOURS[0], markersize=3 + 7 * (n / most) ** 0.5)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("observed share")


def draw_bars(axes: Axes, content: dict[str, Any]) -> None:
    """Bars from zero."""
    rows = content["rows"]
    places = range(len(rows))
    errors = [2 * row.get("sd", 0.0) for row in rows]
    axes.barh(places, [row["value"] for row in rows], xerr=errors if any(errors) else None, color=COLOURS[6])
    axes.axvline(0, color="#555555", linewidth=0.8)
    label_rows(axes, rows)


def draw_intervals(axes: Axes, content: dict[str, Any]) -> None:
    """Estimates with intervals."""
    rows = content["rows"]
    for i, row in enumerate(rows):
        if row["low"] is not None and row["high"] is not None:
            axes.plot([row["low"], row["high"]], [i, i], color="#555555")
        axes.plot(row["value"], i, "o", color=COLOURS[0], markersize=5)
    if "at" in content:
        axes.axvline(content["at"], color="#999999", linestyle="--", linewidth=1)
    label_rows(axes, rows)


def label_rows(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the labels of rows, the first on top."""
    labels = [row["label"] if len(row["label"]) <= LONGEST else row["label"][: LONGEST - 1] + "…" for row in rows]
    axes.set_yticks(range(len(rows)), [label.replace("$", r"\$") for label in labels])
    axes.set_ylim(len(rows) - 0.5, -0.5)


DRAWERS: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "curves": draw_curves,
    "calibration": draw_calibration,
    "bars": draw_bars,
    "intervals": draw_intervals,
}
