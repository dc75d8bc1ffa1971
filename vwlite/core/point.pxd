"""Point: a loss at a prediction for a label. The notation is that of losses.pxd."""

cdef struct Point:
    # loss at a prediction p for a label y
    float p, y
    float loss, derivative, square    # square: squared gradient for adaptive rates
    float exponential                 # of the logistic loss, reused by its update
