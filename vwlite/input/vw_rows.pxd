"""Assembly: lays the features of nested objects out as rows, in the order in which Vowpal Wabbit reads them.

Design:
a) An object is a namespace, and it ends before its outer one does. So the features of open namespaces are a stack, of
   which the last one is on top. A namespace goes to the block when its object ends, whole: inner ones come first.
b) The rows of a multi-line example lie in the block one behind the other, as caches want them. The shared features that
   come behind the actions are moved before them.
c) Names stay where they are in the text. What is put together of two strings is written behind the text, which has
   the capacity for all of them: pointers into the text stay valid.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Feature, NameSpan
from vwlite.core.reasons cimport Reason
from vwlite.input.rows cimport Rows, Space

cdef class Assembly(Rows):
    cdef Feature* stack               # features of the open namespaces, and their names
    cdef NameSpan* stack_names
    cdef size_t n_stack, stack_capacity
    cdef size_t example_line, example_text, example_length
    cdef size_t first_row, first_feature, first_extent, first_choice, first_noted      # of the example
    cdef size_t current               # row
    cdef uint64_t stamp               # of the row
    cdef uint64_t[256] stamps         # of the row that last had a namespace of this index
    cdef int begin_example(self, size_t line, size_t start, size_t length) except -1 nogil
    cdef int begin_row(self) except -1 nogil
    cdef int complete_row(self) except -1 nogil
    cdef int end_example(self) except -1 nogil
    cdef int take_back(self) except -1 nogil
    cdef int note(self, uint32_t space, size_t begin, size_t n, size_t n_text, bint is_text) except -1 nogil
    cdef int refuse_example(self, Reason reason, size_t at, size_t stop) except -1 nogil
    cdef int close(self, const Space* space, size_t base) except -1 nogil
    cdef int gather(self) except -1 nogil
    cdef int more_stack(self) except -1 nogil
    cdef int pause_shared(self) except -1 nogil
    cdef int resume_shared(self) except -1 nogil
    cdef int end_shared(self) except -1 nogil
    cdef int insert(self) except -1 nogil
    cdef int gather_shared(self) except -1 nogil
    cdef int add_choice(self, size_t row) except -1 nogil

cdef inline int push(Assembly rows, uint32_t hash, float value, size_t name, size_t length) except -1 nogil:
    """Append a feature to the innermost namespace; `name` is the place of its name in the text."""
    cdef size_t n = rows.n_stack
    if n == rows.stack_capacity:
        rows.more_stack()
    rows.stack[n].hash, rows.stack[n].value = hash, value
    rows.stack_names[n].begin, rows.stack_names[n].length = <uint32_t>name, <uint32_t>length
    rows.n_stack = n + 1
    return 0
