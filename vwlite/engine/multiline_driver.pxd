"""The driver of multi-line examples, see driver.pxd."""
from libc.stdint cimport uint64_t

from vwlite.core.example cimport Block, Row
from vwlite.core.learner cimport Learners
from vwlite.core.multiline cimport MultiExample
from vwlite.engine.driver cimport Driver
from vwlite.report.off_policy cimport PolicyTally

cdef class MultilineDriver(Driver):
    cdef readonly PolicyTally policy  # off-policy estimates of the stack's policy; None for other stacks
    cdef MultiExample lines           # the same as `ex`
    cdef Learners line_vetters
    cdef bint has_learned             # from the last example
    cdef public uint64_t number       # of the next example, counted in all runs
    cdef uint64_t predicted           # examples of predict(), which no model counts
    cdef int several(self, Block block, const Row* rows, size_t n, MultiExample ex) except -1 nogil
    cdef int decide(self, Block block, const Row* rows, size_t n, MultiExample ex) except -1 nogil
    cdef int know_lines(self, MultiExample ex, bint learns) except -1 nogil
    cdef int vet_lines(self, MultiExample ex) except -1 nogil
    cdef int note_learned(self, Block block, const Row* rows, size_t n) except -1 nogil
    cdef int refuse(self, Block block, const Row* rows, size_t n, int reason, const char* place) except -1 nogil
