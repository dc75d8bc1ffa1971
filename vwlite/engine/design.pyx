"""Design matrix: labels, weights, offsets and hashed features of rows, as arrays, for optimisers outside a stack."""
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport ROW_EXAMPLE, Block, Example, Feature
from vwlite.core.reasons cimport FINE
from vwlite.features.interactions cimport Interactions


cdef class Design:
    """The rows of blocks as a sparse matrix by rows, with crossed features, the constant among them.

    Args:
        interactions: Of the stack.
        constant: Whether each row has the constant.
        bits: Hashes are masked to this many bits, as those of a table are.

    Attributes:
        problems: Rows that were left out: malformed, without a label, or of a weight that is not above 0.
    """

    cdef Interactions interactions
    cdef bint constant
    cdef uint32_t mask
    cdef Example ex
    cdef float* heads                 # label, weight, initial of each row
    cdef int64_t* ends                # of its features
    cdef Feature* features
    cdef size_t n, n_features, heads_capacity, ends_capacity, feature_capacity
    cdef readonly size_t problems

    def __init__(self, Interactions interactions not None, bint constant, int bits):
        self.interactions = interactions
        self.constant = constant
        self.mask = 0xFFFFFFFF if bits >= 32 else (<uint32_t>1 << bits) - 1
        self.ex = Example()

    def __dealloc__(self):
        free(self.heads)
        free(self.ends)
        free(self.features)

    def __len__(self):
        return self.n

    def add(self, Block block not None):
        """Adds the rows of a parsed block."""
        cdef size_t i
        cdef Example ex = self.ex
        with nogil:
            for i in range(block.n_rows):
                self.add_row(block, i, ex)

    cdef int add_row(self, Block block, size_t i, Example ex) except -1 nogil:
        cdef size_t k
        if block.rows[i].kind != ROW_EXAMPLE:
            if block.rows[i].reason != FINE:
                self.problems += 1
            return 0
        ex.bind(block, &block.rows[i], self.constant)
        if not ex.labelled or not ex.weight > 0 or self.interactions.expand(ex) != FINE:
            self.problems += 1
            return 0
        grow(&self.heads, &self.heads_capacity, 3 * (self.n + 1), sizeof(float))
        grow(&self.ends, &self.ends_capacity, self.n + 1, sizeof(int64_t))
        grow(&self.features, &self.feature_capacity, self.n_features + ex.n, sizeof(Feature))
        self.heads[3 * self.n], self.heads[3 * self.n + 1], self.heads[3 * self.n + 2] = ex.label, ex.weight, ex.initial
        memcpy(self.features + self.n_features, ex.features, ex.n * sizeof(Feature))
        for k in range(self.n_features, self.n_features + ex.n):
            self.features[k].hash &= self.mask
        self.n_features += ex.n
        self.ends[self.n] = self.n_features
        self.n += 1
        return 0

    def arrays(self):
        """The rows so far, which are forgotten.

        Returns:
            labels, weights and offsets, float32 of shape (n,); the index of each row's first feature and of the end,
            int64 of shape (n + 1,); hashes, uint32, and values, float32, of all features.
        """
        import numpy as np
        cdef size_t i
        cdef float[:, ::1] heads
        cdef int64_t[::1] begins
        cdef uint32_t[::1] hashes
        cdef float[::1] values
        found_heads, found_begins = np.empty((3, self.n), np.float32), np.zeros(self.n + 1, np.int64)
        found_hashes, found_values = np.empty(self.n_features, np.uint32), np.empty(self.n_features, np.float32)
        heads, begins, hashes, values = found_heads, found_begins, found_hashes, found_values
        for i in range(self.n):
            heads[0, i], heads[1, i], heads[2, i] = self.heads[3 * i], self.heads[3 * i + 1], self.heads[3 * i + 2]
            begins[i + 1] = self.ends[i]
        for i in range(self.n_features):
            hashes[i], values[i] = self.features[i].hash, self.features[i].value
        self.n = self.n_features = 0
        return (*found_heads, found_begins, found_hashes, found_values)
