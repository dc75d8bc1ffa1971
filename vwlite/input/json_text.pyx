"""Text of JSON: strings, numbers, literals, and keys of objects. The grammar is RFC 8259's. See json_text.pxd."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.hashing cimport hash_all
from vwlite.core.reasons cimport FINE, JSON_DEEP, JSON_ESCAPE, JSON_NUMBER, JSON_SYNTAX, JSON_TWICE, Reason

cdef extern from "vwlite/core/clocale.h" nogil:
    double vwl_strtod(const char* text, char** end)

cdef extern from "vwlite/core/cells.h" nogil:
    double vwl_decimal_of(uint64_t digits, size_t decimals, size_t point, bint negative)

cdef extern from "vwlite/core/json_text.h" nogil:
    const uint8_t* vwl_string_stop(const uint8_t* p)

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_number(const uint8_t* p, size_t n, float* value)

cdef enum:
    LONGEST = 512                     # bytes of a number


cdef class JsonText:
    """Reads the text of a block's objects; a subclass puts them into rows."""

    def __init__(self, Rows rows):
        self.rows = rows              # None for a text that makes none
        self.capacity = FEW_KEYS
        self.keys = <Key*>calloc(self.capacity, sizeof(Key))
        if self.keys == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.keys)

    cdef size_t read(self, size_t at) except? 0xFFFFFFFF nogil:
        """Read an object into the current row; returns the position after it."""
        return at

    cdef int begin_object(self) except -1 nogil:
        """Begin an object that is in no other: no key was met, and there is no problem."""
        self.reason = FINE
        self.serial = 0
        if self.n_keys:
            if self.capacity > 64 * (self.n_keys + FEW_KEYS):        # one object had very many: clearing takes long
                free(self.keys)
                self.keys = NULL      # in case that there is no memory
                self.capacity = FEW_KEYS
                self.keys = <Key*>calloc(self.capacity, sizeof(Key))
                if self.keys == NULL:
                    with gil:
                        raise MemoryError("no memory for the keys of a line of JSON")
            else:
                memset(self.keys, 0, self.capacity * sizeof(Key))
            self.n_keys = 0
        return 0

    cdef size_t fail(self, Reason reason, size_t at) noexcept nogil:
        """Store the first problem; returns the end of the text."""
        if self.reason == FINE:
            self.reason, self.problem = reason, at
        return self.end

    cdef size_t blanks(self, size_t at) noexcept nogil:
        while self.text[at] == 32 or self.text[at] == 10 or self.text[at] == 13 or self.text[at] == 9:
            at += 1
        return at

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
