"""Where a learner with a posterior keeps its numbers: a small table of coefficients for each entity.

Design:
a) A record is one piece of memory: name, the features' hashes, means, and what the data say about precision: for each
   coefficient (diagonal), or packed by rows (full). So an entity seen for the first time costs one allocation. It grows
   to what it needs, from 129 coefficients on with a sixteenth to spare; the old piece is freed.
b) Precisions are kept without the prior's: zero means nothing learned, and the prior may be changed later.
c) Features are 32-bit hashes here as everywhere: of n features two are taken for one with a probability of about
   n^2 / 2^33 (1,000: 0.0001; 10,000: 0.01).
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
j) A full record of an anchored table may have a CrossPrecision: cross_precision.pxd.
k) A full record of an informed table has the data's information vector b. With E the precision that data give, the
   mean under a prior N(c, P^-1) is  (E + P)^-1 (b + P c).  So P and c may change between examples, again and again, and
   the mean depends on those of now only. Worked out from the mean, b would keep a residual of each earlier prior, which
   a weaker one magnifies where data say nothing. The first number is UNTOLD in records of models that have none.
"""
from libc.stdint cimport uint32_t, uint64_t

from vwlite.core.example cimport Example
from vwlite.entities.record cimport Record, factor_of, means_of, triangle

cdef class EntityTable:
    cdef readonly bint full, clocked  # clocks are those of diagonal records
    cdef public bint anchored         # to be set before there is a record, as the next one
    cdef public bint informed
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

cdef inline double* origins_of(EntityTable table, Record* record) noexcept nogil:
    """Only in tables that are anchored."""
    if record.full:
        return factor_of(record) + (1 + triangle(record.capacity) if record.factored else 0)
    return means_of(record) + (3 if table.clocked else 2) * <size_t>record.capacity

cdef inline double* information_of(EntityTable table, Record* record) noexcept nogil:
    """The data's information vector; only of full records in tables that are informed."""
    return origins_of(table, record) + (record.capacity if table.anchored else 0)
