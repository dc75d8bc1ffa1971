"""A learner that knows how sure it is: coefficients with a Gaussian posterior, of the whole stack or of each entity.

Design:
a) Everything is worked out in one record of the entity table, the one of `ex.entity`. Its precisions are what data say;
   the prior's is added where they are used, so it may be estimated and changed on the way.
b) One example moves a posterior along one line, H^-1 x: one equation is solved, not a problem in many dimensions.
   updates.pxd and batches.pxd have learning, prior.pxd what all entities have in common.
c) Diagonal coefficients forget when they are looked at: each has a clock. Full posteriors forget at once.
   Of a large full posterior the record has the factor, too, which one example changes in O(d^2) (Givens rotations);
   what changes all of the precision (forgetting, another prior, a batch) has it made anew.
d) uncertainty() says what is random of a score by coefficients, so that those of a decision's actions are correlated.
e) A coefficient whose ridge is 0 has a flat prior: before the first data, and wherever they say less than `least` times
   x^2, its part of a score has the variance 1 / least. So a unit of the feature changes nothing.
f) An estimated prior is about coefficients times the root of their feature's mean square, which `scales` has for every
   feature that is not always 1, as it was when it had come 1, 2, 4, 8, ... times. So its unit changes nothing either.
g) What features there are goes through `places`, `hashes` and `work`: a feature named twice counts once, summed.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport CONSTANT_HASH, Example, Feature
from vwlite.core.learner cimport Bottom
from vwlite.entities.record cimport Record, precisions_of, triangle
from vwlite.entities.table cimport EntityTable

cdef enum:
    MOST_CORRELATED = 16              # coefficients whose covariance is estimated
    SMALL = 64                        # coefficients up to which problems are solved in newton.h, larger ones by SciPy

cdef class Posterior(Bottom):
    cdef readonly EntityTable table
    cdef bint logistic, full, identity, timed, moments
    cdef bint told_diagonal, told_size            # remarks that were made
    cdef double forget
    cdef uint32_t time_namespace
    # the prior: one precision, one for the intercept, or one for each of a few coefficients and between them
    cdef public double l2             # 0: flat
    cdef double least                 # what is known at least of a coefficient with a flat prior, times x^2
    cdef double intercept_l2
    cdef size_t n_prior
    cdef uint32_t[MOST_CORRELATED] prior_hashes
    cdef double[MOST_CORRELATED * MOST_CORRELATED] prior
    cdef EntityTable table_of_means   # where entities are shrunk to their mean: sum and number, in one record
    cdef Record* center
    cdef bint center_fixed            # while all entities are fitted anew
    cdef EntityTable table_of_scales  # two records: sum of squares and number; the mean square in force
    cdef Record* squares
    cdef Record* scales               # NULL: each is 1
    cdef bint scaled                  # from the first coefficient on
    cdef uint32_t[2] scale_guesses    # see track() of entities/table.pxd
    cdef uint32_t[2] center_guesses
    # what is estimated: the prior's variance, the noise
    cdef readonly bint estimates_prior
    cdef double first_l2, spread_sum, spread_count
    cdef bint estimates_noise
    cdef double noise
    cdef public double noise_sum, noise_count
    # of the batch at hand
    cdef bint at_once                 # all examples that come are one
    cdef double left                  # of an identity, in its prior
    # what its entities lean on (together.pxd), or None
    cdef Posterior leans_on
    # room for an update
    cdef uint32_t stale_hash          # while coefficients follow the scale of a feature: which one,
    cdef double stale_ratio           # and what its scale was, times that of now; else 1
    cdef double* work
    cdef size_t work_size
    cdef uint32_t* places             # of the features gathered
    cdef uint32_t* hashes             # and their hashes
    cdef uint32_t* touched            # of each coefficient: which of those gathered it is, + 1
    cdef size_t gathered_size, touched_size
    cdef double* factored             # the factor that was asked for last
    cdef size_t factored_size
    cdef Record* factored_record
    cdef uint64_t factored_version, factored_key    # the memory of a record may be another entity's by now
    cdef uint64_t version             # of what is known: each update makes another
    cdef double moved(self, Record* record, size_t place, bint settles) noexcept nogil
    cdef bint moved_between(self, Record* record, bint settles, double* lost) noexcept nogil
    cdef int follow(self, Record* record, double* by, double* factor) except -1 nogil
    cdef double leaned_on(self, uint32_t hash, uint32_t guess) noexcept nogil
    cdef double decayed(self, Record* record, uint32_t place, double* precision) noexcept nogil
    cdef double scale_of(self, uint32_t hash) noexcept nogil
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
    cdef double prior_mean(self, uint32_t hash) noexcept nogil
    cdef double scale(self) noexcept nogil
    cdef double ridge_before(self, Record* record, size_t k) noexcept nogil
    cdef double* information(self, Record* record) noexcept nogil
    cdef void inform(self, Record* record) noexcept nogil
    cdef void add_correlated_prior(self, Record* record, double* to, bint deviations) noexcept nogil
    cdef size_t gather(self, const Feature* features, size_t count, Record* record) except? 0xFFFFFFFF nogil
    cdef size_t sum_unknown(self, size_t n) except? 0xFFFFFFFF nogil
    cdef int reserve(self, size_t n) except -1 nogil
    cdef int reserve_places(self, size_t n, size_t d) except -1 nogil

cdef inline double data_of(Posterior known, Record* record, size_t k) noexcept nogil:
    """What data say about the precision of a coefficient, by itself."""
    return precisions_of(record)[triangle(k) + k if record.full else k]

cdef inline double ridge(Posterior known, uint32_t hash) noexcept nogil:
    """The prior's precision of a coefficient."""
    cdef size_t i
    for i in range(known.n_prior):
        if known.prior_hashes[i] == hash:
            return known.prior[i * MOST_CORRELATED + i]
    if known.intercept_l2 > 0 and hash == CONSTANT_HASH:
        return known.intercept_l2
    return known.l2 if known.scales == NULL else known.l2 * known.scale_of(hash)
