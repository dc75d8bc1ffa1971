"""Interfaces of observers and gates: callbacks of the driver for each example, outside the stack."""
from vwlite.core.example cimport Block, Example, Row, SimpleExample
from vwlite.core.multiline cimport MultiExample

cdef class Observer:
    """Callback after each example that the stack has processed; a driver without one pays a comparison per example."""

    # row: the example as parsed, with the namespaces that --ignore hides from the stack
    # tested: the prediction was not followed by learning (held out, -t, Workspace.predict)
    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil
    # the same of a multi-line example, whose first row is given; note() unless a class has its own
    cdef int note_lines(self, MultiExample ex, Block block, const Row* rows, bint tested) except -1 nogil
    # whether note_many is called instead of note where a learner took n ordinary rows together
    cdef bint takes_many
    cdef int note_many(self, const SimpleExample* examples, size_t n, bint tested) except -1 nogil

cdef class Both(Observer):
    """Two observers in one."""

    cdef Observer first, second

cdef class Gate:
    """Check before an example is learned; a driver without one pays a comparison per example."""

    # whether learning is blocked at present; why() returns the reason
    cdef bint is_shut(self) except -1 nogil
