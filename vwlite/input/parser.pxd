"""The interface of a parser, and the ring buffer that runs one in parallel to the learners.

Design:
a) A parser turns input into Blocks in two steps: `fill` reads the next piece of input (one call at a time, in
   order), `parse` parses it into rows (any number of blocks at once, in any thread). Both run without the GIL.
b) The ring returns blocks in the order they were filled, so results don't depend on the number of threads.
c) The learning thread parses too when no block is ready and input is available, so that no core is idle.
"""
from libc.stdint cimport uint8_t

from vwlite.core.example cimport Block, NameSpan, Row

cdef enum Readiness:
    MUST_WAIT                         # fill would block
    AT_HAND                           # input is available now
    NEVER_WAITS                       # regular files

cdef enum Filled:
    FAILED = -1
    ENDED                             # no more input
    WHOLE                             # the block holds complete lines
    NOT_NOW                           # no complete line is available without blocking

cdef class Parser:
    cdef bint stopping                # set from outside: a fill that blocks should return
    cdef Filled fill(self, Block block, bint wait) except FAILED nogil
    cdef int parse(self, Block block) except -1 nogil
    cdef Readiness ready(self) noexcept nogil
    # of a row of a block that was parsed without names: those of its features, at least from `first` to `last`, until
    # the next call; only for single lines of VW's text
    cdef const NameSpan* names_of(self, Block block, const Row* row, size_t first, size_t last) except NULL nogil

cdef class Ring:
    cdef Parser parser
    cdef list blocks, threads
    cdef void* parser_pointer         # the same for use without the GIL
    cdef void** block_pointers
    cdef bint crosses                 # interactions are computed in advance
    cdef size_t size, workers
    cdef void* shared                 # locks and counters, see parser.pyx
    cdef object failure
    cdef size_t taken                 # blocks the learner has taken
    cdef size_t held, window          # of these, those that are not yet given back, and their greatest number
    cdef readonly bint interrupted
    cdef size_t line, source          # where the next block starts
    cdef Block next(self)
