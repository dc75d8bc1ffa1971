"""Labels in Vowpal Wabbit's JSON: the keys that begin with `_label`, their values, and the rows they belong to."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from vwlite.core.reasons cimport FINE, JSON_SYNTAX, JSON_TWICE, Reason
from vwlite.input.heads cimport Head
from vwlite.input.json_text cimport JsonText
from vwlite.input.vw_rows cimport Assembly

cdef extern from "vwlite/core/json_text.h" nogil:
    const uint8_t* vwl_string_stop(const uint8_t* p)

cdef enum:
    FEW = 16                          # keys of an object that are compared one by one

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

cdef class Labels(JsonText):
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

cdef inline uint64_t first_bytes(const uint8_t* text, size_t n) noexcept nogil:
    """The first 8 bytes of a text as a number; 0 for those it doesn't have."""
    cdef uint64_t found
    memcpy(&found, text, 8)
    return found if n >= 8 else found & ((<uint64_t>1 << 8 * n) - 1)

cdef inline size_t read_key(Labels members, size_t at, Scope* scope, size_t* key, size_t* n) \
        except? 0xFFFFFFFF nogil:
    """Read a key of an object, and the colon; returns the position of the value."""
    cdef uint8_t* text = members.text
    cdef const uint8_t* stop
    cdef uint64_t beginning
    cdef size_t i
    if text[at] != b'"':
        return members.fail(JSON_SYNTAX, at)
    at += 1
    key[0] = at
    stop = vwl_string_stop(text + at)
    members.escaped = stop[0] != b'"'
    if members.escaped:
        at = members.string(at - 1, n)
        if members.reason != FINE:
            return members.end
    else:
        n[0] = stop - text - at
        at += n[0] + 1
    if members.n_open - scope.first < FEW and n[0] <= 8 and members.n_open < members.open_capacity:
        beginning = first_bytes(text + key[0], n[0])
        for i in range(scope.first, members.n_open):
            if members.open[i].beginning == beginning and members.open[i].n == n[0]:
                return members.fail(JSON_TWICE, key[0])
        members.open[members.n_open].beginning = beginning
        members.open[members.n_open].at, members.open[members.n_open].n = <uint32_t>key[0], <uint32_t>n[0]
        members.n_open += 1
    else:
        members.meet_long(scope, key[0], n[0])
    if text[at] != b":":
        at = members.blanks(at)
        if text[at] != b":":
            return members.fail(JSON_SYNTAX, at)
    return behind_blanks(members, at + 1)

cdef bint is_word(const uint8_t* text, size_t n, const char* word, size_t length) noexcept nogil
