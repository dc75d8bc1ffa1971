"""Sample: rows of which all features are kept, for quantiles and areas under the curve of numbers.

Rows whose hash is a multiple of a power of two are in the sample. The power grows whenever their features are too many,
so the sample does not depend on the order of the rows, and has all of them as long as memory suffices.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Feature

cdef struct SampledRow:
    uint64_t hash
    float y                           # NaN without a label
    uint32_t n                        # of its features, which follow those of the row before

cdef struct SampledFeature:
    uint32_t feature
    float x

cdef class Sample:
    cdef readonly uint64_t mask       # of the hashes in the sample, these bits are 0
    cdef readonly size_t n            # features
    cdef size_t most, n_rows, capacity, row_capacity
    cdef SampledRow* rows
    cdef SampledFeature* features
    cdef int take(self, uint64_t hash, float y, const Feature* features, const uint32_t* numbers, size_t n) \
        except -1 nogil
    cdef void halve(self) noexcept nogil
