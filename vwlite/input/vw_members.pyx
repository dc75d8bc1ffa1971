"""Members of objects in Vowpal Wabbit's JSON. parsers/vw_json.pyx has the meaning of the keys, vw_rows.pxd the layout.

The text has the capacity for what is written behind it (see Assembly), so it does not move while it is read.
"""
from libc.float cimport FLT_MAX
from libc.math cimport fabs
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from vwlite.core.example cimport MAX_ACTIONS
from vwlite.core.reasons cimport (
    ACTIONS_MANY, ARRAY_MEMBER, CONTEXT_ABSENT, CONTEXT_KIND, ENTITY_KIND, FINE, JSON_DEEP, JSON_FLAG, JSON_OBJECT,
    JSON_SYNTAX, MULTI_ABSENT, MULTI_ARRAY, MULTI_SINGLE, MULTI_TWICE, NAME_SIGNS, PDROP_RANGE, SLOTS_ABSENT,
    VALUE_FINITE, Reason,
)
from vwlite.input.json_text cimport MOST_DEEP
from vwlite.input.naming cimport hash_name
from vwlite.input.rows cimport Space, number_in_words
from vwlite.input.vw_labels cimport Scope, behind_blanks, is_word, read_key
from vwlite.input.vw_names cimport Names, hash_in, separates
from vwlite.input.vw_rows cimport Assembly, push

cdef extern from "vwlite/core/json_text.h" nogil:
    const uint8_t* vwl_string_stop(const uint8_t* p)
    bint vwl_copy_word(uint8_t* to, const uint8_t* source, size_t n)


cdef inline bint is_scalar(uint8_t c) noexcept nogil:
    """Whether a value is a text or a number, by its first character."""
    return c == b'"' or c == b"-" or 48 <= c <= 57


cdef inline bint same(const uint8_t* name, size_t n, const char* word, size_t length) noexcept nogil:
    return n == length and memcmp(name, word, n) == 0


