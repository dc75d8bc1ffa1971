"""The tuner: reads the data, searches for values of options, learns the final model, and measures it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from vwlite import __version__
from vwlite.core.options import Options
from vwlite.engine import command_line
from vwlite.engine.feed import data_paths
from vwlite.errors import OptionError, VwliteError
from vwlite.tuning.data import HELD, LEARN, TEST, Data, Division, Kind, blocks_of, read_data
from vwlite.tuning.final import (
    ColdStart,
    Refit,
    cold_start,
    frozen_beside,
    learn_finally,
    passes_of_refit,
    require_effect,
)
from vwlite.tuning.ranges import Range, given_values, read_ranges, settings, spelled
from vwlite.tuning.search import METHODS, search
from vwlite.tuning.trace import Evaluation, Trace
from vwlite.tuning.trial import METRICS, Judge, Stop, improves, prepared, require_judgeable, run

# Options of a run that a search can't have, and why.
REFUSED = {
    "testonly": "tuning learns",
    "examples": "--where, --sample and --entities choose examples",
    "predictions": "predict with the model that -f writes",
    "raw_predictions": "predict with the model that -f writes",
    "readable_model": "make it from the model that -f writes",
    "invert_hash": "train again with the flags that are printed",
    "audit": "predict with the model that -f writes",
    "dry_run": "leave it out",
    "save_per_pass": "the best pass is found anyway",
    "delay": "train again with the flags that are printed",
    "time": "train again with the flags that are printed",
    "drift": "train again with the flags that are printed",
    "threads": "leave it out",
    "report": "--metric says what is compared",
    "entity_limit": "the data are in memory anyway",
    "vw_compat": "leave it out",
}
AT_END = 0.01  # of a range: a best value so near to an end may be beyond it
OF_SPLIT = ("holdout", "holdout_after", "holdout_period", "holdout_off")
OF_FINAL = ("final_regressor", "predict_only_model")
OF_INPUT = ("data", "no_stdin", "cache", "cache_file", "kill_cache", "allow_empty", "max_malformed")


class Request(NamedTuple):
    """What is tuned, and how.

    Args:
        tune: Ranges, such as ``l=0.01..10``; several of them in a text with spaces between.
        method: One of search.METHODS.
        evaluations: How many models are learned at most.
        patience: Evaluations in a row without a better one that end the search; 0 for no such rule.
        improvement: The least relative improvement that counts, of passes and of evaluations.
        metric: What is compared: one of trial.METRICS, or one of an entity, such as rmse:user.
        validation: Files whose examples are predicted only.
        test: A share of the examples, or a file, that only the end sees; "" for none.
        by: The name of entities; "" for none.
        entities: The share of them that the search uses.
        cold: The share of them that is new in a cold-start curve; 0 for none.
        final: Options of the final model alone, as words of a command line.
        trace: The file for the trace; None for none.
        resume: The file with the trace of a search that goes on.
        refit: The random effect that the final model learns once more, with all else frozen; "" for none.
    """

    tune: Sequence[str]
    method: str = METHODS[0]
    evaluations: int = 100
    patience: int = 0
    improvement: float = 0.0
    metric: str = METRICS[0]
    validation: Sequence[str] = ()
    test: str = ""
    by: str = ""
    entities: float = 1.0
    cold: float = 0.0
    final: Sequence[str] = ()
    trace: str | None = None
    resume: str | None = None
    refit: str = ""


class Tuned(NamedTuple):
    """What a search found.

    Args:
        values: The best values, by option.
        loss: Their loss, or metric.
        start: The values at the start.
        start_loss: The loss there.
        evaluations: Every evaluation in order.
        why: Why the search ended.
        passes: The best number of passes.
        measured: What the loss is of.
        flags: The words of a command line that learns with the best values.
        final_passes: The passes of the final model.
        test: Its loss in the test; None without one.
        cold: The cold-start curve; None without one.
        notes: Messages.
        ends: The options whose best value is near an end of the range: "low" or "high".
        refit: The passes of --refit; None without it.
        new_flags: The words of a command line that learns new entities of that effect, beside -i and the data.
    """

    values: dict[str, float]
    loss: float
    start: dict[str, float]
    start_loss: float
    evaluations: list[Evaluation]
    why: str
    passes: int
    measured: str
    flags: list[str]
    final_passes: int
    test: float | None
    cold: ColdStart | None
    notes: list[str]
    ends: dict[str, str]
    refit: int | None = None
    new_flags: Sequence[str] = ()


class Enough(Exception):
    """Ends a search."""


class Listener:
    """Is told how a search goes on; the base class ignores it."""

    def begin(self, keys: Sequence[str], measured: str) -> None:
        """The search begins."""

    def evaluated(self, evaluation: Evaluation, best: bool) -> None:
        """A model was learned and measured."""

    def note(self, text: str) -> None:
        """There is a message."""

    def end(self) -> None:
        """The search has ended."""


def tune(  # noqa: DOC502
    flags: Sequence[str],
    request: Request,
    listener: Listener | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Tunes options of a run: searches for the values with the lowest loss, and learns the final model with them.

    Args:
        flags: The words of a command line that learns, with the data.
        request: What is tuned, and how.
        listener: Is told how the search goes on.
        stopped: Whether the user has asked to stop.

    Returns:
        What was found.

    Raises:
        OptionError: If options are not valid, have no effect, or don't fit each other or the trace.
        VwliteError: If a file can't be read or written, or the data have no label.
        KeyboardInterrupt: If the user has asked to stop; no model is written.
    """
    return Tuner(flags, request, listener or Listener(), stopped).main()


