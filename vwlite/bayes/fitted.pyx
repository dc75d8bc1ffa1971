"""Import of a joint fit of all parts (mixed/problem.py) into the entity tables of the learners."""
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.bayes.batches cimport Batches
from vwlite.bayes.posterior cimport MOST_CORRELATED, prior_mean
from vwlite.core.example cimport CONSTANT_HASH
from vwlite.entities.record cimport ABSENT, Record, hashes_of, lookup, means_of, precisions_in, precisions_of, triangle


def can_take(Batches learner not None):
    """Whether a fit can replace the learner's state: it has learned nothing before, or forgets it (forget = 0)."""
    return not (learner.identity or learner.table.limited or learner.has_learned())


def settings(Batches learner not None):
    """Settings for a fit: (full posterior, noise or None if estimated, ridge, whether that is estimated, ridge of the
    intercept or 0, shrinks to mean, logistic)."""
    noise = None if learner.estimates_noise else learner.noise
    return (bool(learner.full), noise, learner.l2, bool(learner.estimates_prior), learner.intercept_l2,
            learner.center != NULL, bool(learner.logistic))


def take_prior(Batches learner not None, uint32_t[::1] hashes, double[:, ::1] precision, double l2):
    """Import an estimated prior, in units of the noise: the precision of a few coefficients, or one ridge.

    A prior beyond double precision is ignored.
    """
    cdef size_t i, j
    for i in range(<size_t>hashes.shape[0]):
        for j in range(<size_t>hashes.shape[0]):
            if not isfinite(precision[i, j]):
                return
    if not isfinite(l2):
        return
    learner.n_prior = hashes.shape[0]
    for i in range(learner.n_prior):
        learner.prior_hashes[i] = hashes[i]
        for j in range(learner.n_prior):
            learner.prior[i * MOST_CORRELATED + j] = precision[i, j]
    learner.l2 = l2
    learner.version += 1


def take_noise(Batches learner not None, double noise, double count):
    """Import the noise variance, and the number of examples that it counts as."""
    if learner.estimates_noise:
        learner.noise_sum, learner.noise_count = noise * count, count


def take(Batches learner not None, uint64_t[::1] keys, uint32_t[:, ::1] hashes, uint32_t[::1] sizes,
         double[:, ::1] means, double[:, :, ::1] data, int64_t[::1] counts):
    """Import the posteriors of entities: for each, `sizes` coefficients, their means, and the data's precision."""
    cdef Record* record
    cdef size_t e, i, j, n
    cdef uint32_t a, b
    cdef double* known
    for e in range(<size_t>keys.shape[0]):
        record = learner.table.find(keys[e])
        if record == NULL:
            raise KeyError(keys[e])
        n = sizes[e]
        if record.full and record.n < n:
            learner.watch_size(record, n)
        for i in range(n):
            if lookup(record, hashes[e, i], <uint32_t>i) == ABSENT:
                record = learner.table.room(record, max(record.n + 1, <uint32_t>n))
                learner.table.place(record, hashes[e, i])
                learner.spread_count += not (learner.intercept_l2 > 0 and hashes[e, i] == CONSTANT_HASH)
        learner.table.let_between_go(record)
        known = precisions_of(record)
        for i in range(precisions_in(record)):
            known[i] = 0
        for i in range(record.n):
            means_of(record)[i] = prior_mean(learner, hashes_of(record)[i])
        for i in range(n):
            a = lookup(record, hashes[e, i], <uint32_t>i)
            means_of(record)[a] = means[e, i]
            if not record.full:
                known[a] = max(data[e, i, i], 0)
                continue
            for j in range(i + 1):
                b = lookup(record, hashes[e, j], <uint32_t>j)
                known[triangle(max(a, b)) + min(a, b)] = max(data[e, i, i], 0) if i == j else data[e, i, j]
        record.clock = learner.now(record)
        record.prior = learner.l2
        record.count += counts[e]
        record.changed = True
        if record.factored:
            learner.refactor(record)
        learner.inform(record)
    learner.version += 1


def end(Batches learner not None):
    """End of an import: update the mean that entities are shrunk to, and restart the estimates."""
    if learner.center != NULL:
        learner.find_center()
    learner.center_fixed = False
    learner.spread_sum = learner.dof_sum = 0
    if learner.estimates_prior and not learner.n_prior:
        learner.count_all()
