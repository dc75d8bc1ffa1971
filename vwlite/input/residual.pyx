"""Writes predictions into the lines that they were made for, as initial predictions.

The head of a line is `label [importance [initial]] [tag]`, see parsers/text.pyx: the label is followed by the
importance 1 where there is none, and by the prediction, as it is written, in place of an initial prediction. All other
bytes stay.
"""
from libc.math cimport isfinite, isnan
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.example cimport PADDING, ROW_EXAMPLE, ROW_PROBLEM, Block, Row
from vwlite.core.reasons cimport LINE_LENGTH
from vwlite.input.parser cimport WHOLE, Filled, Parser
from vwlite.input.reader cimport LineReader

from vwlite.core.reasons import REASONS_IN_WORDS
from vwlite.errors import ParseError, VwliteError

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_any_number(const uint8_t* start, float* value)

NO_LABEL = ("the line has no label, and only beside one there is room for an initial prediction (--dummy_label 0 gives "
            "such lines the label 0 with the weight 0, which teaches nothing)")
OTHER_DATA = "give the predictions of one pass over the same data"

cdef enum Trouble:
    RAISED = -1
    NONE
    TOO_FEW
    NOT_A_NUMBER
    UNLABELLED
    TOO_LONG

cdef struct Head:
    const uint8_t* begin              # start of the text that the prediction replaces
    const uint8_t* end
    bint labelled, weighted


cdef class Residual:
    """The lines that `parser` reads, with the predictions in the file `scores`: the first word of each line.

    Both names are what messages call the two. `dummy` is a label, as text, for lines that have none; None refuses them.
    """

    cdef Parser parser
    cdef LineReader scores
    cdef object data_name, score_name
    cdef Block data, lines, out       # examples, predictions, output
    cdef bint stopping
    cdef const uint8_t* word          # the current prediction
    cdef const uint8_t* word_end
    cdef size_t next_line             # offset of the next prediction in `lines`
    cdef size_t score_line, data_line  # numbers of the current prediction, and of the first line of the block
    cdef bytes dummy
    cdef const char* dummy_text
    cdef size_t dummy_length
    cdef readonly size_t problems     # malformed lines, which are copied
    cdef readonly size_t first_problem
    cdef int first_reason

    def __init__(self, Parser parser not None, data_name, scores, score_name, max_line_bytes, dummy=None):
        self.parser = parser
        self.data_name, self.score_name = data_name, score_name
        self.scores = LineReader([scores], max_line_bytes, False)
        self.scores.stopping = &self.stopping
        self.data, self.lines, self.out = Block(), Block(), Block()
        self.data_line = 1
        self.dummy = b"" if dummy is None else dummy
        self.dummy_text = self.dummy
        self.dummy_length = len(self.dummy)

    def blocks(self):
        """The text, some hundred kilobytes of whole lines at a time. A last line without an end gets one.

        Raises ParseError for a line that can't be given a prediction, VwliteError for a prediction that is no finite
        number and where there are not as many as examples.
        """
        cdef Filled got
        cdef Trouble trouble = NONE
        cdef Parser parser = self.parser
        cdef Block data = self.data
        cdef size_t row = 0
        cdef bint more
        while True:
            with nogil:
                got = parser.fill(data, True)
                if got == WHOLE:
                    parser.parse(data)
                    trouble = self.merge(data, &row)
            if got != WHOLE:
                break
            if trouble != NONE:
                self.complain(trouble, &data.rows[row])
            yield PyBytes_FromStringAndSize(self.out.text, self.out.text_length)
            self.data_line += data.n_lines
        with nogil:
            more = self.next_score()  # may block until a thread has decompressed more
        if more:
            raise VwliteError(f"{self.score_name}:{self.score_line}: a prediction too many: {self.data_name} has "
                              f"{self.score_line - 1:,} examples; {OTHER_DATA}")

    def close(self):
        """Closes the file of predictions."""
        self.scores.close()

    def problem(self):
        """The error of the first malformed line."""
        return REASONS_IN_WORDS[self.first_reason]

    cdef int complain(self, Trouble trouble, const Row* row) except -1:
        """Raises the error of a line that can't have a prediction."""
        line = self.data_line + row.line
        if trouble == TOO_FEW:
            raise VwliteError(f"{self.score_name}: has {self.score_line - 1:,} predictions and no more for the example "
                              f"at {self.data_name}:{line}; {OTHER_DATA}")
        if trouble == NOT_A_NUMBER:
            word = self.word[:self.word_end - self.word].decode("utf-8", "replace")
            raise VwliteError(f"{self.score_name}:{self.score_line}: expected a finite number, not {word!r}")
        text = self.data.text[row.text:row.text + row.text_length].decode("utf-8", "replace")
        reason = NO_LABEL if trouble == UNLABELLED else REASONS_IN_WORDS[row.reason]
        raise ParseError(self.data_name, line, 1, reason, text)

    cdef Trouble merge(self, Block data, size_t* at) except? RAISED nogil:
        """Writes the block's lines to `out`; after an error, `at` is its row."""
        cdef const uint8_t* text = <const uint8_t*>data.text
        cdef const uint8_t* copied = text
        cdef const Row* row
        cdef Head head
        cdef size_t i
        self.out.text_length = 0
        for i in range(data.n_rows):
            at[0] = i
            row = &data.rows[i]
            if row.kind == ROW_PROBLEM:
                # of a line over the limit only the beginning is in memory
                if row.reason == LINE_LENGTH:
                    return TOO_LONG
                self.note(row)
            if row.kind != ROW_EXAMPLE:
                continue
            if not self.next_score():
                return TOO_FEW
            if not self.is_number():
                return NOT_A_NUMBER
            head = find_head(text, row)
            if not head.labelled and self.dummy_length == 0:
                return UNLABELLED
            self.write(copied, head.begin - copied)
            if not head.labelled:
                self.write(<const uint8_t*>self.dummy_text, self.dummy_length)
                self.write(b" 0 ", 3)
            elif not head.weighted:
                self.write(b" 1 ", 3)
            elif head.begin == head.end:
                self.write(b" ", 1)
            self.write(self.word, self.word_end - self.word)
            if not head.labelled and head.begin == head.end:
                self.write(b" ", 1)   # a word next to the '|' would be a tag
            copied = head.end
        self.write(copied, text + data.text_length - copied)
        return NONE

    cdef int write(self, const uint8_t* what, size_t n) except -1 nogil:
        if self.out.text_length + n > self.out.text_capacity:
            self.out.reserve_text(2 * (self.out.text_length + n))
        memcpy(self.out.text + self.out.text_length, what, n)
        self.out.text_length += n
        return 0

    cdef void note(self, const Row* row) noexcept nogil:
        """Counts a malformed line."""
        if self.problems == 0:
            self.first_problem = self.data_line + row.line
            self.first_reason = row.reason
        self.problems += 1

    cdef bint next_score(self) except -1 nogil:
        """Moves to the first word of the next line of predictions; returns False at the end."""
        cdef const uint8_t* p
        self.score_line += 1
        if self.next_line >= self.lines.text_length:
            if self.scores.fill(self.lines, True) != WHOLE:
                return False
            memset(self.lines.text + self.lines.text_length, 0, PADDING)
            self.next_line = 0
        p = <const uint8_t*>self.lines.text + self.next_line
        self.word = p
        while p[0] > 32:
            p += 1
        self.word_end = p
        while p[0] != b"\n":
            p += 1
        self.next_line = p + 1 - <const uint8_t*>self.lines.text
        return True

    cdef bint is_number(self) noexcept nogil:
        """Whether the word is a finite number; the parser would read one without digits as 0."""
        cdef const uint8_t* p = self.word
        cdef float value = 0
        cdef bint digits = False
        while p < self.word_end:
            digits = digits or <uint8_t>(p[0] - 48) < 10
            p += 1
        return digits and vwl_any_number(self.word, &value) == self.word_end and isfinite(value)


