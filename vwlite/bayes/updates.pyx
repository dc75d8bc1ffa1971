"""Single-example updates of a posterior. Design notes are in posterior.pxd, the equations in reductions/glm.pyx."""
from libc.math cimport INFINITY, fabs, isfinite, sqrt
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, qsort
from libc.string cimport memset

from vwlite.bayes.posterior cimport data_of, prior_mean, ridge
from vwlite.core.arrays cimport grow
from vwlite.core.elementary cimport pow
from vwlite.core.example cimport CONSTANT_HASH, Example, Feature, extent_end
from vwlite.entities.cross_precision cimport MOST_OTHERS, add_other, other_column, make_between, other_place
from vwlite.entities.record cimport (
    ABSENT, FACTORED, CrossPrecision, Record, clocks_of, factor_of, hashes_of, lookup, means_of, name_of, precisions_of,
    triangle,
)
from vwlite.entities.table cimport continues

cdef extern from "vwlite/core/newton.h" nogil:
    const double VWL_BEYOND
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_cholesky(double* a, size_t n)
    void vwl_forward(const double* factor, size_t n, double* b)
    void vwl_forward_from(const double* factor, size_t n, size_t first, double* b)
    void vwl_add_outer(double* factor, size_t n, size_t first, double* x, double* work)
    void vwl_backward(const double* factor, size_t n, double* b)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)
    double vwl_sigmoid(double t)
    double vwl_logistic_step(double s, double z, double y, double w)
    void vwl_logistic_moments(double s, double z, double y, double w, double* mean, double* variance)


cdef enum:
    FEW_ENTITIES = 256


