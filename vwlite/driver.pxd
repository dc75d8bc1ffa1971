"""The loop over examples, and who else looks at them.

Design:
a) A Driver is of single lines; decisions.pyx has the one of decisions, which overrides what an example is: run, write,
   collect, cells. Whoever makes a driver chooses (workspace.py).
b) Files and lines from Python go the same way through run: what is different is where predictions go (`predictions`,
   `raw_predictions`, `results`) and what the listener does about a malformed line.
"""
from libc.string cimport memcmp

from vwlite.example cimport Block, Example, Row
from vwlite.interactions cimport Interactions
from vwlite.learner cimport Learner
from vwlite.parser cimport Parser
from vwlite.losses cimport Loss
from vwlite.sought cimport Sought
from vwlite.textbuffer cimport TextBuffer

cdef enum:
    MOST_COLUMNS = 64
    LINES_AT_ONCE = 1000              # that come from Python
    PIECE = 1 << 10                   # bytes of whole examples between two looks at the clock

cdef class Observer:
    """Told of every example when the stack is done with it; a driver without one pays a comparison per example."""

    # row: the example as parsed, with the namespaces that --ignore hides from the stack
    # tested: the prediction was not followed by learning (held out, -t, Workspace.predict)
    cdef int note(self, Example ex, Block block, const Row* row, bint tested) except -1 nogil

cdef class Gate:
    """Asked before an example is learnt; a driver without one pays a comparison per example."""

    # whether nothing can be learnt just now; why() says why
    cdef bint is_shut(self) except -1 nogil

cdef class Driver:
    cdef readonly Learner top
    cdef Loss loss
    cdef readonly Interactions interactions
    cdef public object listener       # told about rows of the table, problems and audits
    cdef public Observer observer     # told about every example, or None
    cdef public Gate gate             # lets examples through to be learnt, or None
    cdef public Sought sought         # shown every block of the first pass, or None
    cdef Example ex
    cdef public bint training, counting, constant, quiet, audits
    cdef public bint again            # the lines were gone through before: their problems are known
    cdef bint vetting                 # some learner may refuse examples
    cdef public bint needs_names      # names of features are wanted
    # where predictions go, None for nowhere
    cdef public TextBuffer predictions, raw_predictions
    cdef list results                 # for Python
    # of a daemon: where lines go that were learnt, and what labelled lines are told while nothing can be learnt
    cdef public TextBuffer learnt, refusal
    cdef bint answers                 # there is somebody to answer: no error of one example ends a run
    cdef float[LINES_AT_ONCE] values  # of the lines at hand, not yet in `results`
    cdef size_t n_values
    cdef int[MOST_COLUMNS] columns    # of a prediction; none: just the prediction
    cdef size_t n_columns
    # holdout
    cdef public bint holdout
    cdef public size_t holdout_period, holdout_after, in_pass, current_pass
    # limits
    cdef public size_t example_limit  # of each pass, 0 for none
    cdef public bint done
    # figures, in double as in VW
    cdef public size_t example_number, total_features, problems
    cdef readonly size_t left_out     # examples that taught nothing, because their label is not finite
    cdef public size_t held_out       # examples, in all passes; example_number does not count them
    cdef public double weighted_labeled, weighted_labels, weighted_unlabeled, sum_loss
    cdef public double sum_loss_since, weighted_labeled_before
    cdef public double holdout_loss, holdout_weight, holdout_loss_since, holdout_weight_since
    cdef public double holdout_loss_of_pass, holdout_weight_of_pass
    cdef public float dump_interval, progress_step
    cdef public bint progress_adds
    # labels seen: at most two different ones are told apart
    cdef public float first_label, second_label
    cdef public bint more_labels
    # how many of the bytes of whole examples are PIECE bytes of them, or one example if that is longer
    cdef size_t piece(self, const char* text, size_t n) noexcept nogil
    # the rows of a block
    cdef int run(self, Block block, Example ex) except -1 nogil
    # of an example that the stack is done with: into the text buffers, for Python, as cells of the table
    cdef int write(self, Example ex) except -1 nogil
    cdef int collect(self, Example ex) except -1 nogil
    cdef tuple cells(self, Example ex)
    # what all drivers share
    cdef int show(self, Block block, size_t n) except -1 nogil
    cdef int one(self, Block block, const Row* row, Example ex) except -1 nogil
    cdef int run_bytes(self, Parser parser, Block block, Example ex, const char* text, size_t n) except -1 nogil
    cdef str in_words(self, int reason)
    cdef int vet_label(self, Example ex) except -1 nogil
    cdef int turn_away(self) except -1 nogil
    cdef void count(self, Example ex) noexcept nogil
    cdef void see_label(self, float label) noexcept nogil
    cdef int tell(self, Example ex) except -1 nogil
    cdef float column(self, Example ex, int which) noexcept nogil
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
