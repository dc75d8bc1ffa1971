"""Equations of the two losses that learners use most, inline, for loops that call nothing.

losses.pyx has the sources and the classes.
"""
from vwlite.core.elementary cimport brief_exp, brief_log, expf, logf
from vwlite.core.point cimport Point

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
    # in double precision also where division is checked: a part of it would have the precision of its operands there
    return <float>(<double>(y - p) * (1 - <double>expf(-2 * scale * ppu)) / ppu)


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
