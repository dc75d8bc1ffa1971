"""Tables of entities on their way to and from a model file: one array a field, entity after entity.

A model is written piece by piece from what is in memory, so that a save needs no room for a second copy of the table.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from vwlite.entities cimport (
    ABSENT, MOST, MOST_FULL, EntityTable, Record, Waiting, clocks_of, hashes_of, lookup, means_of, name_of,
    precisions_of,
)
from vwlite.example cimport Feature

cdef extern from "entities.h" nogil:
    void vwl_prefetch(const void* place)

cdef enum:
    PIECE = 1 << 20                   # bytes, or more where one entity has more
    AHEAD = 16                        # records between prefetch and use

cdef enum Field:
    KEY, COEFFICIENTS, NAME_LENGTH, N_WAITING, COUNT, CLOCK, LATEST, PRIOR, SPREAD
    NAME, HASH, MEAN, PRECISION, COEFFICIENT_CLOCK, WAITING_EXAMPLE, WAITING_N, WAITING_FEATURE

FIELDS = (
    ("key", "U64"), ("coefficients", "U32"), ("name_length", "U32"), ("waiting", "U32"), ("count", "I64"),
    ("clock", "F64"), ("latest", "F64"), ("prior", "F64"), ("spread", "F64"), ("name", "U8"), ("hash", "U32"),
    ("mean", "F64"), ("precision", "F64"), ("coefficient_clock", "F64"),
    ("waiting_example", "F64"), ("waiting_n", "U32"), ("waiting_feature", "U32"),
)


def save(EntityTable table, io):
    """Hand every field to the saver."""
    cdef Column column
    cdef size_t i
    order = Order(table)
    columns = [Column(table, order, field) for field in range(len(FIELDS))]
    for i in range(order.n):
        for column in columns:
            column.nbytes += column.size(order.records[i])
    for (name, dtype), column in zip(FIELDS, columns, strict=True):
        io.array(name, dtype, column)


cdef class Order:
    """The records of a table in order. They lie about in memory; who knows where can have several fetched at once."""

    cdef Record** records
    cdef size_t n

    def __cinit__(self, EntityTable table not None):
        cdef Record* record = table.oldest
        self.records = <Record**>malloc((table.count + AHEAD) * sizeof(Record*))
        if self.records == NULL:
            raise MemoryError
        while record != NULL:
            self.records[self.n] = record
            self.n += 1
            record = record.newer
        for i in range(AHEAD):
            self.records[self.n + i] = table.newest

    def __dealloc__(self):
        free(self.records)


@cython.final
cdef class Column:
    """A field of all records, as bytes in pieces; valid as long as the table doesn't change."""

    cdef EntityTable table
    cdef Order order
    cdef Field field
    cdef size_t at
    cdef readonly size_t nbytes

    def __cinit__(self, EntityTable table not None, Order order not None, int field):
        self.table = table
        self.order = order
        self.field = <Field>field

    def __len__(self):
        return self.nbytes

    def __iter__(self):
        self.at = 0 if self.nbytes else self.order.n
        return self

    def __next__(self):
        cdef size_t size = 0, end = self.at
        cdef Record** records = self.order.records
        cdef char* to
        if end == self.order.n:
            raise StopIteration
        with nogil:
            while end < self.order.n and size < PIECE:
                vwl_prefetch(records[end + AHEAD])
                vwl_prefetch(<char*>records[end + AHEAD] + 64)
                size += self.size(records[end])
                end += 1
        piece = PyBytes_FromStringAndSize(NULL, size)
        to = PyBytes_AS_STRING(piece)
        with nogil:
            while self.at < end:
                vwl_prefetch(self.data(records[self.at + AHEAD]))
                to = self.put(to, records[self.at])
                self.at += 1
        return piece

    cdef inline size_t size(self, Record* record) noexcept nogil:
        """Of one record."""
        cdef size_t n = record.n, total = 0
        cdef const Waiting* waiting = record.waiting
        if self.field in (COEFFICIENTS, NAME_LENGTH, N_WAITING):
            return 4
        if self.field == NAME:
            return record.name_length
        if self.field == HASH:
            return 4 * n
        if self.field == MEAN:
            return 8 * n
        if self.field == PRECISION:
            return 8 * (n * (n + 1) // 2 if self.table.full else n)
        if self.field == COEFFICIENT_CLOCK:
            return 8 * n if self.table.clocked else 0
        if self.field == WAITING_EXAMPLE:
            return 24 * record.n_waiting
        if self.field == WAITING_N:
            return 4 * record.n_waiting
        if self.field == WAITING_FEATURE:
            while waiting != NULL:
                total += waiting.n * sizeof(Feature)
                waiting = waiting.before
            return total
        return 8

    cdef inline const void* data(self, Record* record) noexcept nogil:
        """Where the field of a record is; NULL if it is that of examples that wait."""
        if self.field == KEY:
            return &record.key
        if self.field == COEFFICIENTS:
            return &record.n
        if self.field == NAME_LENGTH:
            return &record.name_length
        if self.field == N_WAITING:
            return &record.n_waiting
        if self.field == COUNT:
            return &record.count
        if self.field == CLOCK:
            return &record.clock
        if self.field == LATEST:
            return &record.latest
        if self.field == PRIOR:
            return &record.prior
        if self.field == SPREAD:
            return &record.spread
        if self.field == NAME:
            return name_of(record)
        if self.field == HASH:
            return hashes_of(record)
        if self.field == MEAN:
            return means_of(record)
        if self.field == PRECISION:
            return precisions_of(record)
        if self.field == COEFFICIENT_CLOCK:
            return clocks_of(record)
        return NULL

    cdef inline char* put(self, char* to, Record* record) noexcept nogil:
        """Copy the field of one record; where the next one's goes."""
        cdef size_t size = self.size(record), n
        cdef const void* data = self.data(record)
        cdef const Waiting* waiting = record.waiting
        cdef char* end = to + size
        if data != NULL:
            memcpy(to, data, size)
            return end
        while waiting != NULL:            # the newest comes first, so from the end
            if self.field == WAITING_EXAMPLE:
                data, n = &waiting.label, 24
            elif self.field == WAITING_N:
                data, n = &waiting.n, 4
            else:
                data, n = waiting + 1, waiting.n * sizeof(Feature)
            end -= n
            memcpy(end, data, n)
            waiting = waiting.before
        return to + size


def load(EntityTable table, io):
    """The opposite of save(); raises ModelError for numbers that make no sense."""
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
    table.clear()
    for i in range(count if sound else 0):
        n = ns[i]
        triangle = n * (n + 1) // 2 if table.full else n
        sound = (n <= <size_t>(MOST_FULL if table.full else MOST) and at + n <= <size_t>hashes.shape[0]
                 and at + n <= <size_t>means.shape[0]
                 and at_precision + triangle <= <size_t>precisions.shape[0]
                 and at_name + name_lengths[i] <= <size_t>names.shape[0]
                 and (not table.clocked or at + n <= <size_t>coefficient_clocks.shape[0])
                 and table.slots[table.place_of(keys[i])] == NULL
                 and isfinite(clocks[i]) and isfinite(latest[i]) and isfinite(priors[i])
                 and priors[i] >= 0 and isfinite(spreads[i]) and counts[i] >= 0)
        if not sound:
            break
        name = <const char*>&names[at_name] if name_lengths[i] else NULL
        record = table.make(keys[i], name, name_lengths[i], <uint32_t>n)
        record.count, record.clock, record.latest = counts[i], clocks[i], latest[i]
        record.prior, record.spread = priors[i], spreads[i]
        for j in range(n):
            sound = sound and lookup(record, hashes[at + j], ABSENT) == ABSENT and isfinite(means[at + j])
            table.place(record, hashes[at + j])
            means_of(record)[j] = means[at + j]
            if table.clocked:
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
            and (at if table.clocked else 0) == <size_t>coefficient_clocks.shape[0]
            and at_waiting == <size_t>waiting_ns.shape[0]
            and 3 * at_waiting == <size_t>waiting_examples.shape[0]
            and 2 * at_feature == <size_t>waiting_features.shape[0]):
        table.clear()
        io.refuse("its tables of entities don't hold together")
