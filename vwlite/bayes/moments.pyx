"""Posteriors of all entities under one prior, for variance.py: small matrices, with the same bits on every machine.

NumPy leaves them to LAPACK and BLAS, whose last digits depend on the library and the processor.
"""
from libc.math cimport sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "vwlite/core/newton.h" nogil:
    double vwl_dot_product(const double* a, const double* b, size_t n)
    void vwl_cholesky(double* a, size_t n)
    void vwl_forward_from(const double* factor, size_t n, size_t first, double* b)
    void vwl_backward(const double* factor, size_t n, double* b)


cdef struct Space:
    double* factor    # packed
    double* column
    double* inverse   # by rows
    double* unit      # the reciprocals of the roots of the diagonal


cdef int reserve(Space* space, size_t d) except -1:
    space.factor = <double*>malloc((d * (d + 1) // 2 + 2 * d + d * d + 1) * sizeof(double))
    if space.factor == NULL:
        raise MemoryError
    space.column = space.factor + d * (d + 1) // 2
    space.unit = space.column + d
    space.inverse = space.unit + d
    return 0


cdef void invert(const double* a, const double* more, size_t d, Space* space) noexcept nogil:
    """Inverse of a + more (NULL: of a), positive semidefinite; its lower triangle is read, by rows.

    It is scaled to a diagonal of 1, and regularized by a rounding error of that.
    """
    cdef size_t i, j
    cdef double diagonal
    for i in range(d):
        diagonal = a[i * d + i] + (more[i * d + i] if more != NULL else 0)
        space.unit[i] = 1 / sqrt(diagonal if diagonal > 1e-300 else 1e-300)
    for i in range(d):
        for j in range(i + 1):
            space.factor[i * (i + 1) // 2 + j] = (
                (a[i * d + j] + (more[i * d + j] if more != NULL else 0)) * (space.unit[i] * space.unit[j])
                + (1e-13 if i == j else 0))
    vwl_cholesky(space.factor, d)
    for j in range(d):
        memset(space.column, 0, d * sizeof(double))
        space.column[j] = 1
        vwl_forward_from(space.factor, d, j, space.column)
        vwl_backward(space.factor, d, space.column)
        for i in range(j, d):
            space.inverse[i * d + j] = space.column[i] * (space.unit[i] * space.unit[j])
            space.inverse[j * d + i] = space.inverse[i * d + j]


def inverses(a):
    """Inverses of positive semidefinite matrices, shape (..., d, d); as in newton.h, a direction that is singular by
    rounding is regularized by a rounding error of the diagonal.
    """
    import numpy as np
    given = np.ascontiguousarray(a, np.float64)
    found = np.empty_like(given)
    cdef size_t d = given.shape[given.ndim - 1], i, n
    cdef double[:, ::1] of = given.reshape(-1, d * d)
    cdef double[:, ::1] to = found.reshape(-1, d * d)
    cdef Space space
    reserve(&space, d)
    for n in range(<size_t>of.shape[0]):
        invert(&of[n, 0], NULL, d, &space)
        for i in range(d * d):
            to[n, i] = space.inverse[i]
    free(space.factor)
    return found


def posteriors(data, b, precision, center):
    """(sum of the inverses of data + precision, means, explained sum) of N entities under the prior N(center,
    precision^-1); b = data times the least squares estimates.

    Args:
        data: shape (N, d, d).
        b: shape (N, d).
        precision: shape (d, d).
        center: shape (d,).
    """
    import numpy as np
    cdef const double[:, :, ::1] of = np.ascontiguousarray(data)
    cdef const double[:, ::1] sides = np.ascontiguousarray(b), prior = np.ascontiguousarray(precision)
    cdef const double[::1] middle = np.ascontiguousarray(center)
    cdef size_t n = of.shape[0], d = of.shape[1], e, i
    total, found, side, pull = np.zeros(d * d), np.empty((n, d)), np.empty(d), np.empty(d)
    cdef double[::1] total_view = total, right = side, shift = pull
    cdef double[:, ::1] to = found
    cdef double explained = 0
    cdef Space space
    for i in range(d):
        shift[i] = vwl_dot_product(&prior[i, 0], &middle[0], d)
    reserve(&space, d)
    for e in range(n):
        invert(&of[e, 0, 0], &prior[0, 0], d, &space)
        for i in range(d):
            right[i] = sides[e, i] + shift[i]
        for i in range(d):
            to[e, i] = vwl_dot_product(space.inverse + i * d, &right[0], d)
        for i in range(d * d):
            total_view[i] += space.inverse[i]
        explained += vwl_dot_product(&right[0], &to[e, 0], d)
    free(space.factor)
    return total.reshape(d, d), found, explained - n * vwl_dot_product(&middle[0], &shift[0], d)


def scatter(rows):
    """The sum of outer products rows_e rows_e', shape (d, d), of rows of shape (N, d)."""
    import numpy as np
    cdef const double[:, ::1] of = np.ascontiguousarray(rows)
    cdef size_t n = of.shape[0], d = of.shape[1], e, i, j
    found = np.zeros((d, d))
    cdef double[:, ::1] to = found
    for e in range(n):
        for i in range(d):
            for j in range(d):
                to[i, j] += of[e, i] * of[e, j]
    return found


def products(data, precision, rows):
    """(data_e + precision) rows_e of each entity, shape (N, d)."""
    import numpy as np
    cdef const double[:, :, ::1] of = np.ascontiguousarray(data)
    cdef const double[:, ::1] more = np.ascontiguousarray(precision), by = np.ascontiguousarray(rows)
    cdef size_t n = of.shape[0], d = of.shape[1], e, i, j
    found = np.zeros((n, d))
    cdef double[:, ::1] to = found
    for e in range(n):
        for i in range(d):
            for j in range(d):
                to[e, i] += (of[e, i, j] + more[i, j]) * by[e, j]
    return found
