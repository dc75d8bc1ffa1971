"""The base of bottom learners that keep a weight for each feature in a dense table of hashed slots.

Design:
a) A slot is a few neighbouring floats, its columns: the weight first, then what the learner remembers beside it. A
   learner names them once (`Column`); saving, loading, audits, readable models and `vwlite inspect` go by that.
b) Several weight vectors share the table: slot (hash << width_shift) + ex.offset, as in VW.
c) What a slot's weight is worth in a prediction may depend on more than the slot holds (lazy regularization), so
   weight_in() says it. It is asked when weights are exported; hot loops know what they need and make no such call.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabsf, isnan
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Example
from vwlite.core.learner cimport Bottom
from vwlite.core.losses cimport Point
from vwlite.core.parameters cimport DenseTable, slot

cdef enum:
    MOST_COLUMNS = 8

cdef extern from "vwlite/bases/slots.h" nogil:
    ctypedef struct vwl_table:
        float* values
        size_t mask
        uint32_t offset
        int width, stride

cdef class TableLearner(Bottom):
    cdef readonly DenseTable table
    cdef readonly tuple layout        # of Column, as they lie in a slot
    cdef readonly bint weights_only   # a table of nothing but weights: predictions only
    cdef bint linear                  # scores are sums of weights times values: predicting needs nothing else
    cdef bint derived                 # the weight follows from the other columns and is saved as it is in force
    cdef float initial_weight
    cdef float[MOST_COLUMNS] start    # what the columns start at
    cdef int width_shift
    cdef vwl_table where              # the table as slots.h sees it
    # of several weight vectors: their sums, and where each feature's slot of the first one is
    cdef float* sums
    cdef float** at
    cdef size_t n_sums, n_at
    # sum w x of the weights in the table
    cdef float dot(self, Example ex) noexcept nogil
    # the same of several weight vectors, in `sums`
    cdef int dot_many(self, Example ex, uint32_t count, uint32_t step) except -1 nogil
    # what the weight of a slot, of the weight vector at an offset, is worth in a prediction
    cdef float weight_in(self, const float* at, uint32_t offset) noexcept nogil

cdef inline float* slot_at(TableLearner learner, uint32_t hash, uint32_t offset) noexcept nogil:
    """The columns of a feature, of the weight vector at an offset."""
    return slot(learner.table, (hash << learner.width_shift) + offset)


cdef inline float finish(TableLearner learner, Example ex, float score) noexcept nogil:
    """Leave a score and the prediction that it makes, within the range of labels."""
    ex.score = score
    ex.prediction = 0 if isnan(score) else learner.loss.clip(score)
    return ex.prediction


cdef inline bint judge(TableLearner learner, Example ex, Point* at) noexcept nogil:
    """Fill in the loss at the prediction just made; False if it comes of features that are no finite numbers."""
    at.p = ex.prediction
    at.y = ex.label
    learner.loss.evaluate(at)
    ex.loss = at.loss
    if not fabsf(ex.score) <= FLT_MAX and not has_finite_features(ex):
        learner.left_out += 1
        return False
    return True


cdef bint has_finite_features(Example ex) noexcept nogil
