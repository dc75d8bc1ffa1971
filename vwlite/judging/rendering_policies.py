"""Comparisons of policies as text for a terminal."""

from __future__ import annotations

from vwlite.judging.policies import ESTIMATES, LOGGED, Comparison
from vwlite.judging.rendering import number, span, table
from vwlite.report.off_policy import Estimate

MOST_ARMS = 20  # that are printed


def render(found: Comparison) -> str:
    """The text of a comparison."""
    left_out = [
        f"{count:,} left out without a {what}"
        for count, what in ((found.without_cost, "cost"), (found.without_probability, "probability"))
        if count
    ]
    own = span(found.logged.low, found.logged.high)
    lines = [
        ", ".join([f"decisions = {found.decisions:,}", f"weight = {found.weight:g}", *left_out]),
        f"logged cost = {number(found.logged.value)}" + (f", {own}" * bool(own)),
        "",
    ]
    head = ["policy", *(part for name in ESTIMATES for part in (name, "interval"))]
    rows = [
        [policy.name, *(cell for name in ESTIMATES for cell in cells_of(getattr(policy, name)))]
        for policy in found.policies
    ]
    lines += table(head, rows)
    head = ["policy", "overlap", "effective decisions", "mean weight", "max weight"]
    rows = [
        [
            policy.name,
            f"{policy.overlap:.1%}",
            f"{policy.effective:,.0f}",
            number(policy.mean_weight),
            number(policy.max_weight),
        ]
        for policy in found.policies
    ]
    lines += ["", *table(head, rows)]
    if found.differences:
        rows = []
        for policy, other in dict.fromkeys((each.policy, each.other) for each in found.differences):
            each = {one.estimate: one for one in found.differences if (one.policy, one.other) == (policy, other)}
            cells = [
                cell
                for name in ESTIMATES
                for cell in (
                    (signed(each[name].value), span(each[name].low, each[name].high)) if name in each else ("n/a", "")
                )
            ]
            rows.append([f"{policy} less {other}", *cells])
        head = ["difference", *(part for name in ESTIMATES for part in (name, "interval"))]
        lines += ["", *table(head, rows)]
    names = [policy.name for policy in found.policies]
    rows = [
        [
            arm.name,
            f"{arm.n:g}",
            f"{arm.share:.1%}",
            number(arm.cost),
            *(f"{arm.shares[name]:.1%}" for name in names),
        ]
        for arm in found.arms[:MOST_ARMS]
    ]
    lines += ["", *table(["arm", "decisions", LOGGED, "mean cost", *names], rows)]
    if len(found.arms) > MOST_ARMS:
        lines.append(f"and {len(found.arms) - MOST_ARMS:,} other arms (--json has all)")
    remarks = [f"{policy.name}: {remark}" for policy in found.policies for remark in policy.remarks]
    return "\n".join([*lines, *(f"[warning] {remark}" for remark in remarks)])


def cells_of(estimate: Estimate) -> tuple[str, str]:
    """An estimate with its interval."""
    return number(estimate.value), span(estimate.low, estimate.high)


def signed(value: float | None) -> str:
    """A difference with its sign."""
    return number(value) if value is None or value < 0 else f"+{number(value)}"
