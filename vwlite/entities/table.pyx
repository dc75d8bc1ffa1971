"""Entity tables. Design notes are in table.pxd."""
import os

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.example cimport Feature
from vwlite.entities.cross_precision cimport copy_between
from vwlite.entities.record cimport (
    FACTORED, FEW, MOST, MOST_FULL, UNTOLD, Record, Waiting, bytes_between, clocks_of, factor_in, factor_of, hashes_of,
    index_place, means_of, name_of, precisions_in, precisions_of, size_of_hashes, triangle,
)

cdef extern from "vwlite/entities/table.h" nogil:
    void vwl_prefetch(const void* place)

cdef enum:
    AHEAD = 16                        # records between prefetch and use
    ELECTED = 8                       # votes by which a sequence is elected
    SPARE = 16                        # larger records have 1/16 of spare capacity

cdef double NOT_MADE = -1             # a factor that is not computed


cdef inline size_t size_of(EntityTable table, uint32_t name_length, size_t capacity, bint full,
                           bint factored) noexcept nogil:
    """Bytes of a record without its hashes."""
    cdef size_t doubles = 2 * capacity if table.anchored else capacity
    if full:
        doubles += triangle(capacity) * (1 + factored) + factored + (capacity if table.informed else 0)
    else:
        doubles += 2 * capacity if table.clocked else capacity
    return sizeof(Record) + ((name_length + 7) & ~<size_t>7) + 8 * doubles


