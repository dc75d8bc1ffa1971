"""Growable C arrays (realloc). Whoever owns an array frees it."""
from libc.stdlib cimport realloc


cdef inline int grow(void* array, size_t* capacity, size_t needed, size_t item_size) except -1 nogil:
    """Enlarge an array so that it holds at least `needed` items; its content stays.

    Args:
        array: The address of the pointer to it, which may be NULL.
        capacity: How many items it holds; updated.
        item_size: Bytes of an item.
    """
    cdef void* larger
    if needed <= capacity[0]:
        return 0
    needed += needed // 2
    larger = realloc((<void**>array)[0], needed * item_size)
    if larger == NULL:
        with gil:
            raise MemoryError(f"no memory for {needed * item_size:,} bytes")
    (<void**>array)[0] = larger
    capacity[0] = needed
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
