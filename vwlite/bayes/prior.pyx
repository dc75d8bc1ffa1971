"""Empirical prior: estimated from all entities after a fit; the mathematics is in variance.py."""
from libc.stdint cimport uint32_t

from vwlite.bayes.posterior cimport MOST_CORRELATED, data_of, prior_mean, ridge
from vwlite.entities.record cimport ABSENT, Record, hashes_of, lookup, means_of, precisions_of

cdef extern from "vwlite/core/newton.h" nogil:
    const double VWL_BEYOND


cdef class EstimatedPrior(Updates):
    """Posterior of entities with an estimated prior: its mean and covariance."""

    cdef int find_center(self) except -1:
        """Compute the mean of each coefficient over all entities."""
        cdef Record* record = self.table.oldest
        cdef size_t k
        self.center_fixed = False
        self.center = self.table_of_means.empty(self.center)
        while record != NULL:
            for k in range(record.n):
                self.move_center(hashes_of(record)[k], means_of(record)[k], 1)
            record = record.newer
        return 0

    cdef int estimate_prior(self) except -1:
        """After a fit of all entities, estimate the prior, and the means under it.

        Full posteriors of few coefficients get a covariance matrix; all others one ridge.
        """
        from vwlite.bayes import variance
        cdef Record* record = self.table.oldest
        cdef size_t k, n = 0, total = 0
        cdef bint structured, matrices = self.full
        hashes = {}
        while record != NULL:
            n += record.n > 0
            matrices = matrices and record.full
            total += record.n
            for k in range(record.n if len(hashes) <= MOST_CORRELATED else 0):
                hashes.setdefault(hashes_of(record)[k], len(hashes))
            record = record.newer
        structured = matrices and 0 < len(hashes) <= MOST_CORRELATED and not self.intercept_l2
        if structured:
            self.estimate_covariance(variance, list(hashes), n)
        elif total:
            self.estimate_one(variance, total)
        return 0

    cdef object noise_of(self, variance, double explained):
        return variance.Noise(self.estimates_noise, self.noise_sum, self.noise_count, explained, self.noise)

    cdef int estimate_covariance(self, variance, list hashes, size_t n) except -1:
        """Estimate the covariance matrix of the coefficients."""
        import numpy as np

        from vwlite.bayes.moments import products
        cdef size_t d = len(hashes), i, j, k, at = 0
        cdef Record* record = self.table.oldest
        cdef uint32_t a, c
        data, means, start = np.zeros((n, d, d)), np.zeros((n, d)), np.zeros((d, d))
        center = np.array([prior_mean(self, hash) for hash in hashes])
        cdef double[:, :, ::1] data_view = data
        cdef double[:, ::1] means_view = means
        while record != NULL:
            if record.n:
                for i in range(d):
                    a = lookup(record, hashes[i], 0)
                    if a == ABSENT:
                        means_view[at, i] = center[i]
                        continue
                    means_view[at, i] = means_of(record)[a]
                    for j in range(d):
                        c = lookup(record, hashes[j], 0)
                        if c != ABSENT:
                            k = <size_t>max(a, c) * (max(a, c) + 1) // 2 + min(a, c)
                            data_view[at, i, j] = precisions_of(record)[k]
                at += 1
            record = record.newer
        known = {self.prior_hashes[i]: i for i in range(self.n_prior)}
        for i in range(d):
            start[i, i] = ridge(self, hashes[i])
            for j in range(d):
                if i != j and hashes[i] in known and hashes[j] in known:
                    start[i, j] = self.prior[<size_t>known[hashes[i]] * MOST_CORRELATED + <size_t>known[hashes[j]]]
        means -= center
        b = products(data, start, means)
        explained = float((b * means).sum())
        noise = self.noise_of(variance, explained)
        precision, means, explained_now = variance.covariance(data, b, start, noise, self.center != NULL)
        if not is_sane(precision, means):
            return 0
        if self.estimates_noise:
            self.noise_sum += explained - <double>explained_now
        means_view = means
        self.n_prior = d
        for i in range(d):
            self.prior_hashes[i] = hashes[i]
            for j in range(d):
                self.prior[i * MOST_CORRELATED + j] = precision[i, j]
        record = self.table.oldest
        at = 0
        while record != NULL:
            if record.n:
                for i in range(d):
                    a = lookup(record, hashes[i], 0)
                    if a != ABSENT:
                        means_of(record)[a] = means_view[at, i] + <double>center[i]
                at += 1
            record = record.newer
        self.version += 1
        return 0

    cdef int estimate_one(self, variance, size_t total) except -1:
        """Estimate one ridge for all coefficients, as if they were uncorrelated."""
        import numpy as np
        cdef Record* record = self.table.oldest
        cdef size_t k, at = 0
        data, means, hashes = np.zeros(total), np.zeros(total), np.zeros(total, np.uint32)
        cdef double[::1] data_view = data, means_view = means
        cdef uint32_t[::1] hash_view = hashes
        while record != NULL:
            for k in range(record.n):
                data_view[at] = data_of(self, record, k)
                means_view[at] = means_of(record)[k] - prior_mean(self, hashes_of(record)[k])
                hash_view[at] = hashes_of(record)[k]
                at += 1
            record = record.newer
        b = (data + self.l2) * means
        explained = float((b * means).sum())
        columns = np.unique(hashes, return_inverse=True)[1] if self.center != NULL else None
        found, means, explained_now = variance.ridge(data, b, self.l2, self.noise_of(variance, explained), columns)
        if not is_sane(found, means):
            return 0
        self.l2 = found
        means_view = means
        record = self.table.oldest
        at = 0
        while record != NULL:
            if record.full and record.n:
                self.pass_time(record, record.clock, 0)
            for k in range(record.n if not record.full else 0):
                means_of(record)[k] = prior_mean(self, hashes_of(record)[k]) + means_view[at + k]
            at += record.n
            record.prior = self.l2
            record = record.newer
        if self.estimates_noise and not self.full:
            self.noise_sum += <double>explained - <double>explained_now
        self.version += 1
        return 0


cdef bint is_sane(prior, means) except -1:
    """Whether an estimate is finite and within bounds; otherwise the prior and the means don't change."""
    import numpy as np
    return bool(np.isfinite(prior).all() and (abs(means) < VWL_BEYOND).all())
