"""Ranking of actions, and draws from their probabilities."""
from libc.stdint cimport uint32_t

cdef void rank(uint32_t* order, const float* scores, size_t n, bint largest_first) noexcept nogil
cdef void rank_taken(uint32_t* order, const float* probabilities, size_t n, size_t taken) noexcept nogil
cdef size_t pick(const float* probabilities, size_t n, double u) noexcept nogil
