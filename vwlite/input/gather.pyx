"""Copies rows of blocks into one block. Design notes are in gather.pxd."""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.draws cimport mix
from vwlite.core.example cimport (
    CONSTANT_HASH, PADDING, ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, Block, Choice, Extent, Feature, NameSpan, Noted, Row,
    extent_name_length, first_noted,
)

cdef enum:
    AT_FIRST = 1024                   # rows, features and namespaces
    MOST_TEXT = 1 << 30               # bytes, and features: places in a block have 32 bits


cdef class Gather:
    """A block of copied rows.

    Args:
        names: Whether learners read the names of features.
        multiline: Whether an empty row ends an example.
    """

    def __init__(self, bint names, bint multiline):
        self.multiline = multiline
        self.block = Block()
        self.block.wants_names = names
        self.clear()

    def clear(self):
        """Empties the block."""
        cdef Block block = self.block
        block.n_rows = block.n_extents = block.n_features = block.n_choices = block.n_noted = block.text_length = 0
        block.first_line = 0          # rows have their own
        self.examples = 0
        self.reserve(AT_FIRST, AT_FIRST, AT_FIRST)

    cdef int reserve(self, size_t rows, size_t extents, size_t features) except -1 nogil:
        """Allocate so many more rows, extents and features; the content is preserved."""
        cdef size_t n = self.block.n_features + features + PADDING
        if n > self.block.feature_capacity:
            n += n // 2
            if self.block.wants_names:
                resize(&self.block.names, n, sizeof(NameSpan))
            resize(&self.block.features, n, sizeof(Feature))
            self.block.feature_capacity = n
        n = self.block.n_extents + extents
        if n > self.block.extent_capacity:
            n += n // 2
            resize(&self.block.extents, n, sizeof(Extent))
            self.block.extent_capacity = n
        n = self.block.n_rows + rows
        if n > self.block.row_capacity:
            n += n // 2
            resize(&self.block.rows, n, sizeof(Row))
            self.block.row_capacity = n
        if self.block.row_capacity > self.block.source_capacity:
            resize(&self.block.sources, self.block.row_capacity, sizeof(uint32_t))
            self.block.source_capacity = self.block.row_capacity
        return 0

    cdef bint is_full(self, size_t most) noexcept nogil:
        """Whether the block has `most` examples, or places in it would need more than 32 bits soon."""
        return (self.examples >= most or self.block.text_length >= MOST_TEXT or self.block.n_features >= MOST_TEXT)

    cdef int add(self, Block block, size_t first, size_t end, uint32_t source, float weight) except -1 nogil:
        """Copy an example, the rows from `first` up to `end`; the weight is multiplied.

        An example of several rows is followed by an empty one.
        """
        cdef size_t i
        self.reserve(end - first + 1, 0, 0)
        for i in range(first, end):
            self.add_row(block, &block.rows[i], source, weight)
        if self.multiline:
            self.end_example(block, block.rows[end - 1].line + 1, source)
        self.examples += 1
        return 0

    cdef int end_example(self, Block block, size_t line, uint32_t source) except -1 nogil:
        """Write an empty row, which ends a multi-line example."""
        cdef Row* row = &self.block.rows[self.block.n_rows]
        memset(row, 0, sizeof(Row))
        row.kind = ROW_EMPTY
        row.line = <uint32_t>(block.first_line + line)
        row.text = row.tag = <uint32_t>self.block.text_length
        row.choice = <uint32_t>self.block.n_choices
        row.feature, row.extent = <uint32_t>self.block.n_features, <uint32_t>self.block.n_extents
        self.block.sources[self.block.n_rows] = source
        self.block.n_rows += 1
        return 0

    cdef int add_row(self, Block block, const Row* row, uint32_t source, float weight) except -1 nogil:
        """Copy a row."""
        cdef Row* copy = &self.block.rows[self.block.n_rows]
        cdef size_t at, i
        cdef Choice* choice
        copy[0] = row[0]
        at = self.text(block.text + row.text, row.text_length)
        self.text(b"\n", 1)
        copy.text = <uint32_t>at
        copy.tag = self.moved(block, row, at, row.tag, row.tag_length)
        copy.line = <uint32_t>min(block.first_line + row.line, <size_t>0xFFFFFFFF)
        copy.weight = row.weight * weight
        copy.choice = <uint32_t>self.block.n_choices
        if row.n_choices:
            self.block.reserve_choices(self.block.n_choices + row.n_choices)
        for i in range(row.n_choices):
            choice = &self.block.choices[self.block.n_choices + i]
            choice[0] = block.choices[row.choice + i]
            choice.name = self.moved(block, row, at, choice.name, choice.name_length)
        self.block.n_choices += row.n_choices
        copy.feature, copy.extent = <uint32_t>self.block.n_features, <uint32_t>self.block.n_extents
        if row.kind == ROW_EXAMPLE:
            self.features(block, row, at)
        copy.n_features = <uint32_t>(self.block.n_features - copy.feature) - (row.kind == ROW_EXAMPLE)
        copy.n_extents = <uint32_t>(self.block.n_extents - copy.extent)
        self.block.sources[self.block.n_rows] = source
        self.block.n_rows += 1
        return 0

    cdef int features(self, Block block, const Row* row, size_t at) except -1 nogil:
        """Copy the namespaces and features of a row, and the constant."""
        cdef const NameSpan* span
        cdef size_t i
        self.reserve(0, row.n_extents, row.n_features + 1)
        for i in range(row.n_extents):
            self.block.extents[self.block.n_extents] = block.extents[row.extent + i]
            self.block.extents[self.block.n_extents].name = self.name_of(block, row, at, &block.extents[row.extent + i])
            self.block.n_extents += 1
        memcpy(self.block.features + self.block.n_features, block.features + row.feature,
               row.n_features * sizeof(Feature))
        for i in range(row.n_features if self.block.wants_names else 0):
            span = &block.names[row.feature + i]
            self.block.names[self.block.n_features + i].begin = self.moved(block, row, at, span.begin, span.length)
            self.block.names[self.block.n_features + i].length = span.length
        self.block.n_features += row.n_features
        if self.block.wants_names and block.n_noted:
            self.copy_noted(block, row, at)
        self.block.features[self.block.n_features].hash = CONSTANT_HASH
        self.block.features[self.block.n_features].value = 1
        if self.block.wants_names:
            memset(&self.block.names[self.block.n_features], 0, sizeof(NameSpan))
        self.block.n_features += 1
        return 0

    cdef int copy_noted(self, Block block, const Row* row, size_t at) except -1 nogil:
        """Copy what --where and a split by a name read beside the features."""
        cdef size_t i = row - block.rows, k = first_noted(block, i)
        cdef Noted* copy
        while k < block.n_noted and block.noted[k].row == i:
            grow(&self.block.noted, &self.block.noted_capacity, self.block.n_noted + 1, sizeof(Noted))
            copy = &self.block.noted[self.block.n_noted]
            copy[0] = block.noted[k]
            copy.row = <uint32_t>self.block.n_rows
            copy.begin = self.moved(block, row, at, copy.begin, copy.length + copy.text_length)
            self.block.n_noted += 1
            k += 1
        return 0

    cdef uint32_t name_of(self, Block block, const Row* row, size_t at, const Extent* extent) \
            except? 0xFFFFFFFF nogil:
        """The place of a namespace's name; names outside of their lines are written once, not for each row."""
        cdef size_t n = extent_name_length(extent), i
        cdef const Extent* other
        if n == 0 or row.text <= extent.name < row.text + row.text_length:
            return self.moved(block, row, at, extent.name, n)
        i = self.block.n_extents
        while i and i + 32 > self.block.n_extents:
            i -= 1
            other = &self.block.extents[i]
            if other.hash == extent.hash and extent_name_length(other) == n and memcmp(
                    self.block.text + other.name, block.text + extent.name, n) == 0:
                return other.name
        return self.text(block.text + extent.name, n)

    cdef uint32_t moved(self, Block block, const Row* row, size_t at, size_t place, size_t n) \
            except? 0xFFFFFFFF nogil:
        """The new place of a text of a row whose line was copied to `at`."""
        if row.text <= place and place + n <= row.text + row.text_length:
            return <uint32_t>(at + place - row.text)
        return self.text(block.text + place, n) if n else <uint32_t>at

    cdef uint32_t text(self, const char* text, size_t n) except? 0xFFFFFFFF nogil:
        """Append a text; returns its place."""
        cdef size_t at = self.block.text_length
        if at + n + PADDING > self.block.text_capacity:
            self.block.reserve_text(2 * (at + n))
        memcpy(self.block.text + at, text, n)
        self.block.text_length = at + n
        return <uint32_t>at

    cdef int end_block(self) except -1 nogil:
        """Complete the self.block."""
        memset(<void*>(self.block.features + self.block.n_features), 0, PADDING * sizeof(Feature))
        self.block.reserve_text(self.block.text_length)
        memset(self.block.text + self.block.text_length, 0, PADDING)
        self.block.n_lines = self.block.n_rows
        return 0

    cdef int shuffle(self, uint64_t key) except -1 nogil:
        """Put the examples in an order that is drawn with a key (Fisher and Yates 1938)."""
        cdef size_t n = 0, i, j, k, at = 0, malformed = 0
        cdef size_t* begins = <size_t*>malloc((self.block.n_rows + 1) * sizeof(size_t))
        cdef Row* rows = <Row*>malloc(max(self.block.row_capacity, <size_t>1) * sizeof(Row))
        cdef uint32_t* sources = <uint32_t*>malloc(max(self.block.source_capacity, <size_t>1) * sizeof(uint32_t))
        if begins == NULL or rows == NULL or sources == NULL:
            free(begins)
            free(rows)
            free(sources)
            with gil:
                raise MemoryError("no memory to shuffle examples")
        for k in range(2):            # examples with malformed lines come first: they are only reported
            for i in range(self.block.n_rows):
                if (i == 0 or not self.multiline or self.block.rows[i - 1].kind == ROW_EMPTY) \
                        and self.is_malformed(i) == (k == 0):
                    begins[n] = i
                    n += 1
            if k == 0:
                malformed = n
        for i in range(malformed, n - 1 if n else 0):
            j = i + mix(key, i) % (n - i)
            begins[i], begins[j] = begins[j], begins[i]
        for i in range(n):
            j = begins[i]
            while True:
                rows[at] = self.block.rows[j]
                sources[at] = self.block.sources[j]
                at += 1
                j += 1
                if not self.multiline or self.block.rows[j - 1].kind == ROW_EMPTY:
                    break
        free(begins)
        free(self.block.rows)
        free(self.block.sources)
        self.block.rows, self.block.sources = rows, sources
        self.block.n_noted = 0        # they go by the numbers of rows
        return 0

    cdef bint is_malformed(self, size_t i) noexcept nogil:
        """Whether the example that begins at the i-th row has a malformed line."""
        while i < self.block.n_rows and self.block.rows[i].kind != ROW_EMPTY:
            if self.block.rows[i].kind == ROW_PROBLEM:
                return True
            if not self.multiline:
                break
            i += 1
        return False
