"""Off-policy estimates of a policy's cost, updated with each logged decision. See off_policy.pyx."""

from vwlite.core.multiline cimport MultiExample

cdef struct Moments:
    # of weighted values: sum of weights, mean, weighted sum of squares about the mean
    double weight, mean, square

cdef struct WeightedMean:
    # of values with weights: moments by the weight, and by its square, for the variance of the mean
    Moments once, twice

cdef class OffPolicy:
    cdef readonly size_t n            # decisions noted
    cdef readonly size_t refused      # decisions that add() left out
    cdef size_t n_predicted, n_weighted
    cdef double weights, squared_weights   # sums of g w and (g w)^2
    cdef double greatest, heaviest    # w; g
    cdef double low, high             # the range of costs
    cdef bint is_known                # whether it was given
    cdef Moments logged               # of c
    cdef WeightedMean weight          # of w
    cdef WeightedMean plain           # of w c
    cdef Moments by_weight            # of c, weighted by g w
    cdef Moments by_square            # of c, weighted by (g w)^2
    cdef WeightedMean corrected       # of the doubly robust terms
    cdef void add(self, double cost, double probability, double policy,
                  double predicted_logged, double predicted_policy, double weight) noexcept nogil
    cdef double quantile(self, const WeightedMean* m, double level)
    cdef object mean_of(self, const WeightedMean* m, size_t n, double level, double low, double high, bint enough)
    cdef object estimate(self, double value, double squares, size_t n, double t, double low, double high, bint enough)

cdef class PolicyTally:
    cdef readonly OffPolicy off_policy
    cdef OffPolicy tests, last, best  # held out: of this pass, of the last one, of the best
    cdef tuple costs                  # their range, (NaN, NaN) if it isn't known
    cdef bint later_pass
    cdef void note(self, MultiExample ex, bint held_out) noexcept nogil
