"""Online estimate of the prior: mean and variance of entities' coefficients, and the scales of their features.

The variance is that of MacKay 1992, "Bayesian interpolation": with the means m_k, the mean c_k of all entities, the
ridges l_k and the posterior precision H, in units of the noise, its estimate from all entities is

    sum_k (m_k - c_k)^2 / gamma         gamma = sum_k 1 - l_k (H^-1)_kk: the effective degrees of freedom

gamma counts the coefficients that data determine. A record stores its two terms. They are of the ridge of its last
example, an old one in most records; as squares and gamma grow and shrink together, their ratio hardly depends on it.
The posterior variance of a coefficient does: it is near the prior's, as long as data say little, so sums of
(m_k - c_k)^2 + Var_k (EM: Laird and Ware 1982) would keep first guesses of the prior for a long time.

Design notes are in posterior.pxd. After a fit of all entities, prior.pyx estimates the prior.
"""
from libc.math cimport fabs, isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.bayes.posterior cimport SMALL, data_of, prior_mean, ridge
from vwlite.core.example cimport CONSTANT_HASH, Feature
from vwlite.entities.record cimport (
    ABSENT, UNCOUNTED, Record, hashes_of, lookup, means_of, precisions_of, track,
)

cdef double STEADY = 0.005            # relative change of the estimated ridge that is ignored
cdef double FAR = 16                  # factor on the mean square in use: a larger square updates it at once

cdef double OTHER = 1.5               # factor on a scale beyond which coefficients follow it


