"""What the options of a run name in the data, and whether it has come: -q ab, --keep Z, --random_effect user ...

The driver shows each block when its rows are through. As soon as all that is sought has come, as in most runs it has
with the first rows, a block costs a comparison.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.example cimport Block, Row
from vwlite.features.choice cimport Choice

cdef enum:
    MOST_NAMESPACES = 2               # of one thing

cdef struct Letters:
    uint64_t[4] bits                  # a set of bytes

cdef enum:
    USED                              # among the namespaces that --keep and --ignore leave
    PARSED                            # among all namespaces
    WRITTEN                           # first bytes of names, before --redefine

cdef struct Thing:
    Letters letters                   # that one example must have, all of them
    bint wildcard                     # and one that a wildcard stands for
    int where
    uint32_t[MOST_NAMESPACES] namespaces                 # hashes of full names that it must have too
    size_t n_namespaces
    bint come

cdef class Unmatched:
    cdef Choice choice
    cdef list words                   # of each thing: the option as typed, and what in it
    cdef Thing* things
    cdef size_t n, n_left, n_by_name  # all, those that have not come, those of them that have full names
    cdef Letters[3] before            # by where, in the row before: most rows have the same
    cdef Letters[3] seen              # by where, in the rows looked at
    cdef Letters shared               # of the decision at hand: those that are USED
    cdef bint written                 # first bytes of names are sought
    cdef readonly bint looked, lettered                  # at an example; the names of all were there
    cdef dict names                   # of namespaces in the first block, by hash
    cdef int look(self, Block block, size_t n) except -1 nogil
    cdef void look_at(self, Block block, const Row* row) noexcept nogil
    cdef bint fits(self, Block block, const Row* row, const Thing* thing, const Letters* here) noexcept nogil
    cdef int note_names(self, Block block, size_t n) except -1
