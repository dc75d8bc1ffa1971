"""Bags of features in JSON: records of features that have a name, a term and a value."""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.input.json_text cimport JsonText

cdef struct Scalar:
    # a value that is no object or array
    uint8_t kind                      # its first character, '0' of a number
    size_t at, begin, n               # its place; of a string, that of its text
    double number

cdef class Bags(JsonText):
    cdef size_t key(self, size_t at, uint32_t serial, size_t* key, size_t* n) except? 0xFFFFFFFF nogil
    cdef size_t scalar(self, size_t at, int depth, Scalar* found) except? 0xFFFFFFFF nogil
    cdef size_t record(self, size_t at, int depth, bint inner) except? 0xFFFFFFFF nogil
    cdef size_t bag(self, size_t at, size_t key, size_t n, int depth) except? 0xFFFFFFFF nogil
    cdef size_t feature(self, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef int put_feature(self, const Scalar* name, const Scalar* term, double value) except -1 nogil
    cdef size_t member_of(self, size_t at, size_t key, size_t n, int depth, bint inner) except? 0xFFFFFFFF nogil
    cdef bint set_label(self, const uint8_t* name, size_t n, const Scalar* value) except -1 nogil
    cdef int set_entity(self, const uint8_t* name, size_t n, const Scalar* value) except -1 nogil
