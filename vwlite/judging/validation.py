"""Cross-validation: k models from one reading of the data, each without one fold, which it predicts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vwlite.core.textbuffer import TextBuffer
from vwlite.core.types import LabelType, PredictionType
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.conflicts import check_run
from vwlite.engine.library_flags import words_of
from vwlite.engine.provenance import WITHOUT_FOLD
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, VwliteError
from vwlite.judging.commands import units_of
from vwlite.judging.crew import Crew
from vwlite.judging.evaluation import Evaluation, evaluate, finite
from vwlite.judging.figures import Columns, metrics_of_groups
from vwlite.judging.fleet import REFUSED, Fleet, refuse, share_crossings
from vwlite.judging.folds import MOST, Folds, predict_out
from vwlite.judging.intervals import Resampling
from vwlite.judging.reading import judged_by, names_of_slices, raw_columns, recorder_of
from vwlite.judging.records import MISSING
from vwlite.report import outputs

if TYPE_CHECKING:
    from vwlite.core.options import Options


class Spread(NamedTuple):
    """A metric over the folds.

    Args:
        mean: Over the folds in which it is defined; None without any.
        sd: Their standard deviation; None for fewer than two.
        folds: Their number.
    """

    mean: float | None
    sd: float | None
    folds: int


class Fold(NamedTuple):
    """A fold.

    Args:
        n: The number of its examples, labelled or not.
        loss: The mean loss of its labelled ones, by the loss of the stack; None without one.
        metrics: Their other metrics, by name; None where one is undefined.
    """

    n: int
    loss: float | None
    metrics: dict[str, float | None]


class Validation(NamedTuple):
    """What `cross_validate` finds.

    Args:
        folds: Each fold.
        spreads: The mean and the standard deviation over the folds of the loss and each metric.
        pooled: The evaluation of all examples, each predicted by the model without its fold; None for stacks that
            predict neither numbers nor one class.
        loss: The mean loss of all of them.
        workspaces: The models, in the order of the folds.
        seconds: That it took.
        threads: That learned.
    """

    folds: list[Fold]
    spreads: dict[str, Spread]
    pooled: Evaluation | None
    loss: float | None
    workspaces: list[Workspace]
    seconds: float
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """The results in values that JSON can represent."""
        return {
            "k": len(self.folds),
            "loss": self.loss,
            "folds": [fold._asdict() for fold in self.folds],
            "spreads": {name: spread._asdict() for name, spread in self.spreads.items()},
            "pooled": None if self.pooled is None else self.pooled.as_dict(),
            "seconds": self.seconds,
            "threads": self.threads,
        }


def cross_validate(  # noqa: DOC502, DOC503
    flags: str | Sequence[str],
    k: int = 5,
    *,
    group: str | None = None,
    by: Sequence[str] = (),
    entities: Sequence[str] = (),
    resample: str | None = None,
    how: Resampling | None = None,
    threads: int = 0,
) -> Validation:
    """Trains k models in one reading of the data, each without one fold, and predicts each fold by that model.

    Args:
        flags: The words of a command line, with the data. -p FILE gets the predictions, in the order of the data; -f
            FILE the models, as FILE.1, FILE.2, ...
        k: The number of folds.
        group: A feature, namespace or column, of which examples with the same value are in the same fold.
        by: Names of slices, which get metrics of their own.
        entities: Names of entities, over which metrics are averaged.
        resample: The name of the entities that the bootstrap draws; by default the group.
        how: The samples of the bootstrap.
        threads: That learn; 0 for one on each core. Results don't depend on it.

    Returns:
        The results.

    Raises:
        OptionError: If options don't fit together.
        VwliteError: If the data can't be read, or a fold has no example.
    """
    how = how or Resampling()
    resample = resample or group
    if not 2 <= k <= MOST:
        raise OptionError(f"-k {k}: there are 2 to {MOST} folds")
    settings = [parse(words_of(flags), option_groups()) for _ in range(k)]
    first = settings[0]
    nested = {
        "holdout": "its folds are held out",
        "holdout_after": "its folds are held out",
        "examples": "each model would stop elsewhere: give it fewer lines",
    }
    refuse(first, "cv", {**REFUSED, **nested, "report": "it prints metrics of its own"})
    check_run(first, serving=False)
    names = list(dict.fromkeys([*by, *entities, *([resample] if resample else [])]))
    for options in settings:
        options.noted = [*names, *([group] if group else [])]
    final, predictions = first["final_regressor"], first["predictions"]
    paths = [f"{final}.{i + 1}" for i in range(k)] if final else []
    if paths:
        from vwlite.model.model_file import require_writable

        for path in paths:
            require_writable(path)
    begun = time.perf_counter()
    fleet = Fleet(settings, [f"without fold {i + 1}" for i in range(k)], True, threads, bool(group or names), True)
    for i, member in enumerate(fleet.members):
        member.workspace.origin["via"] = f"{WITHOUT_FOLD} {i + 1} of {k}"
    sink: outputs.Sink | None = None
    try:
        for options in settings:
            options.unset("predictions")
        fleet.prepare()
        folded = Folded(fleet, k, group, first)
        if predictions:
            sink = outputs.Sink(predictions)
        folded.learn()
        workspaces = [with_columns(member.best(), first) for member in fleet.members]
        found = folded.predict(workspaces, names, sink, how, (tuple(by), tuple(entities), resample))
        if sink is not None:
            sink.commit()
        for member, path in zip(fleet.members, paths, strict=bool(paths)):
            member.write(path)
        return found._replace(seconds=time.perf_counter() - begun, threads=fleet.threads)
    finally:
        if sink is not None:
            sink.discard()
        fleet.close()


def with_columns(workspace: Workspace, options: Options) -> Workspace:
    """A workspace that predicts the columns that were asked for, also if it was loaded again."""
    for name in ("columns", "interval"):
        if options.given(name) and not workspace.options.given(name):
            workspace.options.set(name, options[name])
            workspace._set_columns()
    return workspace


class Folded:
    """A fleet whose members each skip one fold.

    Args:
        fleet: The fleet.
        k: The number of folds.
        group: What folds go by; None for tags and numbers.
        options: Of the first member.
    """

    def __init__(self, fleet: Fleet, k: int, group: str | None, options: Options) -> None:
        self.fleet, self.k, self.group, self.options = fleet, k, group, options
        self.multiline = fleet.members[0].workspace.top.multiline
        self.folds = Folds(k, self.multiline, names_of_slices(options, [group] if group else []))
        self.assigned: list[bytes] = []  # the folds of the rows of each block
        for i, member in enumerate(fleet.members):
            member.run_block = self._runner(member.driver, i)

    @staticmethod
    def _runner(driver: Any, i: int) -> Any:
        return lambda item: driver.run_block(item[0], item[1][i])

    def _folded(self, *stacks: Any) -> Iterator[tuple[Any, bytes]]:
        """The blocks of a pass, with the folds of their rows."""
        for number, block in enumerate(self.fleet.feed.blocks(*stacks)):
            if number == len(self.assigned):
                self.assigned.append(self.folds.assign(block))
            yield block, self.assigned[number]

    def learn(self) -> None:
        """Runs all passes."""
        fleet, learning, first = self.fleet, list(self.fleet.members), True
        while learning:
            crew = Crew([member.take for member in learning], min(fleet.threads, len(learning)))
            items = ((block, self.folds.masks(folds)) for block, folds in self._folded(*fleet.crossed))
            crew.run(items, lambda: fleet.feed.holds)
            if first:
                self._require_examples()
            first = False
            for member in learning:
                member.close_pass()
            learning = [member for member in learning if not member.ended]

    def _require_examples(self) -> None:
        """Raises VwliteError if a fold is empty."""
        where = ", ".join(self.fleet.feed.names)
        if self.group and not self.folds.named:
            raise VwliteError(
                f"{where}: no example has a feature, namespace or column {self.group}, so --group {self.group} has no "
                "effect: leave it out"
            )
        counts = self.folds.counts
        if all(counts) or not any(counts):  # without examples, a member says so
            return
        things = f"examples, whose folds go by {self.group}" if self.group else "examples"
        part = "; or it is a part of vwlite split --seed 0, which goes by the same hash: make it without that"
        raise VwliteError(
            f"{where}: fold {counts.index(0) + 1} of {self.k} is empty, as there are {sum(counts)} {things}: give a "
            f"smaller -k{part if sum(counts) > 20 * self.k else ''}"
        )

    def predict(
        self,
        workspaces: Sequence[Workspace],
        names: Sequence[str],
        sink: outputs.Sink | None,
        how: Resampling,
        wanted: tuple[tuple[str, ...], tuple[str, ...], str | None],
    ) -> Validation:
        """Predicts each example by the model without its fold, and evaluates that."""
        top = workspaces[0].top
        simple = top.takes_label is LabelType.SIMPLE and top.gives_prediction is PredictionType.SCALAR
        classes = top.takes_label is LabelType.MULTICLASS and top.gives_prediction in (
            PredictionType.CLASS,
            PredictionType.PROBABILITIES,
        )
        recorder = recorder_of(top, names_of_slices(self.options, names)) if simple or classes else None
        if classes and len({workspace.top.classes.first for workspace in workspaces}) > 1:
            raise VwliteError("classes are numbered from 0 in some folds and from 1 in others: give --indexing 0 or 1")
        if names and recorder is None:
            raise OptionError(
                f"--by, --entity and --resample are of numbers and classes, and {top.name} predicts others"
            )
        drivers = [workspace.driver for workspace in workspaces]
        for driver in drivers:
            driver.training = driver.holdout = driver.done = driver.audits = False
            driver.counting = driver.quiet = driver.again = True
            driver.example_limit = 0
            driver.observer, driver.unmatched, driver.predictions = recorder, None, None
        before = [counted(driver) for driver in drivers]
        crossed = share_crossings(workspaces)
        together = None
        if sink is None and simple and not names and not self.multiline:
            together = self._predict_together(workspaces, crossed)
        if together is None:
            before = [counted(driver) for driver in drivers]
            order = self._predict_in_order(drivers, crossed, recorder, sink)
        else:
            recorder, order = together
        sums = [
            (loss - loss_before, weight - weight_before)
            for (loss, weight, _), (loss_before, weight_before, _) in zip(map(counted, drivers), before, strict=True)
        ]
        losses = [loss / weight if weight > 0 else None for loss, weight in sums]
        total = sum(weight for _, weight in sums)
        pooled: Evaluation | None = None
        groups: list[dict[str, Any]] = [{} for _ in losses]
        if recorder is not None:
            pooled, groups = self._evaluate(recorder, workspaces[0], names, order, how, wanted)
        found = []
        for i, loss in enumerate(losses):
            found.append(Fold(self.folds.counts[i], loss, {name: finite(value) for name, value in groups[i].items()}))
        metric_names = [] if pooled is None else [metric.name for metric in pooled.metrics]
        spreads = {"loss": spread_of(losses)} | {
            name: spread_of([fold.metrics.get(name) for fold in found]) for name in metric_names
        }
        loss = sum(loss for loss, _ in sums) / total if total > 0 else None
        return Validation(found, spreads, pooled, loss, list(workspaces), 0.0, 0)

    def _predict_in_order(self, drivers: list[Any], crossed: list[Any], recorder: Any, sink: Any) -> Any:
        """Predicts one example after the other; returns their folds."""
        buffer = TextBuffer()
        for driver in drivers:
            driver.observer, driver.predictions = recorder, buffer if sink is not None else None
        order = bytearray()
        for block, folds in self._folded(*crossed):
            predict_out(drivers, block, folds, order, self.multiline)
            if sink is not None and buffer.size >= outputs.FLUSH_BYTES:
                sink.write(buffer.drain())
        if sink is not None:
            sink.write(buffer.drain())
        return np.frombuffer(order, np.uint8)

    def _predict_together(self, workspaces: Sequence[Workspace], crossed: list[Any]) -> tuple[Any, Any] | None:
        """Predicts by all models at once, each the examples of its fold in groups.

        Args:
            workspaces: The models.
            crossed: The interactions that are crossed ahead.

        Returns:
            What was recorded, in the order of the examples, and their folds; None if an example was refused, so that
            their order is not known.
        """
        drivers, recorders = [workspace.driver for workspace in workspaces], []
        for workspace in workspaces:
            recorders.append(recorder_of(workspace.top, None))
            workspace.driver.observer = recorders[-1]
        before = [counted(driver) for driver in drivers]
        runners = [self._runner(driver, i) for i, driver in enumerate(drivers)]
        crew = Crew(runners, min(self.fleet.threads, self.k))
        items = ((block, self.folds.masks(folds, True)) for block, folds in self._folded(*crossed))
        crew.run(items, lambda: self.fleet.feed.holds)
        for driver, (_, _, n), wanted in zip(drivers, before, self.folds.counts, strict=True):
            if counted(driver)[2] - n != wanted:
                return None
        folds = np.frombuffer(b"".join(self.assigned), np.uint8)
        folds = folds[folds < self.k]
        return merged([raw_columns(recorder) for recorder in recorders], folds), folds

    def _evaluate(
        self,
        recorder: Any,
        workspace: Workspace,
        names: Sequence[str],
        order: Any,
        how: Resampling,
        wanted: tuple[tuple[str, ...], tuple[str, ...], str | None],
    ) -> tuple[Evaluation, list[dict[str, Any]]]:
        """The evaluation of all examples, and the metrics of the folds."""
        by, entities, resample = wanted
        examples = judged_by(recorder, workspace, names, [*entities, *([resample] if resample else [])])
        slices = {one.name: one for one in examples.slices}
        for name in names:
            if all(code == MISSING for code in slices[name].names):
                raise OptionError(
                    f"{name}: no example has a feature, namespace or column of this name (a feature of a namespace is "
                    "called namespace^name)"
                )
        if resample:
            how = how._replace(units=units_of(slices[resample].names, slices[resample].codes))
        folds = order[examples.places].astype(np.int64)
        kept = [slices[name] for name in dict.fromkeys([*by, *entities])]
        columns = Columns(examples)
        pooled = evaluate(examples._replace(slices=kept), how, entities, resample or "", columns)
        of_folds, there = metrics_of_groups(columns, folds, self.k), np.bincount(folds, minlength=self.k) > 0
        return pooled, [{name: value[i] for name, value in of_folds.items()} if there[i] else {} for i in range(self.k)]


def counted(driver: Any) -> tuple[float, float, int]:
    """The sum of the losses of a driver's examples, that of the weights of labelled ones, and the number of all."""
    counters = driver.counters
    return counters.sum_loss, counters.weighted_labeled, counters.example_number


