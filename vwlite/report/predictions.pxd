"""Formats of predictions, one class for each type of prediction; and of labels in the progress table.

They don't depend on the learner, or on the number of lines of an example. All methods but `collect` and `cell` run
without the GIL.
"""
from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport Example
from vwlite.core.textbuffer cimport TextBuffer

cdef enum:
    MOST_COLUMNS = 64
    VALUES_AT_ONCE = 1000

cdef class Format:
    cdef readonly ClassNames classes  # of a learner of classes, or None
    cdef bint as_vw
    cdef int[MOST_COLUMNS] columns    # of a prediction; none: only the prediction
    cdef readonly size_t n_columns
    # the prediction of the current example: for -p, for -r, for Python
    cdef int write(self, Example ex, TextBuffer to) except -1 nogil
    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil
    cdef int collect(self, Example ex, list results) except -1 nogil
    cdef int finish(self, list results) except -1
    cdef int write_columns(self, Example ex, TextBuffer to) except -1 nogil

cdef class Scalar(Format):
    cdef float[VALUES_AT_ONCE] values     # not yet in the results
    cdef size_t n_values

cdef class Actions(Format):
    cdef bint by_class                # lines are identified by their classes, not by their numbers
