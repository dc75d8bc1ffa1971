"""Room in C for numbers that are worked with: it grows, and is freed by whom it belongs to."""
from libc.stdlib cimport realloc


cdef inline int grow(void* room, size_t* size, size_t needed, size_t each) except -1 nogil:
    """Room for at least `needed` things of `each` bytes; what was there stays.

    Args:
        room: Where the pointer to it is.
        size: How many things it has room for; changed with it.
    """
    cdef void* larger
    if needed <= size[0]:
        return 0
    needed += needed // 2
    larger = realloc((<void**>room)[0], needed * each)
    if larger == NULL:
        with gil:
            raise MemoryError(f"no room for {needed * each:,} bytes")
    (<void**>room)[0] = larger
    size[0] = needed
    return 0


cdef inline int grow_together(void** rooms, size_t count, size_t* size, size_t needed, size_t each) except -1 nogil:
    """grow() for `count` arrays of one size; `rooms` are where the pointers to them are."""
    cdef size_t i, before = size[0], now = size[0]
    for i in range(count):
        now = before
        grow(rooms[i], &now, needed, each)
    size[0] = now
    return 0
