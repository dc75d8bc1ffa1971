"""The contract of a learner. A *reduction* has a base below it, a *bottom learner* has none.

Not recursive (a reduction calls its base itself):
    predict(ex)  the prediction; changes nothing that a later prediction or a save could see
    learn(ex)    learns from the example and returns the prediction made before the update; a bottom learner leaves that
                 prediction's loss, unweighted, in ex.loss
    update(ex)   learns when ex.score and ex.prediction are those of a predict just made; by default learn
    multipredict(ex, count, step, to)  what predict leaves, of several weight vectors: ex.offset, + step, + 2 step ...
    multiupdate(ex, count, step, labels, at)  what update does, of several weight vectors one after the other: the i-th
                 learns labels[i], and at[i] is what its predict left. ex.weight and ex.labelled are as for update;
                 ex.label, score, prediction and loss, and what is in `at`, are undefined afterwards
    sensitivity(ex)  after predict: how far the prediction would move per unit of importance weight and of the loss's
                     derivative; changes nothing
    uncertainty(ex, to)  after predict: adds what is random of the score to the score begun last; changes nothing
    vet_label(ex, settles)  why a label is none that the stack can learn, a Reason of reasons.pxd, FINE if it is one.
                 Asked of the top, of labelled examples; a learner that hands labels down unchanged asks its base.
                 `settles`: the label counts as seen
    experience(ex)   how many examples of ex.entity a bottom learner has learned from
    identify(ex)     ex.entity, a hash of ex.entity_name, becomes the key of the entity that has this name; whether the
                     learner knows it
    meet(ex)         ex.entity exists from now on, with its name, even if nothing is learned about it yet
Asked by the engine of each learner whose `vets` is set (no learner asks its base):
    vet(ex)      why the features can't be used, a Reason; asked before predict and learn, and an example with a reason
                 goes no further. A learner of multi-line examples gets the whole one, those below each line
Told by the engine, each learner whose `finishes` is set:
    finish_example(ex)   an example of the run that counts was learned or predicted
Set by stack.py when the stack is complete: `width`, how many weight vectors all learners above need of this one, and
`step`, how far the weight vectors lie apart that it needs itself: the product of `feature_width` of all below it
    set_width(width)
Auto-recursive (the engine walks the stack; no learner calls its base):
    save_load(io), end_pass(), end_examples(), finish(), metrics(), init_driver(driver), settings(), unmatched(),
    interrupt(), long_run()
Asked by a learner that fits those below and beside it again and again to the same examples (what can't be taught anew
may leave them out): mark() and return_to_mark() what has been learned, close_batches() that wait, unmark()

The hot methods run without the GIL; an error raised below propagates. -1e10 marks "maybe an exception": hardly a
prediction takes it, so looking for one costs nothing, and a float has it exactly. Cython 3.3 compares it as a double,
and would never see a mark that a float rounds.

Multi-line examples (multiline.pxd) go through predict and learn, too: a learner whose `multiline` is set gets a
MultiExample. check_seam() in stack.py sees to it that nobody else does.
"""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example
from vwlite.core.joint cimport JointScores
from vwlite.core.losses cimport Loss

cdef struct Scored:
    float score, prediction           # as in an Example

cdef class Learner:
    cdef readonly Learner base
    cdef readonly Loss loss           # of the bottom learner; every learner above sees the same one
    cdef readonly list beside         # learners that stand beside the base, each below this one too
    cdef readonly dict options        # what the learner took, for the card and --dry-run
    cdef readonly uint32_t width, step
    cdef public uint32_t copy         # see replicas.pyx
    cdef public object tell           # what a run does with a remark, a function of its text
    cdef readonly size_t left_out     # updates that would have made a weight infinite or NaN, in this run
    cdef float predict(self, Example ex) except? -1e10 nogil
    cdef float learn(self, Example ex) except? -1e10 nogil
    cdef float update(self, Example ex) except? -1e10 nogil
    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil
    cdef int multiupdate(self, Example ex, uint32_t count, uint32_t step, const float* labels, Scored* at) \
        except -1 nogil
    cdef float sensitivity(self, Example ex) except? -1e10 nogil
    cdef int finish_example(self, Example ex) except -1 nogil
    cdef int identify(self, Example ex) except -1 nogil
    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil
    cdef int meet(self, Example ex) except -1 nogil
    cdef double experience(self, Example ex) except? -1 nogil
    cdef int vet(self, Example ex) except -1 nogil
    cdef int vet_label(self, Example ex, bint settles) except -1 nogil


cdef class Bottom(Learner):
    # the loss, with the range of labels that predictions are clipped to
    pass


cdef class Learners:
    # several learners, to be called by number without the GIL; the arrays of C know no objects
    cdef list each
    cdef void** pointers
    cdef readonly size_t n
    cdef float predict(self, size_t i, Example ex) except? -1e10 nogil
    cdef float learn(self, size_t i, Example ex) except? -1e10 nogil
    cdef float update(self, size_t i, Example ex) except? -1e10 nogil
    cdef float sensitivity(self, size_t i, Example ex) except? -1e10 nogil
    cdef int finish_example(self, size_t i, Example ex) except -1 nogil
    cdef int identify(self, size_t i, Example ex) except -1 nogil
    cdef int uncertainty(self, size_t i, Example ex, JointScores to) except -1 nogil
    cdef int meet(self, size_t i, Example ex) except -1 nogil
    cdef double experience(self, size_t i, Example ex) except? -1 nogil
    cdef int vet(self, size_t i, Example ex) except -1 nogil
    cdef int vet_all(self, Example ex) except -1 nogil
