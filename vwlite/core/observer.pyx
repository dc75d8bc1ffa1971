"""Base classes of those that look at examples beside the stack."""
from vwlite.core.example cimport Block, Example, Row


cdef class Observer:
    """Does nothing."""

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        return 0


cdef class Gate:
    """Never shut."""

    cdef bint is_shut(self) except -1 nogil:
        return False

    def why(self):
        """What to say to those that are not let through."""
        return ""
