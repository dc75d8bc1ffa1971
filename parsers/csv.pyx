"""CSV: tables in text, with a header (RFC 4180), also with other separators.

Cells in quotes may hold separators and line ends; a quote in them is written twice. What the columns are is set by a
column map (vwlite/input/column_map.py). Where that says nothing, the first row decides: a number, true or false, or a
category; an empty cell there leaves open what the cells below are, and each is a number if it looks like one. Empty
cells are missing values. The first record of each source is its header, unless the names are given.
"""
import re

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memset

from vwlite.core.example cimport PADDING, Block
from vwlite.core.reasons cimport (
    CELLS_FEW, CELLS_MANY, FINE, LINE_LENGTH, QUOTE_BEHIND, QUOTE_INSIDE, QUOTE_OPEN, TEXT_ENCODING, Reason,
)
from vwlite.input.columns cimport Columns, read_number
from vwlite.input.parser cimport FAILED, WHOLE, Filled
from vwlite.input.reader cimport LineReader
from vwlite.input.rows cimport Rows
from vwlite.input.source_parser cimport SourceParser

from vwlite.errors import OptionError, VwliteError
from vwlite.input.column_map import Rule
from vwlite.parsers.entities import entity_namespaces

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)

cdef extern from "vwlite/core/cells.h" nogil:
    ctypedef struct vwl_cells:
        uint8_t separator
    ctypedef struct vwl_quotes:
        bint quoted, closing, inside
    void vwl_seek_cell(vwl_cells* cells, const uint8_t* text, size_t at)
    size_t vwl_next_cell(vwl_cells* cells, const uint8_t* text)
    size_t vwl_records_end(vwl_quotes* place, const uint8_t* text, size_t begin, size_t end, uint8_t separator,
                           size_t otherwise)

cdef enum:
    MOST_COLUMNS = 1 << 20

MISSING = ("", "na", "nan", "n/a", "null", "none")   # as is_missing() of columns.pyx


cdef class RecordReader(LineReader):
    """Reads blocks of whole records: line ends in quotes don't end them."""

    cdef vwl_quotes place             # at the end of what was read
    cdef char separator               # 0: not known yet
    cdef char given

    cdef bint open_next(self) except -1:
        memset(&self.place, 0, sizeof(vwl_quotes))
        self.separator = self.given
        return LineReader.open_next(self)

    cdef size_t whole(self, const char* text, size_t begin, size_t end, size_t otherwise) noexcept nogil:
        if not self.separator:
            self.separator = guess(text, end)
            if not self.separator:
                return otherwise
            begin = 0
        return vwl_records_end(&self.place, <const uint8_t*>text, begin, end, self.separator, otherwise)


cdef char guess(const char* text, size_t n) noexcept nogil:
    """The separator of a table by its first line: that of which it has most, outside quotes; 0 if it has not ended."""
    cdef size_t[3] counts
    cdef size_t i, best = 0
    cdef bint quoted = False
    memset(counts, 0, sizeof(counts))
    for i in range(n):
        if text[i] == b'"':
            quoted = not quoted
        elif quoted:
            continue
        elif text[i] == b"\n":
            for best in range(3):
                if counts[best] >= counts[0] and counts[best] >= counts[1] and counts[best] >= counts[2]:
                    break
            return b",;\t"[best]
        else:
            counts[0] += text[i] == b","
            counts[1] += text[i] == b";"
            counts[2] += text[i] == b"\t"
    return 0


