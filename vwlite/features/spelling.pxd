"""Spelling: names of the features of an example as in audits: `ns^feature`, `ns^feature^text`, `a*b` of crossed ones.

The driver calls it for examples with features that are new; features are found by their place in VW's order of
evaluation, which is that of Interactions.expand().
"""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Example
from vwlite.features.interactions cimport Interactions, Span
from vwlite.features.known cimport KnownFeatures

cdef class Speller:
    cdef Interactions interactions
    cdef KnownFeatures known
    cdef char* name                   # the name so far
    cdef size_t length, capacity
    cdef size_t next, position        # of the new features; of the features of the example
    cdef size_t extent                # that of the linear feature named last
    cdef Span[256] spans              # of the namespaces of an index, in the linear features
    cdef uint32_t[256] parts          # of a crossed feature, by index of the linear one
    cdef int spell(self, Example ex) except -1 nogil
    cdef int spell_crossed(self, Example ex, Interactions chosen) except -1 nogil
    cdef int cross(self, Example ex, const uint8_t* term, size_t left, size_t depth) except -1 nogil
    cdef int put(self, Example ex, size_t i) except -1 nogil
    cdef int append(self, const char* text, size_t n) except -1 nogil
    cdef int sign(self, char sign) except -1 nogil
    cdef int copy(self, Example ex, const char* text, size_t n) except -1 nogil
    cdef int add(self, Example ex) except -1 nogil
