"""Where a learner with a posterior keeps its numbers: a small table of coefficients for each entity.

Design:
a) A record is one piece of memory: name, the features' hashes, means, and what the data say about precision: for each
   coefficient (diagonal), or packed by rows (full). So an entity seen for the first time costs one allocation. It grows
   to what it needs, from 129 coefficients on with a sixteenth to spare; the old piece is freed.
b) Precisions are kept without the prior's: zero means nothing learnt, and the prior may be changed later.
c) A record has its own index: the place of a feature in it, found by looking at the place after the last one found,
   then at all hashes four at a time, and from 129 coefficients on in a hash table. Features are 32-bit hashes here as
   everywhere: of n features two are taken for one with a probability of about n^2 / 2^33 (1,000: 0.0001; 10,000: 0.01).
d) Records form a list: oldest first, which is the order in a file, or least recently used first where there is a limit
   (limited.pyx). There a record may leave memory whenever another one is made or brought: keep no pointer over that.
e) The learner of a whole stack has one record, of entity 0.
f) A key is a hash of the entity's name, 64 bits wide, and names are compared: `identify` turns the hash of a name into
   the key of the entity that has this name. An entity whose hash another one has already taken gets a key of its own, a
   function of hash and name alone (BLAKE2b). Names and keys are saved, so an entity keeps its key.
g) A table is `full` if its records begin with a full posterior. One that needs more than `most_full` coefficients goes
   over to a diagonal posterior, which takes the diagonal of its precision (or raises, if the table is `strict`).
h) Records of an anchored table also have an origin for each coefficient: where the coefficient of the fixed part stood
   when the mean was last worked out, UNTOLD if that is not known. together.pyx says what it is for.
i) A full record of more than FACTORED coefficients keeps the Cholesky factor of its precision, the prior's included,
   which one example changes in O(n^2); what depends on the prior is the business of posterior.pyx.
j) A full record of an anchored table may have a Between: between.pxd.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from vwlite.example cimport Example

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

cdef struct Between:
    # origins of features, a column of numbers for each, and their hashes follow
    uint32_t n, capacity              # features
    uint32_t rows, unused             # coefficients of the entity in a column

cdef struct Record:
    # what is state is also in save, load and copy_content of entities.pyx, and in the layout of limited.pyx
    uint64_t key
    Record* newer
    Record* older
    Waiting* waiting                  # the last of a batch that is not full yet
    Between* between                  # of full records, or NULL
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
    int64_t count                     # examples learnt from
    double clock                      # when it was last learnt, where time makes it forget
    double latest                     # when the last example that is learnt or waits was made, if examples say so
    double prior                      # the prior's precision that the means were worked out with
    double spread                     # its part of what the prior's variance is estimated from

cdef class EntityTable:
    cdef readonly bint full, clocked  # clocks are those of diagonal records
    cdef public bint anchored         # to be set before there is a record
    cdef public size_t most_full
    cdef public bint strict
    cdef readonly size_t n_diagonal   # records that went over to a diagonal posterior
    cdef readonly bint limited        # ask bring(key) before find(key)
    cdef Record** slots               # open addressing by key
    cdef size_t mask
    cdef uint64_t salt                # odd, drawn by chance
    cdef readonly size_t count        # records in memory
    cdef Record* oldest
    cdef Record* newest
    cdef readonly size_t bytes        # of all records
    cdef int bring(self, uint64_t key) except -1 nogil
    cdef int identify(self, Example ex) except -1 nogil
    cdef Record* find(self, uint64_t key) noexcept nogil
    cdef Record* make(self, uint64_t key, const char* name, uint32_t name_length, uint32_t capacity) except NULL nogil
    cdef Record* create(self, uint64_t key, const char* name, uint32_t name_length, uint32_t capacity, bint full,
                        bint factored) except NULL nogil
    cdef Record* room(self, Record* record, uint32_t capacity) except NULL nogil
    cdef Record* shaped(self, Record* record, uint32_t capacity, bint full, bint factored) except NULL nogil
    cdef uint32_t place(self, Record* record, uint32_t hash) except? 0xFFFFFFFE nogil
    cdef int wait(self, Record* record, Example ex) except -1 nogil
    cdef void forget_waiting(self, Record* record) noexcept nogil
    cdef Record* empty(self, Record* record) except NULL nogil
    cdef void clear(self) noexcept nogil
    cdef void release(self, Record* record) noexcept nogil
    cdef size_t place_of(self, uint64_t key) noexcept nogil
    cdef size_t size(self, Record* record) noexcept nogil
    cdef void let_between_go(self, Record* record) noexcept nogil
    cdef int grow_slots(self) except -1 nogil
    cdef int grow_index(self, Record* record) except -1 nogil

cdef inline size_t home_of(EntityTable table, uint64_t key) noexcept nogil:
    """Where a key is looked for first: nobody knows which names come to lie beside each other."""
    return <size_t>((key * table.salt) >> 20) & table.mask

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
    """Of its Between, 0 if it has none."""
    if record.between == NULL:
        return 0
    return sizeof(Between) + record.between.capacity * (12 + 8 * <size_t>record.between.rows)

cdef inline size_t precisions_in(Record* record) noexcept nogil:
    """How many numbers precisions_of(record) are."""
    return triangle(record.n) if record.full else record.n

cdef inline double* factor_of(Record* record) noexcept nogil:
    """The ridge of the intercept that the factor is of, NOT_MADE if there is no factor yet; then the packed factor."""
    return precisions_of(record) + triangle(record.capacity)

cdef inline double* origins_of(EntityTable table, Record* record) noexcept nogil:
    """Only in tables that are anchored."""
    if record.full:
        return factor_of(record) + (1 + triangle(record.capacity) if record.factored else 0)
    return means_of(record) + (3 if table.clocked else 2) * <size_t>record.capacity

cdef inline size_t factor_in(Record* record) noexcept nogil:
    """How many numbers factor_of(record) are, 0 if no factor was made."""
    return 1 + triangle(record.n) if record.factored and factor_of(record)[0] >= 0 else 0

cdef uint32_t search(Record* record, uint32_t hash) noexcept nogil

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
