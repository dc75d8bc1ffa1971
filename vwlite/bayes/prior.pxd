"""Empirical prior of all entities, estimated from their posteriors."""
from vwlite.bayes.updates cimport Updates

cdef class EstimatedPrior(Updates):
    cdef int find_center(self) except -1
    cdef int estimate_prior(self) except -1
    cdef object noise_of(self, variance, double explained)
    cdef int estimate_covariance(self, variance, list hashes, size_t n) except -1
    cdef int estimate_one(self, variance, size_t total) except -1
