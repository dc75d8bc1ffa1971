"""The cells of a table's columns, put into rows by a column map. See columns.pxd."""
from libc.math cimport INFINITY, NAN, floor, isnan
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.arrays cimport resize
from vwlite.core.reasons cimport (
    CELL_DATE, CELL_FLAG, CELL_LABEL, CELL_NUMBER, ENTITY_NAMELESS, FINE, Reason,
)
from vwlite.input.heads cimport SIMPLE_HEAD
from vwlite.input.rows cimport LONGEST_NUMBER, add, number_in_words

from vwlite.input.naming import CUT

cdef extern from "vwlite/core/number.h" nogil:
    const uint8_t* vwl_number(const uint8_t* p, size_t n, float* value)

cdef extern from "vwlite/core/cells.h" nogil:
    bint vwl_cell_number(const uint8_t* p, size_t n, uint8_t comma, double* value)
    void vwl_short_word(const uint8_t* p, size_t n, uint64_t* a, uint64_t* b)
    size_t vwl_place_of(uint64_t a, uint64_t b, uint64_t key, int bits)

cdef enum:
    LONGEST_CELL = 64                 # bytes of a number
    LONGEST_TIME = 64                 # of a time, however far away
    LONG = 10_000_000                 # numbers from here on are noted as texts
    LONG_DIGITS = 8                   # that it has

cdef uint64_t EXACT = 1 << 53         # whole numbers up to this are those of double precision

ROLES = {"ignore": IGNORE, "auto": AUTO, "number": NUMBER, "category": CATEGORY, "flag": FLAG, "text": WORDS,
         "date": DATE, "entity": ENTITY, "label": LABEL, "weight": WEIGHT, "initial": INITIAL, "tag": TAG}
PARTS = {"year": YEAR, "month": MONTH, "day": DAY, "dow": DOW, "hour": HOUR, "minute": MINUTE, "days": DAYS}


