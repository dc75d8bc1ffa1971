"""binary: the sign of the prediction, and 0/1 loss.        SIMPLE -> SCALAR over SIMPLE -> SCALAR"""
from vwlite.example cimport Example
from vwlite.learner cimport Learner

from vwlite.options import Option, OptionGroup

OPTIONS = OptionGroup("binary: classes -1 and 1", (
    Option("binary", bool, "predict -1 or 1 and report the share of wrong ones", necessary=True, keep=True),
))


def setup(options, base):
    """There when --binary is given."""
    return Binary(base)


cdef class Binary(Learner):
    """Cuts predictions at zero."""

    name = "binary"

    def __init__(self, base):
        super().__init__(base, {"binary": True})

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return cut(ex, self.base.predict(ex))

    cdef float learn(self, Example ex) except? -1e10 nogil:
        return cut(ex, self.base.learn(ex))


cdef inline float cut(Example ex, float p) noexcept nogil:
    ex.prediction = 1 if p > 0 else -1
    if ex.labelled:
        ex.loss = 0 if ex.prediction == ex.label else ex.weight
    return ex.prediction