cdef class Spread(Posterior):
    """Posterior with an online estimate of its prior from all entities."""

    cdef int see_scales(self, const Feature* features, size_t n) except -1 nogil:
        """Update the mean squares of features other than those always 1; no effect in a model that began without."""
        cdef size_t k
        cdef uint32_t place = ABSENT
        cdef double square, count, before
        cdef bint beyond
        if not self.scaled and self.spread_count > 0:
            return 0
        self.scaled = True
        for k in range(n):
            square = <double>features[k].value * features[k].value
            place = lookup(self.scales, features[k].hash, place + 1) if self.scales != NULL else ABSENT
            before = means_of(self.scales)[place] if place != ABSENT else 1
            if place == ABSENT:
                if square == 1 or square == 0:
                    continue
                if self.scales == NULL:
                    self.squares = self.table_of_scales.make(0, NULL, 0, 2)
                    self.scales = self.table_of_scales.make(1, NULL, 0, 2)
                place = self.squares.n
                self.squares = self.table_of_scales.room(self.squares, place + 1)
                self.scales = self.table_of_scales.room(self.scales, place + 1)
                self.table_of_scales.place(self.squares, features[k].hash)
                self.table_of_scales.place(self.scales, features[k].hash)
            means_of(self.squares)[place] += square
            precisions_of(self.squares)[place] += 1
            count = precisions_of(self.squares)[place]
            beyond = square > FAR * means_of(self.scales)[place]
            if means_of(self.squares)[place] > 0 and (beyond or (<uint64_t>count & (<uint64_t>count - 1)) == 0):
                means_of(self.scales)[place] = means_of(self.squares)[place] / count
                before /= means_of(self.scales)[place]
                if not 1 / OTHER < before < OTHER:
                    self.follow_scale(features[k].hash, before)
        return 0

    cdef int follow_scale(self, uint32_t hash, double ratio) except -1 nogil:
        """Adapt the entities' coefficients of a feature to its new scale; the old one was `ratio` times that."""
        return 0

    cdef double enter_center(self, uint32_t hash) except? -1e300 nogil:
        """Start a coefficient of a new entity at the mean, which this does not change."""
        cdef uint32_t place = track(self.center, hash, self.center_guesses)
        cdef double mean = 0
        if self.center_fixed:
            return prior_mean(self, hash)
        if place == ABSENT:
            self.move_center(hash, 0, 1)
            return 0
        mean = means_of(self.center)[place] / precisions_of(self.center)[place]
        means_of(self.center)[place] += mean
        precisions_of(self.center)[place] += 1
        return mean

    cdef int move_center(self, uint32_t hash, double by, int more) except -1 nogil:
        """Update the mean: a coefficient of one entity has moved, or is new."""
        cdef uint32_t place
        if self.center_fixed:
            return 0
        place = track(self.center, hash, self.center_guesses)
        if place == ABSENT:
            self.center = self.table_of_means.room(self.center, self.center.n + 1)
            place = self.table_of_means.place(self.center, hash)
        means_of(self.center)[place] += by
        precisions_of(self.center)[place] += more
        return 0

    cdef int move_centers(self, const uint32_t* hashes, const double* u, double g, size_t n) except -1 nogil:
        """move_center() for n coefficients that have moved by u g."""
        cdef uint32_t place
        cdef size_t k
        for k in range(n if not self.center_fixed else 0):
            place = track(self.center, hashes[k], self.center_guesses)
            if place != ABSENT:
                means_of(self.center)[place] += u[k] * g
            else:
                self.move_center(hashes[k], u[k] * g, 0)
        return 0

    # online estimate of the prior variance

    cdef bint is_time_for_spread(self, Record* record) noexcept nogil:
        """Whether an update of the estimate is due: once the noise is known; for a full matrix after 1, 2, 3, 4, 6, 8,
        ... examples."""
        cdef int64_t count = record.count
        if self.estimates_noise and self.noise_count < 2:
            return False
        if not record.full or record.n < 3:
            return True
        while count > 3 and count % 2 == 0:
            count //= 2
        return count <= 3

    cdef double spread(self, Record* record, double* dof) except? -1 nogil:
        """Sum of squared deviations of the coefficients, times their scales; sets `dof` to their degrees of freedom."""
        cdef size_t d = record.n, k
        cdef double total = 0, delta, l2, unit = 1 / self.l2, data, known = 0
        cdef double* v
        cdef bint exact = record.full and d <= SMALL
        self.reserve(d + d * (d + 1) // 2)
        v = self.work
        if exact:
            self.factor(record, v + d)
        for k in range(d):
            if self.intercept_l2 > 0 and hashes_of(record)[k] == CONSTANT_HASH:
                continue
            l2 = ridge(self, hashes_of(record)[k])
            delta = means_of(record)[k] - prior_mean(self, hashes_of(record)[k])
            total += delta * delta * (l2 * unit)
            if self.identity:         # its posterior variance depends on neither data nor prior: m^2 + Var, as EM
                total += self.scale() * (l2 * unit)
                known += 1
            elif exact:
                known += min(max(1 - l2 * self.unit_variance(k, d, v), 0), 1)
            else:
                data = data_of(self, record, k)
                known += data / (data + l2)
        if record.full and not exact:
            known = min(known, <double>record.count)      # correlations are ignored: an example has one at most
        dof[0] = known
        return total

    cdef int count_spread(self, Record* record) except -1 nogil:
        """Update the contribution of an entity to the estimate of the prior."""
        self.spread_sum -= record.spread
        self.dof_sum -= record.dof
        record.spread = self.spread(record, &record.dof)
        self.spread_sum += record.spread
        self.dof_sum = max(self.dof_sum + record.dof, 0)
        return 0

    cdef inline int complete(self) except -1 nogil:
        """Before anything is learned: compute the sums of a model that has none; with a limit, evicts entities."""
        if self.dof_sum < 0 and self.estimates_prior and not self.n_prior:
            with gil:
                self.count_all()
        return 0

    cdef int count_all(self) except -1:
        """Compute the sums of all entities, each under the ridge of its means: after a fit, or if a model has none."""
        cdef Record* record
        cdef double l2 = self.l2
        cdef uint64_t key
        self.spread_sum = self.dof_sum = 0
        try:
            for key in self.table.keys_as_met():
                self.table.bring(key)
                record = self.table.find(key)
                record.spread = record.dof = 0
                record.changed = True
                self.l2 = record.prior
                self.count_spread(record)
        except Exception:
            self.dof_sum = UNCOUNTED
            raise
        finally:
            self.l2 = l2
        return 0

    cdef void estimate_ridge(self) noexcept nogil:
        """Estimate the ridge. The first ridge counts as one degree of freedom: the first few entities don't diverge.

        The ridge is the ratio of the noise variance and the variance of a score by a coefficient, so bounds and start
        have no unit. A change of less than STEADY is ignored, because every record must follow a new ridge.
        """
        cdef double scale = self.scale()
        cdef double variance = (self.spread_sum + scale / self.first_l2) / (self.dof_sum + 1)
        cdef double l2
        if not (variance > 0 and isfinite(variance)):
            return
        l2 = min(max(scale / variance, 1e-9), 1e9)
        if fabs(l2 - self.l2) > STEADY * self.l2:
            self.l2 = l2
