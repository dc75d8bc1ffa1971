"""Marginal precision of the fixed part (Schur complement). Design notes are in marginal.pxd."""
import struct

from libc.math cimport fabs
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.bayes.posterior cimport ridge
from vwlite.bayes.updates cimport Updates
from vwlite.core.arrays cimport grow
from vwlite.core.example cimport Example
from vwlite.entities.cross_precision cimport other_column, other_hashes, other_origins
from vwlite.entities.record cimport (
    ABSENT, UNTOLD, CrossPrecision, Record, hashes_of, lookup, means_of, precisions_of, triangle,
)
from vwlite.entities.table cimport EntityTable, origins_of

from vwlite.errors import ModelError

cdef extern from "vwlite/core/newton.h" nogil:
    double vwl_dot_product(const double* a, const double* b, size_t n)
    const double VWL_BEYOND
    void vwl_cholesky(double* a, size_t n)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)
    void vwl_forward(const double* factor, size_t n, double* b)
    void vwl_backward(const double* factor, size_t n, double* b)

cdef double CHANGED = 0.02            # relative change of a ridge that causes a recomputation
cdef int64_t LEAST_SUMMED = 8         # examples before the first recomputation
cdef int64_t MOST_SUMMED = 1 << 15    # examples of the last one: the error of the first estimates is small
cdef double SMALL = 1e-7              # regularization of a precision that may be singular, relative to its diagonal


