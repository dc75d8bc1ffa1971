"""Saving and loading of entity tables in a model file: one array for each field, entity after entity.

Arrays are written in pieces from the records, so that a save needs no memory for a second copy of the table.
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
    ABSENT, FACTORED, MOST, MOST_FULL, UNCOUNTED, UNTOLD, CrossPrecision, Record, Waiting, clocks_of, factor_in,
    factor_of, hashes_of, lookup, means_of, name_of, precisions_in, precisions_of, triangle,
)
from vwlite.entities.table cimport EntityTable, information_of, origins_of

cdef extern from "vwlite/entities/table.h" nogil:
    void vwl_prefetch(const void* place)

cdef enum:
    PIECE = 1 << 20                   # bytes, or more if one entity has more
    AHEAD = 16                        # records between prefetch and use

cdef enum Field:
    KEY, COEFFICIENTS, NAME_LENGTH, N_WAITING, COUNT, CLOCK, LATEST, PRIOR, SPREAD
    NAME, HASH, MEAN, PRECISION, COEFFICIENT_CLOCK, WAITING_EXAMPLE, WAITING_N, WAITING_FEATURE, KIND, FACTOR, ORIGIN
    OTHERS, OTHER_HASH, OTHER_ORIGIN, BETWEEN, INFORMATION, DOF

cdef enum Posterior:
    DIAGONAL, FULL, WITH_FACTOR

FIELDS = (
    ("key", "U64"), ("coefficients", "U32"), ("name_length", "U32"), ("waiting", "U32"), ("count", "I64"),
    ("clock", "F64"), ("latest", "F64"), ("prior", "F64"), ("spread", "F64"), ("name", "U8"), ("hash", "U32"),
    ("mean", "F64"), ("precision", "F64"), ("coefficient_clock", "F64"),
    ("waiting_example", "F64"), ("waiting_n", "U32"), ("waiting_feature", "U32"), ("posterior", "U8"),
    ("factor", "F64"), ("origin", "F64"),
    ("others", "U32"), ("other_hash", "U32"), ("other_origin", "F64"), ("between", "F64"),
    ("information", "F64"), ("dof", "F64"),
)
NEWER = ("posterior", "factor")       # only saved if not every record is FULL, as all were in the first version
OF_BETWEEN = ("others", "other_hash", "other_origin", "between")         # only saved if a record has one

LEANED = "an earlier vwlite made it, in which several effects with features leaned on the fixed part"


def save(EntityTable table, io):
    """Save every field of a table."""
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
        if ((plain and name in NEWER) or (alone and name in OF_BETWEEN) or (name == "origin" and not table.anchored)
                or (name == "information" and not table.informed)):
            continue
        io.array(name, dtype, column)


cdef inline Posterior kind_of(Record* record) noexcept nogil:
    return DIAGONAL if not record.full else WITH_FACTOR if factor_in(record) else FULL


cdef class Order:
    """Array of the records of a table, in order, for prefetching: the records are scattered in memory."""

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
    """A field of all records as pieces of bytes; valid as long as the table doesn't change."""

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
        """Bytes of the field of one record."""
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
        if self.field == INFORMATION:
            return 8 * n if self.table.informed and record.full else 0
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
        """Address of the field of a record; NULL if it is not contiguous."""
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
        if self.field == DOF:
            return &record.dof
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
        if self.field == INFORMATION:
            return information_of(self.table, record)
        if self.field == OTHER_HASH and record.between != NULL:
            return other_hashes(record.between)
        if self.field == OTHER_ORIGIN and record.between != NULL:
            return other_origins(record.between)
        return NULL

    cdef inline char* put(self, char* to, Record* record) noexcept nogil:
        """Copy the field of one record; returns the end."""
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
        while waiting != NULL:            # the list is newest first, so write from the end
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
        """Copy the number of features of a CrossPrecision, or its columns, with a number for each coefficient."""
        cdef CrossPrecision* between = record.between
        cdef uint32_t n_others = between.n if between != NULL else 0
        if self.field == OTHERS:
            memcpy(to, &n_others, 4)
        elif self.field == BETWEEN and n_others:
            put_columns(to, record)


def load(EntityTable table, io):
    """Load a table that save() wrote; raises ModelError for invalid numbers."""
    cdef Loading loading
    if not table.anchored and io.has("origin"):
        io.refuse(LEANED)
    loading = Loading(table, io)
    if not loading.run():
        table.clear()
        io.refuse("its tables of entities are inconsistent")


