"""Regression of entities' coefficients on the fixed part's, after a joint fit of all parts.

With b the fixed coefficients and u those of an entity,  u | b ~ N(m - K (b - its mean), ...):  in a score x'b + z'u,
b has the features x - K'z, and the remaining part is independent of b. So an entity adds the features -K'z to the fixed
part. For an entity that has learned since the fit, this dependence is dropped.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.core.example cimport Example, Feature

cdef enum:
    MOST_EFFECTS = 15
    MOST_LEANING = 16                 # coefficients of an entity

cdef struct Lean:
    # K of one effect; points into the buffers of `arrays`
    size_t n, size, width             # entities; coefficients of each; elements of K of each
    const uint64_t* keys              # sorted
    const int64_t* counts             # examples that the entity had learned
    const double* values              # K of each entity by rows
    uint32_t[MOST_LEANING] hashes

cdef class Leans:
    cdef Lean[MOST_EFFECTS] each
    cdef list arrays                  # for each effect (keys, counts, hashes, values), or None
    cdef object fixed_hashes
    cdef const uint32_t* fixed
    cdef readonly size_t n            # number of fixed coefficients; 0 without a fit
    cdef size_t add(self, size_t effect, uint64_t entity, double experience, Example ex, Feature* into) noexcept nogil
