"""Runs the program of --where for an example, without the GIL.

Design:
a) A name is resolved once for each example: to a number, to a text, to the names in a namespace, or to nothing. A
   feature `city=Rome` or `city:Rome` is the text Rome of the name city. A name that no feature has, but a namespace,
   stands for the names of that namespace's features: an entity, the words of a text. A comparison holds if it holds for
   one of them; `!=` if it does for all.
b) A comparison with what is missing is false, != too. A text is compared with a number by its value, if it is one.
c) VW's JSON joins a text to its name, cityRome, and leaves 0 out: parsers note both beside the features (Noted).
d) A decision holds or not as a whole: names are those of its shared line, the label is the first cost that is known.
e) Numbers are compared in single precision, as features have it: price == 0.1 holds for 0.1 in the data.
"""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Block, Row
from vwlite.input.naming cimport Naming

cdef enum:
    DEEPEST = 128                     # results on the stack

cdef enum Kind:
    MISSING
    NUMBER
    TEXT
    SEVERAL                           # the names of a namespace's features, or the classes of a label

cdef struct Operand:
    # a name, and what it is in the current example
    int reserved                      # Reserved of predicate.pyx; 0: a feature
    uint32_t space, as_space          # hashes of its namespace, and of the namespace that is called as it
    const char* name
    size_t n
    bint seen                         # in some example
    Kind kind
    float number
    const char* text
    size_t length
    size_t extent                     # of SEVERAL

cdef struct Value:
    bint is_text, is_number           # a text may be a number, too
    float number
    const char* text
    size_t n

cdef struct Instruction:
    int action
    size_t operand, value

cdef class Predicate:
    cdef Naming naming
    cdef bint multiline
    cdef readonly list names          # as they were written
    cdef list texts                   # what the pointers point to
    cdef Operand* operands
    cdef Value* values
    cdef Instruction* instructions
    cdef size_t n_operands, n_instructions
    cdef object key(self, Block block, const Row* row)
    cdef const char* hold(self, text, size_t* n)
    cdef int set_value(self, Value* value, given) except -1
    cdef bint holds(self, Block block, size_t i) noexcept nogil
    cdef void resolve(self, Block block, size_t i, Operand* operand) noexcept nogil
    cdef bint find(self, Block block, const Row* row, Operand* operand) noexcept nogil
    cdef void find_space(self, Block block, const Row* row, Operand* operand) noexcept nogil
    cdef bint find_noted(self, Block block, size_t i, Operand* operand) noexcept nogil
    cdef void find_cost(self, Block block, size_t i, Operand* operand) noexcept nogil
    cdef bint compare(self, Block block, const Row* row, const Operand* operand, const Instruction* step) noexcept nogil
