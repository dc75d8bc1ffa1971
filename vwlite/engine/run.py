"""A run of the command line over data: prints the header, runs the passes, saves the model, prints the summary."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from vwlite.core.learner import Verdict, end_pass, walk
from vwlite.core.options import Options
from vwlite.core.textbuffer import TextBuffer
from vwlite.engine import known_features
from vwlite.engine.delaying import delay_of
from vwlite.engine.driver import Driver
from vwlite.engine.feed import Feed
from vwlite.engine.stack import table
from vwlite.engine.summary import remark_on_share, row, summary
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError, ParseError, VwliteError
from vwlite.input.sniff import looks_like
from vwlite.report import outputs, terminal
from vwlite.report.watching import MOST_SAVED, STATUS_OF_STOP, drift_of, in_words, path_at


class Run:
    """Runs a workspace over the sources that the options name; also the driver's listener.

    Args:
        options: The options of the run.
        workspace: A workspace of these options; by default a new one.
        feed: What gives the blocks of each pass; by default the data that the options name.
    """

    must_learn = False  # whether a run without a labelled example fails though it writes nothing

    def __init__(self, options: Options, workspace: Workspace | None = None, feed: Any = None) -> None:
        self.options = options
        self.workspace = workspace or Workspace(options, "command")
        self.driver = self.workspace.driver
        top = self.workspace.top
        again = any(learner.asks_again for learner in walk(top))
        needs_names = self.driver.needs_names or options["time"] not in (None, "tag")
        later = self.driver if self.driver.names_later and options["delay"] is None else None
        if options["time"]:
            from vwlite.input.where import of_feature

            options.noted = [of_feature(options["time"])]
        self.feed = feed or Feed(options, needs_names, top.takes_label, top.multiline, again, later)
        self.drift: Any = None
        self.drift_stop = 0  # the example at which --on_drift ended the run
        self.saved_at_drift: dict[int, str] = {}
        self.delay = delay_of(options, self.driver, self.feed.wants_names)
        self.verdict = Verdict.GO_ON
        self.sinks: list[tuple[outputs.Sink, TextBuffer]] = []
        self.stopped_by: signal.Signals | None = None
        self.lines_shown = 0
        self.first_problem = ""
        # --preserve_performance_counters
        self.counted_before = self.driver.counters.example_number
        self.features_before = self.driver.counters.features_seen()
        self.weight_before = self.driver.counters.weighted_labeled
        self.read = 0  # examples of the first pass
        self.no_win = 0
        self.best_holdout: float | None = None
        self.saved_best = False
        self.stopped_early = False
        self.blocks = 0  # of all passes
        self.losses: list[float] = []  # since the row before, for a terminal
        models = ("final_regressor", "readable_model", "invert_hash")
        self.written: list[str] = [options[name] for name in models if options[name]]
        self.text_size = self.feed.size() or 0
        self.progress = outputs.Progress(sys.stderr, self.text_size or None, not options["quiet"])

    def main(self) -> int:
        """Executes the run; returns the exit status."""
        if self.options["dry_run"]:
            print(table(self.workspace.top))
            return 0
        try:
            self.prepare()
            with self.signals():
                self.log_holdout()
                self.say(self.header())
                self.passes()
            self.finish()
        except BaseException:
            self.driver.close()
            for sink, _ in self.sinks:
                sink.discard()
            self.feed.close()
            raise
        if self.drift_stop:
            return STATUS_OF_STOP
        return 0 if self.stopped_by is None else 128 + self.stopped_by

    @property
    def cut_short(self) -> bool:
        """Whether a signal or --on_drift has ended the run before its data did."""
        return self.stopped_by is not None or self.drift_stop > 0

    def prepare(self) -> None:
        """Configures the driver from the options, and opens output files."""
        options, driver = self.options, self.driver
        for note in self.workspace.notes:
            self.log("info", note)
        if self.feed.note:
            self.log("info", self.feed.note)
        if self.feed.cache_path is not None and not self.feed.keeps_cache and not options["vw_compat"]:
            flag = "--cache_file" if options["cache_file"] else "--cache"
            pipe = "input from a pipe is not cached: name a file"
            serves = "the cache serves its further passes"
            words = pipe if self.feed.format == "vw" else f"each run reads a table anew; {serves}"
            if self.feed.selection is not None:
                words = f"each run selects its examples anew; {serves}"
            self.log("info", f"{flag}: {words}")
        if options["save_resume"]:
            self.log("info", "--save_resume is not needed: models store everything that resuming needs")
        if options["readable_model"] or options["invert_hash"]:
            self.note_model_layout()
        driver.listener = self
        self.drift = drift_of(options, driver.observer, self.act_on_drift)
        if self.drift is not None:
            driver.observer = self.drift
        self.expect()
        for learner in walk(self.workspace.top):
            learner.tell = partial(self.log, "warning")
        driver.quiet = options["quiet"]
        driver.audits = options["audit"] or bool(options["invert_hash"])
        driver.example_limit = max(options["examples"] or 0, 0)
        driver.done = options["examples"] == 0
        shared = options["holdout"] is not None
        driver.holdout = (self.stops_early() or options["holdout_after"] > 0 or shared) and not options["holdout_off"]
        if options["testonly"] and options["passes"] > 1:
            self.log("info", "--passes with -t: nothing is learned, so all passes make the same predictions")
        driver.holdout_period = options["holdout_period"]
        driver.holdout_after = options["holdout_after"]
        driver.holdout_share = options["holdout"] or 0
        self.set_progress(options["progress"])
        if options["max_malformed"] is not None:
            malformed_limit(options["max_malformed"])
        if self.written:
            from vwlite.model.model_file import require_writable

            for path in self.written:
                require_writable(path)
        if self.workspace.entity_store is not None:
            self.workspace.entity_store.strict = True  # a full disk ends the run
            if options["final_regressor"]:
                from vwlite.entities.store import require_place

                require_place(options["final_regressor"])
        if self.workspace.top.multiline and driver.audits:
            raise OptionError("--audit and --invert_hash support single examples only, not multi-line ones")
        if options["predictions"]:
            driver.predictions = self.written_to(options["predictions"])
        if options["raw_predictions"]:
            driver.raw_predictions = self.written_to(options["raw_predictions"])

    def stops_early(self) -> bool:
        """Whether the holdout loss can end the run (early stopping); not with -t, which can't overfit."""
        return self.options["passes"] > 1 and (not self.options["testonly"] or self.options["vw_compat"])

    def written_to(self, path: str) -> TextBuffer:
        """Creates a buffer whose text is written to a file."""
        buffer = TextBuffer()
        buffer.as_vw = self.options["vw_compat"]
        self.sinks.append((outputs.Sink(path), buffer))
        return buffer

    def note_model_layout(self) -> None:
        """Logs VW's note about readable models."""
        if self.options["vw_compat"] and not self.options["predict_only_model"]:
            self.log(
                "info",
                "VW 9.0.0 introduced a change to the default model save behavior. Please use '--predict_only_model' "
                "when using either '--invert_hash' or '--readable_model' to get the old behavior. "
                "Details: https://vowpalwabbit.org/link/1",
            )

    def set_progress(self, text: str | None) -> None:
        """Sets the interval of progress rows: -P 3 adds 3 to the weight of the next row, -P 1.5 multiplies it."""
        driver = self.driver
        if text is None:
            return
        if not re.fullmatch(r"\d{1,15}(\.\d*)?|\.\d+", text):
            raise OptionError(f"--progress {text}: expected a number such as 100 or 1.5")
        driver.progress_adds = "." not in text
        driver.progress_step = float(text)
        if driver.progress_adds:
            driver.progress_step = max(driver.progress_step, 1)
            driver.dump_interval = driver.progress_step
        else:
            driver.progress_step += driver.progress_step <= 1
            driver.dump_interval = 1

    def passes(self) -> None:
        """Runs the passes, until the last, early termination, a learner's verdict or a signal."""
        number = 0
        while self.wants_pass(number):
            self.one_pass()
            if self.cut_short or self.ends_with(number):
                return
            number += 1

    def wants_pass(self, number: int) -> bool:
        """Whether there is a pass of this number, from 0, unless the one before it was the last."""
        return number < self.options["passes"] or self.verdict is Verdict.AGAIN

    def ends_with(self, number: int) -> bool:
        """Does what follows a pass; returns whether it was the last."""
        if number == 0:
            self.refuse_malformed()
            self.refuse_empty()
        if self.driver.training:
            self.verdict = end_pass(self.workspace.top)
        if self.end_pass(number) or self.cut_short or self.verdict is Verdict.DONE:
            return True
        self.driver.done = self.options["examples"] == 0
        return False

    def one_pass(self) -> None:
        """Runs all blocks of one pass."""
        delay = None if self.driver.again else self.delay
        run_block = self.driver.run_block if delay is None else delay.run_block
        for block in self.feed.blocks(self.workspace.interactions):
            run_block(block)
            if self.feed.interactive and not self.feed.is_at_hand():
                self.driver.catch_up()
            self.flush(force=False)
            if self.drift is not None:
                self.report_drift()
            self.progress.update(self.feed.progress, self.driver.counters.example_number)
            self.blocks += 1
            if self.blocks & (self.blocks - 1) == 0:
                self.expect()
            if self.driver.done or self.cut_short:
                break
        self.driver.catch_up()
        self.flush(force=True)
        if delay is not None:
            delay.finish()
        if self.drift is not None:
            self.report_drift()
            self.drift.end_pass()
        if not self.driver.again:
            self.read = self.driver.counters.example_number + self.driver.counters.held_out - self.counted_before

    def report_drift(self) -> None:
        """Prints what drift was found since the last call."""
        for number, before, after in self.drift.events():
            path = self.saved_at_drift.get(number)
            self.log("drift", in_words(number, before, after) + (f", model saved to {path}" if path else ""))

    def act_on_drift(self, number: int) -> None:
        """Does what --on_drift says, right after the example of this number."""
        if self.options["on_drift"] == "stop":
            self.drift_stop = number
            self.driver.done = True
        elif len(self.saved_at_drift) < MOST_SAVED:
            path = path_at(self.options["final_regressor"], number)
            self.driver.before_save()
            self.workspace.sources = self.feed.records
            self.workspace.save(path)
            self.saved_at_drift[number] = path

    def expect(self) -> None:
        """Tells the learners how many bytes of text there are, as far as that is known."""
        self.text_size = max(self.text_size, self.feed.progress() or 0)
        for learner in walk(self.workspace.top):
            learner.expect(self.text_size)

    def refuse_malformed(self) -> None:
        """Raises VwliteError if more lines are malformed than --max_malformed permits."""
        text, problems = self.options["max_malformed"], self.driver.counters.problems
        if text is None:
            return
        number, percent = malformed_limit(text)
        lines = self.read + problems
        if problems > (number / 100 * lines if percent else number):
            raise VwliteError(
                f"{', '.join(self.feed.names)}: {problems} of {lines} lines are malformed, more than --max_malformed "
                f"{text}{self.left_alone()}"
            )

    def why_empty(self) -> str | None:
        """The error message of a run without useful examples; None if there were some, or none are expected."""
        options, driver = self.options, self.driver
        meant = all(path == os.devnull for path in self.feed.paths) or options["examples"] == 0
        if meant or options["allow_empty"] or options["vw_compat"]:
            return None
        learning = driver.training and (self.written or self.must_learn) and not self.workspace.top.multiline
        where = ", ".join(self.feed.names)
        if driver.counters.features_seen() == self.features_before:
            lines = f"{self.read + driver.counters.problems} lines" + (
                f", {driver.counters.problems} malformed" if driver.counters.problems else ""
            )
            head = self.feed.head if self.feed.format == "vw" else None
            told = driver.counters.problems and (
                head is None or b"|" in head
            )  # text with bars: show the first malformed line
            looks = "" if head is None else f"; this looks like {looks_like(head)}"
            looks = f"; the first is {self.first_problem}" if told else looks
            looks = (self.feed.selection and self.feed.selection.why_nothing()) or self.left_out() or looks
            return f"{where}: no example with a feature ({lines}){looks}"
        if learning and driver.counters.weighted_labeled == self.weight_before:
            return f"{where}: no example has a label and a weight, so nothing was learned (-t only predicts)"
        return None

    def left_out(self) -> str:
        """The end of the message if there were features, but --keep or --ignore excluded them."""
        flags = [f"--{name} {value}" for name in ("keep", "ignore") for value in self.options[name]]
        if not flags or not re.search(rb"\|\S*[ \t]+[^\s|]", self.feed.head or b""):
            return ""
        unmatched = [line for line in self.workspace.unmatched() if "--keep" in line]
        return f"; {'; '.join(unmatched) or ' '.join(flags) + ' leaves out all features'}"

    def refuse_empty(self) -> None:
        """Raises VwliteError if nothing was learned, or with -t predicted: most likely the data is wrong."""
        why = self.why_empty()
        if why is not None:
            raise VwliteError(f"{why}{self.left_alone()}; --allow_empty accepts it")

    def left_alone(self) -> str:
        """The end of a message about a run that writes none of its output files."""
        return f"; {' and '.join(self.written)} is unchanged" if self.written else ""

    def end_pass(self, number: int) -> bool:
        """Updates the best holdout loss and saves after a pass; returns whether to stop early."""
        options, driver = self.options, self.driver
        loss = driver.end_pass()
        driver.again = True
        if self.workspace.reporter is not None:
            self.workspace.reporter.metrics.end_pass()
        final = options["final_regressor"]
        if options["save_per_pass"] and final and options["passes"] > 1:
            self.workspace.sources = self.feed.records
            self.workspace.save(f"{final}.{number}")
        if not driver.holdout:
            return False
        first = number == 0 and options["vw_compat"]  # the best so far for VW, whether or not anything was held out
        if first or (loss is not None and (self.best_holdout is None or loss < self.best_holdout)):
            self.best_holdout = loss
            self.no_win = 0
            driver.mark_best()
            if self.workspace.reporter is not None:
                self.workspace.reporter.metrics.mark_best()
            if options["passes"] > 1:
                self.save()
                self.saved_best = True
            return False
        if loss is None and self.best_holdout is None and not options["vw_compat"]:
            return False
        self.no_win += 1
        self.stopped_early = self.no_win >= options["early_terminate"]
        return self.stopped_early

    def finish(self) -> None:
        """Closes the input, saves, and prints the summary."""
        self.progress.clear()
        if self.driver.training:
            self.driver.before_save()
        for learner in walk(self.workspace.top):
            learner.end_examples()
        self.feed.close()
        for sink, _ in self.sinks:
            sink.commit()
        report = self.workspace.reporter
        useless = self.cut_short and not self.driver.again and self.why_empty() is not None
        if not ((self.stopped_early and self.saved_best) or useless):
            self.save()
        else:
            self.driver.go_back()
            if report is not None:
                report.metrics.go_back()
        loss = self.workspace.top.loss
        metrics = [] if report is None or self.options["quiet"] else [figure.line() for figure in report.figures()]
        passes = self.driver.current_pass
        self.say("\n".join(summary(self.driver, self.options, passes, self.best_holdout, loss, metrics)))
        if len(self.losses) > 2 and not self.options["vw_compat"] and terminal.has_colours(sys.stderr):
            self.say(f"loss, row by row = {terminal.sparkline(self.losses)}")
        for line in known_features.remarks(self.workspace):
            self.say(line)
        sources: list[Any] = [
            self.driver.figures,
            *(learner.metrics for learner in walk(self.workspace.top, copies=False)),
        ]
        if self.feed.selection is not None:
            sources.append(self.feed.selection.figures)
        if self.drift is not None:
            sources.append(self.drift.figures)
        if self.delay is not None and self.delay.timed:
            sources.append(self.delay.figures)
        for source in sources:
            for name, value in source().items():
                self.say(f"{name} = {value if isinstance(value, str) else outputs.scalar(value)}")
        for remark in self.driver.remarks():
            self.log("warning", remark)
        if (
            self.driver.holdout
            and self.driver.counters.held_out == 0
            and not self.cut_short
            and not self.options["vw_compat"]
        ):
            self.log(
                "warning", "nothing was held out: there are too few examples, so the loss is not one of unseen data"
            )
        if remark := remark_on_share(self.driver, self.options["holdout"], self.read, self.counted_before):
            self.log("warning", remark)
        if self.options["label"] and self.options.source("label") != "model" and self.driver.training:
            from vwlite.input.column_map import remark_on_labels

            counts = self.driver.counters
            labels = counts.weighted_labeled, counts.first_label, counts.second_label
            if remark := remark_on_labels(self.options["label"], *labels):
                self.log("warning", remark)
        chosen = self.feed.selection
        for remark in chosen.remarks() if chosen is not None and not self.cut_short else ():
            self.log("warning", remark)
        for remark in self.workspace.unmatched() if not self.cut_short else ():
            self.log("warning", remark)
        self.print_skipped()
        if self.cut_short:
            saved = None if useless else self.options["final_regressor"]
            at = f" at example {self.drift_stop}" if self.drift_stop else ""
            by = self.what_stopped() + at
            self.log("warning", f"stopped by {by}" + (f", model saved to {saved}" if saved else ""))
        self.driver.close()
        for learner in walk(self.workspace.top):
            learner.finish()

    def what_stopped(self) -> str:
        """The name of what has cut the run short."""
        return "--on_drift" if self.stopped_by is None else self.stopped_by.name

    def save(self) -> None:
        """Writes the model in every requested format."""
        options = self.options
        self.driver.before_save()
        self.workspace.sources = self.feed.records
        if self.cut_short:
            self.workspace.origin["stopped"] = self.what_stopped()
        if options["final_regressor"]:
            self.workspace.save(options["final_regressor"])
        if not (options["readable_model"] or options["invert_hash"]):
            return
        from vwlite.engine import audit

        if options["readable_model"]:
            audit.readable(self.workspace, options["readable_model"], with_names=False)
        if options["invert_hash"]:
            audit.readable(self.workspace, options["invert_hash"], with_names=True)

    def flush(self, force: bool) -> None:
        """Writes buffered predictions if there are many, if the input is a pipe, or with `force`."""
        for sink, output in self.sinks:
            if force or output.size >= outputs.FLUSH_BYTES or self.feed.interactive:
                sink.write(output.drain())

    # the driver's listener

    def row(self, driver: Driver, label: str, prediction: str, features: int) -> None:
        """Prints a row of the progress table."""
        self.progress.clear()
        weight = driver.counters.weighted_labeled - driver.counters.weighted_labeled_before
        if weight > 0:
            self.losses.append(driver.counters.sum_loss_since / weight)
        self.say(row(driver, label, prediction, features, self.options["vw_compat"]))

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Prints the first few malformed lines; with --strict_parse, raises ParseError."""
        name = self.feed.names[source]
        if not self.first_problem:
            self.first_problem = outputs.problem_line(name, line, column, reason, text)
        if self.options["strict_parse"]:
            raise ParseError(name, line, column, reason, text.decode("utf-8", "surrogateescape"))
        if used:
            shown = outputs.problem_line(name, line, column, reason, text)
            self.log("warning", f"malformed example! {shown} in Example #{self.driver.counters.example_number}")
        elif self.lines_shown < outputs.PROBLEMS_SHOWN and not self.options["quiet"]:
            self.lines_shown += 1
            self.progress.clear()
            self.say(f"skipped {outputs.problem_line(name, line, column, reason, text)}")

    def place(self, source: int, line: int) -> str:
        """The name of a line in messages."""
        return f"{self.feed.names[source]}:{line}"

    def remark(self, text: str) -> None:
        """Logs a message about the data."""
        self.log("info", text)

    def audit(self, driver: Driver, view: Any) -> None:
        """Prints an example's features, or stores their names, before it is learned."""
        from vwlite.engine import audit

        if self.options["invert_hash"]:
            audit.note_names(view, self.workspace)
        if self.options["audit"]:
            shown = outputs.scalar(view.prediction) if isinstance(view.prediction, float) else str(view.prediction)
            print(shown + (f" {view.tag.decode('utf-8', 'replace')}" if view.tag else ""))
            print(audit.audit_lines(view, self.workspace))

    # messages

    def say(self, text: str) -> None:
        """Prints on standard error, unless --quiet."""
        if not self.options["quiet"]:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def log(self, level: str, text: str) -> None:
        """Prints a message with its level; with --vw_compat on standard output, as VW does."""
        if not self.options["quiet"]:
            self.progress.clear()
            stream = sys.stdout if self.options["vw_compat"] else sys.stderr
            mark = f"[{level}]" if level == "info" else terminal.coloured(f"[{level}]", level, stream)
            print(f"{mark} {text}", file=stream, flush=True)

    def log_holdout(self) -> None:
        """Logs which examples are held out."""
        options = self.options
        if options["vw_compat"] or not self.driver.holdout:
            return
        what = (
            f"all examples after the first {options['holdout_after']}"
            if options["holdout_after"]
            else f"every {options['holdout_period']}th example"
        )
        if options["holdout"] is not None:
            what = f"a share of {options['holdout']:g}, by the tags or features of the examples,"
        self.log("info", f"holding out {what} for early stopping; --holdout_off learns from all")

    def print_skipped(self) -> None:
        """Prints the number of malformed lines."""
        skipped = self.driver.counters.problems
        if skipped:
            total = self.read + skipped
            self.say(f"skipped malformed lines = {skipped} of {total} (--strict_parse stops at the first)")

    def header(self) -> str:
        """The header, in VW's format."""
        options, lines = self.options, []
        for name, words in (
            ("quadratic", "creating quadratic features for pairs: "),
            ("cubic", "creating cubic features for triples: "),
            ("interactions", "creating features for following interactions: "),
            ("ignore", "ignoring namespaces beginning with: "),
            ("ignore_linear", "ignoring linear terms for namespaces beginning with: "),
            ("keep", "using namespaces beginning with: "),
        ):
            if options[name]:
                lines.append(words + " ".join(options[name]))
        if options["testonly"]:
            lines.append("only testing")
        for name, words in (("l1", "using l1 regularization = "), ("l2", "using l2 regularization = ")):
            if options[name]:
                lines.append(f"{words}{options[name]:g}")
        for name, words in (
            ("final_regressor", "final_regressor = "),
            ("predictions", "predictions = "),
            ("raw_predictions", "raw predictions = "),
        ):
            if options[name]:
                lines.append(words + options[name])
        lines += self.feed.description()
        learners = list(walk(self.workspace.top, copies=False))
        for learner in reversed(learners):
            lines += learner.settings()
        lines += [
            "Enabled learners: " + ", ".join(self.learner_names()),
            f"Input label = {learners[0].takes_label.name}",
            f"Output pred = {learners[0].gives_prediction.name}",
            outputs.TABLE_HEADER,
        ]
        return "\n".join(lines)

    def learner_names(self) -> list[str]:
        """The learners bottom to top; with --vw_compat including VW's reductions that are not learners here."""
        names = [learner.name for learner in walk(self.workspace.top, copies=False)][::-1]
        if self.options["vw_compat"]:
            if self.workspace.interactions.has_wildcards:
                names.insert(1, "generate_interactions")
            names.append("count_label")
        return names

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Has SIGINT and SIGTERM end the run after the current examples; a second signal ends it at once."""
        before: dict[signal.Signals, Any] = {}

        def stop(number: int, frame: object) -> None:
            self.stopped_by = signal.Signals(number)
            self.driver.done = True
            self.feed.interrupt()
            for learner in walk(self.workspace.top):
                learner.interrupt()
            for other, handler in before.items():
                signal.signal(other, handler)

        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                before[number] = signal.signal(number, stop)
            except ValueError:
                break  # not in the main thread: the embedding program keeps its handlers
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def malformed_limit(text: str) -> tuple[float, bool]:
    """Parses --max_malformed: a number, and whether it is a percentage. Raises OptionError."""
    if not re.fullmatch(r"\d{1,15}|\d{1,3}(\.\d{1,9})?%", text):
        raise OptionError(f"--max_malformed {text}: expected a number of lines, or a share of them such as 1%")
    return float(text.rstrip("%")), text.endswith("%")
