"""Cross-precision block between an entity's coefficients and those of features that only the fixed part has.

Design:
a) With x_e the features that the entity has coefficients of, and x_o the other ones of the fixed part, the examples of
   the entity give  G = sum c x_e x_o',  a block of the precision of all coefficients, like E = sum c x_e x_e'
   (together.pxd uses both). Without it, the variance of a feature that is constant within an entity, such as a user's
   age, would be as small as if each example were of another user.
b) Only full posteriors with a full fixed part have one, for at most MOST_OTHERS features, the first that occur: if an
   entity has more of them, they are seldom all constant.
c) It is allocated separately; the record points to it. For each feature it has a column of G and an origin: the fixed
   part's coefficient at the time when the entity's mean was computed.
"""
from libc.stdint cimport uint32_t

from vwlite.entities.record cimport CrossPrecision, Record

cdef enum:
    MOST_OTHERS = 128

cdef int add_other(size_t* bytes, Record* record, uint32_t hash, double origin, size_t more) except -1 nogil
cdef int make_between(size_t* bytes, Record* record, uint32_t capacity) except -1 nogil
cdef int copy_between(size_t* bytes, Record* to, Record* record) except -1 nogil
cdef char* put_columns(char* to, Record* record) noexcept nogil
cdef bint take_between(size_t* bytes, Record* record, uint32_t n, const void* hashes, const void* origins,
                       const void* columns) except -1 nogil

cdef inline double* other_origins(CrossPrecision* between) noexcept nogil:
    """Origin of each feature."""
    return <double*>(between + 1)

cdef inline double* other_column(CrossPrecision* between, size_t j) noexcept nogil:
    """Column of a feature: `rows` numbers, one for each coefficient of the entity; missing ones are 0."""
    return <double*>(between + 1) + between.capacity + j * between.rows

cdef inline uint32_t* other_hashes(CrossPrecision* between) noexcept nogil:
    """Hash of each feature."""
    return <uint32_t*>other_column(between, between.capacity)

cdef inline uint32_t other_place(CrossPrecision* between, uint32_t hash, uint32_t guess) noexcept nogil:
    """Index of the feature with this hash, `between.n` if none; tries `guess` first."""
    cdef uint32_t j
    if guess < between.n and other_hashes(between)[guess] == hash:
        return guess
    for j in range(between.n):
        if other_hashes(between)[j] == hash:
            return j
    return between.n
