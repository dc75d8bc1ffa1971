"""SharedWorkspace: a workspace whose threads wait for each other, as programs expect of an estimator."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Self

from vwlite.engine import storing
from vwlite.engine.workspace import Workspace


class SharedWorkspace(Workspace):
    """A workspace whose threads take turns, where a plain one refuses the second."""

    def _begin(self, *args: Any) -> None:
        self._patience = threading.RLock()
        super()._begin(*args)

    def learn(self, *args: Any, **others: Any) -> Any:
        """Learns as Workspace.learn, after other threads."""
        with self._patience:
            return super().learn(*args, **others)

    def predict(self, *args: Any, **others: Any) -> Any:
        """Predicts as Workspace.predict, after other threads."""
        with self._patience:
            return super().predict(*args, **others)

    def predict_columns(self, names: Sequence[str], x: Any, columns: Sequence[str] | None = None) -> Any:  # noqa: DOC502
        """Predicts several numbers for each example, as a run with --columns does.

        Args:
            names: Of the numbers, such as prediction and label_sd.
            x: Examples, as for Workspace.predict: several of them.
            columns: As for Workspace.predict.

        Returns:
            An array, or a list of tuples, with a column for each name.

        Raises:
            OptionError: If the learner has no such number.
        """
        with self._patience:
            self.driver.set_columns(names, [], 0.0)
            try:
                return self.predict(x, columns=columns)
            finally:
                self.driver.set_columns([], [], 0.0)

    def has_posterior(self) -> bool:
        """Whether a prediction has a standard deviation."""
        from vwlite.core.learner import walk

        return any(learner.has_posterior and learner.has_noise for learner in walk(self.top))

    def waits_for_pass(self) -> bool:
        """Whether examples wait for the end of the pass before they are learned."""
        options = self.options
        return options["batch_size"] == "all" or bool(options["square"] or options["logistic"] or options["sweeps"])

    def anew(self) -> Self:
        """The same model without options of a single run, such as --sweeps.

        Returns:
            Another workspace.
        """
        from vwlite.model import model_file

        name = "<model>"
        reader = model_file.from_bytes(name, b"".join(model_file.pack(name, *storing.contents(self))))
        workspace = type(self).__new__(type(self))
        workspace._begin([], "library", reader)
        return workspace
