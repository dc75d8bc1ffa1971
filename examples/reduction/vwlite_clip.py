"""A reduction in Python: clips labels that are far from zero before the base learns them.

pip install ./examples/reduction
vwlite --clip_at 3 -d train.txt -f clipped.model
"""

import math

import vwlite
from vwlite.bases.reduction import ExampleView
from vwlite.core.options import Options
from vwlite.model.model_io import Loader, Saver


class Clip(vwlite.Reduction):
    """clip: clips labels to -clip_at ... clip_at."""

    name = "clip"
    options = (vwlite.Option("clip_at", float, "largest label", least=0, necessary=True, keep=True, metavar="LABEL"),)

    def __init__(self, options: Options) -> None:
        self.at = options["clip_at"]
        self.cut = 0

    def learn(self, example: ExampleView) -> float:
        """vwlite restores the label when this returns. predict() is that of the base."""
        if abs(example.label) > self.at:
            self.cut += 1
            example.label = math.copysign(self.at, example.label)
        return self.base.learn(example)

    def save_load(self, io: Saver | Loader) -> None:
        """Saves the count, so that a run that loads the model goes on with it."""
        self.cut = io.int64("cut", self.cut)

    def metrics(self) -> dict[str, float | str]:
        """Metrics of the summary."""
        return {"labels cut": self.cut}
