"""Transforms: features whose values are changed by statistics that are learned on the way.

Design:
a) The learning thread transforms each example before features are selected and crossed. An example is predicted with
   the statistics so far; then they learn from it, and the stack learns what they make of it now, as a pipeline of
   River does. The parsed example in the block is not changed.
b) A parser gives features without a value (words, categories, true) the value NaN, which stands for 1, and keeps zeros:
   a number and a word have different transforms, and a zero counts in a mean. See Naming.
c) A slot is found by the hash of the feature's name, which no mask has shortened. Its state is a few doubles.
d) What becomes 0 is left out, as a zero in the data is.
e) Names that a transform makes are in a text of its own, with those of the other features (Example.names_text).
f) Lines of a multi-line example are changed in the block, and changed back after the example; statistics learn from
   them after the stack.
"""
from libc.stdint cimport int32_t, uint8_t, uint32_t

from vwlite.core.example cimport Block, Example, Extent, Feature, NameSpan, Row
from vwlite.input.naming cimport Naming
from vwlite.input.statistics cimport Op, Statistics

cdef class Transforms:
    cdef readonly Naming naming
    cdef readonly list rules
    cdef readonly bint learns         # some step has statistics
    cdef readonly bint renames        # some step makes names
    cdef bint has_patterns
    cdef readonly Statistics statistics
    cdef int32_t rule_of_all          # NONE without one
    # rules by the hash of a name or of a namespace
    cdef uint32_t[256] own_hash, space_hash
    cdef int32_t[256] own_rule, space_rule
    cdef size_t n_own, n_spaces
    cdef bint looked                  # at an example
    cdef bint[256] matched            # some feature matched the rule
    # the example as parsed
    cdef const Feature* linear
    cdef size_t n_linear
    cdef const Extent* extents
    cdef size_t n_extents
    cdef const NameSpan* names
    cdef bint constant
    # and as transformed
    cdef Feature* features
    cdef Extent* own_extents
    cdef NameSpan* own_names
    cdef char* text
    cdef size_t n, n_own_extents, used, feature_capacity, name_capacity, extent_capacity, text_capacity
    cdef uint32_t* members            # features of the extent that form n-grams
    cdef size_t member_capacity
    # values of lines in a block, to be restored
    cdef float* saved
    cdef size_t saved_capacity
    cdef const char* problem          # the feature of TRANSFORM_TWICE, in the block
    cdef int apply(self, Example ex) except -1 nogil
    cdef int learn(self, Example ex) except -1 nogil
    cdef int run(self, Example ex, bint learns) except -1 nogil
    cdef int enter(self, Example ex, size_t i, bint learns) except -1 nogil
    cdef int put(self, Example ex, size_t i, uint32_t hash, double x, int32_t rule, const char* name, size_t n,
                 bint learns) except -1 nogil
    cdef int append(self, uint32_t hash, float value, const char* name, size_t n, NameSpan span) except -1 nogil
    cdef int add_ngrams(self, Example ex, size_t i, size_t n_members, bint learns) except -1 nogil
    cdef int32_t rule_for(self, const char* text, const Extent* extent, uint32_t hash,
                          const NameSpan* name) except -4 nogil
    cdef int32_t by_patterns(self, const char* text, const Extent* extent, const NameSpan* name,
                             int32_t own) except -4
    cdef size_t renamed(self, Op op, double x, const char* name, size_t n) except? 0 nogil
    cdef int room_for_text(self, size_t n) except -1 nogil
    cdef int walk_lines(self, Block block, const Row* rows, size_t n, bint changes, bint learns) except -1 nogil
    cdef float value_of(self, int32_t rule, uint32_t hash, float x, bint learns) except? -1e30 nogil
    cdef int change_lines(self, Block block, const Row* rows, size_t n) except -1 nogil
    cdef int change_back(self, Block block, const Row* rows, size_t n, bint learns) except -1 nogil
