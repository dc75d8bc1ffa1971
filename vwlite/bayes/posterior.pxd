"""Gaussian posterior of coefficients (posterior mean and precision), of the whole stack or of each entity.

Design:
a) All computation is in one record of the entity table, that of `ex.entity`. The record stores the data's precision;
   the prior precision is added at each use, so that it may be estimated and change later.
b) One example moves the mean along one line, H^-1 x (the Kalman gain), so one equation is solved, not a problem in many
   dimensions. updates.pxd and batches.pxd have the updates, prior.pxd and spread.pxd the estimated prior.
c) Diagonal coefficients forget lazily: each has a clock. Full posteriors forget at once. A large full posterior also
   stores its Cholesky factor, which one example updates in O(d^2) (Givens rotations); changes of all of the precision
   (forgetting, another prior, a batch) recompute it.
d) uncertainty() gives a score's random terms by coefficient, so that scores of a decision's actions are correlated.
e) A coefficient with the ridge 0 has a flat prior: if the data's precision is less than `least` times x^2, its part of
   a score has the variance 1 / least. So the unit of the feature has no effect.
f) An estimated prior is that of coefficients times the root mean square of their feature. `scales` has the mean square
   of each feature that is not always 1, updated at its 1st, 2nd, 4th, 8th, ... occurrence. So the unit has no effect
   here either. Its variance is the sum of squares over the effective degrees of freedom: spread.pyx.
g) `places`, `hashes` and `work` have the gathered features of an example: a feature that occurs twice is summed.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport CONSTANT_HASH, Example, Feature
from vwlite.core.learner cimport Bottom
from vwlite.entities.record cimport ABSENT, Record, means_of, precisions_of, track, triangle
from vwlite.entities.table cimport EntityTable

cdef enum:
    MOST_CORRELATED = 16              # coefficients whose covariance is estimated
    SMALL = 64                        # coefficients up to which problems are solved in newton.h, larger ones by SciPy

cdef class Posterior(Bottom):
    cdef readonly EntityTable table
    cdef bint logistic, full, identity, timed, moments
    cdef bint told_diagonal, told_size            # remarks already logged
    cdef double forget
    cdef uint32_t time_namespace
    # prior precision: one number and one for the intercept, or a matrix for a few coefficients
    cdef public double l2             # 0: flat
    cdef double least                 # lower bound of the data's precision under a flat prior, times x^2
    cdef double intercept_l2
    cdef size_t n_prior
    cdef uint32_t[MOST_CORRELATED] prior_hashes
    cdef double[MOST_CORRELATED * MOST_CORRELATED] prior
    cdef EntityTable table_of_means   # if entities are shrunk to their mean: sum and number, in one record
    cdef Record* center
    cdef bint center_fixed            # True while all entities are fitted again
    cdef EntityTable table_of_scales  # two records: sum of squares and number; mean square in use
    cdef Record* squares
    cdef Record* scales               # NULL: all are 1
    cdef bint scaled                  # scales are used since the first coefficient
    cdef uint32_t[2] scale_guesses    # see track() of entities/table.pxd
    cdef uint32_t[2] center_guesses
    # estimates: the prior variance, the noise
    cdef readonly bint estimates_prior
    cdef double first_l2
    cdef double spread_sum, dof_sum   # sums over records; the second is below 0 if records lack theirs
    cdef double spread_count          # coefficients of all records
    cdef bint estimates_noise
    cdef double noise
    cdef public double noise_sum, noise_count
    # current batch
    cdef bint at_once                 # all pending examples are one batch
    cdef double left                  # remaining share of an identity precision, in its prior
    # the fixed part on which its entities depend (together.pxd), or None
    cdef Posterior leans_on
    # buffers of an update
    cdef uint32_t stale_hash          # feature whose scale is being changed,
    cdef double stale_ratio           # and its old scale divided by the new one; otherwise 1
    cdef double* work
    cdef size_t work_size
    cdef uint32_t* places             # of the gathered features: index of the coefficient
    cdef uint32_t* hashes             # and their hashes
    cdef uint32_t* touched            # for each coefficient, its index among the gathered + 1
    cdef size_t gathered_size, touched_size
    cdef double* factored             # cache: the last factor computed
    cdef size_t factored_size
    cdef Record* factored_record
    cdef uint64_t factored_version, factored_key    # a record's memory may be reused by another entity
    cdef uint64_t version             # of the posterior; each update changes it
    cdef double moved(self, Record* record, size_t place, bint settles) noexcept nogil
    cdef bint moved_between(self, Record* record, bint settles, double* lost) noexcept nogil
    cdef int follow(self, Record* record, double* by, double* factor) except -1 nogil
    cdef double leaned_on(self, uint32_t hash, uint32_t guess) noexcept nogil
    cdef double decayed(self, Record* record, uint32_t place, double* precision) noexcept nogil
    cdef double unknown_sd(self, uint32_t hash, double x) noexcept nogil
    cdef double variance(self, Example ex, Record* record) except? -1 nogil
    cdef double full_variance(self, Record* record, size_t n) except? -1 nogil
    cdef bint is_factored(self, Record* record) noexcept nogil
    cdef void refactor(self, Record* record) noexcept nogil
    cdef int factor(self, Record* record, double* into) noexcept nogil
    cdef double unit_variance(self, size_t k, size_t d, double* v) noexcept nogil
    cdef void precision(self, Record* record, double* into) noexcept nogil
    cdef void add_prior_covariance(self, Record* record, double* into) noexcept nogil
    cdef int factor_again(self, Record* record, double* into) except -1 nogil
    cdef double scale(self) noexcept nogil
    cdef double ridge_before(self, Record* record, size_t k) noexcept nogil
    cdef bint has_information(self, Record* record) noexcept nogil
    cdef double* information(self, Record* record) noexcept nogil
    cdef void inform(self, Record* record) noexcept nogil
    cdef void add_correlated_prior(self, Record* record, double* to, bint deviations) noexcept nogil
    cdef size_t gather(self, const Feature* features, size_t count, Record* record) except? 0xFFFFFFFF nogil
    cdef size_t sum_unknown(self, size_t n) except? 0xFFFFFFFF nogil
    cdef int reserve(self, size_t n) except -1 nogil
    cdef int reserve_places(self, size_t n, size_t d) except -1 nogil

cdef inline double data_of(Posterior known, Record* record, size_t k) noexcept nogil:
    """The data's precision of a coefficient (diagonal element)."""
    return precisions_of(record)[triangle(k) + k if record.full else k]

cdef inline double ridge(Posterior known, uint32_t hash) noexcept nogil:
    """Ridge: the prior precision of a coefficient."""
    cdef size_t i
    for i in range(known.n_prior):
        if known.prior_hashes[i] == hash:
            return known.prior[i * MOST_CORRELATED + i]
    if known.intercept_l2 > 0 and hash == CONSTANT_HASH:
        return known.intercept_l2
    return known.l2 if known.scales == NULL else known.l2 * scale_of(known, hash)

cdef inline double scale_of(Posterior known, uint32_t hash) noexcept nogil:
    """Mean square of a feature that is in use."""
    cdef uint32_t place = track(known.scales, hash, known.scale_guesses) if hash != CONSTANT_HASH else ABSENT
    return means_of(known.scales)[place] if place != ABSENT else 1

cdef inline double prior_mean(Posterior known, uint32_t hash) noexcept nogil:
    """Prior mean of a coefficient."""
    cdef uint32_t place
    if known.center == NULL:
        return 0
    place = track(known.center, hash, known.center_guesses)
    return means_of(known.center)[place] / precisions_of(known.center)[place] if place != ABSENT else 0
