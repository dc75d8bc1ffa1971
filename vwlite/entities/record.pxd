"""A record of an EntityTable: what is known of the coefficients of one entity, in one piece of memory.

The record is followed by the name, the features' hashes, the means, and what data say about precision; table.pxd
says more. It has an index of its own: the place of a feature in it is found by looking at the place after the last one
found, then at all hashes four at a time, and from 129 coefficients on in a hash table.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    ABSENT = 0xFFFFFFFF
    MOST = 1 << 28                    # coefficients of one entity
    MOST_FULL = 1 << 15               # with a full posterior: 8 GB
    FACTORED = 64                     # coefficients beyond which a full posterior keeps its factor

cdef double UNTOLD                    # an origin; no coefficient is ever so large

cdef struct Waiting:
    # an example that waits for its batch: features follow
    Waiting* before
    double label, weight, initial
    uint32_t n

cdef struct CrossPrecision:
    # origins of features, a column of numbers for each, and their hashes follow
    uint32_t n, capacity              # features
    uint32_t rows, unused             # coefficients of the entity in a column

cdef struct Record:
    # what is state is also in save, load and copy_content of table.pyx, and in the layout of limited.pyx
    uint64_t key
    Record* newer
    Record* older
    Waiting* waiting                  # the last of a batch that is not full yet
    CrossPrecision* between                  # of full records, or NULL
    void* index                       # hash table of places + 1 (uint16_t, or uint32_t if `wide`), beyond FEW
    uint32_t index_size
    uint32_t n, capacity              # coefficients
    uint32_t n_waiting
    uint32_t name_length
    uint8_t changed                   # since it was last written to disk, where there is a limit
    uint8_t full                      # the precision is a matrix
    uint8_t factored                  # there is room for its factor
    uint8_t wide
    uint64_t serial                   # which entity it was to be met, where there is a limit
    int64_t count                     # examples learned from
    double clock                      # when it was last learned, where time makes it forget
    double latest                     # when the last example that is learned or waits was made, if examples say so
    double prior                      # the prior's precision that the means were worked out with
    double spread                     # its part of what the prior's variance is estimated from

cdef inline char* name_of(Record* record) noexcept nogil:
    return <char*>(record + 1)

cdef inline uint32_t* hashes_of(Record* record) noexcept nogil:
    return <uint32_t*>(<char*>(record + 1) + ((record.name_length + 7) & ~<uint32_t>7))

cdef inline double* means_of(Record* record) noexcept nogil:
    return <double*>(hashes_of(record) + record.capacity)      # capacities are even

cdef inline double* precisions_of(Record* record) noexcept nogil:
    """What data say about precision: one number a coefficient, or the packed lower triangle."""
    return means_of(record) + record.capacity

cdef inline double* clocks_of(Record* record) noexcept nogil:
    """When a coefficient was last brought up to date; only in diagonal records of tables that are clocked."""
    return means_of(record) + 2 * <size_t>record.capacity

cdef inline size_t triangle(size_t n) noexcept nogil:
    """How many numbers a symmetric matrix packed by rows has."""
    return n * (n + 1) // 2

cdef inline size_t bytes_between(Record* record) noexcept nogil:
    """Of its CrossPrecision, 0 if it has none."""
    if record.between == NULL:
        return 0
    return sizeof(CrossPrecision) + record.between.capacity * (12 + 8 * <size_t>record.between.rows)

cdef inline size_t precisions_in(Record* record) noexcept nogil:
    """How many numbers precisions_of(record) are."""
    return triangle(record.n) if record.full else record.n

cdef inline double* factor_of(Record* record) noexcept nogil:
    """The ridge of the intercept that the factor is of, NOT_MADE if there is no factor yet; then the packed factor."""
    return precisions_of(record) + triangle(record.capacity)

cdef inline size_t factor_in(Record* record) noexcept nogil:
    """How many numbers factor_of(record) are, 0 if no factor was made."""
    return 1 + triangle(record.n) if record.factored and factor_of(record)[0] >= 0 else 0

cdef uint32_t search(Record* record, uint32_t hash) noexcept nogil
cdef void index_place(Record* record, uint32_t place) noexcept nogil

cdef inline uint32_t home_in(Record* record, uint32_t hash) noexcept nogil:
    """Where a hash is looked for first. Those of numeric names are numbers in a row."""
    return <uint32_t>((<uint64_t>(hash * <uint32_t>0x9E3779B1) * record.index_size) >> 32)

cdef inline uint32_t lookup(Record* record, uint32_t hash, uint32_t guess) noexcept nogil:
    """The place of a feature's coefficient, ABSENT if it has none; `guess` is looked at first."""
    if guess < record.n and hashes_of(record)[guess] == hash:
        return guess
    return search(record, hash)

cdef inline uint32_t track(Record* record, uint32_t hash, uint32_t* guesses) noexcept nogil:
    """lookup() for features that come in nearly the order of the record, again and again.

    `guesses` are the places behind the one found last and behind the one before a jump.
    """
    cdef uint32_t place = guesses[0]
    if not (place < record.n and hashes_of(record)[place] == hash):
        place = guesses[1]
        if not (place < record.n and hashes_of(record)[place] == hash):
            place = search(record, hash)
            if place == ABSENT:
                return ABSENT
        guesses[1] = guesses[0]
    guesses[0] = place + 1
    return place