cdef class Updates(Spread):
    """Posterior with updates by single examples, and with forgetting."""

    def __dealloc__(self):
        free(self.loads)
        free(self.others)

    cdef int identify(self, Example ex) except -1 nogil:
        return self.table.identify(ex)

    cdef int meet(self, Example ex) except -1 nogil:
        cdef Record* record
        self.complete()
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity)
        if record == NULL:
            record = self.table.make(ex.entity, ex.entity_name, ex.entity_name_length, <uint32_t>ex.n)
            record.prior = self.l2
            self.see_time(ex, record)
            record.clock = record.latest
        elif self.timed:
            record.changed = True     # it may be evicted before it is learned
            self.see_time(ex, record)
        if self.table.strict:         # pending examples count when later lines are vetted
            self.admit(record, ex.features, ex.n)
        return 0

    cdef void see_time(self, Example ex, Record* record) noexcept nogil:
        """Set the entity's time to the example's timestamp; it never decreases."""
        cdef size_t i
        for i in range(ex.n_extents if self.timed else 0):
            if ex.extents[i].hash == self.time_namespace and ex.extents[i].begin < extent_end(ex, i):
                record.latest = max(record.latest, <double>ex.linear[ex.extents[i].begin].value)
                return

    cdef inline double now(self, Record* record) noexcept nogil:
        """Time of the current batch: the timestamp, or without one the number of batches."""
        return record.latest if self.timed else record.clock + 1

    # one example: look() gathers, lean() computes the gain, pull() the step, settle() updates

    cdef int learn_single(self, Example ex) except -1 nogil:
        """Learn a batch of one example, whose entity is registered."""
        cdef double score, g, c
        self.look(ex)
        self.lean()
        score = ex.initial + self.part
        if not self.pull(score, self.reach, ex.label, ex.weight, &g, &c):
            return 0
        if not self.logistic:
            self.add_noise(ex.weight * (ex.label - score) ** 2 / (1 + self.reach * ex.weight))
        self.settle(g, c)
        self.learned(self.subject, 1)
        return 0

    cdef int look(self, Example ex) except -1 nogil:
        """Prepare an update: `subject`, the entity's record with memory for its features and after forgetting; gathers
        the features; `part` is their score."""
        cdef Record* record
        cdef double now
        cdef size_t n, k
        cdef double part = 0
        if self.estimates_prior and not self.n_prior:
            self.see_scales(ex.features, ex.n)
            if self.table.limited:    # other entities may have had to come into memory
                self.table.bring(ex.entity)
        record = self.admit(self.table.find(ex.entity), ex.features, ex.n)
        now = self.now(record)
        if record.full:
            self.pass_time(record, now, 0)
        n = self.gather(ex.features, ex.n, record)
        if not record.full:
            self.pass_time(record, now, n)
        self.subject, self.n_gathered = record, n
        self.hold_down(record, n)
        for k in range(n):
            part += means_of(record)[self.places[k]] * self.work[k]
        self.part = part
        return 0

    cdef int glance(self, Example ex) except -1 nogil:
        """Prepare a prediction, without changing the record; the subject may be NULL."""
        if self.table.limited:
            self.table.bring(ex.entity)
        self.subject = self.table.find(ex.entity) if not ex.known.newcomer else NULL
        self.left = 1
        self.n_gathered = self.gather(ex.features, ex.n, self.subject)
        return 0

    cdef int hold_down(self, Record* record, size_t n) except -1 nogil:
        """Raise the data's precision of coefficients with a flat prior to at least `least` x^2."""
        cdef size_t k, i
        cdef double x, short
        cdef double* data = precisions_of(record)
        if self.l2 > 0 or self.identity:
            return 0
        for k in range(n):
            i = self.places[k]
            x = self.work[k]
            short = self.least * x * x - data_of(self, record, i)
            if not 0 < short < VWL_BEYOND or ridge(self, self.hashes[k]) > 0:
                continue
            data[triangle(i) + i if record.full else i] += short
            if record.factored and self.is_factored(record):
                self.reserve(n + 3 * record.n)
                memset(self.work + n, 0, record.n * sizeof(double))
                self.work[n + i] = sqrt(short)
                vwl_add_outer(factor_of(record) + 1, record.n, i, self.work + n, self.work + n + record.n)
            self.version += 1
            if means_of(record)[i] != 0:
                self.pull_to_zero(record, n, i, short)
        return 0

    cdef int pull_to_zero(self, Record* record, size_t n, size_t i, double known) except -1 nogil:
        """Shrink the mean by precision `known` added around 0: m -= H^-1 e known m_i; n doubles stay in `work`."""
        cdef size_t d = record.n, k
        cdef double* mean = means_of(record)
        cdef double* u
        if not record.full:
            mean[i] *= 1 - known / max(precisions_of(record)[i], known)
            return 0
        self.reserve(n + d + triangle(d))
        u = self.work + n
        memset(u, 0, d * sizeof(double))
        u[i] = known * mean[i]
        self.solve_for(record, u, u + d)
        for k in range(d):
            mean[k] -= u[k]
        return 0

    cdef int lean(self) except -1 nogil:
        """Compute the Kalman gain H^-1 x (by coefficient if full, else by feature), and `reach`, x' H^-1 x."""
        cdef Record* record = self.subject
        cdef size_t n = self.n_gathered, d = record.n if record != NULL else 0, k
        cdef bint full = record != NULL and record.full
        cdef double* x
        cdef double* u
        cdef double precision, prior, reach = 0
        cdef uint32_t place
        self.reserve(n + (4 * d + triangle(d) if full else n))
        x = self.work
        u = x + n
        if full:
            memset(u, 0, d * sizeof(double))
        for k in range(n):
            place = self.places[k]
            prior = ridge(self, self.hashes[k])
            if place == ABSENT or (prior <= 0 and data_of(self, record, place) <= 0):
                reach += self.unknown_sd(self.hashes[k], x[k]) ** 2
                if not full:
                    u[k] = 0
            elif full:
                u[place] = x[k]
            else:
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    self.decayed(record, place, &precision)
                u[k] = x[k] / (precision * self.left + prior)
                reach += x[k] * u[k]
        if full:
            self.solve_for(record, u, u + 4 * d)
            for k in range(n):
                if self.places[k] != ABSENT:
                    reach += x[k] * u[self.places[k]]
        self.reach = reach
        return 0

    cdef int weigh_loads(self) except -1 nogil:
        """Compute loads of a full posterior: those of the gathered features, then factors of its other coefficients."""
        cdef Record* record = self.subject
        cdef size_t n = self.n_gathered, d = record.n, i, k
        cdef double* x = self.work
        cdef double* u = x + n
        cdef double* explained = u + d
        cdef CrossPrecision* between = record.between
        if between != NULL:
            grow(&self.others, &self.others_size, 2 * <size_t>between.n, sizeof(double))
            for i in range(between.n):
                self.others[i] = -vwl_dot_product(other_column(between, i), u, min(d, between.rows))
        if not (self.table.anchored and record.full and d > 1):
            return 0
        grow(&self.loads, &self.loads_size, 2 * d, sizeof(double))
        if self.n_prior > 1:          # P u = x - E u
            vwl_multiply(precisions_of(record), d, u, explained)
        for i in range(d):
            self.loads[i] = 1
            self.loads[d + i] = -explained[i] if self.n_prior > 1 else ridge(self, hashes_of(record)[i]) * u[i]
        for k in range(n):
            i = self.places[k]
            if i != ABSENT and x[k] != 0:
                self.loads[i] = (x[k] + self.loads[d + i] if self.n_prior > 1 else self.loads[d + i]) / x[k]
                self.loads[d + i] = 0
        return 0

    cdef int weigh_others(self, Example ex) except -1 nogil:
        """Compute the loads of the features of its CrossPrecision, from all features of the example."""
        cdef CrossPrecision* between = self.subject.between
        cdef double* left
        cdef double x
        cdef uint32_t place = 0
        cdef size_t i, j
        if between == NULL:
            return 0
        left = self.others + between.n
        memset(left, 0, between.n * sizeof(double))
        for i in range(ex.n):
            place = other_place(between, ex.features[i].hash, place + 1)
            if place < between.n:
                left[place] += ex.features[i].value
        for j in range(between.n):
            x = left[j]
            left[j] = (x + self.others[j]) / x if x != 0 else 1
            if x != 0:
                self.others[j] = 0
        return 0

    cdef int see_others(self, Example ex, Record* fixed, double c) except -1 nogil:
        """Update the CrossPrecision, G += c x_e x_o', for features that only the fixed part has; new origins are the
        fixed part's coefficients before this example."""
        cdef Record* record = self.subject
        cdef CrossPrecision* between = record.between
        cdef uint32_t hash, place = 0, j = 0, there = 0
        cdef size_t i, k
        cdef double* to
        if not record.full:
            return 0
        for i in range(ex.n):
            hash = ex.features[i].hash
            place = lookup(record, hash, place + 1)
            if place != ABSENT:
                continue
            j = other_place(between, hash, j + 1) if between != NULL else 0
            if between == NULL or j == between.n:
                there = lookup(fixed, hash, there + 1)
                if there == ABSENT or (between != NULL and between.n == MOST_OTHERS):
                    continue
                add_other(&self.table.bytes, record, hash, means_of(fixed)[there], ex.n - i)
                between = record.between
            if between.rows < record.n:
                make_between(&self.table.bytes, record, between.n)
                between = record.between
            to = other_column(between, j)
            for k in range(self.n_gathered):
                to[self.places[k]] += c * self.work[k] * ex.features[i].value
        return 0

    cdef bint learns_single(self, Example ex) except -1 nogil:
        """Whether the example is a batch of one."""
        return True

    cdef bint pull(self, double s, double z, double label, double w, double* g, double* c) noexcept nogil:
        """Update of a score of mean s and variance z: it moves by z g, and gains the precision c; False if it can't."""
        cdef double y, q, t, v
        if not (0 < z * w and isfinite(z * w) and fabs(s) < VWL_BEYOND):
            return False              # no weight, or beyond double precision
        if not self.logistic:
            c[0] = w
            g[0] = w * (label - s) / (1 + z * w)
        else:
            y = 1 if label > 0 else -1
            if self.moments:
                vwl_logistic_moments(s, z, y, w, &t, &v)
                c[0] = max(1 / v - 1 / z, 0) if v > 0 else INFINITY
                g[0] = (t - s) / z
            else:
                t = vwl_logistic_step(s, z, y, w)
                q = vwl_sigmoid(t)
                c[0] = w * q * (1 - q)
                g[0] = w * y * vwl_sigmoid(-y * t)
        return isfinite(c[0]) and fabs(g[0]) < VWL_BEYOND

    cdef void add_noise(self, double amount) noexcept nogil:
        """Add the squared residual of one example, in units of its variance, to the noise estimate."""
        self.noise_sum += amount
        self.noise_count += 1

    cdef int settle(self, double g, double c) except -1 nogil:
        """Update mean and precision: the mean by g H^-1 x, the precision by c x x'."""
        cdef Record* record = self.subject
        cdef size_t n = self.n_gathered, d = record.n, k
        cdef double* u = self.work + n
        cdef double* mean = means_of(record)
        cdef double* b = self.information(record)
        cdef double score = 0
        if record.full:
            for k in range(d):
                mean[k] += u[k] * g
                if self.center != NULL:
                    self.move_center(hashes_of(record)[k], u[k] * g, 0)
            for k in range(n if b != NULL else 0):
                score += mean[self.places[k]] * self.work[k]
            for k in range(n if b != NULL else 0):        # (H + c x x') (m + H^-1 x g) - H m
                b[self.places[k]] += self.work[k] * (g + c * score)
        else:
            for k in range(n):
                mean[self.places[k]] += u[k] * g
            if self.center != NULL:
                self.move_centers(self.hashes, u, g, n)
        self.add_curvature(record, n, c)
        if record.factored:
            self.add_to_factor(record, n, c, u, u + d)
        return 0

    cdef inline double precision_before(self, Record* record, uint32_t place) noexcept nogil:
        """Prior precision of a diagonal coefficient for the current batch."""
        return self.left * precisions_of(record)[place] + ridge(self, hashes_of(record)[place])

    cdef void add_curvature(self, Record* record, size_t n, double c) noexcept nogil:
        """Add c x x' of the gathered features to the precision H."""
        cdef size_t i, j, k, other
        cdef double* x = self.work
        cdef double* data = precisions_of(record)
        for k in range(n):
            i = self.places[k]
            if self.identity:
                data[i] = 1 - ridge(self, hashes_of(record)[i])
            elif not record.full:
                data[i] += c * x[k] * x[k]
            else:
                for other in range(n):
                    j = self.places[other]
                    if j <= i:
                        data[triangle(i) + j] += c * x[k] * x[other]

    cdef void add_to_factor(self, Record* record, size_t n, double c, double* x, double* work) noexcept nogil:
        """Rank-one update of the Cholesky factor by c x x'; x has d doubles, work twice as many."""
        cdef size_t k, first = record.n
        cdef double root = sqrt(c)
        memset(x, 0, record.n * sizeof(double))
        for k in range(n):
            x[self.places[k]] = root * self.work[k]
            first = min(first, self.places[k])
        vwl_add_outer(factor_of(record) + 1, record.n, first, x, work)

    cdef void extend_factor(self, Record* record, size_t before) noexcept nogil:
        """Append rows of new features to the Cholesky factor: uncorrelated, unless by the prior."""
        cdef size_t i
        cdef double* factor = factor_of(record) + 1
        if not self.is_factored(record) or self.n_prior > 1:
            factor_of(record)[0] = -1     # pass_time() recomputes it
            return
        for i in range(before, record.n):
            memset(factor + triangle(i), 0, i * sizeof(double))
            factor[triangle(i) + i] = sqrt(max(ridge(self, hashes_of(record)[i]), 1e-300))

    cdef size_t new_to(self, Record* record, const Feature* features, size_t n) except? 0xFFFFFFFF nogil:
        """Number of new coefficients that a record (NULL if there is none yet) needs for features.

        A feature that occurs twice may be counted twice, unless that exceeds the limit of a full posterior.
        """
        cdef uint32_t place = ABSENT
        cdef size_t k, known = record.n if record != NULL else 0, missing = 0, repeated = 0
        cdef bint full = self.full if record == NULL else record.full != 0
        for k in range(n):
            if record == NULL or continues(record, known + missing, features[k].hash):
                place = ABSENT
            else:
                place = lookup(record, features[k].hash, place + 1)
            missing += place == ABSENT
        if known + missing <= self.table.most_full or not full:
            return missing
        self.reserve_places(n, 0)
        missing = 0
        for k in range(n):
            place = ABSENT if record == NULL else lookup(record, features[k].hash, place + 1)
            if place == ABSENT:
                self.hashes[missing] = features[k].hash
                missing += 1
        qsort(self.hashes, missing, sizeof(uint32_t), by_number)
        for k in range(1, missing):
            repeated += self.hashes[k] == self.hashes[k - 1]
        return missing - repeated

    cdef Record* admit(self, Record* record, const Feature* features, size_t n) except NULL nogil:
        cdef uint32_t place = ABSENT
        cdef size_t k, before = record.n, missing = self.new_to(record, features, n)
        if missing:
            self.version += 1
            self.added += <uint32_t>missing
            if record.full:
                self.watch_size(record, record.n + missing)
            record = self.table.room(record, <uint32_t>(record.n + missing))
            for k in range(n):
                place = ABSENT if continues(record, record.n, features[k].hash) else lookup(record, features[k].hash,
                                                                                            place + 1)
                if place == ABSENT:
                    place = self.table.place(record, features[k].hash)
                    self.spread_count += not (self.intercept_l2 > 0 and features[k].hash == CONSTANT_HASH)
                    if self.center != NULL:
                        means_of(record)[place] = self.enter_center(features[k].hash)
            if record.factored:
                self.extend_factor(record, before)
        return record

    cdef int watch_size(self, Record* record, size_t n) except -1 nogil:
        """Log remarks, once each: a posterior becomes diagonal; full posteriors need much memory."""
        cdef Record* each = self.table.oldest
        cdef size_t coefficients = n
        self.watched = <uint32_t>n
        if n > self.table.most_full:
            if not (self.told_diagonal or self.table.strict):
                self.told_diagonal = True
                with gil:
                    name = <bytes>name_of(record)[:record.name_length]
                    self.tell_diagonal(name.decode("utf-8", "replace"))
        elif not self.told_size and self.table.bytes + 16 * triangle(n) > MUCH:
            self.told_size = True
            while each != NULL:
                coefficients += each.n
                each = each.newer
            with gil:
                self.tell_size(coefficients)
        return 0

    cdef int pass_time(self, Record* record, double now, size_t n) except -1 nogil:
        """Forgetting: decay the posterior to the prior by the time since the last batch; apply a new prior.

        With lazy clocks and an unchanged prior, only the n gathered features are updated, or all if n is 0.
        """
        cdef double share = 1
        cdef size_t i, k, d = record.n
        cdef double* mean = means_of(record)
        cdef double* data = precisions_of(record)
        cdef double* right
        cdef double* b = self.information(record)
        if self.forget < 1:
            share = pow(self.forget, now - record.clock)
        self.left = share if self.identity else 1
        record.clock = now
        if (share == 1 and self.stale_ratio == 1 and record.prior == self.l2
                and (record.full or not (n and self.table.clocked))):
            if record.factored and not self.is_factored(record):
                self.refactor(record)
            return 0
        if record.full:
            # t = (d E + P)^-1 (d b + P c), the minimum of the two quadratic terms
            self.reserve(2 * d + triangle(d))
            right = self.work
            for k in range(d):
                b[k] *= share
                right[k] = b[k]
                if self.center != NULL:
                    right[k] += ridge(self, hashes_of(record)[k]) * prior_mean(self, hashes_of(record)[k])
            if self.n_prior > 1 and self.center != NULL:
                self.add_correlated_prior(record, right, False)
            for k in range(triangle(d)):
                data[k] *= share
            for k in range(record.between.n if record.between != NULL and share != 1 else 0):
                for i in range(record.between.rows):
                    other_column(record.between, k)[i] *= share
            if record.factored:
                self.refactor(record)
            self.solve_for(record, right, right + 2 * d)
            for k in range(d):
                mean[k] = right[k]
        elif n and record.prior == self.l2 and self.stale_ratio == 1:
            for k in range(n):
                i = self.places[k]
                mean[i] = self.decayed(record, <uint32_t>i, &data[i])
                clocks_of(record)[i] = now
        else:
            for k in range(d):
                mean[k] = self.decayed(record, <uint32_t>k, &data[k])
                if self.table.clocked:
                    clocks_of(record)[k] = now
        record.prior = self.l2
        self.version += 1
        return 0

    cdef int follow_scale(self, uint32_t hash, double ratio) except -1 nogil:
        """Rescale if there are few entities; with many, those that had the feature before hardly affect estimates."""
        cdef Record* record = self.table.oldest
        if self.center != NULL and lookup(self.center, hash, ABSENT) == ABSENT:
            return 0                  # no entity has it yet
        if self.table.limited:
            with gil:
                self.follow_on_disk(hash, ratio)
            return 0
        if self.table.count <= FEW_ENTITIES:
            while record != NULL:
                self.rescale(record, hash, ratio)
                record = record.newer
        return 0

    def follow_on_disk(self, hash, ratio):
        """follow_scale() for entities on disk."""
        cdef uint64_t key
        if self.table.total <= FEW_ENTITIES:
            for key in self.table.keys_as_met():
                self.table.bring(key)
                self.rescale(self.table.find(key), hash, ratio)

    cdef int rescale(self, Record* record, uint32_t hash, double ratio) except -1 nogil:
        """Adapt the mean of an entity to the new scale of a feature."""
        if record.count == 0 or record.n > FACTORED or self.identity or lookup(record, hash, ABSENT) == ABSENT:
            return 0
        self.stale_hash, self.stale_ratio = hash, ratio
        self.pass_time(record, record.clock, 0)
        self.stale_ratio = 1
        record.changed = True
        if record.dof > 0:
            self.count_spread(record)
        return 0

    cdef int solve_for(self, Record* record, double* b, double* room) except -1 nogil:
        """Solve H x = b in place, for a full posterior; room has d (d + 1) / 2 unless the record has its factor."""
        cdef size_t d = record.n, first = 0
        if self.is_factored(record):
            while first < d and b[first] == 0:
                first += 1
            vwl_forward_from(factor_of(record) + 1, d, first, b)
            vwl_backward(factor_of(record) + 1, d, b)
            return 0
        self.precision(record, room)
        vwl_cholesky(room, d)
        vwl_forward(room, d, b)
        vwl_backward(room, d, b)
        return 0

    cdef int learned(self, Record* record, size_t n) except -1 nogil:
        """Bookkeeping after an update: counts, version, estimate of the prior."""
        record.count += n
        self.version += 1
        if self.estimates_prior and not self.at_once and not self.n_prior and self.is_time_for_spread(record):
            self.count_spread(record)
            self.estimate_ridge()
        return 0


cdef int by_number(const void* a, const void* b) noexcept nogil:
    """Comparison of hashes, for qsort."""
    cdef uint32_t first = (<const uint32_t*>a)[0], second = (<const uint32_t*>b)[0]
    return (first > second) - (first < second)
