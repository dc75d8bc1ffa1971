"""Has parts of a block come from memory before they are needed: another core has written them."""
from vwlite.core.example cimport Block, Extent, NameSpan, Row

cdef extern from "vwlite/core/fetch.h" nogil:
    void vwl_fetch(const void* start, size_t n)


cdef inline void fetch_names(Block block, const Row* row) noexcept nogil:
    """Has the beginning of a row's text come from memory, and of where the names in it are."""
    vwl_fetch(block.extents + row.extent, row.n_extents * sizeof(Extent))
    vwl_fetch(block.text + row.text, row.text_length)
    if block.names != NULL:
        vwl_fetch(block.names + row.feature, row.n_features * sizeof(NameSpan))
