"""Folds of cross-validation: which fold an example is in, and its prediction by the model without that fold.

Design:
a) The fold of an example is by its side (core/sides.pxd): by that of its tag, or of its number among the examples
   without one. With a name, it is by the side of what the name is in the example, such as the user; examples without
   it go by their tag or number. The side of the contents, as of --holdout, is no good here: where many examples have
   the same features, all with one label would be in one fold, and the model without them learns only the other label.
b) A model's driver skips the rows of its fold, and so learns as a run over data without them.
c) Afterwards each row is run by the driver of its fold, one after the other, so predictions are in the order of the
   input.
"""
from libc.stdint cimport uint8_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from vwlite.core.example cimport ROW_EMPTY, ROW_EXAMPLE, Block, Example
from vwlite.core.sides cimport side_of_bytes
from vwlite.engine.driver cimport Driver
from vwlite.input.predicate cimport Predicate

cdef enum:
    MOST_FOLDS = 100
    NO_FOLD = 255                     # of rows that are no examples, or of one with a malformed line

MOST = MOST_FOLDS


cdef class Folds:
    """Assigns folds.

    Args:
        k: The number of folds.
        multiline: Whether an empty line ends each example.
        predicate: A Predicate whose first name decides; None for tags and numbers.
    """

    cdef readonly size_t k
    cdef bint multiline
    cdef Predicate predicate
    cdef readonly list counts         # examples of each fold
    cdef readonly size_t named        # examples that have the name
    cdef readonly size_t n            # examples

    def __init__(self, size_t k, bint multiline, Predicate predicate=None):
        self.k, self.multiline, self.predicate = k, multiline, predicate
        self.counts = [0] * k

    def assign(self, Block block not None):
        """The fold of each row of a block, as bytes; NO_FOLD for rows of no example."""
        folds = PyBytes_FromStringAndSize(NULL, block.n_rows)
        cdef uint8_t* to = <uint8_t*>PyBytes_AS_STRING(folds)
        cdef size_t i = 0, first, fold
        cdef size_t[MOST_FOLDS] counts
        cdef bint whole
        for first in range(MOST_FOLDS):
            counts[first] = 0
        while i < block.n_rows:
            first = i
            whole = block.rows[i].kind == ROW_EXAMPLE
            i += 1
            while self.multiline and i < block.n_rows and block.rows[i - 1].kind != ROW_EMPTY:
                if block.rows[i].kind == ROW_EMPTY:
                    break
                whole = whole and block.rows[i].kind == ROW_EXAMPLE
                i += 1
            fold = NO_FOLD
            if whole:
                fold = min(<size_t>(self.side(block, first, i) * self.k), self.k - 1)
                counts[fold] += 1
            for first in range(first, i):
                to[first] = <uint8_t>fold
        for fold in range(self.k):
            self.counts[fold] += counts[fold]
        return folds

    cdef double side(self, Block block, size_t first, size_t end) except -1:
        """The side of the example of these rows."""
        cdef size_t i
        cdef bytes key
        self.n += 1
        if self.predicate is not None:
            for i in range(first, end):
                self.predicate.resolve(block, i, self.predicate.operands)
                key = self.predicate.key(block, &block.rows[i])
                if key is not None:
                    self.named += 1
                    return side_of_bytes(<const uint8_t*>PyBytes_AS_STRING(key), len(key))
        for i in range(first, end):
            if block.rows[i].tag_length:
                return side_of_bytes(<const uint8_t*>block.text + block.rows[i].tag, block.rows[i].tag_length)
        return side_of_number(self.n)

    def masks(self, const uint8_t[::1] folds not None, bint others=False):
        """For each fold, which rows are of it, as bytes of 0 and 1; or which are not, of `others`."""
        cdef size_t n = folds.shape[0], fold, i
        cdef uint8_t* to
        found = []
        for fold in range(self.k):
            mask = PyBytes_FromStringAndSize(NULL, n)
            to = <uint8_t*>PyBytes_AS_STRING(mask)
            for i in range(n):
                to[i] = (folds[i] == fold) != others
            found.append(mask)
        return found


cdef double side_of_number(size_t number) noexcept nogil:
    """The side of a number in decimal digits."""
    cdef uint8_t[64] digits           # more than there are: hashes may be read past the end
    cdef size_t at = 24
    while True:
        at -= 1
        digits[at] = 48 + number % 10
        number //= 10
        if number == 0:
            break
    return side_of_bytes(&digits[at], 24 - at)


def predict_out(list drivers not None, Block block not None, const uint8_t[::1] folds not None,
                bytearray order not None, bint multiline):
    """Runs each example of a block by the driver of its fold; the others are skipped.

    Args:
        drivers: The driver of each fold; they learn nothing.
        block: The block.
        folds: The fold of each row.
        order: The folds of the examples that drivers have counted, to which those of the block are appended.
        multiline: Whether an empty line ends each example.
    """
    cdef size_t i = 0, end, before
    cdef Driver driver
    cdef Example ex
    for each in drivers:
        (<Driver>each).begin_block(block, NULL)
    try:
        while i < block.n_rows:
            end = i + 1
            while multiline and end < block.n_rows and folds[end] == folds[i] and block.rows[end].kind != ROW_EMPTY:
                end += 1
            if folds[i] != NO_FOLD:
                driver = <Driver>drivers[folds[i]]
                ex = driver.ex
                before = driver.counters.example_number
                driver.run_range(block, ex, i, i + 1)
                if driver.counters.example_number > before:
                    order.append(folds[i])
            i = end
    finally:
        for each in drivers:
            (<Driver>each).end_block()
