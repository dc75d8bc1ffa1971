"""Sweeps: all settings of a grid learn from one reading of the data, and are ranked by their losses in pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.core.losses import OPTIONS as LOSS_OPTIONS
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine.command_line import option_groups
from vwlite.engine.conflicts import check_run
from vwlite.engine.library_flags import words_of
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError
from vwlite.judging.fleet import REFUSED, Fleet, Member, refuse
from vwlite.judging.grid import Setting, parse_all, read_grid, settings_of
from vwlite.judging.intervals import Resampling, interval, sampled
from vwlite.judging.tracks import COLUMNS, Tally, Track

if TYPE_CHECKING:
    from vwlite.judging.records import Floats

METRICS = {
    "loss": "loss",
    "error": "share of wrong classes",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "logloss": "logarithmic loss",
}
COLUMN_OF = {"loss": "loss", "mse": "square", "mae": "absolute", "logloss": "log_loss"}
SIDES = ("progressive", "holdout")
SAME_LOSS = ("min_prediction", "max_prediction")  # options of a loss that leave it the same function
FEWEST_PIECES = 8  # for an interval


class Result(NamedTuple):
    """What a sweep found of a setting.

    Args:
        rank: From 1, the best.
        name: The values, as "l=0.1 loss_function=hinge".
        values: The same, by option.
        value: The metric by which it is ranked; None if it is not finite.
        difference: To the best; None for the best.
        low: The lower end of the interval of the difference; None without one.
        high: The upper end.
        progressive: The metric of predictions before learning, in the first pass.
        held_out: The metric of held-out examples, in the best pass; None if none were held out.
        report: The metrics of --report.
        passes: That it took.
        seconds: Of a thread, without reading.
    """

    rank: int
    name: str
    values: dict[str, str]
    value: float | None
    difference: float | None
    low: float | None
    high: float | None
    progressive: float | None
    held_out: float | None
    report: dict[str, float | None]
    passes: int
    seconds: float


class Sweep(NamedTuple):
    """The results of a sweep.

    Args:
        metric: One of METRICS.
        side: One of SIDES.
        level: Of the intervals.
        results: Of all settings, the best first.
        examples: That were read.
        seconds: Of the whole.
        threads: That learned.
        megabytes: That the weights of all models take at most.
        best: The workspace of the best model.
    """

    metric: str
    side: str
    level: float
    results: list[Result]
    examples: int
    seconds: float
    threads: int
    megabytes: float
    best: Workspace

    def as_dict(self) -> dict[str, Any]:
        """The results in values that JSON can represent."""
        found = self._asdict()
        del found["best"]
        return {**found, "results": [result._asdict() for result in self.results]}


def sweep(  # noqa: DOC502
    flags: str | Sequence[str],
    grid: str | Sequence[str],
    *,
    by_loss: str | None = None,
    metric: str | None = None,
    how: Resampling | None = None,
    threads: int = 0,
) -> Sweep:
    """Trains a model with each setting of a grid, in one pass over one reading of the data.

    Args:
        flags: The words of a command line that all settings share, with the data. With -f FILE the best model is saved.
        grid: Options and their values, as "l=.1,.5,1 loss_function=logistic,hinge"; see grid.read_grid.
        by_loss: One of SIDES; by default "holdout" if examples are held out.
        metric: One of METRICS; by default the loss, if all settings have the same loss function; else "error" for two
            classes, "mse" for numbers.
        how: The samples and the level of the intervals.
        threads: That learn; 0 for one on each core. Results don't depend on it.

    Returns:
        The results.

    Raises:
        OptionError: If options don't fit together, the grid is empty or too large.
        VwliteError: If the data can't be read, or has no label.

    >>> sweep("no.vw", "l=.1,.5 b=18,18")
    Traceback (most recent call last):
    vwlite.errors.OptionError: --grid: b=18,18 has 18 twice
    """
    words = words_of(flags)
    settings = settings_of(read_grid([grid] if isinstance(grid, str) else list(grid)))
    options = parse_all(words, settings, option_groups())
    refuse(options[0], "sweep", {**REFUSED, "predictions": "predict with the saved model"})
    check_run(options[0], serving=False)
    if by_loss == "holdout" and options[0]["holdout_off"]:
        raise OptionError("--by_loss holdout with --holdout_off: nothing is held out: leave one of them out")
    final: str | None = options[0]["final_regressor"]
    if final:
        from vwlite.model.model_file import require_writable

        require_writable(final)
    begun = time.perf_counter()
    fleet = Fleet(options, [setting.name for setting in settings], threads=threads, keeps=True)
    try:
        fleet.prepare()
        racers = [Racer(member, metric) for member in fleet.members]
        fleet.learn()
        seconds = time.perf_counter() - begun
        side = by_loss or ("holdout" if any(racer.has_held_out for racer in racers) else "progressive")
        if side == "holdout" and not all(racer.has_held_out for racer in racers):
            raise VwliteError("--by_loss holdout: no example was held out: add --holdout SHARE, or --passes above 1")
        metric = chosen_metric(metric, racers, fleet.members)
        results, best = ranked(settings, racers, side, metric, how or Resampling())
        if final:
            fleet.members[best].write(final)
        counters = fleet.members[best].driver.counters
        return Sweep(
            metric,
            side,
            (how or Resampling()).level,
            results,
            fleet.members[best].read or counters.example_number,
            seconds,
            fleet.threads,
            fleet.bytes / 1e6,
            fleet.members[best].best(),
        )
    finally:
        fleet.close()


class Racer:
    """A member of a sweep, with its losses piece by piece.

    Args:
        member: The member.
        metric: The metric that is asked for.
    """

    def __init__(self, member: Member, metric: str | None) -> None:
        self.member = member
        driver, top = member.driver, member.workspace.top
        scalar = top.takes_label is LabelType.SIMPLE and top.gives_prediction is PredictionType.SCALAR
        self.log_odds = "logistic" in top.loss.name or member.options["link"] == "logistic"
        self.tally: Tally | None = None
        if scalar:
            self.tally = driver.observer = Tally(self.log_odds and metric == "logloss", driver.observer)
        self.track = Track(driver, self.tally)
        member.run_block = self.track.run
        member.after_pass = self.after_pass
        self.progressive: Floats | None = None  # (pieces, columns)
        self.held_out: Floats | None = None

    def after_pass(self, improved: bool) -> None:
        """Keeps the pieces of the first pass, and the held-out ones of the best."""
        pieces = np.frombuffer(self.track.found()).reshape(-1, 2, len(COLUMNS))
        if self.progressive is None:
            self.progressive = pieces[:, 0]
        if improved or self.held_out is None or self.member.best_holdout is None:
            self.held_out = pieces[:, 1]
        self.track.begin_pass()

    @property
    def has_held_out(self) -> bool:
        """Whether a labelled example was held out."""
        return self.held_out is not None and self.held_out[:, 0].sum() > 0

    def pieces(self, side: str, metric: str) -> Floats:
        """The sums of a metric, and of weights, of each piece (pieces, 2)."""
        found = self.progressive if side == "progressive" else self.held_out
        assert found is not None
        column = COLUMN_OF.get(metric) or ("wrong_at_zero" if self.splits_at_zero else "wrong_at_half")
        weight = "weight" if metric == "loss" else "given_weight"
        return found[:, [COLUMNS.index(column), COLUMNS.index(weight)]]

    @property
    def labels(self) -> set[float]:
        """The first two labels, and infinity if there are more."""
        counters = self.member.driver.counters
        found = {label for label in (counters.first_label, counters.second_label) if label == label}
        return found | ({float("inf")} if counters.more_labels else set())

    @property
    def splits_at_zero(self) -> bool:
        """Whether scores above 0 speak for the larger label, not those above 1/2."""
        return self.log_odds or -1 in self.labels


def chosen_metric(metric: str | None, racers: Sequence[Racer], members: Sequence[Member]) -> str:
    """The metric of the ranking. Raises OptionError if it is not defined for these models and labels."""
    names = [option.name for option in LOSS_OPTIONS.options if option.name not in SAME_LOSS]
    # a learner may weigh classes otherwise
    losses = [
        [round(racer.pieces("progressive", "loss")[:, 1].sum(), 3), *(member.options[name] for name in names)]
        for racer, member in zip(racers, members, strict=True)
    ]
    labels = set.union(*(racer.labels for racer in racers))
    two_classes = labels <= {-1, 1} or labels <= {0, 1}
    if metric is None:
        if all(loss == losses[0] for loss in losses) or racers[0].tally is None:
            return "loss"
        return "error" if two_classes else "mse"
    if metric != "loss" and racers[0].tally is None:
        raise OptionError(f"--metric {metric} is of predicted numbers: leave it out, and settings are ranked by loss")
    if metric in ("error", "logloss") and not two_classes:
        raise OptionError(f"--metric {metric} is of two classes, 1 and -1 or 1 and 0, and there are other labels")
    if metric == "logloss" and not all(racer.log_odds for racer in racers):
        raise OptionError("--metric logloss is of log-odds: settings need --loss_function logistic")
    if metric == "loss" and not all(loss == losses[0] for loss in losses):
        raise OptionError("--metric loss: losses of different functions can't be compared: take error, mse or mae")
    return metric


def ranked(
    settings: Sequence[Setting], racers: Sequence[Racer], side: str, metric: str, how: Resampling
) -> tuple[list[Result], int]:
    """The results of all settings, the best first; and the number of the best setting."""
    values = [value_of(racer, side, metric) for racer in racers]
    if all(value is None for value in values):
        raise VwliteError("no setting has a finite loss: give smaller learning rates")
    order = sorted(range(len(racers)), key=lambda i: (values[i] is None, values[i] or 0.0))
    best = order[0]
    ends = differences([racer.pieces(side, metric) for racer in racers], best, how)
    results = []
    for rank, i in enumerate(order, 1):
        racer, value = racers[i], values[i]
        report = racer.member.workspace.reporter
        low, high = ends[i] or (None, None)
        top = values[best]
        results.append(
            Result(
                rank,
                settings[i].name,
                settings[i].values,
                value,
                None if i == best or value is None or top is None else value - top,
                low,
                high,
                value_of(racer, "progressive", metric),
                value_of(racer, "holdout", metric) if racer.has_held_out else None,
                {} if report is None else {figure.name: figure.value for figure in report.figures()},
                racer.member.pass_number,
                racer.member.seconds,
            )
        )
    return results, best


def value_of(racer: Racer, side: str, metric: str) -> float | None:
    """The metric of a model; None if it is not finite, or there is no example. Raises VwliteError without a label."""
    total, weight = racer.pieces(side, metric).sum(axis=0)
    if not weight > 0:
        if side == "progressive" and not racer.has_held_out:
            raise VwliteError(
                f"{', '.join(racer.member.feed.names)}: no example has a label and a weight, so there is no loss to "
                "compare settings by"
            )
        return None
    return float(total / weight) if np.isfinite(total) else None


def differences(pieces: Sequence[Floats], best: int, how: Resampling) -> list[tuple[float, float] | None]:
    """The intervals of the differences to the best, from pairs of pieces: (sums, weights) of each model's."""
    nothing: list[tuple[float, float] | None] = [None] * len(pieces)
    if len({len(one) for one in pieces}) > 1 or len(pieces[0]) < FEWEST_PIECES or not how.samples:
        return nothing
    sums = sampled(np.concatenate(pieces, axis=1), how).reshape(how.samples, len(pieces), 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[..., 0] / sums[..., 1]
        apart = means - means[:, best, None]
    return [None if i == best else interval(apart[:, i], how.level) for i in range(len(pieces))]