cdef class VwMembers(Names):
    """Reads the examples of a block into rows.

    Args:
        rows: Of the block.
        decisions: Whether examples are multi-line ones.
        writable: Whether names that VW's text can't represent are refused.
        enveloped: Whether lines are dsjson.
        chained: Whether a text is hashed with the hash of its name.
    """

    def __init__(self, Assembly rows not None, bint decisions, bint writable, bint enveloped, bint chained):
        super().__init__(rows, decisions, writable)
        self.enveloped, self.chained = enveloped, chained

    cdef int example(self, size_t at, size_t line, size_t start, size_t stop) except -1 nogil:
        """Read the object of a line into rows; `at` is the place of its brace."""
        self.begin_object()
        self.end = stop
        self.whole.given = 0
        self.label = &self.whole
        self.weight = 1
        self.learned = True
        self.in_action = self.indexed = self.met_actions = self.met_context = self.is_observation = False
        self.n_actions = self.n_open = 0
        self.assembly.begin_example(line, start, stop - start)
        if self.text[at] != b"{":
            at = self.fail(JSON_OBJECT, at)
        elif self.enveloped:
            at = self.envelope(at)
        else:
            at = self.context(at, 1)
        if self.reason == FINE:
            at = behind_blanks(self, at)
            if at < stop:
                self.fail(JSON_SYNTAX, at)
        if self.reason == FINE:
            self.finish(start)
        if self.reason != FINE:
            self.assembly.refuse_example(self.reason, self.problem, stop)
        elif self.is_observation:
            return self.assembly.take_back()
        if self.decisions:
            self.assembly.end_example()
        return 0

    cdef int refuse(self, Reason reason, size_t at, size_t line, size_t start, size_t stop) except -1 nogil:
        """Refuse a line that is not read."""
        self.assembly.begin_example(line, start, stop - start)
        self.assembly.refuse_example(reason, at, stop)
        return self.assembly.end_example() if self.decisions else 0

    cdef int finish(self, size_t start) except -1 nogil:
        """Complete the rows: labels, weights, shared features."""
        if self.enveloped and not self.met_context:
            if not self.is_observation:
                self.fail(CONTEXT_ABSENT, start)
            return 0
        self.is_observation = False
        if not self.decisions:
            self.assembly.complete_row()
            if self.learned:
                self.apply(&self.whole, self.assembly.current, 0)
            return self.reweigh()
        if not self.met_actions:
            self.fail(MULTI_ABSENT, start)
            return 0
        self.apply_whole(self.n_actions, self.learned, self.enveloped)
        self.reweigh()
        return self.assembly.end_shared()

    cdef int reweigh(self) except -1 nogil:
        """Multiply the weights of the rows by that of the line."""
        cdef size_t i
        if self.weight != 1:
            for i in range(self.assembly.first_row, self.rows.n_rows):
                self.rows.block.rows[i].weight = self.rows.block.rows[i].weight * <float>self.weight
        return 0

    # dsjson

    cdef size_t envelope(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read the object around an example; returns the position after it."""
        cdef size_t key = 0, n = 0
        cdef Scope scope
        scope.first, scope.serial = self.n_open, 0
        at = behind_blanks(self, at + 1)
        if self.text[at] == b"}":
            return at + 1
        while True:
            at = read_key(self, at, &scope, &key, &n)
            if self.reason == FINE:
                at = self.envelope_member(key, n, at)
            if self.reason != FINE:
                return self.end
            at = behind_blanks(self, at)
            if self.text[at] == b"}":
                self.n_open = scope.first
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = behind_blanks(self, at + 1)

    cdef size_t envelope_member(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil:
        """Read the value of a key beside the context."""
        cdef const uint8_t* name = self.text + key
        cdef uint8_t c = self.text[at]
        cdef size_t begin = at, m
        cdef double value = 0
        if n == 1 and name[0] == b"c":
            if c != b"{":
                return self.fail(CONTEXT_KIND, at)
            self.met_context = True
            return self.context(at, 2)
        if n >= 6 and memcmp(name, b"_label", 6) == 0:
            return self.label_key(key, n, at)
        if same(name, n, b"_skipLearn", 10) and c != b"n":
            if c != b"t" and c != b"f":
                return self.fail(JSON_FLAG, at)
            m = self.literal(at)
            self.learned = c == b"f"
            return at + m
        if same(name, n, b"pdrop", 5) and c != b"n":
            if c == b"-" or 48 <= c <= 57:
                at = self.number(at, &value)
                if self.reason != FINE or 0 <= value < 1:
                    self.weight = 1 / (1 - value)
                    return at
            return self.fail(PDROP_RANGE, begin)
        if same(name, n, b"_outcomes", 9):
            return self.fail(SLOTS_ABSENT, key)
        if same(name, n, b"EventId", 7):
            self.is_observation = True
        return self.skip(at, 2)

    # objects

    cdef size_t context(self, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read the object of an example; returns the position after it."""
        at = self.members(at, depth, &self.rows.plain)
        if self.reason == FINE:
            self.assembly.close(&self.rows.plain, 0)
        return at

    cdef size_t members(self, size_t at, int depth, const Space* space, bint entity=False) except? 0xFFFFFFFF nogil:
        """Read an object whose features are in a namespace; returns the position after it.

        `entity`: texts and numbers name an entity, in parts: {"id": 7} is the entity id7.
        """
        cdef size_t key = 0, n = 0
        cdef Scope scope
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        scope.first, scope.serial = self.n_open, 0
        at = behind_blanks(self, at + 1)
        if self.text[at] == b"}":
            return at + 1
        while True:
            at = read_key(self, at, &scope, &key, &n)
            if self.reason != FINE:
                return self.end
            if entity and is_scalar(self.text[at]) and not (n and self.text[key] == b"_"):
                at = self.entity_value(key, n, at, space)
            else:
                at = self.value(key, n, at, depth, space)
            if self.reason != FINE:
                return self.end
            at = behind_blanks(self, at)
            if self.text[at] == b"}":
                self.n_open = scope.first
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = behind_blanks(self, at + 1)

    cdef size_t value(self, size_t key, size_t n, size_t at, int depth, const Space* space) except? 0xFFFFFFFF nogil:
        """Read the value of a key; returns the position after it."""
        cdef uint8_t c = self.text[at]
        cdef const uint8_t* name = self.text + key
        cdef const uint8_t* stop
        cdef size_t m = 0, begin = at
        cdef double value = 0
        if n and name[0] == b"_":
            return self.special_key(key, n, at, depth, space)
        if self.rows.naming.n_entities and self.rows.is_entity(name, n):
            return self.entity_member(key, n, at, depth)
        if c == b'"':
            stop = vwl_string_stop(self.text + at + 1)
            if stop[0] == b'"':
                m = stop - self.text - at - 1
                at += m + 2
            else:
                at = self.string(at, &m)
            if self.reason == FINE:
                self.text_feature(key, n, begin + 1, m, space)
        elif c == b"{" or c == b"[":
            at = self.inner(key, n, at, depth)
        elif c == b"t" or c == b"f" or c == b"n":
            m = self.literal(at)
            at += m
            if c == b"t" and self.reason == FINE:
                self.plain_feature(key, n, space)
        else:
            while 48 <= self.text[at] <= 57 and at - begin < 9:
                value = 10 * value + (self.text[at] - 48)
                at += 1
            if not (self.text[at] == b"," or self.text[at] == b"}") or at == begin or \
                    self.text[begin] == b"0" and at - begin > 1:
                at = self.number(begin, &value)       # no short whole number
            if self.reason == FINE:
                self.number_feature(key, n, value, begin, space)
        return at

    cdef size_t inner(self, size_t key, size_t n, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read an object or array that is a namespace; returns the position after it."""
        cdef Space space
        cdef size_t base = self.assembly.n_stack
        self.space_of(key, n, &space)
        at = self.members(at, depth + 1, &space) if self.text[at] == b"{" else self.list(at, depth + 1, &space)
        if self.reason == FINE:
            self.assembly.close(&space, base)
        return at

    cdef size_t list(self, size_t at, int depth, const Space* space) except? 0xFFFFFFFF nogil:
        """Read an array of features, numbered as those without names, and of objects; returns the position after it."""
        cdef uint32_t place = 0
        cdef size_t begin, m
        cdef double value = 0
        cdef uint8_t c
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        at = behind_blanks(self, at + 1)
        if self.text[at] == b"]":
            return at + 1
        while True:
            c = self.text[at]
            begin = at
            if c == b"{":
                at = self.members(at, depth + 1, space)
            elif c == b"n":
                m = self.literal(at)
                at += m
            elif c == b"-" or 48 <= c <= 57:
                at = self.number(at, &value)
                if not fabs(value) <= FLT_MAX:
                    self.fail(VALUE_FINITE, begin)
                elif space.names_entities:
                    push(self.assembly, space.hash + place, <float>value, 0, 0)
                elif <float>value != 0 or self.rows.naming.keeps_zeros:
                    m = self.put_place(place) if self.rows.names else 0
                    push(self.assembly, space.hash + place, <float>value, self.rows.text - m, m)
                elif self.rows.naming.notes and not self.in_action:
                    m = self.put_place(place)
                    self.assembly.note(space.hash, self.rows.text - m, m, 0, False)
                place += 1
            else:
                self.fail(ARRAY_MEMBER if c == b'"' or c == b"[" or c == b"t" or c == b"f" else JSON_SYNTAX, at)
            if self.reason != FINE:
                return self.end
            at = behind_blanks(self, at)
            if self.text[at] == b"]":
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = behind_blanks(self, at + 1)

    cdef size_t put_place(self, uint32_t place) noexcept nogil:
        """Write the name of a feature in an array, `[0]`, as VW shows it; returns its length."""
        cdef uint8_t* to = self.text + self.rows.text
        cdef size_t n = number_in_words(place, to + 1) + 2
        to[0], to[n - 1] = b"[", b"]"
        self.rows.text += n
        return n

    # keys that begin with "_"

    cdef size_t special_key(self, size_t key, size_t n, size_t at, int depth, const Space* space) \
            except? 0xFFFFFFFF nogil:
        """Read the value of a key that is no feature; returns the position after it."""
        cdef const uint8_t* name = self.text + key
        if same(name, n, b"_multi", 6):
            return self.actions(at, depth + 1)
        if n >= 6 and memcmp(name, b"_label", 6) == 0 or is_word(name, n, b"_labelindex", 11):
            return self.label_key(key, n, at)
        if is_word(name, n, b"_tag", 4):
            return self.read_tag(at)
        if same(name, n, b"_text", 5):
            return self.read_text(at, space)
        if same(name, n, b"_slots", 6):
            return self.fail(SLOTS_ABSENT, key)
        return self.skip(at, depth + 1)

    cdef size_t actions(self, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read the actions of a multi-line example; returns the position after them."""
        cdef size_t base = self.assembly.n_stack
        if not self.decisions:
            return self.fail(MULTI_SINGLE, at)
        if self.met_actions:
            return self.fail(MULTI_TWICE, at)
        self.met_actions = True
        if self.text[at] != b"[":
            return self.fail(MULTI_ARRAY, at)
        self.assembly.pause_shared()
        self.in_action = True
        self.label = &self.own
        at = behind_blanks(self, at + 1)
        while True:
            if self.text[at] != b"{":
                return self.fail(MULTI_ARRAY, at)
            if self.n_actions == MAX_ACTIONS:
                return self.fail(ACTIONS_MANY, at)
            self.own.given = 0
            self.assembly.begin_row()
            at = self.members(at, depth + 1, &self.rows.plain)
            if self.reason != FINE:
                return self.end
            self.assembly.close(&self.rows.plain, base)
            self.assembly.complete_row()
            if self.own.given and self.learned:
                self.apply(&self.own, self.assembly.current, self.n_actions)
            if self.reason != FINE:
                return self.end
            self.n_actions += 1
            at = behind_blanks(self, at)
            if self.text[at] == b"]":
                break
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = behind_blanks(self, at + 1)
        self.in_action = False
        self.label = &self.whole
        self.assembly.resume_shared()
        return at + 1

    # entities

    cdef size_t entity_member(self, size_t key, size_t n, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Read a key that is the namespace of a random effect; returns the position after its value."""
        cdef Space space
        cdef size_t base = self.assembly.n_stack, m
        cdef uint8_t c = self.text[at]
        if c == b"n":
            m = self.literal(at)
            return at + m
        self.space_of(key, n, &space)
        if c == b"{":
            at = self.members(at, depth + 1, &space, True)
        elif c == b"[":
            at = self.list(at, depth + 1, &space)
        elif c == b"t" or c == b"f":
            return self.fail(ENTITY_KIND, at)
        else:
            at = self.entity_value(0, 0, at, &space)
        if self.reason == FINE:
            self.assembly.close(&space, base)
        return at

    # features

    cdef int number_feature(self, size_t key, size_t n, double value, size_t at, const Space* space) except -1 nogil:
        """A feature with a value."""
        if (self.escaped or self.writable) and not self.clean_name(key, n, False):
            self.fail(NAME_SIGNS, key)
        elif not fabs(value) <= FLT_MAX:
            self.fail(VALUE_FINITE, at)
        elif <float>value != 0 or space.names_entities or self.rows.naming.keeps_zeros:
            push(self.assembly, hash_in(self, key, n, space.hash), <float>value, key, n)
        elif self.rows.naming.notes and not self.in_action:
            self.assembly.note(space.hash, key, n, 0, False)
        return 0

    cdef int plain_feature(self, size_t key, size_t n, const Space* space) except -1 nogil:
        """A feature without a value."""
        if (self.escaped or self.writable) and not self.clean_name(key, n, False):
            self.fail(NAME_SIGNS, key)
        else:
            push(self.assembly, hash_in(self, key, n, space.hash), self.rows.naming.plain, key, n)
        return 0

    cdef int text_feature(self, size_t key, size_t n, size_t begin, size_t m, const Space* space) except -1 nogil:
        """The feature of a text, whose name ends with the text."""
        cdef size_t to = self.rows.text, i
        cdef const uint8_t* text = self.text + begin
        cdef uint8_t* put
        cdef uint32_t hash
        if (self.escaped or self.writable) and not self.clean_name(key, n, False):
            self.fail(NAME_SIGNS, key)
            return 0
        if n <= 16:                   # a copy of constant size is a few instructions
            memcpy(self.text + to, self.text + key, 16)
        else:
            memcpy(self.text + to, self.text + key, n)
        put = self.text + to + n
        if self.chained and m:
            put[0] = b":"
            put += 1
        if m > 16 or not vwl_copy_word(put, text, m):
            for i in range(m):
                put[i] = b"_" if separates(text[i]) else text[i]
        if self.chained and m:
            hash = hash_name(self.rows.naming, put, m, hash_in(self, to, n, space.hash))
            m += 1
        else:
            hash = hash_in(self, to, n + m, space.hash)
        push(self.assembly, hash, self.rows.naming.plain, to, n + m)
        if self.rows.names:
            self.rows.text += n + m
        if self.rows.naming.notes and not self.chained and not self.in_action:
            self.assembly.note(space.hash, to, n, m, True)
        return 0
