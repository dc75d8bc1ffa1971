"""Stored examples of a pass, to which all parts of a score are fitted: jointly, by callers of targets() and piece_of(),
or in turn, by coordinate descent.

Part 0 is the learner below, the others are effects. In coordinate descent, a part starts from its state before the
pass, with the scores of all others as its offset. All examples are in memory, with the features of each part; features
of the whole example are stored once.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Example, Feature
from vwlite.core.learner cimport Learner, Learners

cdef struct Kept:
    float label, weight, initial

cdef struct Piece:
    # features that a part learns from, and their entity
    uint64_t entity
    size_t begin
    uint32_t n                        # 0: the part is absent in the example

cdef class Sweeps:
    cdef Learner base
    cdef Learners effects
    cdef list frozen                  # for each part, whether it is frozen
    cdef double least                 # examples of an entity before its model is used
    cdef int most
    cdef bint fitting, stopping
    cdef readonly int done            # number of sweeps
    cdef readonly bint converged      # scores were stable in the last one
    cdef readonly double loss         # mean loss of the examples after the last fit
    cdef Kept* kept
    cdef Piece* pieces                # of each example and part
    cdef double* scores               # of each example and part; part 0 includes the initial prediction
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
