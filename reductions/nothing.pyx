"""nothing: the bottom of a stack without a global part.        SIMPLE -> SCALAR, bottom learner

Score: the example's initial prediction.
"""
from vwlite.core.example cimport Example
from vwlite.core.learner cimport Bottom

from vwlite.core.losses import make_loss


def setup(builder):
    """The learner, under --fixed none."""
    options = builder.options
    return Nothing(options) if options["random_effect"] and options["fixed"] == "none" else None


cdef class Nothing(Bottom):
    """Constant bottom learner without parameters: its score is the initial prediction."""

    name = "nothing"
    holds_vectors = True

    def __init__(self, options):
        super().__init__(None, {"fixed": "none"})
        self.loss = make_loss(options, options["testonly"])

    cdef float predict(self, Example ex) except? -1e10 nogil:
        ex.score = ex.initial
        ex.prediction = self.loss.clip(ex.score)
        return ex.prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        return self.predict(ex)

    cdef float update(self, Example ex) except? -1e10 nogil:
        ex.loss = self.loss.loss(ex.prediction, ex.label)
        return ex.prediction

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        return 0

    def slot_of(self, unsigned int hash, unsigned int offset=0):
        """Slot of a feature, for an audit."""
        return hash

    def weight_at(self, unsigned int hash, unsigned int offset=0):
        """Weight of a feature, for an audit."""
        return 0.0, 0.0, 0.0
