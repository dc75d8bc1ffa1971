"""Columns: puts the cells of a table's columns into rows, by a column map. All tables share it, from text or typed.

Names of columns and their namespaces are written into the text of each block once; so a cell costs a hash only if it is
a category that was not met lately. One thread at a time reads cells.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from vwlite.core.example cimport Block
from vwlite.input.rows cimport Rows, Space

cdef enum Role:
    IGNORE
    AUTO                              # of text: a number if it is one, else a category
    NUMBER
    CATEGORY
    FLAG
    WORDS
    DATE
    ENTITY
    LABEL
    WEIGHT
    INITIAL
    TAG
    ASKED                             # ignored, but --where and the like look at it: noted

cdef enum Response:
    AS_IT_IS
    BINARY
    ABOVE
    BINS

cdef enum Part:                       # of a date
    YEAR = 1
    MONTH = 2
    DAY = 4
    DOW = 8
    HOUR = 16
    MINUTE = 32
    DAYS = 64

cdef struct Column:
    Role role
    Response response
    int parts                         # of a date
    size_t space                      # its namespace, of `spaces`
    size_t name, length               # in the text of names
    uint32_t hash                     # of its name in its namespace
    double above
    size_t value, value_length        # of a binary label, in the text of names

cdef enum:
    RECENT_BITS = 12                  # of the number of places for recent categories
    LONGEST_RECENT = 16               # bytes of one

cdef struct Recent:
    # a category of a column, and the hash of its feature; `key`: the column and the length, plus 1
    uint64_t a, b, key
    uint32_t hash

cdef inline bint is_unused(Role role) noexcept nogil:
    """Whether a column has no features and no label."""
    return role == IGNORE or role == ASKED

cdef class Columns:
    cdef readonly size_t n
    cdef readonly list names          # of all columns
    cdef readonly bint labelled
    cdef bytes text                   # names of columns and namespaces
    cdef Column* columns
    cdef Space* spaces                # with places in `text`
    cdef size_t capacity
    cdef dict known                   # numbers of namespaces
    cdef float* borders               # of bins of the label
    cdef size_t n_borders
    cdef size_t start                 # of the names in the text of the Rows they were made with
    cdef char comma                   # of decimals
    cdef Recent* recent
    cdef size_t append(self, Rows rows, str name, object rule, str full_name) except? 0xFFFFFFFF
    cdef int begin(self, Rows rows) except -1 nogil
    cdef int cell(self, Rows rows, size_t i, const uint8_t* text, size_t n) except -1 nogil
    cdef int number(self, Rows rows, size_t i, double value) except -1 nogil
    cdef int whole(self, Rows rows, size_t i, uint64_t size, bint negative) except -1 nogil
    cdef int integer(self, Rows rows, size_t i, object value) except -1
    cdef int word(self, Rows rows, size_t i, const uint8_t* text, size_t n) except -1 nogil
    cdef int written(self, Rows rows, size_t i, const uint8_t* text, size_t n, double value) except -1 nogil
    cdef int flag(self, Rows rows, size_t i, bint value) except -1 nogil
    cdef int time(self, Rows rows, size_t i, int64_t seconds, bint whole_day) except -1 nogil
    cdef int enter(self, Rows rows, const Column* column) except -1 nogil
    cdef int category(self, Rows rows, const Column* column, const uint8_t* text, size_t n) except -1 nogil
    cdef int words(self, Rows rows, const Column* column, const uint8_t* text, size_t n) except -1 nogil
    cdef int label(self, Rows rows, const Column* column, const uint8_t* text, size_t n) except -1 nogil
    cdef int label_number(self, Rows rows, const Column* column, double value) except -1 nogil
    cdef int part(self, Rows rows, const Column* column, const char* name, int64_t value) except -1 nogil
    cdef const uint8_t* name_of(self, Rows rows, const Column* column) noexcept nogil
    cdef int refuse(self, Rows rows, int reason, const Column* column, const uint8_t* text, size_t n) except -1 nogil

cdef bint read_number(const uint8_t* text, size_t n, char comma, double* value) noexcept nogil
cdef bint are_digits(const uint8_t* text, size_t n) noexcept nogil
cdef bint read_date(const uint8_t* text, size_t n, int64_t* seconds) noexcept nogil
