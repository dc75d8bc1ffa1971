"""Weight table of a bottom learner: maps a feature's hash to a slot of `stride` floats.

Design:
a) The table is one lazily zeroed mapping; pages never touched cost nothing.
b) Huge pages (madvise) save a fault for every 4 kB and most misses of the address cache, but one touched float costs
   2 MB of memory. They are requested once the text that is read, or the model that is loaded, is long enough to touch
   most small pages anyway, and, in a table of more than 64 MB, a text has touched an eighth of them: runs of few
   examples or few features take little memory.
c) How the floats of a slot lie in memory is that of slots.h.
"""
from libc.stdint cimport uint32_t, uint64_t

cdef class DenseTable:
    cdef void* mapping
    cdef float* values
    cdef uint32_t mask                # slots - 1
    cdef int stride_shift             # log2 of the floats of a slot
    cdef readonly int bits
    cdef readonly size_t bytes
    cdef bint huge                    # huge pages were requested
    cdef void use_huge_pages(self) noexcept nogil
    cdef bint is_filled_by(self, double touches) noexcept nogil
    cdef void expect(self, double touches) noexcept nogil
    cdef size_t count(self) noexcept nogil