cdef class CsvParser(SourceParser):
    """Parser of the tables in `paths` ("-" is standard input).

    Args:
        options: Of the run.
        paths: The files.
        digest: Whether to compute sha256 of each file.
        labels: The LabelType of the stack.
        column_map: A ColumnMap.
        names: Whether learners read the names of features.
        learns: Whether a label is needed.
        form: "csv", or "tsv" with tabs.
        decided: Called with the rules of the first source, in words.
    """

    cdef object labels, column_map, decided, header
    cdef bint names, learns, skips
    cdef char comma
    cdef dict columns                 # Columns by source
    cdef dict headers                 # names and separators by source

    def __init__(self, options, paths, digest, labels, column_map, names, learns, form="csv", decided=None):
        cdef RecordReader reader = RecordReader(list(paths), options["max_line_bytes"], digest, False)
        reader.given = 9 if form == "tsv" else 0
        if options["separator"]:
            reader.given = separator_of(options["separator"])
        super().__init__(reader, options, entity_namespaces(options))
        self.labels, self.column_map, self.decided = labels, column_map, decided
        self.names, self.learns, self.skips = names, learns, options["missing"] == "skip"
        self.comma = ord(options["decimal"])
        self.header = options["header"].split(",") if options["header"] else None
        self.columns, self.headers = {}, {}

    cdef Filled fill(self, Block block, bint wait) except FAILED nogil:
        cdef Filled got = SourceParser.fill(self, block, wait)
        if got == WHOLE:
            with gil:
                self.begin(block)
        return got

    cdef int begin(self, Block block) except -1:
        """Read the header, and decide what the columns are as soon as there is a row."""
        source = block.source
        if source in self.columns:
            return 0
        name = self.reader.records[source]["name"]
        text = <bytes>block.text[:block.text_length]
        if text.startswith(b"\xef\xbb\xbf"):
            text = text[3:]
        separator = (<RecordReader>self.reader).separator or ord(",")
        if b"\r" in text.rstrip() and b"\n" not in text.rstrip():
            raise VwliteError(f"{name}: its lines end with CR alone, as on old Macintosh computers: convert it first "
                              "(`tr '\\r' '\\n'`)")
        records = first_records(text, bytes((separator,)))
        if source not in self.headers:
            header = self.header or next(records, None)
            if header is None:
                raise VwliteError(f"{name}: the first line has to name the columns, and there is none")
            if any("\udc80" <= char <= "\udcff" for column in header for char in column):
                raise VwliteError(f"{name}: the names of the columns are not UTF-8 text: convert the file first, "
                                  "perhaps by `iconv -f LATIN1 -t UTF-8`")
            if len(header) > MOST_COLUMNS:
                raise VwliteError(f"{name}: {len(header):,} columns, of at most {MOST_COLUMNS:,}")
            self.headers[source] = header, separator
        header, separator = self.headers[source]
        rules = self.column_map.resolve(header, name, self.learns, self.naming.entities)
        row = next(records, None)
        if row is None:
            return 0
        row += [""] * (len(header) - len(row))
        rules = [rule if rule.role != "auto" else settled(rule, column, cell, self.comma)
                 for rule, column, cell in zip(rules, header, row, strict=False)]
        self.columns[source] = Columns(header, rules, Rows(self.naming, self.labels, Block(), self.names),
                                       chr(self.comma))
        if self.decided is not None:
            self.decided(rules)
            self.decided = None
        return 0

    cdef int parse(self, Block block) except -1 nogil:
        with gil:
            self.parse_rows(block)
        return 0

    cdef int parse_rows(self, Block block) except -1:
        cdef Rows rows = Rows(self.naming, self.labels, block, self.names, self.skips)
        cdef Columns columns = self.columns.get(block.source)
        cdef Table table
        memset(block.text + block.text_length, 0, PADDING)
        block.text[block.text_length] = 10    # ends the last record
        rows.text = block.text_length + PADDING
        table.at = table.lines = 0
        table.end = block.text_length
        table.separator, table.limit = self.headers[block.source][1], self.limit
        table.truncated = block.truncated
        if block.begins:
            if block.text[:3] == b"\xef\xbb\xbf":
                table.at = 3
            if self.header is None:
                skip_header(block, &table)
        if columns is not None:
            with nogil:
                table.good = vwl_utf8_problem(<const uint8_t*>block.text, table.end)
                columns.begin(rows)
                table.cells.separator = table.separator
                vwl_seek_cell(&table.cells, <const uint8_t*>block.text, table.at)
                while table.at < table.end:
                    if not read_plain_record(rows, columns, &table):
                        read_record(rows, columns, &table)
                        vwl_seek_cell(&table.cells, <const uint8_t*>block.text, min(table.at, table.end))
        rows.end_block()
        block.n_lines = table.lines
        return 0


