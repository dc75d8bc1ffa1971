"""Base class of policies that explore: they give each action of a decision a probability."""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.joint cimport JointScores
from vwlite.core.learner cimport Learner
from vwlite.core.multiline cimport MultiExample

cdef class Explorer(Learner):
    # set by a policy: what it asks of the scores
    cdef bint wants_variances         # of each
    cdef JointScores joint            # how they depend on each other, or None; with what is random of them, if `draws`
    cdef bint draws
    cdef bint takes                   # draws an action, which is reported first
    cdef uint64_t seed
    cdef float* probabilities         # of the actions at hand
    cdef uint32_t* ranked             # as they are reported
    cdef size_t capacity
    cdef int share_out(self, MultiExample lines) except -1 nogil
    cdef int reserve(self, size_t n) except -1 nogil
    cdef float predict_lines(self, MultiExample lines) except? -1e10 nogil
    cdef float learn_lines(self, MultiExample lines) except? -1e10 nogil
    cdef uint64_t key_of(self, MultiExample lines) noexcept nogil
