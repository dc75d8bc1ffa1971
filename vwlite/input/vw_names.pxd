"""Names in Vowpal Wabbit's JSON: what may be in them, and how they are hashed."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.hashing cimport hash_all
from vwlite.input.naming cimport hash_name
from vwlite.input.rows cimport Space
from vwlite.input.vw_labels cimport Labels

cdef enum Sign:
    # of a character that separates words in VW's text
    SEPARATES = 1
    ENDS = 2
    MARKS = 4

cdef enum:
    KNOWN = 64                        # namespaces that are remembered

cdef struct KnownSpace:
    # a namespace with a name of at most 8 bytes
    uint64_t beginning                # the name; 0: none
    Space space

cdef class Names(Labels):
    cdef KnownSpace[KNOWN] known
    cdef size_t read_tag(self, size_t at) except? 0xFFFFFFFF nogil
    cdef size_t read_text(self, size_t at, const Space* space) except? 0xFFFFFFFF nogil
    cdef size_t entity_value(self, size_t key, size_t n, size_t at, const Space* space) except? 0xFFFFFFFF nogil
    cdef size_t put_decimal(self, size_t begin, size_t end, size_t to) except? 0xFFFFFFFF
    cdef int space_of(self, size_t key, size_t n, Space* space) except -1 nogil
    cdef bint clean_name(self, size_t at, size_t n, bint tag) noexcept nogil
    cdef int put_feature(self, size_t at, size_t n, const Space* space) except -1 nogil

cdef inline bint separates(uint8_t c) noexcept nogil:
    """Whether a character separates words in VW's text."""
    return c <= 32 and (c == 32 or c == 9 or c == 10 or c == 13 or c == 0) or c == 58 or c == 124

cdef inline uint32_t hash_in(Labels members, size_t at, size_t n, uint32_t space) noexcept nogil:
    """The hash of a name in the text; without a name that of the first feature that has none."""
    cdef const uint8_t* name = members.text + at
    if n == 0:
        return space
    if name[0] > 57 and name[n - 1] > 32:          # no number
        return hash_all(name, n, space)
    return hash_name(members.rows.naming, name, n, space)
