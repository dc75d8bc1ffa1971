"""Examples written as text, as VW's or otherwise. Design notes are in writing.pxd."""
from libc.math cimport floorf, isnan, rint
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.example cimport (
    ROW_EMPTY, ROW_EXAMPLE, ROW_PROBLEM, Block, Choice, Extent, Feature, NameSpan, Row, extent_name_length, source_of,
)
from vwlite.core.textbuffer cimport TextBuffer
from vwlite.input.naming cimport Naming
from vwlite.input.rows cimport LONGEST_NUMBER

from vwlite.core.reasons import REASONS_IN_WORDS
from vwlite.core.types import LabelType
from vwlite.errors import VwliteError

cdef extern from "vwlite/core/clocale.h" nogil:
    int vwl_print(char* to, size_t size, const char* format, double value)

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_number(const uint8_t* p, size_t n, float* value)

cdef extern from "vwlite/core/utf8.h" nogil:
    size_t vwl_utf8_problem(const uint8_t* text, size_t n)

REFUSALS = {
    INITIAL_UNLABELLED: "an example without a label has an initial prediction, for which VW's text has no place "
    "(--to json has one)",
    WEIGHT_UNLABELLED: "an example without a label has a weight, for which VW's text has no place (--to json has one)",
    WEIGHT_OTHER: "a label of this kind has no weight or initial prediction in VW's text (--to json has a place)",
    NAME_SIGNS: "a name holds a control character, which only VW's text can hold",
    NAME_TWICE: "a feature without a namespace occurs twice, or has the name of a namespace, which a JSON object can't "
    "hold",
    NAME_SPECIAL: "a feature is called _label, _weight, _initial or _tag, which are no features in JSON",
    TEXT_VALUE: "a feature has a text as its value (name:text), which only VW's text can hold: write name=text",
    NO_UTF8: "the text is not UTF-8, which only VW's text can hold",
    TAG_SIGNS: "the tag holds ':' or a control character, which other formats than VW's text replace by '_'",
}

cdef inline const char* format_of(int digits) noexcept nogil:
    return b"%.6g" if digits == 6 else b"%.7g" if digits == 7 else b"%.8g" if digits == 8 else b"%.9g"


cdef bint reads_back(uint8_t* text, int n, float value) noexcept nogil:
    """Whether a number of n bytes is read as this value."""
    cdef float found = 0
    text[n] = b"\n"
    return vwl_number(text, n, &found) == text + n and memcmp(&found, &value, sizeof(float)) == 0


cdef double[13] POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12]


cdef int plain_digits(uint64_t n, int decimals, bint negative, uint8_t* to) noexcept nogil:
    """Write n / 10^decimals without zeros at the end; returns the number of bytes."""
    cdef uint8_t[24] back
    cdef int length = 0, digits = 0, i
    while decimals > 0 and n % 10 == 0:
        n //= 10
        decimals -= 1
    while n or digits <= decimals:
        if digits == decimals and decimals:
            back[length] = b"."
            length += 1
        back[length] = <uint8_t>(48 + n % 10)
        length += 1
        digits += 1
        n //= 10
    if negative:
        back[length] = b"-"
        length += 1
    for i in range(length):
        to[i] = back[length - 1 - i]
    return length


cdef int quick(float value, uint8_t* to) noexcept nogil:
    """As shortest() for the usual sizes, without printf; returns 0 if it can't be done so."""
    cdef double x = -<double>value if value < 0 else <double>value
    cdef int exponent = -4, digits, decimals, n
    cdef uint64_t whole
    if not 1e-4 <= x < 1e6:
        return 0
    while (x >= POWERS[exponent + 1] if exponent >= -1 else x * POWERS[-exponent - 1] >= 1):
        exponent += 1
    for digits in range(6, 10):
        decimals = digits - 1 - exponent
        whole = <uint64_t>rint(x * POWERS[decimals])
        if <float>(<double>whole / POWERS[decimals]) == <float>x:
            n = plain_digits(whole, decimals, value < 0, to)
            if reads_back(to, n, value):
                return n
    return 0


cdef int shortest(float value, uint8_t* to) noexcept nogil:
    """Write a number as short as it is read back to the same bits; returns the number of bytes."""
    cdef int digits, n
    if value == 0:
        to[0] = b"0"
        return 1
    if -1e9 < value < 1e9 and floorf(value) == value:
        return plain_digits(<uint64_t>(-value if value < 0 else value), 0, value < 0, to)
    n = quick(value, to)
    if n:
        return n
    for digits in range(6, 10):
        n = vwl_print(<char*>to, LONGEST_NUMBER, format_of(digits), value)
        if reads_back(to, n, value):
            return n
    return vwl_print(<char*>to, LONGEST_NUMBER, b"%.17g", value)


