"""Marginal precision of the fixed part (Schur complement), recomputed when estimated variances change.

Each example adds to the fixed part's precision what its entities' priors leave of it at that time (together.pxd). An
estimated prior changes later, and the additions under the first estimates are then wrong: for 60 users, the standard
deviation of the population mean was a tenth too small. So the sum over all examples is stored,  F = sum c x x',  and
after 8, 16, ... MOST_SUMMED examples, if a ridge has changed by more than CHANGED, the data's part of the precision is
replaced by

    F - sum_e D_e' A_e^-1 D_e,  D_e = (E_e, G_e)

over all entities e of one effect, the Schur complement of their coefficients (Henderson's mixed model equations, 1973).
With several effects the covariance is  F^-1 + sum_r (H_r^-1 - F_r^-1):  each adds its own part of the error, exact
for balanced designs. H_r and F_r use the curvature that the effect got of each example. As they may be singular, 1e-7
of their diagonals is added permanently.

With several effects means drift, too. At the optimum  sum_e P_r t_e = P b:  the entities' coefficients of a feature,
times their prior precision, add up to the fixed part's own, which is 0 if its prior is flat. In one pass, a part of the
mean of all users stays in the users' coefficients, and a new user lacks it. So at those times it is moved to the fixed
part: b moves by the sum of  H_r^-1 (sum_e P_r t_e - P b),  the Newton step of each effect, and each entity by
- A_e^-1 E_e times that of its effect.

This needs full posteriors of all parts without forgetting, and examples that are learned one by one. Otherwise, and
after a fit of a whole pass, which computes its own precision, it stays the sum of the examples' additions.
"""
from libc.stdint cimport int64_t, uint64_t

from vwlite.bayes.updates cimport Updates
from vwlite.core.example cimport Example
from vwlite.entities.record cimport Record
from vwlite.entities.table cimport EntityTable

cdef class Marginal:
    cdef Updates fixed
    cdef list effects
    cdef EntityTable table            # F in record 0; with several effects, F_r in record r + 1
    cdef readonly bint whole          # F includes all examples
    cdef list ridges                  # of the effects, at the last recomputation
    cdef double* work                 # the precision and its terms; room: of one entity
    cdef double* room
    cdef double* pulls                # Newton steps of each effect by feature of F, and their sum
    cdef size_t work_size, room_size, pulls_size
    cdef int see(self, uint64_t number, Example ex, double c) except -1 nogil
    cdef int add_sums(self, Record* record, Example ex, double c) except -1 nogil
    cdef bint is_time(self) except -1 nogil
    cdef double prior(self, size_t i) noexcept nogil
    cdef int renew(self) except -1
    cdef int64_t lacking              # bit mask: effects of which some example had no entity
    cdef int take_over(self, list keys) except -1
    cdef int add_pull(self, Updates effect, Record* record, double* pull) except -1
    cdef int give(self, Updates effect, Record* record, const double* by, const double* in_all) except -1
    cdef bint subtract(self, Updates effect, list keys, Record* known, double* into, double* pull) except -1
    cdef void take(self) noexcept
    cdef void solve(self, size_t r, double* pull) noexcept
    cdef int subtract_one(self, Updates effect, Record* record, Record* known, double* into) except -1
    cdef bint make_definite(self) noexcept
    cdef bint is_sound(self) except -1
    cdef void add_covariance(self, size_t r) noexcept
    cdef void invert_sum(self, uint64_t number, double* into, double* scratch) noexcept
