"""Entity table with LRU eviction: at most `limit` entities in memory, the least recently used on disk.

The store (store.py) has every entity that is not in memory, and an older state of some that are: memory is a
write-back cache. So eviction changes neither predictions nor saved models. An entity on disk is loaded when an example
names it, for a prediction too; an unchanged entity is evicted without a write.

If the store can't be written (its disk is full), changed entities stay in memory, which then grows beyond the limit;
unchanged ones are still evicted, so that predictions need no memory. Writes are retried with exponential backoff
(backoff.pyx), and at each save. If a table has twice its limit in memory, and at least `Backoff.spare` bytes (64 MB),
it is out of memory: the driver's gate is shut, and nothing is learned until a write succeeds. So no example is learned
in part, and nothing learned is lost. A `strict` store, as in runs over files, raises the first ModelError instead.

Format of a record on disk: Header, name, hashes, means, precisions, clocks (of diagonal records in clocked tables), the
factor (if `factored` in the header; then the layout is 2), origins (of anchored tables; then the layout is 3), the
information vector (of full records in informed tables; then the layout has the bit INFORMED), its CrossPrecision (if it
has one; then the layout is 4): number of features, hashes, origins, columns; then each pending example, oldest first:
label, weight, initial prediction, number of features, features. Little-endian, without padding. The sum in the header
is the CRC-32 of all that follows it. Without the bit COUNTED of the layout the header ends before `dof`.
"""
from zlib import crc32

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from vwlite.core.example cimport CONSTANT_HASH, Feature
from vwlite.entities.backoff cimport Backoff
from vwlite.entities.cross_precision cimport MOST_OTHERS, other_hashes, other_origins, put_columns, take_between
from vwlite.entities.record cimport (
    ABSENT, FACTORED, UNCOUNTED, UNTOLD, CrossPrecision, Record, Waiting, clocks_of, factor_in, factor_of, hashes_of,
    lookup, means_of, name_of, precisions_in, precisions_of, triangle,
)
from vwlite.entities.table cimport EntityTable, home_of, information_of, origins_of, record_in
from vwlite.entities.table_io cimport has_factor, is_dof

from vwlite.entities.table_io import LEANED, load, save
from vwlite.errors import ModelError

cdef enum:
    LAYOUT = 4                        # version of the format; 1 has no factors, 2 no origins, 3 no CrossPrecision
    INFORMED = 16                     # bits of the format's version: there is an information vector;
    COUNTED = 32                      # there are degrees of freedom, which earlier versions lack
    KIND = 0xFF - INFORMED - COUNTED  # the rest of it: the version
    SHARE = 16                        # an eviction removes 1/16 of the limit
    MOST_AT_ONCE = 8192               # records per write: they are in memory twice, as are the pages they change

cdef packed struct Header:
    uint32_t sum
    uint8_t layout, full, clocked, factored
    uint32_t n, name_length, n_waiting
    int64_t count
    double clock, latest, prior, spread, dof

cdef size_t LEAST_HEADER = sizeof(Header) - sizeof(double)

cdef packed struct WaitingHeader:
    double label, weight, initial
    uint32_t n


