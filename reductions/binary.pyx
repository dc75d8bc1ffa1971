"""binary: the sign of the prediction, and 0/1 loss.        SIMPLE -> SCALAR over SIMPLE -> SCALAR"""
from vwlite.core.example cimport Example
from vwlite.core.learner cimport Learner

from vwlite.core.options import Option, OptionGroup

OPTIONS = OptionGroup("binary: classes -1 and 1", (
    Option("binary", bool, "predict -1 or 1 and report the share of wrong predictions", necessary=True, keep=True,
           needs=("!thompson & !explore",)),
), examples=(
    "vwlite data.vw --loss_function logistic --binary -p predictions",
))


def setup(builder):
    """The learner, if --binary is given."""
    return Binary(builder.base)


cdef class Binary(Learner):
    """Binary classifier by the sign of the prediction. Losses of real labels see the labels 0 and 1 as -1 and 1."""

    name = "binary"
    holds_vectors = True
    adds_up = True

    def __init__(self, base):
        super().__init__(base, {"binary": True})

    def across_entities(self, learns):
        """Nothing."""
        return []

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef float label = ex.label
        if label == self.loss.negative:
            ex.label = self.loss.low
        self.base.predict(ex)
        return self.cut(ex, label)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float label = ex.label
        if label == self.loss.negative:
            ex.label = self.loss.low
        self.base.learn(ex)
        return self.cut(ex, label)

    cdef inline float cut(self, Example ex, float label) noexcept nogil:
        ex.label = label
        ex.prediction = 1 if ex.prediction > 0 else -1
        if not self.loss.as_vw and (label == self.loss.negative or label == self.loss.low):
            label = -1
        elif not self.loss.as_vw and label == self.loss.high:
            label = 1
        if ex.labelled:
            ex.loss = 0 if ex.prediction == label else ex.weight
        return ex.prediction
