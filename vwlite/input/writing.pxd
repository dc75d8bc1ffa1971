"""Examples written as text, or as records for tables.

Design:
a) Rows are written from their features, so what is read from the output is the same example, bit for bit: the same
   features in the same order, with the same values. What the format has no way to write is refused, with the place and
   the reason, and never written as something else.
b) Lines of VW's text become VW's text by copying (`copies`): every way of writing a feature stays as it is.
c) A whole number is written as one, others in the fewest digits that the parser reads back as the same number in
   single precision.
"""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Block, Row
from vwlite.core.textbuffer cimport TextBuffer

cdef enum Refusal:
    # why a format has no way to write an example
    RAISED = -1
    WRITTEN
    INITIAL_UNLABELLED
    WEIGHT_UNLABELLED
    WEIGHT_OTHER
    NAME_SIGNS
    NAME_TWICE
    NAME_SPECIAL
    TEXT_VALUE
    NO_UTF8
    TAG_SIGNS


cdef class Lines:
    cdef TextBuffer out, choices
    cdef bint copies, multiline, simple, classes, joined
    cdef object problem, names
    cdef float plain                  # value of a feature that is written without one
    cdef readonly size_t examples
    cdef int report(self, Block block, const Row* row) except -1
    cdef int refuse(self, Block block, const Row* row, Refusal refusal) except -1
    cdef Refusal write(self, Block block, const Row* row) except RAISED nogil
    cdef int number(self, float value) except -1 nogil
    cdef int label(self, Block block, const Row* row, TextBuffer out) except -1 nogil

cdef int shortest(float value, uint8_t* to) noexcept nogil
cdef Refusal clean(const char* text, size_t n) noexcept nogil
