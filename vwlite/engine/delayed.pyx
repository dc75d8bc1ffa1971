"""Delayed labels: each example is predicted when it comes, and learned when its label is known, --delay later.

Design:
a) Examples that were predicted wait as copies in blocks of their own (input/gather.pxd), in the order of the input.
   Labels become known in that order, too, so examples are learned in the order in which a run without a delay learns
   them, and the model at the end is the same. Only the predictions before that, and their losses, are those of less
   knowledge.
b) The time of an example is what --time names in it, or its tag, as a number or as a time of ISO 8601; of a namespace,
   the value of its first feature, as for --forget_time. An example without it has the time of the one before. Time
   never goes back.
c) What waits at the end of the pass is learned then. Further passes know all labels.
"""
from libc.math cimport INFINITY, NAN, isfinite, isnan
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, strtod
from libc.string cimport memcpy

from vwlite.core.arrays cimport resize
from vwlite.core.example cimport ROW_EXAMPLE, Block, Example, Row, source_of
from vwlite.core.observer cimport Observer
from vwlite.engine.driver cimport Driver
from vwlite.input.columns cimport read_date
from vwlite.input.gather cimport Gather
from vwlite.input.predicate cimport MISSING, SEVERAL, TEXT, Operand, Predicate

from vwlite.errors import VwliteError

cdef enum:
    ROWS = 1024                       # of a block of waiting examples
    DIGITS = 40                       # of a time
    FIRST_CAPACITY = 1024

cdef double EXACT = 1 << 24           # single precision has all whole numbers up to this


