"""What happens while entities that should leave memory can't be written to disk (--entity_limit)."""
from vwlite.core.observer cimport Gate

cdef class Backoff:
    cdef size_t beyond                # tables that have more in memory than their limit
    cdef readonly object trouble      # what the last try to write came to, a ModelError
    cdef double pause, next_try       # seconds
    cdef public double first_pause
    cdef public size_t spare          # bytes of a table that are no reason to learn nothing more
    cdef bint is_time(self) noexcept nogil

cdef class EntityGate(Gate):
    cdef readonly Backoff backoff
    cdef list tables
    cdef bint any_is_out(self) except -1 with gil
