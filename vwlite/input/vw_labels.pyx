"""Labels in Vowpal Wabbit's JSON. parsers/vw_json.pyx has the forms."""
from libc.float cimport FLT_MAX
from libc.math cimport fabs, isfinite
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport Choice, Row
from vwlite.core.reasons cimport (
    COST_PROBABILITY, FINE, INITIAL_ALONE, JSON_SYNTAX, JSON_TWICE, LABEL_FINITE, LABEL_HALF, LABEL_INDEX,
    LABEL_INDEX_ABSENT, LABEL_INDEX_RANGE, LABEL_MEMBERS, LABEL_PART, LABEL_PART_NUMBER, LABEL_TEXT, LABEL_TWO,
    LABEL_UNKNOWN, LABEL_WEIGHT, WEIGHT_NEGATIVE, Reason,
)
from vwlite.input.heads cimport ACTION_HEAD, SIMPLE_HEAD
from vwlite.input.json_text cimport JsonText
from vwlite.input.rows cimport LONGEST_NUMBER, number_in_words
from vwlite.input.vw_rows cimport Assembly

cdef extern from "vwlite/core/json_text.h" nogil:
    const uint8_t* vwl_string_stop(const uint8_t* p)

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_any_number(const uint8_t* start, float* value)


cdef bint is_word(const uint8_t* text, size_t n, const char* word, size_t length) noexcept nogil:
    """Whether a text is a word of small letters, in any case."""
    cdef size_t i
    if n != length:
        return False
    for i in range(n):
        if text[i] | (32 * (65 <= text[i] <= 90)) != <uint8_t>word[i]:
            return False
    return True


cdef inline bint is_whole(const uint8_t* text, size_t n) noexcept nogil:
    """Whether a number has digits alone."""
    cdef size_t i
    for i in range(n):
        if not 48 <= text[i] <= 57:
            return False
    return True


