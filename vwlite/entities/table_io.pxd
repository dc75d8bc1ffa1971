"""Saving and loading of entity tables, see table_io.pyx."""
from vwlite.entities.record cimport Record

cdef bint has_factor(Record* record, bint wanted) noexcept nogil
