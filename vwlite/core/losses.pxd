"""The contract of a loss.

A loss owns the range of labels seen, because predictions are clipped to it and some losses depend on it.
Words: p prediction, y label, scale = learning rate x importance weight (x decay), ppu = how much the prediction
moves per unit of update, n = scale * ppu the total step.
"""

cdef struct Point:
    # a loss at a prediction p for a label y
    float p, y
    float loss, derivative, square    # square: the squared gradient that drives adaptive rates
    float exponential                 # what the logistic loss need not work out again for its update

cdef class Loss:
    cdef readonly str name
    cdef public float min_label, max_label
    # --min_prediction and --max_prediction; `still`, under -t: labels move neither end of the range
    cdef bint given_low, given_high, still
    # of two classes: the label of the negative one, -1 or 0, NaN until one of them was seen
    cdef readonly bint two_classes
    cdef readonly float negative
    cdef readonly float low, high     # the labels that stand for the two classes in the loss's equations
    cdef float least, most            # labels in between are taken, and need no vet()
    cdef readonly bint as_vw          # --vw_compat: takes every finite label
    # why a label is not taken, a Reason of reasons.pxd, FINE if it is; `settle`: it counts as seen
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
    """Whether a label is one that needs no vet(). No branch: which of two labels comes next can't be predicted."""
    return (y == loss.negative) | ((y >= loss.least) & (y <= loss.most))
