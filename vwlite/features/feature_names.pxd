"""Names of an example's features: those of linear ones, and of crossed ones by the features they are made of.

Design:
a) `bind` numbers the features of an example as interactions.pyx lays them out: the namespaces that are used, the
   constant, the products of each term. A product is a run of indices into Example.linear.
b) Names are written as --audit writes them: namespace^feature, namespace^feature^text, a*b of a crossed feature.
"""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example
from vwlite.core.textbuffer cimport TextBuffer
from vwlite.features.interactions cimport Interactions, Span

cdef enum:
    THE_CONSTANT = 0xFFFFFFFF         # in place of an index

cdef class FeatureNames:
    cdef Interactions interactions
    cdef uint32_t* made_of            # for each feature its indices, one feature after the other
    cdef size_t* ends                 # where those of each feature end
    cdef size_t n, n_made_of, capacity, made_of_capacity
    cdef Span[256] spans
    cdef uint32_t[256] stack          # the indices of a product so far
    cdef int bind(self, Example ex) except -1 nogil
    cdef int write(self, Example ex, size_t i, TextBuffer to, bint as_json) except -1 nogil
    cdef int append(self, uint32_t index, size_t depth) except -1 nogil
    cdef int cross(self, const unsigned char* term, size_t left, size_t depth) except -1 nogil

cdef int write_text(const char* text, size_t n, TextBuffer to, bint as_json) except -1 nogil
