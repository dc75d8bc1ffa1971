"""Learning from one example: a posterior moves along one line, and what was known before is forgotten as told."""
from libc.stdint cimport uint32_t

from vwlite.entities cimport Record
from vwlite.example cimport Example, Feature
from vwlite.posterior cimport Posterior

cdef class Updates(Posterior):
    cdef void see_time(self, Example ex, Record* record) noexcept nogil
    cdef double now(self, Record* record) noexcept nogil
    cdef int step(self, Record* record, Example ex) except -1 nogil
    cdef double precision_before(self, Record* record, uint32_t place) noexcept nogil
    cdef void add_curvature(self, Record* record, size_t n, double c) noexcept nogil
    cdef void add_to_factor(self, Record* record, size_t n, double c, double* x, double* work) noexcept nogil
    cdef void extend_factor(self, Record* record, size_t before) noexcept nogil
    cdef size_t new_to(self, Record* record, const Feature* features, size_t n) except? 0xFFFFFFFF nogil
    cdef Record* admit(self, Record* record, const Feature* features, size_t n) except NULL nogil
    cdef int watch_size(self, Record* record, size_t n) except -1 nogil
    cdef int move_center(self, uint32_t hash, double by, int more) except -1 nogil
    cdef int pass_time(self, Record* record, double now, size_t n) except -1 nogil
    cdef int solve_for(self, Record* record, double* b, double* room) except -1 nogil
    cdef int learnt(self, Record* record, size_t n) except -1 nogil
    cdef double spread(self, Record* record) except? -1 nogil
    cdef void estimate_ridge(self) noexcept nogil
