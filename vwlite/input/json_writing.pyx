"""NDJSON written by the rule of names of rows.pxd: an object a line.

A namespace is an object, or, where features have no values, a list of strings. A feature `city=Rome` is the
member "city": "Rome". A key that would occur twice in its object is written as a whole, "city=Rome": 1, or, in a
namespace, as an entry of a list.
"""
from libc.math cimport isnan
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcmp, memset

from vwlite.core.arrays cimport resize
from vwlite.core.example cimport NO_NUMBER, Block, Choice, Extent, Feature, NameSpan, Row, extent_name_length
from vwlite.core.hashing cimport hash_all
from vwlite.input.rows cimport LONGEST_NUMBER
from vwlite.input.writing cimport (
    NAME_SIGNS, NAME_SPECIAL, NAME_TWICE, NO_UTF8, RAISED, TAG_SIGNS, TEXT_VALUE, WRITTEN, Lines, Refusal, clean,
)

cdef extern from "vwlite/core/clocale.h" nogil:
    int vwl_print(char* to, size_t size, const char* format, double value)

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)

cdef enum:
    FEW_KEYS = 256

cdef const char* HEXADECIMAL = b"0123456789abcdef"


cdef struct Key:
    # a key of an object
    uint32_t object, n
    const uint8_t* at


cdef class Keys:
    """The keys of the objects of an example: whether one comes twice."""

    cdef Key* keys
    cdef size_t capacity, n
    cdef uint32_t object

    def __cinit__(self):
        resize(&self.keys, FEW_KEYS, sizeof(Key))
        self.capacity = FEW_KEYS
        memset(self.keys, 0, FEW_KEYS * sizeof(Key))

    def __dealloc__(self):
        free(self.keys)

    cdef int clear(self, size_t most) except -1 nogil:
        """Forget all keys; at most `most` follow."""
        cdef size_t capacity = self.capacity
        if self.n:
            memset(self.keys, 0, capacity * sizeof(Key))
        self.n = 0
        self.object = 0
        if 2 * most > capacity:
            while 2 * most > capacity:
                capacity *= 2
            resize(&self.keys, capacity, sizeof(Key))
            self.capacity = capacity
            memset(self.keys, 0, capacity * sizeof(Key))
        return 0

    cdef bint add(self, uint32_t object, const uint8_t* at, size_t n) noexcept nogil:
        """Add a key to an object, numbered from 1; False if it has it already."""
        cdef size_t i = hash_all(at, n, object) & (self.capacity - 1)
        while self.keys[i].object:
            if self.keys[i].object == object and self.keys[i].n == n and memcmp(self.keys[i].at, at, n) == 0:
                return False
            i = (i + 1) & (self.capacity - 1)
        self.keys[i].object, self.keys[i].n, self.keys[i].at = object, <uint32_t>n, at
        self.n += 1
        return True


