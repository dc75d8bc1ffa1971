"""Base class of bottom learners with a dense table of hashed weights.

Design:
a) A slot is a few floats, its columns: the weight first, then the learner's state of it. A learner declares them once
   (`Column`), for saving, loading, audits, readable models and `vwlite inspect`. Column j of the slot at `at` is
   at[j << group]: the columns are adjacent, or in planes where a learner with several weight vectors takes them
   (slots.h). Model files don't depend on it.
b) Several weight vectors share the table: slot (hash << width_shift) + ex.offset, as in VW. Where a learner above puts
   features of its own between the weight vectors, it shifts the hashes itself (`comes_shifted`), and width_shift is 0.
c) The effective weight in a prediction may depend on more than the slot (lazy regularization): weight_in() returns it,
   for exports. Hot loops compute it themselves.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabsf, isnan
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example
from vwlite.core.learner cimport Bottom
from vwlite.core.point cimport Point
from vwlite.core.parameters cimport DenseTable

cdef enum:
    MOST_COLUMNS = 8

cdef extern from "vwlite/bases/slots.h" nogil:
    ctypedef struct vwl_table:
        float* values
        size_t mask
        uint32_t offset
        int width, stride, group
    float* vwl_slot(const vwl_table* table, size_t slot)

cdef class TableLearner(Bottom):
    cdef readonly DenseTable table
    cdef readonly tuple layout        # the Columns, in the order of a slot
    cdef readonly bint weights_only   # the table has weights only, for predictions
    cdef readonly bint linear         # scores are sums of weights times values, so predictions need weights only
    cdef bint derived                 # the weight is a function of the other columns; the effective one is saved
    cdef float initial_weight
    cdef float[MOST_COLUMNS] start    # initial values of the columns
    cdef int width_shift
    cdef public bint comes_shifted    # hashes of features are shifted by `shifted` already
    cdef readonly int shifted
    cdef vwl_table where              # the table for slots.h
    cdef public bint wide             # eight vectors at a time; False for tests, with the same results
    # for several weight vectors: their sums, and pointers to each feature's slot of the first one
    cdef float* sums
    cdef float** at
    cdef size_t n_sums, n_at
    # sum w x of the stored weights
    cdef float dot(self, Example ex) noexcept nogil
    # the same for several weight vectors, in `sums`
    cdef int dot_many(self, Example ex, uint32_t count, uint32_t step) except -1 nogil
    # effective weight of a slot, of the weight vector at an offset
    cdef float weight_in(self, const float* at, uint32_t offset) noexcept nogil

cdef inline float* slot_at(TableLearner learner, uint32_t hash, uint32_t offset) noexcept nogil:
    """Slot of a feature, of the weight vector at an offset."""
    return vwl_slot(&learner.where, ((hash << learner.width_shift) + offset) & learner.table.mask)


cdef inline float finish(TableLearner learner, Example ex, float score) noexcept nogil:
    """Set the score and the prediction, which is clipped to the range of labels."""
    ex.score = score
    ex.prediction = 0 if isnan(score) else learner.loss.clip(score)
    return ex.prediction


cdef inline bint judge(TableLearner learner, Example ex, Point* at) noexcept nogil:
    """Evaluate the loss at the current prediction; returns False if the score is not finite."""
    at.p = ex.prediction
    at.y = ex.label
    learner.loss.evaluate(at)
    ex.loss = at.loss
    if not fabsf(ex.score) <= FLT_MAX and not has_finite_features(ex):
        learner.left_out += 1
        return False
    return True


cdef bint has_finite_features(Example ex) noexcept nogil
