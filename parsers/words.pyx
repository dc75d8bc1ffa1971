"""Words: `label ## words of any text`, for texts with a label.

Each word is a feature of value 1 without a namespace, as it is: capitals stay, and so do commas and points. Blanks, ':'
and '|' are not part of names (vwlite/input/rows.pxd). The label is what VW's text has before the '|', `2 0.5` with an
importance weight, say; without one (`## words`) the line is only predicted.
"""
from libc.stdint cimport uint8_t

from vwlite.core.reasons cimport FINE, WORDS_MARK
from vwlite.input.line_parser cimport LineParser, is_blank
from vwlite.input.rows cimport Rows


cdef class WordsParser(LineParser):
    """Parser of labels and words."""

    cdef int read(self, Rows rows, size_t at, size_t stop, size_t* problem) except -1 nogil:
        cdef const uint8_t* text = <const uint8_t*>rows.block.text
        cdef size_t mark = at, end, begin
        while mark + 1 < stop and not (text[mark] == 35 and text[mark + 1] == 35):
            mark += 1
        if mark + 1 >= stop:
            return WORDS_MARK
        end = mark
        while end > at and is_blank(text[end - 1]):
            end -= 1
        if end > at:
            rows.label_words(text + at, end - at)
            if rows.row.reason != FINE:
                return FINE
        at = mark + 2
        while True:
            text = <const uint8_t*>rows.block.text        # names may have moved it
            while at < stop and is_blank(text[at]):
                at += 1
            if at == stop:
                return FINE
            begin = at
            while at < stop and not is_blank(text[at]):
                at += 1
            rows.plain_word(text + begin, at - begin)
