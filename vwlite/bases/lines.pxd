"""Base class of reductions that learn multi-line examples by a learner of single lines."""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example, SimpleExample
from vwlite.core.learner cimport Learner
from vwlite.core.multiline cimport MultiExample

cdef class LineLearner(Learner):
    # results for the current lines
    cdef float* scores                # of the base
    cdef float* variances             # of the scores, if a learner above requests them
    cdef float* costs                 # predicted expected cost of each line; NaN if a score is NaN
    cdef uint32_t* ranked             # lines in the order of the report
    cdef size_t capacity
    cdef SimpleExample* together      # the lines, for a base that takes several
    cdef size_t n_together
    cdef int reserve(self, size_t n) except -1 nogil
    cdef int score_lines(self, MultiExample lines, Example line) except -1 nogil
    cdef bint score_together(self, MultiExample lines) except -1 nogil
    cdef float teach(self, MultiExample lines, Example line, size_t i, float label, float weight, float age) \
        except? -1e10 nogil
