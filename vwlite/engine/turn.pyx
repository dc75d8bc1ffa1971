"""Turn: one thread at a time uses a workspace, and the shortest way of one dict through it."""
from cpython.pythread cimport PyThread_get_thread_ident

from vwlite.core.example cimport Block
from vwlite.engine.driver cimport Driver


cdef class Turn:
    """The right to use a workspace. The thread that has it can take it again: a generator of examples may predict.

    Raises ValueError if the workspace is closed, and RuntimeError if another thread uses it.
    """

    cdef unsigned long owner
    cdef int depth
    cdef public bint closed

    cdef int take(self) except -1:
        cdef unsigned long thread = PyThread_get_thread_ident()
        if self.closed:
            raise ValueError("the workspace is closed")
        if self.depth and self.owner != thread:
            raise RuntimeError("another thread is using this Workspace: give each thread its own, or use a lock")
        self.owner = thread
        self.depth += 1
        return 0

    def __enter__(self):
        self.take()

    def __exit__(self, *error):
        self.depth -= 1


cdef class OneRecord:
    """Learns from one dict, or predicts for it, without the detours of other kinds of examples.

    Args:
        driver: The driver of the stack.
        records: The reader of dicts.
        turn: Of the workspace.
    """

    cdef Driver driver
    cdef object block_of              # of a record, label, weight and tag
    cdef Turn turn

    def __init__(self, Driver driver not None, records, Turn turn not None):
        self.driver, self.block_of, self.turn = driver, records.one, turn

    def learn(self, record, label, weight, tag):
        """Learns from a dict, unless the stack only predicts; returns the prediction made before."""
        return self.run(record, label, weight, tag, self.driver.training)

    def predict(self, record, label, weight, tag):
        """Predicts for a dict."""
        return self.run(record, label, weight, tag, False)

    cdef object run(self, record, label, weight, tag, bint learning):
        cdef Block block
        cdef list predictions = []
        self.turn.take()
        try:
            block = self.block_of(record, label, weight, tag)
            self.driver.run_for_python(block, learning, predictions)
        finally:
            self.turn.depth -= 1
        return predictions[0]
