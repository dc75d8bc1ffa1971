"""Batch updates: all pending examples of an entity are learned together.

Small problems are solved in newton.h, larger ones by SciPy (solve.py). Sweeps fit the same examples repeatedly: they
save the state by mark(), and restore it before each fit.
"""
from vwlite.bayes.prior cimport EstimatedPrior
from vwlite.core.example cimport Example
from vwlite.entities.record cimport Record
from vwlite.entities.table cimport EntityTable

cdef class Batches(EstimatedPrior):
    cdef readonly size_t batch_size   # 0: all of a pass
    cdef double fit_loss, fit_weight  # of batches of a whole pass, after the fit
    cdef EntityTable marked           # saved state of mark()
    cdef object marked_noise
    cdef bint holds_prior             # the prior was estimated one example at a time: sweeps leave it as it is
    cdef bint learns_single(self, Example ex) except -1 nogil
    cdef double target(self, double label) noexcept nogil
    cdef int solve(self, Record* record) except -1 nogil
    cdef void measure(self, Record* record) noexcept nogil
    cdef void lay_out(self, Record* record, size_t d, double* x) noexcept nogil
    cdef void lay_out_prior(self, Record* record, size_t d, double* prior, double* t) noexcept nogil
    cdef int move(self, Record* record, size_t place, double mean) except -1 nogil
    cdef int take(self, Record* record, size_t d, const double* t, const double* curvature, bint matrix) except -1 nogil
    cdef int solve_large(self, Record* record, size_t d) except -1
    cdef object lay_out_sparse(self, Record* record, size_t d, size_t count)
