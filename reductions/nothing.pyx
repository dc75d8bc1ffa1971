"""nothing: the bottom of a stack without a global part.        SIMPLE -> SCALAR, bottom learner

Score: the example's initial prediction.
"""
from vwlite.example cimport Example
from vwlite.learner cimport Learner

from vwlite.losses import make_loss


def setup(options, base):
    """There under --fixed none."""
    return Nothing(options) if options["random_effect"] and options["fixed"] == "none" else None


cdef class Nothing(Learner):
    """Knows nothing and learns nothing."""

    name = "nothing"
    base_label = None
    base_prediction = None

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

    def slot_of(self, unsigned int hash):
        """What an audit shows as a feature's slot."""
        return hash

    def weight_at(self, unsigned int hash):
        """What an audit shows as a feature's weight."""
        return 0.0, 0.0, 0.0

    def save_load(self, io):
        self.loss.save_load(io)