cdef class Delay:
    """Runs blocks with delayed labels.

    Args:
        driver: The driver.
        amount: The number of examples that are predicted before a label is known; or the time.
        time: A Predicate whose first name is the time; None if the amount is a number of examples.
        name: Of the time, for messages.
        names: Whether learners read the names of features.
    """

    cdef Driver driver
    cdef double amount, now
    cdef Predicate time
    cdef str name
    cdef bint names
    cdef list waiting, spare          # Gathers: the first is being learned, the last is being filled
    cdef size_t learned               # rows of the first
    cdef double* due                  # ring: from when on the label of each waiting example is known
    cdef size_t first, n, capacity
    cdef readonly size_t most, timed  # waiting at once; examples with a time
    cdef double number                # of examples that were predicted

    def __init__(self, Driver driver not None, double amount, Predicate time, str name, bint names):
        self.driver, self.amount, self.time, self.name, self.names = driver, amount, time, name, names
        self.waiting, self.spare = [Gather(names, False)], []
        self.now = 0 if time is None else -INFINITY

    def __dealloc__(self):
        free(self.due)

    def run_block(self, Block block not None):
        """Predicts the examples of a block, and learns those whose labels become known meanwhile."""
        cdef Driver driver = self.driver
        cdef Example ex = driver.ex
        cdef size_t i, counted
        cdef const Row* row
        driver.training, driver.delayed = False, True
        driver.begin_block(block, NULL)
        try:
            for i in range(block.n_rows):
                if driver.done:
                    break
                row = &block.rows[i]
                if row.kind == ROW_EXAMPLE:
                    self.read_time(block, i)
                    if self.n and self.due[self.first] <= self.now:
                        self.learn_due(block, self.now)
                counted = driver.counters.example_number
                driver.run_range(block, ex, i, i + 1)
                # an example that was refused, has no label, or is held out is not learned
                if row.kind == ROW_EXAMPLE and driver.counters.example_number > counted \
                        and (row.n_choices > 0 or not isnan(row.label)):
                    self.wait(block, i)
                if row.kind == ROW_EXAMPLE:
                    self.number += 1
            driver.show(block, block.n_rows)
        finally:
            driver.end_block()
            driver.training, driver.delayed = True, False

    def finish(self):
        """Learns all that waits."""
        if self.time is not None and self.number and not self.timed:
            raise VwliteError(f"--time {self.name}: no example has a number of this name (a feature of a namespace is "
                              "called namespace^name)")
        self.learn_due(None, INFINITY)

    def figures(self):
        """How many examples waited for their labels at once, for the summary."""
        return {"most examples waiting for labels": self.most}

    cdef int read_time(self, Block block, size_t i) except -1:
        """Sets the time of an example."""
        cdef Operand* operand
        cdef char[DIGITS + 1] text
        cdef char* end
        cdef double found
        cdef const Row* row
        if self.time is None:
            self.now = self.number
            return 0
        operand = self.time.operands
        self.time.resolve(block, i, operand)
        if operand.kind == MISSING:
            return 0
        if operand.kind != TEXT:
            found = operand.number
            if operand.kind == SEVERAL:
                row = &block.rows[i]
                found = block.features[row.feature + block.extents[row.extent + operand.extent].begin].value
            if not -EXACT <= found <= EXACT:
                raise VwliteError(
                    f"{self.place(block, i)}: the time {found:.9g} has lost its last digits, as values of features "
                    "have 7: write it as a text, time=..., or as the tag")
        else:
            memcpy(text, operand.text, min(operand.length, <size_t>DIGITS))
            text[min(operand.length, <size_t>DIGITS)] = 0
            found = strtod(text, &end)
            if end == text or end[0] != 0 or not isfinite(found):
                found = moment(<uint8_t*>text, min(operand.length, <size_t>DIGITS))
            if isnan(found):
                raise VwliteError(f"{self.place(block, i)}: the time {bytes(text).decode('utf-8', 'replace')!r} is "
                                  "neither a number nor a time such as 2026-01-31T18:30:00")
        self.timed += 1
        self.now = max(self.now, found)
        return 0

    cdef str place(self, Block block, size_t i):
        return self.driver.listener.place(source_of(block, &block.rows[i]), block.first_line + block.rows[i].line)

    cdef int wait(self, Block block, size_t i) except -1:
        """Copies a row, which waits for its label."""
        cdef Gather last = self.waiting[len(self.waiting) - 1]
        cdef size_t k, size
        if last.is_full(ROWS):
            last = self.spare.pop() if self.spare else Gather(self.names, False)
            self.waiting.append(last)
        last.add(block, i, i + 1, source_of(block, &block.rows[i]), 1)
        if self.n == self.capacity:
            size = 2 * self.capacity or FIRST_CAPACITY
            resize(&self.due, size, sizeof(double), b"for waiting examples")
            # what had wrapped around moves behind the rest
            for k in range(self.first):
                self.due[self.capacity + k] = self.due[k]
            self.capacity = size
        # by numbers, `amount` further examples are predicted before
        self.due[(self.first + self.n) % self.capacity] = self.now + self.amount + (self.time is None)
        self.n += 1
        self.most = max(self.most, self.n)
        return 0

    cdef int learn_due(self, Block current, double now) except -1:
        """Learns the examples whose labels are known; `current` is the driver's block, to which it returns."""
        cdef Driver driver = self.driver
        cdef Example ex = driver.ex
        cdef Gather gather
        cdef size_t n, in_pass = driver.in_pass, limit = driver.example_limit, end
        cdef bint done = driver.done, holdout = driver.holdout, again = driver.again
        cdef Observer observer = driver.observer
        predictions, raw = driver.predictions, driver.raw_predictions
        driver.end_block()
        driver.training, driver.counting, driver.holdout, driver.done, driver.again = True, False, False, False, True
        driver.observer = driver.predictions = driver.raw_predictions = None
        driver.example_limit = 0
        quiet, driver.quiet = driver.quiet, True
        try:
            while self.n and self.due[self.first] <= now:
                gather = self.waiting[0]
                n = 0
                while (n < self.n and n < gather.block.n_rows - self.learned
                        and self.due[(self.first + n) % self.capacity] <= now):
                    n += 1
                gather.end_block()
                end = self.learned + n
                if driver.holds_gil:
                    driver.run_range(gather.block, ex, self.learned, end)
                else:
                    with nogil:
                        driver.run_range(gather.block, ex, self.learned, end)
                self.learned = end
                self.first = (self.first + n) % self.capacity
                self.n -= n
                if self.learned == gather.block.n_rows:
                    self.learned = 0
                    gather.clear()
                    if len(self.waiting) > 1:
                        self.spare.append(self.waiting.pop(0))
        finally:
            driver.training, driver.counting, driver.holdout = False, True, holdout
            driver.done, driver.again = done, again
            driver.observer, driver.predictions, driver.raw_predictions = observer, predictions, raw
            driver.example_limit, driver.in_pass, driver.quiet = limit, in_pass, quiet
            if current is not None:
                driver.begin_block(current, NULL)
            else:
                driver.training = True
        return 0


cdef double moment(uint8_t* text, size_t n) noexcept nogil:
    """The seconds of a time of ISO 8601, in which names have '_' for the blank and for colons; NaN of another text."""
    cdef int64_t seconds
    cdef size_t i
    if n > 10 and text[10] == b"_":
        text[10] = b" "
    for i in range(11, n):
        if text[i] == b"_":
            text[i] = b":"
    return <double>seconds if read_date(text, n, &seconds) else NAN
