"""How predictions are written, one class for each type of prediction; and how labels are shown, by their kind.

Nothing here depends on which learner predicts, or on how many lines an example has. All but `collect` and `cell` run
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
    cdef int[MOST_COLUMNS] columns    # of a prediction; none: just the prediction
    cdef readonly size_t n_columns
    # of an example that the stack is done with: as -p has it, as -r has it, for Python
    cdef int write(self, Example ex, TextBuffer to) except -1 nogil
    cdef int write_raw(self, Example ex, TextBuffer to) except -1 nogil
    cdef int collect(self, Example ex, list results) except -1 nogil
    cdef int finish(self, list results) except -1
    cdef int write_columns(self, Example ex, TextBuffer to) except -1 nogil

cdef class Scalar(Format):
    cdef float[VALUES_AT_ONCE] values     # not yet in the results
    cdef size_t n_values

cdef class Actions(Format):
    cdef bint by_class                # lines go by their classes, not by their numbers
