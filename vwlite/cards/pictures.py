"""Drawings of cards, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SIZE, MARGIN = 320, 40


def calibration_chart(bins: Sequence[Any]) -> str:
    """Observed labels by prediction: a point for each bin, its interval, and the line on which both are equal.

    Args:
        bins: Of judging.evaluation.Bin.

    Returns:
        The SVG.
    """
    values = [value for one in bins for value in (one.predicted, one.observed, one.low, one.high) if value is not None]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return MARGIN + (value - low) / span * (SIZE - 2 * MARGIN)

    def up(value: float) -> float:
        return SIZE - at(value)

    parts = [
        f'<line x1="{at(low):.1f}" y1="{up(low):.1f}" x2="{at(high):.1f}" y2="{up(high):.1f}" stroke="#8a979c" '
        'stroke-dasharray="4 4"/>'
    ]
    for one in bins:
        x = at(one.predicted)
        if one.low is not None and one.high is not None:
            parts.append(
                f'<line x1="{x:.1f}" y1="{up(one.low):.1f}" x2="{x:.1f}" y2="{up(one.high):.1f}" stroke="#1b7f79"/>'
            )
        parts.append(f'<circle cx="{x:.1f}" cy="{up(one.observed):.1f}" r="4" fill="#1b7f79"/>')
    parts += [
        f'<text x="{MARGIN}" y="{SIZE - 12}" font-size="12" fill="#6b787d">predicted {low:.4g}</text>',
        f'<text x="{SIZE - MARGIN}" y="{SIZE - 12}" font-size="12" fill="#6b787d" text-anchor="end">{high:.4g}</text>',
        f'<text x="{MARGIN}" y="20" font-size="12" fill="#6b787d">observed, up to {high:.4g}</text>',
    ]
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}">{"".join(parts)}</svg>'
