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
    """A reduction in Python, above a learner of numeric labels and predictions (SIMPLE -> SCALAR), its `base`.

    Every method may be left out. A method may set an example's label, weight and initial prediction for the base; they
    are restored when it returns. Examples without a label or with weight 0 are predicted, never learned. An
    `ExampleView` is invalid after the method that got it.

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
        """Reads the options that the reduction needs; may raise OptionError for options that conflict.

        Args:
            options: All options of the run.
        """

    def predict(self, example: ExampleView) -> float:
        """Predicts for an example. Must not change anything that a later prediction or a save depends on.

        Args:
            example: The example.

        Returns:
            The prediction, in the units of the base's (a score above gd, else linked); by default the base's.
        """
        return self.base.predict(example)

    def learn(self, example: ExampleView) -> float:
        """Learns from a labelled example. By default calls predict(), and the base's update().

        Args:
            example: The example, with its label and importance weight.

        Returns:
            The prediction made before learning.
        """
        prediction = self.predict(example)
        self.base.update(example)
        return prediction

    def update(self, example: ExampleView) -> float:
        """Learns from an example that was just predicted. By default calls learn().

        Args:
            example: The example, with its label and importance weight.

        Returns:
            The prediction made before learning.
        """
        return self.learn(example)

    def sensitivity(self, example: ExampleView) -> float:
        """How far learning would change the prediction just made (Karampatziakis and Langford 2011).

        Args:
            example: The example that was just predicted.

        Returns:
            The change of the prediction p per unit of importance weight and of the derivative dL/dp of the loss.
        """
        return self.base.sensitivity(example)

    def finish_example(self, example: ExampleView) -> None:
        """Called after an example of the run was learned or predicted, if it counts in the run's metrics.

        Args:
            example: The example.
        """

    def end_pass(self) -> None:
        """Called at the end of each pass over the data."""

    def end_examples(self) -> None:
        """Called after the last example, before the model is saved."""

    def finish(self) -> None:
        """Called at the end of the run."""

    def save_load(self, io: Saver | Loader) -> None:
        """Saves or loads the state: one line a field, such as ``self.cut = io.int64("cut", self.cut)``.

        Args:
            io: Writes each field and returns it, or reads it from the model.
        """

    def metrics(self) -> dict[str, float | str]:
        """Metrics for the summary of a run.

        Returns:
            The values by name.
        """
        return {}

    def settings(self) -> list[str]:
        """Lines for the header of a run.

        Returns:
            The lines.
        """
        return []

    def unmatched(self) -> list[str]:
        """Reports what the options name in the data and no example had.

        Returns:
            A message for each.
        """
        return []
