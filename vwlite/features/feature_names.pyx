"""Names of an example's features. Design notes are in feature_names.pxd."""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memchr, memset

from vwlite.core.arrays cimport resize
from vwlite.core.example cimport Example, Extent, NameSpan, extent_end, extent_index, extent_name_length
from vwlite.core.textbuffer cimport TextBuffer
from vwlite.features.interactions cimport Interactions

cdef char* HEXADECIMAL = b"0123456789abcdef"


cdef class FeatureNames:
    """Names of the features of an example.

    Args:
        interactions: Those of the stack.
    """

    def __init__(self, Interactions interactions not None):
        self.interactions = interactions

    def __dealloc__(self):
        free(self.made_of)
        free(self.ends)

    cdef int bind(self, Example ex) except -1 nogil:
        """Number the features of an example, whose names are in its block."""
        cdef size_t i, j
        cdef uint8_t index
        cdef const uint8_t* term = self.interactions.flat_terms
        self.n = self.n_made_of = 0
        if not self.interactions.active:
            for i in range(ex.n_linear):
                self.append(<uint32_t>i, 0)
            if ex.n > ex.n_linear:
                self.append(THE_CONSTANT, 0)
            return 0
        memset(self.spans, 0, sizeof(self.spans))
        for i in range(ex.n_extents):
            index = extent_index(&ex.extents[i])
            if self.interactions.choice.ignored[index]:
                continue
            if self.spans[index].end == 0:
                self.spans[index].begin = ex.extents[i].begin
            self.spans[index].end = <uint32_t>extent_end(ex, i)
            if not (self.interactions.ignored_linear[index]
                    or self.interactions.choice.n_aside and self.interactions.choice.is_aside(ex.extents[i].hash)):
                for j in range(ex.extents[i].begin, extent_end(ex, i)):
                    self.append(<uint32_t>j, 0)
        if self.interactions.constant:
            self.append(THE_CONSTANT, 0)
        for _i in range(self.interactions.n_terms):
            self.cross(term + 1, term[0], 0)
            term += term[0] + 1
        return 0

    cdef int append(self, uint32_t index, size_t depth) except -1 nogil:
        """Add a feature: the product of the indices in the stack, and of another one."""
        cdef size_t i
        if self.n == self.capacity:
            resize(&self.ends, 2 * (self.n + 32), sizeof(size_t))
            self.capacity = 2 * (self.n + 32)
        if self.n_made_of + depth + 1 > self.made_of_capacity:
            resize(&self.made_of, 2 * (self.n_made_of + depth + 32), sizeof(uint32_t))
            self.made_of_capacity = 2 * (self.n_made_of + depth + 32)
        for i in range(depth):
            self.made_of[self.n_made_of + i] = self.stack[i]
        self.made_of[self.n_made_of + depth] = index
        self.n_made_of += depth + 1
        self.ends[self.n] = self.n_made_of
        self.n += 1
        return 0

    cdef int cross(self, const uint8_t* term, size_t left, size_t depth) except -1 nogil:
        """Add the products of the namespaces of a term, as Interactions.cross does."""
        cdef uint32_t first = self.spans[term[0]].begin, i, end = self.spans[term[0]].end
        if depth and (term - 1)[0] == term[0] and not self.interactions.permutations:
            first = self.stack[depth - 1]
        for i in range(first, end):
            if left == 1:
                self.append(i, depth)
            else:
                self.stack[depth] = i
                self.cross(term + 1, left - 1, depth + 1)
        return 0

    cdef int write(self, Example ex, size_t i, TextBuffer to, bint as_json) except -1 nogil:
        """Write the name of the i-th feature; for JSON, the inside of a string."""
        cdef size_t k, begin = self.ends[i - 1] if i else 0
        for k in range(begin, self.ends[i]):
            if k > begin:
                to.text(b"*", 1)
            if self.made_of[k] == THE_CONSTANT:
                to.text(b"Constant", 8)
            else:
                write_linear(ex, self.made_of[k], to, as_json)
        return 0


cdef int write_linear(Example ex, size_t i, TextBuffer to, bint as_json) except -1 nogil:
    """Write namespace^feature, or namespace^feature^text."""
    cdef const Extent* extent = ex.extents
    cdef const NameSpan* span = &ex.names[i]
    cdef const char* name = ex.names_text + span.begin
    cdef const char* colon = <const char*>memchr(name, b":", span.length) if span.length else NULL
    cdef size_t low = 0, high = ex.n_extents, middle, n = span.length if colon == NULL else colon - name
    while high - low > 1:
        middle = (low + high) // 2
        if ex.extents[middle].begin <= i:
            low = middle
        else:
            high = middle
    extent = &ex.extents[low]
    if extent_name_length(extent):
        write_text(ex.names_text + extent.name, extent_name_length(extent), to, as_json)
        to.text(b"^", 1)
    write_text(name, n, to, as_json)
    if colon != NULL:
        colon += 1
        while colon < name + span.length and (colon[0] == b" " or colon[0] == b"\t"):
            colon += 1
        to.text(b"^", 1)
        write_text(colon, name + span.length - colon, to, as_json)
    return 0


cdef size_t utf8(const uint8_t* text, size_t n) noexcept nogil:
    """The bytes of the character at the start of a text of n bytes; 0 if it is not UTF-8."""
    cdef uint8_t c = text[0], next = text[1] if n > 1 else 0
    cdef size_t k, length
    if c < 0x80:
        return 1
    length = 2 if 0xC2 <= c < 0xE0 else 3 if 0xE0 <= c < 0xF0 else 4 if 0xF0 <= c < 0xF5 else 0
    if length == 0 or length > n:
        return 0
    if (c == 0xE0 and next < 0xA0) or (c == 0xED and next > 0x9F) or (c == 0xF0 and next < 0x90) \
            or (c == 0xF4 and next > 0x8F):
        return 0
    for k in range(1, length):
        if text[k] & 0xC0 != 0x80:
            return 0
    return length


cdef int write_text(const char* text, size_t n, TextBuffer to, bint as_json) except -1 nogil:
    """Write a name: characters that a terminal or JSON can't have are replaced, or escaped in JSON."""
    cdef size_t i = 0, copied = 0, length
    cdef uint8_t c
    cdef char[8] code
    while i < n:
        c = <uint8_t>text[i]
        if 32 <= c < 127 and not (as_json and (c == b'"' or c == b"\\")):
            i += 1
            continue
        length = utf8(<const uint8_t*>text + i, n - i)
        if length > 1 and not (c == 0xC2 and <uint8_t>text[i + 1] < 0xA0):
            i += length
            continue
        to.text(text + copied, i - copied)
        if c >= 127 or not as_json:
            to.text(b"\xef\xbf\xbd", 3)
        elif c < 32:
            code[0], code[1], code[2], code[3] = b"\\", b"u", b"0", b"0"
            code[4], code[5] = HEXADECIMAL[c >> 4], HEXADECIMAL[c & 15]
            to.text(code, 6)
        else:
            code[0], code[1] = b"\\", c
            to.text(code, 2)
        i += length or 1
        copied = i
    return to.text(text + copied, n - copied)
