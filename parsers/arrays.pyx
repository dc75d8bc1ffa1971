"""Arrays: reads rows of NumPy's two-dimensional arrays and SciPy's sparse matrices.

The name of a column is its number, unless names are given. So a dense and a sparse array of the same numbers are the
same examples.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from vwlite.core.example cimport Block
from vwlite.input.beside cimport Beside
from vwlite.input.naming cimport Naming
from vwlite.input.rows cimport MADE, ROWS_IN_A_BLOCK, Rows, add, is_number

from vwlite.core.reasons cimport VALUE_FINITE


cdef class Arrays:
    """Reads arrays into blocks of rows. The arguments are those of Records (records.pyx)."""

    cdef Rows rows
    cdef Block block
    cdef bytes text                   # names of columns; the i-th ends where the next one begins
    cdef size_t[::1] begins
    cdef uint32_t[::1] hashes
    cdef size_t at                    # of the names in the block's text
    cdef object names

    def __init__(self, Naming naming not None, labels, bint names, bint skips_nan):
        self.block = Block()
        self.block.source = MADE
        self.rows = Rows(naming, labels, self.block, names, skips_nan)

    def blocks(self, x, names, Beside beside not None):
        """Yields blocks of the rows of an array, always the same object.

        Args:
            x: Shape (n, d): an array of NumPy, or a sparse one of SciPy.
            names: Of the d columns; None: their numbers.
            beside: Labels, weights and tags.

        Raises:
            ValueError: If the shapes don't fit.
            TypeError: If there are values that are no numbers.
        """
        import numpy as np
        cdef size_t i = 0, total = x.shape[0], n
        sparse = hasattr(x, "tocsr")
        if sparse:
            x = x.tocsr()
        elif x.dtype.kind not in "fiubO":
            raise TypeError(f"x holds values of type {x.dtype}, where numbers are expected: give columns of different "
                            "types as a data frame, or rows as dicts")
        self.name_columns(np, names, x.shape[1])
        while i < total:
            n = min(total - i, <size_t>ROWS_IN_A_BLOCK)
            self.rows.restart()
            self.block.first_line = 1 + i
            self.at = self.rows.text
            if self.rows.names:
                self.rows.more_text(len(self.text))
                memcpy(self.block.text + self.at, <char*>self.text, len(self.text))
                self.rows.text += len(self.text)
            if sparse:
                begin, end = x.indptr[i], x.indptr[i + n]
                self.sparse(np.ascontiguousarray(x.indptr[i:i + n + 1], np.int64),
                            np.ascontiguousarray(x.indices[begin:end], np.int64),
                            np.ascontiguousarray(x.data[begin:end], np.float64), beside, i)
            else:
                try:
                    part = np.ascontiguousarray(x[i:i + n], np.float64)
                except (TypeError, ValueError) as error:
                    raise TypeError(f"rows {i + 1} to {i + n} hold a value that is no number: {error}") from None
                self.dense(part, beside, i)
            self.rows.end_block()
            yield self.block
            i += n

    cdef int name_columns(self, np, object names, size_t d) except -1:
        """Compute the hash of each column, unless it is known from the last array."""
        cdef size_t k, n
        if names is None:
            names = d
        elif len(names) != d:
            raise ValueError(f"there are {len(names):,} names of columns, and x has {d:,} columns")
        if names == self.names:
            return 0
        words = [str(name).encode() for name in (range(d) if isinstance(names, int) else names)]
        if len(set(words)) < d:
            raise ValueError(f"two columns are called {next(name for name in names if list(names).count(name) > 1)!r}")
        self.rows.restart()
        self.rows.next_row(0, 0, 0)
        self.hashes = np.zeros(d, np.uint32)
        self.begins = np.zeros(d + 1, np.uintp)
        cdef size_t begin = self.rows.text
        for k in range(d):
            n = len(words[k])
            if n == 0:
                raise ValueError(f"column {k + 1} has no name")
            self.rows.put(<const uint8_t*><char*>words[k], n)
            self.hashes[k] = self.rows.hash_in(&self.rows.plain, self.rows.text, n)
            self.rows.text += n
            self.begins[k + 1] = self.rows.text - begin
        self.text = self.block.text[begin:self.rows.text]
        self.names = names if isinstance(names, int) else list(names)
        self.rows.restart()
        return 0

    cdef inline int value(self, size_t k, double x) except -1:
        cdef Rows rows = self.rows
        if not is_number(x):
            return self.refuse(k, x)
        if <float>x != 0 or rows.naming.keeps_zeros:
            add(rows, self.hashes[k], <float>x, self.at + self.begins[k], self.begins[k + 1] - self.begins[k])
        return 0

    cdef int refuse(self, size_t k, double x) except -1:
        """A value that is missing or not finite."""
        cdef bytes name = self.text[self.begins[k]:self.begins[k + 1]]
        if not (x != x and self.rows.skips_nan):
            self.rows.refuse_number(VALUE_FINITE, <const uint8_t*><char*>name, len(name), x)
        return 0

    cdef int dense(self, const double[:, ::1] x, Beside beside, size_t first) except -1:
        cdef size_t j, k
        for j in range(<size_t>x.shape[0]):
            self.rows.next_row(j, 0, 0)
            for k in range(<size_t>x.shape[1]):
                self.value(k, x[j, k])
            if beside.given:
                beside.set(self.rows, first + j)
            self.rows.end_row()
        return 0

    cdef int sparse(self, const int64_t[::1] begins, const int64_t[::1] columns, const double[::1] values,
                    Beside beside, size_t first) except -1:
        cdef size_t j
        cdef int64_t k
        for j in range(<size_t>begins.shape[0] - 1):
            self.rows.next_row(j, 0, 0)
            for k in range(begins[j] - begins[0], begins[j + 1] - begins[0]):
                if not 0 <= columns[k] < self.hashes.shape[0]:
                    raise ValueError(f"row {first + j + 1} has an index beyond the columns: {columns[k]}")
                self.value(columns[k], values[k])
            if beside.given:
                beside.set(self.rows, first + j)
            self.rows.end_row()
        return 0
