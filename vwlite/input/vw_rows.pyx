"""Layout of the rows of nested objects. Design notes are in vw_rows.pxd."""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memmove, memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.example cimport (
    CONSTANT_HASH, ROW_EMPTY, ROW_SHARED, Block, Choice, Extent, Feature, NameSpan, Noted, Row,
    gather_namespaces,
)
from vwlite.core.reasons cimport Reason
from vwlite.input.naming cimport Naming
from vwlite.input.rows cimport Rows, Space, add

cdef enum:
    SHOWN = 64                        # bytes of the text that a message shows


cdef class Assembly(Rows):
    """Builds the rows of one example after the other; the block's text is reserved for what is written behind it."""

    def __init__(self, Naming naming not None, labels, Block block not None, bint names):
        super().__init__(naming, labels, block, names)
        self.more_stack()

    def __dealloc__(self):
        free(self.stack)
        free(self.stack_names)

    cdef int more_stack(self) except -1 nogil:
        """Enlarge the stack."""
        cdef size_t capacity = 2 * self.stack_capacity + 64
        resize(&self.stack, capacity, sizeof(Feature))
        resize(&self.stack_names, capacity, sizeof(NameSpan))
        self.stack_capacity = capacity
        return 0

    cdef int begin_example(self, size_t line, size_t start, size_t length) except -1 nogil:
        """Begin an example of this line (from 0) and text of the self.block."""
        self.example_line, self.example_text, self.example_length = line, start, length
        self.first_row, self.first_choice = self.n_rows, self.n_choices
        self.first_feature = self.feature - self.block.features
        self.first_extent = self.extent - self.block.extents
        self.first_noted = self.block.n_noted
        self.n_stack = 0
        return self.begin_row()

    cdef int begin_row(self) except -1 nogil:
        self.next_row(self.example_line, self.example_text, self.example_length)
        self.current = self.n_rows
        self.n_rows += 1
        self.row.column = 1
        self.repeated = False
        self.stamp += 1
        return 0

    cdef int close(self, const Space* space, size_t base) except -1 nogil:
        """End a namespace whose features lie on the stack from `base` on; without any it is none."""
        cdef Extent* extent
        cdef size_t n = self.n_stack - base
        cdef uint8_t index = space.name_length_index & 0xFF
        if n == 0:
            return 0
        self.more_room(1, n + 1)
        extent = self.extent
        extent.hash, extent.name, extent.name_length_index = space.hash, space.name, space.name_length_index
        extent.begin = <uint32_t>(self.feature - self.block.features - self.begin)
        memcpy(self.feature, self.stack + base, n * sizeof(Feature))
        if self.names:
            memcpy(self.block.names + (self.feature - self.block.features), self.stack_names + base,
                   n * sizeof(NameSpan))
        self.extent += 1
        self.feature += n
        self.n_stack = base
        if self.stamps[index] == self.stamp:
            self.repeated = True
        self.stamps[index] = self.stamp
        return 0

    cdef int gather(self) except -1 nogil:
        """Group the namespaces of the row by index, if there are two of one, and count its features."""
        cdef Row* row = &self.block.rows[self.current]
        cdef size_t n_extents = self.extent - self.block.extents - self.begin_extent
        cdef size_t n = self.feature - self.block.features - self.begin
        if self.repeated:
            self.more_room(n_extents, n)
            gather_namespaces(self.block.extents + self.begin_extent, n_extents, self.block.features + self.begin, n,
                              self.block.names + self.begin if self.names else NULL)
            self.repeated = False
        row.n_features, row.n_extents = <uint32_t>n, <uint32_t>n_extents
        return 0

    cdef int complete_row(self) except -1 nogil:
        self.gather()
        self.open = True         # the constant belongs to no namespace
        return add(self, CONSTANT_HASH, 1, 0, 0)

    cdef int end_example(self) except -1 nogil:
        """End a multi-line example."""
        self.next_row(self.example_line, self.example_text + self.example_length, 0)
        self.row.kind = ROW_EMPTY
        self.n_rows += 1
        return 0

    cdef int take_back(self) except -1 nogil:
        """Drop the example that was begun."""
        self.n_rows, self.n_choices = self.first_row, self.first_choice
        self.feature = self.block.features + self.first_feature
        self.extent = self.block.extents + self.first_extent
        self.block.n_noted = self.first_noted
        return 0

    cdef int note(self, uint32_t space, size_t begin, size_t n, size_t n_text, bint is_text) except -1 nogil:
        """Note a feature of the example, or of its shared row, for --where; `n_text` bytes follow the name."""
        cdef Noted* noted
        grow(&self.block.noted, &self.block.noted_capacity, self.block.n_noted + 1, sizeof(Noted))
        noted = &self.block.noted[self.block.n_noted]
        self.block.n_noted += 1
        noted.row, noted.space = <uint32_t>self.first_row, space
        noted.begin, noted.length, noted.text_length = <uint32_t>begin, <uint32_t>n, <uint32_t>n_text
        noted.is_text, noted.is_shared, noted.number = is_text, True, 0
        return 0

    cdef int refuse_example(self, Reason reason, size_t at, size_t stop) except -1 nogil:
        """Replace the example by a malformed row, with the text at the place of the problem."""
        cdef Row* row
        self.take_back()
        at = min(at, stop)
        self.next_row(self.example_line, at, min(stop - at, <size_t>SHOWN))
        row = self.row
        row.reason = reason
        row.column = <uint32_t>(at - self.example_text) + 1
        return self.end_row()

    # shared features of a multi-line example

    cdef int pause_shared(self) except -1 nogil:
        """The actions follow, and perhaps more shared features behind them."""
        self.gather()
        if self.block.rows[self.current].n_features:
            self.complete_row()
        return 0

    cdef int resume_shared(self) except -1 nogil:
        """Return to the shared row, behind the actions."""
        self.current = self.first_row
        self.begin = self.feature - self.block.features
        self.begin_extent = self.extent - self.block.extents
        self.repeated = False
        self.stamp += 1
        return 0

    cdef int end_shared(self) except -1 nogil:
        """Complete the shared row; without features and tag there is none."""
        cdef Row* row = &self.block.rows[self.first_row]
        cdef bint more = self.feature - self.block.features > <Py_ssize_t>self.begin
        if row.n_features == 0 and row.tag_length == 0 and not more:
            self.n_rows -= 1
            memmove(row, row + 1, (self.n_rows - self.first_row) * sizeof(Row))
            return 0
        if more or row.n_features == 0:
            self.insert()
        row.flags |= ROW_SHARED
        return 0

    cdef int insert(self) except -1 nogil:
        """Move the shared features that lie behind the actions before them."""
        cdef Row* row = &self.block.rows[self.first_row]
        cdef size_t n = self.feature - self.block.features - self.begin
        cdef size_t n_extents = self.extent - self.block.extents - self.begin_extent
        cdef size_t place = row.feature + row.n_features, place_extent = row.extent + row.n_extents, i
        cdef size_t more = n + (row.n_features == 0)       # with the constant
        cdef Extent* extents
        self.more_room(n_extents, more)
        while self.stack_capacity < more:
            self.more_stack()
        memcpy(self.stack, self.block.features + self.begin, n * sizeof(Feature))
        if more > n:
            self.stack[n].hash, self.stack[n].value = CONSTANT_HASH, 1
        memmove(self.block.features + place + more, self.block.features + place, (self.begin - place) * sizeof(Feature))
        memcpy(self.block.features + place, self.stack, more * sizeof(Feature))
        if self.names:
            memset(self.stack_names + n, 0, (more - n) * sizeof(NameSpan))
            memcpy(self.stack_names, self.block.names + self.begin, n * sizeof(NameSpan))
            memmove(self.block.names + place + more, self.block.names + place, (self.begin - place) * sizeof(NameSpan))
            memcpy(self.block.names + place, self.stack_names, more * sizeof(NameSpan))
        self.feature = self.block.features + self.begin + more
        # extents: a copy behind the last one, then the same
        memcpy(self.extent, self.block.extents + self.begin_extent, n_extents * sizeof(Extent))
        memmove(self.block.extents + place_extent + n_extents, self.block.extents + place_extent,
                (self.begin_extent - place_extent) * sizeof(Extent))
        memcpy(self.block.extents + place_extent, self.extent, n_extents * sizeof(Extent))
        for i in range(n_extents):
            extents = self.block.extents + place_extent + i
            extents.begin += row.n_features
        for i in range(1, self.n_rows - self.first_row):
            row[i].feature += <uint32_t>more
            row[i].extent += <uint32_t>n_extents
        row.n_features += <uint32_t>n
        row.n_extents += <uint32_t>n_extents
        return self.gather_shared()

    cdef int gather_shared(self) except -1 nogil:
        """Group the namespaces of the shared row by index, in a copy behind the last row."""
        cdef Row* row = &self.block.rows[self.first_row]
        cdef size_t n = row.n_features, n_extents = row.n_extents, i
        cdef size_t copy = self.feature - self.block.features
        cdef bint twice = False
        cdef NameSpan* names
        self.stamp += 1
        for i in range(row.extent, row.extent + n_extents):
            twice = twice or self.stamps[self.block.extents[i].name_length_index & 0xFF] == self.stamp
            self.stamps[self.block.extents[i].name_length_index & 0xFF] = self.stamp
        if not twice:
            return 0
        self.more_room(2 * n_extents, 2 * n)
        memcpy(self.extent, self.block.extents + row.extent, n_extents * sizeof(Extent))
        memcpy(self.feature, self.block.features + row.feature, n * sizeof(Feature))
        names = self.block.names + copy if self.names else NULL
        if names != NULL:
            memcpy(names, self.block.names + row.feature, n * sizeof(NameSpan))
        gather_namespaces(self.extent, n_extents, self.feature, n, names)
        memcpy(self.block.extents + row.extent, self.extent, n_extents * sizeof(Extent))
        memcpy(self.block.features + row.feature, self.feature, n * sizeof(Feature))
        if names != NULL:
            memcpy(self.block.names + row.feature, names, n * sizeof(NameSpan))
        return 0

    cdef int add_choice(self, size_t at) except -1 nogil:
        """Give a row without a choice one, before those of later self."""
        cdef Row* row = &self.block.rows[at]
        cdef size_t i
        self.block.reserve_choices(self.n_choices + 1)
        memmove(self.block.choices + row.choice + 1, self.block.choices + row.choice,
                (self.n_choices - row.choice) * sizeof(Choice))
        self.n_choices += 1
        row.n_choices = 1
        for i in range(1, self.n_rows - at):
            row[i].choice += 1
        return 0
