"""The blocks that threads work at: each thread takes the rows of its own entities, in the order of the input.

Design:
a) A Job is a block and the outcomes of its rows. The main thread deals the rows, gives the job to the queue, and takes
   it back when all threads are done with it, in the order of the input. Threads may be several jobs apart.
b) A thread claims CLAIMED of its rows at once. stop() so knows the last row that any thread has begun: those before it
   are still learned, none after it. So what was learned when a signal came is a beginning of the input.
c) When a row fails in a thread, the rows before it are still learned, and the main thread raises the error in its turn:
   that of the first row that failed.
d) A lock guards all that threads share; the rows of a job are divided, so they need none. The lock also orders memory:
   what a thread wrote before it gave a job back is seen by the main thread.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from vwlite.core.example cimport Block, Feature
from vwlite.core.outcome cimport Outcome
from vwlite.features.interactions cimport Expansion

cdef enum:
    MOST_JOBS = 8                     # at once
    CLAIMED = 16                      # rows

cdef class Job:
    cdef Block block
    cdef size_t n                     # rows that were dealt
    cdef uint64_t first               # serial of the first one
    cdef Outcome* outcomes            # of each row
    cdef uint32_t* rows               # by thread: the i-th has rows[begins[i]:begins[i + 1]]
    cdef size_t* begins
    cdef size_t capacity, n_threads
    # features that were crossed ahead, as in a Driver
    cdef const Feature* crossed
    cdef const Expansion* expansions
    cdef int reserve(self, size_t n) except -1
    cdef void sort_rows(self) noexcept nogil

cdef class JobQueue:
    cdef readonly list jobs
    cdef list failures                # (serial, exception)
    cdef void* shared                 # see job_queue.pyx
    cdef size_t n_threads
    # by the main thread
    cdef Job free_job(self)
    cdef int give(self) except -1 nogil
    cdef bint is_done(self, bint wait) except -1 nogil
    cdef Job take_back(self)
    cdef uint64_t end(self) noexcept nogil
    cdef size_t n_given(self) noexcept nogil
    cdef int stop(self) except -1 nogil
    # by a thread
    cdef int64_t next(self, size_t thread) noexcept nogil
    cdef size_t claim(self, size_t thread, Job job, size_t at) noexcept nogil
    cdef void done(self, size_t thread) noexcept nogil