cdef struct Table:
    # state of the parse of a block
    size_t at, end, lines, limit
    size_t good                       # the text is UTF-8 up to here
    char separator
    bint truncated
    vwl_cells cells                   # from `at` on


cdef size_t record_end(const uint8_t* text, size_t at, size_t end, char separator, size_t* lines) noexcept nogil:
    """The position of the line end that ends a record, `end` without one; adds the lines that it has."""
    cdef const uint8_t* stop
    cdef vwl_quotes place
    cdef size_t found
    memset(&place, 0, sizeof(place))
    while True:
        stop = <const uint8_t*>memchr(text + at, 10, end - at)
        if stop == NULL:
            return end
        lines[0] += 1
        found = stop - text
        if vwl_records_end(&place, text, at, found + 1, separator, 0):
            return found
        at = found + 1


cdef int skip_header(Block block, Table* table) except -1:
    cdef const uint8_t* text = <const uint8_t*>block.text
    while table.at < table.end and (text[table.at] == b"\n" or text[table.at] == b"\r" and text[table.at + 1] == b"\n"):
        table.at = record_end(text, table.at, table.end, table.separator, &table.lines) + 1
    if table.at < table.end:
        table.at = record_end(text, table.at, table.end, table.separator, &table.lines) + 1
    return 0


cdef bint read_plain_record(Rows rows, Columns columns, Table* table) except -1 nogil:
    """Read the next record into a row; False for one with a problem, or with quotes or line ends inside quotes."""
    cdef uint8_t* text = <uint8_t*>rows.block.text
    cdef size_t start = table.at, cell = start, behind, n, column = 0
    cdef uint8_t separator = <uint8_t>table.separator
    cdef bint quoted
    cdef size_t stop = vwl_next_cell(&table.cells, text)
    if text[stop] == b"\n" and (stop == start or (stop == start + 1 and text[start] == b"\r")):
        table.at = stop + 1
        table.lines += 1
        return True                   # an empty line is no record
    if table.truncated:
        return False
    rows.next_row(table.lines, start, 0)
    while True:
        quoted = text[cell] == b'"'
        if quoted:
            cell += 1
            behind = vwl_next_cell(&table.cells, text)
            while text[behind] == separator:
                behind = vwl_next_cell(&table.cells, text)
            if text[behind] != b'"':
                break
            stop = vwl_next_cell(&table.cells, text)
            n = behind - cell
            behind += 1
        else:
            n = stop - cell
            behind = stop
        if text[stop] == b"\n" and stop > start and text[stop - 1] == b"\r":
            if quoted:
                behind += behind < stop
            else:
                n -= 1
        if text[stop] == b'"' or behind != stop or column == columns.n:
            break
        columns.cell(rows, column, text + cell, n)
        text = <uint8_t*>rows.block.text      # names may have moved it
        column += 1
        if text[stop] == b"\n":
            if column < columns.n or table.good < stop or stop - start > table.limit:
                break
            if rows.row.reason == FINE:
                rows.row.text_length = <uint32_t>(stop - start) - (text[stop - 1] == b"\r")
            rows.row.column = 1
            table.at = stop + 1
            table.lines += 1
            rows.end_row()
            return True
        cell = stop + 1
        stop = vwl_next_cell(&table.cells, text)
    rows.drop_row()
    return False