cdef uint64_t other_key(uint64_t hash, bytes name, uint32_t tries) except? 0:
    """Key of an entity whose hash collides: a cryptographic hash (BLAKE2b), for which no client can find collisions."""
    from hashlib import blake2b
    digest = blake2b(name, digest_size=8, key=hash.to_bytes(8, "little"), salt=tries.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little")


cdef class EntityTable:
    """Entity table: records by key; `full` has full precision matrices, `clocked` a clock for each coefficient."""

    def __cinit__(self, bint full, bint clocked):
        self.full = full
        self.clocked = clocked
        self.most_full = MOST_FULL
        self.salt = int.from_bytes(os.urandom(8), "little") | 1
        self.mask = 63
        self.slots = <uint64_t*>calloc(self.mask + 1, sizeof(uint64_t))
        self.n_sequences = 1
        if self.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.slots != NULL:
            self.clear()
        free(self.slots)

    cdef void clear(self) noexcept nogil:
        """Remove and free all records."""
        cdef Record* record = self.oldest
        cdef Record* newer
        while record != NULL:
            newer = record.newer
            self.release(record)
            record = newer
        self.oldest = self.newest = NULL
        memset(self.slots, 0, (self.mask + 1) * sizeof(uint64_t))

    cdef void release(self, Record* record) noexcept nogil:
        """Free a record; the caller removes all pointers to it."""
        self.has_last = False
        self.count -= 1
        self.bytes -= self.size(record)
        self.forget_waiting(record)
        self.let_between_go(record)
        self.share_hashes(record)
        free(record)

    cdef size_t size(self, Record* record) noexcept nogil:
        """Bytes of a record with its own hashes, without its CrossPrecision."""
        return (size_of(self, record.name_length, record.capacity, record.full, record.factored)
                + (size_of_hashes(record.capacity) if record.own else 0))

    cdef void let_between_go(self, Record* record) noexcept nogil:
        """Free the record's CrossPrecision."""
        self.bytes -= bytes_between(record)
        free(record.between)
        record.between = NULL

    cdef size_t place_of(self, uint64_t key) noexcept nogil:
        """Slot of a key's record, or the free slot for it."""
        cdef size_t i = home_of(self, key)
        cdef uint64_t tag = tag_of(self, key)
        while self.slots[i] and not (self.slots[i] >> 48 << 48 == tag and record_in(self.slots[i]).key == key):
            i = (i + 1) & self.mask
        return i

    cdef void put(self, Record* record) noexcept nogil:
        """Set the slot of a record, which is new or has moved."""
        self.slots[self.place_of(record.key)] = tag_of(self, record.key) | <size_t>record
        self.last_key, self.last, self.has_last = record.key, record, True

    cdef int bring(self, uint64_t key) except -1 nogil:
        """Load an entity's record into memory, if it exists; without a limit it always is there."""
        return 0

    cdef int identify(self, Example ex) except -1 nogil:
        """Replace ex.entity, a hash of the entity's name, by its key: the hash, unless another entity has that.

        Returns 1 if it has a record, 0 if not.
        """
        cdef uint64_t hash = ex.entity
        cdef uint32_t tries = 0
        cdef Record* record
        while True:
            if self.limited:
                self.bring(ex.entity)
            record = self.find(ex.entity)
            if record == NULL:
                return 0
            # a stripped model has no names, and goes by the hash alone
            if record.name_length == 0 or (
                    record.name_length == ex.entity_name_length
                    and memcmp(name_of(record), ex.entity_name, record.name_length) == 0):
                return 1
            tries += 1
            with gil:
                ex.entity = other_key(hash, ex.entity_name[:ex.entity_name_length], tries)

    cdef Record* find(self, uint64_t key) noexcept nogil:
        """Record of an entity, NULL if there is none."""
        if not (self.has_last and key == self.last_key):
            self.last_key, self.last, self.has_last = key, record_in(self.slots[self.place_of(key)]), True
        return self.last

    cdef Record* make(self, uint64_t key, const char* name, uint32_t name_length, uint32_t capacity) except NULL nogil:
        """Create an empty record; the key must be new."""
        return self.create(key, name, name_length, min(capacity, <uint32_t>FACTORED) if self.full else capacity,
                           self.full, False)

    cdef Record* create(self, uint64_t key, const char* name, uint32_t name_length, uint32_t capacity, bint full,
                        bint factored) except NULL nogil:
        cdef size_t size
        cdef Record* record
        if 2 * (self.count + 1) > self.mask:
            self.grow_slots()
        capacity = max(1, capacity)
        size = size_of(self, name_length, capacity, full, factored)
        record = allocate(self, size, capacity, full)
        memset(record, 0, sizeof(Record))
        record.key, record.serial = key, self.serial
        record.capacity = capacity
        record.full, record.factored = full, factored
        record.name_length = name_length
        memcpy(name_of(record), name, name_length)
        self.share_hashes(record)
        if factored:
            factor_of(record)[0] = NOT_MADE
        record.older = self.newest
        if self.newest != NULL:
            self.newest.newer = record
        else:
            self.oldest = record
        self.newest = record
        self.put(record)
        self.count += 1
        self.bytes += size
        return record

    cdef int grow_slots(self) except -1 nogil:
        cdef size_t mask = 2 * self.mask + 1
        cdef uint64_t* slots = <uint64_t*>calloc(mask + 1, sizeof(uint64_t))
        cdef Record* record = self.oldest
        cdef Record* later = record
        if slots == NULL:
            with gil:
                raise MemoryError(f"no memory for more than {self.count:,} entities")
        free(self.slots)
        self.slots = slots
        self.mask = mask
        for _ in range(AHEAD):
            later = later.newer if later != NULL else NULL
        while record != NULL:
            if later != NULL:
                vwl_prefetch(&slots[home_of(self, later.key)])
                later = later.newer
            self.put(record)
            record = record.newer
        return 0

    cdef Record* room(self, Record* record, uint32_t n) except NULL nogil:
        """Ensure capacity for n coefficients; the record may be reallocated, and may become diagonal."""
        cdef bint full = record.full and n <= self.most_full
        if record.full and not full:
            if self.strict:
                with gil:
                    raise MemoryError(f"{n:,} coefficients of a full posterior, and --posterior_full is "
                                      f"{self.most_full:,}: raise it, or choose --posterior auto or diagonal")
            self.n_diagonal += 1
        return self.shaped(record, n, full, full and (record.factored or n > FACTORED))

    cdef Record* shaped(self, Record* record, uint32_t capacity, bint full, bint factored) except NULL nogil:
        """Reallocate a record for a capacity and kind of posterior; it may move."""
        cdef Record* other
        cdef size_t n = record.n, k
        if capacity <= record.capacity and full == record.full and factored == record.factored:
            return record
        if capacity > record.capacity:
            capacity += capacity // SPARE if capacity > FEW else 0
        capacity = max(1, max(capacity, <uint32_t>n))
        other = allocate(self, size_of(self, record.name_length, capacity, full, factored), capacity, full)
        memcpy(other, record, sizeof(Record) + record.name_length)
        other.capacity, other.full, other.factored = capacity, full, factored
        if record.own:
            own_hashes(other)
        memcpy(means_of(other), means_of(record), n * sizeof(double))
        if full == record.full:
            memcpy(precisions_of(other), precisions_of(record), precisions_in(record) * sizeof(double))
        else:
            for k in range(n):
                precisions_of(other)[k] = precisions_of(record)[triangle(k) + k]
            self.let_between_go(other)
        if self.clocked and not full:
            for k in range(n):
                clocks_of(other)[k] = record.clock if record.full else clocks_of(record)[k]
        if self.anchored:
            memcpy(origins_of(self, other), origins_of(self, record), n * sizeof(double))
        if self.informed and full and record.full:
            memcpy(information_of(self, other), information_of(self, record), n * sizeof(double))
        if factored:
            factor_of(other)[0] = NOT_MADE
            memcpy(factor_of(other), factor_of(record), factor_in(record) * sizeof(double))
        self.bytes += self.size(other) - self.size(record)
        self.slots[self.place_of(record.key)] = tag_of(self, record.key) | <size_t>other
        self.has_last = False
        if other.older != NULL:
            other.older.newer = other
        else:
            self.oldest = other
        if other.newer != NULL:
            other.newer.older = other
        else:
            self.newest = other
        if record.own:
            free(record.hashes)
        free(record)
        return other

    cdef uint32_t place(self, Record* record, uint32_t hash) except? 0xFFFFFFFE nogil:
        """Append a new feature to a record with capacity for it; its coefficient is 0, without data."""
        cdef uint32_t i = record.n
        if not continues(record, i, hash):
            self.append_hash(record, hash)
        means_of(record)[i] = 0
        if record.full:
            memset(precisions_of(record) + triangle(i), 0, (i + 1) * sizeof(double))
        else:
            precisions_of(record)[i] = 0
            if self.clocked:
                clocks_of(record)[i] = record.clock
        if self.anchored:
            origins_of(self, record)[i] = UNTOLD
        if self.informed and record.full:
            information_of(self, record)[i] = 0
        record.n = i + 1
        if record.own and record.capacity > FEW:
            index_place(record, i)
        return i

    cdef void share_hashes(self, Record* record) noexcept nogil:
        """Set the hashes of a record without coefficients: none yet, of the first sequence."""
        if record.own:
            free(record.hashes)
        record.own = False
        record.hashes = self.sequences[0].hashes

    cdef int append_hash(self, Record* record, uint32_t hash) except -1 nogil:
        """Append the hash of a new feature: to those of a sequence, or else to the record's own."""
        cdef Sequence* sequence = self.sequence_for(record, hash) if not record.own else NULL
        if sequence != NULL:
            sequence.n = max(sequence.n, record.n + 1)
            record.hashes = sequence.hashes
        elif not record.own:
            own_hashes(record)
            self.bytes += size_of_hashes(record.capacity)
        record.hashes[record.n] = hash
        return 0

    cdef Sequence* sequence_for(self, Record* record, uint32_t hash) noexcept nogil:
        """Sequence of the record's hashes that can continue with this one; NULL if there is none."""
        cdef uint32_t n = record.n
        cdef size_t i
        cdef Sequence* each
        for i in range(self.n_sequences if n < FEW else 0):
            each = &self.sequences[i]
            if n == each.n or (n < each.n and each.hashes[n] == hash):
                if begins_with(each, record):
                    return each
        if n >= FEW or self.n_sequences == MOST_SEQUENCES:
            return NULL
        each = &self.sequences[self.n_sequences]
        if self.votes == 0:
            memcpy(each.hashes, record.hashes, n * sizeof(uint32_t))
            each.hashes[n] = hash
            each.n = n + 1
        if n + 1 == each.n and each.hashes[n] == hash and begins_with(each, record):
            self.votes += 1
        else:
            self.votes -= 1
        if self.votes < ELECTED:
            return NULL
        self.votes = 0
        self.n_sequences += 1
        return each

    cdef int wait(self, Record* record, Example ex) except -1 nogil:
        """Store a pending example of a batch."""
        cdef Waiting* waiting = <Waiting*>malloc(sizeof(Waiting) + ex.n * sizeof(Feature))
        if waiting == NULL:
            with gil:
                raise MemoryError("no memory for more pending examples of batches: use a smaller --batch_size")
        waiting.before = record.waiting
        waiting.label, waiting.weight, waiting.initial = ex.label, ex.weight, ex.initial
        waiting.n = <uint32_t>ex.n
        memcpy(waiting + 1, ex.features, ex.n * sizeof(Feature))
        record.waiting = waiting
        record.n_waiting += 1
        return 0

    cdef void forget_waiting(self, Record* record) noexcept nogil:
        cdef Waiting* before
        while record.waiting != NULL:
            before = record.waiting.before
            free(record.waiting)
            record.waiting = before
        record.n_waiting = 0

    cdef Record* empty(self, Record* record) except NULL nogil:
        """Remove all coefficients of a record; it may move."""
        self.forget_waiting(record)
        self.let_between_go(record)
        self.bytes -= size_of_hashes(record.capacity) if record.own else 0
        self.share_hashes(record)
        record.n = 0
        record.count = 0
        record.clock = 0
        record.spread = record.dof = 0
        return self.shaped(record, 0 if record.factored or record.full != self.full else record.capacity, self.full,
                           False)

    def keys_as_met(self):
        """Keys of all entities, in the order of their first examples."""
        cdef Record* record = self.oldest
        keys = []
        while record != NULL:
            keys.append(record.key)
            record = record.newer
        return keys

    def copy(self):
        """Copy the table: all records with coefficients."""
        cdef EntityTable other = EntityTable(self.full, self.clocked)
        cdef Record* record = self.oldest
        other.anchored, other.informed = self.anchored, self.informed
        while record != NULL:
            if record.n:
                copy_content(other, other.create(record.key, NULL, 0, record.n, record.full, record.factored), record)
            record = record.newer
        return other

    def restore(self, EntityTable copy not None, double prior):
        """Restore every record from the copy; those not in it are emptied, with this prior. No entity is removed."""
        cdef Record* record = self.oldest
        cdef Record* before
        cdef uint64_t key
        while record != NULL:
            key = record.key
            before = copy.find(key)
            record = self.empty(record)
            record.prior = prior
            if before != NULL:
                record = self.shaped(record, before.n, before.full, before.factored)
                copy_content(self, record, before)
            record = record.newer


cdef int copy_content(EntityTable table, Record* to, Record* record) except -1 nogil:
    """Copy all but name and list links, into an empty record with the capacity."""
    cdef size_t k, n = record.n
    for k in range(n):
        table.place(to, hashes_of(record)[k])
    memcpy(means_of(to), means_of(record), n * sizeof(double))
    memcpy(precisions_of(to), precisions_of(record), precisions_in(record) * sizeof(double))
    memcpy(factor_of(to), factor_of(record), factor_in(record) * sizeof(double))
    if table.clocked and not record.full:
        memcpy(clocks_of(to), clocks_of(record), n * sizeof(double))
    if table.anchored:
        memcpy(origins_of(table, to), origins_of(table, record), n * sizeof(double))
    if table.informed and record.full:
        memcpy(information_of(table, to), information_of(table, record), n * sizeof(double))
    copy_between(&table.bytes, to, record)
    to.count, to.clock, to.latest = record.count, record.clock, record.latest
    to.prior, to.spread, to.dof = record.prior, record.spread, record.dof
    return 0


cdef inline bint begins_with(Sequence* sequence, Record* record) noexcept nogil:
    """Whether a sequence, which is as long, begins with the hashes of a record."""
    return (record.hashes == sequence.hashes
            or memcmp(record.hashes, sequence.hashes, record.n * sizeof(uint32_t)) == 0)


cdef int own_hashes(Record* record) except -1 nogil:
    """Copy a record's hashes to memory of its own, with an index if the capacity is beyond FEW."""
    cdef uint32_t* hashes = <uint32_t*>calloc(1, size_of_hashes(record.capacity))
    cdef uint32_t i
    if hashes == NULL:
        with gil:
            raise MemoryError(f"no memory for the hashes of {record.n:,} coefficients")
    memcpy(hashes, record.hashes, record.n * sizeof(uint32_t))
    record.hashes, record.own = hashes, True
    for i in range(record.n if record.capacity > FEW else 0):
        index_place(record, i)
    return 0


cdef Record* allocate(EntityTable table, size_t size, uint32_t capacity, bint full) except NULL nogil:
    """Allocate memory for a record."""
    cdef Record* record = <Record*>malloc(size) if capacity <= <uint32_t>(MOST_FULL if full else MOST) else NULL
    if <size_t>record >> 48:          # on no system without being asked for: slots have a tag there
        free(record)
        record = NULL
    if record == NULL:
        with gil:
            raise MemoryError(f"{size:,} bytes for the {capacity:,} coefficients of one entity"
                              + ("; --posterior diagonal needs far less" if full else "")
                              + (f"; {table.count:,} entities use {table.bytes:,} bytes" if table.count else ""))
    return record
