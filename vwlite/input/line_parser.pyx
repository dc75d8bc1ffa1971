"""Base class of parsers of one example a line. See line_parser.pxd."""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memset

from vwlite.core.example cimport PADDING, Block
from vwlite.core.reasons cimport FINE, LINE_LENGTH, TEXT_ENCODING, Reason
from vwlite.input.reader cimport LineReader
from vwlite.input.rows cimport Rows

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)


cdef class LineParser(SourceParser):
    """Parser of the lines in `paths` ("-" is standard input).

    Args:
        options: Of the run.
        paths: The files.
        digest: Whether to compute sha256 of each file.
        labels: The LabelType of the stack.
        names: Whether learners read the names of features.
        entities: The namespaces whose features name entities.
    """

    def __init__(self, options, paths, digest, labels, names, entities=()):
        super().__init__(LineReader(list(paths), options["max_line_bytes"], digest, False), options, entities)
        self.labels, self.names = labels, names

    cdef int parse(self, Block block) except -1 nogil:
        with gil:
            self.parse_lines(block)
        return 0

    cdef int parse_lines(self, Block block) except -1:
        cdef Rows rows = Rows(self.naming, self.labels, block, self.names)
        cdef size_t at = 0, line = 0, stop, good, n = block.text_length
        cdef const uint8_t* found
        memset(block.text + n, 0, PADDING)
        if block.begins and block.text[:3] == b"\xef\xbb\xbf":
            at = 3
        with nogil:
            good = vwl_utf8_problem(<const uint8_t*>block.text, n)
            while at < n:
                found = <const uint8_t*>memchr(block.text + at, 10, n - at)
                stop = n if found == NULL else found - <const uint8_t*>block.text
                self.line(rows, at, stop, line, good)
                line += 1
                at = stop + 1
        rows.end_block()
        block.n_lines = line
        return 0

    cdef int line(self, Rows rows, size_t start, size_t stop, size_t line, size_t good) except -1 nogil:
        """Read a line into a row; one of blanks is none. The block is UTF-8 up to `good`."""
        cdef const uint8_t* text = <const uint8_t*>rows.block.text
        cdef size_t at = start, problem = start, end
        cdef Reason reason = FINE
        if stop > start and text[stop - 1] == 13:
            stop -= 1
        while at < stop and is_blank(text[at]):
            at += 1
        end = self.until(text, at, stop)
        if at >= end:
            return 0
        rows.next_row(line, start, stop - start)
        if rows.block.truncated or stop - start > self.limit:
            reason = LINE_LENGTH
        elif good < stop:             # a line before or this one
            problem = start + vwl_utf8_problem(text + start, stop - start)
            reason = TEXT_ENCODING if problem < stop else FINE
        if reason == FINE:
            problem = at
            reason = <Reason>self.read(rows, at, end, &problem)
        if reason != FINE and rows.row.reason == FINE:
            rows.row.reason = reason
            rows.row.text, rows.row.text_length = <uint32_t>start, <uint32_t>(stop - start)
        rows.row.column = <uint32_t>(problem - start) + 1
        return rows.end_row()

    cdef size_t until(self, const uint8_t* text, size_t at, size_t stop) noexcept nogil:
        """The end of what is read of a line: without comments."""
        return stop

    cdef int read(self, Rows rows, size_t at, size_t stop, size_t* problem) except -1 nogil:
        """Read the text from `at`, which is no blank, to `stop` into the row; returns a Reason and its position."""
        return FINE
