"""Members of JSON objects: reads objects into rows, without Python objects."""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.reasons cimport Reason
from vwlite.input.columns cimport Columns
from vwlite.input.rows cimport Rows

cdef struct Key:
    # a key of an object of the line
    uint32_t object, at, n

cdef class Members:
    cdef Rows rows
    cdef uint8_t* text
    cdef size_t end, good             # of the text; it is UTF-8 up to there
    cdef Reason reason                # of the current object, and where
    cdef size_t problem
    cdef Key* keys                    # of the line's objects: a hash table
    cdef size_t n_keys, capacity, serial
    cdef bint mapped                  # there is a column map
    cdef Columns columns              # of keys by the map, as they were met
    cdef dict numbers                 # of columns by the name of the key
    cdef object column_map
    cdef size_t fail(self, Reason reason, size_t at) noexcept nogil
    cdef size_t blanks(self, size_t at) noexcept nogil
    cdef size_t read(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t object(self, size_t at, int depth, size_t outer, size_t n_outer) except? 0xFFFFFFFF nogil
    cdef int meet(self, uint32_t serial, size_t at, size_t n) except -1 nogil
    cdef int more_keys(self) except -1 nogil
    cdef size_t member(self, size_t key, size_t n, size_t at, int depth, size_t outer, size_t n_outer) \
        except? 0xFFFFFFFF nogil
    cdef size_t special(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil
    cdef Py_ssize_t column_of(self, size_t key, size_t n, size_t outer, size_t n_outer) except? -2 nogil
    cdef Py_ssize_t find_column(self, bytes outer, bytes name, size_t key) except? -2
    cdef size_t array(self, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef size_t skip(self, size_t at, int depth) except? 0xFFFFFFFF nogil
    cdef size_t literal(self, size_t at) noexcept nogil
    cdef size_t number(self, size_t at, double* value) noexcept nogil
    cdef size_t behind(self, size_t at) noexcept nogil
    cdef size_t string(self, size_t at, size_t* n) noexcept nogil