cdef class Labels(JsonText):
    """Reads the labels of JSON objects."""

    def __init__(self, Assembly rows not None, bint decisions, bint writable):
        super().__init__(rows)
        self.assembly = rows
        self.head = rows.head
        self.decisions, self.writable = decisions, writable

    def __dealloc__(self):
        free(self.open)

    cdef size_t label_key(self, size_t key, size_t n, size_t at) except? 0xFFFFFFFF nogil:
        """Read the value of a key that begins with `_label`; returns the position after it."""
        cdef const uint8_t* name = self.text + key
        if is_word(name, n, b"_labelindex", 11):
            return self.read_index(at)
        if self.label.given == 0:
            self.label.at = key
        if n == 6:
            return self.read_label(at)
        if n > 7 and name[6] == b"_":
            return self.read_part(name + 7, n - 7, at)
        return self.fail(LABEL_UNKNOWN, key)

    cdef size_t read_index(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read the number of the action that the label belongs to."""
        cdef double value = 0
        cdef size_t begin = at, m
        if self.text[at] == b"n":
            m = self.literal(at)
            return at + m
        if self.in_action or not self.decisions or not 48 <= self.text[at] <= 57:
            return self.fail(LABEL_INDEX, at)
        at = self.number(at, &value)
        if self.reason != FINE:
            return self.end
        if not value < 1e15 or <double><uint64_t>value != value:
            return self.fail(LABEL_INDEX, begin)
        self.indexed, self.index, self.index_at = True, <uint64_t>value, begin
        return at

    cdef size_t read_label(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read a whole label."""
        cdef uint8_t c = self.text[at]
        cdef size_t begin = at, n
        if c == b"n":
            n = self.literal(at)
            return at + n
        if self.head != SIMPLE_HEAD and self.head != ACTION_HEAD:
            return self.read_words(at)
        if c == b"{":
            return self.read_parts(at)
        if c == b'"':
            at = self.string(at, &n)
            if self.reason != FINE:
                return self.end
            if not self.set_numbers(self.text + begin + 1, n):
                return self.fail(LABEL_TEXT, begin)
            return at
        if self.head == ACTION_HEAD or not (c == b"-" or 48 <= c <= 57):
            return self.fail(LABEL_TEXT if self.head == ACTION_HEAD else LABEL_MEMBERS, at)
        return self.read_part(b"label", 5, at)

    cdef size_t read_words(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read a label of classes or costs: a string as it is before the '|' of a line, or the number of a class."""
        cdef uint8_t[LONGEST_NUMBER] words
        cdef size_t begin = at, n
        cdef double value = 0
        cdef uint8_t c = self.text[at]
        if c == b'"':
            at = self.string(at, &n)
            return self.end if self.reason != FINE else self.set_words(at, begin + 1, n)
        if not (c == b"-" or 48 <= c <= 57):
            return self.fail(LABEL_MEMBERS, at)
        at = self.number(at, &value)
        if self.reason != FINE:
            return self.end
        if is_whole(self.text + begin, at - begin):
            return self.set_words(at, begin, at - begin)
        n = number_in_words(value, words)
        memcpy(self.text + self.rows.text, words, n)
        begin = self.rows.text
        self.rows.text += n
        return self.set_words(at, begin, n)

    cdef size_t set_words(self, size_t at, size_t begin, size_t n) noexcept nogil:
        """Store a label in words, without the blanks around it."""
        cdef size_t i
        while n and self.text[begin] <= 32:
            begin += 1
            n -= 1
        while n and self.text[begin + n - 1] <= 32:
            n -= 1
        for i in range(begin, begin + n):
            if self.text[i] == b"|" or self.text[i] == 10 or self.text[i] == 13 or self.text[i] == 0:
                return self.fail(LABEL_MEMBERS, i)
        if n:
            self.label.given |= HAS_WORDS
            self.label.words, self.label.n_words = begin, n
        return at

    cdef bint set_numbers(self, const uint8_t* text, size_t n) noexcept nogil:
        """Store the numbers of a label that is a string; False if it is malformed."""
        cdef const uint8_t* end = text + n
        cdef const uint8_t* behind
        cdef float[3] values
        cdef int count = 0
        cdef bint action = self.head == ACTION_HEAD
        while text < end:
            if text[0] <= 32:
                text += 1
                continue
            if count == 3:
                return False
            behind = vwl_any_number(text, &values[count])
            if behind == text or behind > end or not isfinite(values[count]):
                return False
            text = behind
            count += 1
            if action and count < 3:
                if text + 1 >= end or text[0] != b":" or text[1] <= 32:
                    return False
                text += 1
            elif text < end and text[0] > 32:
                return False
        if count and action:
            return self.set_action(values)
        if count:
            self.label.label = values[0]
            self.label.given |= HAS_LABEL
        if count > 1:
            self.label.weight = values[1]
            self.label.given |= HAS_WEIGHT
        if count > 2:
            self.label.initial = values[2]
            self.label.given |= HAS_INITIAL
        return True

    cdef bint set_action(self, const float* values) noexcept nogil:
        self.label.action, self.label.cost, self.label.probability = values[0], values[1], values[2]
        self.label.given |= HAS_ACTION | HAS_COST | HAS_PROBABILITY
        return True

    cdef int meet_long(self, Scope* scope, size_t at, size_t n) except -1 nogil:
        """Note a key of more than 8 bytes, or of an object of many; one that its object has already is a problem."""
        cdef size_t i
        cdef OpenKey* open
        if self.n_open - scope.first >= FEW:
            return self.meet_many(scope, at, n)
        for i in range(scope.first, self.n_open):
            open = &self.open[i]
            if open.n == n and memcmp(self.text + open.at, self.text + at, n) == 0:
                self.fail(JSON_TWICE, at)
                return 0
        return self.note_key(first_bytes(self.text + at, n), at, n)

    cdef int note_key(self, uint64_t beginning, size_t at, size_t n) except -1 nogil:
        cdef OpenKey* open
        if self.n_open == self.open_capacity:
            grow(&self.open, &self.open_capacity, self.n_open + 1, sizeof(OpenKey))
        open = &self.open[self.n_open]
        open.beginning, open.at, open.n = beginning, <uint32_t>at, <uint32_t>n
        self.n_open += 1
        return 0

    cdef int meet_many(self, Scope* scope, size_t at, size_t n) except -1 nogil:
        """The same for an object of many keys, by the hash table."""
        cdef size_t i
        if scope.serial == 0:
            self.serial += 1
            scope.serial = <uint32_t>self.serial
            for i in range(scope.first, self.n_open):
                self.meet(scope.serial, self.open[i].at, self.open[i].n)
        return self.meet(scope.serial, at, n)

    cdef size_t read_parts(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read the object of a label's parts."""
        cdef size_t key = 0, n = 0
        cdef Scope scope
        scope.first, scope.serial = self.n_open, 0
        at = self.blanks(at + 1)
        if self.text[at] == b"}":
            return at + 1
        while True:
            at = read_key(self, at, &scope, &key, &n)
            if self.reason == FINE:
                at = self.read_part(self.text + key, n, at)
            if self.reason != FINE:
                return self.end
            at = self.blanks(at)
            if self.text[at] == b"}":
                self.n_open = scope.first
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = self.blanks(at + 1)

    cdef size_t read_part(self, const uint8_t* name, size_t n, size_t at) except? 0xFFFFFFFF nogil:
        """Read a number of a label, by the name of the part; null and "NaN" are none."""
        cdef double value = 0
        cdef size_t begin = at, m, key = name - self.text
        cdef double* to = NULL
        cdef uint32_t part = 0
        cdef uint8_t c = self.text[at]
        if self.head == SIMPLE_HEAD:
            if is_word(name, n, b"label", 5):
                part, to = HAS_LABEL, &self.label.label
            elif is_word(name, n, b"initial", 7):
                part, to = HAS_INITIAL, &self.label.initial
        elif self.head == ACTION_HEAD:
            if is_word(name, n, b"cost", 4):
                part, to = HAS_COST, &self.label.cost
            elif is_word(name, n, b"probability", 11):
                part, to = HAS_PROBABILITY, &self.label.probability
            elif is_word(name, n, b"action", 6):
                part, to = HAS_ACTION, &self.label.action
        if to == NULL and (self.head == SIMPLE_HEAD or self.head == ACTION_HEAD) and is_word(name, n, b"weight", 6):
            part, to = HAS_WEIGHT, &self.label.weight
        if to == NULL:
            return self.fail(LABEL_PART, key)
        if c == b"n":
            m = self.literal(at)
            return at + m
        if c == b'"':
            at = self.string(at, &m)
            if self.reason == FINE and not is_word(self.text + begin + 1, m, b"nan", 3):
                return self.fail(LABEL_PART_NUMBER, begin)
            return at
        if not (c == b"-" or 48 <= c <= 57):
            return self.fail(LABEL_PART_NUMBER, at)
        at = self.number(at, &value)
        if self.reason != FINE:
            return self.end
        if not fabs(value) <= FLT_MAX:
            return self.fail(LABEL_FINITE, begin)
        if part == HAS_WEIGHT and self.head == ACTION_HEAD and value != 1:
            return self.fail(LABEL_WEIGHT, begin)
        to[0] = value
        self.label.given |= part
        return at

    # rows

    cdef int apply(self, Label* label, size_t at, size_t number) except -1 nogil:
        """Give a row its label; `number` is that of the action."""
        cdef Choice* choice
        cdef size_t copy, i
        cdef Row* row = &self.rows.block.rows[at]
        if label.given & HAS_WORDS:
            self.rows.row = row
            row.choice = <uint32_t>self.rows.n_choices
            copy = self.rows.text
            self.rows.label_words(self.text + label.words, label.n_words)
            for i in range(row.n_choices):        # named where they stand, for messages
                choice = &self.rows.block.choices[row.choice + i]
                choice.name = <uint32_t>(choice.name - copy + label.words)
            self.text = <uint8_t*>self.rows.block.text
            self.rows.n_choices += row.n_choices
            if row.reason != FINE:
                self.fail(<Reason>row.reason, label.at)
            return 0
        if self.head == ACTION_HEAD:
            return self.apply_cost(label, at, number)
        if label.given & HAS_LABEL:
            row.label = <float>label.label
            if label.given & HAS_WEIGHT:
                row.weight = <float>label.weight
                if label.weight < 0:
                    self.fail(WEIGHT_NEGATIVE, label.at)
        if label.given & HAS_INITIAL:
            row.initial = <float>label.initial
            if self.writable and label.initial and not label.given & HAS_LABEL:
                self.fail(INITIAL_ALONE, label.at)
        return 0

    cdef int apply_cost(self, Label* label, size_t at, size_t number) except -1 nogil:
        """Give the row of an action its cost and probability."""
        cdef uint8_t[LONGEST_NUMBER] words
        cdef Row* row = &self.rows.block.rows[at]
        cdef Choice* choice
        if not label.given & (HAS_COST | HAS_PROBABILITY):
            return 0
        if not label.given & HAS_COST or not label.given & HAS_PROBABILITY:
            self.fail(LABEL_HALF, label.at)
            return 0
        if not 0 < <float>label.probability <= 1:
            self.fail(COST_PROBABILITY, label.at)
            return 0
        self.assembly.add_choice(at)
        choice = &self.rows.block.choices[row.choice]
        choice.number = <uint32_t>number
        choice.cost, choice.probability = <float>label.cost, <float>label.probability
        choice.name = <uint32_t>self.rows.text
        choice.name_length = <uint32_t>number_in_words(number, words)
        memcpy(self.text + self.rows.text, words, choice.name_length)
        self.rows.text += choice.name_length
        row.label = 0
        return 0

    cdef int apply_whole(self, size_t n, bint learned, bint enveloped) except -1 nogil:
        """Give the action that was taken the label of the whole example, of n actions.

        In an envelope (dsjson) an action without _labelIndex is that of _label_Action, which counts from 1.
        """
        cdef size_t row = self.assembly.first_row + 1
        cdef uint64_t i = self.index
        if self.indexed and i >= n:
            self.fail(LABEL_INDEX_RANGE, self.index_at)
        if self.reason != FINE or not self.whole.given & ~HAS_ACTION or not learned:
            return 0
        if not self.indexed:
            if not enveloped or not self.whole.given & HAS_ACTION or not 1 <= self.whole.action <= n:
                self.fail(LABEL_INDEX_ABSENT, self.whole.at)
                return 0
            i = <uint64_t>self.whole.action - 1
        if self.rows.block.rows[row + i].n_choices:
            self.fail(LABEL_TWO, self.whole.at)
            return 0
        return self.apply(&self.whole, row + i, i)
