"""Members of JSON objects: reads objects into rows, without Python objects."""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.input.columns cimport Columns, Recent
from vwlite.input.json_text cimport JsonText

cdef struct Known:
    # a key that was met, with its outer key; `text`: both, NULL for an empty place of the table
    uint8_t* text
    uint32_t hash, n_outer, n
    uint32_t place                    # order in which keys were met first, from 1
    uint32_t next                     # place in the table + 1 of the key that last followed it
    bint hashed                       # the feature's hash is known, in a namespace
    uint32_t space, feature
    Py_ssize_t column                 # by the map, -1 for none

cdef struct Met:
    uint32_t at, n

cdef class Members(JsonText):
    cdef bint mapped                  # there is a column map
    cdef Columns columns              # of keys by the map, as they were met
    cdef dict numbers                 # of columns by the name of the key
    cdef object column_map
    cdef Known* known                 # a hash table
    cdef size_t n_known, known_capacity
    cdef Py_ssize_t last              # the key that was looked up last, -1 without one
    cdef Met* met                     # keys of the objects that are open
    cdef size_t n_met, met_capacity
    cdef Recent* recent               # categories
    cdef size_t object(self, size_t at, int depth, size_t outer, size_t n_outer) except? 0xFFFFFFFF nogil
    cdef size_t member(self, Py_ssize_t known, bint ruled, size_t key, size_t n, size_t at, int depth) \
        except? 0xFFFFFFFF nogil
    cdef size_t special(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil
    cdef int distinguish(self, uint32_t serial, size_t first) except -1 nogil
    cdef Py_ssize_t look_up(self, size_t key, size_t n, size_t outer, size_t n_outer) except? -2 nogil
    cdef bint is_known(self, size_t i, size_t key, size_t n, size_t outer, size_t n_outer) noexcept nogil
    cdef Py_ssize_t remember(self, uint32_t hash, size_t key, size_t n, size_t outer, size_t n_outer,
                             Py_ssize_t column) except? -2 nogil
    cdef bint more_known(self) except -1 nogil
    cdef bint has_hash(self, Known* known) except -1 nogil
    cdef int number_of(self, Py_ssize_t known, const uint8_t* name, size_t n, double value) except -1 nogil
    cdef int word_of(self, Py_ssize_t known, const uint8_t* name, size_t n, const uint8_t* text, size_t m) \
        except -1 nogil
    cdef Py_ssize_t find_column(self, bytes outer, bytes name, size_t key) except? -2
    cdef size_t array(self, size_t at, int depth) except? 0xFFFFFFFF nogil
