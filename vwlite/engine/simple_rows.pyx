"""Collection of consecutive ordinary rows, described in simple_rows.pxd."""
from libc.float cimport FLT_MAX
from libc.math cimport isnan
from libc.stdint cimport uint32_t

from vwlite.core.example cimport ROW_EXAMPLE, Row, SimpleExample
from vwlite.core.losses cimport Loss, takes


cdef size_t collect(const Row* rows, const Given* given, Loss loss, SimpleExample* to, uint32_t* places) noexcept nogil:
    """Fills `to` from ordinary rows, up to the first that is not, and returns their number."""
    cdef double labelled = given.labelled, unlabelled = given.unlabelled
    cdef const Row* row
    cdef const Expansion* expansion
    cdef size_t i, n = 0
    cdef bint without
    for i in range(given.rows):
        if n == given.most:
            break
        if given.skipped != NULL:
            if given.skipped[i]:
                continue
            places[n] = <uint32_t>i
        row = &rows[i]
        without = isnan(row.label)
        # no branch for each condition: nearly all rows meet all
        if (not (row.kind == ROW_EXAMPLE) & (row.warned == 0) & (row.initial == 0) & (row.weight > 0)
                & (row.weight <= <float>FLT_MAX)) or (given.learns if without else not takes(loss, row.label)):
            break
        if without:
            unlabelled += row.weight
        else:
            labelled += row.weight
        if labelled + unlabelled >= given.below:
            break
        if given.expansions != NULL:
            expansion = &given.expansions[i]
            to[n].features = given.crossed + expansion.begin
            to[n].n, to[n].n_counted = expansion.n, expansion.n_counted
        else:
            to[n].features = given.features + row.feature
            to[n].n = to[n].n_counted = row.n_features + given.constant
        to[n].label, to[n].weight = row.label, row.weight
        n += 1
    return n
