"""Output buffer: text is written into memory without the GIL, and drained to a file once a block."""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example

cdef class TextBuffer:
    cdef char* buffer
    cdef size_t used, capacity
    cdef public bint as_vw            # --vw_compat: six decimals, even for small numbers
    cdef int reserve(self, size_t n) except -1 nogil
    cdef int text(self, const char* what, size_t n) except -1 nogil
    cdef int tag(self, Example ex) except -1 nogil
    cdef int number(self, float value) except -1 nogil
    cdef int action(self, uint32_t action, float value) except -1 nogil
    cdef int whole(self, uint32_t number) except -1 nogil
    cdef int short_number(self, float value) except -1 nogil
