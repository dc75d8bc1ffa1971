"""Lookup in records of coefficients. Design notes are in record.pxd."""
from libc.stdint cimport uint16_t, uint32_t

cdef extern from "vwlite/entities/table.h" nogil:
    uint32_t vwl_find(const uint32_t* hashes, uint32_t n, uint32_t hash)

UNTOLD = -1e300


cdef uint32_t search(Record* record, uint32_t hash) noexcept nogil:
    """Index of a feature's coefficient, ABSENT if it has none."""
    cdef uint32_t* hashes = hashes_of(record)
    cdef void* index = hashes + record.capacity
    cdef uint32_t i, place, size = index_size(record.capacity)
    cdef bint wide = is_wide(record.capacity)
    if not record.own or record.capacity <= FEW:
        i = vwl_find(hashes, record.n, hash)
        return i if i < record.n else ABSENT
    i = home_in(record, hash)
    while True:
        place = (<uint32_t*>index)[i] if wide else (<uint16_t*>index)[i]
        if place == 0:
            return ABSENT
        if hashes[place - 1] == hash:
            return place - 1
        i = i + 1 if i + 1 < size else 0


cdef void index_place(Record* record, uint32_t place) noexcept nogil:
    """Add a place to the index of a record that has one."""
    cdef void* index = hashes_of(record) + record.capacity
    cdef uint32_t i = home_in(record, hashes_of(record)[place]), size = index_size(record.capacity)
    if is_wide(record.capacity):
        while (<uint32_t*>index)[i]:
            i = i + 1 if i + 1 < size else 0
        (<uint32_t*>index)[i] = place + 1
        return
    while (<uint16_t*>index)[i]:
        i = i + 1 if i + 1 < size else 0
    (<uint16_t*>index)[i] = <uint16_t>(place + 1)
