"""Base class of exploration policies, which give each action of a decision a probability."""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.joint cimport JointScores
from vwlite.core.learner cimport Learner
from vwlite.core.multiline cimport MultiExample

cdef class Explorer(Learner):
    # requests of a policy to the learner that scores the actions
    cdef bint wants_variances         # of each score
    cdef JointScores joint            # joint distribution of the scores, or None; with their random terms, if `draws`
    cdef bint draws
    cdef bint takes                   # it draws an action, which is reported first
    cdef uint64_t seed
    cdef float* probabilities         # of the current actions
    cdef uint32_t* ranked             # actions in the order of the report
    cdef size_t capacity
    cdef int share_out(self, MultiExample lines) except -1 nogil
    cdef int reserve(self, size_t n) except -1 nogil
    cdef float predict_lines(self, MultiExample lines) except? -1e10 nogil
    cdef float learn_lines(self, MultiExample lines) except? -1e10 nogil
    cdef uint64_t key_of(self, MultiExample lines) noexcept nogil
