"""The loop over examples, and who else looks at them.

Design:
a) A Driver is of single lines; a MultilineDriver (multiline_driver.pyx) overrides what an example is: run, piece.
   workspace.py chooses one when it makes the driver. What predictions look like is the business of a Format
   (predictions.pxd), which the stack's type of prediction chooses, and what is counted that of Counters (counters.pxd).
b) Several drivers, each with its stack, can run the same block: nothing of a stack stays in it.
c) Files and lines from Python go the same way through run: what is different is where predictions go (`predictions`,
   `raw_predictions`, `results`) and what the listener does about a malformed line.
"""
from libc.stdint cimport uint32_t

from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport Block, Example, Feature, Row
from vwlite.core.learner cimport Learner, Learners
from vwlite.core.losses cimport Loss
from vwlite.core.observer cimport Gate, Observer
from vwlite.core.textbuffer cimport TextBuffer
from vwlite.engine.unmatched cimport Unmatched
from vwlite.features.interactions cimport Expansion, Interactions
from vwlite.input.parser cimport Parser
from vwlite.report.counters cimport Counters
from vwlite.report.predictions cimport Format

cdef enum:
    LINES_AT_ONCE = 1000              # that come from Python
    PIECE = 1 << 10                   # bytes of whole examples between two looks at the clock

cdef class Driver:
    cdef readonly Learner top
    cdef Loss loss
    cdef readonly Interactions interactions
    cdef readonly Counters counters
    cdef readonly Format format
    cdef public object listener       # told about rows of the table, problems and audits
    cdef public Observer observer     # told about every example, or None
    cdef public Gate gate             # lets examples through to be learned, or None
    cdef public Unmatched unmatched   # shown every block of the first pass, or None
    cdef readonly Example ex          # the one at hand, which each in turn becomes
    cdef uint32_t source              # of the current example, and its line there
    cdef size_t line
    cdef public bint training, counting, constant, quiet, audits
    cdef public bint again            # the lines were gone through before: their problems are known
    cdef Learners vetters             # the learners that may refuse examples
    cdef Learners finishers           # those that are told when an example is done
    cdef ClassNames classes           # of the stack, or None
    cdef bint counts_from_one         # as far as was known
    cdef bint vetting, simple         # there are some; labels are simple ones
    cdef bint holds_gil               # a learner takes the GIL for each example: held for a block, that costs less
    cdef bint sees                    # and the loss sees them as they are
    cdef public bint needs_names      # names of features are wanted
    # features that were crossed ahead, of the block at hand; NULL where examples have to be crossed one by one
    cdef const Feature* crossed
    cdef const Expansion* expansions
    # where predictions go, None for nowhere
    cdef public TextBuffer predictions, raw_predictions
    cdef list results                 # for Python
    # of a daemon: where lines go that were learned, and what labelled lines are told while nothing can be learned
    cdef public TextBuffer learned, refusal
    cdef bint answers                 # there is somebody to answer: no error of one example ends a run
    # holdout
    cdef public bint holdout
    cdef public size_t holdout_period, holdout_after, in_pass, current_pass
    # limits
    cdef public size_t example_limit  # of each pass, 0 for none
    cdef public bint done
    # rows of the table
    cdef public float dump_interval, progress_step
    cdef public bint progress_adds
    # how many of the bytes of whole examples are PIECE bytes of them, or one example if that is longer
    cdef size_t piece(self, const char* text, size_t n) noexcept nogil
    # the rows of a block
    cdef int run(self, Block block, Example ex) except -1 nogil
    # what all drivers share
    cdef int show(self, Block block, size_t n) except -1 nogil
    cdef int one(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int run_bytes(self, Parser parser, Block block, Example ex, const char* text, size_t n) except -1 nogil
    cdef str in_words(self, int reason)
    cdef int vet_label(self, Example ex) except -1 nogil
    cdef int count_from_zero(self) except -1 nogil
    cdef int turn_away(self) except -1 nogil
    cdef int tell(self, Example ex) except -1 nogil
    cdef int progress(self) except -1
    cdef int report(self, Block block, const Row* row, int reason, size_t column) except -1 nogil


cdef inline void take_in(Driver driver) noexcept nogil:
    """Count an example of the pass."""
    driver.in_pass += 1
    if driver.in_pass == driver.example_limit:
        driver.done = True


cdef inline bint is_held_out(Driver driver) noexcept nogil:
    """Whether the example taken in last is; they are counted from 1 in each pass."""
    if driver.holdout_after:
        return driver.in_pass > driver.holdout_after
    return driver.in_pass % driver.holdout_period == 0
