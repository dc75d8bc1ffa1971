"""Tables of entities on their way to and from a model file: one array a field, entity after entity.

A model is written piece by piece from what is in memory, so that a save needs no room for a second copy of the table.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from vwlite.core.example cimport Feature
from vwlite.entities.cross_precision cimport MOST_OTHERS, other_hashes, other_origins, put_columns, take_between
from vwlite.entities.record cimport (
    ABSENT, FACTORED, MOST, MOST_FULL, CrossPrecision, Record, Waiting, clocks_of, factor_in, factor_of, hashes_of,
    lookup, means_of, name_of, precisions_in, precisions_of, triangle,
)
from vwlite.entities.table cimport EntityTable, origins_of

cdef extern from "vwlite/entities/table.h" nogil:
    void vwl_prefetch(const void* place)

cdef enum:
    PIECE = 1 << 20                   # bytes, or more where one entity has more
    AHEAD = 16                        # records between prefetch and use

cdef enum Field:
    KEY, COEFFICIENTS, NAME_LENGTH, N_WAITING, COUNT, CLOCK, LATEST, PRIOR, SPREAD
    NAME, HASH, MEAN, PRECISION, COEFFICIENT_CLOCK, WAITING_EXAMPLE, WAITING_N, WAITING_FEATURE, KIND, FACTOR, ORIGIN
    OTHERS, OTHER_HASH, OTHER_ORIGIN, BETWEEN

cdef enum Posterior:
    DIAGONAL, FULL, WITH_FACTOR

FIELDS = (
    ("key", "U64"), ("coefficients", "U32"), ("name_length", "U32"), ("waiting", "U32"), ("count", "I64"),
    ("clock", "F64"), ("latest", "F64"), ("prior", "F64"), ("spread", "F64"), ("name", "U8"), ("hash", "U32"),
    ("mean", "F64"), ("precision", "F64"), ("coefficient_clock", "F64"),
    ("waiting_example", "F64"), ("waiting_n", "U32"), ("waiting_feature", "U32"), ("posterior", "U8"),
    ("factor", "F64"), ("origin", "F64"),
    ("others", "U32"), ("other_hash", "U32"), ("other_origin", "F64"), ("between", "F64"),
)
NEWER = ("posterior", "factor")       # only there where not every record is FULL, as all were in the first version
OF_BETWEEN = ("others", "other_hash", "other_origin", "between")         # only there where a record has one


def save(EntityTable table, io):
    """Hand every field to the saver."""
    cdef Column column
    cdef size_t i
    order = Order(table)
    columns = [Column(table, order, field) for field in range(len(FIELDS))]
    cdef bint plain = True, alone = True
    for i in range(order.n):
        alone = alone and order.records[i].between == NULL
        plain = plain and kind_of(order.records[i]) == (FULL if table.full else DIAGONAL)
        for column in columns:
            column.nbytes += column.size(order.records[i])
    for (name, dtype), column in zip(FIELDS, columns, strict=True):
        if (plain and name in NEWER) or (alone and name in OF_BETWEEN) or (name == "origin" and not table.anchored):
            continue
        io.array(name, dtype, column)


cdef inline Posterior kind_of(Record* record) noexcept nogil:
    return DIAGONAL if not record.full else WITH_FACTOR if factor_in(record) else FULL


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
        cdef size_t n_others = record.between.n if record.between != NULL else 0
        cdef const Waiting* waiting = record.waiting
        if self.field in (COEFFICIENTS, NAME_LENGTH, N_WAITING, OTHERS):
            return 4
        if self.field == NAME:
            return record.name_length
        if self.field == HASH:
            return 4 * n
        if self.field == MEAN:
            return 8 * n
        if self.field == PRECISION:
            return 8 * precisions_in(record)
        if self.field == COEFFICIENT_CLOCK:
            return 8 * n if self.table.clocked and not record.full else 0
        if self.field == ORIGIN:
            return 8 * n if self.table.anchored else 0
        if self.field == KIND:
            return 1
        if self.field == FACTOR:
            return 8 * factor_in(record)
        if self.field == OTHER_HASH:
            return 4 * n_others
        if self.field == OTHER_ORIGIN:
            return 8 * n_others
        if self.field == BETWEEN:
            return 8 * n_others * n
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
        """Where the field of a record is; NULL if it lies in pieces."""
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
        if self.field == FACTOR:
            return factor_of(record)
        if self.field == ORIGIN:
            return origins_of(self.table, record)
        if self.field == OTHER_HASH and record.between != NULL:
            return other_hashes(record.between)
        if self.field == OTHER_ORIGIN and record.between != NULL:
            return other_origins(record.between)
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
        if self.field == KIND:
            to[0] = <char>kind_of(record)
            return end
        if self.field in (OTHERS, OTHER_HASH, OTHER_ORIGIN, BETWEEN):
            self.put_between(to, record)
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

    cdef void put_between(self, char* to, Record* record) noexcept nogil:
        """How many features a CrossPrecision has, or its columns, with a number for each coefficient."""
        cdef CrossPrecision* between = record.between
        cdef uint32_t n_others = between.n if between != NULL else 0
        if self.field == OTHERS:
            memcpy(to, &n_others, 4)
        elif self.field == BETWEEN and n_others:
            put_columns(to, record)


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
    cdef bint mixed = io.has("posterior")
    cdef const unsigned char[::1] kinds = io.array("posterior", "U8", None) if mixed else names[:0]
    cdef const double[::1] factors = io.array("factor", "F64", None) if mixed else spreads[:0]
    cdef bint told = table.anchored and io.has("origin")      # a model of the first version has none
    cdef const double[::1] origins = io.array("origin", "F64", None) if told else spreads[:0]
    cdef bint together = io.has("others")
    cdef const uint32_t[::1] others = io.array("others", "U32", None) if together else ns[:0]
    cdef const uint32_t[::1] other_hash = io.array("other_hash", "U32", None) if together else ns[:0]
    cdef const double[::1] other_origin = io.array("other_origin", "F64", None) if together else spreads[:0]
    cdef const double[::1] between = io.array("between", "F64", None) if together else spreads[:0]
    cdef size_t n_others, at_other = 0, at_between = 0
    cdef size_t i, j, k, n, n_precisions, n_factor
    cdef size_t at = 0, at_name = 0, at_precision = 0, at_waiting = 0, at_feature = 0, at_clock = 0, at_factor = 0
    cdef Posterior kind
    cdef bint clocked
    cdef Record* record
    cdef Waiting* waiting
    cdef const char* name
    cdef size_t count = keys.shape[0]
    cdef bint sound = (<size_t>ns.shape[0] == count and <size_t>name_lengths.shape[0] == count
                       and <size_t>n_waiting.shape[0] == count and <size_t>counts.shape[0] == count
                       and <size_t>spreads.shape[0] == count and <size_t>clocks.shape[0] == count
                       and <size_t>latest.shape[0] == count and <size_t>priors.shape[0] == count
                       and <size_t>kinds.shape[0] == (count if mixed else 0)
                       and <size_t>others.shape[0] == (count if together else 0)
                       and <size_t>other_origin.shape[0] == <size_t>other_hash.shape[0]
                       and (told or not together))
    table.clear()
    for i in range(count if sound else 0):
        n = ns[i]
        kind = <Posterior>kinds[i] if mixed else FULL if table.full else DIAGONAL
        clocked = table.clocked and kind == DIAGONAL
        n_precisions = n if kind == DIAGONAL else triangle(n)
        n_factor = 1 + triangle(n) if kind == WITH_FACTOR else 0
        n_others = others[i] if together else 0
        sound = (n_others <= (0 if kind == DIAGONAL else MOST_OTHERS)
                 and at_other + n_others <= <size_t>other_hash.shape[0]
                 and at_between + n_others * n <= <size_t>between.shape[0]
                 and kind <= WITH_FACTOR and (table.full or kind == DIAGONAL) and (n > FACTORED or kind != WITH_FACTOR)
                 and n <= <size_t>(MOST if kind == DIAGONAL else MOST_FULL) and at + n <= <size_t>hashes.shape[0]
                 and at + n <= <size_t>means.shape[0]
                 and at_precision + n_precisions <= <size_t>precisions.shape[0]
                 and at_factor + n_factor <= <size_t>factors.shape[0]
                 and (not told or at + n <= <size_t>origins.shape[0])
                 and at_name + name_lengths[i] <= <size_t>names.shape[0]
                 and (not clocked or at_clock + n <= <size_t>coefficient_clocks.shape[0])
                 and table.slots[table.place_of(keys[i])] == NULL
                 and isfinite(clocks[i]) and isfinite(latest[i]) and isfinite(priors[i])
                 and priors[i] >= 0 and isfinite(spreads[i]) and counts[i] >= 0)
        if not sound:
            break
        name = <const char*>&names[at_name] if name_lengths[i] else NULL
        record = table.make(keys[i], name, name_lengths[i], <uint32_t>n)
        record = table.shaped(record, <uint32_t>n, kind != DIAGONAL, kind != DIAGONAL and n > FACTORED)
        record.count, record.clock, record.latest = counts[i], clocks[i], latest[i]
        record.prior, record.spread = priors[i], spreads[i]
        for j in range(n):
            sound = sound and lookup(record, hashes[at + j], ABSENT) == ABSENT and isfinite(means[at + j])
            table.place(record, hashes[at + j])
            means_of(record)[j] = means[at + j]
            if told:
                origins_of(table, record)[j] = origins[at + j]
                sound = sound and isfinite(origins[at + j])
            if clocked:
                clocks_of(record)[j] = coefficient_clocks[at_clock + j]
                sound = sound and isfinite(coefficient_clocks[at_clock + j])
        for j in range(n_precisions):
            precisions_of(record)[j] = precisions[at_precision + j]
            sound = sound and isfinite(precisions[at_precision + j])
        for j in range(n_factor):
            factor_of(record)[j] = factors[at_factor + j]
            sound = sound and isfinite(factors[at_factor + j])
        sound = sound and has_factor(record, kind == WITH_FACTOR)
        if n_others and sound:
            sound = take_between(&table.bytes, record, <uint32_t>n_others,
                                 &other_hash[at_other], &other_origin[at_other],
                                 &between[at_between] if n else NULL)
        at_other += n_others
        at_between += n_others * n
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
        at_precision += n_precisions
        at_factor += n_factor
        at_clock += ns[i] if clocked else 0
    if not (sound and at == <size_t>hashes.shape[0] and at == <size_t>means.shape[0]
            and at_precision == <size_t>precisions.shape[0] and at_name == <size_t>names.shape[0]
            and (not told or at == <size_t>origins.shape[0])
            and at_other == <size_t>other_hash.shape[0] and at_between == <size_t>between.shape[0]
            and at_clock == <size_t>coefficient_clocks.shape[0] and at_factor == <size_t>factors.shape[0]
            and at_waiting == <size_t>waiting_ns.shape[0]
            and 3 * at_waiting == <size_t>waiting_examples.shape[0]
            and 2 * at_feature == <size_t>waiting_features.shape[0]):
        table.clear()
        io.refuse("its tables of entities don't hold together")


cdef bint has_factor(Record* record, bint wanted) noexcept nogil:
    """Whether what was read for a record's factor could be one; True if none is wanted."""
    cdef size_t k
    if not wanted:
        return True
    if not factor_of(record)[0] >= 0:
        return False
    for k in range(record.n):
        if not factor_of(record)[1 + triangle(k) + k] > 0:
            return False
    return True
