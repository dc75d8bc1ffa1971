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
    cdef public bint fixed_range      # --min_prediction/--max_prediction or -t: labels don't move the range
    cdef void see(self, float y) noexcept nogil
    cdef float clip(self, float p) noexcept nogil
    cdef float loss(self, float p, float y) noexcept nogil
    cdef float derivative(self, float p, float y) noexcept nogil
    cdef void evaluate(self, Point* at) noexcept nogil
    cdef float update(self, const Point* at, float scale, float ppu) noexcept nogil
    cdef float plain_update(self, const Point* at, float scale) noexcept nogil