cdef class Columns:
    """The columns of a table, in order.

    Args:
        names: Their names.
        rules: The rule of each (column_map.py).
        rows: Any Rows, whose options decide about hashes.
        comma: Of numbers in text: "." or ",".
        full_names: The names in messages, if they differ from those of features.
    """

    def __init__(self, names, rules, Rows rows not None, str comma=".", full_names=None):
        self.comma = ord(comma)
        self.recent = <Recent*>calloc(1 << RECENT_BITS, sizeof(Recent))
        if self.recent == NULL:
            raise MemoryError
        self.names, self.known = [], {}
        self.start = rows.text
        rows.next_row(0, 0, 0)
        for name, rule, full_name in zip(names, rules, full_names or names, strict=True):
            self.append(rows, name, rule, full_name)
        self.text = rows.block.text[self.start:rows.text]
        rows.drop_row()
        rows.text = self.start

    cdef size_t append(self, Rows rows, str name, rule, str full_name) except? 0xFFFFFFFF:
        """Add a column, whose name goes into the text of `rows`; returns its number."""
        cdef Column* column
        cdef Space space
        cdef Space before = rows.space
        if self.n == self.capacity:
            self.capacity = 2 * self.capacity + 8
            resize(&self.columns, self.capacity, sizeof(Column))
            resize(&self.spaces, self.capacity, sizeof(Space))
        column = &self.columns[self.n]
        memset(column, 0, sizeof(Column))
        column.role = ROLES[rule.role]
        if column.role == LABEL and rule.response == "none":
            column.role = IGNORE
        if column.role == IGNORE and ((rule.namespace or "").translate(CUT), name.translate(CUT)) in rows.naming.asked:
            column.role = ASKED
        raw = name.encode("utf-8", "surrogateescape")
        namespace = rule.namespace or (name if rule.role in ("entity", "text") else "")
        if namespace not in self.known:
            name_of = namespace.encode("utf-8", "surrogateescape")
            rows.namespace(<const uint8_t*><char*>name_of, len(name_of), &space)
            if namespace:
                space.name -= <uint32_t>self.start
            self.spaces[len(self.known)] = space
            self.known[namespace] = len(self.known)
        column.space = self.known[namespace]
        column.name = rows.put(<const uint8_t*><char*>raw, len(raw)) - self.start
        column.length = len(raw)
        column.hash = rows.hash_in(&self.spaces[column.space], rows.text, len(raw))
        rows.text += len(raw)
        if rule.response == "binary":
            value = rule.arguments[0].encode("utf-8", "surrogateescape")
            column.response = BINARY
            rows.more_text(len(value))
            memcpy(rows.block.text + rows.text, <char*>value, len(value))
            column.value, column.value_length = rows.text - self.start, len(value)
            rows.text += len(value)
        elif rule.response == "above":
            column.response, column.above = ABOVE, float(rule.arguments[0])
        elif rule.response == "bins":
            column.response = BINS
            resize(&self.borders, len(rule.arguments), sizeof(float))
            self.n_borders = len(rule.arguments)
            for i, border in enumerate(rule.arguments):
                self.borders[<size_t>i] = float(border)
        for part in rule.arguments if column.role == DATE else ():
            column.parts |= PARTS[part]
        self.labelled = self.labelled or column.role == LABEL
        self.names.append(full_name)
        self.n += 1
        rows.space = before
        rows.open = False
        return self.n - 1

    def __dealloc__(self):
        free(self.recent)
        free(self.columns)
        free(self.borders)
        free(self.spaces)

    cdef int begin(self, Rows rows) except -1 nogil:
        """Begin a block: write the names into its text."""
        cdef size_t n
        with gil:
            n = len(self.text)
            rows.more_text(n)
            memcpy(rows.block.text + rows.text, <char*>self.text, n)
        rows.base = rows.text
        rows.text += n
        return 0

    cdef inline int enter(self, Rows rows, const Column* column) except -1 nogil:
        """Let the features that follow be in the namespace of a column."""
        cdef Space* space = &self.spaces[column.space]
        if not (rows.open and rows.space.hash == space.hash):
            rows.space = space[0]
            if space.name_length_index >> 8:
                rows.space.name += <uint32_t>rows.base
            rows.open = False
        return 0

    cdef int number(self, Rows rows, size_t i, double value) except -1 nogil:
        """A cell that is a number; NaN is a missing one."""
        cdef Column* column = &self.columns[i]
        cdef uint8_t[LONGEST_NUMBER] words
        if column.role == IGNORE or (isnan(value) and rows.skips_nan):
            return 0
        if column.role == ASKED:
            if not -INFINITY < value < INFINITY:
                return 0
            # in single precision it would lose digits, and it may be a name or a time
            if not -LONG < value < LONG:
                return self.word(rows, i, words, number_in_words(value, words))
            return rows.note_cell(self.name_of(rows, column), column.length, self.spaces[column.space].hash, NULL, 0,
                                  <float>value + 0)      # -0 is 0
        if isnan(value) and (column.role < LABEL or column.role == TAG):
            return rows.refuse_number(CELL_NUMBER, self.name_of(rows, column), column.length, value)
        if column.role <= NUMBER:
            if not -INFINITY < value < INFINITY or not -INFINITY < <float>value < INFINITY:
                return rows.refuse_number(CELL_NUMBER, self.name_of(rows, column), column.length, value)
            if <float>value != 0 or rows.naming.keeps_zeros:
                self.enter(rows, column)
                add(rows, column.hash, <float>value, rows.base + column.name, column.length)
            elif rows.naming.notes:
                return rows.zero(self.name_of(rows, column), column.length, self.spaces[column.space].hash)
            return 0
        if column.role == LABEL:
            return self.label_number(rows, column, value)
        if column.role == WEIGHT:
            return rows.weigh(value)
        if column.role == INITIAL:
            return rows.begin_at(value)
        if column.role == FLAG:
            if value != 0 and value != 1:
                return rows.refuse_number(CELL_FLAG, self.name_of(rows, column), column.length, value)
            return self.flag(rows, i, value != 0)
        if column.role == DATE:
            return rows.refuse_number(CELL_DATE, self.name_of(rows, column), column.length, value)
        return self.word(rows, i, words, number_in_words(value, words))

    cdef int whole(self, Rows rows, size_t i, uint64_t size, bint negative) except -1 nogil:
        """A cell that is a whole number of 64 bits; where it is a name, all of its digits are written."""
        cdef uint8_t[LONGEST_NUMBER] words
        cdef size_t n = LONGEST_NUMBER
        if size < EXACT or not is_name(self.columns[i].role):
            return self.number(rows, i, -<double>size if negative else <double>size)
        while size:
            n -= 1
            words[n] = <uint8_t>(48 + size % 10)
            size //= 10
        if negative:
            n -= 1
            words[n] = b"-"
        return self.word(rows, i, words + n, LONGEST_NUMBER - n)

    cdef int integer(self, Rows rows, size_t i, object value) except -1:
        """A cell that is an integer of Python, of any size."""
        if is_name(self.columns[i].role) and not -<int64_t>EXACT < value < <int64_t>EXACT:
            digits = str(value).encode()
            return self.word(rows, i, <const uint8_t*><char*>digits, len(digits))
        try:
            number = float(value)
        except OverflowError:
            number = INFINITY
        return self.number(rows, i, number)

    cdef int written(self, Rows rows, size_t i, const uint8_t* text, size_t n, double value) except -1 nogil:
        """A cell that is a number of JSON; where it is a name, a whole one keeps all of its digits."""
        if -LONG < value < LONG or not is_name(self.columns[i].role):
            return self.number(rows, i, value)
        if are_digits(text, n) or self.columns[i].role == ASKED:
            return self.word(rows, i, text, n)
        return self.number(rows, i, value)

    cdef int flag(self, Rows rows, size_t i, bint value) except -1 nogil:
        """A cell that is true or false."""
        cdef Column* column = &self.columns[i]
        if column.role <= NUMBER or column.role == FLAG or column.role == CATEGORY:
            if column.role != IGNORE and value:
                self.enter(rows, column)
                add(rows, column.hash, rows.naming.plain, rows.base + column.name, column.length)
            return 0
        if column.role == ASKED and not value:
            return 0                  # missing, as where it is a feature
        if column.role == LABEL and column.response == BINARY:
            return self.label(rows, column, b"true" if value else b"false", 4 if value else 5)
        return self.number(rows, i, value)

    cdef int word(self, Rows rows, size_t i, const uint8_t* text, size_t n) except -1 nogil:
        """A cell that is a text."""
        cdef Column* column = &self.columns[i]
        if column.role == CATEGORY or column.role == AUTO:
            return self.category(rows, column, text, n)
        if column.role == ENTITY:
            if n == 0:
                return self.refuse(rows, ENTITY_NAMELESS, column, text, n)
            self.enter(rows, column)
            return rows.plain_word(text, n)
        if column.role == WORDS:
            return self.words(rows, column, text, n)
        if column.role == LABEL:
            return self.label(rows, column, text, n)
        if column.role == TAG:
            return rows.tag(text, n)
        if column.role == ASKED:
            if n == 0:
                return 0
            return rows.note_cell(self.name_of(rows, column), column.length, self.spaces[column.space].hash, text, n, 0)
        return self.cell(rows, i, text, n)

    cdef int cell(self, Rows rows, size_t i, const uint8_t* text, size_t n) except -1 nogil:
        """A cell of a table in text, whose column decides what it is; an empty one is missing."""
        cdef Column* column = &self.columns[i]
        cdef double value = 0
        cdef int64_t seconds
        cdef size_t k
        cdef uint8_t[LONGEST_CELL] words
        if column.role == IGNORE or n == 0:
            return 0
        if column.role == ASKED:
            if read_number(text, n, self.comma, &value):
                if -LONG < value < LONG:
                    return self.number(rows, i, value)
                while n and (text[0] == 32 or text[n - 1] == 32):
                    text += text[0] == 32
                    n -= 1
                if self.comma == b"," and n <= LONGEST_CELL:
                    for k in range(n):
                        words[k] = b"." if text[k] == b"," else text[k]
                    text = words
            return 0 if rows.skips_nan and is_missing(text, n) else self.word(rows, i, text, n)
        if column.role == NUMBER or column.role == AUTO or column.role >= WEIGHT and column.role != TAG:
            if read_number(text, n, self.comma, &value):
                return self.number(rows, i, value)
            if column.role == AUTO:
                return self.category(rows, column, text, n)
            if rows.skips_nan and is_missing(text, n):
                return 0
            return self.refuse(rows, CELL_NUMBER, column, text, n)
        if rows.skips_nan and column.role != TAG and is_missing(text, n):
            return 0
        if column.role == FLAG:
            if is_word(text, n, b"true", 4) or is_word(text, n, b"yes", 3) or is_word(text, n, b"1", 1):
                return self.flag(rows, i, True)
            if is_word(text, n, b"false", 5) or is_word(text, n, b"no", 2) or is_word(text, n, b"0", 1):
                return 0
            return self.refuse(rows, CELL_FLAG, column, text, n)
        if column.role == DATE:
            if read_date(text, n, &seconds):
                return self.time(rows, i, seconds, False)
            return self.refuse(rows, CELL_DATE, column, text, n)
        return self.word(rows, i, text, n)

    cdef int category(self, Rows rows, const Column* column, const uint8_t* text, size_t n) except -1 nogil:
        """The feature `name=text`."""
        cdef Recent* recent
        cdef uint64_t a, b, key
        cdef const uint8_t* none = NULL
        self.enter(rows, column)
        if rows.names or n > LONGEST_RECENT:
            rows.room_for(column.length + n + 1, &text, &none)     # so that nothing moves while it is copied
            return rows.word(self.name_of(rows, column), column.length, text, n)
        vwl_short_word(text, n, &a, &b)
        key = <uint64_t>(column - self.columns) << 8 | n
        recent = &self.recent[vwl_place_of(a, b, key, RECENT_BITS)]
        if recent.a != a or recent.b != b or recent.key != key + 1:
            rows.room_for(column.length + n + 1, &text, &none)
            rows.word(self.name_of(rows, column), column.length, text, n)
            if rows.row.reason == FINE:
                recent.a, recent.b, recent.key, recent.hash = a, b, key + 1, (rows.feature - 1).hash
            return 0
        return add(rows, recent.hash, rows.naming.plain, 0, 0)

    cdef int words(self, Rows rows, const Column* column, const uint8_t* text, size_t n) except -1 nogil:
        """A feature for each word of a text; words are separated by blanks."""
        cdef const uint8_t* end
        cdef const uint8_t* word
        cdef const uint8_t* none = NULL
        self.enter(rows, column)
        rows.room_for(n, &text, &none)    # for all words: none moves while the next one is read
        end = text + n
        while text < end:
            while text < end and text[0] <= 32:
                text += 1
            word = text
            while text < end and text[0] > 32:
                text += 1
            if text > word:
                rows.plain_word(word, text - word)
        return 0

    cdef int label(self, Rows rows, const Column* column, const uint8_t* text, size_t n) except -1 nogil:
        """A label that is a text."""
        cdef double value
        if column.response == BINARY:
            value = 1 if n == column.value_length and memcmp(
                rows.block.text + rows.base + column.value, text, n) == 0 else -1
            return rows.label_number(value)
        if rows.head == SIMPLE_HEAD or column.response == ABOVE or column.response == BINS:
            if read_number(text, n, self.comma, &value):
                return self.label_number(rows, column, value)
            return self.refuse(rows, CELL_LABEL, column, text, n)
        return rows.label_words(text, n)

    cdef int label_number(self, Rows rows, const Column* column, double value) except -1 nogil:
        """A label that is a number. It is compared in single precision, which tables in text have."""
        cdef uint8_t[LONGEST_NUMBER] words
        cdef size_t bin = 0
        if column.response == BINARY:
            return self.label(rows, column, words, number_in_words(value, words))
        if column.response == ABOVE and value == value:
            return rows.label_number(1 if <float>value > <float>column.above else -1)
        if column.response == BINS and value == value:
            while bin < self.n_borders and <float>value > self.borders[bin]:
                bin += 1
            return rows.label_number(1 + bin)
        return rows.label_number(value)

    cdef int time(self, Rows rows, size_t i, int64_t seconds, bint whole_day) except -1 nogil:
        """A cell that is a time, in seconds since 1970, in the time zone in which it is meant; or a day."""
        cdef Column* column = &self.columns[i]
        cdef int64_t days = seconds // 86400, rest = seconds % 86400, year, month, day
        cdef char[LONGEST_TIME] words
        if column.role == IGNORE:
            return 0
        if column.role != DATE and column.role != ASKED:
            return self.number(rows, i, <double>seconds) if column.role == NUMBER \
                else self.refuse(rows, CELL_DATE, column, NULL, 0)
        if rest < 0:
            rest += 86400
            days -= 1
        civil(days, &year, &month, &day)
        if column.role == ASKED:      # as tables of text have it
            return self.word(rows, i, <const uint8_t*>words, <size_t>(
                snprintf(words, LONGEST_TIME, b"%04lld-%02d-%02d", <long long>year, <int>month, <int>day) if whole_day
                else snprintf(words, LONGEST_TIME, b"%04lld-%02d-%02d %02d:%02d:%02d", <long long>year, <int>month,
                              <int>day, <int>(rest // 3600), <int>(rest // 60 % 60), <int>(rest % 60))))
        self.enter(rows, column)
        if column.parts & YEAR:
            self.part(rows, column, b".year", year)
        if column.parts & MONTH:
            self.part(rows, column, b".month", month)
        if column.parts & DAY:
            self.part(rows, column, b".day", day)
        if column.parts & DOW:
            self.part(rows, column, b".dow", (days % 7 + 7 + 3) % 7)
        if column.parts & HOUR:
            self.part(rows, column, b".hour", rest // 3600)
        if column.parts & MINUTE:
            self.part(rows, column, b".minute", rest // 60 % 60)
        if column.parts & DAYS:
            self.part(rows, column, NULL, seconds)
        return 0

    cdef int part(self, Rows rows, const Column* column, const char* name, int64_t value) except -1 nogil:
        """A part of a date: the category `column.hour=13`; of `days`, the number of days since 1970."""
        cdef uint8_t[LONGEST_NUMBER] words
        cdef const char* days = b".days"
        cdef size_t n = 0, length
        cdef const char* suffix = days if name == NULL else name
        while suffix[n]:
            n += 1
        length = column.length + n
        rows.more_text(2 * length + LONGEST_NUMBER)
        memcpy(rows.block.text + rows.text, rows.block.text + rows.base + column.name, column.length)
        memcpy(rows.block.text + rows.text + column.length, suffix, n)
        rows.text += length
        if name == NULL:
            return rows.number(<uint8_t*>rows.block.text + rows.text - length, length, <double>value / 86400)
        return rows.word(<uint8_t*>rows.block.text + rows.text - length, length, words,
                         number_in_words(<double>value, words))

    cdef inline const uint8_t* name_of(self, Rows rows, const Column* column) noexcept nogil:
        return <const uint8_t*>rows.block.text + rows.base + column.name

    cdef int refuse(self, Rows rows, int reason, const Column* column, const uint8_t* text, size_t n) except -1 nogil:
        return rows.refuse(<Reason>reason, self.name_of(rows, column), column.length, text, n)


cdef bint are_digits(const uint8_t* text, size_t n) noexcept nogil:
    """Whether a text is a whole number of LONG or more, or of -LONG or less."""
    cdef size_t i
    if n and text[0] == b"-":
        text, n = text + 1, n - 1
    for i in range(n):
        if not 48 <= text[i] <= 57:
            return False
    return n >= LONG_DIGITS


cdef inline bint is_name(int role) noexcept nogil:
    """Whether a number in a column of this role is a name."""
    return role == CATEGORY or role == ENTITY or role == WORDS or role == TAG or role == ASKED


cdef bint is_word(const uint8_t* text, size_t n, const char* word, size_t length) noexcept nogil:
    """Whether a text is a word in lower case, whatever case it has itself."""
    cdef size_t i
    if n != length:
        return False
    for i in range(n):
        if (text[i] | 32 if 65 <= text[i] <= 90 else text[i]) != <uint8_t>word[i]:
            return False
    return True


cdef bint is_missing(const uint8_t* text, size_t n) noexcept nogil:
    """Whether a text says that a value is missing."""
    return n == 0 or (n <= 4 and (
        is_word(text, n, b"na", 2) or is_word(text, n, b"nan", 3) or is_word(text, n, b"n/a", 3)
        or is_word(text, n, b"null", 4) or is_word(text, n, b"none", 4)))


cdef bint read_number(const uint8_t* text, size_t n, char comma, double* value) noexcept nogil:
    """Read a number that is a whole cell, with blanks around it; NaN and infinity are read, and are for the caller."""
    cdef uint8_t[LONGEST_CELL + 1] words
    cdef float found
    cdef size_t i
    cdef bint digits = False
    if vwl_cell_number(text, n, comma, value):
        return True
    while n and text[0] == 32:
        text += 1
        n -= 1
    while n and text[n - 1] == 32:
        n -= 1
    if n > 1 and text[0] == b"+" and text[1] != b"-":
        text += 1
        n -= 1
    if n == 0 or n > LONGEST_CELL:
        return False
    for i in range(n):
        words[i] = text[i]
        if 48 <= text[i] <= 57:
            digits = True
        elif text[i] == comma:
            words[i] = b"."
        elif text[i] == b"e" or text[i] == b"E" or text[i] == b"-" or text[i] == b"+":
            if text[i] == b"+" and not (i and text[i - 1] | 32 == b"e"):
                return False
        else:
            break
    else:
        words[n] = b"\n"
        if not digits or vwl_number(words, n, &found) != words + n:
            return False
        value[0] = found
        return True
    if is_word(text, n, b"nan", 3):
        value[0] = NAN
        return True
    if is_word(text, n, b"inf", 3) or is_word(text, n, b"-inf", 4) or is_word(text, n, b"infinity", 8):
        value[0] = INFINITY
        return True
    return False


cdef bint two(const uint8_t* text, int least, int most, int64_t* value) noexcept nogil:
    """Read two digits."""
    if not (48 <= text[0] <= 57 and 48 <= text[1] <= 57):
        return False
    value[0] = (text[0] - 48) * 10 + text[1] - 48
    return least <= value[0] <= most


cdef bint read_date(const uint8_t* text, size_t n, int64_t* seconds) noexcept nogil:
    """Read a date of ISO 8601, 2013-01-31 or 2013-01-31T05:00:00, with a blank for the T, a fraction and a zone.

    The seconds are those of the clock at that place: the zone is not used.
    """
    cdef int64_t century, year, month, day, hour = 0, minute = 0, second = 0
    cdef size_t at = 10
    if n < 10 or text[4] != b"-" or text[7] != b"-":
        return False
    if not (two(text, 0, 99, &century) and two(text + 2, 0, 99, &year) and two(text + 5, 1, 12, &month)
            and two(text + 8, 1, 31, &day)):
        return False
    year += 100 * century
    if day > days_in(year, month):
        return False
    if n > 10:
        if n < 16 or (text[10] != b"T" and text[10] != b" ") or text[13] != b":":
            return False
        if not (two(text + 11, 0, 23, &hour) and two(text + 14, 0, 59, &minute)):
            return False
        at = 16
        if n > 16 and text[16] == b":":
            if n < 19 or not two(text + 17, 0, 60, &second):
                return False
            at = 19
            if n > 19 and text[19] == b".":
                at = 20
                while at < n and 48 <= text[at] <= 57:
                    at += 1
        if at < n and text[at] == b"Z":
            at += 1
        elif at < n and (text[at] == b"+" or text[at] == b"-"):
            while at < n and (48 <= text[at] <= 57 or text[at] == b":" or text[at] == b"+" or text[at] == b"-"):
                at += 1
        if at != n:
            return False
    seconds[0] = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    return True


cdef int64_t days_in(int64_t year, int64_t month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef int64_t days_of(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March: a leap day is the last."""
    cdef int64_t y = year - (month <= 2), m = month - 3 if month > 2 else month + 9
    return 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468


cdef void civil(int64_t days, int64_t* year, int64_t* month, int64_t* day) noexcept nogil:
    """The date so many days after 1970-01-01."""
    cdef int64_t y = <int64_t>floor((<double>days + 719468 + 0.5) / 365.2425), m
    while days_of(y + 1, 3, 1) <= days:
        y += 1
    while days_of(y, 3, 1) > days:
        y -= 1
    days -= days_of(y, 3, 1)
    m = (5 * days + 2) // 153
    day[0] = days - (153 * m + 2) // 5 + 1
    month[0] = m + 3 if m < 10 else m - 9
    year[0] = y + (m >= 10)
