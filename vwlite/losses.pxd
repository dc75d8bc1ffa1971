"""The contract of a loss.

A loss owns the range of labels seen, because predictions are clipped to it and some losses depend on it.
Words: p prediction, y label, scale = learning rate x importance weight (x decay), ppu = how much the prediction
moves per unit of update, n = scale * ppu the total step.
"""

cdef class Loss:
    cdef readonly str name
    cdef public float min_label, max_label
    cdef public bint fixed_range      # --min_prediction/--max_prediction or -t: labels don't move the range
    cdef void see(self, float y) noexcept nogil
    cdef float clip(self, float p) noexcept nogil
    cdef float loss(self, float p, float y) noexcept nogil
    cdef float derivative(self, float p, float y) noexcept nogil
    cdef float square_gradient(self, float p, float y) noexcept nogil
    cdef float update(self, float p, float y, float scale, float ppu) noexcept nogil
    cdef float plain_update(self, float p, float y, float scale) noexcept nogil
