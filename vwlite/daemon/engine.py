"""The model of a daemon: reads complete lines, returns the bytes of their answers."""

from __future__ import annotations

import math
from typing import Any

from vwlite.core.example import Block
from vwlite.core.learner import walk
from vwlite.core.options import Options
from vwlite.core.textbuffer import TextBuffer
from vwlite.daemon import json_answers
from vwlite.daemon.protocol import JSON_ENTRY
from vwlite.engine.daemon_flags import of_the_model
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError
from vwlite.features.interactions import LIMIT_OF_A_DAEMON
from vwlite.report.watching import drift_of

SHOWN = 40  # bytes of JSON in the message about it

# Options of a run over files that a daemon refuses, and the reason.
NOT_HERE = {
    "data": "examples come through the socket",
    "cache": "examples come through the socket",
    "cache_file": "examples come through the socket",
    "kill_cache": "examples come through the socket",
    "progress": "a daemon shows no table",
    "passes": "each line is seen once",
    "predictions": "answers are sent to the client that asks",
    "raw_predictions": "answers are sent to the client that asks",
    "audit": "run a saved model over a file for that",
    "invert_hash": "run a saved model over a file for that",
    "readable_model": "run a saved model over a file for that",
    "report": "!stats has the metrics of a daemon",
    "examples": "a daemon ends on SIGTERM or SIGINT",
    "holdout_after": "a daemon holds out no examples",
    "strict_parse": "malformed lines are answered with an error",
    "save_per_pass": "each line is seen once; --autosave saves",
    "holdout_period": "a daemon holds out no examples",
    "early_terminate": "a daemon ends on SIGTERM or SIGINT",
    "dry_run": "leave out the daemon's flags",
}


def meaningless(options: Options) -> list[str]:
    """Errors for options that were given and have no meaning for a daemon."""
    errors = [f"--{name} and a daemon: {NOT_HERE[name]}" for name in NOT_HERE if options.given(name)]
    if options.data is not None:
        errors.append(f"{options.data}: {NOT_HERE['data']}")
    return errors


