"""Members of JSON objects, put into rows; see parsers/json.pyx for their meaning."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from vwlite.core.arrays cimport grow
from vwlite.core.hashing cimport hash_all
from vwlite.core.reasons cimport (
    ENTITY_NAMELESS, FINE, JSON_DEEP, JSON_LIST, JSON_NESTED, JSON_OBJECT, JSON_RULE, JSON_SPECIAL, JSON_SYNTAX,
)
from vwlite.input.columns cimport LONGEST_RECENT, RECENT_BITS, Columns, Recent, are_digits, is_unused
from vwlite.input.json_text cimport FEW_KEYS, MOST_DEEP, JsonText
from vwlite.input.rows cimport LONGEST_NUMBER, Rows, Space, add, is_number, number_in_words

from vwlite.input.column_map import Rule

cdef extern from "vwlite/core/cells.h" nogil:
    void vwl_short_word(const uint8_t* p, size_t n, uint64_t* a, uint64_t* b)
    size_t vwl_place_of(uint64_t a, uint64_t b, uint64_t key, int bits)

cdef size_t NO_RULES = <size_t>-1     # instead of the length of the outer key: the column map has none for these


cdef class Members(JsonText):
    """Reads the objects of a block into rows."""

    def __init__(self, Rows rows not None, column_map):
        super().__init__(rows)
        self.column_map = column_map
        self.mapped = column_map is not None
        self.known_capacity = FEW_KEYS
        self.last = -1
        self.known = <Known*>calloc(self.known_capacity, sizeof(Known))
        self.recent = <Recent*>calloc(1 << RECENT_BITS, sizeof(Recent))
        if self.known == NULL or self.recent == NULL:
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
        free(self.met)
        free(self.recent)

    cdef size_t read(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read an object into the current row; returns the position after it."""
        self.begin_object()
        self.n_met = 0
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

    cdef int distinguish(self, uint32_t serial, size_t first) except -1 nogil:
        """Note the keys of an object that were met so far; one that it has twice is a problem."""
        cdef size_t i
        for i in range(first, self.n_met):
            self.meet(serial, self.met[i].at, self.met[i].n)
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
            if column >= 0 and is_unused(self.columns.columns[column].role):
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
            begin = at
            at = self.number(at, &value)
            if self.reason != FINE:
                return self.end
            if column >= 0:
                self.columns.written(self.rows, column, self.text + begin, at - begin, value)
            elif self.rows.is_entity(name, n):
                if are_digits(self.text + begin, at - begin):
                    self.rows.entity(name, n, self.text + begin, at - begin)
                else:
                    self.rows.entity(name, n, words, number_in_words(value, words))
            else:
                self.number_of(known, name, n, value)
        if column >= 0 and self.rows.space.hash != before.hash:
            self.rows.space = before  # of the keys that no rule names
            self.rows.open = False
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
            begin = at
            at = self.number(at, &value)
            if self.reason == FINE:
                if label:
                    self.rows.label_number(value)
                elif weight:
                    self.rows.weigh(value)
                elif initial:
                    self.rows.begin_at(value)
                elif are_digits(self.text + begin, at - begin):
                    self.rows.tag(self.text + begin, at - begin)
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
                rule = rule.inside(outer.decode("utf-8", "replace"))
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

cdef inline bint is_special(const uint8_t* name, size_t n) noexcept nogil:
    """Whether a key is no feature: _label, _weight, _initial or _tag."""
    return n and name[0] == b"_" and (
        n == 6 and memcmp(name, b"_label", 6) == 0 or n == 7 and memcmp(name, b"_weight", 7) == 0
        or n == 8 and memcmp(name, b"_initial", 8) == 0 or n == 4 and memcmp(name, b"_tag", 4) == 0)
