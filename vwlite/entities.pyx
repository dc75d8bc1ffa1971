"""Tables of entities' coefficients. Design notes are in entities.pxd."""
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from vwlite.example cimport Feature

cdef extern from "entities.h" nogil:
    uint32_t vwl_find(const uint32_t* hashes, uint32_t n, uint32_t hash)

cdef enum:
    FEW = 64                          # coefficients that are searched without an index


cdef uint32_t search(Record* record, uint32_t hash) noexcept nogil:
    """The place of a feature's coefficient, ABSENT if it has none."""
    cdef uint32_t* hashes = hashes_of(record)
    cdef uint32_t i
    if record.index == NULL:
        i = vwl_find(hashes, record.n, hash)
        return i if i < record.n else ABSENT
    i = scramble(hash) & record.index_mask
    while record.index[i]:
        if hashes[record.index[i] - 1] == hash:
            return record.index[i] - 1
        i = (i + 1) & record.index_mask
    return ABSENT


cdef inline uint32_t scramble(uint32_t hash) noexcept nogil:
    """Hashes of numeric names are numbers in a row."""
    return (hash * <uint32_t>0x9E3779B1) >> 7


cdef inline size_t size_of(EntityTable table, uint32_t name_length, size_t capacity) noexcept nogil:
    cdef size_t doubles = capacity
    doubles += capacity * (capacity + 1) // 2 if table.full else capacity
    doubles += capacity if table.clocked else 0
    return sizeof(Record) + ((name_length + 7) & ~<size_t>7) + 4 * capacity + 8 * doubles


