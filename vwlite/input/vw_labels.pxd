"""Labels in Vowpal Wabbit's JSON: the keys that begin with `_label`, their values, and the rows they belong to."""
from libc.stdint cimport uint32_t, uint64_t, uint8_t

from vwlite.core.reasons cimport Reason
from vwlite.input.heads cimport Head
from vwlite.input.members cimport Members
from vwlite.input.vw_rows cimport Assembly

cdef enum Part:
    # of a label
    HAS_LABEL = 1
    HAS_WEIGHT = 2
    HAS_INITIAL = 4
    HAS_COST = 8
    HAS_PROBABILITY = 16
    HAS_ACTION = 32
    HAS_WORDS = 64

cdef struct OpenKey:
    # a key of an object that has not ended
    uint64_t beginning                # its first 8 bytes
    uint32_t at, n

cdef struct Scope:
    # of an object
    size_t first                      # of its keys among the open ones
    uint32_t serial                   # of its keys in the hash table; 0: they are few, and not there

cdef struct Label:
    uint32_t given                    # Parts
    double label, weight, initial, cost, probability, action
    size_t words, n_words             # in the text
    size_t at                         # place of the first part

cdef class Labels(Members):
    cdef Assembly assembly
    cdef Head head
    cdef bint decisions               # multi-line examples
    cdef bint writable                # refuse what text can't represent
    cdef OpenKey* open                # keys of the objects around the place that is read
    cdef size_t n_open, open_capacity
    cdef bint escaped                 # the last key has escapes
    cdef Label whole, own             # of the example; of the current action
    cdef Label* label                 # the one that is read
    cdef bint in_action
    cdef bint indexed                 # there is a _labelIndex
    cdef uint64_t index
    cdef size_t index_at
    cdef size_t label_key(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t read_index(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t read_label(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t read_words(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t set_words(self, size_t at, size_t begin, size_t n) noexcept nogil
    cdef bint set_numbers(self, const uint8_t* text, size_t n) noexcept nogil
    cdef bint set_action(self, const float* values) noexcept nogil
    cdef size_t key(self, size_t at, Scope* scope, size_t* key, size_t* n) except? 0xFFFFFFFF nogil
    cdef int meet_long(self, Scope* scope, size_t at, size_t n) except -1 nogil
    cdef int note_key(self, uint64_t beginning, size_t at, size_t n) except -1 nogil
    cdef int meet_many(self, Scope* scope, size_t at, size_t n) except -1 nogil
    cdef size_t read_parts(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t read_part(self, const uint8_t* name, size_t n, size_t at) except? 0xFFFFFFFF nogil
    cdef int apply(self, Label* label, size_t row, size_t number) except -1 nogil
    cdef int apply_cost(self, Label* label, size_t row, size_t number) except -1 nogil
    cdef int apply_whole(self, size_t n, bint learned, bint enveloped) except -1 nogil

cdef inline size_t behind_blanks(Labels members, size_t at) noexcept nogil:
    """The position of the next character that is no blank; most often there is none."""
    return at if members.text[at] > 32 else members.blanks(at)

cdef bint is_word(const uint8_t* text, size_t n, const char* word, size_t length) noexcept nogil
