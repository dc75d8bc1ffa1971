"""Terms: the summands of a score, in the order in which learners add them.

Design:
a) A term is a feature of one part of the score: value times weight. `place` is its index among the features of the
   example as the top of the stack sees it, or FIND: the feature with this hash, or one of the Sources that are none.
b) A learner whose score is a sum adds its terms (`Learner.terms`), for the example just predicted. By default a bottom
   learner is asked for the score of each feature alone, with the value 1. That is its weight if the score is linear;
   the Explainer compares the sum of all terms with the score.
c) `sd` is the standard deviation of the weight; NaN: not known.
"""
from libc.stdint cimport int32_t, uint32_t

from vwlite.core.example cimport PADDING, Example, Feature

cdef enum Source:
    FIND = -1                         # the feature with the hash
    INITIAL = -2                      # the example's initial prediction
    FIXED_EFFECT = -3                 # the score of a fixed model (reductions/offset.pyx)
    REST = -4                         # what the terms leave of the score

cdef struct Term:
    uint32_t part                     # of the score: 0, or the number of an effect from 1
    uint32_t hash
    int32_t place
    double value, weight, sd

cdef class Terms:
    cdef Term* terms
    cdef size_t n, capacity
    cdef uint32_t part                # of the terms that are added next
    cdef bint wants_sd
    cdef Feature[PADDING + 1] one     # a feature alone; zeros follow
    cdef void clear(self) noexcept nogil
    cdef int add(self, uint32_t hash, int32_t place, double value, double weight, double sd) except -1 nogil
    cdef double total(self) noexcept nogil
