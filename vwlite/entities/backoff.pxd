"""Exponential backoff while evicted entities can't be written to a full disk (--entity_limit)."""
from vwlite.core.observer cimport Gate

cdef class Backoff:
    cdef size_t beyond                # number of tables with more entities in memory than their limit
    cdef readonly object trouble      # ModelError of the last failed write
    cdef double pause, next_try       # seconds
    cdef public double first_pause
    cdef public size_t spare          # bytes of a table below which learning goes on
    cdef bint is_time(self) noexcept nogil

cdef class EntityGate(Gate):
    cdef readonly Backoff backoff
    cdef list tables
    cdef bint any_is_out(self) except -1 with gil
