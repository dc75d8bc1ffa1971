"""Cross-precision block between an entity and the fixed part. Design notes are in cross_precision.pxd."""
from libc.math cimport isfinite
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from vwlite.entities.record cimport ABSENT, CrossPrecision, Record, bytes_between, lookup


cdef int make_between(size_t* bytes, Record* record, uint32_t capacity) except -1 nogil:
    """Allocate a block for `capacity` features and all coefficients of the record; its content is preserved."""
    cdef CrossPrecision* before = record.between
    cdef CrossPrecision* between
    cdef uint32_t rows = record.n
    cdef size_t size
    capacity = (capacity + 1) & ~<uint32_t>1
    size = sizeof(CrossPrecision) + capacity * (12 + 8 * <size_t>rows)
    between = <CrossPrecision*>malloc(size)
    if between == NULL:
        with gil:
            raise MemoryError(f"{size:,} bytes for the cross-precision of an entity and the fixed part")
    memset(between, 0, size)
    between.capacity, between.rows = capacity, rows
    if before != NULL:
        fill(between, before)
    bytes[0] += size - bytes_between(record)
    free(before)
    record.between = between
    return 0


cdef int add_other(size_t* bytes, Record* record, uint32_t hash, double origin, size_t more) except -1 nogil:
    """Append a feature without data; `more` is the expected number of new ones."""
    cdef CrossPrecision* between = record.between
    cdef uint32_t n = between.n if between != NULL else 0
    if between == NULL or n == between.capacity:
        make_between(bytes, record, <uint32_t>min(n + max(more, n // 4), <size_t>MOST_OTHERS))
    between = record.between
    other_origins(between)[between.n] = origin
    other_hashes(between)[between.n] = hash
    between.n += 1
    return 0


cdef int copy_between(size_t* bytes, Record* to, Record* record) except -1 nogil:
    """Copy the block of a record to another one of the same coefficients, which has none."""
    cdef CrossPrecision* between = record.between
    if between == NULL:
        return 0
    make_between(bytes, to, between.n)
    fill(to.between, between)
    return 0


cdef void fill(CrossPrecision* to, CrossPrecision* between) noexcept nogil:
    """Copy the features of a block to one with capacity for them."""
    cdef uint32_t j
    to.n = between.n
    memcpy(other_origins(to), other_origins(between), between.n * sizeof(double))
    memcpy(other_hashes(to), other_hashes(between), between.n * sizeof(uint32_t))
    for j in range(between.n):
        memcpy(other_column(to, j), other_column(between, j), min(to.rows, between.rows) * sizeof(double))


cdef char* put_columns(char* to, Record* record) noexcept nogil:
    """Serialize the columns, with a number for each coefficient; returns the end."""
    cdef size_t j, size = record.n * sizeof(double)
    for j in range(record.between.n):
        memset(to, 0, size)
        memcpy(to, other_column(record.between, j), min(size, record.between.rows * sizeof(double)))
        to += size
    return to


cdef bint take_between(size_t* bytes, Record* record, uint32_t n, const void* hashes, const void* origins,
                       const void* columns) except -1 nogil:
    """Load a block, for a record that has all its coefficients; returns False if it is invalid."""
    make_between(bytes, record, n)
    record.between.n = n
    memcpy(other_hashes(record.between), hashes, n * sizeof(uint32_t))
    memcpy(other_origins(record.between), origins, n * sizeof(double))
    memcpy(other_column(record.between, 0), columns, n * <size_t>record.n * sizeof(double))
    return is_sound(record)


cdef bint is_sound(Record* record) noexcept nogil:
    """Whether a loaded block is valid: finite, of distinct features, none of them the entity's."""
    cdef CrossPrecision* between = record.between
    cdef uint32_t i, j
    for j in range(between.n):
        if (other_place(between, other_hashes(between)[j], 0) != j or not isfinite(other_origins(between)[j])
                or lookup(record, other_hashes(between)[j], ABSENT) != ABSENT):
            return False
        for i in range(between.rows):
            if not isfinite(other_column(between, j)[i]):
                return False
    return True
