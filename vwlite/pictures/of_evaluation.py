"""Charts of an evaluation: metrics, calibration, lift, slices, residuals by entity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from vwlite.pictures.chart import NORMAL_95, Chart, curves, intervals, span, text

if TYPE_CHECKING:
    from vwlite.judging.evaluation import Evaluation
    from vwlite.judging.records import Judged, Slice

MAIN = {"number": "rmse", "binary": "logloss", "class": "accuracy"}
MOST_ROWS = 30  # of entities in a chart


def charts_of(found: Evaluation) -> list[Chart]:
    """The charts of an evaluation.

    Args:
        found: The evaluation.

    Returns:
        Its charts.
    """
    cells = [[one.name, text(one.value), span(one.low, one.high) or one.note] for one in found.metrics]
    about = f"{found.n:,} examples; intervals of {found.level:.0%} by a bootstrap of {found.resampled}."
    charts = [Chart("table", "Metrics", about, {}, ["metric", "value", "interval"], cells)]
    if found.calibration:
        charts.append(calibration(found))
    if found.lift:
        points = [(100 * share, lift) for share, _, lift in found.lift]
        about = "The share of positive labels among the best-scored examples, over the share among all."
        charts.append(curves("Lift", about, {"lift": points}, "best-scored, %"))
    for name, groups in found.slices.items():
        wanted = MAIN[found.kind] if any(one.name == MAIN[found.kind] for one in found.metrics) else "accuracy"
        rows = []
        for group in groups:
            one = next((metric for metric in group.metrics if metric.name == wanted), None)
            if one is not None and one.value is not None:
                rows.append((f"{group.name} ({group.n:,})", one.value, one.low, one.high))
        if rows:
            about = f"{wanted} of each group with its number of examples; the line is that of all."
            charts.append(intervals(f"{wanted} by {name}", about, rows, found.value(wanted)))
    return charts


def calibration(found: Evaluation) -> Chart:
    """What was predicted, and what came."""
    heads = ["predicted", "observed", "examples"]
    cells = [[text(one.predicted), text(one.observed), f"{one.n:,}"] for one in found.calibration]
    if found.kind == "binary":
        bins = [{"examples": one.n, "predicted": one.predicted, "observed": one.observed} for one in found.calibration]
        about = "Examples in groups by their predicted probability. Lines are two standard errors."
        return Chart("calibration", "Calibration", about, {"bins": bins}, heads, cells)
    points = [(one.predicted, one.observed) for one in found.calibration]
    ideal = [(one.predicted, one.predicted) for one in found.calibration]
    about = "The mean label of examples in groups by their prediction."
    return curves("Calibration", about, {"as predicted": ideal, "observed": points}, "mean prediction")


def residuals(data: Judged, by: Slice) -> Chart | None:
    """The mean residual, label less prediction, of the entities for which it is farthest from zero in standard errors.

    Args:
        data: The examples: of two classes with probabilities, or numbers.
        by: Their entities.

    Returns:
        The chart; None for other examples.
    """
    import numpy as np

    said = data.probabilities if data.kind == "binary" else data.predictions if data.kind == "number" else None
    if said is None:
        return None
    residual, n = data.labels - said, len(by.names)
    weight = np.bincount(by.codes, data.weights, minlength=n)
    squares = np.bincount(by.codes, data.weights**2, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(by.codes, data.weights * residual, minlength=n) / weight
        spread = np.bincount(by.codes, data.weights * (residual - mean[by.codes]) ** 2, minlength=n) / weight
        effective = weight**2 / squares
        # the variance of an entity with few examples is drawn to that of all (of the weight of one example)
        overall = np.average((residual - mean[by.codes]) ** 2, weights=data.weights)
        error = np.sqrt((spread * effective + overall) / (effective + 1) / effective)
        far = np.abs(mean) / error
    there = np.flatnonzero(weight > 0)
    chosen = there[np.argsort(-far[there], kind="stable")[:MOST_ROWS]]
    rows: list[tuple[str, float, float | None, float | None]] = [
        (
            f"{by.names[i]} ({effective[i]:.0f})",
            float(mean[i]),
            float(mean[i] - NORMAL_95 * error[i]),
            float(mean[i] + NORMAL_95 * error[i]),
        )
        for i in chosen
        if math.isfinite(error[i])
    ]
    about = (
        f"Mean label less prediction of {len(rows)} of {len(there):,} entities, those farthest from zero in standard "
        "errors; with the number of examples."
    )
    return intervals(f"Residuals by {by.name}", about, rows, 0.0) if rows else None


def learning(losses: Any, weights: Any, most: int = 200) -> Chart | None:
    """The progressive loss over the examples, as means over equal numbers of them.

    Args:
        losses: The weighted loss of each example, (n,).
        weights: The weights, (n,).
        most: Points.

    Returns:
        The chart; None without examples.
    """
    import numpy as np

    n = len(losses)
    if n == 0:
        return None
    ends = np.unique(np.linspace(0, n, min(n, most) + 1).astype(int))[1:]
    loss, weight = np.cumsum(losses)[ends - 1], np.cumsum(weights)[ends - 1]
    every = max(1, n // len(ends))
    late = np.diff(loss, prepend=0) / np.diff(weight, prepend=0)
    series = {
        "mean of all so far": list(zip(ends.tolist(), (loss / weight).tolist(), strict=True)),
        f"mean of {every:,} examples": list(zip(ends.tolist(), late.tolist(), strict=True)),
    }
    return curves(
        "Learning curve", "The loss of predictions made before their labels were learned.", series, "examples"
    )