cdef class JsonLines(Lines):
    """Writes the examples of blocks as objects of JSON, one a line. The arguments are those of Lines."""

    cdef Keys keys
    cdef char* digits                 # names of features that have none
    cdef size_t n_digits, digit_capacity

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.keys = Keys()

    def __dealloc__(self):
        free(self.digits)

    cdef Refusal write(self, Block block, const Row* row) except RAISED nogil:
        cdef size_t i, first, end
        cdef const Extent* extents = block.extents + row.extent
        cdef Refusal refusal
        cdef bint comma = False
        self.keys.clear(row.n_features + row.n_extents)
        self.n_digits = 0
        self.out.text(b"{", 1)
        if self.simple and not isnan(row.label):
            self.key(b"_label", 6, &comma)
            self.number(row.label)
        elif row.n_choices:
            refusal = self.write_choices(block, row, &comma)
            if refusal != WRITTEN:
                return refusal
        if row.weight != 1:
            self.key(b"_weight", 7, &comma)
            self.number(row.weight)
        if row.initial != 0:
            self.key(b"_initial", 8, &comma)
            self.number(row.initial)
        if row.tag_length:
            refusal = clean(block.text + row.tag, row.tag_length)
            if refusal != WRITTEN:
                return TAG_SIGNS if refusal == TEXT_VALUE or refusal == NAME_SIGNS else refusal
            self.key(b"_tag", 4, &comma)
            self.string(block.text + row.tag, row.tag_length)
        first = 0
        self.keys.object = 1
        while first < row.n_extents:
            end = first + 1
            # a namespace that the line names twice
            while end < row.n_extents and same_space(block, &extents[first], &extents[end]):
                end += 1
            i = extents[end].begin if end < row.n_extents else row.n_features
            if i > extents[first].begin:
                refusal = self.namespace(block, row, &extents[first], i, &comma)
                if refusal != WRITTEN:
                    return refusal
            first = end
        self.out.text(b"}\n", 2)
        return WRITTEN

    cdef Refusal write_choices(self, Block block, const Row* row, bint* comma) except RAISED nogil:
        """Write a label of choices: a number if it is one class that is numbered, or the text before the '|'."""
        cdef const Choice* choice = &block.choices[row.choice]
        cdef const char* name = block.text + choice.name
        self.key(b"_label", 6, comma)
        if row.n_choices == 1 and choice.number != NO_NUMBER and isnan(choice.cost) and (
                name[0] != b"0" or choice.name_length == 1) and not self.joined:
            self.out.text(name, choice.name_length)
            return WRITTEN
        self.choices.used = 0
        self.label(block, row, self.choices)
        if vwl_utf8_problem(<const uint8_t*>self.choices.buffer, self.choices.used) < self.choices.used:
            return NO_UTF8
        self.string(self.choices.buffer, self.choices.used)
        return WRITTEN

    cdef Refusal namespace(
        self, Block block, const Row* row, const Extent* extent, size_t end, bint* comma
    ) except RAISED nogil:
        """Write the features of a namespace, up to the one at `end` of the row."""
        cdef size_t j, start, length = extent_name_length(extent)
        cdef const uint8_t* name = <const uint8_t*>block.text + extent.name
        cdef bint inner = False
        cdef Refusal refusal
        for j in range(extent.begin, end):
            refusal = clean(block.text + block.names[row.feature + j].begin, block.names[row.feature + j].length)
            if refusal != WRITTEN:
                return refusal
        if length == 0:
            for j in range(extent.begin, end):
                refusal = self.member(block, row, extent, j, 1, comma)
                if refusal != WRITTEN:
                    return refusal
            return WRITTEN
        refusal = clean(<const char*>name, length)
        if refusal != WRITTEN:
            return refusal
        if is_special(name, length) or not self.keys.add(1, name, length):
            return NAME_SPECIAL if is_special(name, length) else NAME_TWICE
        self.key(<const char*>name, length, comma)
        if not self.is_list(block, row, extent.begin, end):
            start = self.out.used
            self.out.text(b"{", 1)
            self.keys.object += 1
            for j in range(extent.begin, end):
                refusal = self.member(block, row, extent, j, self.keys.object, &inner)
                if refusal != WRITTEN:
                    break
            if refusal == WRITTEN:
                self.out.text(b"}", 1)
                return WRITTEN
            self.out.used = start
        return self.entries(block, row, extent, end)

    cdef bint is_list(self, Block block, const Row* row, size_t begin, size_t end) noexcept nogil:
        """Whether all features have names alone: no values, and no '='."""
        cdef size_t j
        cdef const NameSpan* span
        for j in range(begin, end):
            span = &block.names[row.feature + j]
            if (block.features[row.feature + j].value != 1 or span.length == 0
                    or memchr(block.text + span.begin, b"=", span.length) != NULL):
                return False
        return True

    cdef Refusal member(
        self, Block block, const Row* row, const Extent* extent, size_t j, uint32_t object, bint* comma
    ) except RAISED nogil:
        """Write a feature as a member of an object."""
        cdef const Feature* feature = &block.features[row.feature + j]
        cdef const NameSpan* span = &block.names[row.feature + j]
        cdef const uint8_t* name = <const uint8_t*>block.text + span.begin
        cdef const uint8_t* sign = NULL
        cdef size_t n = span.length
        if n == 0:
            name = self.number_name(feature.hash - extent.hash, row.n_features, &n)
        if feature.value == 1:
            sign = <const uint8_t*>memchr(name, b"=", n)
        if sign != NULL and sign > name and not is_special(name, sign - name) and self.keys.add(
                object, name, sign - name):
            self.key(<const char*>name, sign - name, comma)
            self.string(<const char*>sign + 1, n - (sign + 1 - name))
            return WRITTEN
        if is_special(name, n):
            return NAME_SPECIAL
        if not self.keys.add(object, name, n):
            return NAME_TWICE
        self.key(<const char*>name, n, comma)
        self.number(feature.value)
        return WRITTEN

    cdef const uint8_t* number_name(self, uint32_t number, size_t most, size_t* n) except NULL nogil:
        """The name of a feature without one, which is counted in its namespace."""
        cdef char* name
        if self.digit_capacity < most * LONGEST_NUMBER:
            self.digit_capacity = most * LONGEST_NUMBER
            resize(&self.digits, self.digit_capacity, 1)
        name = self.digits + self.n_digits
        n[0] = vwl_print(name, LONGEST_NUMBER, b"%.0f", number)
        self.n_digits += n[0]
        return <const uint8_t*>name

    cdef Refusal entries(self, Block block, const Row* row, const Extent* extent, size_t end) except RAISED nogil:
        """Write the features of a namespace as a list: strings, and objects of one member."""
        cdef size_t j
        cdef const NameSpan* span
        cdef const Feature* feature
        self.out.text(b"[", 1)
        for j in range(extent.begin, end):
            span, feature = &block.names[row.feature + j], &block.features[row.feature + j]
            if j > extent.begin:
                self.out.text(b",", 1)
            if feature.value == 1 and span.length:
                self.string(block.text + span.begin, span.length)
                continue
            self.out.text(b'{"', 2)
            if span.length == 0:
                self.out.whole(feature.hash - extent.hash)
            elif is_special(<const uint8_t*>block.text + span.begin, span.length):
                return NAME_SPECIAL
            else:
                self.escaped(block.text + span.begin, span.length)
            self.out.text(b'":', 2)
            self.number(feature.value)
            self.out.text(b"}", 1)
        self.out.text(b"]", 1)
        return WRITTEN

    cdef int key(self, const char* name, size_t n, bint* comma) except -1 nogil:
        """Write a key and its colon."""
        if comma[0]:
            self.out.text(b",", 1)
        comma[0] = True
        self.out.text(b'"', 1)
        self.escaped(name, n)
        return self.out.text(b'":', 2)

    cdef int string(self, const char* text, size_t n) except -1 nogil:
        self.out.text(b'"', 1)
        self.escaped(text, n)
        return self.out.text(b'"', 1)

    cdef int escaped(self, const char* text, size_t n) except -1 nogil:
        """Write the inside of a string."""
        cdef size_t i, copied = 0
        cdef uint8_t c
        cdef char[8] code
        for i in range(n):
            c = <uint8_t>text[i]
            if c >= 32 and c != b'"' and c != b"\\":
                continue
            self.out.text(text + copied, i - copied)
            copied = i
            if c < 32:
                code[0], code[1], code[2], code[3] = b"\\", b"u", b"0", b"0"
                code[4], code[5] = 48 + (c >> 4), HEXADECIMAL[c & 15]
                self.out.text(code, 6)
                copied += 1
            else:
                self.out.text(b"\\", 1)
        return self.out.text(text + copied, n - copied)


cdef bint is_special(const uint8_t* name, size_t n) noexcept nogil:
    """Whether a key is no feature in JSON."""
    return (n and name[0] == b"_" and (
        n == 6 and memcmp(name, b"_label", 6) == 0 or n == 7 and memcmp(name, b"_weight", 7) == 0
        or n == 8 and memcmp(name, b"_initial", 8) == 0 or n == 4 and memcmp(name, b"_tag", 4) == 0))


cdef bint same_space(Block block, const Extent* one, const Extent* other) noexcept nogil:
    """Whether two extents are of the same namespace."""
    return (one.hash == other.hash and one.name_length_index == other.name_length_index
            and memcmp(block.text + one.name, block.text + other.name, extent_name_length(one)) == 0)
