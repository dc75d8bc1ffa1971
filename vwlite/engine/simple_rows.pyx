"""Collection of consecutive ordinary rows, described in simple_rows.pxd."""
from libc.float cimport FLT_MAX
from libc.math cimport isnan

from vwlite.core.example cimport ROW_EXAMPLE, Row, SimpleExample
from vwlite.core.losses cimport Loss, takes


cdef size_t collect(const Row* rows, const Given* given, Loss loss, SimpleExample* to) noexcept nogil:
    """Fills `to` from ordinary rows, up to the first that is not, and returns their number."""
    cdef double labelled = given.labelled, unlabelled = given.unlabelled
    cdef const Row* row = rows
    cdef size_t i
    cdef bint without
    for i in range(given.most):
        without = isnan(row.label)
        # no branch for each condition: nearly all rows meet all
        if (not (row.kind == ROW_EXAMPLE) & (row.warned == 0) & (row.initial == 0) & (row.weight > 0)
                & (row.weight <= <float>FLT_MAX)) or (given.learns if without else not takes(loss, row.label)):
            return i
        if without:
            unlabelled += row.weight
        else:
            labelled += row.weight
        if labelled + unlabelled >= given.below:
            return i
        if given.expansions != NULL:
            to[i].features = given.crossed + given.expansions[i].begin
            to[i].n, to[i].n_counted = given.expansions[i].n, given.expansions[i].n_counted
        else:
            to[i].features = given.features + row.feature
            to[i].n = to[i].n_counted = row.n_features + given.constant
        to[i].label, to[i].weight = row.label, row.weight
        row += 1
    return given.most
