"""How the coefficients of entities depend on the fixed part's, after a fit of all parts at once.

With b the fixed coefficients and u those of an entity,  u | b ~ N(m - K (b - its mean), ...):  a score x'b + z'u counts
b by x - K'z, and the rest of it is independent of b. So what an entity adds is features of the fixed part, -K'z.
An entity that has learned since the fit depends no more, as far as this knows.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.core.example cimport Example, Feature

cdef enum:
    MOST_EFFECTS = 15
    MOST_LEANING = 16                 # coefficients of an entity

cdef struct Lean:
    # of one effect; the arrays are those of `arrays`
    size_t n, size, width             # entities; coefficients of each; numbers of K of each
    const uint64_t* keys              # in order
    const int64_t* counts             # examples that the entity had learned from
    const double* values              # K of each entity by rows
    uint32_t[MOST_LEANING] hashes

cdef class Leans:
    cdef Lean[MOST_EFFECTS] each
    cdef list arrays                  # of each effect, or None: (keys, counts, hashes, values)
    cdef object fixed_hashes
    cdef const uint32_t* fixed
    cdef readonly size_t n            # of the fixed part's coefficients; 0 if nothing is known
    cdef size_t add(self, size_t effect, uint64_t entity, double experience, Example ex, Feature* into) noexcept nogil
