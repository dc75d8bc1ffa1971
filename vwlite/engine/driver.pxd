"""The driver: the loop over examples, and the objects it passes them to.

Design:
a) A Driver runs single-line examples; a MultilineDriver (multiline_driver.pyx) overrides run and piece for multi-line
   ones. workspace.py chooses one. A Format (predictions.pxd), chosen by the stack's type of prediction, writes
   predictions; Counters (counters.pxd) count.
b) Several drivers, each with its stack, can run the same block: no state of a stack is stored in it.
c) Ordinary rows are run in groups where the stack and the options allow it (simple_rows.pxd), all others one by one;
   results are the same.
d) Rows of a block can be skipped: models of cross-validation share blocks, and each skips its own fold. A driver then
   does the same as with data that has no such rows.
e) Files and lines from Python both use run: they differ in where predictions are written (`predictions`,
   `raw_predictions`, `results`) and in the listener's reaction to a malformed line.
"""
from libc.stdint cimport uint32_t

from vwlite.bases.effects cimport Effects
from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport Block, Example, Feature, Row, SimpleExample
from vwlite.core.learner cimport Learner, Learners
from vwlite.core.losses cimport Loss
from vwlite.core.observer cimport Gate, Observer
from vwlite.core.sides cimport side_of_example
from vwlite.core.textbuffer cimport TextBuffer
from vwlite.engine.simple_rows cimport ROWS_AT_ONCE
from vwlite.engine.unmatched cimport Unmatched
from vwlite.features.interactions cimport Expansion, Interactions
from vwlite.features.known cimport KnownFeatures
from vwlite.features.spelling cimport Speller
from vwlite.input.transforms cimport Transforms
from vwlite.input.parser cimport Parser
from vwlite.report.counters cimport Counters
from vwlite.report.predictions cimport Format

cdef enum:
    LINES_AT_ONCE = 1000              # that come from Python
    PIECE = 1 << 10                   # bytes of complete examples between two checks of the time, at first
    LONGEST_PIECE = 1 << 16

cdef class Driver:
    cdef readonly Learner top
    cdef Loss loss
    cdef readonly Interactions interactions
    cdef public Transforms transforms  # of features, or None
    cdef readonly Counters counters
    cdef readonly Format format
    cdef public object listener       # called for rows of the table, malformed lines and audits
    cdef public Observer observer     # called for every example, or None
    cdef public Gate gate             # decides whether examples can be learned, or None
    cdef public Unmatched unmatched   # called for every block of the first pass, or None
    cdef readonly KnownFeatures known  # names and statistics of the features learned, or None
    cdef Speller speller              # names the new ones
    cdef bint said_full               # that names have reached their limit
    cdef Example named                # the row whose features are named, of those run together
    cdef readonly Example ex          # the current example, reused for all
    cdef uint32_t source              # of the current example, and its line there
    cdef size_t line
    cdef public bint training, counting, constant, quiet, audits
    cdef public bint delayed          # labels come late: predictions without learning count as those before it
    cdef public bint again            # not the first pass: malformed lines were reported
    cdef public Effects effects       # random effects, which look ahead at rows, or None
    cdef Learners vetters             # the learners that may refuse examples
    cdef Learners finishers           # the learners with finish_example
    cdef ClassNames classes           # of the stack, or None
    cdef bint counts_from_one         # as far as was known
    cdef bint vetting, simple         # there are some; labels are simple ones
    cdef bint scalar                  # predictions are numbers, from simple labels
    cdef SimpleExample[ROWS_AT_ONCE] together
    cdef uint32_t[ROWS_AT_ONCE] places  # of their rows after the first, where rows are skipped
    cdef bint holds_gil               # a learner takes the GIL for each example: held for a block, that costs less
    cdef bint sees                    # and the loss sees them as they are
    cdef bint reads_names, names_kept  # names of features are read; they are kept in `known`
    cdef public Parser names_from     # reads the names of rows whose block has none, or None
    # features that were crossed ahead, of the block at hand; NULL where examples have to be crossed one by one
    cdef const Feature* crossed
    cdef const Expansion* expansions
    cdef const unsigned char* skipped  # of the block at hand: 1 for each row that is not run; NULL: all are run
    # where predictions go, None for nowhere
    cdef public TextBuffer predictions, raw_predictions
    cdef list results                 # for Python
    # of a daemon: learned lines, and the answer to labelled lines while learning is stopped
    cdef public TextBuffer learned, refusal
    cdef bint answers                 # errors of the gate are answered to a client and don't end the run
    # holdout
    cdef public bint holdout
    cdef public size_t holdout_period, holdout_after, in_pass, current_pass
    cdef public double holdout_share  # by what examples are (sides.pxd); 0: by their numbers
    # limits
    cdef public size_t example_limit  # of each pass, 0 for none
    cdef public bint done
    # rows of the table
    cdef public float dump_interval, progress_step
    cdef public bint progress_adds
    # the size of the next piece: complete examples of at least `aim` bytes
    cdef size_t piece(self, const char* text, size_t n, size_t aim) noexcept nogil
    # the rows of a block, and some of them
    cdef int run(self, Block block, Example ex) except -1 nogil
    cdef int begin_block(self, Block block, const unsigned char* skipped) except -1
    cdef void end_block(self) noexcept nogil
    cdef size_t run_range(self, Block block, Example ex, size_t begin, size_t end) except? 0 nogil
    cdef int look_ahead(self, Block block, size_t i) except -1 nogil
    # ordinary rows together: whether that is possible, and from the i-th row on, the number of rows run
    cdef bint runs_together(self, Example ex) noexcept nogil
    cdef Py_ssize_t run_together(self, Block block, Example ex, size_t i, size_t end) except -2 nogil
    cdef size_t most_together(self) noexcept nogil
    # counts features that are learned or predicted
    cdef int know(self, Block block, const Row* row, Example ex, bint learns) except -1 nogil
    cdef int know_features(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef bint wants_names(self) noexcept nogil
    cdef int name_new(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int look_up_many(self, Block block, size_t first, size_t n) except -1 nogil
    cdef int know_many(self, Block block, size_t first, size_t n, Example ex) except -1 nogil
    # rows that were made from Python objects
    cdef int run_for_python(self, Block block, bint learning, list predictions) except -1
    # what all drivers share
    cdef int show(self, Block block, size_t n) except -1 nogil
    cdef int say_full(self) except -1 nogil
    cdef int one(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int run_bound(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int learn_transformed(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int note(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int learn_one(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int run_bytes(self, Parser parser, Block block, Example ex, const char* text, size_t n) except -1 nogil
    cdef str in_words(self, int reason)
    cdef int vet_label(self, Example ex) except -1 nogil
    cdef int count_from_zero(self) except -1 nogil
    cdef int turn_away(self) except -1 nogil
    cdef int tell(self, Example ex) except -1 nogil
    cdef int write(self, Example ex) except -1 nogil
    cdef int progress(self) except -1
    cdef int report(self, Block block, const Row* row, int reason, size_t column) except -1 nogil


cdef inline void take_in(Driver driver) noexcept nogil:
    """Counts an example of the pass."""
    driver.in_pass += 1
    if driver.in_pass == driver.example_limit:
        driver.done = True


cdef inline bint is_held_out(Driver driver, Block block, const Row* rows, size_t n) noexcept nogil:
    """Whether the last example counted by take_in, of n rows, is held out; they are numbered from 1 in each pass."""
    if driver.holdout_share:
        return side_of_example(block, rows, n) >= 1 - driver.holdout_share
    if driver.holdout_after:
        return driver.in_pass > driver.holdout_after
    return driver.in_pass % driver.holdout_period == 0
