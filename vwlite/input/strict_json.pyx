"""A check of JSON that comes from strangers, before a reader makes objects of it.

Most readers take the last of two equal keys, or stop at a syntax error without its place. Here the first problem is
found, with its byte: what is no JSON by RFC 8259 or no UTF-8, a key that an object has twice, a key with the character
NUL, numbers that are beyond single precision, and what is nested too deeply or has too many keys.
"""
from libc.math cimport isinf
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memset

from vwlite.core.example cimport PADDING
from vwlite.core.reasons cimport FINE, JSON_DEEP, JSON_NUMBER, JSON_SYNTAX, TEXT_ENCODING
from vwlite.input.json_text cimport MOST_DEEP, JsonText

from vwlite.core.reasons import REASONS_IN_WORDS

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)

cdef enum:
    MOST_KEYS = 100000                # of a text


cdef class StrictJson(JsonText):
    """Finds what is wrong with texts of JSON."""

    cdef size_t n_met
    cdef bint has_nul, has_many, is_large

    def __init__(self):
        super().__init__(None)

    def check(self, const unsigned char[::1] text not None, size_t begin=0, size_t end=0):
        """What is wrong with a text, and at which byte of it, from 1; None if nothing is.

        `begin` and `end` are those of the text in a longer one; an `end` of 0 is that of all.
        """
        cdef size_t n = (end or text.shape[0]) - begin, at
        cdef uint8_t* copy = <uint8_t*>malloc(n + PADDING)
        if copy == NULL:
            raise MemoryError
        try:
            if n:
                memcpy(copy, &text[begin], n)
            memset(copy + n, 0, PADDING)
            with nogil:
                self.text, self.end, self.n_met = copy, n, 0
                self.has_nul = self.has_many = self.is_large = False
                self.begin_object()
                at = vwl_utf8_problem(copy, n)
                if at < n:
                    self.fail(TEXT_ENCODING, at)
                else:
                    at = self.blanks(self.value(self.blanks(0), 1))
                    if self.reason == FINE and at != n:
                        self.fail(JSON_SYNTAX, at)
        finally:
            free(copy)
        if self.reason == FINE:
            return None
        if self.has_nul:
            return "a key has the character NUL (\\u0000)", self.problem + 1
        if self.is_large:
            return "the number is too large", self.problem + 1
        if self.has_many:
            return f"more than {MOST_KEYS:,} keys", self.problem + 1
        return REASONS_IN_WORDS[self.reason], min(self.problem, n) + 1

    cdef size_t value(self, size_t at, int depth) except? 0xFFFFFFFF nogil:
        """Check a value; returns the position after it."""
        cdef size_t n, key
        cdef uint32_t serial
        cdef uint8_t c = self.text[at], close = b"}" if c == b"{" else b"]"
        if c == b'"':
            return self.string(at, &n)
        if c == b"t" or c == b"f" or c == b"n":
            n = self.literal(at)
            return at + n
        if c != b"{" and c != b"[":
            return self.finite(at)
        if depth > MOST_DEEP:
            return self.fail(JSON_DEEP, at)
        self.serial += 1
        serial = <uint32_t>self.serial
        at = self.blanks(at + 1)
        if self.text[at] == close:
            return at + 1
        while True:
            if c == b"{":
                if self.text[at] != b'"':
                    return self.fail(JSON_SYNTAX, at)
                key = at + 1
                at = self.string(at, &n)
                if self.reason == FINE:
                    self.know(serial, key, n)
                if self.reason != FINE:
                    return self.end
                at = self.blanks(at)
                if self.text[at] != b":":
                    return self.fail(JSON_SYNTAX, at)
                at = self.blanks(at + 1)
            at = self.blanks(self.value(at, depth + 1))
            if self.reason != FINE:
                return self.end
            if self.text[at] == close:
                return at + 1
            if self.text[at] != b",":
                return self.fail(JSON_SYNTAX, at)
            at = self.blanks(at + 1)

    cdef int know(self, uint32_t serial, size_t key, size_t n) except -1 nogil:
        """Note a key."""
        self.n_met += 1
        if memchr(self.text + key, 0, n) != NULL:
            self.has_nul = True
            self.fail(JSON_SYNTAX, key)
        elif self.n_met > MOST_KEYS:
            self.has_many = True
            self.fail(JSON_SYNTAX, key)
        else:
            self.meet(serial, key, n)
        return 0

    cdef size_t finite(self, size_t at) except? 0xFFFFFFFF nogil:
        """Check a number."""
        cdef double number = 0
        cdef size_t begin = at, end
        end = self.number(at, &number)
        if self.reason == FINE and isinf(number):
            self.is_large = True
            return self.fail(JSON_NUMBER, begin)
        return end
