"""The parts of a score at once. Design notes and equations are in together.pxd."""
from libc.math cimport fabs
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.bayes.posterior cimport data_of, ridge
from vwlite.core.arrays cimport grow
from vwlite.core.example cimport CONSTANT_HASH, PADDING, Example, Feature
from vwlite.entities.cross_precision cimport other_hashes, other_place
from vwlite.entities.record cimport ABSENT, CrossPrecision, Record, hashes_of, lookup, means_of, precisions_of

cdef extern from "vwlite/core/newton.h" nogil:
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_multiply(const double* a, size_t n, const double* x, double* r)

cdef enum:
    KNOWN = 1000000                   # the variance of a score, in units of the noise, that says nothing of the noise


# An effect by itself, of the entity that the example points at. Together calls these by address, as arrays of C know no
# objects and counting references needs the GIL.

ctypedef bint (*Asked)(void*, Example) except -1 nogil
ctypedef double (*Loaded)(void*, uint32_t) noexcept nogil
ctypedef double (*Shifted)(void*, size_t, void*, bint) except? -1e300 nogil
ctypedef int (*Settled)(void*, double, double) except -1 nogil
ctypedef bint (*Pulled)(void*, double, double, Example, double*, double*) noexcept nogil
ctypedef void (*Noisy)(void*, double) noexcept nogil
ctypedef double (*Told)(void*) noexcept nogil
ctypedef size_t (*Counted)(void*) noexcept nogil
ctypedef int (*Booked)(void*) except -1 nogil
ctypedef size_t (*Added)(void*, Record*, double, Feature*) noexcept nogil
ctypedef int (*Weighed)(void*, Example) except -1 nogil
ctypedef int (*Seen)(void*, Example, Record*, double) except -1 nogil

cdef bint can_step(Updates effect, Example ex) except -1 nogil:
    """Whether it learns single examples, and none waits for others; the entity exists from now on."""
    effect.meet(ex)
    return effect.learns_single(ex)

cdef bint look(Updates effect, Example ex) except -1 nogil:
    effect.look(ex)
    effect.lean()
    effect.weigh_loads()
    effect.subject.changed = True
    return True

cdef bint glance(Updates effect, Example ex) except -1 nogil:
    """For a prediction; whether anything is known."""
    effect.glance(ex)
    if effect.subject == NULL:
        return False
    effect.lean()
    effect.weigh_loads()
    return True

cdef int settle(Updates effect, double g, double c) except -1 nogil:
    return effect.settle(g, c)

cdef bint pull(Updates effect, double s, double z, Example ex, double* g, double* c) noexcept nogil:
    return effect.pull(s, z, ex.label, ex.weight, g, c)

cdef void add_noise(Updates effect, double amount) noexcept nogil:
    effect.add_noise(amount)

cdef double reach(Updates effect) noexcept nogil:
    return effect.reach

cdef double part(Updates effect) noexcept nogil:
    return effect.part

cdef double load(Updates effect, uint32_t hash) noexcept nogil:
    """The share of a move of the fixed part that the entity leaves: 1 of a feature that is not its own."""
    cdef Record* record = effect.subject
    cdef uint32_t place = lookup(record, hash, 0)
    if place == ABSENT:
        return 1
    return effect.loads[place] if is_matrix(effect) else load_by_itself(effect, record, place)

cdef double load_of_other(Updates effect, uint32_t hash) noexcept nogil:
    """The load of a feature that it has no coefficient of."""
    cdef CrossPrecision* between = effect.subject.between
    cdef uint32_t place
    if between == NULL:
        return 1
    place = other_place(between, hash, effect.other_guess + 1)
    if place == between.n:
        return 1
    effect.other_guess = place
    return effect.others[between.n + place]

cdef int weigh_others(Updates effect, Example ex) except -1 nogil:
    return effect.weigh_others(ex)

cdef int see_others(Updates effect, Example ex, Record* fixed, double c) except -1 nogil:
    return effect.see_others(ex, fixed, c)

cdef bint is_matrix(Updates effect) noexcept nogil:
    """Whether the coefficients are correlated."""
    return effect.subject.full and effect.subject.n > 1

cdef int write_down(Updates effect) except -1 nogil:
    return effect.learned(effect.subject, 1)

