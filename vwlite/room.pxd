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
