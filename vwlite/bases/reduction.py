"""Base class of reductions in Python.

The adapter that calls them is compiled: vwlite/bases/python_reduction.pyx. vwlite/engine/plugins.py finds the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from vwlite.bases.python_reduction import Base, ExampleView
from vwlite.core.types import LabelType, PredictionType

if TYPE_CHECKING:
    from vwlite.core.options import Option, Options
    from vwlite.model.model_io import Loader, Saver

__all__ = ["Base", "ExampleView", "Reduction"]


class Reduction:
    """Reduction in Python: a learner SIMPLE -> SCALAR over its `base`, a learner SIMPLE -> SCALAR.

    All methods are optional. A method may set an example's label, weight and initial prediction for the base; they are
    restored when it returns. Examples without a label or a weight are predicted, never learned. An `ExampleView` is
    invalid after the method that got it has returned.

    Class attributes:
        name: Name of the reduction in --dry_run, in models and as an entry point: an identifier.
        options: Its options. Their names are `name` or begin with `name_`; the necessary ones, at least one, switch
            the reduction on and are stored in the model (keep=True).
        above, below: Learners that it is above, and below: modules of vwlite/reductions, or other plugins. Without
            either, it is above the scorer: it gets linked predictions and weighted losses. Above gd, or below the
            scorer, it gets scores and losses without weight.
        holds_vectors: It has no state, so one object may serve several weight vectors (those of --oaa); otherwise each
            weight vector has an object of its own, with a base of its own.
        needs_names: `ExampleView.namespaces` has the names of features.
        any_label: The data may have labels that the loss refuses, because the reduction passes others to the base.

    >>> class Half(Reduction):
    ...     name = "half"
    ...     def predict(self, example: ExampleView) -> float:
    ...         return self.base.predict(example) / 2
    """

    name: ClassVar[str] = ""
    options: ClassVar[tuple[Option, ...]] = ()
    takes: ClassVar[LabelType] = LabelType.SIMPLE
    gives: ClassVar[PredictionType] = PredictionType.SCALAR
    base_takes: ClassVar[LabelType] = LabelType.SIMPLE
    base_gives: ClassVar[PredictionType] = PredictionType.SCALAR
    above: ClassVar[str] = ""
    below: ClassVar[str] = ""
    holds_vectors: ClassVar[bool] = False
    needs_names: ClassVar[bool] = False
    any_label: ClassVar[bool] = False

    base: Base  # set before __init__ is called

    def __init__(self, options: Options) -> None:
        """Raises OptionError for options that conflict; `options` are all those of the run."""

    def predict(self, example: ExampleView) -> float:
        """Returns the prediction; changes no state that a later prediction or a save depends on."""
        return self.base.predict(example)

    def learn(self, example: ExampleView) -> float:
        """Learns from a labelled example; returns the prediction before. By default the base learns, with the example
        as predict() passes it.
        """
        prediction = self.predict(example)
        self.base.update(example)
        return prediction

    def update(self, example: ExampleView) -> float:
        """Learns from an example that was just predicted; by default learn()."""
        return self.learn(example)

    def sensitivity(self, example: ExampleView) -> float:
        """Returns the change of the last prediction per unit of importance weight and of the loss's derivative."""
        return self.base.sensitivity(example)

    def finish_example(self, example: ExampleView) -> None:
        """Hook: an example of the run that counts was learned or predicted."""

    def end_pass(self) -> None:
        """Hook: a pass over the data has ended."""

    def end_examples(self) -> None:
        """Hook: the last example is done."""

    def finish(self) -> None:
        """Hook: the run ends."""

    def save_load(self, io: Saver | Loader) -> None:
        """Saves or loads the state, one line for each field: ``self.cut = io.int64("cut", self.cut)``."""

    def metrics(self) -> dict[str, float | str]:
        """Returns metrics of the run, by name, for its summary."""
        return {}

    def settings(self) -> list[str]:
        """Returns lines for the header of a run."""
        return []

    def unmatched(self) -> list[str]:
        """Returns warnings: a line for each name in the options that no example had."""
        return []
