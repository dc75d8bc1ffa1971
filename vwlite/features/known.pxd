"""Known features: names and statistics of the features that a model has learned from.

Design:
a) Features are identified by their hash of 32 bits, before it is masked to the size of a table. So one index serves
   tables of weights, whose slots follow from the hash, and learners that store hashes. Two names of one hash are one.
b) One cache line of a hash table per feature (known.h). The name is looked at only the first time.
c) Numbers are in order of appearance: frequent features come early, so that their statistics share cache lines. And
   everything is saved in that order: two runs make the same index as one.
d) Nothing is allocated per feature: names are adjacent in one text, and end where the next one begins.
e) Rows that are learned together are looked up together: those with features that no bucket has are found first, and
   named when their text has come from memory.
f) Numbers of features are found only where something is stored by them: statistics, or what `vwlite describe` counts.
g) `limit` bounds the number of features; those that come later are neither named nor counted.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Feature, SimpleExample

cdef extern from "vwlite/features/known.h" nogil:
    const size_t VWL_WAYS
    ctypedef struct vwl_known_entry:
        uint32_t hash, number
    ctypedef struct vwl_seen:
        uint64_t count, last
        float low, high
    ctypedef struct vwl_known:
        uint32_t* cells
        uint32_t* numbers
        vwl_known_entry* more
        vwl_seen* seen
        size_t n_more, more_mask
        int shift

cdef enum:
    NARROW = 32 - 13                  # shift of tables of 256 kB

cdef struct MissingRow:
    uint32_t row, begin, end          # its features that no bucket has: from begin to end of `missing`
    size_t first                      # its first number

cdef class KnownFeatures:
    cdef vwl_known table
    cdef readonly size_t n, limit
    cdef readonly bint whole          # the index began with the model, and no feature was left out
    cdef readonly bint full           # the limit was reached
    cdef readonly bint counts         # with statistics
    cdef readonly uint64_t examples   # learned
    cdef readonly uint64_t looked, unknown               # features of examples that were only predicted
    cdef bytes salt                   # of digests, or None
    cdef bint digests, numbered       # names are digests; the numbers of features are wanted
    cdef void* memory                 # of the cells, which are aligned in it
    cdef uint32_t* hashes             # by number
    cdef uint64_t* ends               # of each name in the text, by number
    cdef char* text
    cdef size_t capacity, end_capacity, seen_capacity, text_capacity
    # of the rows at hand: the numbers + 1 of their features, if wanted; those that have features no bucket has, and the
    # indices of these
    cdef uint32_t* numbers
    cdef uint32_t* missing
    cdef MissingRow* missing_rows
    cdef size_t n_numbers, n_missing_rows, number_capacity, missing_capacity, missing_row_capacity
    # of the row at hand: its first number; the indices of its new features
    cdef size_t first
    cdef uint32_t* missed
    cdef size_t n_missed
    # look up the features of an example, whose numbers are appended
    cdef int find(self, const Feature* features, size_t n) except -1 nogil
    # look up those of several; then go to the k-th of `missing_rows`
    cdef int find_rows(self, const SimpleExample* rows, size_t n) except -1 nogil
    cdef int take_row(self, const SimpleExample* rows, size_t k) noexcept nogil
    # count features from a number on
    cdef int count(self, const Feature* features, size_t n, size_t first, uint64_t example) noexcept nogil
    # count the features of an example that is only predicted
    cdef int look(self, const Feature* features, size_t n) noexcept nogil
    # store the name of the feature `i` of the row at hand
    cdef int add(self, const Feature* features, size_t i, const char* name, size_t length) except -1 nogil
    cdef int insert(self, uint32_t hash, const char* name, size_t length) except -1 nogil
    cdef int insert_digest(self, uint32_t hash, bytes name) except -1
    cdef int reserve(self, size_t n) except -1 nogil
    cdef int reserve_found(self, size_t n, size_t n_rows) except -1 nogil
    cdef size_t look_up(self, const Feature* features, size_t n, size_t at) noexcept nogil
    cdef int allot(self, const SimpleExample* rows, size_t i, size_t at, size_t n, size_t first) noexcept nogil
    cdef int settle(self, const Feature* features) noexcept nogil
    cdef int place(self, uint32_t hash, uint32_t number) except -1 nogil
    cdef int put(self, uint32_t hash, uint32_t number) except -1 nogil
    cdef int widen(self) except -1 nogil

    cdef inline bint is_wide(self) noexcept nogil:
        """Whether the table is larger than a part of a core's cache."""
        return self.table.shift < NARROW
