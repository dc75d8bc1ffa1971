"""Elementary functions of arrays with the same bits on every machine, elementwise: use these in place of NumPy's.

The functions of a name in elementary.pxd have "array_" before it here, and "scalar_" for one number.
"""

ctypedef double (*OfOne)(double) noexcept nogil
ctypedef float (*OfOneFloat)(float) noexcept nogil


cdef object of_doubles(OfOne function, x):
    import numpy as np  # here, because scalars don't need it
    given = np.asarray(x, np.float64, order="C")
    found = np.empty_like(given)
    cdef const double[::1] at = given.reshape(-1)
    cdef double[::1] to = found.reshape(-1)
    cdef Py_ssize_t i
    with nogil:
        for i in range(at.shape[0]):
            to[i] = function(at[i])
    return found


cdef object of_floats(OfOneFloat function, x):
    import numpy as np
    given = np.asarray(x, np.float32, order="C")
    found = np.empty_like(given)
    cdef const float[::1] at = given.reshape(-1)
    cdef float[::1] to = found.reshape(-1)
    cdef Py_ssize_t i
    with nogil:
        for i in range(at.shape[0]):
            to[i] = function(at[i])
    return found


def array_exp(x):
    """e^x."""
    return of_doubles(exp, x)


def array_expm1(x):
    """e^x - 1, accurate near 0."""
    return of_doubles(expm1, x)


def array_log(x):
    """log x."""
    return of_doubles(log, x)


def array_log1p(x):
    """log(1 + x), accurate near 0."""
    return of_doubles(log1p, x)


def array_erfc(x):
    """The complementary error function."""
    return of_doubles(erfc, x)


def array_brief_exp(x):
    """e^x to a relative error of 1e-11."""
    return of_doubles(brief_exp, x)


def array_brief_log(x):
    """log x to a relative error of 1e-9."""
    return of_doubles(brief_log, x)


def array_expf(x):
    """e^x of floats."""
    return of_floats(expf, x)


def array_logf(x):
    """log x of floats."""
    return of_floats(logf, x)


def array_pow(x, y):
    """x^y; both have the same shape."""
    import numpy as np
    base, exponent = np.asarray(x, np.float64, order="C"), np.asarray(y, np.float64, order="C")
    found = np.empty_like(base)
    cdef const double[::1] at = base.reshape(-1), by = exponent.reshape(-1)
    cdef double[::1] to = found.reshape(-1)
    cdef Py_ssize_t i
    if at.shape[0] != by.shape[0]:
        raise ValueError("as many powers as numbers are needed")
    for i in range(at.shape[0]):
        to[i] = pow(at[i], by[i])
    return found


def array_powf(x, y):
    """x^y of floats; both have the same shape."""
    import numpy as np
    base, exponent = np.asarray(x, np.float32, order="C"), np.asarray(y, np.float32, order="C")
    found = np.empty_like(base)
    cdef const float[::1] at = base.reshape(-1), by = exponent.reshape(-1)
    cdef float[::1] to = found.reshape(-1)
    cdef Py_ssize_t i
    if at.shape[0] != by.shape[0]:
        raise ValueError("as many powers as numbers are needed")
    for i in range(at.shape[0]):
        to[i] = powf(at[i], by[i])
    return found


def scalar_log(double x):
    """log x of one number."""
    return log(x)
