"""Contract of a loss function.

A loss owns the range of labels seen, because predictions are clipped to it and some losses depend on it.
Notation: p prediction, y label, scale = learning rate x importance weight (x decay), ppu = change of the prediction
per unit of update, n = scale * ppu the total step.
"""
from vwlite.core.elementary cimport brief_exp, brief_log, expf, logf

cdef struct Point:
    # loss at a prediction p for a label y
    float p, y
    float loss, derivative, square    # square: squared gradient for adaptive rates
    float exponential                 # of the logistic loss, reused by its update

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

# The equations of the two losses that learners use most, for loops that call nothing.

cdef extern from *:
    """
    #define VWL_FEW 1e-6f /* below this total step the plain update is exact to rounding */
    """
    const float FEW "VWL_FEW"


cdef inline void evaluate_squared(Point* at, float low, float high) noexcept nogil:
    cdef float clipped = high if at.p > high else low if at.p < low else at.p
    at.loss = squared_loss(at.p, at.y, low, high)
    at.derivative = 2 * (clipped - at.y)
    at.square = 4 * (at.p - at.y) * (at.p - at.y)


cdef inline float squared_loss(float p, float y, float low, float high) noexcept nogil:
    """Squared loss for predictions that are clipped to low ... high."""
    if p < low:
        return 0 if y == low else (y - low) * (y - low) + 2 * (y - low) * (low - p)
    if p > high:
        return 0 if y == high else (high - y) * (high - y) + 2 * (high - y) * (p - high)
    return (p - y) * (p - y)


cdef inline float squared_flow(float p, float y, float scale, float ppu) noexcept nogil:
    if scale * ppu < FEW:
        return 2 * (y - p) * scale
    return (y - p) * (1 - expf(-2 * scale * ppu)) / ppu


cdef inline void evaluate_logistic(Point* at, float sign) noexcept nogil:
    """Logistic loss for one of two classes, whose sign is 1 or -1."""
    cdef float margin = sign * at.p
    at.exponential = expf(margin)
    at.loss = logf(1 + 1 / at.exponential) if margin > -80 else -margin
    at.derivative = -sign / (1 + at.exponential)
    at.square = at.derivative * at.derivative


cdef inline float logistic_flow(float p, float y, float e, float scale, float ppu) noexcept nogil:
    """Importance-invariant logistic update for a label y of -1 or 1, with e = exp(yp)."""
    cdef float n = scale * ppu
    if n < FEW:
        return y * scale / (1 + e)
    # multiplied by the reciprocal, which is computed in parallel with the other factor: this chain of dependent
    # operations limits the examples per second
    return -(y * lambert_minus(n + y * p + e) + p) * (1 / ppu)


cdef inline float lambert_minus(float x) noexcept nogil:
    """Lambert's W(e^x) - x to a relative error of about 1e-5: one step of Fritsch, Shafer and Crowley (1973), Algorithm
    443, from a linear or exponential start."""
    cdef double w, r, t, q
    if x >= 1:
        w = 0.86 * x + 0.01
        r = x - brief_log(w) - w
    else:
        w = brief_exp(0.8 * x - 0.65)
        r = 0.2 * x + 0.65 - w
    t = 1 + w
    q = 2 * t * (t + r * (2.0 / 3.0))
    return <float>(w * (1 + r * (q - r) / (t * (q - 2 * r))) - x)
