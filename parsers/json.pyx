"""JSON: an object a line (NDJSON), or an array of objects, by the rule of names of vwlite/input/rows.pxd.

    {"_label": 1, "_tag": "t7", "price": 2.5, "city": "Bonn", "new": true, "user": {"age": 31}, "words": ["red"]}

is the example `1 t7| price:2.5 city=Bonn new |user age:31 |words red`. A key whose value is an object or an array is a
namespace. In an array a string is a feature of that name, a number is numbered by its place, an object adds its
members.
`_label`, `_weight`, `_initial` and `_tag` are no features. A column map says more about keys at the top level, and, as
`outer.inner`, about those inside.

A key may occur once in an object. Of objects that are in an array, or have several lines, the first that is not JSON
ends the run; of those a line each, it is skipped.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memset

from vwlite.core.example cimport PADDING, Block
from vwlite.core.reasons cimport FINE, JSON_SYNTAX, LINE_LENGTH, TEXT_ENCODING
from vwlite.input.bags cimport Bags
from vwlite.input.json_text cimport JsonText
from vwlite.input.members cimport Members
from vwlite.input.parser cimport FAILED, Filled
from vwlite.input.reader cimport LineReader
from vwlite.input.rows cimport Rows
from vwlite.input.source_parser cimport SourceParser

from vwlite.core.reasons import REASONS_IN_WORDS
from vwlite.errors import VwliteError
from vwlite.parsers.entities import entity_namespaces

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)

cdef enum Layout:
    UNKNOWN
    LINES                             # an object a line
    WHOLE_TEXT                        # an array of objects, or objects of several lines


cdef class JsonReader(LineReader):
    """Reads blocks of whole lines, or of whole objects if they are in an array or have several lines."""

    cdef Layout layout
    cdef int depth, base              # open brackets; those around the objects
    cdef bint quoted, escaped

    cdef bint open_next(self) except -1:
        self.layout = UNKNOWN
        self.depth = self.base = 0
        self.quoted = self.escaped = False
        return LineReader.open_next(self)

    cdef size_t whole(self, const char* text, size_t begin, size_t end, size_t otherwise) noexcept nogil:
        cdef size_t i
        cdef char c
        if self.layout == UNKNOWN:
            self.layout = layout_of(<const uint8_t*>text, end)
            if self.layout == UNKNOWN:
                return otherwise
            begin = 0
        if self.layout == LINES:
            return LineReader.whole(self, text, begin, end, otherwise)
        for i in range(begin, end):
            c = text[i]
            if self.quoted:
                if self.escaped:
                    self.escaped = False
                elif c == b"\\":
                    self.escaped = True
                elif c == b'"':
                    self.quoted = False
            elif c == b'"':
                self.quoted = True
            elif c == b"{" or c == b"[":
                self.base += c == b"[" and self.depth == 0
                self.depth += 1
            elif c == b"}" or c == b"]":
                self.depth -= 1
                if c == b"]" and self.depth == 0:
                    self.base = 0
                if self.depth <= self.base:
                    otherwise = i + 1
        return otherwise


cdef Layout layout_of(const uint8_t* text, size_t n) noexcept nogil:
    """The layout of a source, by its first object; UNKNOWN if more bytes are needed."""
    cdef size_t i = 0
    cdef int depth = 0
    cdef bint quoted = False
    if n > 2 and text[0] == 0xEF:
        i = 3
    while i < n and (text[i] == 32 or 9 <= text[i] <= 13):
        i += 1
    if i == n:
        return UNKNOWN
    if text[i] != b"{":
        return WHOLE_TEXT if text[i] == b"[" else LINES
    while i < n:
        if quoted:
            if text[i] == b"\\":
                i += 1
            elif text[i] == b'"':
                quoted = False
        elif text[i] == b'"':
            quoted = True
        elif text[i] == b"{" or text[i] == b"[":
            depth += 1
        elif text[i] == b"}" or text[i] == b"]":
            depth -= 1
            if depth == 0:
                return LINES
        elif text[i] == b"\n":
            return WHOLE_TEXT
        i += 1
    return UNKNOWN


cdef class JsonParser(SourceParser):
    """Parser of the JSON in `paths` ("-" is standard input).

    Args:
        options: Of the run.
        paths: The files.
        digest: Whether to compute sha256 of each file.
        labels: The LabelType of the stack.
        column_map: A ColumnMap, or None.
        names: Whether learners read the names of features.
        bags: Whether records have bags of features of name, term and value (vwlite/input/bags.pyx).
    """

    cdef object labels, column_map
    cdef bint names, skips, bags

    def __init__(self, options, paths, digest, labels, column_map, names, bags=False):
        super().__init__(JsonReader(list(paths), options["max_line_bytes"], digest, False), options,
                         entity_namespaces(options))
        self.labels, self.column_map = labels, column_map
        self.names, self.skips = names, options["missing"] == "skip"
        self.bags = bags

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        cdef Filled got = SourceParser.fill(self, block, wait)
        block.joined = (<JsonReader>self.reader).layout == WHOLE_TEXT
        return got

    cdef int parse(self, Block block) except -1 nogil:
        with gil:
            self.parse_rows(block)
        return 0

    cdef int parse_rows(self, Block block) except -1:
        cdef Rows rows = Rows(self.naming, self.labels, block, self.names, self.skips)
        cdef JsonText members = Bags(rows) if self.bags else Members(rows, self.column_map)
        cdef size_t at = 0, line = 0, stop
        cdef const uint8_t* found
        memset(block.text + block.text_length, 0, PADDING)
        members.text, members.end = <uint8_t*>block.text, block.text_length
        members.good = vwl_utf8_problem(members.text, members.end)
        if block.begins and block.text[:3] == b"\xef\xbb\xbf":
            at = 3
        with nogil:
            if block.joined:
                line = self.several(members, at)
            else:
                while at < block.text_length:
                    found = <const uint8_t*>memchr(members.text + at, 10, block.text_length - at)
                    stop = block.text_length if found == NULL else found - members.text
                    self.line(members, at, stop, line, block.truncated)
                    line += 1
                    at = stop + 1
        rows.end_block()
        block.n_lines = line
        return 0

    cdef int line(self, JsonText members, size_t at, size_t stop, size_t line, bint truncated) except -1 nogil:
        """Read a line into a row; a line of blanks is none."""
        cdef size_t start = at, end
        if stop > at and members.text[stop - 1] == 13:
            stop -= 1
        at = members.blanks(at)
        if at >= stop:
            return 0
        members.rows.next_row(line, start, stop - start)
        members.end = stop
        end = members.read(at) if self.is_text(members, start, stop) else stop
        if members.reason == FINE:
            while end < stop and members.text[end] <= 32:
                end += 1
            if end != stop:           # something behind the object, or the object goes on in the next line
                members.fail(JSON_SYNTAX, min(end, stop))
        return self.finish(members, start, stop, truncated)

    cdef bint is_text(self, JsonText members, size_t start, size_t stop) noexcept nogil:
        """Whether bytes that were not read yet are UTF-8, of a block that is so up to members.good."""
        cdef size_t bad
        members.reason = FINE
        if members.good >= stop:
            return True
        bad = start + vwl_utf8_problem(members.text + start, stop - start)
        if bad < stop:
            members.reason, members.problem = TEXT_ENCODING, bad
        return bad == stop

    cdef int finish(self, JsonText members, size_t start, size_t stop, bint truncated) except -1 nogil:
        """End the row."""
        members.rows.row.column = 1
        if truncated or stop - start > self.limit:
            members.reason, members.problem = LINE_LENGTH, start
        if members.reason != FINE:
            members.rows.row.reason = members.reason
            members.rows.row.text, members.rows.row.text_length = <uint32_t>start, <uint32_t>(stop - start)
            members.rows.row.column = <uint32_t>(min(members.problem, stop) - start) + 1
        return members.rows.end_row()

    cdef size_t several(self, JsonText members, size_t at) except? 0xFFFFFFFF nogil:
        """Read objects between which there are commas or blanks, and an array's brackets; returns the number of lines.

        What is no JSON ends the run: where the next object would begin is not known.
        """
        cdef size_t start, line = 0, end = members.end
        while True:
            while at < end and (members.text[at] <= 32 or members.text[at] == b"," or members.text[at] == b"["
                                or members.text[at] == b"]"):
                line += members.text[at] == 10
                at += 1
            if at >= end:
                return line
            members.rows.next_row(line, at, 0)
            members.end = end
            start = at
            at = members.read(at) if self.is_text(members, at, end) else end
            self.finish(members, start, min(at, start + 80), False)
            if members.reason != FINE:
                with gil:
                    self.stop(members, line, start)
            while start < at:
                line += members.text[start] == 10
                start += 1

    cdef int stop(self, JsonText members, size_t line, size_t start) except -1:
        """Raises VwliteError for an object that can't be read."""
        cdef size_t shown = min(<size_t>60, members.end - start), problem = max(members.problem, start)
        text = (<bytes>(<char*>members.text + start)[:shown]).decode("utf-8", "replace")
        raise VwliteError(
            f"{self.reader.records[members.rows.block.source]['name']}: byte {problem - start + 1} of the object that "
            f"begins with {text!r}: {REASONS_IN_WORDS[members.reason]}")