cdef uint64_t other_key(uint64_t hash, bytes name, uint32_t tries) except? 0:
    """The key of an entity whose hash is taken: a hash for which nobody can make names that collide."""
    from hashlib import blake2b
    digest = blake2b(name, digest_size=8, key=hash.to_bytes(8, "little"), salt=tries.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little")


cdef class EntityTable:
    """Records by key; `full` keeps the whole precision matrix, `clocked` a clock for each coefficient."""

    def __cinit__(self, bint full, bint clocked):
        self.full = full
        self.clocked = clocked and not full
        self.mask = 63
        self.slots = <Record**>calloc(self.mask + 1, sizeof(Record*))
        if self.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.slots != NULL:
            self.clear()
        free(self.slots)

    cdef void clear(self) noexcept nogil:
        """Forget every entity."""
        cdef Record* record = self.oldest
        cdef Record* newer
        while record != NULL:
            newer = record.newer
            self.release(record)
            record = newer
        self.oldest = self.newest = NULL
        memset(self.slots, 0, (self.mask + 1) * sizeof(Record*))

    cdef void release(self, Record* record) noexcept nogil:
        """Give a record's memory back; that nothing leads to it is the caller's business."""
        self.count -= 1
        self.bytes -= size_of(self, record.name_length, record.capacity)
        self.forget_waiting(record)
        free(record.index)
        free(record)

    cdef size_t place_of(self, uint64_t key) noexcept nogil:
        """Where the key's record is, or would be, in the slots."""
        cdef size_t i = home_of(key, self.mask)
        while self.slots[i] != NULL and self.slots[i].key != key:
            i = (i + 1) & self.mask
        return i

    cdef int bring(self, uint64_t key) except -1 nogil:
        """Have an entity's record in memory, if there is one anywhere: where there is no limit it always is."""
        return 0

    cdef int identify(self, Example ex) except -1 nogil:
        """ex.entity, a hash of the entity's name, becomes its key: the hash unless another entity has that.

        1 if there is a record of it, 0 if not.
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
            if (record.name_length == ex.entity_name_length
                    and memcmp(name_of(record), ex.entity_name, record.name_length) == 0):
                return 1
            tries += 1
            with gil:
                ex.entity = other_key(hash, ex.entity_name[:ex.entity_name_length], tries)

    cdef Record* find(self, uint64_t key) noexcept nogil:
        """The record of an entity, NULL if there is none."""
        return self.slots[self.place_of(key)]

    cdef Record* make(self, uint64_t key, const char* name, uint32_t name_length, uint32_t capacity) except NULL nogil:
        """A new record with nothing in it; the key must be new."""
        cdef size_t size
        cdef Record* record
        if 2 * (self.count + 1) > self.mask:
            self.grow_slots()
        capacity = max(2, (capacity + 1) & ~<uint32_t>1)
        size = size_of(self, name_length, capacity)
        record = <Record*>malloc(size) if capacity <= <uint32_t>(MOST_FULL if self.full else MOST) else NULL
        if record == NULL:
            with gil:
                raise MemoryError(f"{size:,} bytes for {capacity:,} coefficients of one entity"
                                  + ("; --posterior diagonal needs far less" if self.full else "")
                                  + (f"; {self.count:,} entities take {self.bytes:,} bytes" if self.count else ""))
        memset(record, 0, sizeof(Record))
        record.key = key
        record.capacity = capacity
        record.name_length = name_length
        memcpy(name_of(record), name, name_length)
        record.older = self.newest
        if self.newest != NULL:
            self.newest.newer = record
        else:
            self.oldest = record
        self.newest = record
        self.slots[self.place_of(key)] = record
        self.count += 1
        self.bytes += size
        return record

    cdef int grow_slots(self) except -1 nogil:
        cdef size_t mask = 2 * self.mask + 1
        cdef Record** slots = <Record**>calloc(mask + 1, sizeof(Record*))
        cdef Record* record = self.oldest
        if slots == NULL:
            with gil:
                raise MemoryError(f"no room for more than {self.count:,} entities")
        free(self.slots)
        self.slots = slots
        self.mask = mask
        while record != NULL:
            self.slots[self.place_of(record.key)] = record
            record = record.newer
        return 0

    cdef Record* room(self, Record* record, uint32_t capacity) except NULL nogil:
        """Make room for so many coefficients; the record may move."""
        cdef Record* other
        cdef size_t before = size_of(self, record.name_length, record.capacity), size, n = record.n
        cdef size_t triangle = n * (n + 1) // 2 if self.full else n
        if capacity <= record.capacity:
            return record
        capacity = max(capacity, record.capacity + record.capacity // 2)
        capacity = (capacity + 1) & ~<uint32_t>1
        size = size_of(self, record.name_length, capacity)
        other = <Record*>malloc(size) if capacity <= <uint32_t>(MOST_FULL if self.full else MOST) else NULL
        if other == NULL:
            with gil:
                raise MemoryError(f"{size:,} bytes for the {capacity:,} coefficients of one entity"
                                  + ("; --posterior diagonal needs far less" if self.full else ""))
        memcpy(other, record, sizeof(Record) + record.name_length)
        other.capacity = capacity
        memcpy(hashes_of(other), hashes_of(record), n * sizeof(uint32_t))
        memcpy(means_of(other), means_of(record), n * sizeof(double))
        memcpy(precisions_of(other), precisions_of(record), triangle * sizeof(double))
        if self.clocked:
            memcpy(clocks_of(other), clocks_of(record), n * sizeof(double))
        self.bytes += size - before
        self.slots[self.place_of(record.key)] = other
        if other.older != NULL:
            other.older.newer = other
        else:
            self.oldest = other
        if other.newer != NULL:
            other.newer.older = other
        else:
            self.newest = other
        free(record)
        return other

    cdef uint32_t place(self, Record* record, uint32_t hash) except? 0xFFFFFFFE nogil:
        """Add a feature that the record, which has room for it, does not know; its coefficient is 0, without data."""
        cdef uint32_t i = record.n
        hashes_of(record)[i] = hash
        means_of(record)[i] = 0
        if self.full:
            memset(precisions_of(record) + <size_t>i * (i + 1) // 2, 0, (i + 1) * sizeof(double))
        else:
            precisions_of(record)[i] = 0
        if self.clocked:
            clocks_of(record)[i] = record.clock
        record.n = i + 1
        if record.n > FEW:
            if record.index == NULL or 2 * record.n > record.index_mask:
                self.grow_index(record)
            else:
                index_place(record, i)
        return i

    cdef int grow_index(self, Record* record) except -1 nogil:
        cdef uint32_t size = 256, i
        cdef uint32_t* index
        while size < 4 * <uint64_t>record.n:
            size *= 2
        index = <uint32_t*>calloc(size, sizeof(uint32_t))
        if index == NULL:
            with gil:
                raise MemoryError(f"no index for {record.n:,} coefficients")
        free(record.index)
        record.index = index
        record.index_mask = size - 1
        for i in range(record.n):
            index_place(record, i)
        return 0

    cdef int wait(self, Record* record, Example ex) except -1 nogil:
        """Keep an example for its batch."""
        cdef Waiting* waiting = <Waiting*>malloc(sizeof(Waiting) + ex.n * sizeof(Feature))
        if waiting == NULL:
            with gil:
                raise MemoryError("no room for more examples that wait for their batch: take a smaller --batch_size")
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

    cdef void empty(self, Record* record) noexcept nogil:
        """Back to no coefficients."""
        self.forget_waiting(record)
        free(record.index)
        record.index = NULL
        record.n = 0
        record.count = 0
        record.clock = 0
        record.spread = 0

    def copy(self):
        """A table with copies of all records that have coefficients or wait."""
        cdef EntityTable other = EntityTable(self.full, self.clocked)
        cdef Record* record = self.oldest
        while record != NULL:
            if record.n:
                copy_content(other, other.make(record.key, NULL, 0, record.n), record)
            record = record.newer
        return other

    def restore(self, EntityTable copy not None, double prior):
        """Every record as it is in the copy; those not there are emptied, with this prior. None is forgotten."""
        cdef Record* record = self.oldest
        cdef Record* before
        cdef uint64_t key
        while record != NULL:
            key = record.key
            before = copy.find(key)
            self.empty(record)
            record.prior = prior
            if before != NULL:
                record = self.room(record, before.n)
                copy_content(self, record, before)
            record = record.newer

    def save_load(self, io):
        """All records, in order; raises ModelError for numbers that make no sense."""
        if io.saving:
            self.save(io)
        elif io.has("stored"):
            from vwlite.limited import load_stored
            load_stored(self, io)
        else:
            from vwlite.table_io import load
            load(self, io)

    def save(self, io):
        """Hand every field to the saver."""
        from vwlite.table_io import save
        save(self, io)


cdef int copy_content(EntityTable table, Record* to, Record* record) except -1 nogil:
    """All but name and neighbours, into an empty record with room."""
    cdef size_t k, n = record.n
    for k in range(n):
        table.place(to, hashes_of(record)[k])
    memcpy(means_of(to), means_of(record), n * sizeof(double))
    memcpy(precisions_of(to), precisions_of(record), (n * (n + 1) // 2 if table.full else n) * sizeof(double))
    if table.clocked:
        memcpy(clocks_of(to), clocks_of(record), n * sizeof(double))
    to.count, to.clock, to.latest = record.count, record.clock, record.latest
    to.prior, to.spread = record.prior, record.spread
    return 0


cdef void index_place(Record* record, uint32_t place) noexcept nogil:
    cdef uint32_t i = scramble(hashes_of(record)[place]) & record.index_mask
    while record.index[i]:
        i = (i + 1) & record.index_mask
    record.index[i] = place + 1
