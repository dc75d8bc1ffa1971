"""Finds what the options of a run name in the data and no example has: -q ab, --keep Z, --random_effect user ...

The driver passes each block after running it. Once everything was found, as in most runs with the first rows, a block
costs one comparison.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.example cimport Block, Row
from vwlite.features.choice cimport Choice

cdef enum:
    MOST_NAMESPACES = 2               # of one thing

cdef struct Letters:
    uint64_t[4] bits                  # a set of bytes

cdef enum:
    USED                              # among the namespaces that --keep and --ignore don't exclude
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
    cdef list words                   # of each thing: the option as given, and the part that names it
    cdef Thing* things
    cdef size_t n, n_left, n_by_name  # all, those not found yet, those of them that have full names
    cdef Letters[3] before            # by where, in the row before: most rows have the same
    cdef Letters[3] seen              # by where, in the rows looked at
    cdef Letters shared               # of the current multi-line example: those that are USED
    cdef bint written                 # whether first bytes of names are searched
    cdef readonly bint looked, lettered                  # at an example; all names were available
    cdef dict names                   # of namespaces in the first block, by hash
    cdef int look(self, Block block, size_t n) except -1 nogil
    cdef void look_at(self, Block block, const Row* row) noexcept nogil
    cdef bint fits(self, Block block, const Row* row, const Thing* thing, const Letters* here) noexcept nogil
    cdef int note_names(self, Block block, size_t n) except -1
