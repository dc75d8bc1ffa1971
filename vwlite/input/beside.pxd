"""Beside: labels, weights and tags of rows that are given beside their features."""
from vwlite.input.rows cimport Rows

cdef class Beside:
    cdef readonly size_t n            # rows, if any was given
    cdef bint given
    cdef const double[::1] numbers    # labels that are numbers
    cdef const double[::1] weights
    cdef list labels, tags            # other labels
    cdef bint has_numbers, has_weights
    cdef int take(self, np, str name, object values) except -1
    cdef int set(self, Rows rows, size_t i) except -1

cdef int set_label(Rows rows, object value) except -1
cdef int set_tag(Rows rows, object value) except -1
cdef double whole_number(object value) except? -1
cdef double number_of(object key, object value) except? -1
