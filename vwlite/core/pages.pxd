"""Zeroed memory in pages of its own, and growing arrays in it. The owner of an array frees it by free_pages."""
from libc.string cimport memcpy

cdef extern from "vwlite/core/pages.h" nogil:
    void* vwl_new_pages(size_t bytes)
    void free_pages "vwl_free_pages" (void* memory)


cdef inline void* new_pages(size_t items, size_t item_size, const char* purpose) except NULL nogil:
    """Zeroed memory for `items` items.

    Args:
        item_size: Bytes of an item.
        purpose: Text of a MemoryError after the number of bytes, such as "for rows".
    """
    cdef void* memory = vwl_new_pages(items * item_size)
    if memory == NULL:
        with gil:
            raise MemoryError(f"{items * item_size:,} bytes {purpose.decode()}")
    return memory


cdef inline int grow_pages(void* array, size_t* capacity, size_t needed, size_t item_size,
                           const char* purpose) except -1 nogil:
    """Enlarge an array of new_pages() to twice `needed` items if it is smaller; new items are zero.

    Args:
        array: Address of the pointer to it, which may be NULL; unchanged if MemoryError is raised.
        capacity: Number of items it can hold; updated.
        item_size: Bytes of an item.
        purpose: As for new_pages().
    """
    cdef void* memory
    if needed > capacity[0]:
        memory = new_pages(2 * needed, item_size, purpose)
        if capacity[0]:
            memcpy(memory, (<void**>array)[0], capacity[0] * item_size)
        free_pages((<void**>array)[0])
        (<void**>array)[0] = memory
        capacity[0] = 2 * needed
    return 0
