"""Who else looks at the examples of a run."""
from vwlite.example cimport Example

cdef class Observer:
    """Told of every example when the stack is done with it; a driver without one pays a comparison per example."""

    # tested: the prediction was not followed by learning (held out, -t, Workspace.predict)
    cdef int note(self, Example ex, bint tested) except -1 nogil
