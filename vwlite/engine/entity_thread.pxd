"""A thread that predicts and learns the examples of its entities, with a stack of its own."""
from libc.stdint cimport uint64_t

from vwlite.bases.effects cimport Effects
from vwlite.core.example cimport Block, Example
from vwlite.core.learner cimport Learner, Learners
from vwlite.core.losses cimport Loss
from vwlite.engine.job_queue cimport Job, JobQueue
from vwlite.features.interactions cimport Interactions
from vwlite.input.transforms cimport Transforms

cdef class EntityThread:
    cdef readonly Learner top
    cdef readonly Transforms transforms           # or None
    cdef public Effects effects
    cdef public bint training, constant
    cdef size_t number
    cdef JobQueue queue
    cdef Interactions interactions
    cdef Example ex
    cdef Learners vetters
    cdef Loss loss
    cdef object thread
    cdef uint64_t serial              # of the row at hand
    cdef int run(self, Job job, Block block, Example ex) except -1 nogil
    cdef int one(self, Job job, size_t i, Block block, Example ex) except -1 nogil
