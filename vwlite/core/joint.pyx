"""Probability that each of several jointly normal scores is the best. Design notes are in joint.pxd.

Few scores: for two, P(a > b) is a normal probability. For more, the scores are drawn jointly, and for each draw and
score k the probability is integrated along the line s + t C_k / sd_k, t ~ N(0, 1): the share of it on which k is best.
This is the expectation of "k is best" given the part of the draw that is independent of score k (Rao-Blackwell), so a
few antithetic pairs of draws are as accurate as many counted draws, and no action that can be best has probability 0.
Drawing ends when the probabilities are as accurate as `samples` counted draws. Many scores: each is integrated only
along the normals that no other score has.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport resize
from vwlite.core.draws cimport mix, normal
from vwlite.core.elementary cimport erfc

cdef extern from "vwlite/core/newton.h" nogil:
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_add_scaled(double* a, const double* b, double c, size_t n)
    void vwl_cholesky(double* a, size_t n)
    void vwl_backward(const double* factor, size_t n, double* b)

cdef enum:
    MOST_INTEGRATED = 128             # most groups of scores that integrate() handles
    FEWEST_PAIRS = 6                  # antithetic pairs of draws

cdef size_t MOST_PRODUCTS = 1 << 24   # multiplications for the covariance of the groups
cdef double ROUNDING = 1e-6           # relative rounding error: scores are summed in single precision
cdef double PARALLEL = 1e-7           # relative difference of slopes below which a line moves two scores alike
cdef double SURE = 0.7                # share of the allowed variance: its estimate from few draws is uncertain
cdef double FAR = 8                   # standard deviations beyond which a probability is 0 in single precision


cdef class JointScores:
    """Joint normal scores: begin() starts one, and its terms follow."""

    def __cinit__(self):
        self.round = 1                # slots of round 0 are empty

    def __dealloc__(self):
        free(self.known)
        free(self.first)
        free(self.means)
        free(self.sums)
        free(self.squares)
        free(self.group)
        free(self.leader)
        free(self.sizes)
        free(self.terms)
        free(self.blocks)
        free(self.factors)
        free(self.slots)
        free(self.work)

    # building the scores

    cdef void clear(self) noexcept nogil:
        """Remove all scores."""
        self.n = self.n_terms = self.n_blocks = self.n_coordinates = self.factor_size = 0
        self.round += 1

    cdef int begin(self, double mean) except -1 nogil:
        """Start a new score: the terms that follow belong to it."""
        cdef size_t wanted
        if self.n == self.capacity:
            wanted = 2 * self.capacity + 16
            resize(&self.first, wanted, sizeof(size_t))
            resize(&self.means, wanted, sizeof(double))
            resize(&self.sums, wanted, sizeof(double))
            resize(&self.squares, wanted, sizeof(double))
            resize(&self.group, wanted, sizeof(uint32_t))
            resize(&self.leader, wanted, sizeof(uint32_t))
            resize(&self.sizes, wanted, sizeof(uint32_t))
            self.capacity = wanted
        self.means[self.n] = mean
        self.first[self.n] = self.n_terms
        self.n += 1
        return 0

    cdef int add(self, uint64_t key, double factor) except -1 nogil:
        """Add a term: the standard normal with this key, times a factor."""
        cdef uint32_t coordinate = 0
        if factor == 0:
            return 0
        self.coordinate_of(key, 1, &coordinate)
        return self.term(coordinate, factor)

    cdef double* block(self, uint64_t key, size_t d, uint32_t* begin) except? NULL nogil:
        """Begin a block of d correlated coefficients; sets `begin` to its first coordinate.

        Returns where to write its packed Cholesky factor, NULL if an earlier score already has.
        """
        cdef size_t wanted, size = d * (d + 1) // 2
        if not self.coordinate_of(key, <uint32_t>d, begin):
            return NULL
        if self.n_blocks == self.block_capacity:
            wanted = 2 * self.block_capacity + 4
            resize(&self.blocks, wanted, sizeof(Correlated))
            self.block_capacity = wanted
        if self.factor_size + size > self.factor_capacity:
            wanted = self.factor_size + size + self.factor_size // 2
            resize(&self.factors, wanted, sizeof(double))
            self.factor_capacity = wanted
        self.blocks[self.n_blocks].key = key
        self.blocks[self.n_blocks].begin = begin[0]
        self.blocks[self.n_blocks].d = <uint32_t>d
        self.blocks[self.n_blocks].factor = self.factor_size
        self.n_blocks += 1
        self.factor_size += size
        return self.factors + self.factor_size - size

    cdef int add_correlated(self, uint32_t coordinate, double factor) except -1 nogil:
        """Add a term: a coefficient of a block, minus its mean, times a factor."""
        return self.term(coordinate, factor) if factor != 0 else 0

    cdef int term(self, uint32_t coordinate, double factor) except -1 nogil:
        cdef size_t wanted
        if self.n_terms == self.term_capacity:
            wanted = 2 * self.term_capacity + 256
            resize(&self.terms, wanted, sizeof(Term))
            self.term_capacity = wanted
        self.terms[self.n_terms].coordinate = coordinate
        self.terms[self.n_terms].factor = factor
        self.n_terms += 1
        return 0

    cdef int coordinate_of(self, uint64_t key, uint32_t count, uint32_t* found) except -1 nogil:
        """Look up or create the coordinates of a key; sets `found` to the first, returns whether they are new."""
        cdef size_t i
        if 2 * (self.n_terms + self.n_blocks + 1) > self.slot_capacity:
            self.grow_slots()
        i = mix(key, 0) & (self.slot_capacity - 1)
        while self.slots[i].round == self.round:
            if self.slots[i].key == key:
                found[0] = self.slots[i].coordinate
                return 0
            i = (i + 1) & (self.slot_capacity - 1)
        self.slots[i].key, self.slots[i].round = key, self.round
        self.slots[i].coordinate = found[0] = <uint32_t>self.n_coordinates
        self.n_coordinates += count
        return 1

    cdef int grow_slots(self) except -1 nogil:
        """Double the hash table, or more, and rehash the slots of this round."""
        cdef size_t before = self.slot_capacity, i, j
        cdef Slot* old = self.slots
        cdef Slot* new
        cdef size_t wanted = max(<size_t>256, 2 * before)
        new = <Slot*>malloc(wanted * sizeof(Slot))
        if new == NULL:
            with gil:
                raise MemoryError
        memset(new, 0, wanted * sizeof(Slot))
        for i in range(before):
            if old[i].round != self.round:
                continue
            j = mix(old[i].key, 0) & (wanted - 1)
            while new[j].round == self.round:
                j = (j + 1) & (wanted - 1)
            new[j] = old[i]
        free(old)
        self.slots, self.slot_capacity = new, wanted
        return 0

    # probabilities

    cdef int best(self, double width, bint optimistic, size_t samples, uint64_t key, float* shares) except -1 nogil:
        """Compute the probability that each score is the largest, with its random part times `width`.

        optimistic: a score drawn below its mean counts as its mean. The accuracy is that of `samples` counted draws.
        The result is a function of `key` and the scores; that of the last call is cached.
        """
        cdef size_t i, g
        key = self.fingerprint(width, optimistic, samples, key)
        if self.n == self.n_known and key == self.known_key:
            memcpy(shares, self.known, self.n * sizeof(float))
            return 0
        self.gather_groups()
        memset(self.sums, 0, self.n_groups * sizeof(double))
        memset(self.squares, 0, self.n_groups * sizeof(double))
        if self.n_groups == 1 or width == 0 or self.n_terms == 0:
            self.count(0, False, 1, key)
        elif (optimistic or self.n_groups > MOST_INTEGRATED
              or self.n_groups * self.n_groups * self.n_coordinates > MOST_PRODUCTS):
            self.count(width, optimistic, samples, key)
        else:
            self.lay_out()
            self.integrate(width, samples, key)
        for i in range(self.n):
            g = self.group[i]
            shares[i] = <float>(self.sums[g] / self.sizes[g])
        self.n_known = 0
        if self.n > self.known_capacity:
            resize(&self.known, 2 * self.n, sizeof(float))
            self.known_capacity = 2 * self.n
        memcpy(self.known, shares, self.n * sizeof(float))
        self.n_known, self.known_key = self.n, key
        return 0

    cdef uint64_t fingerprint(self, double width, bint optimistic, size_t samples, uint64_t key) noexcept nogil:
        """Hash of all inputs of the probabilities; of a factor, only the diagonal is hashed."""
        cdef size_t i, b
        key = mix(mix(mix(key, samples), optimistic), bits_of(width))
        for i in range(self.n):
            key = mix(mix(key, bits_of(self.means[i])), self.first[i])
        for i in range(self.n_terms):
            key = mix(mix(key, bits_of(self.terms[i].factor)), self.terms[i].coordinate)
        for b in range(self.n_blocks):
            for i in range(self.blocks[b].d):
                key = mix(key, bits_of(self.factors[self.blocks[b].factor + i * (i + 1) // 2 + i]))
        return key

    cdef int gather_groups(self) except -1 nogil:
        """Group the scores with the same terms, in any order, and the same mean."""
        cdef size_t i, j, end, capacity = 16
        cdef uint64_t* signatures
        cdef uint32_t* table
        while capacity < 2 * self.n:
            capacity *= 2
        self.reserve(self.n + capacity)
        signatures = <uint64_t*>self.work
        table = <uint32_t*>(self.work + self.n)
        memset(table, 0, capacity * sizeof(uint32_t))
        self.n_groups = 0
        for i in range(self.n):
            end = self.first[i + 1] if i + 1 < self.n else self.n_terms
            signatures[i] = end - self.first[i]
            for j in range(self.first[i], end):
                signatures[i] += mix(bits_of(self.terms[j].factor), self.terms[j].coordinate)
            j = mix(signatures[i], 0) & (capacity - 1)
            while table[j] and not self.are_equal(self.leader[table[j] - 1], i, signatures):
                j = (j + 1) & (capacity - 1)
            if not table[j]:
                self.leader[self.n_groups] = <uint32_t>i
                self.sizes[self.n_groups] = 0
                self.n_groups += 1
                table[j] = <uint32_t>self.n_groups
            self.group[i] = table[j] - 1
            self.sizes[self.group[i]] += 1
        return 0

    cdef bint are_equal(self, size_t i, size_t j, uint64_t* signatures) noexcept nogil:
        cdef double tolerance = ROUNDING * fabs(self.means[i]) if signatures[i] else 0
        return signatures[i] == signatures[j] and fabs(self.means[i] - self.means[j]) <= tolerance

    cdef int lay_out(self) except -1 nogil:
        """Write the groups' random parts as rows of a matrix, one column for each coordinate."""
        cdef size_t g, i, k, end, n = self.n_groups, d = self.n_coordinates
        self.reserve(n * d + 2 * n * n + n * (n + 1) // 2 + 6 * n)
        memset(self.work, 0, n * d * sizeof(double))
        for g in range(n):
            i = self.leader[g]
            end = self.first[i + 1] if i + 1 < self.n else self.n_terms
            for k in range(self.first[i], end):
                self.work[g * d + self.terms[k].coordinate] += self.terms[k].factor
        return 0

    cdef void whiten(self, double* row) noexcept nogil:
        """Whiten the blocks of a row: L^-1 x, factors of independent normals."""
        cdef size_t b, i, first, d
        cdef const double* factor
        cdef double* x
        for b in range(self.n_blocks):
            x = row + self.blocks[b].begin
            d = self.blocks[b].d
            first = 0
            while first < d and x[first] == 0:
                first += 1
            for i in range(first, d):
                factor = self.factors + self.blocks[b].factor + i * (i + 1) // 2
                x[i] = (x[i] - vwl_dot_product(factor + first, x + first, i - first)) / factor[i]

    cdef int integrate(self, double width, size_t samples, uint64_t key) except -1 nogil:
        """Probabilities of a few groups by integration (Rao-Blackwell), from the rows of lay_out()."""
        cdef size_t n = self.n_groups, d = self.n_coordinates, i, j, pairs = 0
        cdef size_t most = max(<size_t>FEWEST_PAIRS, (samples + 1) // 2)
        cdef double* rows = self.work
        cdef double* covariance = rows + n * d
        cdef double* reciprocals = covariance + n * n
        cdef double* factor = reciprocals + n * n
        cdef double* z = factor + n * (n + 1) // 2
        cdef double* at = z + n
        cdef double* pair = at + n
        cdef double gap, sd, slope, narrow, widest = 0, total = 0, mean, spread, squares
        if n == 2:
            vwl_add_scaled(rows, rows + d, -1, d)
            self.whiten(rows)
            gap = self.means[self.leader[0]] - self.means[self.leader[1]]
            sd = width * sqrt(vwl_dot_product(rows, rows, d))
            if not sd > 0:
                return self.count(0, False, 1, key)
            self.sums[0], self.sums[1] = below(gap / sd), below(-gap / sd)
            return 0
        # only differences of rows count, so subtract the common part
        for j in range(d):
            mean = 0
            for i in range(n):
                mean += rows[i * d + j] / n
            for i in range(n):
                rows[i * d + j] -= mean
        for i in range(n):
            self.whiten(rows + i * d)
        for i in range(n):
            for j in range(i + 1):
                covariance[i * n + j] = width * width * vwl_dot_product(rows + i * d, rows + j * d, d)
                covariance[j * n + i] = covariance[i * n + j]
            widest = max(widest, covariance[i * n + i])
        if not widest > 0:
            return self.count(0, False, 1, key)
        narrow = PARALLEL * sqrt(widest)
        for i in range(n):
            sd = sqrt(covariance[i * n + i])
            for j in range(n):
                factor[i * (i + 1) // 2 + j if j <= i else j * (j + 1) // 2 + i] = covariance[i * n + j]
                slope = (covariance[i * n + i] - covariance[i * n + j]) / sd if sd > 0 else 0
                reciprocals[i * n + j] = 1 / slope if fabs(slope) > narrow else 0
            factor[i * (i + 1) // 2 + i] += 1e-14 * widest
        vwl_cholesky(factor, n)
        while pairs < most:
            for i in range(n):
                z[i] = normal(mix(key, pairs), i)
            for i in range(n):
                at[i] = vwl_dot_product(factor + i * (i + 1) // 2, z, i + 1)
            self.integrate_pair(covariance, reciprocals, at, z, pair)
            pairs += 1
            for i in range(n):
                self.sums[i] += pair[i]
                self.squares[i] += pair[i] * pair[i]
            if pairs < FEWEST_PAIRS or pairs % 2:
                continue
            # sum of the variances of the shares; compared with that of counted draws, sum p (1 - p) / samples
            spread, squares = 0, 0
            for i in range(n):
                mean = self.sums[i] / pairs
                squares += mean * mean
                spread += max(self.squares[i] / pairs - mean * mean, 0) / (pairs - 1)
            if spread * samples <= SURE * (1 - squares):
                break
        for i in range(n):
            total += self.sums[i]
        if not total > 0:
            return self.count(0, False, 1, key)
        for i in range(n):
            self.sums[i] /= total
        return 0

    cdef void integrate_pair(self, const double* covariance, const double* reciprocals, const double* apart, double* at,
                             double* pair) noexcept nogil:
        """Integrate one antithetic pair: the share of each score's line on which it is best, for scores at `apart` from
        their means and at -`apart`. Writes the mean of both into `pair`; `at` is a work buffer."""
        cdef size_t n = self.n_groups, i, j
        cdef double low, high, gap, sd, here, score, sign = 1, scale = 0
        cdef const double* reciprocal
        cdef int _side
        memset(pair, 0, n * sizeof(double))
        for i in range(n):
            scale = max(scale, fabs(self.means[self.leader[i]]))
        for _side in range(2):
            for i in range(n):
                at[i] = self.means[self.leader[i]] + sign * apart[i]
            for i in range(n):
                sd = sqrt(covariance[i * n + i])
                here = sign * apart[i] / sd if sd > 0 else 0
                low, high, score = -FAR - here, FAR - here, at[i]
                reciprocal = reciprocals + i * n
                for j in range(n):
                    gap = (at[j] - score) * reciprocal[j]
                    if reciprocal[j] > 0:
                        low = gap if gap > low else low
                    elif reciprocal[j] < 0:
                        high = gap if gap < high else high
                    elif at[j] - score > ROUNDING * scale:
                        high = low
                    if low >= high:
                        break
                if low < high:
                    pair[i] += 0.5 * (below(high + here) - below(low + here) if low + here < 0
                                      else below(-low - here) - below(-high - here))
            sign = -1

    cdef int count(self, double width, bint optimistic, size_t samples, uint64_t key) except -1 nogil:
        """Probabilities of any number of groups, from antithetic draws.

        A group with normals of its own is best with the probability that these raise it above all others, given the
        other normals of the draw; a group without is best if it is in the draw. Equally good groups share.
        """
        cdef size_t s, g, b, i, k, end, best, ties, n = self.n_groups
        cdef double* normals
        cdef double* scores
        cdef double* own
        cdef uint32_t* users
        cdef double value, part, first, second, rest, sign, total = 0
        self.reserve(2 * self.n_coordinates + 3 * n)
        normals = self.work
        scores = normals + self.n_coordinates
        own = scores + n              # of each group, the standard deviation of its own normals, then their value
        users = <uint32_t*>(own + 2 * n)
        self.find_owners(users, own, width if not optimistic else 0)
        for s in range(samples):
            if width and s % 2 == 0:
                for k in range(self.n_coordinates):
                    normals[k] = normal(mix(key, s), k)
                for b in range(self.n_blocks):
                    vwl_backward(self.factors + self.blocks[b].factor, self.blocks[b].d,
                                 normals + self.blocks[b].begin)
            sign = -width if s % 2 else width
            first, second, best, ties = -INFINITY, -INFINITY, 0, 0
            for g in range(n):
                i = self.leader[g]
                end = self.first[i + 1] if i + 1 < self.n else self.n_terms
                value = part = 0
                for k in range(self.first[i], end if width else 0):
                    rest = self.terms[k].factor * normals[self.terms[k].coordinate]
                    value += rest
                    part += rest if own[g] > 0 and users[self.terms[k].coordinate] == g + 1 else 0
                value *= sign
                if optimistic and value < 0:
                    value = 0
                own[n + g] = part * sign
                scores[g] = self.means[i] + value
                if scores[g] > first:
                    first, second, best, ties = scores[g], first, g, self.sizes[g]
                elif scores[g] == first:
                    second = first
                    ties += self.sizes[g]
                elif scores[g] > second:
                    second = scores[g]
            for g in range(n):
                if own[g] > 0:
                    rest = scores[g] - own[n + g] - (second if g == best else first)
                    self.sums[g] += below(rest / own[g])
                elif scores[g] == first:
                    self.sums[g] += <double>self.sizes[g] / ties
        for g in range(n):
            total += self.sums[g]
        for g in range(n if total > 0 else 0):
            self.sums[g] /= total
        return 0

    cdef void find_owners(self, uint32_t* users, double* own, double width) noexcept nogil:
        """Find the normals of a single group. `users`: for each coordinate, the group with terms there (from 1), more
        than n for several groups or a block; `own`: for each group, the standard deviation of its own normals.
        """
        cdef size_t g, i, k, end, n = self.n_groups
        cdef double factor
        memset(users, 0, self.n_coordinates * sizeof(uint32_t))
        for k in range(self.n_blocks):
            for i in range(self.blocks[k].d):
                users[self.blocks[k].begin + i] = <uint32_t>n + 1
        for g in range(n):
            i = self.leader[g]
            end = self.first[i + 1] if i + 1 < self.n else self.n_terms
            for k in range(self.first[i], end):
                if users[self.terms[k].coordinate] != g + 1:
                    users[self.terms[k].coordinate] = <uint32_t>(n if users[self.terms[k].coordinate] else g) + 1
        for g in range(n):
            i = self.leader[g]
            end = self.first[i + 1] if i + 1 < self.n else self.n_terms
            own[g] = 0
            for k in range(self.first[i], end):
                factor = width * self.terms[k].factor
                own[g] += factor * factor if users[self.terms[k].coordinate] == g + 1 else 0
            own[g] = sqrt(own[g])

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate n doubles in self.work, without preserving its content."""
        if n > self.work_capacity:
            free(self.work)
            self.work = NULL
            self.work_capacity = 0
            resize(&self.work, n, sizeof(double))
            self.work_capacity = n
        return 0

    # Python API for tests

    def begin_score(self, double mean, terms=(), correlated=()):
        """Add a score: its mean, (key, factor) of independent terms, and (key, factor of a precision, x) of blocks."""
        cdef uint32_t begin = 0
        cdef double* room
        self.begin(mean)
        for key, factor in terms:
            self.add(key, factor)
        for key, packed, x in correlated:
            room = self.block(key, len(x), &begin)
            for i, value in enumerate(packed if room != NULL else ()):
                room[i] = value
            for i, value in enumerate(x):
                self.add_correlated(begin + <uint32_t>i, value)

    def probabilities(self, double width=1, bint optimistic=False, size_t samples=100, unsigned long long key=1):
        """The probability that each score is the largest."""
        cdef float* shares = <float*>malloc((self.n + 1) * sizeof(float))
        if shares == NULL:
            raise MemoryError
        try:
            self.best(width, optimistic, samples, key, shares)
            return [shares[i] for i in range(self.n)]
        finally:
            free(shares)

    def moments(self):
        """(means, covariance) of the scores, as lists."""
        cdef size_t i, j, d = self.n_coordinates
        self.n_groups = self.n
        for i in range(self.n):
            self.leader[i] = <uint32_t>i
        self.lay_out()
        for i in range(self.n):
            self.whiten(self.work + i * d)
        return ([self.means[i] for i in range(self.n)],
                [[vwl_dot_product(self.work + i * d, self.work + j * d, d) for j in range(self.n)]
                 for i in range(self.n)])


cdef inline double below(double x) noexcept nogil:
    """The standard normal distribution function."""
    return 0.5 * erfc(-x * 0.70710678118654752440)


cdef inline uint64_t bits_of(double x) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &x, sizeof(double))
    return bits
