"""Coefficients with a Gaussian posterior. Design notes are in posterior.pxd, the equations in reductions/glm.pyx."""
from libc.math cimport fabs, isfinite, pow, sqrt
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from vwlite.entities cimport (
    ABSENT, Record, clocks_of, hashes_of, lookup, means_of, precisions_of,
)
from vwlite.example cimport CONSTANT_HASH, Example, Feature, extent_end
from vwlite.random cimport mix, normal

cdef extern from "newton.h" nogil:
    const double VWL_BEYOND
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_cholesky(double* a, size_t n)
    void vwl_forward(const double* factor, size_t n, double* b)
    void vwl_backward(const double* factor, size_t n, double* b)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)
    double vwl_sigmoid(double t)
    double vwl_logistic_step(double s, double z, double y, double w)
    void vwl_logistic_moments(double s, double z, double y, double w, double* mean, double* variance)


cdef class Posterior(Learner):
    """The base of learners with a posterior; they set up its fields, and say when an example is learnt."""

    base_label = None
    base_prediction = None
    has_posterior = True

    def __dealloc__(self):
        free(self.work)
        free(self.places)
        free(self.hashes)
        free(self.touched)
        free(self.drawn)
        free(self.factored)

    # what is known

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
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity) if not ex.newcomer else NULL
        if ex.draw:
            score += self.drawn_score(ex, record)
        elif record != NULL or self.center != NULL:
            while feature < end:
                place = ABSENT if record == NULL else lookup(record, feature.hash, place + 1)
                if place == ABSENT:
                    score += self.prior_mean(feature.hash) * feature.value
                else:
                    mean = means_of(record)[place]
                    if self.table.clocked and clocks_of(record)[place] != record.clock:
                        mean = self.decayed(record, place, NULL)
                    score += mean * feature.value
                feature += 1
        if ex.wants_variance:
            ex.variance = self.variance(ex, record) * self.scale()
        ex.score = <float>score
        ex.prediction = self.loss.clip(ex.score) if isfinite(ex.score) else 0
        return ex.prediction

    cdef double decayed(self, Record* record, uint32_t place, double* precision) noexcept nogil:
        """A diagonal coefficient's mean as it is by now, and what data still say about its precision."""
        cdef double before = precisions_of(record)[place], mean = means_of(record)[place]
        cdef double l2 = ridge(self, hashes_of(record)[place])
        cdef double elapsed = record.clock - clocks_of(record)[place] if self.table.clocked else 0
        cdef double share = pow(self.forget, elapsed), center
        if self.identity:             # each batch forgets a share of I, and ends with I
            center = self.prior_mean(hashes_of(record)[place])
            return center + pow(self.forget / (self.forget + (1 - self.forget) * l2), elapsed) * (mean - center)
        if precision != NULL:
            precision[0] = share * before
        mean = share * (before + self.ridge_before(record, place)) * mean
        if self.center != NULL:
            mean += (l2 - share * self.ridge_before(record, place)) * self.prior_mean(hashes_of(record)[place])
        return mean / (share * before + l2)

    cdef double variance(self, Example ex, Record* record) except? -1 nogil:
        """x' H^-1 x."""
        cdef size_t k, n = self.gather(ex.features, ex.n, record)
        cdef double* x = self.work
        cdef double total = 0, precision
        cdef uint32_t place
        for k in range(n):
            place = self.places[k]
            if place == ABSENT:
                total += x[k] * x[k] / ridge(self, self.hashes[k])
            elif not self.full:
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    self.decayed(record, place, &precision)
                total += x[k] * x[k] / (precision + ridge(self, hashes_of(record)[place]))
        if self.full and record != NULL and record.n:
            total += self.full_variance(record, n)
        return total

    cdef double full_variance(self, Record* record, size_t n) except? -1 nogil:
        """Of the features that the record knows."""
        cdef size_t d = record.n, k
        cdef double* v
        self.reserve(n + d + d * (d + 1) // 2)
        v = self.work + n
        for k in range(d):
            v[k] = 0
        for k in range(n):
            if self.places[k] != ABSENT:
                v[self.places[k]] = self.work[k]
        self.factor(record, 1, v + d)
        vwl_forward(v + d, d, v)
        return vwl_dot_product(v, v, d)

    cdef int factor(self, Record* record, double share, double* into) noexcept nogil:
        """The Cholesky factor of share of what data say, plus the prior."""
        self.precision(record, share, into)
        vwl_cholesky(into, record.n)
        return 0

    cdef void precision(self, Record* record, double share, double* into) noexcept nogil:
        cdef size_t d = record.n, k
        cdef const double* data = precisions_of(record)
        for k in range(d * (d + 1) // 2):
            into[k] = share * data[k]
        for k in range(d):
            into[k * (k + 1) // 2 + k] += ridge(self, hashes_of(record)[k])
        if self.n_prior > 1:
            self.add_prior_covariance(record, into)

    cdef void add_prior_covariance(self, Record* record, double* into) noexcept nogil:
        """What the prior's precision has off its diagonal."""
        cdef size_t i, j
        cdef uint32_t a, b
        for i in range(self.n_prior):
            a = lookup(record, self.prior_hashes[i], 0)
            for j in range(i):
                b = lookup(record, self.prior_hashes[j], 0)
                if a != ABSENT and b != ABSENT:
                    into[<size_t>max(a, b) * (max(a, b) + 1) // 2 + min(a, b)] += self.prior[i * MOST_CORRELATED + j]

    cdef double drawn_score(self, Example ex, Record* record) except? -1e10 nogil:
        """The example's features times coefficients drawn from the posterior: functions of ex.draw, entity and hash."""
        cdef uint64_t key = mix(ex.draw ^ ex.entity, 0)
        cdef double scale = ex.draw_scale * sqrt(self.scale()), total = 0, mean, precision
        cdef const Feature* feature = ex.features
        cdef const Feature* end = feature + ex.n
        cdef uint32_t place = ABSENT
        if self.full and record != NULL and not (key == self.drawn_key and record == self.drawn_record
                                                 and self.version == self.drawn_version):
            self.draw(record, key)
        while feature < end:
            place = ABSENT if record == NULL else lookup(record, feature.hash, place + 1)
            if place == ABSENT:
                total += feature.value * (self.prior_mean(feature.hash)
                                          + scale * normal(key, feature.hash) / sqrt(ridge(self, feature.hash)))
            elif self.full:
                total += feature.value * (means_of(record)[place] + scale * self.drawn[place])
            else:
                mean = means_of(record)[place]
                precision = precisions_of(record)[place]
                if self.table.clocked:
                    mean = self.decayed(record, place, &precision)
                precision += ridge(self, feature.hash)
                total += feature.value * (mean + scale * normal(key, feature.hash) / sqrt(precision))
            feature += 1
        return total

    cdef int draw(self, Record* record, uint64_t key) except -1 nogil:
        """self.drawn from N(0, H^-1): L'^-1 z, where H = L L'."""
        cdef size_t d = record.n, k
        cdef void* room
        if d > self.drawn_size:
            room = realloc(self.drawn, d * sizeof(double))
            if room == NULL:
                with gil:
                    raise MemoryError
            self.drawn = <double*>room
            self.drawn_size = d
        if record != self.factored_record or self.version != self.factored_version:
            if d * (d + 1) // 2 > self.factored_size:
                room = realloc(self.factored, d * (d + 1) // 2 * sizeof(double))
                if room == NULL:
                    with gil:
                        raise MemoryError
                self.factored = <double*>room
                self.factored_size = d * (d + 1) // 2
            self.factor(record, 1, self.factored)
            self.factored_record, self.factored_version = record, self.version
        for k in range(d):
            self.drawn[k] = normal(key, hashes_of(record)[k])
        vwl_backward(self.factored, d, self.drawn)
        self.drawn_key, self.drawn_record, self.drawn_version = key, record, self.version
        return 0

    cdef float sensitivity(self, Example ex) except? -1e10 nogil:
        if self.table.limited:
            self.table.bring(ex.entity)
        return <float>self.variance(ex, self.table.find(ex.entity))

    cdef inline double prior_mean(self, uint32_t hash) noexcept nogil:
        cdef uint32_t place
        if self.center == NULL:
            return 0
        place = lookup(self.center, hash, 0)
        return means_of(self.center)[place] / precisions_of(self.center)[place] if place != ABSENT else 0

    cdef inline double scale(self) noexcept nogil:
        """The variance of the noise, by which precisions are to be divided."""
        if self.estimates_noise and self.noise_count >= 2 and self.noise_sum > 0:
            return self.noise_sum / self.noise_count
        return self.noise

    cdef inline double ridge_before(self, Record* record, size_t k) noexcept nogil:
        """The ridge that the means were worked out with."""
        if self.n_prior:
            return ridge(self, hashes_of(record)[k])
        return self.intercept_l2 if self.intercept_l2 > 0 and hashes_of(record)[k] == CONSTANT_HASH else record.prior

    # learning from one example

    cdef int meet(self, Example ex) except -1 nogil:
        cdef Record* record
        if self.table.limited:
            self.table.bring(ex.entity)
        record = self.table.find(ex.entity)
        if record == NULL:
            record = self.table.make(ex.entity, ex.entity_name, ex.entity_name_length, <uint32_t>ex.n)
            record.prior = self.l2
            self.see_time(ex, record)
            record.clock = record.latest
        elif self.timed:
            self.see_time(ex, record)
        return 0

    cdef void see_time(self, Example ex, Record* record) noexcept nogil:
        """Time is the value of the example's timestamp; it doesn't go back."""
        cdef size_t i
        for i in range(ex.n_extents if self.timed else 0):
            if ex.extents[i].hash == self.time_namespace and ex.extents[i].begin < extent_end(ex, i):
                record.latest = max(record.latest, <double>ex.linear[ex.extents[i].begin].value)
                return

    cdef inline double now(self, Record* record) noexcept nogil:
        """When the batch at hand is learnt: batches are counted unless examples have a time."""
        return record.latest if self.timed else record.clock + 1

    cdef int step(self, Record* record, Example ex) except -1 nogil:
        """A batch of one example."""
        cdef size_t n, d, k
        cdef double* x
        cdef double* u
        cdef double* mean
        cdef double y, w = ex.weight, s, z = 0, g, c, q, t, v, now
        cdef uint32_t place
        record = self.admit(record, ex.features, ex.n)
        now = self.now(record)
        if self.full:
            self.pass_time(record, now, 0)
        n = self.gather(ex.features, ex.n, record)
        if not self.full:
            self.pass_time(record, now, n)
        d = record.n
        self.reserve(n + (d + d * (d + 1) // 2 if self.full else n))
        x = self.work
        u = x + n                     # H^-1 x
        mean = means_of(record)
        s = ex.initial
        for k in range(n):
            s += mean[self.places[k]] * x[k]
        if self.full:
            for k in range(d):
                u[k] = 0
            for k in range(n):
                u[self.places[k]] = x[k]
            self.solve_for(record, u, u + d)
            for k in range(n):
                z += x[k] * u[self.places[k]]
        else:
            for k in range(n):
                place = self.places[k]
                u[k] = x[k] / (self.left * precisions_of(record)[place] + ridge(self, hashes_of(record)[place]))
                z += x[k] * u[k]
        if not (0 < z * w and isfinite(z * w) and fabs(s) < VWL_BEYOND):
            return 0                  # nothing to learn from, or beyond double precision
        if self.logistic:
            y = 1 if ex.label > 0 else -1
            if self.moments:
                vwl_logistic_moments(s, z, y, w, &t, &v)
                c = max(1 / v - 1 / z, 0)
                g = (t - s) / z
            else:
                t = vwl_logistic_step(s, z, y, w)
                q = vwl_sigmoid(t)
                c = w * q * (1 - q)
                g = w * y * vwl_sigmoid(-y * t)
        else:
            y = ex.label
            c = w
            g = w * (y - s) / (1 + z * w)
        if not (isfinite(c) and fabs(g) < VWL_BEYOND):
            return 0
        if not self.logistic:
            self.noise_sum += w * (y - s) * (y - s) / (1 + z * w)
            self.noise_count += 1
        if self.full:
            for k in range(d):
                mean[k] += u[k] * g
                if self.center != NULL:
                    self.move_center(hashes_of(record)[k], u[k] * g, 0)
        else:
            for k in range(n):
                mean[self.places[k]] += u[k] * g
                if self.center != NULL:
                    self.move_center(self.hashes[k], u[k] * g, 0)
        self.add_curvature(record, n, c)
        self.learnt(record, 1)
        return 0

    cdef void add_curvature(self, Record* record, size_t n, double c) noexcept nogil:
        """H += c x x', of the features gathered."""
        cdef size_t i, j, k, other
        cdef double* x = self.work
        cdef double* data = precisions_of(record)
        for k in range(n):
            i = self.places[k]
            if self.identity:
                data[i] = 1 - ridge(self, hashes_of(record)[i])
            elif not self.full:
                data[i] += c * x[k] * x[k]
            else:
                for other in range(n):
                    j = self.places[other]
                    if j <= i:
                        data[i * (i + 1) // 2 + j] += c * x[k] * x[other]

    cdef Record* admit(self, Record* record, const Feature* features, size_t n) except NULL nogil:
        cdef uint32_t place = ABSENT, missing = 0
        cdef size_t k
        for k in range(n):
            place = lookup(record, features[k].hash, place + 1)
            missing += place == ABSENT
        if missing:
            self.version += 1
            record = self.table.room(record, record.n + missing)
            for k in range(n):
                place = lookup(record, features[k].hash, place + 1)
                if place == ABSENT:
                    place = self.table.place(record, features[k].hash)
                    self.spread_count += not (self.intercept_l2 > 0 and features[k].hash == CONSTANT_HASH)
                    if self.center != NULL:
                        means_of(record)[place] = self.prior_mean(features[k].hash)
                        self.move_center(features[k].hash, means_of(record)[place], 1)
        return record

    cdef int move_center(self, uint32_t hash, double by, int more) except -1 nogil:
        """A coefficient of one entity has moved, or is new."""
        cdef uint32_t place
        if self.center_fixed:
            return 0
        place = lookup(self.center, hash, 0)
        if place == ABSENT:
            self.center = self.table_of_means.room(self.center, self.center.n + 1)
            place = self.table_of_means.place(self.center, hash)
        means_of(self.center)[place] += by
        precisions_of(self.center)[place] += more
        return 0

    cdef size_t gather(self, const Feature* features, size_t count, Record* record) except? 0xFFFFFFFF nogil:
        """Features with those of one coefficient summed: values in self.work, places in self.places; how many."""
        cdef size_t k, n = 0, d = record.n if record != NULL else 0
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
            self.places[n] = place
            self.hashes[n] = features[k].hash
            self.work[n] = features[k].value
            n += 1
        for k in range(n):
            if self.places[k] != ABSENT:
                self.touched[self.places[k]] = 0
        return n

    cdef int pass_time(self, Record* record, double now, size_t n) except -1 nogil:
        """Forget what the time since the last batch, or the batch itself, makes forget; take a new prior in.

        With lazy clocks and an unchanged prior only the n features gathered are brought up to date, or all if n is 0.
        """
        cdef double share = 1
        cdef size_t i, k, d = record.n
        cdef double* mean = means_of(record)
        cdef double* data = precisions_of(record)
        cdef double* right
        if self.forget < 1:
            share = pow(self.forget, now - record.clock)
        self.left = share if self.identity else 1
        record.clock = now
        if share == 1 and record.prior == self.l2 and not (n and self.table.clocked):
            return 0
        if self.full:
            # t = (d E + P)^-1 d (E + P) m, the minimum of the two quadratic terms
            self.reserve(2 * d + d * (d + 1) // 2)
            right = self.work
            vwl_multiply(data, d, mean, right)
            for k in range(d):
                right[k] = share * (right[k] + self.ridge_before(record, k) * mean[k])
                if self.center != NULL:
                    right[k] += ((ridge(self, hashes_of(record)[k]) - share * self.ridge_before(record, k))
                                 * self.prior_mean(hashes_of(record)[k]))
            for k in range(d * (d + 1) // 2):
                data[k] *= share
            self.solve_for(record, right, right + 2 * d)
            for k in range(d):
                mean[k] = right[k]
        elif n and record.prior == self.l2:
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

    cdef int solve_for(self, Record* record, double* b, double* room) except -1 nogil:
        """H^-1 b in place, for a full posterior; room has d (d + 1) / 2."""
        cdef size_t d = record.n
        self.precision(record, 1, room)
        if d > SMALL:
            with gil:
                from vwlite.solve import solve
                solve(<double[:d * (d + 1) // 2]>room, <double[:d]>b)
        else:
            vwl_cholesky(room, d)
            vwl_forward(room, d, b)
            vwl_backward(room, d, b)
        return 0

    cdef int learnt(self, Record* record, size_t n) except -1 nogil:
        """Books of an update."""
        record.count += n
        self.version += 1
        if self.estimates_prior and not self.at_once and not self.n_prior:
            self.spread_sum -= record.spread
            record.spread = self.spread(record)
            self.spread_sum += record.spread
            self.estimate_ridge()
        return 0

    # the prior's variance, as examples come: the mean over entities of m^2 + Var (Laird and Ware 1982)

    cdef double spread(self, Record* record) except? -1 nogil:
        """Sum of m^2 + Var of the coefficients that the ridge is of."""
        cdef size_t d = record.n, i, k
        cdef double total = 0, variance, scale = self.scale(), delta
        cdef double* v
        cdef bint exact = self.full and d <= SMALL
        self.reserve(d + d * (d + 1) // 2)
        v = self.work
        if exact:
            self.factor(record, 1, v + d)
        for k in range(d):
            if self.intercept_l2 > 0 and hashes_of(record)[k] == CONSTANT_HASH:
                continue
            if exact:
                for i in range(d):
                    v[i] = i == k
                vwl_forward(v + d, d, v)
                variance = vwl_dot_product(v, v, d)
            else:
                variance = precisions_of(record)[k * (k + 1) // 2 + k if self.full else k] \
                    + ridge(self, hashes_of(record)[k])
                variance = 1 / variance
            delta = means_of(record)[k] - self.prior_mean(hashes_of(record)[k])
            total += delta * delta + scale * variance
        return total

    cdef void estimate_ridge(self) noexcept nogil:
        """One coefficient's worth of belief in the first ridge keeps the first few entities from running away."""
        cdef double scale = self.scale()
        cdef double variance = (self.spread_sum + scale / self.first_l2) / (self.spread_count + 1)
        if variance > 0 and isfinite(variance):
            self.l2 = min(max(scale / variance, 1e-9), 1e9)

    # room

    cdef int reserve(self, size_t n) except -1 nogil:
        """Room for n doubles in self.work; what is there stays."""
        cdef void* room
        if n > self.work_size:
            room = realloc(self.work, n * sizeof(double))
            if room == NULL:
                with gil:
                    raise MemoryError(f"{8 * n:,} bytes to learn from a batch: take a smaller --batch_size")
            self.work = <double*>room
            self.work_size = n
        return 0

    cdef int reserve_places(self, size_t n, size_t d) except -1 nogil:
        """Room for n features gathered, and d coefficients touched."""
        cdef void* places
        cdef void* hashes
        cdef void* touched
        if n > self.gathered_size:
            places = realloc(self.places, n * sizeof(uint32_t))
            if places != NULL:
                self.places = <uint32_t*>places
            hashes = realloc(self.hashes, n * sizeof(uint32_t))
            if hashes != NULL:
                self.hashes = <uint32_t*>hashes
            if places == NULL or hashes == NULL:
                with gil:
                    raise MemoryError
            self.gathered_size = n
        if d > self.touched_size:
            touched = realloc(self.touched, d * sizeof(uint32_t))
            if touched == NULL:
                with gil:
                    raise MemoryError
            self.touched = <uint32_t*>touched
            memset(self.touched + self.touched_size, 0, (d - self.touched_size) * sizeof(uint32_t))
            self.touched_size = d
        return 0
