"""Online estimate of the prior of entities."""
from libc.stdint cimport uint32_t

from vwlite.bayes.posterior cimport Posterior
from vwlite.core.example cimport Feature
from vwlite.entities.record cimport Record

cdef class Spread(Posterior):
    cdef double enter_center(self, uint32_t hash) except? -1e300 nogil
    cdef int move_center(self, uint32_t hash, double by, int more) except -1 nogil
    cdef int move_centers(self, const uint32_t* hashes, const double* u, double g, size_t n) except -1 nogil
    cdef int see_scales(self, const Feature* features, size_t n) except -1 nogil
    cdef int follow_scale(self, uint32_t hash, double ratio) except -1 nogil
    cdef bint is_time_for_spread(self, Record* record) noexcept nogil
    cdef double spread(self, Record* record, double* dof) except? -1 nogil
    cdef int count_spread(self, Record* record) except -1 nogil
    cdef int complete(self) except -1 nogil
    cdef int count_all(self) except -1
    cdef void estimate_ridge(self) noexcept nogil