class Engine:
    """A workspace that answers the lines of clients.

    Args:
        options: The options of the command line; loading a model adds those stored in it.

    Attributes:
        blocks: Whether examples are multi-line: each ends with an empty line.
        remarks: Messages about options and data that the server has not logged yet.
        learns: Whether labelled lines are learned.
        flags: The options of the command line that affect how the model learns.

    Raises:
        OptionError: If a learner of the stack learns only at the end of a pass.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.flags = of_the_model(options)  # before loading a model adds the options stored in it
        self.workspace = Workspace(options, "serving")
        waiting = [learner for learner in walk(self.workspace.top) if learner.waits_for_pass]
        if waiting and not options["testonly"]:
            raise OptionError(
                f"{waiting[0].name} learns when a pass over the data ends, and a daemon has no passes: give "
                f"{waiting[0].instead}"
            )
        self.driver = self.workspace.driver
        crossings = [getattr(learner, "interactions", None) for learner in walk(self.workspace.top)]
        self.crossings = [self.workspace.interactions, *filter(None, crossings)]  # the latter of fixed models
        self.limit_crossing(options["crossing_limit"] or LIMIT_OF_A_DAEMON)
        self.blocks: bool = self.workspace.top.multiline
        self.remarks = list(self.workspace.notes)
        for learner in walk(self.workspace.top):
            learner.tell = self.remarks.append
        self.learns = bool(self.driver.training)
        self.columns = ["prediction"]  # names of the numbers in an answer
        if options.given("columns"):
            self.columns = options["columns"].split(",")
        elif options.given("interval"):
            self.columns += ["low", "high"]
        self.block = Block()
        self.json_parser: Any = None
        self.json_line: bytes | None = None  # that is read
        self.lines = self.bytes = 0  # of the last run
        self.text = self.expected = 0  # bytes of text in all, and as many as the learners were told of
        self.answers, self.learned = TextBuffer(), TextBuffer()
        self.driver.listener = self
        self.driver.quiet = True
        self.driver.predictions = self.answers
        self.recovering = self.drifted = False  # drifted: learning has ended by --on_drift
        self.to_save: list[int] = []  # examples at which --on_drift wants a model saved
        self.drift = drift_of(options, self.driver.observer, self.act_on_drift)
        if self.drift is not None:
            self.driver.observer = self.drift

    def limit_crossing(self, limit: int | None) -> None:
        """Refuses examples of more features than this, including those of interactions."""
        for interactions in self.crossings:
            interactions.bound(limit)

    def run(self, lines: memoryview | bytes, first_line: int = 1, seconds: float = math.inf) -> bytes:
        """Predicts for complete lines or learns from them, and returns their answers.

        `first_line` is the number of the first one, for messages. Stops after so many `seconds`; the attributes `lines`
        and `bytes` count what was processed.
        """
        return self._run(self.workspace.parser, lines, first_line, seconds)

    def run_json(self, line: bytes, first_line: int = 1) -> bytes:
        """As `run`, for an example in JSON, with its line end."""
        self.json_line = line
        try:
            return self._run(self._parser_of_json(), line, first_line, math.inf)
        finally:
            self.json_line = None

    def _parser_of_json(self) -> Any:
        if self.json_parser is None:
            from vwlite.parsers.vw_json import VwJsonParser

            self.json_parser = VwJsonParser(
                self.options,
                [],
                False,
                self.workspace.top.takes_label,
                self.blocks,
                self.driver.needs_names,
                chained=self.options["chain_hash"],
                writable=True,
            )
        return self.json_parser

    def _run(self, parser: Any, lines: memoryview | bytes, first_line: int, seconds: float) -> bytes:
        self.lines = self.bytes = 0
        self.lines, self.bytes = self.driver.run_some(parser, self.block, lines, first_line, seconds)
        self.text += self.bytes
        if self.text > 2 * self.expected:
            self.expected = self.text
            for learner in walk(self.workspace.top):
                learner.expect(self.text)
        return self.answers.drain()

    def in_json(self, answers: bytes) -> bytes:
        """The answers to one example as a JSON line."""
        top = self.workspace.top
        named, classes = (top.classes.named, top.classes.n_told) if top.classes is not None else (False, 0)
        return json_answers.answer(answers, top.gives_prediction, self.columns, named, classes)

    def note_learned(self) -> None:
        """From now on, stores learned lines for `take_learned`."""
        self.driver.learned = self.learned

    def take_learned(self) -> bytes:
        """Removes and returns the lines that were learned since the last call."""
        return self.learned.drain() if self.learned.size else b""

    def learn_again(self, lines: bytes) -> None:
        """Learns an entry of a journal; raises ModelError if neither disk nor memory has space for its entities.

        An entry has learned lines of text, or JSON_ENTRY and an example in JSON as it came. Lines that were
        acknowledged under another --crossing_limit, or none, are learned in any case.
        """
        self.limit_crossing(None)
        parser = self._parser_of_json() if lines.startswith(JSON_ENTRY) else self.workspace.parser
        self.recovering = True
        try:
            self.driver.run_text(parser, self.block, lines.removeprefix(JSON_ENTRY), 1, answering=False)
        finally:
            self.recovering = False
        self.limit_crossing(self.options["crossing_limit"] or LIMIT_OF_A_DAEMON)
        self.answers.drain()
        self.learned.drain()

    def stop_learning(self, why: str | None) -> None:
        """Answers labelled lines with this error and doesn't learn them; None resumes learning."""
        if why is None:
            self.driver.refusal = None
        else:
            self.driver.refusal = TextBuffer()
            self.driver.refusal.add(f"!error not learned: {why}\n".encode())

    def act_on_drift(self, number: int) -> None:
        """Does what --on_drift says after the example of this number, unless it was learned by an earlier process."""
        if self.recovering:
            return
        if self.options["on_drift"] == "save":
            self.to_save.append(number)
        elif self.driver.refusal is None:
            self.drifted = True
            self.stop_learning(f"the loss has risen (--on_drift stop, at example {number})")

    def save(self, path: str, stream: dict[str, Any] | None = None) -> None:
        """Saves the model; `stream` is its metadata about the journal. Raises ModelError."""
        self.workspace.save(path, stream)

    # the driver's listener

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """Answers a malformed line with an error; one that is used nevertheless (--vw_compat) gets a prediction."""
        if self.json_line is not None:
            shown = self.json_line[column - 1 :].rstrip()[:SHOWN].decode("utf-8", "replace")
            self.answers.add(f"!error {reason}, at byte {column}{': ' * bool(shown)}{shown}\n".encode())
        elif not used:
            self.answers.add(f"!error line {line}, column {column}: {reason}\n".encode())

    def place(self, source: int, line: int) -> str:
        """The name of a line in messages."""
        return f"line {line}"

    def remark(self, text: str) -> None:
        """Stores a message about the data for the log."""
        self.remarks.append(text)

    def row(self, *_: Any) -> None:
        """Ignores a row of the progress table, which a daemon doesn't print."""
