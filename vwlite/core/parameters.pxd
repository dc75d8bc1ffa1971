"""Where a bottom learner keeps its numbers: a table turns a feature's hash into a slot of `stride` floats.

Design:
a) The table is one lazily zeroed mapping; pages never touched cost nothing.
b) Huge pages are left to the kernel, and only asked for once a run has proved long: a first touch of 2 MB is slow
   (0.1 s for a table of 64 MB on a virtual machine), and one touched float would cost 2 MB of memory.
c) All floats of a slot are neighbours (weight, adaptive, normalizer, rate: one quarter of a cache line).
"""
from libc.stdint cimport uint32_t, uint64_t

cdef class DenseTable:
    cdef void* mapping
    cdef float* values
    cdef uint32_t mask                # slots - 1
    cdef int stride_shift             # floats of a slot, as a power of two
    cdef readonly int bits
    cdef size_t bytes
    cdef size_t count(self) noexcept nogil

cdef inline float* slot(DenseTable table, uint32_t hash) noexcept nogil:
    """The numbers of a hash (already times the feature width, plus the example's offset)."""
    return table.values + ((<size_t>(hash & table.mask)) << table.stride_shift)