cdef class Loading:
    """Loader: the arrays of an entity table in a model file, and the read position in each."""

    cdef EntityTable table
    cdef const uint64_t[::1] keys
    cdef const uint32_t[::1] ns       # coefficients
    cdef const uint32_t[::1] name_lengths, n_waiting
    cdef const int64_t[::1] counts
    cdef const double[::1] clocks, latest, priors, spreads
    cdef const unsigned char[::1] names
    cdef const uint32_t[::1] hashes
    cdef const double[::1] means, precisions, coefficient_clocks
    cdef const double[::1] waiting_examples
    cdef const uint32_t[::1] waiting_ns, waiting_features
    # optional arrays
    cdef bint mixed, told, together, informed, counted
    cdef const unsigned char[::1] kinds
    cdef const double[::1] factors, origins, information, dofs
    cdef const uint32_t[::1] others, other_hash
    cdef const double[::1] other_origin, between
    # of the current entity
    cdef uint32_t n, n_others
    cdef size_t n_precisions, n_factor, n_information
    cdef Posterior kind
    cdef bint clocked
    # position of its part in each array
    cdef size_t at, at_name, at_precision, at_factor, at_clock, at_waiting, at_feature, at_other, at_between
    cdef size_t at_information

    def __init__(self, table, io):
        self.table = table
        self.keys = io.array("key", "U64", None)
        self.ns = io.array("coefficients", "U32", None)
        self.name_lengths = io.array("name_length", "U32", None)
        self.n_waiting = io.array("waiting", "U32", None)
        self.counts = io.array("count", "I64", None)
        self.clocks = io.array("clock", "F64", None)
        self.latest = io.array("latest", "F64", None)
        self.priors = io.array("prior", "F64", None)
        self.spreads = io.array("spread", "F64", None)
        self.names = io.array("name", "U8", None)
        self.hashes = io.array("hash", "U32", None)
        self.means = io.array("mean", "F64", None)
        self.precisions = io.array("precision", "F64", None)
        self.coefficient_clocks = io.array("coefficient_clock", "F64", None)
        self.waiting_examples = io.array("waiting_example", "F64", None)
        self.waiting_ns = io.array("waiting_n", "U32", None)
        self.waiting_features = io.array("waiting_feature", "U32", None)
        self.mixed = io.has("posterior")
        self.kinds = io.array("posterior", "U8", None) if self.mixed else self.names[:0]
        self.factors = io.array("factor", "F64", None) if self.mixed else self.means[:0]
        self.told = self.table.anchored and io.has("origin")      # missing in models of the first version
        self.origins = io.array("origin", "F64", None) if self.told else self.means[:0]
        self.together = io.has("others")
        self.others = io.array("others", "U32", None) if self.together else self.ns[:0]
        self.other_hash = io.array("other_hash", "U32", None) if self.together else self.ns[:0]
        self.other_origin = io.array("other_origin", "F64", None) if self.together else self.means[:0]
        self.between = io.array("between", "F64", None) if self.together else self.means[:0]
        self.informed = self.table.informed and io.has("information")
        self.information = io.array("information", "F64", None) if self.informed else self.means[:0]
        self.counted = io.has("dof")
        self.dofs = io.array("dof", "F64", None) if self.counted else self.means[:0]

    cdef bint run(self) except -1:
        """Create the entities; returns whether the arrays are consistent."""
        cdef size_t i
        cdef Record* record
        self.table.clear()
        if not self.are_as_many():
            return False
        for i in range(<size_t>self.keys.shape[0]):
            if not self.begin(i):
                return False
            record = self.make(i)
            if not (self.fill(record) and self.fill_between(record) and self.fill_waiting(record, self.n_waiting[i])):
                return False
            self.at += self.n
            self.at_name += self.name_lengths[i]
            self.at_precision += self.n_precisions
            self.at_factor += self.n_factor
            self.at_information += self.n_information
            self.at_clock += self.n if self.clocked else 0
        return self.is_at_end()

    cdef bint are_as_many(self) noexcept:
        """Whether the arrays with one number for each entity have the same length."""
        cdef Py_ssize_t count = self.keys.shape[0]
        return (self.ns.shape[0] == count and self.name_lengths.shape[0] == count and self.n_waiting.shape[0] == count
                and self.counts.shape[0] == count and self.spreads.shape[0] == count and self.clocks.shape[0] == count
                and self.latest.shape[0] == count and self.priors.shape[0] == count
                and self.kinds.shape[0] == (count if self.mixed else 0)
                and self.dofs.shape[0] == (count if self.counted else 0)
                and self.others.shape[0] == (count if self.together else 0)
                and self.other_origin.shape[0] == self.other_hash.shape[0] and (self.told or not self.together))

    cdef bint begin(self, size_t i) noexcept:
        """Read the sizes of an entity; returns whether they are valid and all arrays have its part."""
        cdef bint diagonal
        cdef size_t n = self.ns[i]
        self.kind = <Posterior>self.kinds[i] if self.mixed else FULL if self.table.full else DIAGONAL
        diagonal = self.kind == DIAGONAL
        if self.kind > WITH_FACTOR or n > <size_t>(MOST if diagonal else MOST_FULL):
            return False
        self.n = <uint32_t>n
        self.clocked = self.table.clocked and diagonal
        self.n_precisions = n if diagonal else triangle(n)
        self.n_factor = 1 + triangle(n) if self.kind == WITH_FACTOR else 0
        self.n_information = n if self.informed and not diagonal else 0
        self.n_others = self.others[i] if self.together else 0
        return (self.n_others <= <size_t>(0 if diagonal else MOST_OTHERS)
                and self.at_other + self.n_others <= <size_t>self.other_hash.shape[0]
                and self.at_between + self.n_others * n <= <size_t>self.between.shape[0]
                and (self.table.full or diagonal)
                and self.at + n <= <size_t>self.hashes.shape[0] and self.at + n <= <size_t>self.means.shape[0]
                and self.at_precision + self.n_precisions <= <size_t>self.precisions.shape[0]
                and self.at_factor + self.n_factor <= <size_t>self.factors.shape[0]
                and (not self.told or self.at + n <= <size_t>self.origins.shape[0])
                and self.at_information + self.n_information <= <size_t>self.information.shape[0]
                and self.at_name + self.name_lengths[i] <= <size_t>self.names.shape[0]
                and (not self.clocked or self.at_clock + n <= <size_t>self.coefficient_clocks.shape[0])
                and self.table.slots[self.table.place_of(self.keys[i])] == 0
                and isfinite(self.clocks[i]) and isfinite(self.latest[i]) and isfinite(self.priors[i])
                and self.priors[i] >= 0 and isfinite(self.spreads[i]) and self.counts[i] >= 0
                and (not self.counted or is_dof(self.dofs[i], self.ns[i])))

    cdef Record* make(self, size_t i) except NULL:
        """Create the entity in the table, without coefficients."""
        cdef const char* name = <const char*>&self.names[self.at_name] if self.name_lengths[i] else NULL
        cdef bint full = self.kind != DIAGONAL
        cdef Record* record = self.table.make(self.keys[i], name, self.name_lengths[i], self.n)
        # capacity for more than FACTORED coefficients is reserved with a factor, however many of them are used
        record = self.table.shaped(record, self.n, full, full and (self.n > FACTORED or self.kind == WITH_FACTOR))
        record.count, record.clock, record.latest = self.counts[i], self.clocks[i], self.latest[i]
        record.prior, record.spread = self.priors[i], self.spreads[i]
        record.dof = self.dofs[i] if self.counted else UNCOUNTED
        return record

    cdef bint fill(self, Record* record) except -1:
        """Read the coefficients; returns whether their hashes are distinct, and all numbers finite."""
        cdef size_t j
        cdef bint sound = True
        for j in range(self.n):
            sound = sound and lookup(record, self.hashes[self.at + j], ABSENT) == ABSENT
            self.table.place(record, self.hashes[self.at + j])
            means_of(record)[j] = self.means[self.at + j]
            sound = sound and isfinite(means_of(record)[j])
            if self.told:
                origins_of(self.table, record)[j] = self.origins[self.at + j]
                sound = sound and isfinite(self.origins[self.at + j])
            if self.clocked:
                clocks_of(record)[j] = self.coefficient_clocks[self.at_clock + j]
                sound = sound and isfinite(clocks_of(record)[j])
        for j in range(self.n_precisions):
            precisions_of(record)[j] = self.precisions[self.at_precision + j]
            sound = sound and isfinite(precisions_of(record)[j])
        for j in range(self.n_factor):
            factor_of(record)[j] = self.factors[self.at_factor + j]
            sound = sound and isfinite(factor_of(record)[j])
        for j in range(self.n_information):
            information_of(self.table, record)[j] = self.information[self.at_information + j]
            sound = sound and isfinite(information_of(self.table, record)[j])
        if self.table.informed and record.full and self.n and not self.n_information:
            information_of(self.table, record)[0] = UNTOLD
        return sound and has_factor(record, self.kind == WITH_FACTOR)

    cdef bint fill_between(self, Record* record) except -1:
        """Read the CrossPrecision; returns whether it is valid."""
        cdef bint sound = True
        if self.n_others:
            sound = take_between(&self.table.bytes, record, self.n_others, &self.other_hash[self.at_other],
                                 &self.other_origin[self.at_other],
                                 &self.between[self.at_between] if self.n else NULL)
        self.at_other += self.n_others
        self.at_between += <size_t>self.n_others * self.n
        return sound

    cdef bint fill_waiting(self, Record* record, uint32_t count) except -1:
        """Read the pending examples of a batch; returns whether they are complete, and all numbers finite."""
        cdef size_t k, n
        cdef Waiting* waiting
        cdef bint sound = True
        for _ in range(count):
            if not (self.at_waiting < <size_t>self.waiting_ns.shape[0]
                    and 3 * self.at_waiting + 3 <= <size_t>self.waiting_examples.shape[0]
                    and 2 * (self.at_feature + self.waiting_ns[self.at_waiting])
                    <= <size_t>self.waiting_features.shape[0]):
                return False
            n = self.waiting_ns[self.at_waiting]
            waiting = <Waiting*>malloc(sizeof(Waiting) + n * sizeof(Feature))
            if waiting == NULL:
                raise MemoryError
            waiting.n = <uint32_t>n
            waiting.label = self.waiting_examples[3 * self.at_waiting]
            waiting.weight = self.waiting_examples[3 * self.at_waiting + 1]
            waiting.initial = self.waiting_examples[3 * self.at_waiting + 2]
            sound = sound and isfinite(waiting.label) and isfinite(waiting.weight) and isfinite(waiting.initial)
            if n:
                memcpy(waiting + 1, &self.waiting_features[2 * self.at_feature], n * sizeof(Feature))
            for k in range(n):
                sound = sound and isfinite((<Feature*>(waiting + 1))[k].value)
            waiting.before = record.waiting
            record.waiting = waiting
            record.n_waiting += 1
            self.at_waiting += 1
            self.at_feature += n
        return sound

    cdef bint is_at_end(self) noexcept:
        """Whether each array was read to its end."""
        return (self.at == <size_t>self.hashes.shape[0] and self.at == <size_t>self.means.shape[0]
                and self.at_precision == <size_t>self.precisions.shape[0]
                and self.at_name == <size_t>self.names.shape[0]
                and (not self.told or self.at == <size_t>self.origins.shape[0])
                and self.at_other == <size_t>self.other_hash.shape[0]
                and self.at_between == <size_t>self.between.shape[0]
                and self.at_clock == <size_t>self.coefficient_clocks.shape[0]
                and self.at_factor == <size_t>self.factors.shape[0]
                and self.at_information == <size_t>self.information.shape[0]
                and self.at_waiting == <size_t>self.waiting_ns.shape[0]
                and 3 * self.at_waiting == <size_t>self.waiting_examples.shape[0]
                and 2 * self.at_feature == <size_t>self.waiting_features.shape[0])


cdef bint is_dof(double dof, size_t n) noexcept nogil:
    """Whether the degrees of freedom of n loaded coefficients are valid, or UNCOUNTED."""
    return 0 <= dof <= n or dof == UNCOUNTED


cdef bint has_factor(Record* record, bint wanted) noexcept nogil:
    """Whether a loaded Cholesky factor is valid; True if none is wanted."""
    cdef size_t k
    if not wanted:
        return True
    if not factor_of(record)[0] >= 0:
        return False
    for k in range(record.n):
        if not factor_of(record)[1 + triangle(k) + k] > 0:
            return False
    return True
