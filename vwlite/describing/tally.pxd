"""Tally: what is counted of the rows of data, in one pass and in bounded memory, for their description.

Design:
a) Features are numbered by their hash (KnownFeatures); each has its count and the sum of labels. One that has a value
   is a number, with moments and range. Parsers mark those without a value by NaN, and keep those of value 0, as they
   do for transforms.
b) A feature is of a column (ColumnNames). In how many rows a column is, is counted as rows are read; everything else of
   it follows from its features.
c) Quantiles and AUCs are those of a sample of rows (Sample), and duplicates are counted among the rows of another one
   (Repeats). Neither depends on the order of the rows, and both are exact as long as memory suffices.
d) A block is read twice: first the numbers of its features are found, then they are counted. So what is fetched from
   memory is known well before it is needed, across rows. Two features share a cache line.
e) Nothing is allocated per row or feature, and no Python object is made.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Block, Choice, Example, Row
from vwlite.core.name_index cimport NameIndex
from vwlite.describing.column_names cimport ColumnNames
from vwlite.describing.repeats cimport Repeats
from vwlite.describing.sample cimport Sample
from vwlite.features.known cimport KnownFeatures
from vwlite.features.spelling cimport Speller

cdef enum:
    FEW = 24                          # distinct values of a number that are told apart
    MOST_LABELS = 1000                # distinct labels that are told apart

cdef struct Value:
    # a feature, of 32 bytes
    double y, yy                      # sums of labels, and of their squares
    uint32_t count, labelled          # rows since the last carrying; a name that comes twice in a row counts twice
    uint32_t column, number           # of the column; of the Number + 1, 0 while it has no values

cdef struct Carried:
    # rows of a feature that are no longer in its Value
    uint64_t count, labelled

cdef struct Number:
    uint64_t count, labelled, whole, ordered             # values that are integers; that are not below the one before
    double x, xx, y, yy, xy           # sums; y, yy and xy of labelled rows, as the next two
    double lx, lxx
    float low, high, previous
    uint32_t n_few                    # of the distinct values; FEW + 1: more
    uint32_t feature
    float[FEW] few

cdef class Tally:
    cdef readonly uint64_t rows, malformed, labelled, tagged, left_out
    cdef readonly uint64_t weights_given
    cdef readonly double weight, y, yy, y_low, y_high
    cdef readonly bint whole_labels, shared
    cdef readonly KnownFeatures known
    cdef readonly ColumnNames names
    cdef readonly Repeats repeats
    cdef readonly Sample sample
    cdef Speller speller
    cdef Example ex
    cdef bint classes
    cdef Value* values                # by number, which counts from 1
    cdef Carried* carried             # by number of the feature; NULL while nothing was carried
    cdef Number* numbers
    cdef uint64_t* hashes             # of the rows of a block
    cdef size_t value_capacity, carried_capacity, number_capacity, hash_capacity
    cdef readonly size_t n_numbers
    cdef size_t uncarried, most_uncarried
    cdef NameIndex label_names
    cdef uint64_t[MOST_LABELS] label_counts
    cdef float[MOST_LABELS] label_values
    cdef readonly size_t n_labels     # distinct; MOST_LABELS + 1: more
    cdef dict reasons
    cdef int find_rows(self, Block block) except -1 nogil
    cdef int read_rows(self, Block block) except -1 nogil
    cdef int note_problem(self, Block block, size_t i) except -1
    cdef int read_row(self, Block block, const Row* row, const uint32_t* numbers, uint64_t* hash) except -1 nogil
    cdef uint64_t label_bits(self, Block block, const Row* row) noexcept nogil
    cdef float see_class(self, Block block, const Choice* choice) except? -1 nogil
    cdef int see_label(self, const Row* row) except -1 nogil
    cdef int begin_features(self, Block block, const Row* row) except -1 nogil
    cdef int begin_number(self, uint32_t feature) except -1 nogil
    cdef int carry(self) except -1 nogil

cdef inline uint64_t count_of(Tally tally, size_t feature) noexcept nogil:
    """The rows of a feature, whose number counts from 1."""
    return tally.values[feature].count + (0 if tally.carried == NULL else tally.carried[feature].count)

cdef inline uint64_t labelled_of(Tally tally, size_t feature) noexcept nogil:
    """The labelled rows of a feature, whose number counts from 1."""
    return tally.values[feature].labelled + (0 if tally.carried == NULL else tally.carried[feature].labelled)
