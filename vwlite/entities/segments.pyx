"""Segments: loops over the parts of flat arrays, one part for each entity. See flat.py."""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcmp, memcpy, memset

from vwlite.entities.table cimport other_key

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef enum:
    PADDING = 16                      # bytes that the hash may read past the end
    FEW = 32                          # hashes that are compared pair by pair


def gather(sources, begins, const int64_t[::1] order):
    """The parts of several arrays in another order, one after the other, as bytes.

    Args:
        sources: The bytes of each array.
        begins: For each where its parts begin in bytes, and where the last one ends: increasing numbers.
        order: The number of each part that is taken, counted over all arrays.
    """
    cdef Py_ssize_t i, k, n = 0, size = 0, count = sum([len(begin) - 1 for begin in begins])
    cdef const uint8_t[::1] source
    cdef const int64_t[::1] begin
    cdef const uint8_t** at = <const uint8_t**>malloc((count + 1) * sizeof(uint8_t*))
    cdef int64_t* length = <int64_t*>malloc((count + 1) * sizeof(int64_t))
    cdef char* to
    try:
        if at == NULL or length == NULL:
            raise MemoryError
        for source, begin in zip(sources, begins, strict=True):
            for i in range(begin.shape[0] - 1):
                length[n] = begin[i + 1] - begin[i]
                at[n] = &source[begin[i]] if length[n] else NULL
                n += 1
        for i in range(order.shape[0]):
            size += length[order[i]]
        taken = PyBytes_FromStringAndSize(NULL, size)
        to = PyBytes_AS_STRING(taken)
        with nogil:
            for i in range(order.shape[0]):
                k = order[i]
                if length[k]:
                    memcpy(to, at[k], length[k])
                    to += length[k]
        return taken
    finally:
        free(at)
        free(length)


def hashes_of_names(const uint8_t[::1] names, const int64_t[::1] begin, uint32_t namespace):
    """The hash of each entity's name, as effects.pyx makes it: the key, unless another entity has it. As bytes of U64.

    Args:
        names: The names, one after the other.
        begin: Where each begins, and where the last one ends.
        namespace: The hash of the effect's namespace.
    """
    cdef Py_ssize_t i, n = begin.shape[0] - 1
    cdef uint8_t* padded = <uint8_t*>malloc(names.shape[0] + PADDING)
    cdef const uint8_t* name
    if padded == NULL:
        raise MemoryError
    found = PyBytes_FromStringAndSize(NULL, 8 * n)
    cdef uint64_t* to = <uint64_t*>PyBytes_AS_STRING(found)
    with nogil:
        if names.shape[0]:
            memcpy(padded, &names[0], names.shape[0])
        memset(padded + names.shape[0], 0, PADDING)
        for i in range(n):
            name = padded + begin[i]
            to[i] = (<uint64_t>vwl_murmur3_32_padded(name, begin[i + 1] - begin[i], namespace) << 32
                     | vwl_murmur3_32_padded(name, begin[i + 1] - begin[i], ~namespace))
    free(padded)
    return found


def key_of(uint64_t hash, bytes name, uint32_t tries):
    """The key of an entity by the number of keys before it that other entities have."""
    return other_key(hash, name, tries) if tries else hash


@cython.wraparound(False)
def with_repeated(const uint32_t[::1] hashes, const int64_t[::1] begin):
    """The number of the first part with a hash that it has twice; -1 if there is none."""
    cdef Py_ssize_t i, at, n, before = 0, found = -1
    cdef uint32_t* sorted = NULL
    cdef int64_t most = 1
    for i in range(begin.shape[0] - 1):
        most = max(most, begin[i + 1] - begin[i])
    sorted = <uint32_t*>malloc(4 * most)
    if sorted == NULL:
        raise MemoryError
    with nogil:
        for i in range(begin.shape[0] - 1):
            at, n = begin[i], begin[i + 1] - begin[i]
            # most entities have the features of the one before, in its order
            if n < 2 or (at >= n and before >= n and memcmp(&hashes[at], &hashes[at - before], 4 * n) == 0):
                before = n
                continue
            before = n
            if repeats(&hashes[at], n, sorted):
                found = i
                break
    free(sorted)
    return found


cdef bint repeats(const uint32_t* hashes, Py_ssize_t n, uint32_t* sorted) noexcept nogil:
    """Whether one of n hashes is there twice."""
    cdef Py_ssize_t i, j
    if n <= FEW:
        for i in range(1, n):
            for j in range(i):
                if hashes[i] == hashes[j]:
                    return True
        return False
    memcpy(sorted, hashes, 4 * n)
    qsort(sorted, n, 4, by_number)
    for i in range(1, n):
        if sorted[i] == sorted[i - 1]:
            return True
    return False


cdef int by_number(const void* a, const void* b) noexcept nogil:
    """Comparison of hashes, for qsort."""
    cdef uint32_t first = (<const uint32_t*>a)[0], second = (<const uint32_t*>b)[0]
    return (first > second) - (first < second)
