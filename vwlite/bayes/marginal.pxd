"""The precision of the fixed part where the entities are not known, worked out anew when estimated variances change.

Every example counts in the fixed part by what its entities' priors leave of it at that time (together.pxd). An
estimated prior is another one later, and what was counted under the first guesses is wrong by then: of 60 users the
standard deviation of the population came out a tenth too small. So the sum over all examples is kept,  F = sum c x x',
and after 8, 16, ... MOST_SUMMED examples, if a ridge has changed by more than CHANGED, the data's part of the precision
becomes

    F - sum_e D_e' A_e^-1 D_e,  D_e = (E_e, G_e)

over all entities e of one effect, the Schur complement of their coefficients (Henderson's mixed model equations, 1973).
With several effects the covariance is  F^-1 + sum_r (H_r^-1 - F_r^-1):  each adds its own part of the error, exact
for balanced designs. H_r and F_r are of the curvature that the effect took of each example. A ten millionth of their
diagonals is added, and stays: none need have an inverse.

With several effects means drift, too. At the optimum  sum_e P_r t_e = P b:  the coefficients that entities of an
effect have of a feature, times their prior's precision, add up to the fixed part's own, which is 0 if its prior is
flat. In one pass what all users have in common is left in the users now and then, and a new user lacks it. So at those
times the fixed part takes it over: it moves by the sum of  H_r^-1 (sum_e P_r t_e - P b),  Newton's step of each effect,
and each entity by - A_e^-1 E_e times that of its effect.

That needs full posteriors of all parts, which forget nothing, and examples that are learned one by one.
Otherwise, and after a fit of a whole pass, which gives its own, the precision stays what examples added to it.
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
    cdef readonly bint whole          # F is of all examples
    cdef list ridges                  # of the effects, when the precision was last worked out
    cdef double* work                 # the precision and what it is made of; of one entity
    cdef double* room
    cdef double* pulls                # of each effect, by feature of F, and of all
    cdef size_t work_size, room_size, pulls_size
    cdef int see(self, uint64_t number, Example ex, double c) except -1 nogil
    cdef bint is_time(self) except -1 nogil
    cdef double prior(self, size_t i) noexcept nogil
    cdef int renew(self) except -1
    cdef int64_t lacking              # bits: effects that some example had no entity of
    cdef int take_over(self, list keys) except -1
    cdef int add_pull(self, Updates effect, Record* record, double* pull) except -1
    cdef int give(self, Updates effect, Record* record, const double* by, const double* in_all) except -1
    cdef bint subtract(self, Updates effect, list keys, Record* known, double* into, double* pull) except -1
    cdef void take(self) noexcept
    cdef void solve(self, size_t r, double* pull) noexcept
    cdef int subtract_one(self, Updates effect, Record* record, Record* known, double* into) except -1
    cdef bint is_sound(self) except -1
    cdef void add_covariance(self, size_t r) noexcept
    cdef void invert_sum(self, uint64_t number, double* into, double* scratch) noexcept
