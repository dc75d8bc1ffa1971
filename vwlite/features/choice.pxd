"""Feature selection: --ignore, --keep, --feature_limit, and the namespaces that are no features."""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Example, Extent, Feature, NameSpan

cdef enum:
    MOST_ASIDE = 32

cdef class Choice:
    cdef bint removes                 # remove(ex) has an effect
    cdef uint8_t[256] ignored
    cdef uint32_t[256] limit          # --feature_limit, 0 for none
    cdef uint32_t[MOST_ASIDE] aside   # hashes of namespaces
    cdef size_t n_aside
    cdef uint32_t mask
    cdef Feature* kept
    cdef Extent* kept_extents
    cdef NameSpan* kept_names
    cdef size_t kept_capacity, n_kept, n_kept_extents
    cdef size_t* chosen               # indices into Example.linear
    cdef bint is_aside(self, uint32_t hash) noexcept nogil
    cdef int remove(self, Example ex) except -1 nogil
    cdef int reserve_kept(self, size_t n) except -1 nogil
    cdef void keep(self, Example ex, size_t i) noexcept nogil
    cdef void keep_chosen(self, Example ex, size_t first, size_t n_chosen) noexcept nogil
    cdef bint is_over(self, Example ex, size_t first, size_t end, size_t limit) noexcept nogil
    cdef size_t choose(self, Example ex, size_t first, size_t end, size_t limit) noexcept nogil
    cdef bint comes_before(self, const Feature* a, const Feature* b) noexcept nogil
