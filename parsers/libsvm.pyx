"""libsvm: `label index:value index:value # comment`, the format of LIBSVM and SVMlight.

A feature is named by its index and has no namespace: `1 7:0.5` is the example `1 | 7:0.5` of VW's text. The label is a
number, or a class; several classes are joined by commas, and a line may have none. The indices of a line ascend. What
follows a '#' is ignored. `qid:7`, the query of a ranking, becomes the tag `7`: it stands beside the prediction, and
nothing else is done with it.
"""
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp

from vwlite.core.reasons cimport FINE, LABEL_FINITE, LABEL_NUMBER, SVM_FEATURE, SVM_INDEX, SVM_ORDER, SVM_VALUE
from vwlite.input.heads cimport SIMPLE_HEAD
from vwlite.input.line_parser cimport LineParser, is_blank
from vwlite.input.rows cimport Rows

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_any_number(const uint8_t* start, float* value)

cdef enum:
    INDICES = 0xFFFFFFFF              # the greatest one


cdef inline size_t digits(const uint8_t* text, size_t at, size_t n) noexcept nogil:
    """The position after the digits at `at`."""
    while at < n and 48 <= text[at] <= 57:
        at += 1
    return at


cdef bint is_number(const uint8_t* text, size_t n, float* value) noexcept nogil:
    """Whether a word is a decimal number; VW's text takes more words for numbers, such as `.` and `1e`."""
    cdef size_t at = n > 0 and (text[0] == b"-" or text[0] == b"+"), begin = at, end
    at = end = digits(text, at, n)
    if at < n and text[at] == b".":
        end = digits(text, at + 1, n)
        at = end - (end == at + 1 and at == begin)       # a point alone is no number
    if at == begin or at < end:
        return False
    if at < n and (text[at] == b"e" or text[at] == b"E"):
        begin = at + 1 + (at + 1 < n and (text[at + 1] == b"-" or text[at + 1] == b"+"))
        at = digits(text, begin, n)
        if at == begin:
            return False
    if at < n:
        return False
    vwl_any_number(text, value)
    return True


cdef class LibsvmParser(LineParser):
    """Parser of libsvm's format."""

    cdef size_t until(self, const uint8_t* text, size_t at, size_t stop) noexcept nogil:
        cdef const uint8_t* comment = <const uint8_t*>memchr(text + at, 35, stop - at)
        return stop if comment == NULL else comment - text

    cdef int read(self, Rows rows, size_t at, size_t stop, size_t* problem) except -1 nogil:
        cdef const uint8_t* text
        cdef int64_t index, last = -1
        cdef size_t begin, word, colon
        cdef float value = 0
        cdef bint first = True
        while True:
            text = <const uint8_t*>rows.block.text        # names may have moved it
            while at < stop and is_blank(text[at]):
                at += 1
            if at == stop:
                return FINE
            problem[0] = word = at
            colon = stop
            while at < stop and not is_blank(text[at]):
                if text[at] == 58 and colon == stop:
                    colon = at
                at += 1
            if colon >= at:
                if not first:
                    return SVM_FEATURE
                first = False
                self.label(rows, word, at - word)
                if rows.row.reason != FINE:
                    return FINE
                continue
            first = False
            if colon - word == 3 and memcmp(text + word, b"qid", 3) == 0:
                rows.tag(text + colon + 1, at - colon - 1)
                continue
            index, begin = 0, word
            while begin < colon and 48 <= text[begin] <= 57 and index <= INDICES:
                index = 10 * index + text[begin] - 48
                begin += 1
            if begin < colon or word == colon or index > INDICES:
                return SVM_INDEX
            if index <= last:
                return SVM_ORDER
            last = index
            problem[0] = colon + 1
            if not is_number(text + colon + 1, at - colon - 1, &value) or not isfinite(value):
                return SVM_VALUE
            rows.number(text + word, colon - word, value)

    cdef int label(self, Rows rows, size_t at, size_t n) except -1 nogil:
        """Read a label: a number as it is written, otherwise as it is before the '|' of a line."""
        cdef const uint8_t* text = <const uint8_t*>rows.block.text + at
        cdef float value = 0
        if is_number(text, n, &value):
            if not isfinite(value):
                return rows.refuse(LABEL_FINITE, b"label", 5, text, n)
            return rows.label_number(value)
        if rows.head == SIMPLE_HEAD and memchr(text, 44, n) == NULL:
            return rows.refuse(LABEL_NUMBER, b"label", 5, text, n)
        return rows.label_words(text, n)
