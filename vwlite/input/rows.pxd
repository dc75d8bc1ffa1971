"""Rows: builds the rows of a block from named values, for every format but VW's text.

Design:
a) One rule of names holds for all of them, so that the same record is the same example, whatever format it came in, and
   can be written as text that is learned alike. A number is the feature `name:value`; a text is the feature `name=text`
   of value 1, a category; true is `name`; zero, false and nothing are left out. A record inside a record is a
   namespace. In names, what separates words in text (blanks, ':', '|' and control characters) becomes '_'.
b) In a namespace of a random effect, a text or a number is the name of an entity.
c) Names are written behind the block's text. If no learner reads the names of features, the next name takes the place
   of the last one as soon as that is hashed.
d) A problem is stored in the row, as those of text are: it is reported in its turn, after the rows before it were
   learned. Its text is the value in question, `name=value`, not the line.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabs
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Block, Extent, Feature, NameSpan, Row
from vwlite.core.reasons cimport Reason
from vwlite.input.heads cimport Head
from vwlite.input.naming cimport Naming, hash_name

cdef enum:
    LONGEST_NUMBER = 32               # bytes of a number in words
    ROWS_IN_A_BLOCK = 1000            # that are made from Python objects
    MADE = 1                          # source of a block whose rows were never lines

cdef struct Space:
    # a namespace
    uint32_t hash, name, name_length_index        # as in an Extent
    bint names_entities

cdef class Rows:
    cdef Naming naming
    cdef Head head
    cdef Block block
    cdef bint names                   # of features are kept
    cdef bint skips_nan               # NaN is a value that is missing
    cdef bint all_features            # of records: `_label` and the like are names as all others
    cdef Feature* feature             # the next one, and the end of their memory
    cdef Feature* last_feature
    cdef Extent* extent
    cdef Row* row                     # the current one
    cdef size_t n_rows, text, n_choices
    cdef size_t given                 # bytes of the block's own text, behind which names are written
    cdef size_t base                  # of the names of columns in the block's text
    cdef size_t begin                 # of the current row's features and extents
    cdef size_t begin_extent
    cdef bint open                    # the current extent has been written
    cdef bint repeated
    cdef Space space                  # of the features that follow
    cdef Space plain                  # the namespace without a name
    cdef uint32_t[256] seen           # row (from 1) that last had features in the namespace
    cpdef restart(self)
    cdef int next_row(self, size_t line, size_t text, size_t text_length) except -1 nogil
    cdef int end_row(self) except -1 nogil
    cdef int drop_row(self) except -1 nogil
    cdef int end_block(self) except -1 nogil
    cdef int more_room(self, size_t extents, size_t features) except -1 nogil
    cdef int more_features(self) except -1 nogil
    cdef int more_extents(self) except -1 nogil
    cdef int more_text(self, size_t n) except -1 nogil
    cdef int room_for(self, size_t n, const uint8_t** a, const uint8_t** b) except -1 nogil
    cdef int namespace(self, const uint8_t* name, size_t n, Space* space) except -1 nogil
    cdef int open_extent(self) except -1 nogil
    cdef size_t put(self, const uint8_t* name, size_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t hash_in(self, const Space* space, size_t name, size_t n) noexcept nogil
    cdef bint is_entity(self, const uint8_t* name, size_t n) noexcept nogil
    cdef int number(self, const uint8_t* name, size_t n, double value) except -1 nogil
    cdef int zero(self, const uint8_t* name, size_t n, uint32_t space) except -1 nogil
    cdef int note_cell(self, const uint8_t* name, size_t n, uint32_t space, const uint8_t* text, size_t m,
                       float number) except -1 nogil
    cdef int word(self, const uint8_t* name, size_t n, const uint8_t* text, size_t m) except -1 nogil
    cdef int plain_word(self, const uint8_t* text, size_t m) except -1 nogil
    cdef int entity(self, const uint8_t* name, size_t n, const uint8_t* text, size_t m) except -1 nogil
    cdef int keep(self, size_t n) except -1 nogil
    cdef int label_number(self, double value) except -1 nogil
    cdef int label_words(self, const uint8_t* text, size_t n) except -1 nogil
    cdef int weigh(self, double value) except -1 nogil
    cdef int begin_at(self, double value) except -1 nogil
    cdef int tag(self, const uint8_t* text, size_t n) except -1 nogil
    cdef int refuse(self, Reason reason, const uint8_t* name, size_t n, const uint8_t* text, size_t m) except -1 nogil
    cdef int refuse_number(self, Reason reason, const uint8_t* name, size_t n, double value) except -1 nogil

cdef size_t number_in_words(double value, uint8_t* to) noexcept nogil

cdef inline int add(Rows rows, uint32_t hash, float value, size_t name, size_t length) except -1 nogil:
    """Append a feature of the current namespace; `name` is the place of its name in the text."""
    if not rows.open:
        rows.open_extent()
    if rows.feature == rows.last_feature:
        rows.more_features()
    rows.feature.hash = hash
    rows.feature.value = value
    if rows.names:
        rows.block.names[rows.feature - rows.block.features].begin = <uint32_t>name
        rows.block.names[rows.feature - rows.block.features].length = <uint32_t>length
    rows.feature += 1
    return 0

cdef inline bint is_number(double value) noexcept nogil:
    """Whether a value can be that of a feature: finite in single precision."""
    return fabs(value) <= FLT_MAX
