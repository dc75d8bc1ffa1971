"""Builder of a block's rows from named values. Design notes are in rows.pxd."""
from libc.math cimport NAN, isnan
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.example cimport CONSTANT_HASH, PADDING, ROW_EXAMPLE, ROW_PROBLEM, Noted, gather_namespaces
from vwlite.core.reasons cimport FINE, LABEL_FINITE, NAME_EMPTY, TEXT_MUCH, VALUE_FINITE, WEIGHT_NEGATIVE
from vwlite.input.heads cimport (
    ACTION_HEAD, CLASS_HEAD, CLASSES_HEAD, COSTS_HEAD, SIMPLE_HEAD, parse_label,
)

from vwlite.core.types import LabelType

cdef extern from "vwlite/core/clocale.h" nogil:
    int vwl_print(char* to, size_t size, const char* format, double value)

cdef enum:
    AT_FIRST = 64                     # rows, features and extents
    MOST_TEXT = 1 << 30               # bytes of names in a block: places in it have 32 bits
    SHOWN = 64                        # bytes of a value that a message shows

HEADS = {
    LabelType.SIMPLE: SIMPLE_HEAD, LabelType.MULTICLASS: CLASS_HEAD, LabelType.MULTILABEL: CLASSES_HEAD,
    LabelType.COST_SENSITIVE: COSTS_HEAD, LabelType.CONTEXTUAL_BANDIT: ACTION_HEAD,
}

cdef uint8_t[256] CLEAN               # what separates words in text becomes '_'
for _byte in range(256):
    CLEAN[_byte] = b"_"[0] if _byte <= 32 or _byte in b":|\x7f" else _byte


cdef size_t number_in_words(double value, uint8_t* to) noexcept nogil:
    """Write a number as short as it can be read back: whole ones bare; returns the number of bytes."""
    if -9e15 < value < 9e15 and <double><int64_t>value == value:
        return vwl_print(<char*>to, LONGEST_NUMBER, b"%.0f", value)
    return vwl_print(<char*>to, LONGEST_NUMBER, b"%.17g", value)


