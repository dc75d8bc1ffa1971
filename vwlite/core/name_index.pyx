"""Name index. Design notes are in name_index.pxd."""
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport grow

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef enum:
    FIRST_PLACES = 128

cdef uint32_t SEED = 0x5bd1e995


cdef int64_t number_of(NameIndex* index, const char* name, uint32_t length, uint64_t hash) except -1 nogil:
    cdef uint64_t key = hash
    cdef Place* place
    if length:
        key = (<uint64_t>vwl_murmur3_32_padded(<const uint8_t*>name, length, SEED) << 32
               | vwl_murmur3_32_padded(<const uint8_t*>name, length, ~SEED))
    if 2 * <size_t>index.n >= index.n_places:
        widen(index)
    place = &index.places[home_of(key, index.n_places)]
    while place.number and not (place.key == key and place.length == length
                                and (length == 0 or memcmp(index.text + place.name, name, length) == 0)):
        place = following(index.places, index.n_places, place)
    if place.number == 0:
        grow(&index.text, &index.text_capacity, index.text_length + length, 1)
        if length:
            memcpy(index.text + index.text_length, name, length)
        index.n += 1
        place.key, place.name, place.length, place.number = key, index.text_length, length, index.n
        index.text_length += length
    return place.number - 1


cdef list names_in(const NameIndex* index):
    cdef size_t i
    cdef const Place* place
    found = [b""] * index.n
    for i in range(index.n_places):
        place = &index.places[i]
        if place.number and place.length:
            found[place.number - 1] = PyBytes_FromStringAndSize(index.text + place.name, place.length)
        elif place.number:
            found[place.number - 1] = b"%d" % place.key
    return found


cdef void free_index(NameIndex* index) noexcept nogil:
    free(index.places)
    free(index.text)


cdef int widen(NameIndex* index) except -1 nogil:
    """Doubles the number of places."""
    cdef size_t i, n = 2 * index.n_places or FIRST_PLACES
    cdef Place* places = <Place*>calloc(n, sizeof(Place))
    cdef Place* place
    if places == NULL:
        with gil:
            raise MemoryError(f"{n * sizeof(Place):,} bytes for names")
    for i in range(index.n_places):
        if index.places[i].number:
            place = &places[home_of(index.places[i].key, n)]
            while place.number:
                place = following(places, n, place)
            place[0] = index.places[i]
    free(index.places)
    index.places = places
    index.n_places = n
    return 0


cdef inline size_t home_of(uint64_t key, size_t n) noexcept nogil:
    """The first place to look up a key. Numeric ids are their own hashes, so Fibonacci hashing spreads them."""
    return (key * <uint64_t>0x9E3779B97F4A7C15 >> 32) & (n - 1)


cdef inline Place* following(Place* places, size_t n, Place* place) noexcept nogil:
    return places if place + 1 == places + n else place + 1
