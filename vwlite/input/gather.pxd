"""Copies rows of blocks into one block, for what chooses, mixes or reorders examples.

Design:
a) A copied row is complete: line, tag, label, namespaces, features and names. Its places in the text move with its
   line, so that messages name the same column.
b) Rows of several sources can be in the block; each has its source, and its number of the line in that.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Block, Extent, Row

cdef class Gather:
    cdef Block block
    cdef bint multiline               # an empty row ends an example
    cdef readonly size_t examples     # in the block
    cdef int add(self, Block block, size_t first, size_t end, uint32_t source, float weight) except -1 nogil
    cdef int add_row(self, Block block, const Row* row, uint32_t source, float weight) except -1 nogil
    cdef uint32_t text(self, const char* text, size_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t moved(self, Block block, const Row* row, size_t at, size_t place, size_t n) \
        except? 0xFFFFFFFF nogil
    cdef int copy_noted(self, Block block, const Row* row, size_t at) except -1 nogil
    cdef int features(self, Block block, const Row* row, size_t at) except -1 nogil
    cdef uint32_t name_of(self, Block block, const Row* row, size_t at, const Extent* extent) \
        except? 0xFFFFFFFF nogil
    cdef int end_example(self, Block block, size_t line, uint32_t source) except -1 nogil
    cdef int shuffle(self, uint64_t key) except -1 nogil
    cdef bint is_malformed(self, size_t i) noexcept nogil
    cdef int reserve(self, size_t rows, size_t extents, size_t features) except -1 nogil
    cdef int end_block(self) except -1 nogil
    cdef bint is_full(self, size_t most) noexcept nogil
