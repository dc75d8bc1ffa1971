"""Record of an EntityTable: the posterior of one entity's coefficients, in one allocation.

The record is followed by the name, the means, and the data's precision; table.pxd has the design notes. The features'
hashes are elsewhere, often shared with other records. Lookup of a feature tries the index after the last one found,
then all hashes four at a time, and with a capacity of more than 128 coefficients a hash table.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    ABSENT = 0xFFFFFFFF
    MOST = 1 << 28                    # coefficients of one entity
    MOST_FULL = 1 << 15               # with a full posterior: 8 GB
    FEW = 128                         # capacity up to which lookup is a linear search
    FACTORED = 64                     # coefficients beyond which a full posterior stores its factor

cdef enum:
    UNCOUNTED = -1                    # degrees of freedom in models that lack them

cdef double UNTOLD                    # an unknown origin; no coefficient is as large

cdef struct Waiting:
    # a pending example of a batch; its features follow
    Waiting* before
    double label, weight, initial
    uint32_t n

cdef struct CrossPrecision:
    # origins of features, a column of numbers for each, and their hashes follow
    uint32_t n, capacity              # features
    uint32_t rows, unused             # coefficients of the entity in a column

cdef struct Record:
    # saved fields are also in save and load of table_io.pyx, copy_content of table.pyx, and the format of limited.pyx
    uint64_t key
    Record* newer
    Record* older
    uint32_t* hashes                  # of its features, those of a Sequence (table.pxd) unless `own`
    Waiting* waiting                  # newest pending example of a batch that is not full yet
    CrossPrecision* between           # of full records, or NULL
    uint32_t n, capacity              # coefficients
    uint32_t n_waiting
    uint32_t name_length
    uint8_t changed                   # with a limit: since it was last written to disk
    uint8_t full                      # the precision is a matrix
    uint8_t factored                  # it has memory for its Cholesky factor
    uint8_t own                       # its hashes are its own, beyond FEW with an index
    uint64_t serial                   # with a limit, or several threads: number of the entity by first example
    int64_t count                     # examples learned
    double clock                      # with forgetting: time of the last update
    double latest                     # with timestamps: time of the last example, learned or pending
    double prior                      # prior precision with which the means were computed
    double spread, dof                # its contribution to the estimate of the prior variance, see bayes/spread.pyx

cdef inline char* name_of(Record* record) noexcept nogil:
    return <char*>(record + 1)

cdef inline uint32_t* hashes_of(Record* record) noexcept nogil:
    return record.hashes

cdef inline double* means_of(Record* record) noexcept nogil:
    return <double*>(<char*>(record + 1) + ((record.name_length + 7) & ~<uint32_t>7))

cdef inline double* precisions_of(Record* record) noexcept nogil:
    """The data's precision: one number for each coefficient, or the packed lower triangle."""
    return means_of(record) + record.capacity

cdef inline double* clocks_of(Record* record) noexcept nogil:
    """Time of the last forgetting of each coefficient; only in diagonal records of clocked tables."""
    return means_of(record) + 2 * <size_t>record.capacity

cdef inline size_t triangle(size_t n) noexcept nogil:
    """Size of a packed symmetric matrix."""
    return n * (n + 1) // 2

cdef inline size_t bytes_between(Record* record) noexcept nogil:
    """Bytes of its CrossPrecision, 0 if it has none."""
    if record.between == NULL:
        return 0
    return sizeof(CrossPrecision) + record.between.capacity * (12 + 8 * <size_t>record.between.rows)

cdef inline size_t precisions_in(Record* record) noexcept nogil:
    """Number of elements of precisions_of(record)."""
    return triangle(record.n) if record.full else record.n

cdef inline double* factor_of(Record* record) noexcept nogil:
    """The intercept's ridge of the Cholesky factor, NOT_MADE if it isn't computed yet; then the packed factor."""
    return precisions_of(record) + triangle(record.capacity)

cdef inline size_t factor_in(Record* record) noexcept nogil:
    """Number of elements of factor_of(record), 0 if no factor was computed."""
    return 1 + triangle(record.n) if record.factored and factor_of(record)[0] >= 0 else 0

cdef inline bint is_wide(uint32_t capacity) noexcept nogil:
    """Whether an index has 32 bits for each place, not 16."""
    return capacity >= 0xFFFF

cdef inline uint32_t index_size(uint32_t capacity) noexcept nogil:
    """Size of an index: a hash table of places + 1, after the hashes, with a load factor of at most 2/3 or 1/2."""
    return 2 * capacity if is_wide(capacity) else 3 * capacity // 2 + 1

cdef inline size_t size_of_hashes(uint32_t capacity) noexcept nogil:
    """Bytes of a record's own hashes, with the index."""
    cdef size_t index = <size_t>index_size(capacity) * (4 if is_wide(capacity) else 2) if capacity > FEW else 0
    return 4 * <size_t>capacity + index

cdef uint32_t search(Record* record, uint32_t hash) noexcept nogil
cdef void index_place(Record* record, uint32_t place) noexcept nogil

cdef inline uint32_t home_in(Record* record, uint32_t hash) noexcept nogil:
    """Home slot of a hash. Hashes of numeric names are consecutive numbers, so they are mixed."""
    return <uint32_t>((<uint64_t>(hash * <uint32_t>0x9E3779B1) * index_size(record.capacity)) >> 32)

cdef inline uint32_t lookup(Record* record, uint32_t hash, uint32_t guess) noexcept nogil:
    """Index of a feature's coefficient, ABSENT if it has none; tries `guess` first."""
    if guess < record.n and hashes_of(record)[guess] == hash:
        return guess
    return search(record, hash)

cdef inline uint32_t track(Record* record, uint32_t hash, uint32_t* guesses) noexcept nogil:
    """lookup() for features that repeatedly occur in nearly the order of the record.

    `guesses` are the indices after the last one found and after the one before a jump.
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
