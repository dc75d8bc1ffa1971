"""Saving and loading of entity tables, see table_io.pyx."""
from vwlite.entities.record cimport Record

cdef bint is_dof(double dof, size_t n) noexcept nogil
cdef bint has_factor(Record* record, bint wanted) noexcept nogil
