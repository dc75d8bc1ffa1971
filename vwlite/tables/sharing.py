"""What entities share: options by which they are not independent of each other, and the estimates from sums over all."""

from __future__ import annotations

from vwlite.engine import entity_tables
from vwlite.engine.workspace import Workspace
from vwlite.tables.workspaces import Flags


def crossing(flags: Flags, effect: str | None = None) -> list[str]:  # noqa: DOC502
    """Reasons why entities influence each other, so that rows can't be split by entity without a difference.

    Estimated noise is none: it is a sum that `merge` adds, which shapes no mean and no precision.

    Args:
        flags: Options as on the command line.
        effect: The random effect; by default the only one.

    Returns:
        A reason for each option; empty if splitting by entity is exact.

    Raises:
        OptionError: If the flags have no such effect.

    >>> crossing("--bayes_linear --random_effect user --fixed none --shrink zero --effect_l2 2")
    []
    >>> len(crossing("--bayes_linear --random_effect user --fixed none"))
    2
    """
    return reasons(Workspace(flags), effect)


def reasons(workspace: Workspace, effect: str | None) -> list[str]:
    """The reasons of crossing() for a workspace."""
    options = workspace.options
    names = entity_tables.effects_of(workspace)
    name, learner = entity_tables.only_effect(workspace, effect if effect or len(names) < 2 else names[0])
    found = []
    others = [other for other in names if other != name]
    if others:
        found.append(f"the effect {others[0]}: an example has an entity of each effect; learn one effect at a time")
    if options["fixed"] != "none" and "fixed" not in options["freeze"]:
        found.append(
            f"--fixed {options['fixed']}: the fixed part learns from all entities; give --fixed none, with its score "
            "as a column of the role initial"
        )
    if learner.estimates_prior:
        found.append("--effect_l2 auto: the ridge is estimated from all entities; give a number")
    if options["shrink"] == "mean" and options["fixed"] != "same":
        found.append("--shrink mean: entities shrink to the mean of all; give --shrink zero")
    if options["count_weight"]:
        found.append("--count_weight: the mean weight is that of the examples of all entities")
    if workspace.driver.transforms is not None:
        found.append("--transform: the statistics of features are those of all rows; transform before")
    return found
