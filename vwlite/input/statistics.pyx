"""Statistics of transformed features, and the steps that use them. See transforms.pxd.

Formulas: mean and variance by Welford 1962 (Note on a method for calculating corrected sums of squares and products),
the variance being that of the population, as River's StandardScaler has it; the inverse document frequency
1 + log((1 + n) / (1 + df)), as that of scikit-learn and River; quantiles by a t-digest (Dunning and Ertl 2019,
Computing extremely accurate quantiles using t-digests).
"""
from libc.math cimport NAN, fabs, isfinite, sqrt
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.elementary cimport log, log1p

from vwlite.features.transform_rules import STEPS
from vwlite.input.quantiles import Quantiles, sketch_type

cdef enum:
    AT_FIRST = 1 << 10                # slots

OPS = {"scale": SCALE, "minmax": MINMAX, "maxabs": MAXABS, "log": LOG, "clip": CLIP, "bins": BINS, "onehot": ONEHOT,
       "idf": IDF, "drop": DROP, "keep": KEEP}


cdef class Statistics:
    """The statistics of features under rules of --transform (transform_rules.py)."""

    def __init__(self, rules):
        cdef Chain* chain
        self.n_rules = len(rules)
        self.sketches = []
        self.chains = <Chain*>calloc(self.n_rules + 1, sizeof(Chain))
        if self.chains == NULL:
            raise MemoryError
        for i, rule in enumerate(rules):
            chain = &self.chains[i]
            for name, arguments in rule.steps:
                chain.of_all = chain.of_all or STEPS[name].of_all
                if name == "bins":
                    sketch_type()     # whose package may be missing
                if name == "ngrams":
                    chain.ngrams = <uint32_t>arguments[0]
                    continue
                chain.renames = STEPS[name].renames
                chain.n_state += STEPS[name].state
                chain.steps[chain.n].op = OPS[name]
                chain.steps[chain.n].low = arguments[0] if arguments else 0
                chain.steps[chain.n].high = arguments[1] if len(arguments) > 1 else 0
                chain.n += 1
        self.resize_slots(AT_FIRST)

    def __dealloc__(self):
        free(self.chains)
        free(self.slots)
        free(self.states)

    cdef double* state_of(self, uint32_t hash, int32_t rule, bint learns) except? NULL nogil:
        """The state of a feature; NULL if it has none and doesn't learn."""
        cdef Slot* slot = self.find(hash)
        cdef size_t n = self.chains[rule].n_state, i
        if slot == NULL and learns:
            slot = self.insert(hash, rule)
            self.n_guests += 1
        if slot == NULL or (slot.state == 0 and not learns):
            return NULL
        if slot.state == 0:
            grow(&self.states, &self.state_capacity, self.n_states + n, sizeof(double))
            for i in range(n):
                self.states[self.n_states + i] = 0
            slot.state = self.n_states + 1
            self.n_states += n
            self.n_guests -= 1
        return self.states + slot.state - 1

    cdef double flow(self, const Chain* chain, double* state, double x, bint learns) except? -1e300 nogil:
        """A value after the steps of a rule; NaN if nothing is left of it."""
        cdef double[MOST_STATE] nothing
        cdef const Step* step
        cdef double d
        cdef size_t i
        if state == NULL and chain.n_state:
            memset(nothing, 0, sizeof(nothing))
            state = nothing
        for i in range(chain.n):
            step = &chain.steps[i]
            if step.op == SCALE:      # number, mean, variance
                if learns:
                    state[0] += 1
                    d = x - state[1]
                    state[1] += d / state[0]
                    state[2] += (d * (x - state[1]) - state[2]) / state[0]
                x = (x - state[1]) / sqrt(state[2]) if state[2] > 0 else 0
                state += 3
            elif step.op == MINMAX:   # number, least, largest
                if learns:
                    state[1] = min(state[1], x) if state[0] else x
                    state[2] = max(state[2], x) if state[0] else x
                    state[0] += 1
                x = (x - state[1]) / (state[2] - state[1]) if state[2] > state[1] else 0
                state += 3
            elif step.op == MAXABS:
                if learns:
                    state[0] = max(state[0], fabs(x))
                x = x / state[0] if state[0] > 0 else 0
                state += 1
            elif step.op == IDF:      # number of examples with the feature, the last of them
                if learns and state[1] != self.examples:
                    state[0] += 1
                    state[1] = self.examples
                x *= 1 + log((1 + self.examples) / (1 + state[0]))
                state += 2
            elif step.op == LOG:
                x = log1p(x) if x >= 0 else -log1p(-x)
            elif step.op == CLIP:
                x = min(max(x, step.low), step.high)
            elif step.op == DROP:
                return NAN
            elif step.op == BINS:
                x = self.bin_of(state, step.low, x, learns)
        return x

    cdef double bin_of(self, double* state, double n, double x, bint learns) except? -1e300 nogil:
        """The number of the quantile that a value is in, from 1 to n; NaN if nothing was learned."""
        if state[0] == 0 and not learns:
            return NAN
        with gil:
            if state[0] == 0:
                self.sketches.append(Quantiles(<int>n))
                state[0] = len(self.sketches)
            sketch = self.sketches[<size_t>state[0] - 1]
            if learns:
                sketch.learn(x)
            return sketch.bin_of(x)

    cdef Slot* find(self, uint32_t hash) noexcept nogil:
        """The slot of a feature, NULL without one."""
        cdef size_t i = hash & self.mask
        while self.slots[i].rule != EMPTY:
            if self.slots[i].hash == hash:
                return &self.slots[i]
            i = (i + 1) & self.mask
        return NULL

    cdef Slot* insert(self, uint32_t hash, int32_t rule) except NULL nogil:
        """Add a slot for a feature that has none."""
        cdef size_t i
        if 2 * (self.n_slots + 1) > self.mask:
            self.resize_slots(2 * (self.mask + 1))
        self.n_slots += 1
        i = hash & self.mask
        while self.slots[i].rule != EMPTY:
            i = (i + 1) & self.mask
        self.slots[i].hash, self.slots[i].rule, self.slots[i].state = hash, rule, 0
        return &self.slots[i]

    cdef int resize_slots(self, size_t n) except -1 nogil:
        """Move the slots to a table of n places, a power of 2."""
        cdef Slot* before = self.slots
        cdef Slot* slots = NULL
        cdef size_t i, j, n_before = self.mask + 1 if before != NULL else 0
        resize(&slots, n, sizeof(Slot), b"for statistics of features")
        self.slots = slots
        self.mask = n - 1
        for i in range(n):
            self.slots[i].rule = EMPTY
        for i in range(n_before):
            if before[i].rule == EMPTY:
                continue
            j = before[i].hash & self.mask
            while self.slots[j].rule != EMPTY:
                j = (j + 1) & self.mask
            self.slots[j] = before[i]
        free(before)
        return 0

    def arrays(self):
        """What was learned, as arrays of a model: (name, type, shape, bytes) by the hashes of the features."""
        import numpy as np
        cdef size_t i, n
        found = {}
        for i in range(self.mask + 1):
            if self.slots[i].rule >= 0 and self.slots[i].state:
                found[self.slots[i].hash] = i
        hashes = np.array(sorted(found), np.uint32)
        rules, states, sketches = [], [], []
        for hash in hashes.tolist():
            i = found[hash]
            n = self.chains[self.slots[i].rule].n_state
            state = [self.states[self.slots[i].state - 1 + k] for k in range(n)]
            if has_bins(&self.chains[self.slots[i].rule]) and state[n - 1]:
                packed = self.sketches[<size_t>state[n - 1] - 1].to_bytes()
                sketches.append(packed)
                state[n - 1] = len(sketches)
            rules.append(self.slots[i].rule)
            states += state
        lengths = np.array([len(packed) for packed in sketches], np.uint64)
        return {
            "hash": ("U32", [len(hashes)], hashes.tobytes()),
            "rule": ("U8", [len(rules)], bytes(rules)),
            "state": ("F64", [len(states)], np.array(states, np.float64).tobytes()),
            "examples": ("F64", [], np.float64(self.examples).tobytes()),
        } | ({"sketch": ("U8", [int(lengths.sum())], b"".join(sketches)),
              "sketch_lengths": ("U64", [len(sketches)], lengths.tobytes())} if sketches else {})

    def restore(self, hashes, rules, states, double examples, sketches):
        """Restores what arrays() gave. Raises ValueError if it can't be of these rules."""
        cdef size_t place = 0, n, k
        cdef int32_t rule
        cdef uint32_t hash
        cdef Slot* slot
        if len(hashes) != len(rules) or not examples >= 0:
            raise ValueError("the numbers of hashes and rules differ")
        bins = []
        for hash, rule in zip(hashes, rules):
            if rule >= self.n_rules or self.find(hash) != NULL:
                raise ValueError("a feature has two rules, or one that does not exist")
            n = self.chains[rule].n_state
            if n == 0 or place + n > len(states):
                raise ValueError("the states are not those of the rules")
            slot = self.insert(hash, rule)
            grow(&self.states, &self.state_capacity, self.n_states + n, sizeof(double))
            for k in range(n):
                self.states[self.n_states + k] = states[place + k]
                if not isfinite(self.states[self.n_states + k]):
                    raise ValueError("a number is not finite")
            if self.states[self.n_states] < 0:
                raise ValueError("a feature was learned less than never")
            if has_bins(&self.chains[rule]):
                bins.append(<int>self.chains[rule].steps[self.chains[rule].n - 1].low)
                if self.states[self.n_states + n - 1] != len(bins):
                    raise ValueError("a feature has not its own sketch")
            slot.state = self.n_states + 1
            self.n_states += n
            place += n
        if place != len(states):
            raise ValueError("there are more states than features")
        if len(bins) != len(sketches):
            raise ValueError("a sketch is missing")
        self.examples = examples
        self.sketches = [Quantiles.from_bytes(bins[i], packed) for i, packed in enumerate(sketches)]

    def count(self):
        """The number of features that each rule has statistics of."""
        cdef size_t i
        counts = [0] * self.n_rules
        for i in range(self.mask + 1):
            if self.slots[i].rule >= 0 and self.slots[i].state:
                counts[self.slots[i].rule] += 1
        return counts


cdef bint has_bins(const Chain* chain) noexcept nogil:
    return chain.n and chain.steps[chain.n - 1].op == BINS
