"""Sweeps and cross-validations as text for a terminal."""

from __future__ import annotations

from vwlite.judging.rendering import number, render, span, table
from vwlite.judging.sweeping import METRICS, Sweep
from vwlite.judging.validation import Validation

SIDE_WORDS = {"progressive": "progressive", "holdout": "held out"}


def render_sweep(found: Sweep) -> str:
    """The text of a sweep."""
    settings = len(found.results)
    lines = [
        f"settings = {settings}, examples = {found.examples:,}, {found.seconds:.2f} s with {found.threads} "
        f"thread{'s' * (found.threads > 1)}, weights of up to {found.megabytes:.0f} MB",
        f"ranked by {SIDE_WORDS[found.side]} {METRICS[found.metric]}"
        + (f"; intervals of the difference to the best: {found.level:.3g}" if settings > 1 else ""),
        "",
    ]
    both = all(result.held_out is not None for result in found.results)
    other = "progressive" if found.side == "holdout" else "held out"
    metrics = list(found.results[0].report)
    several = any(result.passes > 1 for result in found.results)
    head = ["setting", "rank", found.metric, "to best", "interval"]
    head += [other] * both + metrics + ["passes"] * several + ["seconds"]
    rows = []
    for result in found.results:
        rest = result.progressive if found.side == "holdout" else result.held_out
        rows.append(
            [
                result.name,
                str(result.rank),
                number(result.value),
                "" if result.difference is None else f"+{number(result.difference)}",
                span(result.low, result.high),
                *([number(rest)] * both),
                *(number(result.report.get(name)) for name in metrics),
                *([str(result.passes)] * several),
                f"{result.seconds:.2f}",
            ]
        )
    return "\n".join([*lines, *table(head, rows)])


def render_validation(found: Validation, samples: int) -> str:
    """The text of a cross-validation, whose bootstrap had so many samples."""
    counts = [fold.n for fold in found.folds]
    k = len(counts)
    lines = [
        f"folds = {k} of {min(counts):,} to {max(counts):,} examples, {found.seconds:.2f} s with {found.threads} "
        f"thread{'s' * (found.threads > 1)}",
        "",
    ]
    rows = [
        [
            name,
            number(spread.mean),
            "" if spread.sd is None else number(spread.sd),
            f"defined in {spread.folds} folds" * (spread.folds < k),
        ]
        for name, spread in found.spreads.items()
    ]
    lines += [line.rstrip() for line in table(["over the folds", "mean", "sd", ""], rows)]
    if found.pooled is None:
        return "\n".join([*lines, "", f"loss of all examples = {number(found.loss)}"])
    return "\n".join(
        [*lines, "", "all examples, each predicted by the model without its fold:", render(found.pooled, samples)]
    )
