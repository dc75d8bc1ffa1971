"""Tracks: the losses of a model, piece by piece of its data, so that models of the same data can be compared in pairs.

Design:
a) A piece is so many consecutive rows, the same for all models of a sweep. When there are MOST_PIECES, neighbours are
   joined and pieces are twice as long, so the memory is bounded, whatever the data.
b) Of a number that is predicted for a number, a Tally sums several losses, of which one is chosen at the end: losses of
   different functions can't be compared. Of other stacks, pieces have the stack's own loss, from the counters.
"""
from libc.math cimport fabs, isnan
from libc.stdlib cimport free
from libc.string cimport memset

from cpython.memoryview cimport PyMemoryView_FromMemory

from vwlite.core.arrays cimport grow
from vwlite.core.elementary cimport exp, log1p
from vwlite.core.example cimport Block, Example, Row, SimpleExample
from vwlite.core.observer cimport Observer
from vwlite.engine.driver cimport Driver

cdef enum:
    MOST_PIECES = 2048                # even
    FIRST_ROWS = 64                   # of a piece
    PYBUF_READ = 0x100
    N_SUMS = 8

# the columns of a piece, in the order of the struct
COLUMNS = ("weight", "loss", "given_weight", "wrong_at_zero", "wrong_at_half", "square", "absolute", "log_loss")

cdef struct Sums:
    double weight, loss               # as the stack weighs examples
    double given_weight               # as the data does, for all that follows
    double wrong_at_zero, wrong_at_half, square, absolute
    double log_loss                   # of the score as log-odds

cdef struct Piece:
    # of examples that were learned after their prediction, and of those held out
    Sums learned, tested


cdef class Tally(Observer):
    """Sums losses of the predictions of numbers; passes examples on to another observer.

    Args:
        log_odds: Whether scores are log-odds.
        other: Another observer, or None.
    """

    cdef Sums learned, tested
    cdef bint log_odds
    cdef Observer other

    def __init__(self, bint log_odds, Observer other=None):
        self.log_odds, self.other = log_odds, other
        self.takes_many = other is None or other.takes_many

    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil:
        if ex.labelled and ex.weight > 0:
            self.add(&self.tested if tested else &self.learned, ex.label, row.weight, ex.score, ex.prediction)
            self.add_loss(&self.tested if tested else &self.learned, ex.weight, ex.loss)
        return 0 if self.other is None else self.other.note(ex, block, row, tested)

    cdef int note_many(self, const SimpleExample* examples, size_t n, bint tested) except -1 nogil:
        cdef size_t i
        cdef Sums* to = &self.tested if tested else &self.learned
        for i in range(n):
            if not isnan(examples[i].label):
                self.add(to, examples[i].label, examples[i].weight, examples[i].score, examples[i].prediction)
                self.add_loss(to, examples[i].weight, examples[i].loss)
        return 0 if self.other is None else self.other.note_many(examples, n, tested)

    cdef inline void add_loss(self, Sums* to, double weight, double loss) noexcept nogil:
        to.weight += weight
        to.loss += loss

    cdef inline void add(self, Sums* to, double label, double weight, double score, double prediction) noexcept nogil:
        cdef double difference = prediction - label, favour
        to.given_weight += weight
        to.wrong_at_zero += weight * ((score > 0) != (label > 0))
        to.wrong_at_half += weight * ((score > 0.5) != (label > 0))
        to.square += weight * difference * difference
        to.absolute += weight * fabs(difference)
        if self.log_odds:
            # log(1 + e^-m) = max(-m, 0) + log(1 + e^-|m|), m the score in the label's favour, never overflows
            favour = score if label > 0 else -score
            to.log_loss += weight * ((-favour if favour < 0 else 0) + log1p(exp(-fabs(favour))))


cdef class Track:
    """The losses of a driver's model, piece by piece.

    Args:
        driver: The driver.
        tally: Its observer, or None for the driver's counters.
    """

    cdef readonly Driver driver
    cdef Tally tally
    cdef Piece* pieces
    cdef size_t n, capacity, length, rows  # rows: of each piece; length: of the last one, 0 if there is none
    cdef Piece before                     # the sums at its beginning

    def __init__(self, Driver driver not None, Tally tally=None):
        self.driver, self.tally = driver, tally
        self.rows = FIRST_ROWS
        self.sums(&self.before)

    def __dealloc__(self):
        free(self.pieces)

    cdef void sums(self, Piece* to) noexcept nogil:
        """The sums so far."""
        if self.tally is not None:
            to.learned, to.tested = self.tally.learned, self.tally.tested
            return
        memset(to, 0, sizeof(Piece))
        to.learned.weight = self.driver.counters.weighted_labeled
        to.learned.loss = self.driver.counters.sum_loss
        to.tested.weight, to.tested.loss = self.driver.counters.holdout_weight, self.driver.counters.holdout_loss

    def begin_pass(self):
        """Forgets the pieces, for another pass."""
        self.n = self.length = 0
        self.rows = FIRST_ROWS
        self.sums(&self.before)

    def run(self, Block block not None):
        """Runs a block through the driver."""
        cdef Example ex = self.driver.ex
        self.driver.begin_block(block, NULL)
        try:
            if self.driver.holds_gil:
                self.run_pieces(block, ex)
            else:
                with nogil:
                    self.run_pieces(block, ex)
        finally:
            self.driver.end_block()

    cdef int run_pieces(self, Block block, Example ex) except -1 nogil:
        cdef size_t at = 0, end, stopped = 0
        while at < block.n_rows and not self.driver.done:
            if self.length == self.rows:
                self.close()
            end = min(block.n_rows, at + self.rows - self.length)
            stopped = self.driver.run_range(block, ex, at, end)
            # a multi-line example is run to its end
            self.length = min(self.rows, self.length + max(stopped, end) - at)
            at = max(stopped, end)
        return self.driver.show(block, min(at, block.n_rows))

    cdef int close(self) except -1 nogil:
        """Ends the last piece."""
        cdef Piece now
        cdef double* to
        cdef size_t i, k
        self.sums(&now)
        grow(&self.pieces, &self.capacity, self.n + 1, sizeof(Piece))
        to = <double*>&self.pieces[self.n]
        for k in range(2 * N_SUMS):
            to[k] = (<double*>&now)[k] - (<double*>&self.before)[k]
        self.n += 1
        self.before, self.length = now, 0
        if self.n < MOST_PIECES:
            return 0
        for i in range(MOST_PIECES // 2):
            for k in range(2 * N_SUMS):
                (<double*>&self.pieces[i])[k] = ((<double*>&self.pieces[2 * i])[k]
                                                 + (<double*>&self.pieces[2 * i + 1])[k])
        self.n = MOST_PIECES // 2
        self.rows *= 2
        return 0

    def found(self):
        """The pieces so far.

        Returns:
            float64 bytes (pieces, 2, columns): of learned and of held-out examples.
        """
        if self.length:
            self.close()
        return bytes(PyMemoryView_FromMemory(<char*>self.pieces, self.n * sizeof(Piece), PYBUF_READ)) if self.n else b""
