"""Entity table: a record of coefficients for each entity of a learner with a posterior.

Design:
a) A record is one allocation: name, means, and the data's precision, for each coefficient (diagonal) or packed by rows
   (full). So a new entity costs one allocation. It is reallocated as it grows, from 129 coefficients on with a
   sixteenth of spare capacity.
   Most entities get the same features in the same order, so their hashes are in memory once: a record has the first n
   hashes of a Sequence, which never moves and only grows at its end. A record of more than FEW coefficients, or with a
   feature that continues no sequence, gets hashes of its own. A vote among the latter (Boyer and Moore 1991) finds the
   next sequence: one of a few percent of the entities hardly ever wins it.
b) Precisions are stored without the prior's: zero means no data, and the prior may change later.
c) Features are 32-bit hashes here as everywhere: the probability of a collision among n features is about n^2 / 2^33
   (1,000: 0.0001; 10,000: 0.01).
d) Records form a list: oldest first, which is the order in a file, or with a limit least recently used first (LRU,
   limited.pyx). With a limit, a record may be evicted whenever another one is created or loaded: hold no pointer then.
e) The learner of a whole stack has one record, of entity 0.
f) A key is a 64-bit hash of the entity's name, and names are compared: `identify` replaces the hash of a name by the
   key of the entity with this name. If the hash is already the key of another entity, the key is a function of hash and
   name (BLAKE2b). Names and keys are saved, so an entity keeps its key.
g) A table is `full` if its records begin with a full posterior. A record that needs more than `most_full` coefficients
   becomes diagonal, with the diagonal of its precision (or raises, if the table is `strict`).
h) Records of an anchored table also have an origin for each coefficient: the fixed part's coefficient at the time when
   the mean was computed, UNTOLD if not known. together.pxd uses it.
i) A full record of more than FACTORED coefficients stores the Cholesky factor of its precision with the prior's; one
   example updates it in O(n^2). posterior.pyx handles changes of the prior.
j) A full record of an anchored table may have a CrossPrecision: cross_precision.pxd.
k) A full record of an informed table has the data's information vector b. With E the precision that data give, the
   mean under a prior N(c, P^-1) is  (E + P)^-1 (b + P c).  So P and c may change between examples, again and again, and
   the mean depends on those of now only. Worked out from the mean, b would keep a residual of each earlier prior, which
   a weaker one magnifies where data say nothing. The first number is UNTOLD in records of models that have none.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Example
from vwlite.entities.record cimport FEW, Record, factor_of, means_of, triangle

cdef enum:
    MOST_SEQUENCES = 8

cdef struct Sequence:
    uint32_t n
    uint32_t[FEW] hashes

cdef class EntityTable:
    cdef readonly bint full, clocked  # clocked: diagonal records have clocks
    cdef public bint anchored         # set before the first record
    cdef public bint informed         # set before the first record
    cdef public size_t most_full
    cdef public bint strict
    cdef readonly size_t n_diagonal   # number of records that became diagonal
    cdef readonly bint limited        # call bring(key) before find(key)
    cdef uint64_t* slots              # hash table (open addressing) by key: a tag and a pointer, 0 for a free slot
    cdef size_t mask
    cdef Sequence[MOST_SEQUENCES] sequences       # of hashes that records share; after these the vote's candidate
    cdef size_t n_sequences, votes
    cdef uint64_t last_key            # the last find(), which is often repeated for an example
    cdef Record* last
    cdef bint has_last
    cdef uint64_t salt                # odd and random
    cdef readonly size_t count        # records in memory
    cdef uint64_t serial              # of records that are created, unless it is limited; see dealing.pxd
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
    cdef void put(self, Record* record) noexcept nogil
    cdef size_t size(self, Record* record) noexcept nogil
    cdef void let_between_go(self, Record* record) noexcept nogil
    cdef int grow_slots(self) except -1 nogil
    cdef void share_hashes(self, Record* record) noexcept nogil
    cdef int append_hash(self, Record* record, uint32_t hash) except -1 nogil
    cdef Sequence* sequence_for(self, Record* record, uint32_t hash) noexcept nogil

cdef uint64_t other_key(uint64_t hash, bytes name, uint32_t tries) except? 0
cdef int own_hashes(Record* record) except -1 nogil

cdef inline bint continues(Record* record, size_t n, uint32_t hash) noexcept nogil:
    """Whether this hash is the n-th of the record's sequence, n >= record.n: then it is new to the record."""
    return not record.own and n < (<Sequence*>(record.hashes - 1)).n and record.hashes[n] == hash

cdef inline uint64_t tag_of(EntityTable table, uint64_t key) noexcept nogil:
    """Highest 16 bits of a slot: those of the mixed key that its home does not depend on. No pointer has them, and most
    other keys are told apart by them, without a look at their record."""
    return (key * table.salt) >> 48 << 48


cdef inline Record* record_in(uint64_t slot) noexcept nogil:
    return <Record*><size_t>(slot << 16 >> 16)


cdef inline size_t home_of(EntityTable table, uint64_t key) noexcept nogil:
    """Home slot of a key, with a random salt, so that no client can choose names that collide."""
    return <size_t>((key * table.salt) >> 20) & table.mask

cdef inline double* origins_of(EntityTable table, Record* record) noexcept nogil:
    """Origins of the coefficients; only in anchored tables."""
    if record.full:
        return factor_of(record) + (1 + triangle(record.capacity) if record.factored else 0)
    return means_of(record) + (3 if table.clocked else 2) * <size_t>record.capacity

cdef inline double* information_of(EntityTable table, Record* record) noexcept nogil:
    """The data's information vector; only of full records in tables that are informed."""
    return origins_of(table, record) + (record.capacity if table.anchored else 0)
