"""Base classes of observers and gates."""
from vwlite.core.example cimport Block, Example, Row, SimpleExample


cdef class Observer:
    """Observer that does nothing."""

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        return 0

    cdef int note_many(self, const SimpleExample* examples, size_t n, bint tested) except -1 nogil:
        return 0


cdef class Gate:
    """Gate that is never shut."""

    cdef bint is_shut(self) except -1 nogil:
        return False

    def why(self):
        """The reason for a client whose examples are refused."""
        return ""
