"""Blocks of parsed lines and the one Example that walks over them. Design notes are in example.pxd."""
from libc.math cimport isnan
from libc.stdlib cimport free, malloc, realloc


cdef int grow(void** buffer, size_t* capacity, size_t wanted, size_t size) except -1 nogil:
    """Room for `wanted` items in a buffer whose content need not survive. Untouched pages cost nothing."""
    if wanted <= capacity[0]:
        return 0
    free(buffer[0])
    capacity[0] = 0
    buffer[0] = malloc(wanted * size)
    if buffer[0] == NULL:
        with gil:
            raise MemoryError(f"{wanted * size:,} bytes for a block of examples")
    capacity[0] = wanted
    return 0


cdef class Block:
    """A run of whole lines and what they parse into."""

    def __dealloc__(self):
        free(self.text)
        free(self.features)
        free(self.extents)
        free(self.rows)
        free(self.names)

    cdef int reserve_text(self, size_t n) except -1 nogil:
        """Room for n bytes and the padding; what is there already stays."""
        cdef char* text
        if n + PADDING > self.text_capacity:
            text = <char*>realloc(self.text, n + PADDING)
            if text == NULL:
                with gil:
                    raise MemoryError(f"{n:,} bytes for a line")
            self.text = text
            self.text_capacity = n + PADDING
        return 0

    cdef int reserve_parsed(self) except -1 nogil:
        """Room for the worst that text_length bytes can hold: a feature takes 2 bytes, a line or a namespace 1."""
        cdef size_t n = self.text_length
        return self.reserve_exactly(n + 1, n + 1, n // 2 + n)

    cdef int reserve_exactly(self, size_t rows, size_t extents, size_t features) except -1 nogil:
        cdef size_t names = 0
        if self.wants_names and (self.names == NULL or features + PADDING > self.feature_capacity):
            grow(<void**>&self.names, &names, features + PADDING, sizeof(NameSpan))
        grow(<void**>&self.features, &self.feature_capacity, features + PADDING, sizeof(Feature))
        grow(<void**>&self.extents, &self.extent_capacity, extents, sizeof(Extent))
        grow(<void**>&self.rows, &self.row_capacity, rows, sizeof(Row))
        return 0


cdef class Example:
    """One line as learners see it; reused for every line."""

    cdef void bind(self, Block block, const Row* row, bint constant) noexcept nogil:
        """Look at a row of a block; `constant` says whether the constant feature counts."""
        self.features = block.features + row.feature
        self.linear = self.features
        self.n_linear = row.n_features
        self.n = self.n_counted = row.n_features + constant
        self.extents = block.extents + row.extent
        self.n_extents = row.n_extents
        self.names = block.names + row.feature if block.names != NULL else NULL
        self.text = block.text
        self.tag = block.text + row.tag
        self.tag_length = row.tag_length
        self.label = row.label
        self.weight = row.weight
        self.initial = row.initial
        self.labelled = not isnan(row.label)
        self.offset = 0
        self.score = 0
        self.prediction = 0
        self.loss = 0
