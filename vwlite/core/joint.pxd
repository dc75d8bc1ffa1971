"""Joint normal distribution of scores (such as those of a decision's actions), and the probability that each is best.

Design:
a) A score is its mean plus a linear combination of independent standard normals. Each learner that contributes to the
   score adds its terms (`add`). Terms with the same key are the same normal, so scores that share features are
   correlated.
b) Correlated coefficients form a block: the Cholesky factor L of their precision and, for each score, a vector x of
   features; the score's part is x' L'^-1 z.
c) Scores of the same terms and mean are equal in every draw: they are one group, and share its probability.
d) Probabilities are a function of the scores and of a key. The last ones are cached, because learning from a decision
   that was just made needs them again.
"""
from libc.stdint cimport uint32_t, uint64_t

cdef struct Term:
    uint32_t coordinate
    double factor

cdef struct Correlated:
    # a block of coefficients: its coordinates are begin ... begin + d - 1, its factor starts there in `factors`
    uint64_t key
    uint32_t begin, d
    size_t factor

cdef struct Slot:
    uint64_t key
    uint32_t coordinate
    uint32_t round                    # the slot is empty unless this is the current round

cdef class JointScores:
    cdef size_t n                     # scores
    cdef size_t n_terms, n_blocks, n_coordinates, n_groups
    cdef size_t capacity, term_capacity, factor_size, factor_capacity, block_capacity, slot_capacity, work_capacity
    cdef uint32_t round
    cdef size_t* first                # index of the first term of each score
    cdef double* means
    cdef double* sums                 # probability of each group so far
    cdef double* squares
    cdef uint32_t* group              # of each score
    cdef uint32_t* leader             # first score of each group
    cdef uint32_t* sizes              # of each group
    cdef Term* terms
    cdef Correlated* blocks
    cdef double* factors
    cdef Slot* slots                  # hash table (open addressing): keys of coordinates
    cdef double* work
    cdef float* known                 # last result of best()
    cdef size_t n_known, known_capacity
    cdef uint64_t known_key
    cdef void clear(self) noexcept nogil
    cdef int begin(self, double mean) except -1 nogil
    cdef int add(self, uint64_t key, double factor) except -1 nogil
    cdef double* block(self, uint64_t key, size_t d, uint32_t* begin) except? NULL nogil
    cdef int add_correlated(self, uint32_t coordinate, double factor) except -1 nogil
    cdef int best(self, double width, bint optimistic, size_t samples, uint64_t key, float* shares) except -1 nogil
    cdef int term(self, uint32_t coordinate, double factor) except -1 nogil
    cdef int coordinate_of(self, uint64_t key, uint32_t count, uint32_t* found) except -1 nogil
    cdef int grow_slots(self) except -1 nogil
    cdef uint64_t fingerprint(self, double width, bint optimistic, size_t samples, uint64_t key) noexcept nogil
    cdef int gather_groups(self) except -1 nogil
    cdef bint are_equal(self, size_t i, size_t j, uint64_t* signatures) noexcept nogil
    cdef int lay_out(self) except -1 nogil
    cdef void whiten(self, double* row) noexcept nogil
    cdef int integrate(self, double width, size_t samples, uint64_t key) except -1 nogil
    cdef void integrate_pair(self, const double* covariance, const double* reciprocals, const double* apart, double* at,
                             double* pair) noexcept nogil
    cdef int count(self, double width, bint optimistic, size_t samples, uint64_t key) except -1 nogil
    cdef void find_owners(self, uint32_t* users, double* own, double width) noexcept nogil
    cdef int reserve(self, size_t n) except -1 nogil
