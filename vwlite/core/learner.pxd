"""Contract of a learner. A *reduction* has a base below it, a *bottom learner* has none.

Not recursive (a reduction calls its base itself):
    predict(ex)  returns the prediction; changes no state that a later prediction or a save depends on
    learn(ex)    learns from the example and returns the prediction made before the update; a bottom learner leaves that
                 prediction's loss, unweighted, in ex.loss
    update(ex)   learns when ex.score and ex.prediction are those of a predict just made; by default learn
    multipredict(ex, count, step, to)  predict for several weight vectors: ex.offset, + step, + 2 step ...
    multiupdate(ex, count, step, labels, at)  update of several weight vectors, one after the other: the i-th learns
                 labels[i], and at[i] is the result of its predict. ex.weight and ex.labelled are as for update;
                 ex.label, score, prediction and loss, and the content of `at`, are undefined afterwards
    learn_many(examples, n)  learn for n examples with simple labels and weights, one after the other, with the results
                 in each; returns the number of those learned, from the first: the caller passes the next one to learn.
                 By default 0. A bottom learner also calls loss.see() for each label
    predict_many(examples, n)  the same for predict; labels may be missing
    sensitivity(ex)  after predict: the change of the prediction per unit of importance weight and of the loss's
                     derivative; changes no state
    uncertainty(ex, to)  after predict: adds the score's random terms to the score begun last; changes no state
    vet_label(ex, settles)  returns the Reason (reasons.pxd) why the stack can't learn the label, FINE if it can.
                 Called on the top, for labelled examples; a learner that passes labels down unchanged calls its base.
                 `settles`: the label counts as seen
    experience(ex)   returns the number of examples of ex.entity that a bottom learner has learned
    identify(ex)     replaces ex.entity, a hash of ex.entity_name, by the key of the entity of this name; returns
                     whether the learner knows it
    terms(ex, to)    adds the summands of the score of the example just predicted (terms.pxd); changes results in ex
    meet(ex)         registers ex.entity with its name, even if nothing is learned about it yet
Called by the engine on each learner whose `vets` is set (no learner calls its base):
    vet(ex)      returns the Reason why the features can't be used; called before predict and learn, and the engine
                 skips an example with a Reason. A learner of multi-line examples gets the whole one, those below each
                 line
Called by the engine on each learner whose `finishes` is set:
    finish_example(ex)   after an example of the run that counts was learned or predicted
Set by stack.py when the stack is complete: `width`, the number of weight vectors that all learners above need of this
one, and `step`, the distance between the weight vectors that it needs itself: the product of `feature_width` of all
below it
    set_width(width)
Auto-recursive (the engine walks the stack; no learner calls its base):
    save_load(io), end_pass(), end_examples(), finish(), metrics(), init_driver(driver), settings(), unmatched(),
    interrupt(), expect(n_bytes), across_entities(learns), begin_threads(others),
    end_threads(others)
Called by a learner that fits those below and beside it repeatedly to the same examples (learners that can't be refitted
may leave them out): mark() saves the state, return_to_mark() restores it, close_batches() learns pending batches,
unmark() discards the saved state

The hot methods run without the GIL; an error raised below propagates. The return value -1e10 means "maybe an
exception": predictions hardly ever have this value, so the check costs nothing. A float represents it exactly: Cython
3.3 compares it as a double, and would miss a value that a float rounds.

Multi-line examples (multiline.pxd) go through predict and learn, too: a learner whose `multiline` is set gets a
MultiExample. check_seam() in stack.py ensures that no other learner does.
"""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example, SimpleExample
from vwlite.core.joint cimport JointScores
from vwlite.core.losses cimport Loss
from vwlite.core.terms cimport Terms

cdef struct Scored:
    float score, prediction           # as in an Example

cdef class Learner:
    cdef readonly Learner base
    cdef readonly Loss loss           # of the bottom learner; all learners above share it
    cdef readonly list beside         # effects and other learners beside the base, each below this one too
    cdef readonly dict options        # the options that the learner uses, for the card and --dry-run
    cdef readonly uint32_t width, step
    cdef public uint32_t copy         # see replicas.pyx
    cdef public object tell           # callback of remarks: a function of the text
    cdef readonly size_t left_out     # updates skipped in this run: a weight would have been infinite or NaN
    cdef float predict(self, Example ex) except? -1e10 nogil
    cdef float learn(self, Example ex) except? -1e10 nogil
    cdef float update(self, Example ex) except? -1e10 nogil
    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil
    cdef int multiupdate(self, Example ex, uint32_t count, uint32_t step, const float* labels, Scored* at) \
        except -1 nogil
    cdef Py_ssize_t learn_many(self, SimpleExample* examples, size_t n) except -1 nogil
    cdef Py_ssize_t predict_many(self, SimpleExample* examples, size_t n) except -1 nogil
    cdef float sensitivity(self, Example ex) except? -1e10 nogil
    cdef int finish_example(self, Example ex) except -1 nogil
    cdef int identify(self, Example ex) except -1 nogil
    cdef int uncertainty(self, Example ex, JointScores to) except -1 nogil
    cdef int meet(self, Example ex) except -1 nogil
    cdef double experience(self, Example ex) except? -1 nogil
    cdef int terms(self, Example ex, Terms to) except -1 nogil
    cdef int vet(self, Example ex) except -1 nogil
    cdef int vet_label(self, Example ex, bint settles) except -1 nogil


cdef class Bottom(Learner):
    # the loss, with the range of labels that predictions are clipped to
    pass


cdef class Learners:
    # several learners, to be called by number without the GIL; C arrays can't hold objects
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
    cdef int terms(self, size_t i, Example ex, Terms to) except -1 nogil
    cdef double experience(self, size_t i, Example ex) except? -1 nogil
    cdef int vet(self, size_t i, Example ex) except -1 nogil
    cdef int vet_all(self, Example ex) except -1 nogil
