"""Scores: an observer that stores the label, weight, initial prediction and score of each labelled example."""
from libc.stdlib cimport free

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport Block, Example, Row
from vwlite.core.observer cimport Observer

cdef enum:
    COLUMNS = 4


cdef class Scores(Observer):
    """Stores labels, weights, initial predictions and scores."""

    cdef double* numbers
    cdef size_t n, capacity

    def __dealloc__(self):
        free(self.numbers)

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        cdef double* at
        if not ex.labelled or not ex.weight > 0:
            return 0
        grow(&self.numbers, &self.capacity, COLUMNS * (self.n + 1), sizeof(double))
        at = self.numbers + COLUMNS * self.n
        at[0], at[1], at[2], at[3] = ex.label, ex.weight, row.initial, ex.score
        self.n += 1
        return 0

    def rows(self):
        """The numbers of all examples: label, weight, initial prediction, score; as an array of shape (n, 4)."""
        import numpy as np
        cdef size_t i
        found = np.empty(COLUMNS * self.n)
        cdef double[::1] view = found
        for i in range(COLUMNS * self.n):
            view[i] = self.numbers[i]
        return found.reshape(-1, COLUMNS)
