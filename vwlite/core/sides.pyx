"""Sides of a split. Design notes are in sides.pxd."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from vwlite.core.draws cimport mix, uniform
from vwlite.core.example cimport Feature


cdef uint64_t hash_bytes(const uint8_t* text, size_t n) noexcept nogil:
    """FNV-1a of 64 bits, mixed (Fowler, Noll and Vo 1991): reads no byte past the end."""
    cdef uint64_t h = <uint64_t>0xCBF29CE484222325
    cdef size_t i
    for i in range(n):
        h = (h ^ text[i]) * <uint64_t>0x100000001B3
    return mix(h, 0)


cdef double side_of_bytes(const uint8_t* text, size_t n) noexcept nogil:
    """The side of a tag, a line or another text: uniform in (0, 1)."""
    return uniform(hash_bytes(text, n), 1)


cdef inline uint64_t bits(float value) noexcept nogil:
    cdef uint32_t found
    value += 0.0                      # -0 is 0
    memcpy(&found, &value, sizeof(float))
    return found


cdef uint64_t hash_row(Block block, const Row* row) noexcept nogil:
    """A hash of a row's features, in any order."""
    cdef uint64_t sum = 0
    cdef const Feature* feature = block.features + row.feature
    cdef size_t i
    for i in range(row.n_features):
        if feature[i].value != 0:     # transforms keep zeros, and give features without a value NaN for 1
            sum += mix(<uint64_t>feature[i].hash << 32
                       | bits(feature[i].value if feature[i].value == feature[i].value else 1), 0)
    return mix(sum, 0)


cdef double side_of_example(Block block, const Row* rows, size_t n) noexcept nogil:
    """The side of an example of n rows: uniform in (0, 1)."""
    cdef uint64_t h = 0
    cdef size_t i
    for i in range(n):
        if rows[i].tag_length:
            return side_of_bytes(<const uint8_t*>block.text + rows[i].tag, rows[i].tag_length)
    for i in range(n):
        h = mix(h ^ hash_row(block, &rows[i]), 0)
    return uniform(h, 1)


def side(const unsigned char[::1] text):
    """The side of a text, a number between 0 and 1: the same text always has the same.

    >>> 0 < side(b"t1") == side(b"t1") < 1
    True
    """
    return side_of_bytes(&text[0] if text.shape[0] else NULL, text.shape[0])