cdef int read_record(Rows rows, Columns columns, Table* table) except -1 nogil:
    """Read the next record into a row."""
    cdef uint8_t* text = <uint8_t*>rows.block.text
    cdef size_t at = table.at, start = at, line = table.lines, n, column = 0, cell, stop, behind
    cdef const uint8_t* found
    cdef Reason reason = FINE
    stop = record_end(text, at, table.end, table.separator, &table.lines)
    table.at = stop + 1
    if stop > at and text[stop - 1] == b"\r":
        stop -= 1
    if stop == at:
        return 0                      # an empty line is no record
    rows.next_row(line, start, stop - start)
    while True:
        cell = at
        if at < stop and text[at] == b'"':
            at = unquote(text, at, stop, &n)
            cell += 1
            if at > stop:
                reason, at = QUOTE_OPEN, cell - 1
            elif at < stop and text[at] != <uint8_t>table.separator:
                reason = QUOTE_BEHIND
        else:
            found = <const uint8_t*>memchr(text + at, table.separator, stop - at)
            at = stop if found == NULL else found - text
            n = at - cell
            if n and memchr(text + cell, 34, n) != NULL:
                reason, at = QUOTE_INSIDE, cell
        if reason == FINE and column == columns.n:
            reason, at = CELLS_MANY, cell
        if reason != FINE:
            break
        columns.cell(rows, column, text + cell, n)
        text = <uint8_t*>rows.block.text      # names may have moved it
        column += 1
        if at >= stop:
            break
        at += 1
    if reason == FINE and column < columns.n:
        reason = CELLS_FEW
    if table.good < stop:             # of the block, a record before or at this one
        behind = start + vwl_utf8_problem(text + start, stop - start)
        if behind < stop:
            reason, at = TEXT_ENCODING, behind
    if table.truncated or stop - start > table.limit:
        reason, at = LINE_LENGTH, start
    if reason != FINE:
        rows.row.reason = reason
        rows.row.text, rows.row.text_length = <uint32_t>start, <uint32_t>(stop - start)
    rows.row.column = <uint32_t>((at if reason != FINE else start) - start) + 1
    return rows.end_row()


cdef size_t unquote(uint8_t* text, size_t at, size_t stop, size_t* n) noexcept nogil:
    """Take the quotes off a cell, in place; returns the position after the closing quote, beyond `stop` without one."""
    cdef size_t to = at + 1, first = to
    at += 1
    while at < stop:
        if text[at] == b'"':
            if at + 1 >= stop or text[at + 1] != b'"':
                n[0] = to - first
                return at + 1
            at += 1
        text[to] = text[at]
        to += 1
        at += 1
    n[0] = to - first
    return stop + 1


def separator_of(word):
    """A separator as it is given on the command line. Raises OptionError for more than one character of ASCII."""
    named = {"tab": "\t", "\\t": "\t"}.get(word, word)
    if len(named) != 1 or not named.isascii() or named in '"\r\n':
        raise OptionError(f"--separator {word!r}: expected one character, such as ';', or 'tab'")
    return ord(named)


def first_records(bytes text, bytes separator):
    """Yields the first records of a table: lists of cells. Cells have any length, unlike those of the module csv."""
    sign = re.escape(separator)
    cell = re.compile(rb'(?:"([^"]*+(?:""[^"]*+)*+)"|([^%b\n]*+))(%b|\r?\n|\r?\Z)' % (sign, sign))
    row, end = [], separator
    at = 0
    while at < len(text) or row and end == separator:
        found = cell.match(text, at)
        quoted, plain, end = found.groups()
        at = found.end()
        if quoted is not None:
            plain = quoted.replace(b'""', b'"')
        elif end != separator:
            plain = plain.removesuffix(b"\r")
        row.append(plain.decode("utf-8", "surrogateescape"))
        if end != separator:
            if quoted is not None or row != [""]:
                yield row
            row = []


def settled(rule, column, cell, char comma):
    """The rule of a column whose map leaves it open, by its first cell."""
    cdef double value
    cdef bytes text = cell.encode("utf-8", "surrogateescape")
    if cell.strip().lower() in MISSING:
        return rule
    if cell.lower() in ("true", "false"):
        role = "flag"
    else:
        role = "number" if read_number(<const uint8_t*><char*>text, len(text), comma, &value) else "category"
    return Rule(rule.name if not rule.pattern else column, role, namespace=rule.namespace)
