"""Contract of a loss function.

A loss owns the range of labels seen, because predictions are clipped to it and some losses depend on it.
Notation: p prediction, y label, scale = learning rate x importance weight (x decay), ppu = change of the prediction
per unit of update, n = scale * ppu the total step.
"""

from vwlite.core.point cimport Point

cdef class Loss:
    cdef readonly str name
    cdef public float min_label, max_label
    # given by --min_prediction and --max_prediction; `still`, under -t: labels don't widen the range
    cdef bint given_low, given_high, still
    # binary losses: the label of the negative class, -1 or 0, NaN until one of them was seen
    cdef readonly bint two_classes
    cdef readonly float negative
    cdef readonly float low, high     # labels of the two classes in the loss's equations
    cdef float least, most            # labels in between are valid without vet()
    cdef readonly bint as_vw          # --vw_compat: accepts every finite label
    # returns the Reason (reasons.pxd) why a label is refused, FINE if it is accepted; `settle`: it counts as seen
    cdef int vet(self, float y, bint settle) noexcept nogil
    cdef void settle_on(self, float negative) noexcept nogil
    cdef void see(self, float y) noexcept nogil
    cdef float loss(self, float p, float y) noexcept nogil
    cdef float derivative(self, float p, float y) noexcept nogil
    cdef void evaluate(self, Point* at) noexcept nogil
    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil
    cdef float plain_update(self, const Point* at, float scale) noexcept nogil
    cdef inline float clip(self, float p) noexcept nogil:
        if p > self.max_label:
            return self.max_label
        if p < self.min_label:
            return self.min_label
        return p


cdef inline bint takes(Loss loss, float y) noexcept nogil:
    """Whether a label is valid without vet(). No branch: the next of two labels is unpredictable."""
    return (y == loss.negative) | ((y >= loss.least) & (y <= loss.most))

cdef class Squared(Loss):
    pass

cdef class Logistic(Loss):
    cdef float width                  # high - low
