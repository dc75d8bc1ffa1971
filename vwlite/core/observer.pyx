"""Base classes of observers and gates."""
from vwlite.core.example cimport Block, Example, Row, SimpleExample
from vwlite.core.multiline cimport MultiExample


cdef class Observer:
    """Observer that does nothing."""

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        return 0

    cdef int note_lines(self, MultiExample ex, Block block, const Row* rows, bint tested) except -1 nogil:
        return self.note(ex, block, rows, tested)

    cdef int note_many(self, const SimpleExample* examples, size_t n, bint tested) except -1 nogil:
        return 0


cdef class Both(Observer):
    """Passes each example to two observers, the first of which may be None.

    Args:
        first: An observer.
        second: Another one.
    """

    def __init__(self, Observer first, Observer second not None):
        self.first, self.second = first, second

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        if self.first is not None:
            self.first.note(ex, block, row, tested)
        return self.second.note(ex, block, row, tested)

    cdef int note_lines(self, MultiExample ex, Block block, const Row* rows, bint tested) except -1 nogil:
        if self.first is not None:
            self.first.note_lines(ex, block, rows, tested)
        return self.second.note_lines(ex, block, rows, tested)


cdef class Gate:
    """Gate that is never shut."""

    cdef bint is_shut(self) except -1 nogil:
        return False

    def why(self):
        """The reason for a client whose examples are refused."""
        return ""
