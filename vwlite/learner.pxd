"""The contract of a learner. A *reduction* has a base below it, a *bottom learner* has none.

Not recursive (a reduction calls its base itself):
    predict(ex)  the prediction; changes nothing that a later prediction or a save could see
    learn(ex)    learns from the example and returns the prediction made before the update; a bottom learner leaves that
                 prediction's loss, unweighted, in ex.loss
    update(ex)   learns when ex.score and ex.prediction are those of a predict just made; by default learn
    multipredict(ex, count, step, scores)  scores of several weight vectors: ex.offset, + step, + 2 step ...
    sensitivity(ex)  after predict: how far the prediction would move per unit of importance weight and of the loss's
                     derivative; changes nothing
    uncertainty(ex, to)  after predict: adds what is random of the score to the score begun last; changes nothing
    experience(ex)   how many examples of ex.entity a bottom learner has learnt from
    limit_entities(n, store)  asked of a learner beside a base, before it has entities: at most n in memory
    identify(ex)     ex.entity, a hash of ex.entity_name, becomes the key of the entity that has this name; whether the
                     learner knows it
    meet(ex)         ex.entity exists from now on, with its name, even if nothing is learnt about it yet
    vet(ex)          why the stack can't use the example, a Reason of parser.pxd, FINE if it can; asked before predict,
                     learn in stacks with a learner whose `vets` is set, and an example with a reason goes no further
Set up once (stack.py calls it): spread(width), with the product of the feature_width of all learners above.
Asked by a learner that fits those below and beside it again and again to the same examples (what can't be taught anew
may leave them out): mark() and return_to_mark() what has been learnt, close_batches() that wait, unmark()
Auto-recursive (the functions in learner.pyx walk the stack; no learner calls its base):
    save_load(io), end_pass(), end_examples(), finish(), metrics()

Both hot methods run without the GIL; an error raised below propagates. -1e10 marks "maybe an exception": hardly a
prediction takes it, so looking for one costs nothing, and a float has it exactly. Cython 3.3 compares it as a double,
and would never see a mark that a float rounds.
"""
from libc.stdint cimport uint32_t

from vwlite.example cimport Example
from vwlite.joint cimport JointScores
from vwlite.losses cimport Loss

cdef class Learner:
    cdef readonly Learner base
    cdef readonly Loss loss           # of the bottom learner; every learner above sees the same one
    cdef readonly list beside         # learners that stand beside the base, each below this one too
    cdef readonly dict options        # what the learner took, for the card and --dry-run
    cdef public object tell           # what a run does with a remark, a function of its text
    cdef readonly size_t left_out     # updates that would have made a weight infinite or NaN, in this run
    cdef float predict(self, Example ex) except? -1e10 nogil
    cdef float learn(self, Example ex) except? -1e10 nogil
    cdef float update(self, Example ex) except? -1e10 nogil
    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, float* scores) except -1 nogil
    cdef float sensitivity(self, Example ex) except? -1e10 nogil
    cdef int identify(self, Example ex) except -1 nogil
    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil
    cdef int meet(self, Example ex) except -1 nogil
    cdef double experience(self, Example ex) except? -1 nogil
    cdef int vet(self, Example ex) except -1 nogil


cdef class Learners:
    # several learners, to be called by number without the GIL; the arrays of C know no objects
    cdef list each
    cdef void** pointers
    cdef readonly size_t n
    cdef float predict(self, size_t i, Example ex) except? -1e10 nogil
    cdef float update(self, size_t i, Example ex) except? -1e10 nogil
    cdef float sensitivity(self, size_t i, Example ex) except? -1e10 nogil
    cdef int identify(self, size_t i, Example ex) except -1 nogil
    cdef int uncertainty(self, size_t i, Example ex, JointScores to) except -1 nogil
    cdef int meet(self, size_t i, Example ex) except -1 nogil
    cdef double experience(self, size_t i, Example ex) except? -1 nogil
    cdef int vet(self, size_t i, Example ex) except -1 nogil
