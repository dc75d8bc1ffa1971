"""Consecutive ordinary rows of a block, which learners take together: without an Example and a call for each.

A row is ordinary if it has a valid label, or none where nothing is learned, a positive weight and no initial
prediction. The driver runs all others one by one.
"""
from libc.stdint cimport uint32_t

from vwlite.core.example cimport Feature, Row, SimpleExample
from vwlite.core.losses cimport Loss
from vwlite.features.interactions cimport Expansion

cdef enum:
    ROWS_AT_ONCE = 64

cdef struct Given:
    # what rows are collected by
    const Feature* features           # of the block
    const Feature* crossed            # and the expanded ones, if there are `expansions`: one of each row
    const Expansion* expansions
    size_t most, rows                 # examples, and rows that they are collected from
    const unsigned char* skipped      # 1 for each row that is passed over, or NULL
    double labelled, unlabelled       # weights of the examples before, and the sum that they have to stay below
    double below
    bint constant, learns

# `places`: of the row of each example after the first row; filled if rows are skipped
cdef size_t collect(const Row* rows, const Given* given, Loss loss, SimpleExample* to, uint32_t* places) noexcept nogil
