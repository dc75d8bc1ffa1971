"""A run of the command line with --report FILE.html: its learning curve, metrics and weights as a page."""

from __future__ import annotations

import os
import shlex
from typing import Any

from vwlite.core.observer import Both
from vwlite.core.options import Options
from vwlite.engine.conflicts import check_subcommand
from vwlite.engine.feed import data_paths
from vwlite.engine.run import Run
from vwlite.engine.workspace import Workspace
from vwlite.judging.evaluation import evaluate
from vwlite.judging.reading import judged_by, recorder_of
from vwlite.pictures.chart import Chart
from vwlite.pictures.of_evaluation import charts_of, learning
from vwlite.pictures.of_model import caterpillar, effects_of, weights
from vwlite.pictures.page import page
from vwlite.report.outputs import Sink


class ReportedRun(Run):
    """A run whose first pass is observed, and that ends with a page.

    Args:
        options: The options of the run.
        path: The page.
    """

    def __init__(self, options: Options, path: str) -> None:
        check_subcommand(data_paths(options), report=path)
        workspace = Workspace(options, "command")
        self.before: Any = workspace.driver.observer
        self.recorder = recorder_of(workspace.top, None)
        if self.recorder is not None:
            workspace.driver.observer = Both(self.before, self.recorder)
        super().__init__(options, workspace)
        self.path = path

    def prepare(self) -> None:
        """Configures the driver, and opens output files, among them the page."""
        super().prepare()
        self.page = Sink(self.path, "the report")

    def end_pass(self, number: int) -> bool:
        """Ends a pass: predictions of later ones are of examples that were learned before."""
        self.driver.observer = self.before
        return super().end_pass(number)

    def main(self) -> int:
        """Executes the run; returns the exit status."""
        try:
            return super().main()
        finally:
            if "page" in self.__dict__:
                self.page.discard()

    def finish(self) -> None:
        """Closes the input, saves, prints the summary and writes the page."""
        super().finish()
        charts = [*self.of_examples(), weights(self.workspace)]
        charts += [caterpillar(self.workspace, effect) for effect in effects_of(self.workspace)]
        command = shlex.join(["vwlite", *self.workspace.flags])
        about = f"{command}. Data: {', '.join(self.feed.names)}."
        title = os.path.basename(self.options["final_regressor"] or "Run")
        self.page.write(page(title, about, [chart for chart in charts if chart is not None]).encode())
        self.page.commit()

    def of_examples(self) -> list[Chart]:
        """The charts of the predictions; without labelled examples there are none."""
        if self.recorder is None or not self.recorder.n:
            return []
        import numpy as np

        examples = judged_by(self.recorder, self.workspace, ())
        found = []
        if self.driver.training:
            losses = np.frombuffer(self.recorder.losses_so_far(), np.float32).astype(float)
            curve = learning(losses, examples.weights)
            found += [] if curve is None else [curve]
        return [*found, *charts_of(evaluate(examples))]
