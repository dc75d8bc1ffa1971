"""offset: scales the example's initial prediction.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Score: s = offset_scale * initial + f(x), on the link scale. The learner below sees the scaled value as the example's
initial prediction, so it learns what the offset leaves over. Without the option an initial prediction counts as is.
"""
from vwlite.example cimport Example
from vwlite.learner cimport Learner

from vwlite.options import Option, OptionGroup

OPTIONS = OptionGroup("offset: a known part of the score", (
    Option("offset_scale", float, "factor on each example's initial prediction", necessary=True, keep=True),
))


def setup(options, base):
    """There when --offset_scale is given."""
    return Offset(base, options["offset_scale"])


cdef class Offset(Learner):
    """Multiplies the initial prediction by a fixed scale."""

    name = "offset"
    cdef float scale

    def __init__(self, base, scale):
        super().__init__(base, {"offset_scale": scale})
        self.scale = scale

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef float initial = ex.initial, prediction
        ex.initial = self.scale * initial
        prediction = self.base.predict(ex)
        ex.initial = initial
        return prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float initial = ex.initial, prediction
        ex.initial = self.scale * initial
        prediction = self.base.learn(ex)
        ex.initial = initial
        return prediction