class Tuner:
    """A search; see `tune`."""

    def __init__(self, flags: Sequence[str], request: Request, listener: Listener, stopped: Callable[[], bool]) -> None:
        self.request, self.listener, self.stopped = request, listener, stopped
        self.options = command_line.parse(list(flags), command_line.option_groups())
        self.judge = Judge(request.metric)
        self.refuse()
        self.ranges: list[Range] = read_ranges(request.tune, self.options)
        self.keys = [one.key for one in self.ranges]
        self.base = self.options.copy()
        for name in (*OF_SPLIT, *OF_FINAL, *OF_INPUT):
            self.base.unset(name)
        self.base.set("quiet", True)
        self.stop = Stop(self.options["early_terminate"], request.improvement)
        self.notes: list[str] = []
        self.memory: dict[tuple[float, ...], float] = {}
        self.done: list[Evaluation] = []
        self.best: Evaluation | None = None
        self.stale = 0
        self.ended = ""
        self.test: list[Any] = []

    def refuse(self) -> None:
        """Raises OptionError for options that a search can't have."""
        request, options = self.request, self.options
        errors = [
            f"--{name} has no effect in vwlite tune: {why}" for name, why in REFUSED.items() if options.given(name)
        ]
        name = request.metric.partition(":")[0]
        if name not in METRICS:
            errors.append(f"--metric {request.metric}: there is no such metric; there are {', '.join(METRICS)}")
        if request.validation and any(options.given(name) for name in OF_SPLIT[:3]):
            errors.append("--validation and --holdout: the loss is of the one or of the other: leave one of them out")
        if request.entities < 1 and not request.by:
            errors.append("--entities needs --by NAME, such as --by user")
        if request.cold and not request.by:
            errors.append("--cold needs --by NAME, such as --by user")
        if request.by and request.entities >= 1 and not request.cold:
            errors.append("--by has no effect without --entities or --cold: add one of them or leave it out")
        if request.refit and options.given("freeze"):
            errors.append("--refit and --freeze: a refit freezes all other parts by itself: leave one of them out")
        if request.trace and request.resume:
            errors.append("--trace begins a trace and --resume goes on with one: give one of them")
        if errors:
            raise OptionError(errors)

    @property
    def paths(self) -> list[str]:
        """The data."""
        return data_paths(self.options)

    def division(self) -> Division:
        """How the examples are divided."""
        options, request = self.options, self.request
        share = share_of(request.test)
        held, after, period = options["holdout"] or 0.0, 0, 0
        if not options["holdout_off"] and not held:
            after = options["holdout_after"]
            if not after and options.given("holdout_period"):
                period = options["holdout_period"]
        return Division(share or 0.0, held, after, period, request.by, request.entities)

    def main(self) -> Tuned:
        """Searches, learns and measures."""
        how = self.division()
        start = self.start()
        probe = prepared(self.options_at(start), 0)
        top = probe.top
        require_judgeable(probe, how.holds_out or bool(self.request.validation))
        if self.request.cold:
            require_effect(probe, "--cold", self.request.by)
        if self.request.refit:
            require_effect(probe, "--refit", self.request.refit)
        kind = Kind(top.takes_label, top.multiline, probe.driver.needs_names)
        self.judge.observe(probe)  # raises OptionError for a metric that the stack doesn't have
        kind = kind._replace(names=kind.names or ":" in self.request.metric)
        data = self.read(kind, how)
        validation = (
            blocks_of(self.request.validation, self.input_options(), data.kind) if self.request.validation else None
        )
        self.test = self.tested(data)
        self.require_final(start)
        trace = Trace(self.request.resume or self.request.trace, self.about(data, validation), self.keys,
                      self.request.resume is not None)  # fmt: skip
        held = list(validation.of(LEARN)) if validation else list(data.of(HELD))
        self.listener.begin(self.keys, self.measured(how))
        try:
            self.search(start, list(data.of(LEARN)), held, trace, data.bytes)
        except KeyboardInterrupt:
            if trace.path is not None:
                self.note(f"stopped after {len(self.done)} evaluations: --resume {trace.path} goes on")
            raise
        finally:
            trace.close()
            self.listener.end()
        return self.finish(data, how)

    def tested(self, data: Data) -> list[Any]:
        """The blocks of the test."""
        request = self.request
        if request.test and share_of(request.test) is None:
            return list(blocks_of([request.test], self.input_options(), data.kind).of(LEARN))
        return list(data.of(TEST))

    def require_final(self, start: Sequence[float]) -> None:
        """Raises an error that the final model would have, before the search and not after it."""
        prepared(self.final_options(start, self.options["passes"]), 0)
        if path := self.options["final_regressor"]:
            from vwlite.model.model_file import require_writable

            require_writable(path)

    def note(self, text: str) -> None:
        """Notes a message."""
        self.notes.append(text)
        self.listener.note(text)

    def read(self, kind: Kind, how: Division) -> Data:
        """Reads the data."""
        data = read_data(self.input_options(), kind, how)
        for note in data.notes:
            self.note(note)
        return data

    def input_options(self) -> Options:
        """The options of a run that reads the data."""
        options = self.options.copy()
        options.set("passes", 1)
        return options

    def start(self) -> tuple[float, ...]:
        """The first point: the values that flags give, or the middle of a range."""
        given = given_values(self.ranges, self.options)
        return tuple(
            one.value(0.5 if value is None else one.place(value)) for one, value in zip(self.ranges, given, strict=True)
        )

    def options_at(self, values: Sequence[float]) -> Options:
        """The options of a trial."""
        options = self.base.copy()
        for name, value in settings(self.ranges, values, self.options).items():
            options.set(name, value)
        return options

    def about(self, data: Data, validation: Data | None) -> dict[str, Any]:
        """What a trace is about: two searches of which all of this is equal are one."""
        request = self.request
        given = {name: self.options[name] for name in self.options.declared if self.options.given(name)}
        flags = {name: value for name, value in given.items() if name not in (*OF_FINAL, *OF_INPUT, "quiet", "config")}
        return {
            "trace": "vwlite tune",
            "version": __version__,
            "data": [data.digest] + ([validation.digest] if validation else []),
            "examples": data.counts.tolist(),
            "flags": flags,
            "ranges": {one.key: [one.low, one.high] for one in self.ranges},
            "method": request.method,
            "metric": request.metric,
            "improvement": request.improvement,
        }

    def measured(self, how: Division) -> str:
        """What the loss is of, in words."""
        name = "loss" if self.request.metric == "loss" else self.request.metric
        if self.request.validation:
            return f"{name} of {', '.join(self.request.validation)}"
        return f"{name} held out" if how.holds_out else f"progressive {name}"

    def search(self, start: Sequence[float], learned: list[Any], held: list[Any], trace: Trace, size: int) -> None:
        """Searches until there is a reason to end."""
        request = self.request

        def objective(place: Sequence[float]) -> float:
            values = tuple(one.value(float(x)) for one, x in zip(self.ranges, place, strict=True))
            if values not in self.memory:
                self.require_going_on()
                self.memory[values] = self.evaluate(values, learned, held, trace, size)
            return self.memory[values]

        places = [one.place(value) for one, value in zip(self.ranges, start, strict=True)]
        try:
            search(request.method, objective, places, request.evaluations, self.options["random_seed"])
            self.ended = "the whole grid" if request.method == "grid" else "converged"
            if request.method == "optuna":
                self.ended = "--evaluations"
        except Enough as reason:
            self.ended = str(reason)
        if self.best is None or math.isinf(self.best.loss):
            raise VwliteError(f"the {request.metric} was not a finite number in any of {len(self.done)} evaluations")

    def require_going_on(self) -> None:
        """Raises Enough if the search ends before a further evaluation."""
        if len(self.done) >= self.request.evaluations:
            raise Enough("--evaluations")
        if self.request.patience and self.stale >= self.request.patience:
            raise Enough(f"{self.stale} evaluations without a better one")

    def evaluate(
        self, values: tuple[float, ...], learned: list[Any], held: list[Any], trace: Trace, size: int
    ) -> float:
        """Evaluates a point, or takes it from the trace; returns its loss."""
        number = len(self.done) + 1
        if number <= len(trace.before):
            found = trace.before[number - 1]
            if found.values != values:
                raise OptionError(
                    f"--resume {trace.path}: evaluation {number} is of {list(found.values)}, where this search has "
                    f"{list(values)}: was it changed?"
                )
        else:
            begin = time.perf_counter()
            outcome = run(prepared(self.options_at(values), size), learned, held, self.judge, self.stop, self.stopped)
            found = Evaluation(number, values, outcome.loss, outcome.passes, time.perf_counter() - begin)
            trace.add(found)
        self.done.append(found)
        better = self.best is None or found.loss < self.best.loss
        counts = improves(found.loss, None if self.best is None else self.best.loss, self.request.improvement)
        self.stale = 0 if counts else self.stale + 1
        if better:
            self.best = found
        self.listener.evaluated(found, better)
        return found.loss

    def finish(self, data: Data, how: Division) -> Tuned:
        """Learns and measures the final model."""
        best = min(self.done, key=lambda one: one.loss)
        options = self.final_options(best.values, best.passes)
        passes = options["passes"]
        if self.request.final and passes > 1:
            passes = self.passes_of(options, data)
            options.set("passes", passes)
        values = dict(zip(self.keys, best.values, strict=True))
        tuning = {
            "values": values,
            "loss": self.shown(best.loss),
            "measured": self.measured(how),
            "method": self.request.method,
            "evaluations": len(self.done),
            "passes": passes,
        }
        refit = self.refit_of(options, data)
        if refit is not None:
            tuning["refit"] = refit._asdict()
        test = None
        flags = words_of(options)
        if self.options["final_regressor"] or self.request.test:
            workspace = learn_finally(self.run_options(options, data), data, tuning, refit)
            if self.request.test:
                test = self.shown(self.judge.of(workspace, self.test))
        cold = None
        if self.request.cold:
            fit = refit.passes if refit is not None and refit.effect == self.request.by else None
            cold = cold_start(options, data, self.request.by, self.request.cold, self.judge, self.stopped, fit)
            cold = cold._replace(curve=[(most, self.shown(loss)) for most, loss in cold.curve])
        first = self.done[0]
        ends = {
            one.key: "low" if one.place(value) < 0.5 else "high"
            for one, value in zip(self.ranges, best.values, strict=True)
            if not AT_END < one.place(value) < 1 - AT_END
        }
        return Tuned(
            values, self.shown(best.loss), dict(zip(self.keys, first.values, strict=True)), self.shown(first.loss),
            self.done, self.ended, best.passes, self.measured(how), flags, passes, test, cold, self.notes, ends,
            None if refit is None else refit.passes, () if refit is None else self.words_of_new(options, refit),
        )  # fmt: skip

    def refit_of(self, options: Options, data: Data) -> Refit | None:
        """How the effect of --refit is learned; None without it."""
        effect = self.request.refit
        if not effect:
            return None
        most = max(options["passes"], self.options["passes"])
        stop = Stop(self.options["early_terminate"], self.request.improvement)
        blocks, held = list(data.of(LEARN)), list(data.of(HELD))
        passes = passes_of_refit(options, most, effect, blocks, held, data.bytes, self.judge, stop, self.stopped)
        return Refit(effect, passes)

    def words_of_new(self, options: Options, refit: Refit) -> list[str]:
        """The words of a command line that learns new entities by the final model."""
        words = [f"--freeze={name}" for name in frozen_beside(prepared(options, 0), options, refit.effect)]
        return [*words, *([f"--passes={refit.passes}", "--holdout_off"] if refit.passes > 1 else [])]

    def passes_of(self, options: Options, data: Data) -> int:
        """The best number of passes with the options of --final: of the held-out examples, with all others learned."""
        inner = options.copy()
        stop = Stop(inner["early_terminate"], self.request.improvement)
        inner.unset("early_terminate")
        inner.unset("holdout_off")
        held = list(data.of(HELD))
        if not held:
            return int(options["passes"])
        return run(prepared(inner, data.bytes), list(data.of(LEARN)), held, self.judge, stop, self.stopped).passes

    def final_options(self, values: Sequence[float], passes: int) -> Options:
        """The options of the final model, which learns in as many passes, with nothing held out."""
        options = self.options_at(values)
        if options["passes"] > 1:
            options.set("passes", max(passes, 1))
            if options["passes"] == 1:
                options.unset("early_terminate")
        if self.request.final:
            given = command_line.parse(list(self.request.final), command_line.option_groups())
            for name in given.declared:
                if given.given(name):
                    options.set(name, given[name])
        return options

    def run_options(self, options: Options, data: Data) -> Options:
        """The options of the run that learns the final model."""
        found = options.copy()
        found.unset("early_terminate")
        if found["passes"] > 1:
            found.set("holdout_off", True)
        for name in OF_FINAL:
            if self.options.given(name):
                found.set(name, self.options[name])
        if data.columns:
            found.set("columns_in", data.columns)  # as if they were given: the journal has them, for a replay
        found.unset("quiet")
        if self.options["quiet"]:
            found.set("quiet", True)
        found.arguments = words_of(found)
        return found

    def shown(self, loss: float) -> float:
        """A loss or metric as users know it: of metrics that rise, more is better."""
        return -loss if self.judge.rises else loss


def share_of(text: str) -> float | None:
    """The share that --test names; None for a file. Raises OptionError for a number that is no share."""
    try:
        share = float(text)
    except ValueError:
        return None
    if os.path.exists(text):
        return None
    if not 0 < share < 1:
        raise OptionError(f"--test {text}: a share of the examples is above 0 and below 1; or name a file")
    return share


def words_of(options: Options) -> list[str]:
    """The words of a command line with the options given."""
    words = []
    for name, option in options.declared.items():
        if not options.given(name) or options.source(name) == "model" or name in ("quiet", "config"):
            continue
        value = options[name]
        for one in value if option.many else [value]:
            if one is True:
                words.append(f"--{name}")
            else:
                words.append(f"--{name}={spelled(one) if isinstance(one, float) else one}")
    return words