class Merged(NamedTuple):
    """What several Recorders stored, in the order of the examples; it is read as a Recorder is.

    Args:
        arrays: See `Recorder.columns`.
    """

    arrays: list[Any]

    def columns(self) -> list[Any]:
        """The columns."""
        return self.arrays


def merged(columns: Sequence[list[Any]], folds: Any) -> Merged:
    """The columns of Recorders, one of each fold, in the order of the examples.

    Args:
        columns: Of each fold.
        folds: (n,): the fold of each example.

    Returns:
        The columns of all.
    """
    places = np.concatenate([np.flatnonzero(folds == i)[mine[0]] for i, mine in enumerate(columns)])
    there = np.zeros(len(folds), bool)
    there[places] = True
    target = (np.cumsum(there) - 1)[places]
    found = []
    for parts in [(places,), *zip(*[mine[1:] for mine in columns], strict=True)]:
        values = np.concatenate(parts)
        if values.dtype == np.int64:
            values = values.astype(np.uint64)  # as places are stored
        ordered = np.empty_like(values)
        ordered[target] = values
        found.append(ordered)
    return Merged(found)


def spread_of(values: Sequence[float | None]) -> Spread:
    """The mean and the standard deviation of what is defined."""
    there = [value for value in values if value is not None and np.isfinite(value)]
    if not there:
        return Spread(None, None, 0)
    sd = float(np.std(there, ddof=1)) if len(there) > 1 else None
    return Spread(float(np.mean(there)), sd, len(there))
