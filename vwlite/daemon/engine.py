"""The model behind all connections: whole lines in, the bytes of their answers out."""

from __future__ import annotations

import math
from typing import Any

from vwlite.core.example import Block
from vwlite.core.learner import walk
from vwlite.core.options import Options
from vwlite.core.textbuffer import TextBuffer
from vwlite.core.types import LabelType
from vwlite.daemon import json_answers
from vwlite.engine.daemon_flags import of_the_model
from vwlite.engine.run import LONG_RUN
from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError
from vwlite.features.interactions import LIMIT_OF_A_DAEMON
from vwlite.parsers.text import entity_namespaces

# What a run over files does, and a daemon can't.
NOT_HERE = {
    "data": "examples come through the socket",
    "cache": "examples come through the socket",
    "cache_file": "examples come through the socket",
    "kill_cache": "examples come through the socket",
    "progress": "a daemon shows no table",
    "passes": "each line is seen once",
    "predictions": "answers go to those who ask",
    "raw_predictions": "answers go to those who ask",
    "audit": "run a saved model over a file for that",
    "invert_hash": "run a saved model over a file for that",
    "readable_model": "run a saved model over a file for that",
    "report": "!stats has the figures of a daemon",
    "examples": "a daemon ends when it is told to",
    "holdout_after": "nothing is held out of what clients send",
    "strict_parse": "malformed lines are answered with what is wrong",
    "save_per_pass": "each line is seen once; --autosave saves",
    "holdout_period": "nothing is held out of what clients send",
    "early_terminate": "a daemon ends when it is told to",
    "dry_run": "leave out the daemon's flags",
}


def meaningless(options: Options) -> list[str]:
    """What is wrong with flags that mean nothing to a daemon."""
    errors = [f"--{name} and a daemon: {NOT_HERE[name]}" for name in NOT_HERE if options.given(name)]
    if options.data is not None:
        errors.append(f"{options.data}: {NOT_HERE['data']}")
    return errors


class Engine:
    """A workspace that answers.

    Attributes:
        blocks: Whether an example is a block of lines that an empty one ends.
        entities: The namespaces whose features name entities.
        remarks: What has been said of flags and data since the server took it.
        learns: Whether labelled lines are learned.
        flags: What the command line says of how the model learns.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.flags = of_the_model(options)  # before the model adds those that it has kept
        self.workspace = Workspace(options, "serving")
        waiting = [learner for learner in walk(self.workspace.top) if learner.waits_for_pass]
        if waiting and not options["testonly"]:
            raise OptionError(
                f"{waiting[0].name} learns when a pass over the data ends, which never happens to a daemon: give "
                f"{waiting[0].instead}"
            )
        self.driver = self.workspace.driver
        crossings = [getattr(learner, "interactions", None) for learner in walk(self.workspace.top)]
        self.crossings = [self.workspace.interactions, *filter(None, crossings)]  # the latter of fixed models
        self.limit_crossing(options["crossing_limit"] or LIMIT_OF_A_DAEMON)
        self.blocks: bool = self.workspace.top.multiline
        labels = self.workspace.top.takes_label
        self.labels_in_words = labels not in (LabelType.SIMPLE, LabelType.CONTEXTUAL_BANDIT)
        self.remarks = list(self.workspace.notes)
        for learner in walk(self.workspace.top):
            learner.tell = self.remarks.append
        self.entities = frozenset(entity_namespaces(options))
        self.learns = bool(self.driver.training)
        self.columns = ["prediction"]  # of an answer, by name
        if options.given("columns"):
            self.columns = options["columns"].split(",")
        elif options.given("interval"):
            self.columns += ["low", "high"]
        self.block = Block()
        self.lines = self.bytes = 0  # of the last run
        self.long = False  # whether the learners know that this takes long
        self.answers, self.learned = TextBuffer(), TextBuffer()
        self.driver.listener = self
        self.driver.quiet = True
        self.driver.predictions = self.answers

    def limit_crossing(self, limit: int | None) -> None:
        """Refuse lines and decisions of more features than this, with the crossed ones."""
        for interactions in self.crossings:
            interactions.bound(limit)

    def run(self, lines: memoryview | bytes, first_line: int = 1, seconds: float = math.inf) -> bytes:
        """Predict for whole lines, or learn from them, and return their answers.

        `first_line` is the number of the first one, for messages. After so many `seconds` the rest is left; `lines` and
        `bytes` are how much was worked on.
        """
        self.lines = self.bytes = 0
        self.lines, self.bytes = self.driver.run_some(self.workspace.parser, self.block, lines, first_line, seconds)
        if not self.long and self.driver.counters.example_number > LONG_RUN:
            self.long = True
            for learner in walk(self.workspace.top):
                learner.long_run()
        return self.answers.drain()

    def in_json(self, answers: bytes) -> bytes:
        """The answers to one example as a JSON line."""
        top = self.workspace.top
        named, classes = (top.classes.named, top.classes.n_told) if top.classes is not None else (False, 0)
        return json_answers.answer(answers, top.gives_prediction, self.columns, named, classes)

    def note_learned(self) -> None:
        """From now on, keep what is learned for `take_learned`."""
        self.driver.learned = self.learned

    def take_learned(self) -> bytes:
        """The lines that taught the model something since this was last asked."""
        return self.learned.drain() if self.learned.size else b""

    def learn_again(self, lines: bytes) -> None:
        """Learn lines from a journal; raises ModelError where neither disk nor memory has room for their entities.

        What was acknowledged under another --crossing_limit, or before there was one, is learned in any case.
        """
        self.limit_crossing(None)
        self.driver.run_text(self.workspace.parser, self.block, lines, 1, answering=False)
        self.limit_crossing(self.options["crossing_limit"] or LIMIT_OF_A_DAEMON)
        self.answers.drain()
        self.learned.drain()

    def stop_learning(self, why: str | None) -> None:
        """Answer labelled lines with why they are not learned; None: go on learning."""
        if why is None:
            self.driver.refusal = None
        else:
            self.driver.refusal = TextBuffer()
            self.driver.refusal.add(f"!error not learned: {why}\n".encode())

    def save(self, path: str, stream: dict[str, Any] | None = None) -> None:
        """Save the model; `stream` says which entry of a journal is the last in it. Raises ModelError."""
        self.workspace.save(path, stream)

    # what the driver calls

    def problem(self, source: int, line: int, column: int, reason: str, text: bytes, used: bool) -> None:
        """A malformed line; one that is used nevertheless (--vw_compat) has a prediction for its answer."""
        if not used:
            self.answers.add(f"!error line {line}, column {column}: {reason}\n".encode())

    def place(self, source: int, line: int) -> str:
        """What messages call a line."""
        return f"line {line}"

    def remark(self, text: str) -> None:
        """Something found out about the data."""
        self.remarks.append(text)

    def row(self, *_: Any) -> None:
        """No table of progress is shown."""
