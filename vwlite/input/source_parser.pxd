"""SourceParser: what the parsers of text share that read their sources by a LineReader."""
from vwlite.core.example cimport Block
from vwlite.input.naming cimport Naming
from vwlite.input.parser cimport FAILED, Filled, Parser, Readiness
from vwlite.input.reader cimport LineReader

cdef class SourceParser(Parser):
    cdef public LineReader reader
    cdef Naming naming
    cdef size_t limit                 # bytes of a line