cdef Head find_head(const uint8_t* text, const Row* row) noexcept nogil:
    """The place of the prediction in a line that the parser has accepted."""
    cdef Head head
    cdef const uint8_t* p = text + row.text
    cdef const uint8_t* line_end = p + row.text_length
    cdef const uint8_t* stop = p
    cdef bint tab = False
    while stop < line_end and stop[0] != b"|":
        if stop[0] == b"\t" and not tab:
            p = stop + 1
            tab = True
        stop += 1
    if row.tag_length or row.tag != row.text:
        stop = text + row.tag
        if row.tag > row.text and (stop - 1)[0] == b"'":
            stop -= 1
    p = skip_blanks(p, stop)
    while stop > p and (stop - 1)[0] == b" ":
        stop -= 1
    head.labelled = not isnan(row.label)
    head.weighted = False
    head.begin = p
    head.end = stop
    if head.labelled:
        head.begin = head.end = skip_word(p, stop)
        if head.end < stop:
            head.weighted = True
            head.begin = head.end = skip_word(skip_blanks(head.end, stop), stop)
        if head.end < stop:
            head.begin = skip_blanks(head.end, stop)
            head.end = stop
    return head


cdef inline const uint8_t* skip_blanks(const uint8_t* p, const uint8_t* stop) noexcept nogil:
    while p < stop and p[0] == b" ":
        p += 1
    return p


cdef inline const uint8_t* skip_word(const uint8_t* p, const uint8_t* stop) noexcept nogil:
    while p < stop and p[0] != b" ":
        p += 1
    return p
