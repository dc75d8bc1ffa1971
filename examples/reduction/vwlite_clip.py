"""A reduction in Python: labels that are far from zero are cut before the learner sees them.

pip install ./examples/reduction
vwlite --clip_at 3 -d train.txt -f clipped.model
"""

import math

import vwlite
from vwlite.bases.reduction import ExampleView
from vwlite.core.options import Options
from vwlite.model.model_io import Loader, Saver


class Clip(vwlite.Reduction):
    """clip: labels further than --clip_at from zero are cut."""

    name = "clip"
    options = (vwlite.Option("clip_at", float, "largest label", least=0, necessary=True, keep=True, metavar="LABEL"),)

    def __init__(self, options: Options) -> None:
        self.at = options["clip_at"]
        self.cut = 0

    def learn(self, example: ExampleView) -> float:
        """The label is put back by itself when this returns. predict() is that of the base."""
        if abs(example.label) > self.at:
            self.cut += 1
            example.label = math.copysign(self.at, example.label)
        return self.base.learn(example)

    def save_load(self, io: Saver | Loader) -> None:
        """So that two runs count on as one."""
        self.cut = io.int64("cut", self.cut)

    def metrics(self) -> dict[str, float | str]:
        """For the summary."""
        return {"labels cut": self.cut}
