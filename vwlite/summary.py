"""The end of a run: VW's summary with its best constant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from vwlite.learner import walk
from vwlite.outputs import decimals

if TYPE_CHECKING:
    from vwlite.driver import Driver


def best_constant(driver: Driver, loss: Any, tau: float) -> tuple[float, float | None] | None:
    """The constant prediction with the smallest loss, and that loss when at most two different labels were seen.

    As in VW: a second label that was never seen counts as 0, and for losses other than squared there is an answer
    only for two labels, whose weights follow from the sum of labels.
    """
    if math.isnan(driver.first_label):
        return None
    first, second = sorted((driver.first_label, 0.0 if math.isnan(driver.second_label) else driver.second_label))
    weight = driver.weighted_labeled
    if first == second or weight <= 0:
        return None
    first_weight = (driver.weighted_labels - second * weight) / (first - second)
    second_weight = weight - first_weight
    two = not driver.more_labels
    if loss.name in ("squared", "classic"):
        constant = driver.weighted_labels / weight
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
            constant = math.log(second_weight / first_weight)
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
    n = driver.example_number

    def number(value: float) -> str:
        return decimals(value, as_vw=options["vw_compat"])

    lines = ["", "finished run"]
    if passes <= 1:
        lines.append(f"number of examples = {n}")
    else:
        lines += [f"number of examples per pass = {n // passes}", f"passes used = {passes}"]
    lines.append(f"weighted example sum = {number(driver.weighted_labeled + driver.weighted_unlabeled)}")
    lines.append(f"weighted label sum = {number(driver.weighted_labels)}")
    if driver.holdout:
        average = "undefined (no holdout)" if best_holdout is None else f"{number(best_holdout)} h"
    else:
        average = number(driver.sum_loss / driver.weighted_labeled) if driver.weighted_labeled > 0 else "n.a."
    lines += [f"average loss = {average}", *metrics]
    best = best_constant(driver, loss, options["quantile_tau"])
    if best is not None:
        lines.append(f"best constant = {number(best[0])}")
        if best[1] is not None:
            lines.append(f"best constant's loss = {number(best[1])}")
    lines.append(f"total feature number = {driver.total_features}")
    left_out = driver.left_out + sum(learner.left_out for learner in walk(driver.top))
    if left_out:
        lines.append(f"updates left out = {left_out} (weights would not have been finite: see --learning_rate, --l2)")
    return lines
