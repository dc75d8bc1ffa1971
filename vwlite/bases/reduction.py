"""The base class of reductions that are written in Python.

What calls them, and what they are given, is compiled: vwlite/bases/python_reduction.pyx. How vwlite comes to know a
class is in vwlite/engine/plugins.py.
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
    """A reduction in Python: it stands on a learner of numbers (SIMPLE -> SCALAR), its `base`, and is one itself.

    Every method may be left out. An example's label, weight and initial prediction may be set for the base; when the
    method has returned they are what they were. Examples without a label or of no weight are predicted, never learned,
    and an `ExampleView` is of no use after the method that got it.

    Class attributes:
        name: What the reduction is called in --dry_run, in models and as an entry point: an identifier.
        options: Its options. They are called `name` or begin with `name_`; the necessary ones, at least one, switch
            the reduction on and are stored in the model (keep=True).
        above, below: Learners that it stands above, and below: modules of vwlite/reductions, or other plugins. Without
            either, it stands above the scorer: it sees linked predictions and weighted losses. Above gd, or below the
            scorer, it sees scores and losses without weight.
        holds_vectors: It has no state, so one object may serve several weight vectors (those of --oaa); otherwise each
            weight vector has an object of its own, with a base of its own.
        needs_names: `ExampleView.namespaces` has the names of features.
        any_label: The data may have labels that the loss can't take, because the reduction hands down others.

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

    base: Base  # there before __init__ is called

    def __init__(self, options: Options) -> None:
        """Raises OptionError for options that don't go together; `options` are all those of the run."""

    def predict(self, example: ExampleView) -> float:
        """The prediction for an example; changes nothing that a later prediction or a save could see."""
        return self.base.predict(example)

    def learn(self, example: ExampleView) -> float:
        """Learns from a labelled example; the prediction made before. By default the base learns, as it is called by
        predict().
        """
        prediction = self.predict(example)
        self.base.update(example)
        return prediction

    def update(self, example: ExampleView) -> float:
        """Learns from an example that was just predicted; by default learn()."""
        return self.learn(example)

    def sensitivity(self, example: ExampleView) -> float:
        """How far the prediction just made would move per unit of importance weight and of the loss's derivative."""
        return self.base.sensitivity(example)

    def finish_example(self, example: ExampleView) -> None:
        """An example of the run that counts was learned or predicted."""

    def end_pass(self) -> None:
        """A pass over the data has ended."""

    def end_examples(self) -> None:
        """There was the last example."""

    def finish(self) -> None:
        """The run ends."""

    def save_load(self, io: Saver | Loader) -> None:
        """One line a field, which writes it or reads it: ``self.cut = io.int64("cut", self.cut)``."""

    def metrics(self) -> dict[str, float | str]:
        """Statistics of the run, by name, for its summary."""
        return {}

    def settings(self) -> list[str]:
        """Lines for the header of a run."""
        return []

    def unmatched(self) -> list[str]:
        """A line for each thing that the options name in the data and that no example had."""
        return []
