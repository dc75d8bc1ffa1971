"""Gaussian posterior of coefficients. Design notes are in posterior.pxd, the equations in reductions/glm.pyx."""
from libc.math cimport NAN, isfinite, sqrt
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport resize
from vwlite.core.draws cimport mix
from vwlite.core.elementary cimport pow
from vwlite.core.example cimport CONSTANT_HASH, Example, Feature
from vwlite.core.joint cimport JointScores
from vwlite.core.terms cimport Terms
from vwlite.entities.cross_precision cimport other_column, other_hashes, other_origins
from vwlite.entities.record cimport (
    ABSENT, UNTOLD, CrossPrecision, Record, clocks_of, factor_of, hashes_of, lookup, means_of, precisions_of, triangle,
)
from vwlite.entities.table cimport information_of, origins_of

cdef extern from "vwlite/core/newton.h" nogil:
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_cholesky(double* a, size_t n)
    void vwl_forward(const double* factor, size_t n, double* b)
    void vwl_backward(const double* factor, size_t n, double* b)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)

cdef enum:
    MERGED = 0xFFFFFFFE               # instead of an index; records are smaller


cdef class Posterior(Bottom):
    """Base class of learners with a Gaussian posterior: state, predictive mean and variance."""

    has_posterior = True

    def __dealloc__(self):
        free(self.work)
        free(self.places)
        free(self.hashes)
        free(self.touched)
        free(self.factored)

    # state and predictions

    cdef double experience(self, Example ex) except? -1 nogil:
        cdef Record* record
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity)
        return record.count + record.n_waiting if record != NULL else 0

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef Record* record
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef double score = ex.initial, mean
        cdef uint32_t place = ABSENT
        cdef bint clocked
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity) if not ex.known.newcomer else NULL
        clocked = self.table.clocked and record != NULL and not record.full
        if record != NULL or self.center != NULL:
            while feature < end:
                place = ABSENT if record == NULL else lookup(record, feature.hash, place + 1)
                if place == ABSENT:
                    score += prior_mean(self, feature.hash) * feature.value
                else:
                    mean = means_of(record)[place]
                    if clocked and clocks_of(record)[place] != record.clock:
                        mean = self.decayed(record, place, NULL)
                    score += mean * feature.value
                feature += 1
        if ex.known.wants_variance:
            ex.known.variance = self.variance(ex, record) * self.scale()
            ex.known.noise = 0 if self.logistic else self.scale()
        ex.score = <float>score
        ex.prediction = self.loss.clip(ex.score) if isfinite(ex.score) else 0
        return ex.prediction

    cdef int terms(self, Example ex, Terms to) except -1 nogil:
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, i
        cdef Record* record
        cdef double mean, sd = NAN
        cdef uint32_t place = ABSENT
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity) if not ex.known.newcomer else NULL
        for i in range(n):
            place = ABSENT if record == NULL else lookup(record, features[i].hash, place + 1)
            if place == ABSENT:
                mean = prior_mean(self, features[i].hash)
            else:
                mean = means_of(record)[place]
                if not record.full and self.table.clocked:
                    mean = self.decayed(record, place, NULL)
            if ex.known.wants_variance:
                to.one[0].hash, to.one[0].value = features[i].hash, 1
                ex.features, ex.n = to.one, 1
                sd = sqrt(self.variance(ex, record) * self.scale())
                ex.features, ex.n = features, n
            to.add(features[i].hash, <int32_t>i, features[i].value, mean, sd)
        return 0

    cdef double moved(self, Record* record, size_t place, bint settles) noexcept nogil:
        """Change b - o of the fixed part's coefficient since the entity's origin; if it settles, o becomes b."""
        cdef double* origin = origins_of(self.table, record) + place
        cdef double now = self.leaned_on(hashes_of(record)[place], <uint32_t>place), before = origin[0]
        if settles:
            origin[0] = now
        return now - before if before != UNTOLD else 0

    cdef bint moved_between(self, Record* record, bint settles, double* lost) noexcept nogil:
        """The same for features that only the fixed part has. Writes G (b_o - o) to `lost` unless NULL; returns whether
        any change is not 0."""
        cdef CrossPrecision* between = record.between
        cdef double now, by
        cdef bint any = False
        cdef size_t j, k
        if lost != NULL:
            memset(lost, 0, record.n * sizeof(double))
        for j in range(between.n if between != NULL else 0):
            now = self.leaned_on(other_hashes(between)[j], <uint32_t>j)
            by = now - other_origins(between)[j]
            if settles:
                other_origins(between)[j] = now
            for k in range(min(record.n, between.rows) if lost != NULL and by != 0 else 0):
                lost[k] += other_column(between, j)[k] * by
                any = True
        return any

    cdef int follow(self, Record* record, double* by, double* factor) except -1 nogil:
        """Change of the means with the fixed part, A^-1 E (b - o); `factor` is that of a full posterior."""
        cdef size_t k, d = record.n
        cdef double data
        cdef double* gone = by + d
        cdef double* others = gone + d
        memset(by, 0, 2 * d * sizeof(double))
        if self.leans_on is None or not self.table.anchored:
            return 0
        for k in range(d):
            gone[k] = self.moved(record, k, False)
            data = data_of(self, record, k)
            if not record.full and data > 0:
                by[k] = gone[k] * data / (data + ridge(self, hashes_of(record)[k]))
        if record.full:
            vwl_multiply(precisions_of(record), d, gone, by)
            self.moved_between(record, False, others)
            for k in range(d):
                by[k] += others[k]
            vwl_forward(factor, d, by)
            vwl_backward(factor, d, by)
        return 0

    cdef double leaned_on(self, uint32_t hash, uint32_t guess) noexcept nogil:
        """Coefficient of the fixed part."""
        cdef Record* fixed = self.leans_on.table.find(0)
        cdef uint32_t there = lookup(fixed, hash, guess) if fixed != NULL else ABSENT
        return means_of(fixed)[there] if there != ABSENT else 0

    cdef double decayed(self, Record* record, uint32_t place, double* precision) noexcept nogil:
        """Mean of a diagonal coefficient after forgetting up to now; sets `precision` to the data's remaining one."""
        cdef double before = precisions_of(record)[place], mean = means_of(record)[place]
        cdef double l2 = ridge(self, hashes_of(record)[place])
        cdef double elapsed = record.clock - clocks_of(record)[place] if self.table.clocked else 0
        cdef double share = pow(self.forget, elapsed) if elapsed else 1, l2_before, center
        if share == 1 and record.prior == self.l2 and not self.identity:
            if precision != NULL:
                precision[0] = before
            return mean
        if self.identity:             # each batch forgets a share of I, and ends with I
            center = prior_mean(self, hashes_of(record)[place])
            return center + pow(self.forget / (self.forget + (1 - self.forget) * l2), elapsed) * (mean - center)
        if precision != NULL:
            precision[0] = share * before
        l2_before = l2 if record.prior == self.l2 else self.ridge_before(record, place)
        mean = share * (before + l2_before) * mean
        if self.center != NULL:
            mean += (l2 - share * l2_before) * prior_mean(self, hashes_of(record)[place])
        return mean / (share * before + l2) if share * before + l2 > 0 else means_of(record)[place]

    cdef inline double unknown_sd(self, uint32_t hash, double x) noexcept nogil:
        """Prior standard deviation of a score's part by a coefficient without data: its standard deviation times x."""
        cdef double l2 = ridge(self, hash)
        if x == 0:
            return 0
        if (self.estimates_prior and l2 > 0 and (self.scaled or self.spread_count == 0)
                and (self.scales == NULL or lookup(self.scales, hash, self.scale_guesses[0] - 1) == ABSENT)):
            return 1 / sqrt(l2)       # as if the mean square were that of this value
        return x / sqrt(l2) if l2 > 0 else 1 / sqrt(self.least)

    cdef double variance(self, Example ex, Record* record) except? -1 nogil:
        """Variance of the score in units of the noise, x' H^-1 x."""
        cdef size_t k, n = self.gather(ex.features, ex.n, record)
        cdef double* x = self.work
        cdef double total = 0, precision
        cdef uint32_t place
        for k in range(n):
            place = self.places[k]
            if place == ABSENT or (data_of(self, record, place) <= 0 and ridge(self, self.hashes[k]) <= 0):
                self.places[k] = ABSENT
                total += self.unknown_sd(self.hashes[k], x[k]) ** 2
            elif not record.full:
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    self.decayed(record, place, &precision)
                total += x[k] * x[k] / (precision + ridge(self, hashes_of(record)[place]))
        if record != NULL and record.full and record.n:
            total += self.full_variance(record, n)
        return total

    cdef double full_variance(self, Record* record, size_t n) except? -1 nogil:
        """variance() of the features that have coefficients in the record."""
        cdef size_t d = record.n, k
        cdef double* v
        cdef double* factor
        cdef bint known = self.is_factored(record)
        self.reserve(n + d + (0 if known else triangle(d)))
        v = self.work + n
        factor = factor_of(record) + 1 if known else v + d
        for k in range(d):
            v[k] = 0
        for k in range(n):
            if self.places[k] != ABSENT:
                v[self.places[k]] = self.work[k]
        if not known:
            self.factor(record, factor)
        vwl_forward(factor, d, v)
        return vwl_dot_product(v, v, d)

    cdef inline bint is_factored(self, Record* record) noexcept nogil:
        """Whether the record has its Cholesky factor, under the current prior."""
        return record.factored and factor_of(record)[0] == self.intercept_l2 and record.prior == self.l2

    cdef void refactor(self, Record* record) noexcept nogil:
        """Recompute the Cholesky factor of a record under the current prior; the record has memory for it."""
        cdef double* factor = factor_of(record) + 1
        cdef double* row
        cdef size_t i, j, d = record.n
        self.precision(record, factor)
        while d:                      # trailing new features, which are uncorrelated
            row = factor + triangle(d - 1)
            for j in range(d - 1):
                if row[j] != 0:
                    break
            else:
                d -= 1
                continue
            break
        vwl_cholesky(factor, d)
        for i in range(d, record.n):
            factor[triangle(i) + i] = sqrt(max(factor[triangle(i) + i], 1e-300))
        factor_of(record)[0] = self.intercept_l2
        record.prior = self.l2

    cdef int factor(self, Record* record, double* into) noexcept nogil:
        """Copy or compute the Cholesky factor of the precision of a full posterior."""
        if self.is_factored(record):
            memcpy(into, factor_of(record) + 1, triangle(record.n) * sizeof(double))
            return 0
        self.precision(record, into)
        vwl_cholesky(into, record.n)
        return 0

    cdef double unit_variance(self, size_t k, size_t d, double* v) noexcept nogil:
        """Variance of coefficient k of d in units of the noise; v is a work buffer, followed by the factor."""
        cdef size_t i
        for i in range(d):
            v[i] = i == k
        vwl_forward(v + d, d, v)
        return vwl_dot_product(v, v, d)

    cdef void precision(self, Record* record, double* into) noexcept nogil:
        """Posterior precision: the data's plus the prior's, packed by rows."""
        cdef size_t d = record.n, k
        memcpy(into, precisions_of(record), d * (d + 1) // 2 * sizeof(double))
        for k in range(d):
            into[k * (k + 1) // 2 + k] += ridge(self, hashes_of(record)[k])
        if self.n_prior > 1:
            self.add_prior_covariance(record, into)

    cdef void add_prior_covariance(self, Record* record, double* into) noexcept nogil:
        """Add the off-diagonal elements of the prior precision."""
        cdef size_t i, j
        cdef uint32_t a, b
        for i in range(self.n_prior):
            a = lookup(record, self.prior_hashes[i], 0)
            for j in range(i):
                b = lookup(record, self.prior_hashes[j], 0)
                if a != ABSENT and b != ABSENT:
                    into[<size_t>max(a, b) * (max(a, b) + 1) // 2 + min(a, b)] += self.prior[i * MOST_CORRELATED + j]

    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil:
        cdef uint64_t key = mix(<uint64_t><size_t><void*>self, ex.entity)
        cdef double scale = sqrt(self.scale()), precision
        cdef double* room
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef Record* record
        cdef uint32_t place = ABSENT, begin = 0
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity) if not ex.known.newcomer else NULL
        if record != NULL and record.full and record.n:
            room = to.block(key, record.n, &begin)
            if room != NULL:
                self.factor_again(record, room)
        while feature < end:
            place = ABSENT if record == NULL else lookup(record, feature.hash, place + 1)
            if place == ABSENT or (data_of(self, record, place) <= 0 and ridge(self, feature.hash) <= 0):
                to.add(mix(key, feature.hash), scale * self.unknown_sd(feature.hash, feature.value))
            elif record.full:
                to.add_correlated(begin + place, scale * feature.value)
            else:
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    self.decayed(record, place, &precision)
                to.add(mix(key, feature.hash), scale * feature.value / sqrt(precision + ridge(self, feature.hash)))
            feature += 1
        return 0

    cdef int factor_again(self, Record* record, double* into) except -1 nogil:
        """Copy the Cholesky factor; it is cached until something is learned."""
        cdef size_t size = <size_t>record.n * (record.n + 1) // 2
        if self.is_factored(record):
            return self.factor(record, into)
        if (record != self.factored_record or record.key != self.factored_key
                or self.version != self.factored_version):
            self.factored_record = NULL
            if size > self.factored_size:
                resize(&self.factored, size, sizeof(double))
                self.factored_size = size
            self.factor(record, self.factored)
            self.factored_record, self.factored_version, self.factored_key = record, self.version, record.key
        memcpy(into, self.factored, size * sizeof(double))
        return 0

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        if self.table.limited:
            self.table.bring(ex.entity)
        return <float>self.variance(ex, self.table.find(ex.entity))

    cdef inline double scale(self) noexcept nogil:
        """Noise variance, by which precisions must be divided."""
        if self.estimates_noise and self.noise_count >= 2 and self.noise_sum > 0:
            return self.noise_sum / self.noise_count
        return self.noise

    cdef inline double ridge_before(self, Record* record, size_t k) noexcept nogil:
        """The ridge with which the means were computed."""
        if self.n_prior:
            return ridge(self, hashes_of(record)[k])
        if self.intercept_l2 > 0 and hashes_of(record)[k] == CONSTANT_HASH:
            return self.intercept_l2
        if self.scales == NULL:
            return record.prior
        return (record.prior * scale_of(self, hashes_of(record)[k])
                * (self.stale_ratio if hashes_of(record)[k] == self.stale_hash else 1))

    # the data's information vector, see entities/table.pxd

    cdef inline bint has_information(self, Record* record) noexcept nogil:
        return record.full and self.table.informed and record.n > 0

    cdef double* information(self, Record* record) noexcept nogil:
        """That of a full record; NULL if it has none."""
        cdef double* b
        if not self.has_information(record):
            return NULL
        b = information_of(self.table, record)
        if b[0] == UNTOLD:
            self.inform(record)
        return b

    cdef void inform(self, Record* record) noexcept nogil:
        """b = (E + P) m - P c, with the prior that the mean was computed with; for a record without one, nothing."""
        cdef size_t k
        cdef double* b
        if not self.has_information(record):
            return
        b = information_of(self.table, record)
        vwl_multiply(precisions_of(record), record.n, means_of(record), b)
        for k in range(record.n):
            b[k] += self.ridge_before(record, k) * (means_of(record)[k] - prior_mean(self, hashes_of(record)[k]))
        if self.n_prior > 1:
            self.add_correlated_prior(record, b, True)

    cdef void add_correlated_prior(self, Record* record, double* to, bint deviations) noexcept nogil:
        """to += P t, without P's diagonal; t is the prior's mean, or how far the record's deviates from it."""
        cdef size_t i, j
        cdef uint32_t a, b
        cdef double at_a, at_b, precision
        for i in range(self.n_prior):
            a = lookup(record, self.prior_hashes[i], 0)
            at_a = prior_mean(self, self.prior_hashes[i])
            for j in range(i if a != ABSENT else 0):
                b = lookup(record, self.prior_hashes[j], 0)
                if b == ABSENT:
                    continue
                at_b = prior_mean(self, self.prior_hashes[j])
                precision = self.prior[i * MOST_CORRELATED + j]
                to[a] += precision * (means_of(record)[b] - at_b if deviations else at_b)
                to[b] += precision * (means_of(record)[a] - at_a if deviations else at_a)

    # buffers

    cdef size_t gather(self, const Feature* features, size_t count, Record* record) except? 0xFFFFFFFF nogil:
        """Sum the features of each coefficient: values in self.work, indices in self.places; returns their count."""
        cdef size_t k, n = 0, d = record.n if record != NULL else 0, unknown = 0
        cdef uint32_t place = ABSENT
        self.reserve(count)
        self.reserve_places(count, d)
        for k in range(count):
            place = ABSENT if record == NULL else lookup(record, features[k].hash, place + 1)
            if place != ABSENT:
                if self.touched[place]:
                    self.work[self.touched[place] - 1] += features[k].value
                    continue
                self.touched[place] = <uint32_t>n + 1
            else:
                unknown += 1
            self.places[n] = place
            self.hashes[n] = features[k].hash
            self.work[n] = features[k].value
            n += 1
        for k in range(n):
            if self.places[k] != ABSENT:
                self.touched[self.places[k]] = 0
        return self.sum_unknown(n) if unknown > 1 else n

    cdef size_t sum_unknown(self, size_t n) except? 0xFFFFFFFF nogil:
        """The same for features without a coefficient, after n were gathered; returns the remaining count."""
        cdef size_t k, first, left = 0, unknown = 0
        cdef uint64_t* order
        self.reserve(2 * n)
        order = <uint64_t*>(self.work + n)
        for k in range(n):
            if self.places[k] == ABSENT:
                order[unknown] = <uint64_t>self.hashes[k] << 32 | k
                unknown += 1
        qsort(order, unknown, sizeof(uint64_t), in_order)
        first = 0
        for k in range(1, unknown):
            if order[k] >> 32 != order[first] >> 32:
                first = k
                continue
            self.work[<uint32_t>order[first]] += self.work[<uint32_t>order[k]]
            self.places[<uint32_t>order[k]] = MERGED
        for k in range(n):
            if self.places[k] != MERGED:
                self.places[left], self.hashes[left], self.work[left] = self.places[k], self.hashes[k], self.work[k]
                left += 1
        return left

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate n doubles in self.work; its content is preserved."""
        if n > self.work_size:
            resize(&self.work, n, sizeof(double), b"to learn from a batch: use a smaller --batch_size")
            self.work_size = n
        return 0

    cdef int reserve_places(self, size_t n, size_t d) except -1 nogil:
        """Allocate arrays for n gathered features and d coefficients."""
        if n > self.gathered_size:
            resize(&self.places, n, sizeof(uint32_t))
            resize(&self.hashes, n, sizeof(uint32_t))
            self.gathered_size = n
        if d > self.touched_size:
            resize(&self.touched, d, sizeof(uint32_t))
            memset(self.touched + self.touched_size, 0, (d - self.touched_size) * sizeof(uint32_t))
            self.touched_size = d
        return 0


cdef int in_order(const void* a, const void* b) noexcept nogil:
    """Comparison of numbers, for qsort."""
    cdef uint64_t first = (<const uint64_t*>a)[0], second = (<const uint64_t*>b)[0]
    return (first > second) - (first < second)
