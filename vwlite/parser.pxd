"""The contract of a parser, and the ring that runs one beside the learners.

Design:
a) A parser turns input into Blocks in two steps: `fill` takes the next piece of input (one call at a time, in
   order), `parse` makes rows of it (any number of blocks at once, in any thread). Both run without the GIL.
b) The ring hands blocks out in the order they were filled, so results don't depend on the number of threads.
c) The learning thread parses too when no block is ready and input is at hand: on two cores nobody waits.
"""
from libc.stdint cimport uint8_t

from vwlite.example cimport Block

cdef enum Reason:
    FINE
    LABEL_WORDS
    LABEL_NUMBER
    LABEL_FINITE
    WEIGHT_NEGATIVE
    NAMESPACE_NAME
    NAMESPACE_VALUE
    NAMESPACE_SYNTAX
    VALUE_FINITE
    FEATURE_SYNTAX
    LINE_LENGTH
    LABEL_BINARY
    ENTITY_TWICE
    ENTITY_NAMELESS
    COST_SYNTAX
    COST_ACTION
    COST_NUMBER
    COST_PROBABILITY
    COST_TWICE
    COST_RANGE
    SHARED_COST
    SHARED_TAG
    SHARED_PLACE
    SHARED_ALONE
    ACTION_BLANK
    ACTIONS_MANY
    DECISION_LENGTH
    CROSSED_MANY
    ENTITY_VALUE
    POSTERIOR_FULL
    BAR_MISSING
    VALUE_MISSING
    LABEL_NOT_SIGN
    LABEL_NOT_ZERO_ONE
    LABEL_RANGE
    LABEL_COUNT
    LABEL_LARGE
    COST_ABSENT
    REASONS                           # new ones go before this: caches hold reasons as numbers

cdef enum Readiness:
    MUST_WAIT                         # fill would wait for input from outside
    AT_HAND                           # input is there just now
    NEVER_WAITS                       # regular files

cdef enum Filled:
    FAILED = -1
    ENDED                             # no more input
    WHOLE                             # the block holds whole lines
    NOT_NOW                           # without waiting there is not one whole line

cdef class Parser:
    cdef bint stopping                # set from outside: a fill that waits should give up
    cdef Filled fill(self, Block block, bint wait) except FAILED nogil
    cdef int parse(self, Block block) except -1 nogil
    cdef Readiness ready(self) noexcept nogil

cdef class Ring:
    cdef Parser parser
    cdef list blocks, threads
    cdef size_t size, workers
    cdef void* shared                 # locks and counters, see parser.pyx
    cdef object failure
    cdef size_t taken                 # blocks the learner has taken
    cdef bint holding
    cdef readonly bint interrupted
    cdef size_t line, source          # where the next block starts
    cdef Block next(self)