cdef class Rows:
    """Builds the rows of a block; the block's text must be there, or be empty."""

    def __init__(self, Naming naming not None, labels, Block block not None, bint names, bint skips_nan=False):
        self.naming = naming
        self.head = HEADS[labels]
        self.block = block
        self.names = block.wants_names = names
        self.skips_nan = skips_nan
        self.given = block.text_length
        self.restart()

    cpdef restart(self):
        """Begins the block anew."""
        cdef Block block = self.block
        if block.feature_capacity < AT_FIRST + PADDING or (self.names and block.names == NULL):
            block.reserve_exactly(AT_FIRST, AT_FIRST, AT_FIRST)
        self.feature = block.features
        self.last_feature = block.features + block.feature_capacity - PADDING - 1
        self.extent = block.extents
        self.n_rows = self.n_choices = block.n_noted = 0
        self.text = self.given
        block.reserve_text(self.text + AT_FIRST)
        self.plain.hash = self.naming.anonymous
        self.plain.name = 0
        self.plain.name_length_index = 32
        self.plain.names_entities = False
        memset(self.seen, 0, sizeof(self.seen))

    cdef int next_row(self, size_t line, size_t text, size_t text_length) except -1 nogil:
        """Begin a row, of this line (from 0) of the self.block."""
        cdef Row* row
        if self.n_rows == self.block.row_capacity:
            resize(&self.block.rows, 2 * self.block.row_capacity, sizeof(Row))
            self.block.row_capacity = 2 * self.block.row_capacity
        row = self.row = &self.block.rows[self.n_rows]
        memset(row, 0, sizeof(Row))
        row.line = <uint32_t>line
        row.text, row.text_length = <uint32_t>text, <uint32_t>text_length
        row.tag = row.text
        row.label = NAN
        row.weight = 1
        row.kind = ROW_EXAMPLE
        row.choice = <uint32_t>self.n_choices
        self.begin = self.feature - self.block.features
        self.begin_extent = self.extent - self.block.extents
        row.feature, row.extent = <uint32_t>self.begin, <uint32_t>self.begin_extent
        self.space = self.plain
        self.open = self.repeated = False
        return 0

    cdef int end_row(self) except -1 nogil:
        """Complete the row: its constant, and its namespaces in order."""
        cdef Row* row = self.row
        cdef size_t n_extents, n
        if row.reason == FINE and self.repeated:
            self.more_room(2 * (self.extent - self.block.extents - self.begin_extent),
                           2 * (self.feature - self.block.features - self.begin))
            gather_namespaces(self.block.extents + self.begin_extent,
                              self.extent - self.block.extents - self.begin_extent,
                              self.block.features + self.begin, self.feature - self.block.features - self.begin,
                              self.block.names + self.begin if self.names else NULL)
        if row.reason != FINE:
            self.feature = self.block.features + self.begin
            self.extent = self.block.extents + self.begin_extent
            row.kind = ROW_PROBLEM
            row.n_choices = 0
        n = self.feature - self.block.features - self.begin
        n_extents = self.extent - self.block.extents - self.begin_extent
        row.n_features, row.n_extents = <uint32_t>n, <uint32_t>n_extents
        self.n_choices += row.n_choices
        if row.kind == ROW_EXAMPLE:
            self.open = True          # the constant belongs to no namespace
            add(self, CONSTANT_HASH, 1, 0, 0)
        self.n_rows += 1
        return 0

    cdef int drop_row(self) except -1 nogil:
        """Take the row back that was begun."""
        self.feature = self.block.features + self.begin
        self.extent = self.block.extents + self.begin_extent
        return 0

    cdef int end_block(self) except -1 nogil:
        """Complete the self.block."""
        self.block.n_rows = self.block.n_lines = self.n_rows
        self.block.n_features = self.feature - self.block.features
        self.block.n_extents = self.extent - self.block.extents
        self.block.n_choices = self.n_choices
        self.block.text_length = self.text        # with the names behind it, which caches store
        memset(<void*>self.feature, 0, PADDING * sizeof(Feature))
        return 0

    cdef int more_room(self, size_t extents, size_t features) except -1 nogil:
        """Ensure memory for this many more extents and features."""
        while <size_t>(self.last_feature - self.feature) <= features:
            self.more_features()
        while self.block.extent_capacity <= <size_t>(self.extent - self.block.extents) + extents:
            self.more_extents()
        return 0

    cdef int more_features(self) except -1 nogil:
        cdef size_t n = self.feature - self.block.features, capacity = 2 * self.block.feature_capacity
        if self.names:
            resize(&self.block.names, capacity, sizeof(NameSpan))
        resize(&self.block.features, capacity, sizeof(Feature))
        self.block.feature_capacity = capacity
        self.feature = self.block.features + n
        self.last_feature = self.block.features + capacity - PADDING - 1
        return 0

    cdef int more_extents(self) except -1 nogil:
        cdef size_t n = self.extent - self.block.extents
        resize(&self.block.extents, 2 * self.block.extent_capacity, sizeof(Extent))
        self.block.extent_capacity *= 2
        self.extent = self.block.extents + n
        return 0

    cdef int more_text(self, size_t n) except -1 nogil:
        """Ensure memory for n more bytes of text."""
        cdef size_t capacity = self.block.text_capacity
        if self.text + n + PADDING > capacity:
            self.block.reserve_text(max(self.text + n, 2 * capacity))
        return 0

    cdef int room_for(self, size_t n, const uint8_t** a, const uint8_t** b) except -1 nogil:
        """more_text(n) that moves two pointers along if they point into the text."""
        cdef const uint8_t* before = <const uint8_t*>self.block.text
        cdef const uint8_t* end = before + self.block.text_capacity
        if self.text + n + PADDING <= self.block.text_capacity:
            return 0
        self.more_text(n)
        if before <= a[0] < end:      # positions, as the old memory is gone
            a[0] = <const uint8_t*>self.block.text + (a[0] - before)
        if before <= b[0] < end:
            b[0] = <const uint8_t*>self.block.text + (b[0] - before)
        return 0

    # names

    cdef size_t put(self, const uint8_t* name, size_t n) except? 0xFFFFFFFF nogil:
        """Write a name at the end of the text, cleaned; returns its place. The caller moves the end."""
        cdef size_t i
        cdef uint8_t* to
        cdef const uint8_t* none = NULL
        self.room_for(n, &name, &none)
        to = <uint8_t*>self.block.text + self.text
        for i in range(n):
            to[i] = CLEAN[name[i]]
        return self.text

    cdef int namespace(self, const uint8_t* name, size_t n, Space* space) except -1 nogil:
        """The namespace of a name, which becomes that of the features that follow."""
        cdef size_t at
        cdef const uint8_t* text
        if n == 0:
            space[0] = self.plain
        else:
            if n > MOST_TEXT or self.text > MOST_TEXT:
                return self.refuse(TEXT_MUCH, name, n, NULL, 0)
            at = self.put(name, n)
            self.text += n
            text = <const uint8_t*>self.block.text + at
            space.hash = self.naming.letter_hash[text[0]] if n == 1 \
                else hash_name(self.naming, text, n, self.naming.seed)
            space.name = <uint32_t>at
            space.name_length_index = <uint32_t>(n << 8) | self.naming.index_of[text[0]]
            space.names_entities = self.naming.n_entities and self.naming.names_entities(space.hash)
        self.space = space[0]
        self.open = False
        return 0

    cdef int open_extent(self) except -1 nogil:
        """Write the extent of the current namespace, before its first feature."""
        cdef uint8_t index = self.space.name_length_index & 0xFF
        if <size_t>(self.extent - self.block.extents) + 1 >= self.block.extent_capacity:
            self.more_extents()
        self.extent.hash = self.space.hash
        self.extent.begin = <uint32_t>(self.feature - self.block.features - self.begin)
        self.extent.name = self.space.name
        self.extent.name_length_index = self.space.name_length_index
        self.extent += 1
        if self.seen[index] == self.n_rows + 1:
            self.repeated = True
        self.seen[index] = <uint32_t>self.n_rows + 1
        self.open = True
        return 0

    cdef uint32_t hash_in(self, const Space* space, size_t name, size_t n) noexcept nogil:
        """Hash of a name in the text as a feature of a namespace."""
        return hash_name(self.naming, <const uint8_t*>self.block.text + name, n, space.hash)

    cdef bint is_entity(self, const uint8_t* name, size_t n) noexcept nogil:
        """Whether a name is that of a namespace whose features name entities; readable for 16 bytes past its end."""
        return self.naming.n_entities and n and self.naming.names_entities(
            self.naming.letter_hash[name[0]] if n == 1 else hash_name(self.naming, name, n, self.naming.seed))

    # values

    cdef int number(self, const uint8_t* name, size_t n, double value) except -1 nogil:
        """A feature with a value."""
        cdef size_t at
        if isnan(value) and self.skips_nan:
            return 0
        if not is_number(value):
            return self.refuse_number(VALUE_FINITE, name, n, value)
        if n == 0:
            return self.refuse_number(NAME_EMPTY, name, n, value)
        if <float>value == 0 and not (self.space.names_entities or self.naming.keeps_zeros):
            return self.zero(name, n, self.space.hash) if self.naming.notes else 0
        at = self.put(name, n)
        add(self, hash_name(self.naming, <const uint8_t*>self.block.text + at, n, self.space.hash), <float>value, at, n)
        return self.keep(n)

    cdef int zero(self, const uint8_t* name, size_t n, uint32_t space) except -1 nogil:
        """Note a feature of value 0, of the namespace with this hash."""
        return self.note_cell(name, n, space, NULL, 0, 0)

    cdef int note_cell(self, const uint8_t* name, size_t n, uint32_t space, const uint8_t* text, size_t m,
                       float number) except -1 nogil:
        """Note a number, or a text that is not NULL, which is no feature, under a name of the namespace of a hash."""
        cdef Noted* noted
        if n + m > MOST_TEXT or self.text > MOST_TEXT:
            return self.refuse(TEXT_MUCH, NULL, 0, NULL, 0)
        self.room_for(n + m, &name, &text)
        grow(&self.block.noted, &self.block.noted_capacity, self.block.n_noted + 1, sizeof(Noted))
        noted = &self.block.noted[self.block.n_noted]
        self.block.n_noted += 1
        noted.row, noted.space, noted.length = <uint32_t>self.n_rows, space, <uint32_t>n
        noted.begin = <uint32_t>self.put(name, n)
        noted.text_length, noted.is_text, noted.is_shared = <uint32_t>m, text != NULL, False
        noted.number = number
        self.text += n
        self.put(text, m)
        self.text += m
        return 0

    cdef int word(self, const uint8_t* name, size_t n, const uint8_t* text, size_t m) except -1 nogil:
        """A category: the feature `name=text`."""
        cdef size_t at
        if n == 0:
            return self.refuse(NAME_EMPTY, name, n, text, m)
        if n + m > MOST_TEXT:
            return self.refuse(TEXT_MUCH, name, n, text, m)
        self.room_for(n + 1 + m, &name, &text)
        at = self.put(name, n)
        self.block.text[at + n] = b"="
        self.text += n + 1
        self.put(text, m)
        self.text = at
        add(self, hash_name(self.naming, <const uint8_t*>self.block.text + at, n + 1 + m, self.space.hash),
            self.naming.plain, at, n + 1 + m)
        return self.keep(n + 1 + m)

    cdef int plain_word(self, const uint8_t* text, size_t m) except -1 nogil:
        """A feature of value 1 with this name: a word of a text, a member of a set, an entity."""
        cdef size_t at
        if m == 0:
            return self.refuse_number(NAME_EMPTY, text, m, 1)
        at = self.put(text, m)
        add(self, hash_name(self.naming, <const uint8_t*>self.block.text + at, m, self.space.hash), self.naming.plain,
            at, m)
        return self.keep(m)

    cdef int entity(self, const uint8_t* name, size_t n, const uint8_t* text, size_t m) except -1 nogil:
        """The entity of this name in the namespace of a random effect; afterwards, features have no namespace."""
        cdef Space space
        self.room_for(n + m, &name, &text)      # so that the text doesn't move after the name is written
        self.namespace(name, n, &space)
        self.plain_word(text, m)
        self.space = self.plain
        self.open = False
        return 0

    cdef int keep(self, size_t n) except -1 nogil:
        """Keep the last name of n bytes, if names are kept."""
        if self.names:
            self.text += n
            if self.text > MOST_TEXT:
                return self.refuse(TEXT_MUCH, NULL, 0, NULL, 0)
        return 0

    # the label and what belongs to it

    cdef int label_number(self, double value) except -1 nogil:
        """A label that is a number."""
        cdef uint8_t[LONGEST_NUMBER] words
        if not is_number(value):
            if isnan(value) and self.skips_nan:
                return 0
            return self.refuse_number(LABEL_FINITE, b"label", 5, value)
        if self.head == SIMPLE_HEAD:
            self.row.label = <float>value
            return 0
        return self.label_words(words, number_in_words(value, words))

    cdef int label_words(self, const uint8_t* text, size_t n) except -1 nogil:
        """A label as it is before the '|' of a line."""
        cdef Reason reason = FINE
        cdef const uint8_t* at = NULL
        cdef const uint8_t* start
        cdef float weight = self.row.weight
        cdef size_t begin = self.text
        self.room_for(n + 2, &text, &at)
        memcpy(self.block.text + begin, text, n)
        self.block.text[begin + n] = b" "
        self.block.text[begin + n + 1] = b"|"
        self.text += n + 2
        self.block.reserve_choices(self.n_choices + n // 2 + 1)
        start = at = <const uint8_t*>self.block.text + begin
        parse_label(self.head, <const uint8_t*>self.block.text, self.row, start, False, False, &reason, &at,
                    self.block.choices + self.n_choices)
        if reason != FINE:
            return self.refuse(reason, b"label", 5, text, n)
        if self.head == SIMPLE_HEAD and self.row.weight == 1:
            self.row.weight = weight
        return 0

    cdef int weigh(self, double value) except -1 nogil:
        """The importance weight."""
        if not is_number(value):
            return self.refuse_number(LABEL_FINITE, b"weight", 6, value)
        if value < 0:
            return self.refuse_number(WEIGHT_NEGATIVE, b"weight", 6, value)
        self.row.weight = <float>value
        return 0

    cdef int begin_at(self, double value) except -1 nogil:
        """The initial prediction (offset)."""
        if not is_number(value):
            return self.refuse_number(LABEL_FINITE, b"initial", 7, value)
        self.row.initial = <float>value
        return 0

    cdef int tag(self, const uint8_t* text, size_t n) except -1 nogil:
        """The tag."""
        self.row.tag = <uint32_t>self.put(text, n)
        self.row.tag_length = <uint32_t>n
        self.text += n
        return 0

    # problems

    cdef int refuse(self, Reason reason, const uint8_t* name, size_t n, const uint8_t* text, size_t m) except -1 nogil:
        """Store a problem of the row, the first one only, and the value in question."""
        cdef size_t at
        if self.row.reason != FINE:
            return 0
        self.row.reason = reason
        n, m = min(n, <size_t>SHOWN), min(m, <size_t>SHOWN)
        self.room_for(n + m + 1, &name, &text)
        at = self.text
        memcpy(self.block.text + at, name, n)
        if m:
            self.block.text[at + n] = b"="
            memcpy(self.block.text + at + n + 1, text, m)
            m += 1
        self.text += n + m
        self.row.text, self.row.text_length = <uint32_t>at, <uint32_t>(n + m)
        return 0

    cdef int refuse_number(self, Reason reason, const uint8_t* name, size_t n, double value) except -1 nogil:
        """Store a problem with a number."""
        cdef uint8_t[LONGEST_NUMBER] words
        return self.refuse(reason, name, n, words, number_in_words(value, words))
