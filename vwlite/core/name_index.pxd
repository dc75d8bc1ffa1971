"""Name index: a hash table that numbers names in order of appearance.

Design:
a) Names are compared, not only their hashes. A feature without a name is identified by its hash alone.
b) Nothing is allocated per name: the bytes of all names are in one array, and the table uses open addressing.
c) A struct, of which an owner may have an array; zeroed memory is an index without names.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef struct Place:
    uint64_t key                      # a hash of the name
    size_t name                       # offset in `text`
    uint32_t length, number           # of the name; number + 1, 0 is a free place

cdef struct NameIndex:
    uint32_t n                        # names so far
    Place* places                     # a power of two, at most half full
    size_t n_places
    char* text                        # all names
    size_t text_length, text_capacity

# The number of a name, which is added if it is new; without a name (length 0) the hash identifies it.
cdef int64_t number_of(NameIndex* index, const char* name, uint32_t length, uint64_t hash) except -1 nogil
# All names as bytes, in the order of their numbers; of a feature without a name, its hash in decimals.
cdef list names_in(const NameIndex* index)
cdef void free_index(NameIndex* index) noexcept nogil
