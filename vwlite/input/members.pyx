"""Members of JSON objects, put into rows. The grammar is RFC 8259's; see parsers/json.pyx for the meaning.

Strings lose their escapes in place, in the block's text. Positions, not pointers, are kept where names may move the
text.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.arrays cimport grow
from vwlite.core.hashing cimport hash_all
from vwlite.core.reasons cimport (
    ENTITY_NAMELESS, FINE, JSON_DEEP, JSON_ESCAPE, JSON_LIST, JSON_NESTED, JSON_NUMBER, JSON_OBJECT, JSON_RULE,
    JSON_SPECIAL, JSON_SYNTAX, JSON_TWICE, Reason,
)
from vwlite.input.columns cimport IGNORE, LONGEST_RECENT, RECENT_BITS, Columns, Recent
from vwlite.input.rows cimport LONGEST_NUMBER, Rows, Space, add, is_number, number_in_words

from vwlite.input.column_map import Rule

cdef extern from "vwlite/core/clocale.h" nogil:
    double vwl_strtod(const char* text, char** end)

cdef extern from "vwlite/core/cells.h" nogil:
    void vwl_short_word(const uint8_t* p, size_t n, uint64_t* a, uint64_t* b)
    size_t vwl_place_of(uint64_t a, uint64_t b, uint64_t key, int bits)
    double vwl_decimal_of(uint64_t digits, size_t decimals, size_t point, bint negative)
cdef extern from "vwlite/core/json_text.h" nogil:
    const uint8_t* vwl_string_stop(const uint8_t* p)

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_number(const uint8_t* p, size_t n, float* value)

cdef size_t NO_RULES = <size_t>-1     # instead of the length of the outer key: the column map has none for these

cdef enum:
    MOST_DEEP = 64                    # objects and arrays inside each other
    LONGEST = 512                     # bytes of a number
    FEW_KEYS = 256                    # places for the keys of a line, at first


cdef class Members:
    """Reads the objects of a block into rows."""

    def __init__(self, Rows rows not None, column_map):
        self.rows = rows
        self.column_map = column_map
        self.mapped = column_map is not None
        self.capacity = self.known_capacity = FEW_KEYS
        self.last = -1
        self.keys = <Key*>calloc(self.capacity, sizeof(Key))
        self.known = <Known*>calloc(self.known_capacity, sizeof(Known))
        self.recent = <Recent*>calloc(1 << RECENT_BITS, sizeof(Recent))
        if self.keys == NULL or self.known == NULL or self.recent == NULL:
            raise MemoryError
        if self.mapped:
            self.columns = Columns([], [], rows)
            self.columns.start = 0
            self.numbers = {}

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.known_capacity if self.known != NULL else 0):
            free(self.known[i].text)
        free(self.known)
        free(self.keys)
        free(self.met)
        free(self.recent)

    cdef size_t fail(self, Reason reason, size_t at) noexcept nogil:
        """Store the first problem; returns the end of the text."""
        if self.reason == FINE:
            self.reason, self.problem = reason, at
        return self.end

    cdef size_t blanks(self, size_t at) noexcept nogil:
        while self.text[at] == 32 or self.text[at] == 10 or self.text[at] == 13 or self.text[at] == 9:
            at += 1
        return at

    cdef size_t read(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read an object into the current row; returns the position after it."""
        self.reason = FINE
        self.serial = self.n_met = 0
        if self.n_keys:
            memset(self.keys, 0, self.capacity * sizeof(Key))
            self.n_keys = 0
        if self.text[at] != b"{":
            return self.fail(JSON_OBJECT, at)
        return self.object(at, 1, 0, 0)

    cdef size_t object(self, size_t at, int depth, size_t outer, size_t n_outer) except? 0xFFFFFFFF nogil:
        """Read an object whose features go to the current namespace; returns the position after it."""
        cdef size_t key, n, first = self.n_met
        cdef uint32_t serial, place = 0
        cdef Py_ssize_t known
        cdef bint ruled, ascends = True      # keys come in the order in which they were met first: they differ
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        self.serial += 1
        serial = <uint32_t>self.serial
        at = self.blanks(at + 1)
        if self.text[at] == b"}":
            return at + 1
        while True:
            if self.text[at] != b'"':
                return self.fail(JSON_SYNTAX, at)
            key = at + 1
            at = self.string(at, &n)
            if self.reason != FINE:
                return self.end
            known = -1
            ruled = self.mapped and n_outer != NO_RULES
            if ruled or not self.mapped:
                known = self.look_up(key, n, outer if ruled else 0, n_outer if ruled else 0)
            if not ascends:
                self.meet(serial, key, n)
            else:
                grow(&self.met, &self.met_capacity, self.n_met + 1, sizeof(Met))
                self.met[self.n_met].at, self.met[self.n_met].n = <uint32_t>key, <uint32_t>n
                self.n_met += 1
                if known >= 0 and self.known[known].place > place:
                    place = self.known[known].place
                else:
                    ascends = False
                    self.distinguish(serial, first)
            at = self.blanks(at)
            if self.text[at] != b":":
                return self.fail(JSON_SYNTAX, at)
            at = self.blanks(at + 1)
            at = self.member(known, ruled, key, n, at, depth)
            if self.reason != FINE:
                return self.end
            at = self.blanks(at)
            if self.text[at] == b"}":
                self.n_met = first
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = self.blanks(at + 1)

    cdef int meet(self, uint32_t serial, size_t at, size_t n) except -1 nogil:
        """Note a key; one that its object has already is a problem."""
        cdef size_t i = hash_all(self.text + at, n, serial) & (self.capacity - 1)
        while self.keys[i].object:
            if (self.keys[i].object == serial and self.keys[i].n == n
                    and memcmp(self.text + self.keys[i].at, self.text + at, n) == 0):
                self.fail(JSON_TWICE, at)
                return 0
            i = (i + 1) & (self.capacity - 1)
        self.keys[i].object, self.keys[i].at, self.keys[i].n = serial, <uint32_t>at, <uint32_t>n
        self.n_keys += 1
        if 2 * self.n_keys > self.capacity:
            self.more_keys()
        return 0

    cdef int distinguish(self, uint32_t serial, size_t first) except -1 nogil:
        """Note the keys of an object that were met so far; one that it has twice is a problem."""
        cdef size_t i
        for i in range(first, self.n_met):
            self.meet(serial, self.met[i].at, self.met[i].n)
        return 0

    cdef int more_keys(self) except -1 nogil:
        cdef size_t i, j, capacity = 4 * self.capacity
        cdef Key* keys = <Key*>calloc(capacity, sizeof(Key))
        if keys == NULL:
            with gil:
                raise MemoryError("no memory for the keys of a line of JSON")
        for i in range(self.capacity):
            if self.keys[i].object:
                j = hash_all(self.text + self.keys[i].at, self.keys[i].n, self.keys[i].object) & (capacity - 1)
                while keys[j].object:
                    j = (j + 1) & (capacity - 1)
                keys[j] = self.keys[i]
        free(self.keys)
        self.keys, self.capacity = keys, capacity
        return 0

    cdef size_t member(self, Py_ssize_t known, bint ruled, size_t key, size_t n, size_t at, int depth) \
            except? 0xFFFFFFFF nogil:
        """Read the value of a key; returns the position after it. `ruled`: the column map says what it is."""
        cdef uint8_t c = self.text[at]
        cdef const uint8_t* name = self.text + key
        cdef uint8_t[LONGEST_NUMBER] words
        cdef size_t m = 0, begin
        cdef Space before = self.rows.space, space
        cdef double value = 0
        cdef Py_ssize_t column = self.known[known].column if known >= 0 else -1
        if self.reason != FINE:
            return self.end
        if column < 0 and is_special(name, n):
            return self.special(key, n, at)
        if c == b"{" or c == b"[":
            if column >= 0 and self.columns.columns[column].role == IGNORE:
                return self.skip(at, depth)
            if n == 0:
                return self.fail(JSON_NESTED, key)
            self.rows.namespace(name, n, &space)
            self.text = <uint8_t*>self.rows.block.text
            at = self.object(at, depth + 1, key, n) if c == b"{" else self.array(at, depth + 1)
            self.rows.space = before
            self.rows.open = False
            return at
        if c == b'"':
            begin = at + 1
            at = self.string(at, &m)
            if self.reason != FINE:
                return self.end
            if column >= 0:
                self.columns.word(self.rows, column, self.text + begin, m)
            elif self.rows.is_entity(name, n):
                if m == 0:
                    self.rows.refuse(ENTITY_NAMELESS, name, n, NULL, 0)
                else:
                    self.rows.entity(name, n, self.text + begin, m)
            else:
                self.word_of(known, name, n, self.text + begin, m)
        elif c == b"t" or c == b"f" or c == b"n":
            m = self.literal(at)
            if self.reason != FINE:
                return self.end
            at += m
            if column >= 0 and c != b"n":
                self.columns.flag(self.rows, column, c == b"t")
            elif c == b"t" and self.rows.is_entity(name, n):
                self.rows.refuse(ENTITY_NAMELESS, name, n, NULL, 0)
            elif c == b"t":
                self.rows.plain_word(name, n)
        else:
            at = self.number(at, &value)
            if self.reason != FINE:
                return self.end
            if column >= 0:
                self.columns.number(self.rows, column, value)
            elif self.rows.is_entity(name, n):
                self.rows.entity(name, n, words, number_in_words(value, words))
            else:
                self.number_of(known, name, n, value)
        self.text = <uint8_t*>self.rows.block.text
        return at

    cdef size_t special(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil:
        """Read the value of a key that is no feature; returns the position after it."""
        cdef bint label = n == 6, weight = n == 7, initial = n == 8, tag = n == 4
        cdef uint8_t c = self.text[at]
        cdef uint8_t[LONGEST_NUMBER] words
        cdef double value = 0
        cdef size_t m, begin = at + 1
        if c == b"n":
            m = self.literal(at)
            return self.end if self.reason != FINE else at + m
        if c == b'"' and (label or tag):
            at = self.string(at, &m)
            if self.reason == FINE and label:
                self.rows.label_words(self.text + begin, m)
            elif self.reason == FINE:
                self.rows.tag(self.text + begin, m)
        elif (c == b"t" or c == b"f") and label:
            m = self.literal(at)
            at += m
            if self.reason == FINE:
                self.rows.label_number(c == b"t")
        elif c == b"-" or 48 <= c <= 57:
            at = self.number(at, &value)
            if self.reason == FINE:
                if label:
                    self.rows.label_number(value)
                elif weight:
                    self.rows.weigh(value)
                elif initial:
                    self.rows.begin_at(value)
                else:
                    self.rows.tag(words, number_in_words(value, words))
        else:
            return self.fail(JSON_SPECIAL, at)
        self.text = <uint8_t*>self.rows.block.text
        return at

    cdef inline bint is_known(self, size_t i, size_t key, size_t n, size_t outer, size_t n_outer) noexcept nogil:
        """Whether the i-th known key is this one."""
        cdef const Known* known = &self.known[i]
        return (known.n == n and known.n_outer == n_outer and memcmp(known.text + n_outer, self.text + key, n) == 0
                and memcmp(known.text, self.text + outer, n_outer) == 0)

    cdef Py_ssize_t look_up(self, size_t key, size_t n, size_t outer, size_t n_outer) except? -2 nogil:
        """The number of a known key, to which this one is added; -1 for want of memory, or of a rule of the map."""
        cdef Py_ssize_t i = -1, last = self.last, column = -1
        cdef uint32_t hash
        if last >= 0 and self.known[last].next:
            i = self.known[last].next - 1
            if self.is_known(i, key, n, outer, n_outer):      # objects mostly have their keys in one order
                self.last = i
                return i
        hash = hash_all(self.text + key, n, hash_all(self.text + outer, n_outer, 0))
        i = hash & (self.known_capacity - 1)
        while self.known[i].text != NULL and not (self.known[i].hash == hash
                                                  and self.is_known(i, key, n, outer, n_outer)):
            i = (i + 1) & (self.known_capacity - 1)
        if self.known[i].text == NULL:
            if self.mapped and not is_special(self.text + key, n):
                with gil:
                    column = self.find_column((<char*>self.text + outer)[:n_outer], (<char*>self.text + key)[:n], key)
                if self.reason != FINE:
                    return -1
            i = self.remember(hash, key, n, outer, n_outer, column)
            last = self.last
        if last >= 0 and i >= 0:
            self.known[last].next = <uint32_t>i + 1
        self.last = i
        return i

    cdef Py_ssize_t remember(self, uint32_t hash, size_t key, size_t n, size_t outer, size_t n_outer,
                             Py_ssize_t column) except? -2 nogil:
        """Add a key to the known ones; returns its number, -1 for want of memory."""
        cdef uint8_t* text
        cdef Known* known
        cdef size_t i
        if 2 * (self.n_known + 1) > self.known_capacity and not self.more_known():
            return -1
        text = <uint8_t*>malloc(n_outer + n + 1)
        if text == NULL:
            return -1
        memcpy(text, self.text + outer, n_outer)
        memcpy(text + n_outer, self.text + key, n)
        i = hash & (self.known_capacity - 1)
        while self.known[i].text != NULL:
            i = (i + 1) & (self.known_capacity - 1)
        self.n_known += 1
        known = &self.known[i]
        known.text, known.hash, known.column, known.place = text, hash, column, <uint32_t>self.n_known
        known.n, known.n_outer = <uint32_t>n, <uint32_t>n_outer
        return i

    cdef bint more_known(self) except -1 nogil:
        """Make the table of known keys larger; False for want of memory."""
        cdef size_t i, j, capacity = 4 * self.known_capacity
        cdef Known* known = <Known*>calloc(capacity, sizeof(Known))
        if known == NULL:
            return False
        for i in range(self.known_capacity):
            if self.known[i].text != NULL:
                j = self.known[i].hash & (capacity - 1)
                while known[j].text != NULL:
                    j = (j + 1) & (capacity - 1)
                known[j] = self.known[i]
                known[j].next = 0
        free(self.known)
        self.known, self.known_capacity, self.last = known, capacity, -1
        return True

    cdef bint has_hash(self, Known* known) except -1 nogil:
        """Finds the hash of a known key's feature in the current namespace; False if its name is needed, too."""
        if known.hashed and known.space == self.rows.space.hash:
            return True
        if self.rows.names or known.n == 0 or self.rows.naming.n_entities:
            return False
        known.feature = self.rows.hash_in(&self.rows.space, self.rows.put(known.text + known.n_outer, known.n), known.n)
        known.hashed, known.space = True, self.rows.space.hash
        self.text = <uint8_t*>self.rows.block.text
        return True

    cdef int number_of(self, Py_ssize_t known, const uint8_t* name, size_t n, double value) except -1 nogil:
        """A feature with a value."""
        if known < 0 or not is_number(value) or not self.has_hash(&self.known[known]):
            return self.rows.number(name, n, value)
        if <float>value == 0 and not self.rows.naming.keeps_zeros:
            return 0
        return add(self.rows, self.known[known].feature, <float>value, 0, 0)

    cdef int word_of(self, Py_ssize_t known, const uint8_t* name, size_t n, const uint8_t* text, size_t m) \
            except -1 nogil:
        """A category, `name=text`."""
        cdef Recent* recent
        cdef uint64_t a, b, key
        if known < 0 or self.rows.names or n == 0 or m > LONGEST_RECENT or self.rows.naming.n_entities:
            return self.rows.word(name, n, text, m)
        vwl_short_word(text, m, &a, &b)
        key = (<uint64_t>known << 40) ^ (<uint64_t>self.rows.space.hash << 8) ^ m
        recent = &self.recent[vwl_place_of(a, b, key, RECENT_BITS)]
        if recent.a == a and recent.b == b and recent.key == key + 1:
            return add(self.rows, recent.hash, self.rows.naming.plain, 0, 0)
        self.rows.word(name, n, text, m)
        if self.rows.row.reason == FINE:
            recent.a, recent.b, recent.key, recent.hash = a, b, key + 1, (self.rows.feature - 1).hash
        return 0

    cdef Py_ssize_t find_column(self, bytes outer, bytes name, size_t key) except? -2:
        path = (outer + b"." + name if outer else name).decode("utf-8", "replace")
        number = self.numbers.get(path)
        if number is None:
            rule = self.column_map.rule_of(path, self.rows.naming.entities if not outer else ())
            if rule is None and outer and self.numbers.get(outer.decode("utf-8", "replace")) == -1:
                rule = Rule(path, "auto")     # as the record that it is in
            number = -1
            if rule is None:
                number = -2
            elif rule.role != "auto":
                if outer and not rule.namespace and rule.role in ("number", "category", "flag", "date"):
                    namespace = outer.decode("utf-8", "replace")
                    rule = Rule(rule.name, rule.role, namespace=namespace, arguments=rule.arguments)
                number = self.columns.append(self.rows, name.decode("utf-8", "replace"), rule, path)
                self.text = <uint8_t*>self.rows.block.text
            self.numbers[path] = number
        if number == -2:
            self.fail(JSON_RULE, key)
            return -1
        return number

    cdef size_t array(self, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read an array whose members are features of the current namespace; returns the position after it."""
        cdef size_t place = 0, m = 0, begin
        cdef uint8_t[LONGEST_NUMBER] words
        cdef double value = 0
        cdef uint8_t c
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        at = self.blanks(at + 1)
        if self.text[at] == b"]":
            return at + 1
        while True:
            c = self.text[at]
            if c == b'"':
                begin = at + 1
                at = self.string(at, &m)
                if self.reason == FINE:
                    self.rows.plain_word(self.text + begin, m)
            elif c == b"{":
                at = self.object(at, depth + 1, 0, NO_RULES)
            elif c == b"[":
                return self.fail(JSON_LIST, at)
            elif c == b"t" or c == b"f" or c == b"n":
                m = self.literal(at)
                at += m
                if self.reason == FINE and c == b"t":
                    self.rows.plain_word(words, number_in_words(<double>place, words))
            else:
                at = self.number(at, &value)
                if self.reason == FINE:
                    self.rows.number(words, number_in_words(<double>place, words), value)
            if self.reason != FINE:
                return self.end
            self.text = <uint8_t*>self.rows.block.text
            place += 1
            at = self.blanks(at)
            if self.text[at] == b"]":
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = self.blanks(at + 1)

    cdef size_t skip(self, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read an object or array without using it; returns the position after it."""
        cdef size_t n
        cdef double value
        cdef uint8_t c = self.text[at], close = b"}" if c == b"{" else b"]"
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        if c == b'"':
            return self.string(at, &n)
        if c == b"t" or c == b"f" or c == b"n":
            n = self.literal(at)
            return at + n
        if c != b"{" and c != b"[":
            return self.number(at, &value)
        at = self.blanks(at + 1)
        while self.reason == FINE and self.text[at] != close:
            if close == b"}":
                if self.text[at] != b'"':
                    return self.fail(JSON_SYNTAX, at)
                at = self.blanks(self.string(at, &n))
                if self.reason != FINE or self.text[at] != b":":
                    return self.fail(JSON_SYNTAX, at)
                at = self.blanks(at + 1)
            at = self.skip(at, depth + 1)
            if self.reason != FINE:
                return self.end
            at = self.blanks(at)
            if self.text[at] == b",":
                at = self.blanks(at + 1)
                if self.text[at] == close:
                    return self.fail(JSON_SYNTAX, at)
            elif self.text[at] != close:
                return self.fail(JSON_SYNTAX, at)
        return at + 1 if self.reason == FINE else self.end

    cdef size_t literal(self, size_t at) noexcept nogil:
        """The length of true, false or null."""
        if memcmp(self.text + at, b"true", 4) == 0 or memcmp(self.text + at, b"null", 4) == 0:
            return 4
        if memcmp(self.text + at, b"false", 5) == 0:
            return 5
        self.fail(JSON_SYNTAX, at)
        return 0

    cdef size_t number(self, size_t at, double* value) noexcept nogil:
        """Read a number; returns the position after it."""
        cdef const uint8_t* text = self.text
        cdef size_t begin = at, n
        cdef char[LONGEST + 1] copy
        cdef uint64_t digits = 0
        at += text[at] == b"-"
        if text[at] == b"0":
            at += 1
        else:
            n = at
            while 48 <= text[at] <= 57:
                digits = 10 * digits + (text[at] - 48)
                at += 1
            if at == n:
                return self.fail(JSON_SYNTAX, at)
        if text[at] != b"." and text[at] != b"e" and text[at] != b"E" and at - begin < 16:
            value[0] = -<double>digits if text[begin] == b"-" else <double>digits       # exact
            return self.behind(at)
        if text[at] == b".":
            at += 1
            n = at
            while 48 <= text[at] <= 57:
                digits = 10 * digits + (text[at] - 48)
                at += 1
            if at == n:
                return self.fail(JSON_NUMBER, at)
            if at - begin <= 16 and text[at] != b"e" and text[at] != b"E":
                value[0] = vwl_decimal_of(digits, at - n, n - 1 - begin, text[begin] == b"-")
                return self.behind(at)
        if text[at] == b"e" or text[at] == b"E":
            at += 1
            at += text[at] == b"+" or text[at] == b"-"
            n = at
            while 48 <= text[at] <= 57:
                at += 1
            if at == n:
                return self.fail(JSON_NUMBER, at)
        n = at - begin
        if n > LONGEST:
            return self.fail(JSON_NUMBER, begin)
        memcpy(copy, text + begin, n)
        copy[n] = 0
        value[0] = read_decimal(copy, n)
        return self.behind(at)

    cdef size_t behind(self, size_t at) noexcept nogil:
        """Check that a number ends where it should."""
        cdef uint8_t c = self.text[at]
        if c == b"," or c == b"}" or c == b"]" or c <= 32:
            return at
        return self.fail(JSON_NUMBER, at)

    cdef size_t string(self, size_t at, size_t* n) noexcept nogil:
        """Read a string, at its quote, and take its escapes out in place; returns the position after it."""
        cdef uint8_t* text = self.text
        cdef size_t begin = at + 1, to
        cdef uint32_t code, low
        at = vwl_string_stop(text + begin) - text
        to = at
        while text[at] != b'"':
            if text[at] < 32:
                return self.fail(JSON_SYNTAX, at)
            if text[at] != b"\\":
                text[to] = text[at]
                to += 1
                at += 1
                continue
            at += 2
            if text[at - 1] == b"u":
                if not four(text + at, &code):
                    return self.fail(JSON_ESCAPE, at - 2)
                at += 4
                if 0xD800 <= code < 0xE000:
                    if code >= 0xDC00 or text[at] != b"\\" or text[at + 1] != b"u" or not four(text + at + 2, &low) \
                            or not 0xDC00 <= low < 0xE000:
                        return self.fail(JSON_ESCAPE, at - 6)
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                    at += 6
                to += encode(text + to, code)
                continue
            code = unescaped(text[at - 1])
            if code == 0:
                return self.fail(JSON_ESCAPE, at - 2)
            text[to] = <uint8_t>code
            to += 1
        n[0] = to - begin
        return at + 1


cdef inline bint is_special(const uint8_t* name, size_t n) noexcept nogil:
    """Whether a key is no feature: _label, _weight, _initial or _tag."""
    return n and name[0] == b"_" and (
        n == 6 and memcmp(name, b"_label", 6) == 0 or n == 7 and memcmp(name, b"_weight", 7) == 0
        or n == 8 and memcmp(name, b"_initial", 8) == 0 or n == 4 and memcmp(name, b"_tag", 4) == 0)


cdef double read_decimal(char* text, size_t n) noexcept nogil:
    """A number in single precision, as VW's text has it; in double precision if it is beyond."""
    cdef float found
    if n < 24:
        text[n] = b"\n"
        if vwl_number(<uint8_t*>text, n, &found) == <uint8_t*>text + n:
            return found
        text[n] = 0
    return vwl_strtod(text, NULL)


cdef bint four(const uint8_t* text, uint32_t* code) noexcept nogil:
    """Read four hexadecimal digits."""
    cdef size_t i
    cdef uint8_t c
    code[0] = 0
    for i in range(4):
        c = text[i]
        if 48 <= c <= 57:
            c -= 48
        elif 65 <= c <= 70 or 97 <= c <= 102:
            c = (c | 32) - 87
        else:
            return False
        code[0] = code[0] << 4 | c
    return True


cdef uint8_t unescaped(uint8_t c) noexcept nogil:
    """The character that a backslash and this one stand for; 0 if there is none."""
    if c == b'"' or c == b"\\" or c == b"/":
        return c
    return 8 if c == b"b" else 12 if c == b"f" else 10 if c == b"n" else 13 if c == b"r" else 9 if c == b"t" else 0


cdef size_t encode(uint8_t* to, uint32_t code) noexcept nogil:
    """Write a character in UTF-8, which is never longer than its escape; returns the number of bytes."""
    if code < 0x80:
        to[0] = <uint8_t>code
        return 1
    if code < 0x800:
        to[0], to[1] = <uint8_t>(0xC0 | code >> 6), <uint8_t>(0x80 | code & 63)
        return 2
    if code < 0x10000:
        to[0], to[1] = <uint8_t>(0xE0 | code >> 12), <uint8_t>(0x80 | code >> 6 & 63)
        to[2] = <uint8_t>(0x80 | code & 63)
        return 3
    to[0], to[1] = <uint8_t>(0xF0 | code >> 18), <uint8_t>(0x80 | code >> 12 & 63)
    to[2], to[3] = <uint8_t>(0x80 | code >> 6 & 63), <uint8_t>(0x80 | code & 63)
    return 4
