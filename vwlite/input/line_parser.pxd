"""LineParser: the base class of parsers of formats that have one example a line and no names of their own rules.

A subclass reads a line into the current row; names are put into the block's text, which may move it: positions stay.
"""
from libc.stdint cimport uint8_t

from vwlite.core.example cimport Block
from vwlite.input.rows cimport Rows
from vwlite.input.source_parser cimport SourceParser

cdef class LineParser(SourceParser):
    cdef object labels
    cdef bint names
    cdef int parse_lines(self, Block block) except -1
    cdef int line(self, Rows rows, size_t start, size_t stop, size_t line, size_t good) except -1 nogil
    cdef size_t until(self, const uint8_t* text, size_t at, size_t stop) noexcept nogil
    cdef int read(self, Rows rows, size_t at, size_t stop, size_t* problem) except -1 nogil

cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == 32 or 9 <= c <= 13
