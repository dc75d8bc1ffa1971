"""Joint update of the fixed part and random effects. Design notes and equations are in together.pxd."""
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
    KNOWN = 1000000                   # variance, in units of the noise, beyond which a residual is ignored


# Functions of one effect, for the example's entity. Together calls these through pointers, as C arrays can't hold
# objects and reference counting needs the GIL.

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
    """Register the entity; returns whether the effect learns the example at once, without a pending batch."""
    effect.meet(ex)
    return effect.learns_single(ex)

cdef bint look(Updates effect, Example ex) except -1 nogil:
    effect.look(ex)
    effect.lean()
    effect.weigh_loads()
    effect.subject.changed = True
    return True

cdef bint glance(Updates effect, Example ex) except -1 nogil:
    """Prepare a prediction; returns whether the entity has a record."""
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
    """Load: the share of a move of the fixed part's coefficient that remains; 1 of a feature that the entity lacks."""
    cdef Record* record = effect.subject
    cdef uint32_t place = lookup(record, hash, 0)
    if place == ABSENT:
        return 1
    return effect.loads[place] if is_matrix(effect) else load_by_itself(effect, record, place)

cdef double load_of_other(Updates effect, uint32_t hash) noexcept nogil:
    """Load of a feature that the entity has no coefficient of (CrossPrecision)."""
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
    """Whether the posterior is a full matrix."""
    return effect.subject.full and effect.subject.n > 1

cdef int write_down(Updates effect) except -1 nogil:
    return effect.learned(effect.subject, 1)

cdef double load_by_itself(Updates effect, Record* record, size_t place) noexcept nogil:
    """Load of a coefficient of a diagonal posterior."""
    cdef double data = data_of(effect, record, place), prior = ridge(effect, hashes_of(record)[place])
    return min(max(prior / (data + prior), 1e-12), 1)

cdef size_t lean_more(Updates effect, Record* fixed, double share, Feature* to) noexcept nogil:
    """Add the features that are correlated with the example's; returns their count.

    `share` is the effect's share for features that it has no coefficient of.
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
    """Upper bound of the count of lean_more()."""
    cdef CrossPrecision* between = effect.subject.between
    return (effect.subject.n if is_matrix(effect) else 0) + (between.n if between != NULL else 0)

cdef double shift(Updates effect, size_t number, Together all_parts, bint settles) except? -1e300 nogil:
    """Change of the effect's score with the fixed part since its mean was computed.

    If it settles, the mean and `part` follow, and the origin becomes the current fixed part.
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

# Function pointers with exact types: C may not call a function through a pointer of another type.
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
    """Share of an effect: what other effects leave of its load of a feature."""
    cdef size_t other
    cdef double odds = 0
    for other in range(n):
        if other != r:
            odds += 1 / min(max(loads[other], 1e-12), 1) - 1
    return 1 / (1 + odds * max(loads[r], 0)) if odds > 0 else 1


cdef class Together:
    """Joint update of all parts of a score.

    Args:
        base: The learner below.
        effects: The learners of the effects, each an Updates.
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
        """Begin an example."""
        memset(self.taken, 0, sizeof(self.taken))

    cdef int glance(self, size_t r, Example ex) except -1 nogil:
        """Include an effect in a prediction, with the example's entity."""
        self.taken[r] = call_glance(self.pointers[r], ex)
        return 0

    cdef bint can_step(self, size_t r, Example ex) except -1 nogil:
        return call_can_step(self.pointers[r], ex)

    cdef int look(self, size_t r, Example ex) except -1 nogil:
        """Include an effect in an update, with the example's entity."""
        self.taken[r] = call_look(self.pointers[r], ex)
        return 0

    cdef int sum_ends(self) except -1 nogil:
        """Stop the sums of Marginal: the next update is not included in them."""
        if self.marginal is not None and self.marginal.whole:
            with gil:
                self.marginal.let_go()
        return 0

    cdef int follow(self, size_t r, Example ex) except -1 nogil:
        """Move an effect's mean with the fixed part, before the effect learns by itself."""
        if self.anchored:
            self.begin()
            self.glance(r, ex)
            if self.taken[r]:
                self.shift(r, True)
        return 0

    cdef int step(self, Example ex, bint fixed_learns, double certain) except -1 nogil:
        """Joint update of the effects of look(), and of the fixed part if it learns; `certain` is the others' score."""
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
            if self.taken[r]:         # by the dependence before this example, as the loads
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
        """Add a residual to the noise estimate, which all parts share."""
        cdef size_t r
        if self.fixed is not None:
            self.fixed.add_noise(amount)
        for r in range(self.n):
            call_add_noise(self.pointers[r], amount)

    cdef Record* full_fixed(self) noexcept nogil:
        """Record of the fixed part, if its posterior is full, or NULL."""
        cdef Record* record = self.fixed.table.find(0) if self.anchored else NULL
        return record if record != NULL and record.full else NULL

    # dependence of the effects on the fixed part

    cdef int damp(self, Example ex, const Feature* others, size_t n_others) except -1 nogil:
        """Set the features of the fixed part: those of the example times their loads, and others."""
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
        """Load of a feature with all effects, each by its share of the move (see shift)."""
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
        """Share of an effect: what the other effects leave of its load."""
        cdef double[MOST_PARTS] loads
        self.loads_of(hash, loads)
        return share_of(loads, self.n, r)

    cdef void loads_of(self, uint32_t hash, double* loads) noexcept nogil:
        """Loads of a feature by each effect alone: 1 for those that take no part."""
        cdef size_t r
        for r in range(self.n):
            loads[r] = call_load(self.pointers[r], hash) if self.taken[r] else 1

    cdef double shift(self, size_t r, bint settles) except? -1e300 nogil:
        return call_shift(self.pointers[r], r, <void*>self, settles)

    def anchor(self):
        """Set all origins to the current fixed part, after a fit of all means."""
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
