"""Text of JSON: what all readers of its objects share.

Design:
a) Strings lose their escapes in place, in the block's text. Positions, not pointers, are kept where names may move the
   text.
b) A problem is stored with its position; what follows it in the object is not read.
c) The keys of each object are in a hash table, to find one that comes twice.
"""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.reasons cimport Reason
from vwlite.input.rows cimport Rows

cdef enum:
    MOST_DEEP = 64                    # objects and arrays inside each other
    FEW_KEYS = 256                    # places for keys, at first

cdef struct Key:
    # a key of an object of the line
    uint32_t object, at, n

cdef class JsonText:
    cdef Rows rows
    cdef uint8_t* text
    cdef size_t end, good             # of the text; it is UTF-8 up to there
    cdef Reason reason                # of the current object, and where
    cdef size_t problem
    cdef Key* keys                    # of the line's objects: a hash table
    cdef size_t n_keys, capacity, serial
    cdef int begin_object(self) except -1 nogil
    cdef size_t fail(self, Reason reason, size_t at) noexcept nogil
    cdef size_t blanks(self, size_t at) noexcept nogil
    cdef int meet(self, uint32_t serial, size_t at, size_t n) except -1 nogil
    cdef int more_keys(self) except -1 nogil
    cdef size_t skip(self, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef size_t literal(self, size_t at) noexcept nogil
    cdef size_t number(self, size_t at, double* value) noexcept nogil
    cdef size_t behind(self, size_t at) noexcept nogil
    cdef size_t string(self, size_t at, size_t* n) noexcept nogil
    cdef size_t read(self, size_t at) except? 0xFFFFFFFF nogil