cdef double load_by_itself(Updates effect, Record* record, size_t place) noexcept nogil:
    """Of a coefficient that is correlated with no other."""
    cdef double data = data_of(effect, record, place), prior = ridge(effect, hashes_of(record)[place])
    return min(max(prior / (data + prior), 1e-12), 1)

cdef size_t lean_more(Updates effect, Record* fixed, double share, Feature* to) noexcept nogil:
    """The features that are not the example's, but correlated with it; how many.

    `share` is what other effects leave of what it says of features that it has no coefficient of.
    """
    cdef Record* record = effect.subject
    cdef CrossPrecision* between = record.between if fixed != NULL else NULL
    cdef size_t i, n = 0, d = record.n
    for i in range(d if is_matrix(effect) and fixed != NULL else 0):
        if (0 < fabs(effect.loads[d + i]) < 1e30
                and lookup(fixed, hashes_of(record)[i], <uint32_t>i) != ABSENT):
            to[n].hash, to[n].value = hashes_of(record)[i], <float>effect.loads[d + i]
            n += 1
    for i in range(between.n if between != NULL else 0):
        if 0 < fabs(effect.others[i]) < 1e30 and lookup(fixed, other_hashes(between)[i], <uint32_t>i) != ABSENT:
            to[n].hash, to[n].value = other_hashes(between)[i], <float>(effect.others[i] * share)
            n += 1
    return n

cdef size_t most_more(Updates effect) noexcept nogil:
    """How many they can be."""
    cdef CrossPrecision* between = effect.subject.between
    return (effect.subject.n if is_matrix(effect) else 0) + (between.n if between != NULL else 0)

cdef double shift(Updates effect, size_t number, Together all_parts, bint settles) except? -1e300 nogil:
    """How far its score has moved with the fixed part since its mean was worked out.

    If it settles that, the mean moves, `part` with it, and its origin is where the fixed part is now.
    """
    cdef Record* record = effect.subject
    cdef size_t n = effect.n_gathered, d = record.n, k, i
    cdef double* x = effect.work
    cdef double* u = x + n
    cdef double* gone = u + d
    cdef double* lost = gone + d
    cdef double* others = lost + d
    cdef double* mean = means_of(record)
    cdef double total = 0, by, own
    cdef bint any
    if not record.full:
        for k in range(n):
            i = effect.places[k]
            by = effect.moved(record, i, settles) if i != ABSENT else 0
            if by != 0:
                own = load_by_itself(effect, record, i)
                by *= -(1 - own) * all_parts.share(number, effect.hashes[k])
                total += x[k] * by
                if settles:
                    mean[i] += by
    else:
        any = effect.moved_between(record, settles, others)
        if any and all_parts.n > 1:
            by = all_parts.share(number, CONSTANT_HASH)
            for i in range(d):
                others[i] *= by
        for i in range(d):
            gone[i] = effect.moved(record, i, settles)
            any = any or gone[i] != 0
        if any:
            for k in range(n):
                i = effect.places[k]
                if i != ABSENT and gone[i] != 0:
                    gone[i] *= all_parts.share(number, effect.hashes[k])
            vwl_multiply(precisions_of(record), d, gone, lost)
            for i in range(d):
                lost[i] += others[i]
            total = -vwl_dot_product(u, lost, d)
            if settles:
                others = effect.information(record)
                for i in range(d if others != NULL else 0):
                    others[i] -= lost[i]
                effect.solve_for(record, lost, u + 4 * d)
                for i in range(d):
                    mean[i] -= lost[i]
    if settles:
        effect.part += total
        effect.version += 1
    return total

# Variables, because C may not call a function as one of another type.
cdef Asked call_can_step = <Asked>can_step
cdef Asked call_look = <Asked>look
cdef Asked call_glance = <Asked>glance
cdef Settled call_settle = <Settled>settle
cdef Pulled call_pull = <Pulled>pull
cdef Noisy call_add_noise = <Noisy>add_noise
cdef Told call_reach = <Told>reach
cdef Told call_part = <Told>part
cdef Loaded call_load = <Loaded>load
cdef Loaded call_load_of_other = <Loaded>load_of_other
cdef Weighed call_weigh_others = <Weighed>weigh_others
cdef Seen call_see_others = <Seen>see_others
cdef Shifted call_shift = <Shifted>shift
cdef Counted call_most_more = <Counted>most_more
cdef Booked call_write_down = <Booked>write_down
cdef Added call_lean_more = <Added>lean_more


