"""Growable C arrays (realloc). The owner of an array frees it."""
from libc.stdlib cimport realloc


cdef inline int resize(void* array, size_t items, size_t item_size, const char* purpose=b"") except -1 nogil:
    """Reallocate an array for `items` items; its content is preserved, as far as it fits.

    Args:
        array: Address of the pointer to it, which may be NULL; unchanged if MemoryError is raised.
        item_size: Bytes of an item.
        purpose: Text of a MemoryError after the number of bytes, such as "for labels".
    """
    cdef void* moved = realloc((<void**>array)[0], items * item_size)
    if moved == NULL:
        with gil:
            raise MemoryError(f"{items * item_size:,} bytes {purpose.decode()}".rstrip())
    (<void**>array)[0] = moved
    return 0


cdef inline int grow(void* array, size_t* capacity, size_t needed, size_t item_size) except -1 nogil:
    """Enlarge an array to 1.5 times `needed` items if it is smaller than `needed`; its content is preserved.

    Args:
        array: Address of the pointer to it, which may be NULL.
        capacity: Number of items it can hold; updated.
        item_size: Bytes of an item.
    """
    if needed > capacity[0]:
        resize(array, needed + needed // 2, item_size)
        capacity[0] = needed + needed // 2
    return 0


cdef inline int grow_together(void** arrays, size_t count, size_t* capacity, size_t needed,
                              size_t item_size) except -1 nogil:
    """grow() for `count` arrays of one capacity; `arrays` holds the addresses of the pointers to them."""
    cdef size_t i, before = capacity[0], now = before
    for i in range(count):
        now = before
        grow(arrays[i], &now, needed, item_size)
    capacity[0] = now
    return 0
