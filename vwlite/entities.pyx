"""Tables of entities' coefficients. Design notes are in entities.pxd."""
from libc.math cimport isfinite
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from vwlite.example cimport Feature

cdef extern from "entities.h" nogil:
    uint32_t vwl_find(const uint32_t* hashes, uint32_t n, uint32_t hash)

cdef enum:
    FEW = 64                          # coefficients that are searched without an index
    MOST = 1 << 28                    # coefficients of one entity
    MOST_FULL = 1 << 15               # with a full posterior: 4 GB


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
            self.load(io)

    def save(self, io):
        """One array a field, entity after entity."""
        cdef Record* record
        cdef Waiting* waiting
        columns = {name: bytearray() for name in FIELDS}
        waits = []
        record = self.oldest
        while record != NULL:
            triangle = record.n * (record.n + 1) // 2 if self.full else record.n
            add(columns["key"], &record.key, 8)
            add(columns["coefficients"], &record.n, 4)
            add(columns["name_length"], &record.name_length, 4)
            add(columns["waiting"], &record.n_waiting, 4)
            add(columns["count"], &record.count, 8)
            add(columns["clock"], &record.clock, 8)
            add(columns["latest"], &record.latest, 8)
            add(columns["prior"], &record.prior, 8)
            add(columns["spread"], &record.spread, 8)
            add(columns["name"], name_of(record), record.name_length)
            add(columns["hash"], hashes_of(record), 4 * record.n)
            add(columns["mean"], means_of(record), 8 * record.n)
            add(columns["precision"], precisions_of(record), 8 * triangle)
            if self.clocked:
                add(columns["coefficient_clock"], clocks_of(record), 8 * record.n)
            if record.n_waiting:
                batch = []
                waiting = record.waiting
                while waiting != NULL:
                    batch.append(<bytes>(<char*>waiting)[:sizeof(Waiting) + waiting.n * sizeof(Feature)])
                    waiting = waiting.before
                waits += batch[::-1]
            record = record.newer
        for text in waits:
            waiting = <Waiting*><char*>text
            add(columns["waiting_example"], &waiting.label, 24)
            add(columns["waiting_n"], &waiting.n, 4)
            add(columns["waiting_feature"], waiting + 1, waiting.n * sizeof(Feature))
        for name, column in columns.items():
            io.array(name, FIELDS[name], column)

    def load(self, io):
        """The opposite of save()."""
        cdef const uint64_t[::1] keys = io.array("key", "U64", None)
        cdef const uint32_t[::1] ns = io.array("coefficients", "U32", None)
        cdef const uint32_t[::1] name_lengths = io.array("name_length", "U32", None)
        cdef const uint32_t[::1] n_waiting = io.array("waiting", "U32", None)
        cdef const int64_t[::1] counts = io.array("count", "I64", None)
        cdef const double[::1] clocks = io.array("clock", "F64", None)
        cdef const double[::1] latest = io.array("latest", "F64", None)
        cdef const double[::1] priors = io.array("prior", "F64", None)
        cdef const double[::1] spreads = io.array("spread", "F64", None)
        cdef const unsigned char[::1] names = io.array("name", "U8", None)
        cdef const uint32_t[::1] hashes = io.array("hash", "U32", None)
        cdef const double[::1] means = io.array("mean", "F64", None)
        cdef const double[::1] precisions = io.array("precision", "F64", None)
        cdef const double[::1] coefficient_clocks = io.array("coefficient_clock", "F64", None)
        cdef const double[::1] waiting_examples = io.array("waiting_example", "F64", None)
        cdef const uint32_t[::1] waiting_ns = io.array("waiting_n", "U32", None)
        cdef const uint32_t[::1] waiting_features = io.array("waiting_feature", "U32", None)
        cdef size_t i, j, k, n, triangle, at = 0, at_name = 0, at_precision = 0, at_waiting = 0, at_feature = 0
        cdef Record* record
        cdef Waiting* waiting
        cdef const char* name
        cdef size_t count = keys.shape[0]
        cdef bint sound = (<size_t>ns.shape[0] == count and <size_t>name_lengths.shape[0] == count
                           and <size_t>n_waiting.shape[0] == count and <size_t>counts.shape[0] == count
                           and <size_t>spreads.shape[0] == count and <size_t>clocks.shape[0] == count
                           and <size_t>latest.shape[0] == count and <size_t>priors.shape[0] == count)
        self.clear()
        for i in range(count if sound else 0):
            n = ns[i]
            triangle = n * (n + 1) // 2 if self.full else n
            sound = (n <= <size_t>(MOST_FULL if self.full else MOST) and at + n <= <size_t>hashes.shape[0]
                     and at + n <= <size_t>means.shape[0]
                     and at_precision + triangle <= <size_t>precisions.shape[0]
                     and at_name + name_lengths[i] <= <size_t>names.shape[0]
                     and (not self.clocked or at + n <= <size_t>coefficient_clocks.shape[0])
                     and self.slots[self.place_of(keys[i])] == NULL
                     and isfinite(clocks[i]) and isfinite(latest[i]) and isfinite(priors[i])
                     and priors[i] >= 0 and isfinite(spreads[i]) and counts[i] >= 0)
            if not sound:
                break
            name = <const char*>&names[at_name] if name_lengths[i] else NULL
            record = self.make(keys[i], name, name_lengths[i], <uint32_t>n)
            record.count, record.clock, record.latest = counts[i], clocks[i], latest[i]
            record.prior, record.spread = priors[i], spreads[i]
            for j in range(n):
                sound = sound and lookup(record, hashes[at + j], ABSENT) == ABSENT and isfinite(means[at + j])
                self.place(record, hashes[at + j])
                means_of(record)[j] = means[at + j]
                if self.clocked:
                    clocks_of(record)[j] = coefficient_clocks[at + j]
                    sound = sound and isfinite(coefficient_clocks[at + j])
            for j in range(triangle):
                precisions_of(record)[j] = precisions[at_precision + j]
                sound = sound and isfinite(precisions[at_precision + j])
            for _ in range(n_waiting[i]):
                sound = (sound and at_waiting < <size_t>waiting_ns.shape[0]
                         and 3 * at_waiting + 3 <= <size_t>waiting_examples.shape[0]
                         and 2 * (at_feature + waiting_ns[at_waiting]) <= <size_t>waiting_features.shape[0])
                if not sound:
                    break
                n = waiting_ns[at_waiting]
                waiting = <Waiting*>malloc(sizeof(Waiting) + n * sizeof(Feature))
                if waiting == NULL:
                    raise MemoryError
                waiting.n = <uint32_t>n
                waiting.label = waiting_examples[3 * at_waiting]
                waiting.weight = waiting_examples[3 * at_waiting + 1]
                waiting.initial = waiting_examples[3 * at_waiting + 2]
                sound = isfinite(waiting.label) and isfinite(waiting.weight) and isfinite(waiting.initial)
                if n:
                    memcpy(waiting + 1, &waiting_features[2 * at_feature], n * sizeof(Feature))
                for k in range(n):
                    sound = sound and isfinite((<Feature*>(waiting + 1))[k].value)
                waiting.before = record.waiting
                record.waiting = waiting
                record.n_waiting += 1
                at_waiting += 1
                at_feature += n
            if not sound:
                break
            at += ns[i]
            at_name += name_lengths[i]
            at_precision += triangle
        if not (sound and at == <size_t>hashes.shape[0] and at == <size_t>means.shape[0]
                and at_precision == <size_t>precisions.shape[0] and at_name == <size_t>names.shape[0]
                and (at if self.clocked else 0) == <size_t>coefficient_clocks.shape[0]
                and at_waiting == <size_t>waiting_ns.shape[0]
                and 3 * at_waiting == <size_t>waiting_examples.shape[0]
                and 2 * at_feature == <size_t>waiting_features.shape[0]):
            self.clear()
            io.refuse("its tables of entities don't hold together")


FIELDS = {
    "key": "U64", "coefficients": "U32", "name_length": "U32", "waiting": "U32", "count": "I64", "clock": "F64",
    "latest": "F64", "prior": "F64", "spread": "F64",
    "name": "U8", "hash": "U32", "mean": "F64", "precision": "F64", "coefficient_clock": "F64",
    "waiting_example": "F64", "waiting_n": "U32", "waiting_feature": "U32",
}


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


cdef int add(object column, const void* data, size_t n) except -1:
    if n:
        column += <bytes>(<const char*>data)[:n]
    return 0