cdef class Marginal:
    """Precision of the fixed part given the entities (F), and its marginal.

    Args:
        fixed: The learner of the fixed part.
        effects: The learners of the effects.
    """

    def __cinit__(self, Updates fixed not None, list effects not None):
        self.fixed = fixed
        self.effects = effects
        self.table = EntityTable(True, False)
        self.whole = self.can_begin()
        self.ridges = [(<Updates>effect).l2 for effect in effects]

    def __dealloc__(self):
        free(self.work)
        free(self.room)
        free(self.pulls)

    def can_begin(self):
        """Whether all parts have full posteriors without forgetting, and one effect an estimated prior."""
        cdef Updates part
        for part in (self.fixed, *self.effects):
            if not part.full or part.identity or part.forget < 1:
                return False
        return any([(<Updates>effect).estimates_prior for effect in self.effects])

    def let_go(self):
        """Free the sums: no longer needed, or incomplete, as some examples were learned otherwise."""
        self.whole = False
        self.table.clear()

    cdef int see(self, uint64_t number, Example ex, double c) except -1 nogil:
        """Add c x x' to F, or to F_r if the number is r + 1; F_r has its features in the order of F."""
        cdef Record* record = self.table.find(number)
        cdef Record* first
        cdef uint32_t place = ABSENT
        cdef uint32_t* places
        cdef double* data
        cdef size_t k, i, j, other, n = ex.n
        if record == NULL:
            record = self.table.make(number, "", 0, <uint32_t>n)
        if number:
            first = self.table.find(0)
            record = self.table.room(record, first.n)
            while record.n < first.n:
                self.table.place(record, hashes_of(first)[record.n])
        self.fixed.reserve_places(n, 0)
        places = self.fixed.places
        for k in range(n):
            place = lookup(record, ex.features[k].hash, place + 1)
            if place == ABSENT:
                record = self.table.room(record, record.n + 1)
                place = self.table.place(record, ex.features[k].hash)
            places[k] = place
            if number == 0:
                means_of(record)[place] = max(means_of(record)[place],
                                              <double>ex.features[k].value * ex.features[k].value)
        data = precisions_of(record)
        if n > record.n:              # features occur several times, perhaps so often that n^2 products take minutes
            self.add_sums(record, ex, c)
            n = 0
        for k in range(n):
            i = places[k]
            for other in range(n):
                j = places[other]
                if j <= i:
                    data[triangle(i) + j] += c * ex.features[k].value * ex.features[other].value
        for k in range(ex.n):         # rounding may make the sum negative if a feature occurs several times
            data[triangle(places[k]) + places[k]] = max(data[triangle(places[k]) + places[k]], 0)
        record.count += 1
        return 0

    cdef int add_sums(self, Record* record, Example ex, double c) except -1 nogil:
        """Add c x x', x the sums of the values of each coefficient, which `fixed.places` names by feature."""
        cdef size_t i, j, k
        cdef double* data = precisions_of(record)
        cdef double* x
        grow(&self.room, &self.room_size, record.n, sizeof(double))
        x = self.room
        memset(x, 0, record.n * sizeof(double))
        for k in range(ex.n):
            x[self.fixed.places[k]] += ex.features[k].value
        for i in range(record.n):
            for j in range(i + 1 if x[i] != 0 else 0):
                data[triangle(i) + j] += c * x[i] * x[j]
        return 0

    cdef bint is_time(self) except -1 nogil:
        """Whether a recomputation is due: after 8, 16, 32, ... examples."""
        cdef Record* record = self.table.find(0)
        return record != NULL and record.count >= LEAST_SUMMED and record.count & (record.count - 1) == 0

    cdef inline double prior(self, size_t i) noexcept nogil:
        """Prior precision of a coefficient of the fixed part, including the lower bound of a flat prior."""
        cdef Record* all_of = self.table.find(0)
        cdef double l2 = ridge(self.fixed, hashes_of(all_of)[i])
        return l2 if l2 > 0 else self.fixed.least * means_of(all_of)[i]

    cdef int renew(self) except -1:
        """Recompute the fixed part's precision under the current ridges; with several effects, also its mean."""
        cdef Record* all_of = self.table.find(0)
        cdef bint last = all_of.count >= MOST_SUMMED
        cdef bint several = len(self.effects) > 1
        ridges = [(<Updates>effect).l2 for effect in self.effects]
        changed = any([fabs(now - before) > CHANGED * before for now, before in zip(ridges, self.ridges, strict=True)])
        if several or changed:
            try:
                keys = self.work_out(several)
            except ModelError:        # the disk is full, and entities can't be evicted: the writer reports it
                keys = None
            if keys is not None:
                if several:
                    self.take_over(keys)
                self.take()
                self.ridges = ridges
        if last:
            self.let_go()
        return 0

    def work_out(self, bint several):
        """Compute the precision, in the second part of `work`; returns the keys of the entities, None on failure."""
        cdef Record* all_of = self.table.find(0)
        cdef Record* known
        cdef size_t d = all_of.n, size = triangle(d), r, i
        cdef double* found
        cdef double most
        grow(&self.work, &self.work_size, 4 * size + d, sizeof(double))
        grow(&self.pulls, &self.pulls_size, (len(self.effects) + 1) * d, sizeof(double))
        memset(self.pulls, 0, (len(self.effects) + 1) * d * sizeof(double))
        found = self.work + size
        all_keys = [(<Updates>effect).table.keys_as_met() for effect in self.effects]
        for r, effect in enumerate(self.effects):
            known = self.table.find(r + 1) if several else all_of
            memcpy(found, precisions_of(known), size * sizeof(double))
            if not self.subtract(effect, all_keys[r], known, found, self.pulls + r * d if several else NULL):
                self.let_go()
                return None
            if several:
                self.solve(r, self.pulls + r * d)
                self.add_covariance(r)
        if several:
            invert(self.work, found, self.work + 3 * size, d)
        for i in range(d):
            most = precisions_of(all_of)[triangle(i) + i]
            if several:
                found[triangle(i) + i] = max(found[triangle(i) + i] - self.prior(i), 0)
            if not 0 <= found[triangle(i) + i] <= most:
                return None           # beyond double precision
            if ridge(self.fixed, hashes_of(all_of)[i]) <= 0:
                found[triangle(i) + i] += self.prior(i)
        return all_keys if self.make_definite() else None

    cdef bint make_definite(self) noexcept:
        """Add a little to the computed diagonal where rounding has left no positive definite matrix; False on failure.

        Features that are collinear, such as movies of one genre each, have directions without data.
        """
        cdef Record* all_of = self.table.find(0)
        cdef size_t d = all_of.n, size = triangle(d), i, tries
        cdef double* found = self.work + size
        cdef double* factor = self.work + 3 * size
        cdef double* diagonal = factor + size
        cdef double* row
        cdef bint definite
        for tries in range(3):
            memcpy(factor, found, size * sizeof(double))
            for i in range(d):
                diagonal[i] = factor[triangle(i) + i] = found[triangle(i) + i] + ridge(self.fixed, hashes_of(all_of)[i])
            vwl_cholesky(factor, d)
            definite = True
            for i in range(d):        # L L' has the same diagonal only if no pivot had to be replaced
                row = factor + triangle(i)
                definite = definite and fabs(vwl_dot_product(row, row, i + 1) - diagonal[i]) <= 1e-9 * diagonal[i]
            if definite:
                return True
            for i in range(d):
                found[triangle(i) + i] += precisions_of(all_of)[triangle(i) + i] * (SMALL if tries else SMALL / 100)
        return False

    cdef void take(self) noexcept:
        """Store the computed precision in the fixed part."""
        cdef Record* all_of = self.table.find(0)
        cdef Record* fixed = self.fixed.table.find(0)
        cdef double* data = precisions_of(fixed)
        cdef double* found = self.work + triangle(all_of.n)
        cdef size_t i, j
        cdef uint32_t a, b
        for i in range(all_of.n):
            a = lookup(fixed, hashes_of(all_of)[i], <uint32_t>i)
            for j in range(i + 1):
                b = lookup(fixed, hashes_of(all_of)[j], <uint32_t>j)
                if a != ABSENT and b != ABSENT:
                    data[triangle(max(a, b)) + min(a, b)] = found[triangle(i) + j]
        if fixed.factored:
            self.fixed.refactor(fixed)
        self.fixed.inform(fixed)
        self.fixed.version += 1

    cdef void solve(self, size_t r, double* pull) noexcept:
        """Newton step H_r^-1 g_r in place, for the features that entities of the effect have; 0 for the others."""
        cdef Record* known = self.table.find(r + 1)
        cdef size_t d = known.n, size = triangle(d), i, j, n = 0
        cdef double* h = self.work + size
        cdef double* factor = self.work + 3 * size
        cdef double* b = factor + size
        cdef Record* fixed = self.fixed.table.find(0)
        cdef uint32_t place
        if (<Updates>self.effects[r]).center != NULL or self.lacking >> r & 1:
            memset(pull, 0, d * sizeof(double))
            return
        for i in range(d):
            if pull[i] == 0:
                continue
            for j in range(i):
                if pull[j] != 0:
                    factor[n] = h[triangle(i) + j]
                    n += 1
            factor[n] = h[triangle(i) + i] + precisions_of(known)[triangle(i) + i] * SMALL + self.prior(i)
            n += 1
        n = 0
        for i in range(d):
            if pull[i] != 0:
                place = lookup(fixed, hashes_of(known)[i], <uint32_t>i)
                b[n] = pull[i] - (self.prior(i) * means_of(fixed)[place] if place != ABSENT else 0)
                n += 1
        vwl_cholesky(factor, n)
        vwl_forward(factor, n, b)
        vwl_backward(factor, n, b)
        n = 0
        for i in range(d):
            if pull[i] != 0:
                pull[i] = b[n]
                n += 1

    cdef int take_over(self, list keys) except -1:
        """Move the common part of the entities' coefficients to the fixed part."""
        cdef Record* all_of = self.table.find(0)
        cdef Record* fixed = self.fixed.table.find(0)
        cdef Record* record
        cdef Updates effect
        cdef size_t d = all_of.n, r, i, n_effects = len(self.effects)
        cdef double* in_all = self.pulls + n_effects * d
        cdef uint32_t place
        cdef uint64_t key
        for r in range(n_effects):
            for i in range(d):
                in_all[i] += self.pulls[r * d + i]
        for i in range(d):
            if not fabs(in_all[i]) < VWL_BEYOND:
                return 0
        for r in range(n_effects):
            effect = self.effects[r]
            for key in keys[r]:
                effect.table.bring(key)
                record = effect.table.find(key)
                if record.count:
                    self.give(effect, record, self.pulls + r * d, in_all)
            effect.version += 1
        for i in range(d):
            place = lookup(fixed, hashes_of(all_of)[i], <uint32_t>i)
            if place != ABSENT:
                means_of(fixed)[place] += in_all[i]
        return 0

    cdef int give(self, Updates effect, Record* record, const double* by, const double* in_all) except -1:
        """Move an entity's mean by - A^-1 E times the step of its effect, and its origin by the whole step."""
        cdef CrossPrecision* between = record.between
        cdef Record* all_of = self.table.find(0)
        cdef size_t n = record.n, k
        cdef double* factor
        cdef double* given
        cdef double* moves
        cdef uint32_t place
        grow(&self.room, &self.room_size, triangle(n) + 2 * n, sizeof(double))
        factor = self.room
        given = factor + triangle(n)
        moves = given + n
        for k in range(n):
            place = lookup(all_of, hashes_of(record)[k], <uint32_t>k)
            given[k] = by[place] if place != ABSENT else 0
            if place != ABSENT and origins_of(effect.table, record)[k] != UNTOLD:
                origins_of(effect.table, record)[k] += in_all[place]
        for k in range(between.n if between != NULL else 0):
            place = lookup(all_of, other_hashes(between)[k], <uint32_t>k)
            if place != ABSENT:
                other_origins(between)[k] += in_all[place]
        effect.precision(record, factor)
        vwl_cholesky(factor, n)
        vwl_multiply(precisions_of(record), n, given, moves)
        vwl_forward(factor, n, moves)
        vwl_backward(factor, n, moves)
        for k in range(n):
            means_of(record)[k] -= moves[k]
        effect.inform(record)
        record.changed = True
        if record.dof > 0:            # it is included in the estimate of the prior
            effect.count_spread(record)
        return 0

    cdef bint subtract(self, Updates effect, list keys, Record* known, double* into, double* pull) except -1:
        """Subtract the Schur complement terms of all entities; returns False if a posterior is not full.

        With several effects, also compute their pull.
        """
        cdef Record* record
        cdef uint64_t key
        for key in keys:
            effect.table.bring(key)
            record = effect.table.find(key)
            if not record.full:
                return False
            if record.count:
                self.subtract_one(effect, record, known, into)
                if pull != NULL:
                    self.add_pull(effect, record, pull)
        return True

    cdef int add_pull(self, Updates effect, Record* record, double* pull) except -1:
        """Add P t to the pull; t is the mean given the current fixed part. The factor of A is in `room`."""
        cdef Record* all_of = self.table.find(0)
        cdef size_t n = record.n, k
        cdef double* lost
        cdef uint32_t place
        grow(&self.room, &self.room_size, triangle(n) + 3 * n, sizeof(double))
        lost = self.room + triangle(n)
        effect.follow(record, lost, self.room)
        for k in range(n):
            place = lookup(all_of, hashes_of(record)[k], <uint32_t>k)
            if place != ABSENT:
                pull[place] += ridge(effect, hashes_of(record)[k]) * (means_of(record)[k] - lost[k])
        return 0

    cdef int subtract_one(self, Updates effect, Record* record, Record* known, double* into) except -1:
        """Subtract the term of one entity, D' A^-1 D = Y' Y, Y = L^-1 D, with the Cholesky factor A = L L'."""
        cdef CrossPrecision* between = record.between
        cdef size_t n = record.n, m = between.n if between != NULL else 0, i, j, k, kept = 0
        cdef double* factor
        cdef double* y
        cdef double* data = precisions_of(record)
        cdef uint32_t* places
        cdef uint32_t hash, place
        cdef double total
        grow(&self.room, &self.room_size, triangle(n) + (n + 1) * (n + m), sizeof(double))
        factor = self.room
        y = factor + triangle(n)
        places = <uint32_t*>(y + n * (n + m))
        effect.precision(record, factor)
        vwl_cholesky(factor, n)
        for k in range(n + m):
            hash = hashes_of(record)[k] if k < n else other_hashes(between)[k - n]
            place = lookup(known, hash, <uint32_t>k)
            if place == ABSENT:
                continue
            places[kept] = place
            for i in range(n):
                if k < n:
                    y[kept * n + i] = data[triangle(max(i, k)) + min(i, k)]
                else:
                    y[kept * n + i] = other_column(between, k - n)[i] if i < between.rows else 0
            vwl_forward(factor, n, y + kept * n)
            for j in range(kept + 1):
                total = vwl_dot_product(y + kept * n, y + j * n, n)
                into[triangle(max(place, places[j])) + min(place, places[j])] -= total
            kept += 1
        return 0

    cdef void add_covariance(self, size_t r) noexcept:
        """Add H_r^-1 - F_r^-1 to the sum, F^-1 before the first; regularized, as all may be singular."""
        cdef size_t d = self.table.find(0).n, size = triangle(d), i
        cdef double* total = self.work
        cdef double* one = total + size
        cdef double* other = one + size
        cdef double* scratch = other + size
        cdef double* known = precisions_of(self.table.find(r + 1))
        if r == 0:
            self.invert_sum(0, total, scratch)
        for i in range(d):
            one[triangle(i) + i] += known[triangle(i) + i] * SMALL + self.prior(i)
        invert(one, one, scratch, d)
        self.invert_sum(r + 1, other, scratch)
        for i in range(size):
            total[i] += one[i] - other[i]

    cdef void invert_sum(self, uint64_t number, double* into, double* scratch) noexcept:
        """Inverse of F, or of F_r, regularized."""
        cdef Record* record = self.table.find(number)
        cdef size_t i
        memcpy(into, precisions_of(record), triangle(record.n) * sizeof(double))
        for i in range(record.n):
            into[triangle(i) + i] += into[triangle(i) + i] * SMALL + self.prior(i)
        invert(into, into, scratch, record.n)

    def save_load(self, io):
        """Save or load the sums and the ridges; a model without them continues without."""
        from vwlite.entities.limited import save_load_table
        if io.saving and not self.whole:
            return
        if not io.saving and not io.has("ridge"):
            self.let_go()
            return
        ridges = io.array("ridge", "F64", struct.pack(f"<{len(self.ridges)}d", *self.ridges))
        self.lacking = io.int64("lacking", self.lacking)
        save_load_table(self.table, io)
        if not io.saving:
            self.ridges = list(ridges)
            if len(ridges) != len(self.effects) or not self.is_sound():
                io.refuse("the sums of its fixed part are inconsistent")

    cdef bint is_sound(self) except -1:
        """Whether the loaded records are full, with the same features in the same order."""
        cdef Record* first = self.table.find(0)
        cdef Record* record = self.table.oldest
        cdef size_t i, most = len(self.effects) + 1 if len(self.effects) > 1 else 1
        if self.table.count != (0 if first == NULL else most):
            return False
        while record != NULL:
            if not record.full or record.key >= most or record.n != first.n:
                return False
            for i in range(record.n):
                if hashes_of(record)[i] != hashes_of(first)[i] or not precisions_of(record)[triangle(i) + i] >= 0:
                    return False
            record = record.newer
        return True


cdef void invert(const double* a, double* into, double* scratch, size_t d) noexcept nogil:
    """Inverse of a positive definite matrix, both packed by rows; scratch has a matrix and a column."""
    cdef size_t i, j
    cdef double* b = scratch + triangle(d)
    memcpy(scratch, a, triangle(d) * sizeof(double))
    vwl_cholesky(scratch, d)
    for i in range(d):
        memset(b, 0, d * sizeof(double))
        b[i] = 1
        vwl_forward(scratch, d, b)
        vwl_backward(scratch, d, b)
        for j in range(i + 1):
            into[triangle(i) + j] = b[j]
