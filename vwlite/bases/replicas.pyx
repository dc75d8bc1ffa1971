"""replicas: copies of a stack, one for each weight vector.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

A learner above that needs several weight vectors (feature_width) selects one by ex.offset. gd stores them in one table.
A learner with a posterior, with its own entities and estimates, is copied instead: each copy is independent, so every
option works as in a single learner, and no class affects another.
"""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example
from vwlite.core.joint cimport JointScores
from vwlite.core.learner cimport Learner, Learners
from vwlite.core.reasons cimport FINE
from vwlite.core.terms cimport Terms

from vwlite.core.learner import vetters, walk
from vwlite.errors import OptionError

cdef enum:
    MOST_COPIES = 1 << 10


cdef class Replicas(Learner):
    """Copies of a stack; the first is the base, the others are beside it."""

    name = "replicas"
    holds_vectors = True
    copied = True

    cdef Learners tops
    cdef list others                  # learners of each other copy that may refuse examples
    cdef str wanted
    cdef readonly bint vets

    def __init__(self, list tops, wanted):
        """`wanted` names the learner that needs the weight vectors."""
        super().__init__(tops[0])
        self.beside = tops[1:]
        self.tops = Learners(tops)
        if len(tops) > MOST_COPIES:
            raise OptionError([f"{wanted} needs {len(tops):,} weight vectors, and {tops[0].name} has at most "
                               f"{MOST_COPIES:,}: gd can have more"])
        self.wanted = wanted
        self.others = [vetters(top, False) for top in self.beside]
        self.vets = any([(<Learners>other).n for other in self.others])
        for i, top in enumerate(tops):
            for learner in walk(top):
                learner.copy = i
                share_loss(learner, self.loss)

    def settings(self):
        return [f"replicas: {self.tops.n} copies of the learners below, one for each weight vector of {self.wanted}; "
                "settings and metrics are those of the first"]

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef uint32_t i = ex.offset
        ex.offset = 0
        self.tops.predict(i, ex)
        ex.offset = i
        return ex.prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef uint32_t i = ex.offset
        cdef float prediction
        ex.offset = 0
        prediction = self.tops.learn(i, ex)
        ex.offset = i
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef uint32_t i = ex.offset
        cdef float prediction
        ex.offset = 0
        prediction = self.tops.update(i, ex)
        ex.offset = i
        return prediction

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        cdef uint32_t i = ex.offset
        cdef float found
        ex.offset = 0
        found = self.tops.sensitivity(i, ex)
        ex.offset = i
        return found

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        cdef uint32_t i = ex.offset
        ex.offset = 0
        self.tops.uncertainty(i, ex, to)
        ex.offset = i
        return 0

    cdef int terms(self, Example ex, Terms to) except -1 nogil:
        cdef uint32_t i = ex.offset
        ex.offset = 0
        self.tops.terms(i, ex, to)
        ex.offset = i
        return 0

    cdef int vet(self, Example ex) except -1 nogil:
        """Call vet() of the other copies; the engine calls that of the first, as in any stack."""
        cdef int reason = FINE
        with gil:
            for other in self.others:
                reason = (<Learners>other).vet_all(ex)
                if reason != FINE:
                    break
        return reason


cdef int share_loss(Learner learner, loss) except -1:
    """Share one loss among all copies: labels seen by one set the range of predictions of all."""
    learner.loss = loss
    return 0