cdef double share_of(const double* loads, size_t n, size_t r) noexcept nogil:
    """What other effects leave of an effect's load of a feature."""
    cdef size_t other
    cdef double odds = 0
    for other in range(n):
        if other != r:
            odds += 1 / min(max(loads[other], 1e-12), 1) - 1
    return 1 / (1 + odds * max(loads[r], 0)) if odds > 0 else 1


cdef class Together:
    """The parts of a score.

    Args:
        base: The learner below.
        effects: Those of entities, each an Updates.
        intercepts: Whether no effect has coefficients of features.
    """

    def __cinit__(self, Learner base, list effects, bint intercepts):
        self.base = base
        self.fixed = base if isinstance(base, Updates) else None
        self.effects = effects
        self.n = len(effects)
        self.anchored = self.fixed is not None and (self.n == 1 or intercepts)
        self.marginal = Marginal(base, effects) if self.anchored else None
        for i, effect in enumerate(effects):
            self.pointers[i] = <void*>(<Updates?>effect)
            (<Updates>effect).table.anchored = self.anchored
            (<Updates>effect).leans_on = self.fixed if self.anchored else None

    def __dealloc__(self):
        free(self.damped)

    cdef void begin(self) noexcept nogil:
        """Another example."""
        memset(self.taken, 0, sizeof(self.taken))

    cdef int glance(self, size_t r, Example ex) except -1 nogil:
        """An effect, of the entity that the example points at, for a prediction."""
        self.taken[r] = call_glance(self.pointers[r], ex)
        return 0

    cdef bint can_step(self, size_t r, Example ex) except -1 nogil:
        return call_can_step(self.pointers[r], ex)

    cdef int look(self, size_t r, Example ex) except -1 nogil:
        """An effect that is to learn, of the entity that the example points at."""
        self.taken[r] = call_look(self.pointers[r], ex)
        return 0

    cdef int sum_ends(self) except -1 nogil:
        """What is learned now is not in what the fixed part's precision could be worked out from."""
        if self.marginal is not None and self.marginal.whole:
            with gil:
                self.marginal.let_go()
        return 0

    cdef int follow(self, size_t r, Example ex) except -1 nogil:
        """Before an effect learns by itself: its mean follows the fixed part."""
        if self.anchored:
            self.begin()
            self.glance(r, ex)
            if self.taken[r]:
                self.shift(r, True)
        return 0

    cdef int step(self, Example ex, bint fixed_learns, double certain) except -1 nogil:
        """All that were looked at learn, and the fixed part if it does; `certain` is the score of all else."""
        cdef const Feature* features = ex.features
        cdef size_t n = ex.n, i, r, first = self.n
        cdef uint32_t place = ABSENT
        cdef double score = certain, effects = 0, fixed = 0, z, g = 0, c = 0, left
        cdef double w = ex.weight
        cdef bint moves
        cdef Record* fixed_record
        for r in range(self.n):
            if self.taken[r]:
                effects += call_reach(self.pointers[r])
                first = r
        if fixed_learns:
            self.fixed.meet(ex)
            if self.anchored:
                self.damp(ex, NULL, 0)
            self.fixed.look(ex)
            self.fixed.lean()
            ex.features, ex.n = features, n
            self.fixed.subject.changed = True
            fixed = self.fixed.reach
            for i in range(n):
                place = lookup(self.fixed.subject, features[i].hash, place + 1)
                score += means_of(self.fixed.subject)[place] * features[i].value
        for r in range(self.n):
            if self.taken[r]:
                if self.anchored:
                    self.shift(r, True)
                score += call_part(self.pointers[r])
        z = effects + fixed
        if fixed_learns:
            moves = self.fixed.pull(score, z, ex.label, w, &g, &c)
        else:
            moves = first < self.n and call_pull(self.pointers[first], score, z, ex, &g, &c)
        if not moves:
            return 0
        if fixed * w < KNOWN:
            self.add_noise(w * (ex.label - score) ** 2 / (1 + z * w))
        if fixed_learns:
            self.fixed.settle(g, c / (1 + c * effects))
            self.fixed.learned(self.fixed.subject, 1)
            if self.anchored and self.marginal.whole and not self.fixed.subject.full:
                self.sum_ends()
            if self.anchored and self.marginal.whole:
                self.marginal.see(0, ex, c)
                for r in range(self.n if self.n > 1 else 0):
                    left = max(effects - call_reach(self.pointers[r]), 0) if self.taken[r] else effects
                    if not self.taken[r]:
                        self.marginal.lacking |= 1 << r
                    self.marginal.see(r + 1, ex, c / (1 + c * left))
        for r in range(self.n if self.anchored and fixed_learns else 0):
            if self.taken[r]:         # as far as it was known to lean on it before, as the loads are
                self.shift(r, True)
        fixed_record = self.full_fixed()
        for r in range(self.n):
            if self.taken[r]:
                left = c / (1 + c * max(effects - call_reach(self.pointers[r]), 0))
                call_settle(self.pointers[r], g, left)
                if fixed_record != NULL:
                    call_see_others(self.pointers[r], ex, fixed_record, left)
                call_write_down(self.pointers[r])
        if fixed_learns and self.anchored and self.marginal.whole and self.marginal.is_time():
            with gil:
                self.marginal.renew()
        return 0

    cdef void add_noise(self, double amount) noexcept nogil:
        """There is one noise: every part is told of it."""
        cdef size_t r
        if self.fixed is not None:
            self.fixed.add_noise(amount)
        for r in range(self.n):
            call_add_noise(self.pointers[r], amount)

    cdef Record* full_fixed(self) noexcept nogil:
        """What the fixed part knows, if its posterior is full, or NULL."""
        cdef Record* record = self.fixed.table.find(0) if self.anchored else NULL
        return record if record != NULL and record.full else NULL

    # how the effects lean on the fixed part

    cdef int damp(self, Example ex, const Feature* others, size_t n_others) except -1 nogil:
        """The example's features as the fixed part sees them: each times its load, and others."""
        cdef size_t i, r, n = ex.n, most = ex.n + n_others + PADDING
        cdef Record* fixed = self.fixed.table.find(0)
        for r in range(self.n):
            if self.taken[r]:
                most += call_most_more(self.pointers[r])
                call_weigh_others(self.pointers[r], ex)
                self.of_intercept[r] = self.share(r, CONSTANT_HASH)
        grow(&self.damped, &self.capacity, most, sizeof(Feature))
        for i in range(n):
            self.damped[i].hash = ex.features[i].hash
            self.damped[i].value = <float>(ex.features[i].value * self.load(ex.features[i].hash))
        for r in range(self.n):
            if self.taken[r]:
                n += call_lean_more(self.pointers[r], fixed, self.of_intercept[r], self.damped + n)
        if n_others:
            memcpy(self.damped + n, others, n_others * sizeof(Feature))
        n += n_others
        memset(self.damped + n, 0, PADDING * sizeof(Feature))
        ex.features, ex.n = self.damped, n
        return 0

    cdef double load(self, uint32_t hash) noexcept nogil:
        """Of a feature, with all effects: what they leave of it, each as far as it follows (shift says how far)."""
        cdef size_t r
        cdef double left = 1, load
        cdef double[MOST_PARTS] loads
        self.loads_of(hash, loads)
        for r in range(self.n):
            if loads[r] != 1:
                left -= (1 - loads[r]) * share_of(loads, self.n, r)
            elif self.taken[r]:
                load = call_load_of_other(self.pointers[r], hash)
                if load != 1:
                    left -= (1 - load) * self.of_intercept[r]
        return left

    cdef double share(self, size_t r, uint32_t hash) noexcept nogil:
        """What the other effects leave of an effect's load."""
        cdef double[MOST_PARTS] loads
        self.loads_of(hash, loads)
        return share_of(loads, self.n, r)

    cdef void loads_of(self, uint32_t hash, double* loads) noexcept nogil:
        """Of a feature, with each effect by itself: 1 of those that take no part."""
        cdef size_t r
        for r in range(self.n):
            loads[r] = call_load(self.pointers[r], hash) if self.taken[r] else 1

    cdef double shift(self, size_t r, bint settles) except? -1e300 nogil:
        return call_shift(self.pointers[r], r, <void*>self, settles)

    def anchor(self):
        """All means were worked out with the fixed part as it is now."""
        cdef Updates effect
        cdef Record* record
        cdef size_t i
        for each in self.effects if self.anchored else ():
            effect = each
            record = effect.table.oldest
            while record != NULL:
                for i in range(record.n):
                    effect.moved(record, i, True)
                effect.moved_between(record, True, NULL)
                record = record.newer
