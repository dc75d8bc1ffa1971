"""The examples of a pass, to which the parts of a score are fitted: all at once by those who ask for targets() and
piece_of(), or by coordinate descent, in turn, again and again.

Part 0 is the learner below, the others are models of entities. A part is taught with the scores of all others as its
offset, from what it knew before the pass. All examples are kept in memory for that, with the features that each part
learns from; features that are the whole example's are kept once.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Example, Feature
from vwlite.core.learner cimport Learner, Learners

cdef struct Kept:
    float label, weight, initial

cdef struct Piece:
    # what a part learns from: features, and whose they are
    uint64_t entity
    size_t begin
    uint32_t n                        # 0: the example has nothing of this part

cdef class Sweeps:
    cdef Learner base
    cdef Learners effects
    cdef list frozen                  # of each part
    cdef double least                 # experience that an entity needs to be listened to
    cdef int most
    cdef bint fitting, stopping
    cdef readonly int done            # sweeps
    cdef readonly bint converged      # nothing moved in the last one
    cdef readonly double loss         # of the examples, after the last fit
    cdef Kept* kept
    cdef Piece* pieces                # of each example: each part's
    cdef double* scores               # the same; that of part 0 counts the example's initial one in
    cdef Feature* features
    cdef readonly size_t n
    cdef size_t capacity, n_parts, n_features, feature_capacity
    cdef int keep(self, Example ex) except -1 nogil
    cdef int keep_piece(self, size_t part, uint64_t entity, const Feature* features, size_t n) except -1 nogil
    cdef void keep_whole(self, size_t part, uint64_t entity) noexcept nogil
    cdef int copy(self, Piece* piece, const Feature* features, size_t n) except -1 nogil
    cdef Piece* piece(self, size_t i, size_t part) noexcept nogil
    cdef int weigh(self, list powers) except -1
    cdef void load(self, Example ex, size_t i, size_t part) noexcept nogil
    cdef int fit_part(self, Example ex, size_t part) except -1 nogil
    cdef int score_part(self, Example ex, size_t part) except -1 nogil
    cdef double mean_loss(self) noexcept nogil
    cdef void forget(self) noexcept nogil

cdef double entity_score(Learners effects, size_t effect, Example ex, double least) except? -1e10 nogil
