"""Off-policy evaluation of several policies over one log, in one reading: estimates, and their differences in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.core.types import LabelType, PredictionType
from vwlite.engine import command_line
from vwlite.errors import OptionError, VwliteError
from vwlite.judging.decisions import COLUMNS, OF_ARMS, Decisions
from vwlite.judging.fleet import Fleet
from vwlite.judging.intervals import Resampling, interval, sampled, unit_sums
from vwlite.judging.reading import is_model, names_of_slices, words_of
from vwlite.report.off_policy import Estimate, OffPolicy

if TYPE_CHECKING:
    from vwlite.judging.records import Floats

ESTIMATES = ("ips", "snips", "dr")
LOGGED, UNIFORM = "(logged)", "(uniform)"
FEW = 50  # effective decisions, of which a bootstrap knows too little of the rest
MOST_ARMS = 1000  # that are listed


class Policy(NamedTuple):
    """The off-policy estimates of a policy.

    Args:
        name: The model file, or UNIFORM.
        ips: By inverse propensity scores, with an interval that holds with few decisions, too.
        snips: Self-normalized.
        dr: Doubly robust, with the model's costs; None without a model of costs.
        overlap: The share of the decisions whose logged action the policy may take.
        effective: The effective sample size.
        mean_weight: Near 1 if the log has all actions that the policy takes.
        max_weight: The largest importance weight.
        remarks: Warnings.
    """

    name: str
    ips: Estimate
    snips: Estimate
    dr: Estimate
    overlap: float
    effective: float
    mean_weight: float | None
    max_weight: float | None
    remarks: list[str]


class Difference(NamedTuple):
    """A difference of two policies' costs, by one estimate, with a bootstrap interval of pairs.

    Args:
        policy: The policy.
        other: What its cost is compared with: LOGGED, or another policy.
        estimate: One of ESTIMATES.
        value: The cost of the policy less that of the other.
        low: The lower end of the interval; None without one.
        high: The upper end.
    """

    policy: str
    other: str
    estimate: str
    value: float | None
    low: float | None
    high: float | None


class Arm(NamedTuple):
    """An arm of the log.

    Args:
        name: Its name, or its position.
        n: The weight of the decisions that took it.
        share: Of all decisions.
        cost: Their mean cost; None if there is none.
        shares: The share that each policy takes it in.
    """

    name: str
    n: float
    share: float
    cost: float | None
    shares: dict[str, float]


class Comparison(NamedTuple):
    """What `compare_policies` finds.

    Args:
        decisions: Their number.
        weight: The sum of their weights.
        without_cost: Decisions that were left out, as their cost is not known.
        without_probability: Decisions that were left out, as the probability of the action is not known.
        level: Of the intervals.
        logged: The mean cost of the log's own policy, with a bootstrap interval.
        policies: The policies.
        differences: Of each policy to the log's own, and to the first policy.
        arms: Those taken most often first.
    """

    decisions: int
    weight: float
    without_cost: int
    without_probability: int
    level: float
    logged: Estimate
    policies: list[Policy]
    differences: list[Difference]
    arms: list[Arm]

    def as_dict(self) -> dict[str, Any]:
        """The results in values that JSON can represent."""
        found = self._asdict()
        found["logged"] = self.logged._asdict()
        found["policies"] = [
            {**policy._asdict(), **{name: getattr(policy, name)._asdict() for name in ESTIMATES}}
            for policy in self.policies
        ]
        found["differences"] = [difference._asdict() for difference in self.differences]
        found["arms"] = [arm._asdict() for arm in self.arms]
        return found


def compare_policies(  # noqa: DOC502, DOC503
    log: Sequence[str],
    models: Sequence[str],
    *,
    uniform: bool = False,
    arms: str | None = None,
    how: Resampling | None = None,
    given: dict[str, Any] | None = None,
) -> Comparison:
    """Estimates what several policies would have cost on a log of another one.

    Args:
        log: The files of the log, with action:cost:probability.
        models: Models of decisions, which predict and do not learn.
        uniform: Whether to add the policy that takes each action with the same probability.
        arms: The name of a feature or namespace of actions that tells arms apart; by default their positions.
        how: The samples and the level of the bootstrap.
        given: Options about the data, by name.

    Returns:
        The comparison.

    Raises:
        OptionError: If a model is none of decisions, or is given twice.
        VwliteError: If the log can't be read, or no decision has a cost and a probability.
    """
    how = how or Resampling()
    if not models:
        raise OptionError("no model: name the models whose policies are to be compared")
    if twice := [model for i, model in enumerate(models) if model in models[:i]]:
        raise OptionError(f"{twice[0]} is there twice: name each model once")
    for model in models:
        if model == "-" or not is_model(model):
            raise OptionError(f"{model} is no model: the log comes first, and then models")
    words = ["--testonly", *words_of(given or {}), *(f"--data={path}" for path in log)]
    settings = [
        command_line.parse([*words, f"--initial_regressor={model}"], command_line.option_groups()) for model in models
    ]
    if arms:
        for options in settings:
            options.noted = [arms]
    fleet = Fleet(settings, models, wants_names=bool(arms))
    try:
        recorders = []
        for member in fleet.members:
            top = member.workspace.top
            if top.takes_label is not LabelType.CONTEXTUAL_BANDIT or not top.multiline:
                raise OptionError(f"{member.name} learns {top.takes_label.value} labels, and is no policy of decisions")
            distributes = top.gives_prediction is PredictionType.ACTION_PROBABILITIES
            recorder = Decisions(distributes, names_of_slices(settings[0], [arms] if arms else []))
            member.driver.observer = recorder
            recorders.append(recorder)
        fleet.prepare()
        fleet.learn()
        return found_in(recorders, list(models), uniform, how, bool(arms), arms or "", ", ".join(fleet.feed.names))
    finally:
        fleet.close()


def found_in(
    recorders: Sequence[Decisions],
    names: list[str],
    uniform: bool,
    how: Resampling,
    named: bool,
    arms_name: str,
    where: str,
) -> Comparison:
    """The comparison of what was recorded."""
    first = recorders[0]
    tables = [np.frombuffer(recorder.columns()).reshape(-1, len(COLUMNS)) for recorder in recorders]
    if not first.n:
        if first.without_probability:
            raise VwliteError(
                f"{where}: no decision has the probability of its action: a log needs action:cost:probability"
            )
        raise VwliteError(f"{where}: no decision has a cost: a log needs action:cost:probability")
    for name, table in zip(names, tables, strict=True):
        if len(table) != len(tables[0]) or not np.array_equal(table[:, :3], tables[0][:, :3]):
            raise VwliteError(f"{name} can use other decisions than {names[0]}, so they can't be compared")
    of_arms = [np.frombuffer(recorder.of_arms()[1]).reshape(-1, len(OF_ARMS)) for recorder in recorders]
    labels = [name.decode("utf-8", "replace") for name in first.of_arms()[0]]
    if named and labels == ["(missing)"]:
        raise OptionError(
            f"{arms_name}: no action has a feature or namespace of this name (a feature of a namespace is called "
            "namespace^name)"
        )
    if uniform:
        names = [*names, UNIFORM]
        even = tables[0].copy()
        even[:, 3] = 1 / even[:, COLUMNS.index("actions")]
        even[:, 4:6] = np.nan
        tables = [*tables, even]
    policies = [policy_of(name, table, how.level) for name, table in zip(names, tables, strict=True)]
    logged, differences = in_pairs(names, tables, how)
    total = of_arms[0][:, 0].sum()
    order = np.argsort(-of_arms[0][:, 0], kind="stable")[:MOST_ARMS]
    shares = {name: each[:, 2] for name, each in zip(names, of_arms, strict=False)}
    if uniform:
        shares[UNIFORM] = of_arms[0][:, 3]
    arms = [
        Arm(
            labels[i],
            float(of_arms[0][i, 0]),
            float(of_arms[0][i, 0] / total),
            float(of_arms[0][i, 1] / of_arms[0][i, 0]) if of_arms[0][i, 0] > 0 else None,
            {name: float(each[i] / total) for name, each in shares.items()},
        )
        for i in order
    ]
    return Comparison(
        first.n,
        float(tables[0][:, 2].sum()),
        first.without_cost,
        first.without_probability,
        how.level,
        logged,
        policies,
        differences,
        arms,
    )


def policy_of(name: str, table: Floats, level: float) -> Policy:
    """The estimates of one policy."""
    tally = OffPolicy()
    tally.note_all(np.ascontiguousarray(table[:, [0, 1, 3, 4, 5, 2]]))
    found = tally.estimates(level)
    remarks = list(tally.remarks())
    if 0 < found.effective_n < FEW <= len(table):
        remarks.append(
            f"only {found.effective_n:.0f} effective decisions: intervals of its differences are too narrow; rely on "
            "those of ips, snips and dr"
        )
    weights = table[:, 2]
    overlap = float(weights[table[:, 3] > 0].sum() / weights.sum())
    return Policy(
        name,
        found.ips,
        found.snips,
        found.dr,
        overlap,
        found.effective_n,
        found.mean_weight,
        found.max_weight,
        remarks,
    )


def in_pairs(names: Sequence[str], tables: Sequence[Floats], how: Resampling) -> tuple[Estimate, list[Difference]]:
    """The log's own cost, and the differences of all policies to it and to the first one, of the same samples."""
    cost, probability, weight = tables[0][:, :3].T
    columns = [weight, weight * cost]
    for table in tables:
        ratio = table[:, 3] / probability
        corrected = table[:, 5] + ratio * (cost - table[:, 4])
        columns += [weight * ratio, weight * ratio * cost, weight * np.nan_to_num(corrected)]
    matrix = np.column_stack(columns)
    whole = costs_in(matrix.sum(axis=0)[None], tables)
    samples = costs_in(sampled(unit_sums(matrix, how), how), tables)
    ends = interval(samples[LOGGED][:, 0], how.level) if how.samples else None
    logged = Estimate(float(whole[LOGGED][0, 0]), *(ends or (None, None)))
    keys = list(range(len(names)))
    found = []
    for i in keys:
        others: list[Any] = [LOGGED, *([0] if i else [])]
        for other in others:
            for k, estimate in enumerate(ESTIMATES):
                mine, theirs = whole[i][0, k], whole[other][0, k]
                if not (np.isfinite(mine) and np.isfinite(theirs)):
                    continue
                ends = interval(samples[i][:, k] - samples[other][:, k], how.level) if how.samples else None
                low, high = ends or (None, None)
                other_name = LOGGED if other == LOGGED else names[other]
                found.append(Difference(names[i], other_name, estimate, float(mine - theirs), low, high))
    return logged, found


def costs_in(sums: Floats, tables: Sequence[Floats]) -> dict[Any, Floats]:
    """The estimates of the log's own policy and of each other, (samples, ESTIMATES), from sums of columns."""
    total = sums[:, 0]
    own = sums[:, 1] / total
    found: dict[Any, Floats] = {LOGGED: np.stack([own, own, own], axis=1)}
    with np.errstate(divide="ignore", invalid="ignore"):
        for i, table in enumerate(tables):
            weights, weighted, corrected = sums[:, 2 + 3 * i : 5 + 3 * i].T
            dr = corrected / total if not np.isnan(table[:, 4]).any() else np.full(len(sums), np.nan)
            found[i] = np.stack([weighted / total, weighted / weights, dr], axis=1)
    return found
