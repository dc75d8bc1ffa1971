"""Who looks at examples beside the stack."""
from vwlite.core.example cimport Block, Example, Row

cdef class Observer:
    """Told of every example when the stack is done with it; a driver without one pays a comparison per example."""

    # row: the example as parsed, with the namespaces that --ignore hides from the stack
    # tested: the prediction was not followed by learning (held out, -t, Workspace.predict)
    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil

cdef class Gate:
    """Asked before an example is learned; a driver without one pays a comparison per example."""

    # whether nothing can be learned just now; why() says why
    cdef bint is_shut(self) except -1 nogil