def number_text(float value):
    """A number in the fewest digits that are read back as the same number in single precision.

    >>> number_text(0.1), number_text(16777216), number_text(1e-7)
    ('0.1', '16777216', '1e-07')
    """
    cdef uint8_t[LONGEST_NUMBER + 1] text
    cdef int n = shortest(value, text)
    return (<char*>text)[:n].decode()


cdef class Lines:
    """Writes the examples of blocks as lines: as VW's text, or as a subclass does.

    Args:
        labels: The LabelType of the examples.
        copies: Whether lines are copied, of VW's text to VW's text.
        multiline: Whether an empty line ends an example.
        problem: Called with (source, line, column, reason, text) for each malformed line.
        names: Of the sources, for messages.
        naming: The Naming of the rows, if they are written for a reader that tells features without a value from those
            of value 1, as --transform does.
    """

    def __init__(self, labels, bint copies, bint multiline, problem, names, Naming naming=None):
        self.out, self.choices = TextBuffer(), TextBuffer()
        self.copies, self.multiline = copies, multiline
        self.simple = labels is LabelType.SIMPLE
        self.classes = labels is LabelType.MULTICLASS
        self.joined = labels is LabelType.MULTILABEL
        self.problem, self.names = problem, names
        self.plain = 1 if naming is None else naming.plain

    def text(self, Block block not None):
        """The lines of a block.

        Raises:
            VwliteError: If the format has no way to write an example.
        """
        cdef size_t i = 0, end, j
        cdef Refusal refusal = WRITTEN
        cdef const Row* row
        while i < block.n_rows:
            row = &block.rows[i]
            end = i + 1
            if self.multiline and row.kind != ROW_EMPTY:
                while end < block.n_rows and block.rows[end].kind != ROW_EMPTY:
                    end += 1
            for j in range(i, end):
                if block.rows[j].kind == ROW_PROBLEM:
                    self.report(block, &block.rows[j])
                    break
            else:
                for j in range(i, end):
                    row = &block.rows[j]
                    if row.kind == ROW_EMPTY:
                        continue
                    if self.copies:
                        self.out.text(block.text + row.text, row.text_length)
                        self.out.text(b"\n", 1)
                    else:
                        refusal = self.write(block, row)
                    if refusal != WRITTEN:
                        self.refuse(block, row, refusal)
                if row.kind != ROW_EMPTY:
                    self.examples += 1
                    if self.multiline:
                        self.out.text(b"\n", 1)
            i = end
        return self.out.drain()

    def records(self, Block block not None):
        """The examples of a block as records for tables.

        Returns:
            A list of tuples: the place; the label (a number or a text) or None; weight, initial prediction, tag; and a
            list of the features, each as namespace, name, text and value. The text is None for a feature that is no
            category.

        Raises:
            VwliteError: If a table has no way to hold an example.
        """
        cdef size_t i, j, k, end
        cdef const Row* row
        cdef const Extent* extent
        cdef const NameSpan* span
        cdef Refusal refusal
        cdef float value
        found = []
        for i in range(block.n_rows):
            row = &block.rows[i]
            if row.kind == ROW_PROBLEM:
                self.report(block, row)
            if row.kind != ROW_EXAMPLE:
                continue
            refusal = clean(block.text + row.tag, row.tag_length)
            if refusal != WRITTEN:
                self.refuse(block, row, TAG_SIGNS if refusal != NO_UTF8 else refusal)
            features = []
            for j in range(row.n_extents):
                extent = &block.extents[row.extent + j]
                end = (extent + 1).begin if j + 1 < row.n_extents else row.n_features
                refusal = clean(block.text + extent.name, extent_name_length(extent))
                namespace = block.text[extent.name:extent.name + extent_name_length(extent)].decode("utf-8", "replace")
                for k in range(extent.begin, end):
                    span, value = &block.names[row.feature + k], block.features[row.feature + k].value
                    if refusal == WRITTEN:
                        refusal = clean(block.text + span.begin, span.length)
                    if refusal != WRITTEN:
                        self.refuse(block, row, refusal)
                    name = block.text[span.begin:span.begin + span.length].decode() if span.length \
                        else str(<uint32_t>(block.features[row.feature + k].hash - extent.hash))
                    key, _, text = name.partition("=")
                    if value == 1 and key and text:
                        features.append((namespace, key, text, value))
                    else:
                        features.append((namespace, name, None, value))
            label = None
            if self.simple and not isnan(row.label):
                label = row.label
            elif row.n_choices:
                self.choices.used = 0
                self.label(block, row, self.choices)
                if vwl_utf8_problem(<uint8_t*>self.choices.buffer, self.choices.used) < self.choices.used:
                    self.refuse(block, row, NO_UTF8)
                label = self.choices.buffer[:self.choices.used].decode()
            place = f"{self.names[source_of(block, row)]}:{block.first_line + row.line}"
            tag = block.text[row.tag:row.tag + row.tag_length].decode()
            found.append((place, label, row.weight, row.initial, tag, features))
            self.examples += 1
        return found

    cdef int report(self, Block block, const Row* row) except -1:
        """Report a malformed line, which is left out."""
        self.problem(source_of(block, row), block.first_line + row.line, row.column, REASONS_IN_WORDS[row.reason],
                     PyBytes_FromStringAndSize(block.text + row.text, row.text_length))
        return 0

    cdef int refuse(self, Block block, const Row* row, Refusal refusal) except -1:
        """Raises VwliteError for an example that can't be written."""
        raise VwliteError(f"{self.names[source_of(block, row)]}:{block.first_line + row.line}: {REFUSALS[refusal]}")

    cdef Refusal write(self, Block block, const Row* row) except RAISED nogil:
        """Write an example; here as VW's text."""
        cdef size_t i, j, end
        cdef const Extent* extent
        cdef const Feature* feature
        cdef const NameSpan* name
        cdef bint labelled = not isnan(row.label) or row.n_choices > 0
        if not labelled and row.initial != 0:
            return INITIAL_UNLABELLED
        if not labelled and row.weight != 1:
            return WEIGHT_UNLABELLED
        if not self.simple and (row.initial != 0 or (row.weight != 1 and not self.classes)):
            return WEIGHT_OTHER
        if self.simple and labelled:
            self.number(row.label)
        else:
            self.label(block, row, self.out)
        if row.weight != 1 or row.initial != 0:
            self.out.text(b" ", 1)
            self.number(row.weight)
        if row.initial != 0:
            self.out.text(b" ", 1)
            self.number(row.initial)
        if labelled:
            self.out.text(b" ", 1)
        if row.tag_length:
            self.out.text(b"'", 1)
            self.out.text(block.text + row.tag, row.tag_length)
        for i in range(row.n_extents):
            extent = &block.extents[row.extent + i]
            end = (extent + 1).begin if i + 1 < row.n_extents else row.n_features
            self.out.text(b"|", 1)
            self.out.text(block.text + extent.name, extent_name_length(extent))
            for j in range(extent.begin, end):
                feature = &block.features[row.feature + j]
                name = &block.names[row.feature + j]
                self.out.text(b" ", 1)
                self.out.text(block.text + name.begin, name.length)
                if feature.value != self.plain and not isnan(feature.value):
                    self.out.text(b":", 1)
                    self.number(feature.value)
            if i + 1 < row.n_extents:
                self.out.text(b" ", 1)
        if row.n_extents == 0:
            self.out.text(b"|", 1)
        self.out.text(b"\n", 1)
        return WRITTEN

    cdef int number(self, float value) except -1 nogil:
        cdef uint8_t[LONGEST_NUMBER + 1] text
        cdef int n = shortest(value, text)
        return self.out.text(<char*>text, n)

    cdef int label(self, Block block, const Row* row, TextBuffer out) except -1 nogil:
        """Write a label of choices as it stands before the first '|'."""
        cdef uint8_t[LONGEST_NUMBER + 1] text
        cdef size_t i
        cdef const Choice* choice
        for i in range(row.n_choices):
            choice = &block.choices[row.choice + i]
            if i:
                out.text(b"," if self.joined else b" ", 1)
            out.text(block.text + choice.name, choice.name_length)
            if not isnan(choice.cost):
                out.text(b":", 1)
                out.text(<char*>text, shortest(choice.cost, text))
        return 0


cdef Refusal clean(const char* text, size_t n) noexcept nogil:
    """Whether a name is one that other formats than VW's text leave as it is."""
    cdef size_t i
    for i in range(n):
        if text[i] == b":":
            return TEXT_VALUE
        if <uint8_t>text[i] <= 32 or text[i] == b"|" or text[i] == 127:
            return NAME_SIGNS
    return WRITTEN if vwl_utf8_problem(<const uint8_t*>text, n) >= n else NO_UTF8
