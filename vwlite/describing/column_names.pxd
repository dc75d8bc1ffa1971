"""Names of columns: what stands before '=' in the names of features, of one namespace: `city` of `city=Bonn`.

Design:
a) Features without '=' in their names are of a column without a name, one for each namespace.
b) Features of a line mostly stand in the order of those of the line before. So the column of the last feature at the
   same place of a line is compared first.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Block, Extent, NameSpan
from vwlite.core.name_index cimport NameIndex

cdef enum:
    GUESSES = 256

cdef struct Column:
    uint64_t rows, last, labelled     # rows that have it; the last of them + 1
    double y, yy
    uint64_t features                 # in all rows
    size_t stem                       # where its name begins in the text of the names of columns
    uint32_t space, stem_length
    bint valued                       # its features have a value after the name

cdef struct Space:
    uint64_t rows, last, features
    size_t name                       # where its name begins in the text of the names of namespaces
    uint32_t name_length

cdef class ColumnNames:
    cdef Column* columns
    cdef Space* spaces
    cdef readonly size_t n_columns, n_spaces
    cdef size_t column_capacity, space_capacity
    cdef NameIndex column_names, space_names
    cdef uint32_t[GUESSES] guesses    # the column of the last new feature at this place of a row
    cdef uint32_t column_of(self, Block block, const Extent* extent, const NameSpan* name, size_t place) \
        except? 0xFFFFFFFE nogil
    cdef uint32_t space_of(self, Block block, const Extent* extent) except? 0xFFFFFFFE nogil
    cdef bint is_in(self, Block block, const Extent* extent, const Column* column) noexcept nogil
    cdef bint has_stem(self, const Column* column, const char* text) noexcept nogil
