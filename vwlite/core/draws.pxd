"""Counter-based random numbers: a pure function of a key and a counter.

Design: a draw is computed from its purpose (seed, decision, coefficient), not from a stream. So it doesn't depend on
the order of computation or the number of threads, any draw can be repeated by itself, and there is no state to save.
"""
from libc.math cimport fabs, sqrt
from libc.stdint cimport uint64_t

from vwlite.core.elementary cimport log

cdef inline uint64_t mix(uint64_t key, uint64_t i) noexcept nogil:
    """64 well mixed bits: the i-th output of SplitMix64 (Steele, Lea and Flood 2014) started at key."""
    cdef uint64_t z = key + (i + 1) * <uint64_t>0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)

cdef inline double uniform(uint64_t key, uint64_t i) noexcept nogil:
    """Uniform in (0, 1), ends excluded."""
    return ((mix(key, i) >> 12) + 0.5) * (1.0 / 4503599627370496.0)

cdef inline double normal(uint64_t key, uint64_t i) noexcept nogil:
    """Standard normal."""
    return normal_quantile(uniform(key, i))

cdef inline float vw_random(uint64_t* state) noexcept nogil:
    """VW's linear congruential generator: a number in [0, 1), from 23 bits of the state."""
    state[0] = <uint64_t>0xeece66d5deece66d * state[0] + 2147483647
    return <float>((state[0] >> 25) & 0x7FFFFF) / 8388608

cdef double normal_quantile(double p) noexcept nogil
