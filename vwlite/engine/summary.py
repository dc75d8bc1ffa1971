"""The rows of the progress table, and the summary of a run with the best constant, in VW's format."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from vwlite.core.elementary import scalar_log
from vwlite.core.learner import walk
from vwlite.report.outputs import decimals, ratio, shorten

if TYPE_CHECKING:
    from vwlite.engine.driver import Driver

MOST_DEVIATIONS = 5  # of a share that is held out by independent draws


def best_constant(driver: Driver, loss: Any, tau: float) -> tuple[float, float | None] | None:
    """The constant prediction with the smallest loss, and its loss if at most two different labels were seen.

    As in VW, a second label that was never seen counts as 0. For losses other than squared the result is defined only
    for two labels, whose weights follow from the sum of labels; otherwise it is None.
    """
    counters = driver.counters
    if math.isnan(counters.first_label):
        return None
    first, second = sorted((counters.first_label, 0.0 if math.isnan(counters.second_label) else counters.second_label))
    weight = counters.weighted_labeled
    if first == second or weight <= 0:
        return None
    first_weight = (counters.weighted_labels - second * weight) / (first - second)
    second_weight = weight - first_weight
    two = not counters.more_labels
    if loss.name in ("squared", "classic"):
        constant = counters.weighted_labels / weight
    elif not two:
        return None
    elif loss.name == "hinge":
        constant = -1.0 if second_weight <= first_weight else 1.0
    elif loss.name == "logistic":
        first, second = loss.low, loss.high
        if first_weight <= 0:
            constant = 1.0
        elif second_weight <= 0:
            constant = -1.0
        else:
            constant = scalar_log(second_weight / first_weight)
    elif loss.name == "quantile":
        constant = second if tau * second_weight > (1 - tau) * first_weight else first
    else:
        return None
    if not two:
        return constant, None
    total = sum(loss.at(constant, y)[0] * w for y, w in ((first, first_weight), (second, second_weight)) if w > 0)
    return constant, total / weight


def summary(
    driver: Driver, options: Any, passes: int, best_holdout: float | None, loss: Any, metrics: list[str]
) -> list[str]:
    """The lines of the summary, with those of --report."""
    counters = driver.counters
    n = counters.example_number

    def number(value: float) -> str:
        return decimals(value, as_vw=options["vw_compat"])

    lines = ["", "finished run"]
    if passes <= 1:
        lines.append(f"number of examples = {n}")
    else:
        lines += [f"number of examples per pass = {n // passes}", f"passes used = {passes}"]
    lines.append(f"weighted example sum = {number(counters.weighted_labeled + counters.weighted_unlabeled)}")
    lines.append(f"weighted label sum = {number(counters.weighted_labels)}")
    if driver.holdout:
        average = "undefined (no holdout)" if best_holdout is None else f"{number(best_holdout)} h"
    else:
        average = number(counters.sum_loss / counters.weighted_labeled) if counters.weighted_labeled > 0 else "n.a."
    lines += [f"average loss = {average}", *metrics]
    best = best_constant(driver, loss, options["quantile_tau"])
    if best is not None:
        lines.append(f"best constant = {number(best[0])}")
        if best[1] is not None:
            lines.append(f"best constant's loss = {number(best[1])}")
    lines.append(f"total feature number = {counters.total_features}")
    left_out = counters.left_out + sum(learner.left_out for learner in walk(driver.top))
    if left_out:
        lines.append(f"updates left out = {left_out} (weights would not have been finite: see --learning_rate, --l2)")
    return lines


def row(driver: Driver, label: str, prediction: str, features: int, as_vw: bool = False) -> str:
    """A row of the progress table; values too long for their columns are truncated, as in VW."""
    counters = driver.counters
    if driver.holdout and driver.current_pass >= 1:
        average = ratio(counters.holdout_loss, counters.holdout_weight, "unknown", as_vw)
        since = ratio(counters.holdout_loss_since, counters.holdout_weight_since, "unknown", as_vw)
    else:
        recent = counters.weighted_labeled - counters.weighted_labeled_before
        average = ratio(counters.sum_loss, counters.weighted_labeled, "n.a.", as_vw)
        since = ratio(counters.sum_loss_since, recent, "n.a.", as_vw)
    weight = f"{counters.weighted_labeled + counters.weighted_unlabeled:.1f}"
    cells = [
        f"{average[:8]:<8}",
        f"{since[:8]:<8}",
        f"{str(counters.example_number)[:12]:>12}",
        f"{weight[:14]:>14}",
        f"{shorten(label, 14):>14}",
        f"{shorten(prediction, 14):>14}",
        f"{str(features)[:8]:>8}",
    ]
    return " ".join(cells) + (" h" if driver.holdout and driver.current_pass >= 1 else "")


def remark_on_share(driver: Driver, share: float | None, n: int, before: int) -> str:
    """A warning if --holdout has held out another share than independent draws could; else the empty string.

    Args:
        driver: The driver of the run.
        share: That of --holdout, or None.
        n: The number of examples of a pass.
        before: How many examples were counted before the run.

    Returns:
        The warning.
    """
    counters = driver.counters
    if share is None or not driver.holdout or not counters.held_out or counters.weighted_unlabeled:
        return ""
    found = counters.held_out / (counters.held_out + counters.example_number - before)
    deviation = (share * (1 - share) / max(n, 1)) ** 0.5
    if abs(found - share) <= max(MOST_DEVIATIONS * deviation, share / 10):
        return ""
    return (
        f"--holdout {share:g} has held out {found:.1%}: it goes by the tag of an example, or by its features without "
        "one, and many have the same; with a tag for each example it is a random share"
    )
