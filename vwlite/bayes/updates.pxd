"""Single-example updates of a posterior (recursive least squares, assumed density filtering), and forgetting."""
from libc.stdint cimport int64_t, uint32_t

from vwlite.bayes.spread cimport Spread
from vwlite.core.example cimport Example, Feature
from vwlite.entities.record cimport Record

cdef enum:
    MUCH = 1 << 30                    # bytes of full posteriors that cause a remark

cdef class Updates(Spread):
    # of the current example: the entity's record, number of gathered features, their score, and x' H^-1 x
    cdef Record* subject
    cdef size_t n_gathered
    cdef double part, reach
    cdef double* loads                # loads of the coefficients of a full posterior, see together.pxd
    cdef size_t loads_size
    cdef double* others               # -G' H^-1 x of the features of its CrossPrecision, then their loads
    cdef size_t others_size
    cdef uint32_t other_guess         # index of the last one used
    # with several threads (dealt.pxd): of the current update, new coefficients, and those of a record that is to grow;
    # and sums of all records
    cdef uint32_t added, watched
    cdef int64_t all_bytes, all_coefficients
    cdef void see_time(self, Example ex, Record* record) noexcept nogil
    cdef double now(self, Record* record) noexcept nogil
    cdef int learn_single(self, Example ex) except -1 nogil
    cdef int look(self, Example ex) except -1 nogil
    cdef int glance(self, Example ex) except -1 nogil
    cdef int hold_down(self, Record* record, size_t n) except -1 nogil
    cdef int pull_to_zero(self, Record* record, size_t n, size_t i, double known) except -1 nogil
    cdef int lean(self) except -1 nogil
    cdef int weigh_loads(self) except -1 nogil
    cdef int weigh_others(self, Example ex) except -1 nogil
    cdef int see_others(self, Example ex, Record* fixed, double c) except -1 nogil
    cdef bint learns_single(self, Example ex) except -1 nogil
    cdef bint pull(self, double s, double z, double label, double w, double* g, double* c) noexcept nogil
    cdef void add_noise(self, double amount) noexcept nogil
    cdef int settle(self, double g, double c) except -1 nogil
    cdef double precision_before(self, Record* record, uint32_t place) noexcept nogil
    cdef void add_curvature(self, Record* record, size_t n, double c) noexcept nogil
    cdef void add_to_factor(self, Record* record, size_t n, double c, double* x, double* work) noexcept nogil
    cdef void extend_factor(self, Record* record, size_t before) noexcept nogil
    cdef size_t new_to(self, Record* record, const Feature* features, size_t n) except? 0xFFFFFFFF nogil
    cdef Record* admit(self, Record* record, const Feature* features, size_t n) except NULL nogil
    cdef int watch_size(self, Record* record, size_t n) except -1 nogil
    cdef int pass_time(self, Record* record, double now, size_t n) except -1 nogil
    cdef int rescale(self, Record* record, uint32_t hash, double ratio) except -1 nogil
    cdef int solve_for(self, Record* record, double* b, double* room) except -1 nogil
    cdef int learned(self, Record* record, size_t n) except -1 nogil
