"""Names in Vowpal Wabbit's JSON: of namespaces, entities and tags, and words of texts."""
from libc.float cimport FLT_MAX
from libc.math cimport fabs
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from vwlite.core.example cimport Row
from vwlite.core.reasons cimport ENTITY_SIGNS, FINE, JSON_STRING, NAME_SIGNS, VALUE_FINITE
from vwlite.input.naming cimport hash_name
from vwlite.input.rows cimport Space
from vwlite.input.vw_labels cimport Labels, first_bytes
from vwlite.input.vw_rows cimport push

cdef uint8_t[256] SIGNS
for _byte in range(256):
    SIGNS[_byte] = SEPARATES if _byte in b" \t" else ENDS if _byte in b"\n\r\0" else MARKS if _byte in b":|" else 0


cdef class Names(Labels):
    """Reads names into the rows of an Assembly."""

    cdef int space_of(self, size_t key, size_t n, Space* space) except -1 nogil:
        """The namespace of a name; one of blanks has none."""
        cdef const uint8_t* name = self.text + key
        cdef size_t i = 0
        cdef uint64_t beginning = 0
        cdef KnownSpace* known = NULL
        if 0 < n <= 8 and not self.escaped and not self.writable:
            beginning = first_bytes(name, n)
            known = &self.known[(beginning ^ beginning >> 17 ^ beginning >> 40) % KNOWN]
            if known.beginning == beginning:      # no name has a NUL: it needs an escape
                space[0] = known.space
                space.name = <uint32_t>key
                return 0
        while i < n and name[i] == 32:
            i += 1
        if i == n:
            space[0] = self.rows.plain
            return 0
        if (self.escaped or self.writable) and not self.clean_name(key, n, False):
            self.fail(NAME_SIGNS, key)
        space.hash = self.rows.naming.letter_hash[name[0]] if n == 1 \
            else hash_name(self.rows.naming, name, n, self.rows.naming.seed)
        space.name = <uint32_t>key
        space.name_length_index = <uint32_t>(n << 8) | self.rows.naming.index_of[name[0]]
        space.names_entities = self.rows.naming.n_entities and self.rows.naming.names_entities(space.hash)
        if known != NULL:
            known.beginning, known.space = beginning, space[0]
        return 0

    cdef bint clean_name(self, size_t at, size_t n, bint tag) noexcept nogil:
        """Replace line ends and NUL in a name by '_'; False if text can't represent a name and has to."""
        cdef size_t i
        cdef uint8_t signs
        for i in range(at, at + n):
            signs = SIGNS[self.text[i]]
            if signs == 0:
                continue
            if self.writable and not (tag and self.text[i] == b":"):
                return False
            if signs == ENDS:
                self.text[i] = b"_"
        return True

    cdef size_t read_tag(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read the tag of the example or action."""
        cdef size_t begin = at + 1, n = 0, m
        cdef Row* row = &self.rows.block.rows[self.assembly.current]
        if self.text[at] == b"n":
            m = self.literal(at)
            return at + m
        if self.text[at] != b'"':
            return self.fail(JSON_STRING, at)
        at = self.string(at, &n)
        if self.reason == FINE and not self.clean_name(begin, n, True):
            return self.fail(NAME_SIGNS, begin)
        row.tag, row.tag_length = <uint32_t>begin, <uint32_t>n
        return at

    cdef size_t read_text(self, size_t at, const Space* space) except? 0xFFFFFFFF nogil:
        """Read a text whose words are features."""
        cdef size_t begin = at + 1, n = 0, m, i, end
        cdef uint8_t signs
        if self.text[at] == b"n":
            m = self.literal(at)
            return at + m
        if self.text[at] != b'"':
            return self.fail(JSON_STRING, at)
        at = self.string(at, &n)
        if self.reason != FINE:
            return self.end
        end = begin + n
        i = begin
        while i <= end:
            signs = SEPARATES if i == end else SIGNS[self.text[i]]
            if signs == MARKS or i < end and self.text[i] == 0:
                self.text[i] = b"_"
            elif signs:
                if i > begin:
                    self.put_feature(begin, i - begin, space)
                begin = i + 1
            i += 1
        return at

    cdef size_t entity_value(self, size_t key, size_t n, size_t at, const Space* space) except? 0xFFFFFFFF nogil:
        """Read the name of an entity, a text or a number; equal numbers are one name. `key` begins the name."""
        cdef size_t begin = at, m = 0, i, to = self.rows.text
        cdef double value = 0
        cdef bint whole = True
        memcpy(self.text + to, self.text + key, n)
        if self.text[at] == b'"':
            at = self.string(at, &m)
            begin += 1
            for i in range(begin, begin + m):
                if self.reason == FINE and SIGNS[self.text[i]]:
                    self.fail(ENTITY_SIGNS, i)
            if m == 0:
                self.fail(ENTITY_SIGNS, begin)
        else:
            at = self.number(at, &value)
            m = at - begin
            for i in range(begin + (self.text[begin] == b"-"), at if self.reason == FINE else begin):
                whole = whole and 48 <= self.text[i] <= 57
        if self.reason != FINE:
            return self.end
        if not whole or m == 2 and self.text[begin] == b"-" and self.text[begin + 1] == b"0":
            if not fabs(value) <= FLT_MAX:
                return self.fail(VALUE_FINITE, begin)
            with gil:
                m = self.put_decimal(begin, at, to + n)
        else:
            memcpy(self.text + to + n, self.text + begin, m)
        if n and not self.clean_name(to, n, False):
            return self.fail(NAME_SIGNS, key)
        self.rows.text += n + m
        self.put_feature(to, n + m, space)
        return at

    cdef size_t put_decimal(self, size_t begin, size_t end, size_t to) except? 0xFFFFFFFF:
        """Write a number of the text as Python does, a whole one without a point; returns its length."""
        value = float((<char*>self.text)[begin:end])
        cdef bytes words = b"%d" % value if abs(value) < 2**53 and value.is_integer() else repr(value).encode()
        memcpy(self.text + to, <const char*>words, len(words))
        return len(words)

    cdef int put_feature(self, size_t at, size_t n, const Space* space) except -1 nogil:
        """A feature of value 1 whose name is in the text."""
        return push(self.assembly, hash_in(self, at, n, space.hash), self.rows.naming.plain, at, n)
