"""Bags of features in JSON, the records of Photon ML and Lambda Learner:

    {"uid": "t7", "label": 1, "weight": 2, "offset": 0.5, "userId": "u7",
     "features": [{"name": "city", "term": "Bonn", "value": 1}, {"name": "age", "term": "", "value": 31}]}

is the example `1 2 0.5 t7| city=Bonn age:31 |userId u7`, if --random_effect names userId. `response` is a name of the
label, too. A feature is named `name=term`, without a term `name`, by the rule of vwlite/input/rows.pxd. `features` are
those without a namespace; another array of such objects is the namespace of its key. Strings and numbers, in the record
or in an object in it (`metadataMap`), are the names of entities if their key is the namespace of a random effect; else
they are ignored. A value may be in the object that Avro's JSON puts around it: {"double": 1}.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp

from vwlite.core.reasons cimport (
    ENTITY_NAMELESS, FINE, JSON_DEEP, JSON_OBJECT, JSON_SYNTAX, NTV_BAG, NTV_FEATURE, NTV_SCALAR, VALUE_FINITE,
)
from vwlite.input.json_text cimport MOST_DEEP, JsonText
from vwlite.input.rows cimport LONGEST_NUMBER, Rows, Space, add, is_number, number_in_words


cdef inline bint same(const uint8_t* name, size_t n, const char* word, size_t length) noexcept nogil:
    return n == length and memcmp(name, word, n) == 0


cdef class Bags(JsonText):
    """Reads the records of a block into rows."""

    def __init__(self, Rows rows not None):
        super().__init__(rows)

    cdef size_t read(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read a record into the current row; returns the position after it."""
        self.begin_object()
        if self.text[at] != b"{":
            return self.fail(JSON_OBJECT, at)
        return self.record(at, 1, False)

    cdef size_t key(self, size_t at, uint32_t serial, size_t* key, size_t* n) except? 0xFFFFFFFF nogil:
        """Read a key of the object of this number, and the colon; returns the position of the value."""
        if self.text[at] != b'"':
            return self.fail(JSON_SYNTAX, at)
        key[0] = at + 1
        at = self.string(at, n)
        if self.reason != FINE:
            return self.end
        self.meet(serial, key[0], n[0])
        at = self.blanks(at)
        if self.text[at] != b":":
            return self.fail(JSON_SYNTAX, at)
        return self.blanks(at + 1)

    cdef size_t scalar(self, size_t at, int depth, Scalar* found) except? 0xFFFFFFFF nogil:
        """Read a string, number, true, false or null, or Avro's object around one; returns the position after it."""
        cdef size_t key = 0, n = 0
        found.kind, found.at = self.text[at], at
        if found.kind == b'"':
            found.begin = at + 1
            return self.string(at, &found.n)
        if found.kind == b"t" or found.kind == b"f" or found.kind == b"n":
            n = self.literal(at)
            return at + n
        if found.kind != b"{":
            if found.kind == b"[":
                return self.fail(NTV_SCALAR, at)
            found.kind = b"0"
            return self.number(at, &found.number)
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        self.serial += 1
        at = self.key(self.blanks(at + 1), <uint32_t>self.serial, &key, &n)
        if self.reason == FINE:
            at = self.scalar(at, depth + 1, found)
        if self.reason != FINE:
            return self.end
        at = self.blanks(at)
        return at + 1 if self.text[at] == b"}" else self.fail(NTV_SCALAR, at)

    cdef size_t record(self, size_t at, int depth, bint inner) except? 0xFFFFFFFF nogil:
        """Read a record, or (`inner`) an object in it, with names of entities alone; returns the position after it."""
        cdef size_t key = 0, n = 0
        cdef uint32_t serial
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        self.serial += 1
        serial = <uint32_t>self.serial
        at = self.blanks(at + 1)
        if self.text[at] == b"}":
            return at + 1
        while True:
            at = self.key(at, serial, &key, &n)
            if self.reason == FINE:
                at = self.member_of(at, key, n, depth, inner)
            if self.reason != FINE:
                return self.end
            self.text = <uint8_t*>self.rows.block.text
            at = self.blanks(at)
            if self.text[at] == b"}":
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = self.blanks(at + 1)

    cdef size_t member_of(self, size_t at, size_t key, size_t n, int depth, bint inner) except? 0xFFFFFFFF nogil:
        """Read the value of a key of a record; returns the position after it."""
        cdef const uint8_t* name = self.text + key
        cdef uint8_t c = self.text[at]
        cdef Scalar value
        cdef bint own = not inner and (same(name, n, b"label", 5) or same(name, n, b"response", 8)
                                       or same(name, n, b"weight", 6) or same(name, n, b"offset", 6)
                                       or same(name, n, b"uid", 3))
        if own or self.rows.is_entity(name, n):
            at = self.scalar(at, depth + 1, &value)
            if self.reason == FINE:
                if not own:
                    self.set_entity(name, n, &value)
                elif not self.set_label(name, n, &value):
                    return self.fail(NTV_SCALAR, value.at)
            return at
        if c == b"[" and not inner:
            return self.bag(at, key, n, depth + 1)
        if c == b"{" and not inner:
            return self.record(at, depth + 1, True)
        return self.skip(at, depth + 1)

    cdef bint set_label(self, const uint8_t* name, size_t n, const Scalar* value) except -1 nogil:
        """Store the label, the weight, the offset or the tag of the row; False if the value has another type."""
        cdef uint8_t[LONGEST_NUMBER] words
        if value.kind == b"n":
            return True
        if name[0] == b"u":
            if value.kind == b'"':
                self.rows.tag(self.text + value.begin, value.n)
            elif value.kind == b"0":
                self.rows.tag(words, number_in_words(value.number, words))
            return value.kind == b'"' or value.kind == b"0"
        if name[0] == b"w" or name[0] == b"o":
            if value.kind != b"0":
                return False
            if name[0] == b"w":
                self.rows.weigh(value.number)
            else:
                self.rows.begin_at(value.number)
        elif value.kind == b'"':
            self.rows.label_words(self.text + value.begin, value.n)
        else:
            self.rows.label_number(value.number if value.kind == b"0" else value.kind == b"t")
        return True

    cdef int set_entity(self, const uint8_t* name, size_t n, const Scalar* value) except -1 nogil:
        """Store the name of an entity."""
        cdef uint8_t[LONGEST_NUMBER] words
        if value.kind == b'"' and value.n:
            return self.rows.entity(name, n, self.text + value.begin, value.n)
        if value.kind == b"0":
            return self.rows.entity(name, n, words, number_in_words(value.number, words))
        return 0 if value.kind == b"n" else self.rows.refuse(ENTITY_NAMELESS, name, n, NULL, 0)

    cdef size_t bag(self, size_t at, size_t key, size_t n, int depth) except? 0xFFFFFFFF nogil:
        """Read an array of features in the namespace of its key; returns the position after it."""
        cdef Space space
        if same(self.text + key, n, b"features", 8):
            n = 0                     # no namespace
        self.rows.namespace(self.text + key, n, &space)
        self.text = <uint8_t*>self.rows.block.text
        at = self.blanks(at + 1)
        if self.text[at] != b"]":
            while True:
                if self.text[at] != b"{":
                    return self.fail(NTV_BAG, at)
                at = self.feature(at, depth + 1)
                if self.reason != FINE:
                    return self.end
                at = self.blanks(at)
                if self.text[at] == b"]":
                    break
                if self.text[at] != b",":
                    return self.fail(JSON_SYNTAX, at)
                at = self.blanks(at + 1)
        self.rows.space = self.rows.plain
        self.rows.open = False
        return at + 1

    cdef size_t feature(self, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read a feature; returns the position after it."""
        cdef size_t key = 0, n = 0, begin = at
        cdef uint32_t serial
        cdef Scalar name, term, value
        cdef Scalar* part
        name.kind = term.kind = value.kind = 0
        term.n = 0
        self.serial += 1
        serial = <uint32_t>self.serial
        at = self.blanks(at + 1)
        while self.text[at] != b"}":
            at = self.key(at, serial, &key, &n)
            if self.reason != FINE:
                return self.end
            part = NULL
            if same(self.text + key, n, b"name", 4):
                part = &name
            elif same(self.text + key, n, b"term", 4):
                part = &term
            elif same(self.text + key, n, b"value", 5):
                part = &value
            at = self.skip(at, depth + 1) if part == NULL else self.scalar(at, depth + 1, part)
            if self.reason != FINE:
                return self.end
            at = self.blanks(at)
            if self.text[at] == b",":
                at = self.blanks(at + 1)
                if self.text[at] == b"}":
                    return self.fail(JSON_SYNTAX, at)
            elif self.text[at] != b"}":
                return self.fail(JSON_SYNTAX, at)
        if term.kind == b"n":
            term.kind, term.n = 0, 0
        if name.kind != b'"' or name.n == 0 or value.kind != b"0" or term.kind and term.kind != b'"':
            return self.fail(NTV_FEATURE, begin)
        if not is_number(value.number):
            return self.fail(VALUE_FINITE, value.at)
        self.put_feature(&name, &term, value.number)
        self.text = <uint8_t*>self.rows.block.text
        return at + 1

    cdef int put_feature(self, const Scalar* name, const Scalar* term, double value) except -1 nogil:
        """Append a feature to the current namespace."""
        cdef size_t n = name.n, m = term.n, at = self.rows.text
        if m == 0:
            return self.rows.number(self.text + name.begin, n, value)
        if <float>value == 0 and not (self.rows.space.names_entities or self.rows.naming.keeps_zeros):
            return 0
        self.rows.more_text(n + m + 1)
        self.rows.put(<const uint8_t*>self.rows.block.text + name.begin, n)
        self.rows.block.text[at + n] = b"="
        self.rows.text += n + 1
        self.rows.put(<const uint8_t*>self.rows.block.text + term.begin, m)
        self.rows.text = at
        add(self.rows, self.rows.hash_in(&self.rows.space, at, n + 1 + m), <float>value, at, n + 1 + m)
        return self.rows.keep(n + 1 + m)
