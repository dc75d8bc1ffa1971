"""Feature hashing: murmur3_x86_32 and Vowpal Wabbit's rule for numeric names.

Everything is inline so that parsers compile it into their own loops.
The text must be readable for 16 bytes past its end (blocks are padded), so that short names are hashed without a
branch on their length.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef inline uint32_t hash_all(const uint8_t* name, size_t n, uint32_t seed) noexcept nogil:
    """murmur3_x86_32 of every byte (--hash all)."""
    return vwl_murmur3_32_padded(name, n, seed)

cdef inline uint32_t hash_string(const uint8_t* name, size_t n, uint32_t seed) noexcept nogil:
    """--hash strings: bytes <= 0x20 are stripped from both ends; digits alone are their own value plus the seed."""
    cdef uint64_t number = 0
    cdef size_t i
    while n and name[0] <= 0x20:
        name += 1
        n -= 1
    while n and name[n - 1] <= 0x20:
        n -= 1
    for i in range(n):
        if name[i] - 48 > 9 or name[i] < 48:
            return vwl_murmur3_32_padded(name, n, seed)
        number = number * 10 + (name[i] - 48)
    return <uint32_t>number + seed
