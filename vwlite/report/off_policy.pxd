"""Off-policy estimates of a policy's cost, updated with each logged decision. See off_policy.pyx."""

from vwlite.core.multiline cimport MultiExample

cdef struct Moments:
    # of weighted values: sum of weights, mean, weighted sum of squares about the mean
    double weight, mean, square

cdef class OffPolicy:
    cdef readonly size_t n            # decisions noted
    cdef readonly size_t refused      # decisions that add() left out
    cdef size_t n_predicted, n_weighted
    cdef double weights, squared_weights, greatest
    cdef double low, high             # the range of costs
    cdef bint is_known                # whether it was given
    cdef Moments logged               # of c
    cdef Moments weight               # of w
    cdef Moments plain                # of w c
    cdef Moments by_weight            # of c, weighted by w
    cdef Moments by_square            # of c, weighted by w^2
    cdef Moments corrected            # of the doubly robust terms
    cdef void add(self, double cost, double probability, double policy,
                  double predicted_logged, double predicted_policy) noexcept nogil
    cdef object estimate(self, double value, double squares, size_t n, double t, double low, double high, bint enough)

cdef class PolicyTally:
    cdef readonly OffPolicy off_policy
    cdef OffPolicy tests, last, best  # held out: of this pass, of the last one, of the best
    cdef tuple costs                  # their range, (NaN, NaN) if it isn't known
    cdef bint later_pass
    cdef void note(self, MultiExample ex, bint held_out) noexcept nogil