cdef class LimitedTable(EntityTable):
    """Entity table with at most `limit` records in memory, the others in table `number` of the store; see keep()."""

    cdef readonly size_t limit
    cdef readonly size_t total        # entities in memory and on disk
    cdef readonly size_t number
    cdef object store
    cdef Backoff backoff
    cdef bint beyond                  # more than `limit` are in memory, as they can't be written
    cdef size_t allowed               # records in memory that cause the next eviction
    cdef uint64_t next_serial
    cdef bint has_missing             # the last key looked up does not exist
    cdef uint64_t missing

    def keep(self, size_t limit, store, size_t number):
        """Set limit and store; the table must be empty."""
        self.limited = True
        self.limit = self.allowed = limit
        self.store = store
        self.backoff = store.backoff
        self.number = number

    cdef int bring(self, uint64_t key) except -1 nogil:
        cdef Record* record = self.find(key)
        if record != NULL:
            if record != self.newest:
                self.unlink(record)
                self.append(record)
            return 0
        if self.total == self.count or (self.has_missing and self.missing == key):
            return 0
        with gil:
            self.read(key)
        return 0

    cdef Record* make(self, uint64_t key, const char* name, uint32_t name_length, uint32_t capacity) except NULL nogil:
        cdef Record* record
        self.make_room()
        record = EntityTable.make(self, key, name, name_length, capacity)
        record.changed = True
        record.serial = self.next_serial
        self.next_serial += 1
        self.total += 1
        self.has_missing = False
        return record

    cdef int read(self, uint64_t key) except -1:
        """Load a record from disk, if it exists."""
        cdef Record* record
        found = self.store.read(self.number, <int64_t>key)
        if found is None:
            self.missing = key
            self.has_missing = True
            return 0
        self.make_room()
        serial, text, own = found
        record = unpack(self, key, text, own, self.store)
        record.serial = serial
        return 0

    cdef int make_room(self) except -1 nogil:
        if self.count >= self.allowed or (self.beyond and self.backoff.is_time()):
            with gil:
                self.evict()
        return 0

    cdef int evict(self) except -1:
        """Evict the least recently used records (LRU); if writing fails, all unchanged ones."""
        cdef size_t share = min(max(1, self.limit // SHARE), <size_t>MOST_AT_ONCE)
        cdef size_t n = self.count - self.limit + share if self.count > self.limit else share
        if self.can_write(min(n, self.count)):
            for _ in range(min(n, self.count)):
                self.drop(self.oldest)
            self.backoff.beyond -= self.beyond
            self.beyond = False
            self.allowed = self.limit
        else:
            self.backoff.beyond += not self.beyond
            self.beyond = True
            self.drop_unchanged()
            self.allowed = self.count + max(1, self.count // SHARE)
        return 0

    cdef bint can_write(self, size_t n) except -1:
        """Write the changed ones of the n oldest records, unless in a backoff pause; returns whether that succeeded."""
        if not self.backoff.is_time():
            return False
        try:
            self.write_back(n)
        except ModelError:
            if self.store.strict:
                raise
            return False
        return True

    cdef void drop_unchanged(self) noexcept nogil:
        """Drop unchanged records, which are on disk."""
        cdef Record* record = self.oldest
        cdef Record* newer
        while record != NULL:
            newer = record.newer
            if not record.changed:
                self.drop(record)
            record = newer

    def is_out(self):
        """Whether the hard limit of memory is reached and eviction fails; tries to evict."""
        if self.has_room():
            return False
        self.evict()
        return not self.has_room()

    cdef bint has_room(self) noexcept nogil:
        return not self.beyond or self.count < 2 * self.limit or self.bytes < self.backoff.spare

    cdef int write_back(self, size_t n) except -1:
        """Write the changed ones of the n oldest records, in the order of keys in the file."""
        cdef Record** changed = <Record**>malloc(n * sizeof(Record*) + 1)
        cdef Record* record = self.oldest
        cdef size_t i, begin, end, count = 0
        if changed == NULL:
            raise MemoryError
        try:
            while n:
                if record.changed:
                    changed[count] = record
                    count += 1
                record = record.newer
                n -= 1
            qsort(changed, count, sizeof(Record*), by_key)
            for begin in range(0, count, MOST_AT_ONCE):
                end = min(begin + MOST_AT_ONCE, count)
                self.store.write(self.number, [(<int64_t>changed[i].key, changed[i].serial, changed[i].n_waiting,
                                                pack(self, changed[i])) for i in range(begin, end)])
                for i in range(begin, end):
                    changed[i].changed = False
            if count:
                self.backoff.wrote()
        except ModelError as error:
            self.backoff.failed(error)
            raise
        finally:
            free(changed)
        return 0

    cdef void drop(self, Record* record) noexcept nogil:
        """Drop a record that is on disk from memory."""
        cdef size_t gap = self.place_of(record.key), i = gap
        while True:                   # backward-shift deletion: records behind move up, not before their home
            i = (i + 1) & self.mask
            if self.slots[i] == 0:
                break
            if ((i - home_of(self, record_in(self.slots[i]).key)) & self.mask) >= ((i - gap) & self.mask):
                self.slots[gap] = self.slots[i]
                gap = i
        self.slots[gap] = 0
        self.unlink(record)
        self.release(record)

    cdef void unlink(self, Record* record) noexcept nogil:
        """Unlink a record from the LRU list."""
        if record.older != NULL:
            record.older.newer = record.newer
        else:
            self.oldest = record.newer
        if record.newer != NULL:
            record.newer.older = record.older
        else:
            self.newest = record.older

    cdef void append(self, Record* record) noexcept nogil:
        """Append a record to the LRU list."""
        record.older = self.newest
        record.newer = NULL
        if self.newest != NULL:
            self.newest.newer = record
        else:
            self.oldest = record
        self.newest = record

    def save(self, io):
        """Save the number of entities; the entities are in the store, which the caller saves after this."""
        self.write_back(self.count)
        self.store.count(self.number, self.total)
        io.int64("stored", self.total)
        io.int64("next_serial", self.next_serial)

    def restore(self, io):
        """Load what save() wrote; entities stay on disk."""
        total, next_serial = io.int64("stored", 0), io.int64("next_serial", 0)
        if not 0 <= total <= next_serial:
            io.refuse("its number of entities is negative or too large")
        io.store.require(io.owner, total)
        self.total, self.next_serial = total, next_serial

    def keys_as_met(self):
        """Keys of all entities in memory and on disk, in the order of their first examples; writes nothing."""
        cdef Record* record = self.oldest
        serials = {<uint64_t><int64_t>key: serial for key, serial, *_ in self.store.rows(self.number)}
        while record != NULL:
            serials[record.key] = record.serial
            record = record.newer
        return sorted(serials, key=serials.__getitem__)

    def one_by_one(self):
        """Iterate tables of one entity each, in the order of their first examples; a table is valid until the next."""
        cdef EntityTable scratch = EntityTable(self.full, self.clocked)
        scratch.anchored, scratch.informed = self.anchored, self.informed
        self.write_back(self.count)
        for key, _, _, text, own in self.store.rows(self.number):
            scratch.clear()
            unpack(scratch, <uint64_t><int64_t>key, text, own, self.store)
            yield scratch

    def waiting(self):
        """Keys of the entities with pending examples of a batch, in the order of their first examples.

        They may be loaded, learned and evicted during the iteration; some may no longer have pending examples.
        """
        self.write_back(self.count)
        for key in self.store.waiting(self.number):
            yield <uint64_t><int64_t>key


def save_load_table(EntityTable table, io):
    """Save or load all records of a table, in order; raises ModelError for invalid numbers."""
    stored = not io.saving and io.has("stored")
    if isinstance(table, LimitedTable) and (io.saving or stored):
        table.save(io) if io.saving else table.restore(io)
    elif io.saving:
        save(table, io)
    elif stored:
        load_stored(table, io)
    else:
        load(table, io)


def load_stored(EntityTable table, io):
    """Load all entities of a model that was saved with a limit into a table without one."""
    cdef int64_t total = io.int64("stored", 0)
    table.clear()
    io.store.require(io.owner, total)
    for key, _, _, text in io.store.rows(io.owner):
        unpack(table, <uint64_t><int64_t>key, text, False, io.store)
    if <int64_t>table.count != total:
        io.store.refuse(f"{table.count:,} of {total:,} entities of {io.owner} are there")


def summary(bytes text, store):
    """(name in bytes, examples, coefficients, mean of the intercept or None) of a record.

    Raises ModelError if it is damaged.
    """
    cdef const Header* header = <const Header*><const char*>text
    cdef EntityTable table
    cdef Record* record
    cdef uint32_t place
    if <size_t>len(text) < LEAST_HEADER:
        store.refuse("a record is too short")
    table = EntityTable(header.full, header.clocked)
    table.anchored, table.informed = header.layout & KIND >= 3, header.layout & INFORMED
    record = unpack(table, 0, text, False, store)
    place = lookup(record, CONSTANT_HASH, 0)
    name = <bytes>name_of(record)[:record.name_length]
    return name, record.count, record.n, means_of(record)[place] if place != ABSENT else None


cdef int by_key(const void* a, const void* b) noexcept nogil:
    """Comparison of signed keys, for qsort."""
    cdef int64_t first = <int64_t>(<Record**>a)[0].key, second = <int64_t>(<Record**>b)[0].key
    return (first > second) - (first < second)


cdef bytes pack(EntityTable table, Record* record):
    """Serialize a record."""
    cdef size_t n = record.n, size = sizeof(Header) + record.name_length + 12 * n
    cdef bint clocked = table.clocked and not record.full, informed = table.informed and record.full
    cdef Waiting* waiting = record.waiting
    cdef bytes text
    cdef char* at
    cdef Header* header
    cdef WaitingHeader example
    size += 8 * (precisions_in(record) + (n if clocked else 0) + factor_in(record) + (n if table.anchored else 0)
                 + (n if informed else 0))
    if record.between != NULL:
        size += 4 + record.between.n * (12 + 8 * n)
    while waiting != NULL:
        size += sizeof(WaitingHeader) + waiting.n * sizeof(Feature)
        waiting = waiting.before
    text = PyBytes_FromStringAndSize(NULL, size)
    at = PyBytes_AS_STRING(text)
    header = <Header*>at
    header.full, header.clocked, header.factored = record.full, clocked, factor_in(record) > 0
    header.layout = 4 if record.between != NULL else 3 if table.anchored else 2 if header.factored else 1
    header.layout |= COUNTED | (INFORMED if informed else 0)
    header.n, header.name_length, header.n_waiting = record.n, record.name_length, record.n_waiting
    header.count, header.clock, header.latest = record.count, record.clock, record.latest
    header.prior, header.spread, header.dof = record.prior, record.spread, record.dof
    at += sizeof(Header)
    at = put(at, name_of(record), record.name_length)
    at = put(at, hashes_of(record), 4 * n)
    at = put(at, means_of(record), 8 * n)
    at = put(at, precisions_of(record), 8 * precisions_in(record))
    if clocked:
        at = put(at, clocks_of(record), 8 * n)
    at = put(at, factor_of(record), 8 * factor_in(record))
    if table.anchored:
        at = put(at, origins_of(table, record), 8 * n)
    if informed:
        at = put(at, information_of(table, record), 8 * n)
    if record.between != NULL:
        put_between(at, record)
    at = PyBytes_AS_STRING(text) + size
    waiting = record.waiting          # the list is newest first, so write from the end
    while waiting != NULL:
        at -= sizeof(WaitingHeader) + waiting.n * sizeof(Feature)
        example.label, example.weight, example.initial = waiting.label, waiting.weight, waiting.initial
        example.n = waiting.n
        put(put(at, &example, sizeof(WaitingHeader)), waiting + 1, waiting.n * sizeof(Feature))
        waiting = waiting.before
    header.sum = crc32(memoryview(text)[4:])
    return text


cdef inline char* put(char* at, const void* data, size_t n) noexcept nogil:
    memcpy(at, data, n)
    return at + n


cdef void put_between(char* at, Record* record) noexcept nogil:
    cdef CrossPrecision* between = record.between
    at = put(at, &between.n, 4)
    at = put(at, other_hashes(between), 4 * between.n)
    at = put(at, other_origins(between), 8 * between.n)
    put_columns(at, record)


cdef Record* unpack(EntityTable table, uint64_t key, bytes text, bint own, store) except NULL:
    """Deserialize a record. Numbers are validated unless this process wrote them.

    Raises ModelError for invalid bytes.
    """
    cdef size_t size = len(text), n, precisions, factor, needed, before, i
    cdef const char* at = PyBytes_AS_STRING(text)
    cdef const char* end = at + size
    cdef const Header* header = <const Header*>at
    cdef Record* record
    cdef uint32_t hash
    cdef bint sound, full, clocked, factored, told, informed
    cdef uint8_t layout = header.layout & KIND if size >= LEAST_HEADER else 0
    if not 1 <= layout <= LAYOUT or crc32(memoryview(text)[4:]) != header.sum:
        store.refuse("a record differs from its checksum")
    n = header.n
    if 12 * n > size:
        store.refuse("a record is inconsistent")
    full, clocked, factored = header.full != 0, header.clocked != 0, header.factored != 0
    precisions = triangle(n) if full else n
    factor = 1 + triangle(n) if factored else 0
    told, informed = layout >= 3, header.layout & INFORMED != 0
    before = sizeof(Header) if header.layout & COUNTED else LEAST_HEADER
    needed = (before + header.name_length + 12 * n
              + 8 * (precisions + (n if clocked else 0) + factor + (n if told else 0) + (n if informed else 0)))
    if (size < needed or (full and not table.full) or clocked != (table.clocked and not full)
            or (factored and not (full and n > FACTORED))
            or (informed and not (full and table.informed))
            or (layout == 2 and not factored) or (layout == 1 and factored) or header.count < 0):
        store.refuse("a record is inconsistent")
    if told and not table.anchored:
        store.refuse(LEANED)
    if table.find(key) != NULL:
        store.refuse("an entity is there twice")
    at += before
    record = EntityTable.create(table, key, at, header.name_length, <uint32_t>n, full,
                                full and n > FACTORED)
    record.count, record.clock, record.latest = header.count, header.clock, header.latest
    record.prior, record.spread = header.prior, header.spread
    record.dof = header.dof if header.layout & COUNTED else UNCOUNTED
    at += header.name_length
    sound = own or (isfinite(record.clock) and isfinite(record.latest) and isfinite(record.spread)
                    and is_dof(record.dof, n) and 0 <= record.prior < INFINITY)
    for _ in range(n):
        memcpy(&hash, at, 4)          # unaligned: after the name
        sound = sound and (own or lookup(record, hash, ABSENT) == ABSENT)
        table.place(record, hash)
        at += 4
    memcpy(means_of(record), at, 8 * n)
    at += 8 * n
    memcpy(precisions_of(record), at, 8 * precisions)
    at += 8 * precisions
    if clocked:
        memcpy(clocks_of(record), at, 8 * n)
        at += 8 * n
    if factored:
        memcpy(factor_of(record), at, 8 * factor)
        at += 8 * factor
    if told:
        memcpy(origins_of(table, record), at, 8 * n)
        at += 8 * n
    if informed:
        memcpy(information_of(table, record), at, 8 * n)
        at += 8 * n
    elif table.informed and full and n:
        information_of(table, record)[0] = UNTOLD
    if not own:
        for i in range(n):
            sound = sound and isfinite(means_of(record)[i]) and (not clocked or isfinite(clocks_of(record)[i]))
            sound = sound and (not told or isfinite(origins_of(table, record)[i]))
            sound = sound and (not informed or isfinite(information_of(table, record)[i]))
        for i in range(precisions):
            sound = sound and isfinite(precisions_of(record)[i])
        for i in range(factor):
            sound = sound and isfinite(factor_of(record)[i])
        sound = sound and has_factor(record, factored)
    if layout == 4:
        at = unpack_between(table, record, at, end)
        sound = sound and at != NULL
        at = at if at != NULL else end
    sound = unpack_waiting(record, at, end, header.n_waiting, own) and sound
    if not sound:
        if table.limited:
            (<LimitedTable>table).drop(record)
        store.refuse("a record is inconsistent")
    return record


cdef const char* unpack_between(EntityTable table, Record* record, const char* at, const char* end) except? NULL:
    """Deserialize a CrossPrecision; returns its end, NULL if it is invalid."""
    cdef uint32_t n
    cdef size_t size
    if end - at < 4:
        return NULL
    memcpy(&n, at, 4)
    size = n * (12 + 8 * <size_t>record.n)
    if not (0 < n <= MOST_OTHERS and record.full and size <= <size_t>(end - at - 4)):
        return NULL
    at += 4
    return at + size if take_between(&table.bytes, record, n, at, at + 4 * n, at + 12 * n) else NULL


cdef bint unpack_waiting(Record* record, const char* at, const char* end, uint32_t count, bint own) except? False:
    """Deserialize the pending examples; False unless they are exactly the remaining bytes, with finite numbers."""
    cdef WaitingHeader example
    cdef Waiting* waiting
    cdef bint sound = True
    cdef uint32_t i
    while record.n_waiting < count:
        if <size_t>(end - at) < sizeof(WaitingHeader):
            return False
        memcpy(&example, at, sizeof(WaitingHeader))
        at += sizeof(WaitingHeader)
        if <size_t>(end - at) // sizeof(Feature) < example.n:
            return False
        waiting = <Waiting*>malloc(sizeof(Waiting) + example.n * sizeof(Feature))
        if waiting == NULL:
            raise MemoryError
        waiting.label, waiting.weight, waiting.initial = example.label, example.weight, example.initial
        waiting.n = example.n
        memcpy(waiting + 1, at, example.n * sizeof(Feature))
        at += example.n * sizeof(Feature)
        waiting.before = record.waiting
        record.waiting = waiting
        record.n_waiting += 1
        if not own:
            sound = sound and isfinite(waiting.label) and isfinite(waiting.weight) and isfinite(waiting.initial)
            for i in range(waiting.n):
                sound = sound and isfinite((<const Feature*>(waiting + 1))[i].value)
    return sound and at == end
