"""Batch updates of a Gaussian posterior. Design notes are in batches.pxd."""
from libc.float cimport FLT_MAX
from libc.math cimport fabs, isfinite
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from vwlite.bayes.posterior cimport SMALL, ridge
from vwlite.core.example cimport Example, Feature
from vwlite.entities.record cimport ABSENT, Record, Waiting, hashes_of, lookup, means_of, precisions_of, triangle

cdef extern from "vwlite/core/newton.h" nogil:
    ctypedef struct vwl_batch:
        size_t n, d
        const double* x
        const double* y
        const double* w
        const double* o
        int logistic
        const double* a
        const double* m
    const double VWL_BEYOND
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)
    void vwl_scores(const vwl_batch* p, const double* t, double* s)
    void vwl_slopes(const vwl_batch* p, const double* s, double* slopes, double* curvatures)
    void vwl_gradient(const vwl_batch* p, const double* pull, const double* slopes, double* gradient)
    double vwl_objective(const vwl_batch* p, const double* t, const double* pull, const double* s)
    double vwl_minimise(const vwl_batch* p, double* t, double* curvature, double* work)


cdef class Batches(EstimatedPrior):
    """Posterior with updates by single examples, batches, or a whole pass."""

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex)
        self.update(ex)
        return prediction

    # batches

    cdef float update(self, Example ex) except? -1e10 nogil:
        cdef Record* record
        if not (ex.labelled and 0 < ex.weight <= FLT_MAX and isfinite(ex.initial)):
            return ex.prediction
        ex.loss = self.loss.loss(ex.prediction, ex.label)
        if not isfinite(ex.score):    # then its features are not finite either
            self.left_out += 1
            return ex.prediction
        self.meet(ex)
        record = self.table.find(ex.entity)
        record.changed = True
        if self.learns_single(ex):
            self.learn_single(ex)
        else:
            self.table.wait(record, ex)
            # more than a batch may be pending if the model was made with larger batches
            if 0 < self.batch_size <= record.n_waiting and not self.at_once:
                self.solve(record)
        return ex.prediction

    cdef bint learns_single(self, Example ex) except -1 nogil:
        cdef Record* record
        if self.batch_size != 1 or self.at_once:
            return False
        record = self.table.find(ex.entity)
        return record == NULL or record.n_waiting == 0

    cdef inline double target(self, double label) noexcept nogil:
        return label if not self.logistic else 1 if label > 0 else -1

    cdef int solve(self, Record* record) except -1 nogil:
        """Learn the pending batch of a record."""
        cdef Waiting* waiting
        cdef const Feature* features
        cdef vwl_batch batch
        cdef size_t n = record.n_waiting, d = 0, k, packed
        cdef uint32_t place = ABSENT
        cdef double* x
        cdef double* t
        cdef double* curvature
        cdef double* prior
        cdef double value
        waiting = record.waiting
        while waiting != NULL:
            record = self.admit(record, <const Feature*>(waiting + 1), waiting.n)
            waiting = waiting.before
        self.pass_time(record, self.now(record), 0)
        waiting = record.waiting
        while waiting != NULL and self.batch_size > 0 and not self.at_once:
            self.hold_down(record, self.gather(<const Feature*>(waiting + 1), waiting.n, record))
            waiting = waiting.before
        # the unknowns: all coefficients of a full posterior; of a diagonal one, those in the batch
        self.reserve_places(record.n, record.n)
        if record.full:
            d = record.n
            for k in range(d):
                self.places[k] = <uint32_t>k
                self.touched[k] = <uint32_t>k + 1
        else:
            waiting = record.waiting
            while waiting != NULL:
                features = <const Feature*>(waiting + 1)
                for k in range(waiting.n):
                    place = lookup(record, features[k].hash, place + 1)
                    if not self.touched[place]:
                        self.places[d] = place
                        d += 1
                        self.touched[place] = <uint32_t>d
                waiting = waiting.before
        if d > SMALL:
            with gil:
                self.solve_large(record, d)
        elif d:
            packed = d * (d + 1) // 2
            self.reserve(n * (d + 3) + 2 * d + 3 * packed + 4 * d + 5 * n)
            x = self.work
            batch.x, batch.y, batch.w, batch.o = x, x + n * d, x + n * (d + 1), x + n * (d + 2)
            t = x + n * (d + 3)
            batch.m = t + d
            prior = t + 2 * d
            batch.a = prior
            curvature = prior + packed
            batch.n, batch.d, batch.logistic = n, d, self.logistic
            self.lay_out(record, d, x)
            self.lay_out_prior(record, d, prior, t)
            value = vwl_minimise(&batch, t, curvature, curvature + packed)
            if are_sane(value, t, d, curvature, packed):
                self.take(record, d, t, curvature, True)
                self.noise_sum += max(2 * value, 0)
                self.noise_count += n
        for k in range(d):
            self.touched[self.places[k]] = 0
        if self.batch_size == 0 and not self.at_once:
            self.measure(record)
        self.table.forget_waiting(record)
        self.learned(record, n)
        return 0

    cdef void measure(self, Record* record) noexcept nogil:
        """Compute the loss of a batch after its fit; the predictions before don't measure the fit."""
        cdef Waiting* waiting = record.waiting
        cdef const Feature* features
        cdef uint32_t place = ABSENT
        cdef size_t k
        cdef double score
        while waiting != NULL:
            score = waiting.initial
            features = <const Feature*>(waiting + 1)
            for k in range(waiting.n):
                place = lookup(record, features[k].hash, place + 1)
                score += means_of(record)[place] * features[k].value
            self.fit_loss += waiting.weight * self.loss.loss(self.loss.clip(<float>score), <float>waiting.label)
            self.fit_weight += waiting.weight
            waiting = waiting.before

    cdef void lay_out(self, Record* record, size_t d, double* x) noexcept nogil:
        """Write the batch as a dense matrix by rows, then labels, weights and offsets; oldest first."""
        cdef Waiting* waiting = record.waiting
        cdef const Feature* features
        cdef size_t n = record.n_waiting, i = n, k
        cdef double* y = x + n * d
        cdef double* row
        cdef uint32_t place = ABSENT
        memset(x, 0, n * d * sizeof(double))
        while waiting != NULL:
            i -= 1
            row = x + i * d
            features = <const Feature*>(waiting + 1)
            for k in range(waiting.n):
                place = lookup(record, features[k].hash, place + 1)
                row[self.touched[place] - 1] += features[k].value
            y[i] = self.target(waiting.label)
            y[n + i] = waiting.weight
            y[2 * n + i] = waiting.initial
            waiting = waiting.before

    cdef void lay_out_prior(self, Record* record, size_t d, double* prior, double* t) noexcept nogil:
        """Write the prior of the unknowns: precision (packed) and mean, the mean twice (also as the start)."""
        cdef size_t k
        if record.full:
            self.precision(record, prior)
        else:
            memset(prior, 0, d * (d + 1) // 2 * sizeof(double))
        for k in range(d):
            if not record.full:
                prior[k * (k + 1) // 2 + k] = self.precision_before(record, self.places[k])
            t[k] = t[d + k] = means_of(record)[self.places[k]]

    cdef int move(self, Record* record, size_t place, double mean) except -1 nogil:
        if self.center != NULL:
            self.move_center(hashes_of(record)[place], mean - means_of(record)[place], 0)
        means_of(record)[place] = mean
        return 0

    cdef int take(self, Record* record, size_t d, const double* t, const double* curvature,
                  bint matrix) except -1 nogil:
        """Store the solution of a batch in the record; the curvature is a packed matrix, or its diagonal."""
        cdef size_t k, place
        cdef double* data = precisions_of(record)
        for k in range(d):
            place = self.places[k]
            self.move(record, place, t[k])
            if self.identity:
                data[place] = 1 - ridge(self, hashes_of(record)[place])
            elif not record.full:
                data[place] += curvature[triangle(k) + k if matrix else k]
        if record.full:
            for k in range(triangle(d)):
                data[k] += curvature[k]
            if record.factored:
                self.refactor(record)
            self.inform(record)
        return 0

    cdef int solve_large(self, Record* record, size_t d) except -1:
        """Learn a batch with many unknowns, by SciPy."""
        from vwlite.bayes.solve import minimise
        import numpy as np
        cdef Waiting* waiting = record.waiting
        cdef size_t n = record.n_waiting, count = 0, k
        while waiting != NULL:
            count += waiting.n
            waiting = waiting.before
        cdef bint dense = 4 * count > n * d
        if dense:
            self.reserve(n * (d + 3))
            self.lay_out(record, d, self.work)
            features = np.asarray(<double[:n, :d]>self.work)
            targets = np.asarray(<double[:3, :n]>(self.work + n * d))
        else:
            features, targets = self.lay_out_sparse(record, d, count)
        packed = triangle(d) if record.full else d
        prior = np.empty(packed)
        start = np.empty(d)
        cdef double[::1] prior_view = prior, start_view = start
        if record.full:
            self.precision(record, &prior_view[0])
        for k in range(d):
            if not record.full:
                prior_view[k] = self.precision_before(record, self.places[k])
            start_view[k] = means_of(record)[self.places[k]]
        try:
            found, curvature, value = minimise(features, *targets, self.logistic, prior, start)
        except FloatingPointError:
            return 0
        cdef double[::1] found_view = found, curvature_view = curvature
        if not are_sane(value, &found_view[0], d, &curvature_view[0], packed):
            return 0
        self.take(record, d, &found_view[0], &curvature_view[0], record.full)
        self.noise_sum += max(2 * <double>value, 0)
        self.noise_count += n
        return 0

    cdef object lay_out_sparse(self, Record* record, size_t d, size_t count):
        """Return the batch as a sparse matrix, and (labels, weights, offsets)."""
        import numpy as np
        from scipy import sparse
        cdef Waiting* waiting = record.waiting
        cdef const Feature* features
        cdef size_t n = record.n_waiting, i = n, k
        cdef uint32_t place = ABSENT
        values, columns = np.empty(count), np.empty(count, np.int32)
        rows, targets = np.zeros(n + 1, np.int64), np.empty((3, n))
        cdef double[::1] value_view = values
        cdef int[::1] column_view = columns
        cdef long long[::1] row_view = rows
        cdef double[:, ::1] target_view = targets
        while waiting != NULL:
            i -= 1
            row_view[i + 1] = count
            count -= waiting.n
            features = <const Feature*>(waiting + 1)
            for k in range(waiting.n):
                place = lookup(record, features[k].hash, place + 1)
                value_view[count + k] = features[k].value
                column_view[count + k] = <int>self.touched[place] - 1
            target_view[0, i] = self.target(waiting.label)
            target_view[1, i] = waiting.weight
            target_view[2, i] = waiting.initial
            waiting = waiting.before
        x = sparse.csr_array((values, columns, rows), shape=(n, d))
        x.sum_duplicates()
        return x, targets

    # repeated fits of the same examples

    def mark(self):
        """Save a copy of the posteriors; return_to_mark() keeps entities that are new since, without data.

        A prior that was estimated one example at a time stays: the residuals of those examples were counted under the
        priors of their time, and a fit that used them under the current prior would estimate a noise near 0.
        """
        self.close_batches()
        self.marked = self.table.copy()
        self.marked_noise = self.noise_sum, self.noise_count
        self.holds_prior = self.estimates_prior and not self.n_prior and self.has_learned()

    def return_to_mark(self):
        """Restore the copy. The mean that entities are shrunk to stays until all are fitted again."""
        self.table.restore(self.marked, self.l2)
        self.noise_sum, self.noise_count = self.marked_noise
        self.center_fixed = True
        self.at_once = True
        self.version += 1

    def unmark(self):
        """Free the copy."""
        self.marked = None
        self.at_once = self.holds_prior = False

    def has_learned(self):
        """Whether any entity has learned an example; False with forget = 0, which drops each batch."""
        cdef Record* record = self.table.oldest
        while record != NULL and self.forget > 0:
            if record.count or record.n_waiting:
                return True
            record = record.newer
        return False

    def limit_entities(self, limit, store):
        """Hold at most `limit` entities in memory (LRU)."""
        from vwlite.entities.limited import LimitedTable
        table = LimitedTable(self.table.full, self.table.clocked)
        table.most_full, table.strict = self.table.most_full, self.table.strict
        table.anchored, table.informed = self.table.anchored, self.table.informed
        table.keep(limit, store, store.add(self.owner))
        self.table = table

    def end_pass(self):
        """With --batch_size all, learn the batch of the pass."""
        if self.batch_size == 0:
            self.fit_loss = self.fit_weight = 0
            self.close_batches()

    # after a fit of all entities

    def close_batches(self):
        """Learn the pending batches, entity by entity."""
        cdef Record* record = self.table.oldest
        cdef uint64_t key
        if self.table.limited:
            for key in self.table.waiting():
                self.complete()
                self.table.bring(key)
                record = self.table.find(key)
                if record.n_waiting:
                    record.changed = True
                    self.solve(record)
            return
        with nogil:
            while record != NULL:
                key = record.key
                if record.n_waiting:
                    self.complete()
                    self.solve(record)
                    record = self.table.find(key)
                record = record.newer
        if self.at_once and self.estimates_prior and not self.holds_prior:
            self.estimate_prior()
        if self.center_fixed and self.center != NULL:
            self.find_center()
        self.center_fixed = False


cdef bint are_sane(double value, const double* t, size_t d, const double* curvature, size_t n) noexcept nogil:
    """Whether the solution of a batch is finite and within bounds; input of 1e38 may exceed double precision."""
    cdef size_t i
    cdef bint sane = isfinite(value)
    for i in range(d):
        sane = sane and fabs(t[i]) < VWL_BEYOND
    for i in range(n):
        sane = sane and isfinite(curvature[i])
    return sane


def minimise(x, y, w, o, a, m, start, logistic):
    """The batch solver (newton.h) for tests: (t, objective, curvature, objective at start, gradient at start).

    x: rows of features; y, w, o: labels (-1 or 1 if logistic), weights, offsets; a, m: precision (rows) and mean of the
    prior. The curvature is that of the losses at t, without the prior's.
    """
    cdef size_t n = len(x), d = len(start), i, packed = d * (d + 1) // 2
    cdef vwl_batch batch
    rows = memoryview_of([value for row in x for value in row])
    columns = [memoryview_of(column) for column in (y, w, o, m, [a[i][j] for i in range(d) for j in range(i + 1)])]
    cdef double[::1] xs = rows, ys = columns[0], ws = columns[1], os = columns[2], ms = columns[3], prior = columns[4]
    cdef double[::1] t = memoryview_of(start), curvature = memoryview_of([0] * packed)
    cdef double[::1] work = memoryview_of([0] * (packed + 4 * d + 5 * n)), gradient = memoryview_of([0] * d)
    cdef double* pull = &work[d]
    cdef double* s = pull + d
    cdef double* slopes = s + n
    batch.n, batch.d, batch.logistic = n, d, logistic
    batch.x, batch.y, batch.w, batch.o, batch.a, batch.m = &xs[0], &ys[0], &ws[0], &os[0], &prior[0], &ms[0]
    for i in range(d):
        work[i] = t[i] - ms[i]
    vwl_multiply(&prior[0], d, &work[0], pull)
    vwl_scores(&batch, &t[0], s)
    vwl_slopes(&batch, s, slopes, slopes + n)
    vwl_gradient(&batch, pull, slopes, &gradient[0])
    before = vwl_objective(&batch, &t[0], pull, s)
    value = vwl_minimise(&batch, &t[0], &curvature[0], &work[0])
    symmetric = [[curvature[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for j in range(d)] for i in range(d)]
    return list(t), value, symmetric, before, list(gradient)


def memoryview_of(numbers):
    from array import array
    return array("d", numbers)
