"""Arrow: reads tables of pandas, Polars, pyarrow, DuckDB and others into rows, by Arrow's C data interface.

Nothing is copied, and no package of Arrow is needed. Specification: arrow.apache.org/docs/format/CDataInterface.html
and CStreamInterface.html; the layout of columns: Columnar.html. A struct is a namespace, a list is one too, and NULL is
a value that is missing.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport NAN
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from vwlite.core.example cimport Block
from vwlite.input.beside cimport Beside
from vwlite.input.columns cimport Columns, is_unused
from vwlite.input.naming cimport Naming
from vwlite.input.rows cimport LONGEST_NUMBER, MADE, ROWS_IN_A_BLOCK, Rows, number_in_words

from vwlite.input.column_map import Rule

cdef extern from "parsers/arrow.h" nogil:
    struct ArrowSchema:
        const char* format
        const char* name
        int64_t n_children
        ArrowSchema** children
        ArrowSchema* dictionary
        void (*release)(ArrowSchema*)
    struct ArrowArray:
        int64_t length, null_count, offset, n_buffers, n_children
        const void** buffers
        ArrowArray** children
        ArrowArray* dictionary
        void (*release)(ArrowArray*)
    struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream*, ArrowSchema*)
        int (*get_next)(ArrowArrayStream*, ArrowArray*)
        const char* (*get_last_error)(ArrowArrayStream*)
        void (*release)(ArrowArrayStream*)
    double vwl_half(uint16_t h)
    double vwl_whole128(const void* at)

cdef enum:
    MOST_DEEP = 64

cdef enum Kind:
    NOTHING
    BOOLEAN
    INT8
    INT16
    INT32
    INT64
    UINT8
    UINT16
    UINT32
    UINT64
    FLOAT16
    FLOAT32
    FLOAT64
    DECIMAL
    TEXT                              # offsets of 32 bits
    LARGE_TEXT                        # of 64 bits
    TEXT_VIEW
    TIME                              # since 1970, in units
    STRUCT
    LIST
    LARGE_LIST
    FIXED_LIST

KINDS = {"n": NOTHING, "b": BOOLEAN, "c": INT8, "C": UINT8, "s": INT16, "S": UINT16, "i": INT32, "I": UINT32,
         "l": INT64, "L": UINT64, "e": FLOAT16, "f": FLOAT32, "g": FLOAT64, "u": TEXT, "U": LARGE_TEXT, "vu": TEXT_VIEW,
         "z": TEXT, "Z": LARGE_TEXT, "vz": TEXT_VIEW, "+s": STRUCT, "+l": LIST, "+L": LARGE_LIST,
         "tdD": TIME, "tdm": TIME, "tts": INT32, "ttm": INT32, "ttu": INT64, "ttn": INT64,
         "tDs": INT64, "tDm": INT64, "tDu": INT64, "tDn": INT64}
UNITS = {"s": 1, "m": 1000, "u": 1_000_000, "n": 1_000_000_000}

cdef struct Cells:
    # a column of a batch
    Kind kind, index                  # of values; of a dictionary's indices
    const uint8_t* valid              # a bit a value; NULL: all are there
    const void* values
    const uint8_t* text
    const void** views                # the buffers of text views
    int64_t offset, width             # width: of lists of a fixed size
    int64_t seconds, ticks            # a time is value * seconds / ticks seconds since 1970
    double divisor                    # of a decimal
    Cells* entries                    # of a dictionary
    Cells* inner                      # of a list, or of a struct's children
    size_t n_inner
    bint wide                         # TIME and DECIMAL: of 64 bits, or 128
    size_t column                     # its number, or that of a struct's first child


cdef class Layout:
    """The columns of a schema: their kinds, and their names, in which those of a struct are `outer.inner`."""

    cdef list names, features, namespaces, kinds

    def __init__(self):
        self.names, self.features, self.namespaces, self.kinds = [], [], [], []

    cdef int add(self, ArrowSchema* schema, str outer, str namespace, int depth) except -1:
        name = (<bytes>schema.name).decode("utf-8", "replace") if schema.name != NULL else ""
        form = (<bytes>schema.format).decode("ascii", "replace")
        path = f"{outer}.{name}" if outer else name
        if form == "+s" and depth < MOST_DEEP:
            for i in range(schema.n_children):
                self.add(schema.children[i], path, name, depth + 1)
            return 0
        self.names.append(path)
        self.features.append(name)
        self.namespaces.append(namespace)
        self.kinds.append(kind_of(form, path) if schema.dictionary == NULL else "dictionary")
        return 0


def kind_of(form, name):
    """The Kind of a format string; raises TypeError for those that can't be read."""
    if form in KINDS:
        return KINDS[form]
    if form.startswith("ts"):
        return TIME
    if form.startswith("d:"):
        if len(form[2:].split(",")) == 2 or form.endswith(",128"):
            return DECIMAL
    if form.startswith("+w:"):
        return FIXED_LIST
    raise TypeError(f"the column {name!r} is of a type of Arrow ({form!r}) that is not read here: convert it to "
                    "numbers or texts, or leave it out")


cdef class Schema:
    """A schema that is released with this object."""

    cdef ArrowSchema schema

    def __dealloc__(self):
        if self.schema.release != NULL:
            self.schema.release(&self.schema)


cdef class Batch:
    """A batch of rows that is released with this object, with views of its columns."""

    cdef ArrowArray array
    cdef ArrowArray* rows             # the same, or one that belongs to a capsule
    cdef Cells* cells
    cdef size_t n

    def __dealloc__(self):
        cdef size_t k
        for k in range(self.n):
            release(&self.cells[k])
        free(self.cells)
        if self.array.release != NULL:
            self.array.release(&self.array)

    cdef int look(self, ArrowSchema* schema) except -1:
        """Point at the columns."""
        cdef size_t column = 0
        self.cells = <Cells*>calloc(max(self.rows.n_children, 1), sizeof(Cells))
        if self.cells == NULL:
            raise MemoryError
        self.n = self.rows.n_children
        for k in range(self.rows.n_children):
            view(&self.cells[k], schema.children[k], self.rows.children[k], self.rows.offset, &column)
        return 0


cdef class Tables:
    """Reads tables into blocks of rows.

    Args:
        naming: The Naming of the run.
        labels: The LabelType of the stack.
        names: Whether learners read the names of features.
        skips_nan: Whether NaN is a value that is missing.
        source: The number of the source in the run; by default the rows come from Python.
    """

    cdef Rows rows
    cdef Block block
    cdef Columns columns
    cdef object known                 # what the columns were made for

    def __init__(self, Naming naming not None, labels, bint names, bint skips_nan, uint32_t source=MADE):
        self.block = Block()
        self.block.source = source
        self.rows = Rows(naming, labels, self.block, names, skips_nan)

    def blocks(self, table, column_map, labels, weights, tags, bint learning, name="the table", decided=None):
        """Yields blocks of the rows of a table, always the same object.

        Args:
            table: An object with __arrow_c_stream__ or __arrow_c_array__.
            column_map: A ColumnMap.
            labels, weights, tags: Given beside the table, or None.
            learning: Whether a label is needed.
            name: Of the table, for messages.
            decided: Called with the rules of the columns, or None.

        Raises:
            OptionError: If the column map doesn't fit the table.
            TypeError: If a column is of a type that is not read.
            ValueError: If labels, weights or tags are of another length than the table.
        """
        cdef ArrowArrayStream* stream = NULL
        cdef ArrowSchema* schema
        cdef Schema owned = Schema()
        cdef Batch batch
        cdef int64_t i, n, first = 0
        length = None                 # asked for before the table is read, as some count by a query
        if not (labels is None and weights is None and tags is None) and hasattr(table, "__len__"):
            length = len(table)
        if hasattr(table, "__arrow_c_stream__"):
            try:
                capsules = table.__arrow_c_stream__()
            except (TypeError, ValueError) as error:      # of pyarrow, for columns of several types
                require_one_type(table, error)
                raise
            stream = <ArrowArrayStream*>PyCapsule_GetPointer(capsules, "arrow_array_stream")
            require(stream, stream.get_schema(stream, &owned.schema))
            schema = &owned.schema
        else:
            capsules = table.__arrow_c_array__()
            schema = <ArrowSchema*>PyCapsule_GetPointer(capsules[0], "arrow_schema")
        beside = self.prepare(schema, column_map, length, labels, weights, tags, learning, name, decided)
        while True:
            batch = Batch()
            if stream != NULL:
                require(stream, stream.get_next(stream, &batch.array))
                if batch.array.release == NULL:
                    break
                batch.rows = &batch.array
            elif first:
                break
            else:
                batch.rows = <ArrowArray*>PyCapsule_GetPointer(capsules[1], "arrow_array")
            batch.look(schema)
            if (<Beside>beside).given and first + batch.rows.length > <int64_t>(<Beside>beside).n:
                raise ValueError(f"there are more rows than values of y, weight or tag ({beside.n:,})")
            i = 0
            while i < batch.rows.length:
                n = min(batch.rows.length - i, <int64_t>ROWS_IN_A_BLOCK)
                self.fill(batch, i, n, beside, first)
                yield self.block
                i += n
            first += batch.rows.length
            if stream == NULL:
                break
        if (<Beside>beside).given and <int64_t>(<Beside>beside).n != first:
            raise ValueError(f"there are {first:,} rows, and y, weight or tag has {beside.n:,} values")

    cdef int fill(self, Batch batch, int64_t begin, int64_t n, Beside beside, int64_t first) except -1:
        """Read n rows of a batch into the block."""
        cdef int64_t i
        cdef size_t k
        self.rows.restart()
        self.columns.begin(self.rows)
        self.block.first_line = 1 + first + begin
        for i in range(begin, begin + n):
            self.rows.next_row(i - begin, 0, 0)
            for k in range(batch.n):
                self.cell(&batch.cells[k], i)
            if beside.given:
                beside.set(self.rows, first + i)
            self.rows.end_row()
        self.rows.end_block()
        return 0

    cdef object prepare(self, ArrowSchema* schema, column_map, length, labels, weights, tags, bint learning,
                        name, decided):
        """Find the roles of the columns."""
        cdef Layout layout = Layout()
        cdef int64_t i
        if (<bytes>schema.format) != b"+s":
            raise TypeError("a table is expected, and this is a single column")
        for i in range(schema.n_children):
            layout.add(schema.children[i], "", "", 0)
        known = (layout.names, layout.kinds, column_map, learning)
        if self.columns is None or self.known != known:
            rules = column_map.resolve(layout.names, name, learning and labels is None,
                                       self.rows.naming.entities)
            rules = [settled(*each) for each in zip(rules, layout.names, layout.namespaces, layout.kinds, strict=True)]
            self.rows.restart()
            self.columns = Columns(layout.features, rules, self.rows, full_names=layout.names)
            self.known = known
            if decided is not None:
                decided(rules)
        if labels is not None and self.columns.labelled:
            raise ValueError("labels are given twice: as y, and as a column of the table")
        return Beside(length, labels, weights, tags)

    cdef int cell(self, const Cells* cells, int64_t i) except -1 nogil:
        """Put one value into the row."""
        cdef size_t k
        cdef int64_t at
        if not is_there(cells, i):
            return 0
        if cells.kind == STRUCT:
            for k in range(cells.n_inner):
                self.cell(&cells.inner[k], i + cells.offset)
            return 0
        if cells.entries != NULL:
            at = whole(cells, i, cells.index)
            if is_there(cells.entries, at):
                self.value(cells.entries, cells.column, at)
            return 0
        return self.value(cells, cells.column, i)

    cdef int value(self, const Cells* cells, size_t column, int64_t i) except -1 nogil:
        cdef const uint8_t* text
        cdef int64_t at = 0
        cdef size_t n
        if cells.kind == FLOAT64:
            return self.columns.number(self.rows, column, (<const double*>cells.values)[i + cells.offset])
        if cells.kind >= TEXT and cells.kind <= TEXT_VIEW:
            text = text_at(cells, i, &n)
            return self.columns.word(self.rows, column, text, n)
        if cells.kind == BOOLEAN:
            i += cells.offset
            return self.columns.flag(self.rows, column, (<const uint8_t*>cells.values)[i >> 3] >> (i & 7) & 1)
        if cells.kind == TIME:
            return self.columns.time(self.rows, column, seconds_at(cells, i), cells.seconds == 86400)
        if cells.kind >= LIST:
            return self.members(cells, column, i)
        if cells.kind == INT64:
            at = (<const int64_t*>cells.values)[i + cells.offset]
            return self.columns.whole(self.rows, column, 0 - <uint64_t>at if at < 0 else <uint64_t>at, at < 0)
        if cells.kind == UINT64:
            return self.columns.whole(self.rows, column, (<const uint64_t*>cells.values)[i + cells.offset], False)
        if cells.kind == DECIMAL and cells.divisor == 1 and is_short(cells, i, &at):
            return self.columns.whole(self.rows, column, 0 - <uint64_t>at if at < 0 else <uint64_t>at, at < 0)
        return self.columns.number(self.rows, column, number_at(cells, i))

    cdef int members(self, const Cells* cells, size_t column, int64_t i) except -1 nogil:
        """The members of a list: texts are features of that name, numbers are numbered."""
        cdef int64_t begin, end, j, at = i + cells.offset
        cdef const uint8_t* text
        cdef uint8_t[LONGEST_NUMBER] words
        cdef const Cells* inner = cells.inner
        cdef size_t n
        if cells.kind == LIST:
            begin, end = (<const int32_t*>cells.values)[at], (<const int32_t*>cells.values)[at + 1]
        elif cells.kind == LARGE_LIST:
            begin, end = (<const int64_t*>cells.values)[at], (<const int64_t*>cells.values)[at + 1]
        else:
            begin, end = at * cells.width, (at + 1) * cells.width
        if is_unused(self.columns.columns[column].role):
            return 0
        self.columns.enter(self.rows, &self.columns.columns[column])
        for j in range(begin, end):
            if not is_there(inner, j):
                continue
            if inner.kind >= TEXT and inner.kind <= TEXT_VIEW:
                text = text_at(inner, j, &n)
                self.rows.plain_word(text, n)
            else:
                self.rows.number(words, number_in_words(<double>(j - begin), words), number_at(inner, j))
        return 0


cdef int require(ArrowArrayStream* stream, int failed) except -1:
    """Raises ValueError if a function of a stream has failed."""
    cdef const char* why
    if failed:
        why = stream.get_last_error(stream)
        words = (<bytes>why).decode("utf-8", "replace") if why != NULL else f"error {failed}"
        raise ValueError(f"the table can't be read: {words}")
    return 0


def require_one_type(table, error):
    """Raises TypeError if a column of a data frame of pandas has values of different types."""
    for name, dtype in dict(getattr(table, "dtypes", {})).items():
        if dtype != object:
            continue
        kinds = [type(value) for value in table[name]]
        first = next((i for i, kind in enumerate(kinds) if not is_nothing(table[name].iloc[i], kind)), 0)
        for i in range(first, len(kinds)):
            if kinds[i] is not kinds[first] and not is_nothing(table[name].iloc[i], kinds[i]):
                raise TypeError(
                    f"the column {name!r} has values of different types: row {first + 1} is of type "
                    f"{kinds[first].__name__}, row {i + 1} of type {kinds[i].__name__}; make it one, such as "
                    f"frame[{name!r}].astype(str)"
                ) from error


def is_nothing(value, kind):
    """Whether a value of a data frame is missing."""
    return value is None or kind is float and value != value


def settled(rule, name, namespace, kind):
    """The rule of a column by its type, where the map leaves it open; raises TypeError for a type that doesn't fit."""
    is_list = kind in (LIST, LARGE_LIST, FIXED_LIST)
    role = rule.role
    if role == "auto":
        if kind == TIME:
            raise TypeError(f"the column {name!r} holds times: say what matters of them, such as "
                            f"'{name}:date(month,dow,hour)' or '{name}:ignore', in columns (--columns_in)")
        role = "text" if is_list else "flag" if kind == BOOLEAN else "number"
        if kind in ("dictionary", TEXT, LARGE_TEXT, TEXT_VIEW):
            role = "category"
    elif is_list and role not in ("text", "ignore"):
        raise TypeError(f"the column {name!r} holds lists, which are no {role}")
    if role in ("number", "category", "flag", "date"):
        namespace = rule.namespace or namespace
    else:
        namespace = rule.namespace
    return rule if role == "label" else Rule(name, role, namespace=namespace, arguments=rule.arguments)


cdef int view(Cells* cells, ArrowSchema* schema, ArrowArray* array, int64_t offset, size_t* column) except -1:
    """Point at the values of a column."""
    cdef int64_t i
    form = (<bytes>schema.format).decode("ascii", "replace")
    cells.kind = kind_of(form, "")
    cells.offset = array.offset + offset
    cells.column = column[0]
    if array.n_buffers and cells.kind != NOTHING and array.null_count != 0:
        cells.valid = <const uint8_t*>array.buffers[0]
    if array.n_buffers > 1:
        cells.values = array.buffers[1]
    if schema.dictionary != NULL:
        cells.index = cells.kind
        cells.entries = <Cells*>calloc(1, sizeof(Cells))
        if cells.entries == NULL:
            raise MemoryError
        i = column[0]
        view(cells.entries, schema.dictionary, array.dictionary, 0, column)
        column[0] = i + 1
        return 0
    if cells.kind in (TEXT, LARGE_TEXT):
        cells.text = <const uint8_t*>array.buffers[2]
    elif cells.kind == TEXT_VIEW:
        cells.views = array.buffers
    elif cells.kind == TIME:
        cells.seconds, cells.ticks, cells.wide = 1, 1, form != "tdD"
        if form == "tdD":
            cells.seconds = 86400
        elif form == "tdm":           # milliseconds of whole days
            cells.seconds, cells.ticks = 86400, 86_400_000
        else:
            cells.ticks = UNITS[form[2]]
    elif cells.kind == DECIMAL:
        cells.divisor = float(10 ** int(form[2:].split(",")[1]))
    elif cells.kind == FIXED_LIST:
        cells.width = int(form[3:])
    cells.n_inner = array.n_children if cells.kind >= STRUCT else 0
    if cells.n_inner:
        cells.inner = <Cells*>calloc(cells.n_inner, sizeof(Cells))
        if cells.inner == NULL:
            raise MemoryError
    if cells.kind == STRUCT:
        for i in range(array.n_children):
            view(&cells.inner[i], schema.children[i], array.children[i], 0, column)
    else:
        i = column[0]
        if cells.n_inner:
            view(cells.inner, schema.children[0], array.children[0], 0, column)
            if cells.inner.kind >= TIME or cells.inner.entries != NULL:
                name = (<bytes>schema.name).decode("utf-8", "replace") if schema.name != NULL else ""
                raise TypeError(f"the column {name!r} holds lists of {(<bytes>schema.children[0].format).decode()!r}, "
                                "which are not read: lists of numbers and of texts are")
        column[0] = i + 1
    return 0


cdef void release(Cells* cells) noexcept:
    cdef size_t i
    if cells.entries != NULL:
        release(cells.entries)
        free(cells.entries)
    for i in range(cells.n_inner if cells.inner != NULL else 0):
        release(&cells.inner[i])
    free(cells.inner)


cdef inline bint is_there(const Cells* cells, int64_t i) noexcept nogil:
    """Whether the i-th value is not NULL."""
    i += cells.offset
    return cells.kind != NOTHING and (cells.valid == NULL or cells.valid[i >> 3] >> (i & 7) & 1)


cdef inline int64_t whole(const Cells* cells, int64_t i, Kind kind) noexcept nogil:
    """The i-th value of a kind of whole numbers of at most 63 bits."""
    i += cells.offset
    if kind == INT32:
        return (<const int32_t*>cells.values)[i]
    if kind == INT8:
        return (<const int8_t*>cells.values)[i]
    if kind == INT16:
        return (<const int16_t*>cells.values)[i]
    if kind == UINT8:
        return (<const uint8_t*>cells.values)[i]
    if kind == UINT16:
        return (<const uint16_t*>cells.values)[i]
    if kind == UINT32:
        return (<const uint32_t*>cells.values)[i]
    return (<const int64_t*>cells.values)[i]


cdef inline bint is_short(const Cells* cells, int64_t i, int64_t* value) noexcept nogil:
    """Whether a decimal of 128 bits without a fraction has at most 63 bits; sets its value."""
    cdef const int64_t* words = <const int64_t*>cells.values + 2 * (i + cells.offset)
    value[0] = words[0]
    return words[1] == (-1 if words[0] < 0 else 0)


cdef double number_at(const Cells* cells, int64_t i) noexcept nogil:
    """The i-th value of a kind of numbers; NaN of other kinds."""
    cdef int64_t j = i + cells.offset
    if cells.kind == FLOAT64:
        return (<const double*>cells.values)[j]
    if cells.kind == FLOAT32:
        return (<const float*>cells.values)[j]
    if cells.kind == FLOAT16:
        return vwl_half((<const uint16_t*>cells.values)[j])
    if cells.kind == BOOLEAN:
        return (<const uint8_t*>cells.values)[j >> 3] >> (j & 7) & 1
    if cells.kind == UINT64:
        return <double>(<const uint64_t*>cells.values)[j]
    if cells.kind == DECIMAL:
        return vwl_whole128(<const uint64_t*>cells.values + 2 * j) / cells.divisor
    if cells.kind >= INT8 and cells.kind <= UINT32:
        return <double>whole(cells, i, cells.kind)
    return NAN


cdef inline int64_t seconds_at(const Cells* cells, int64_t i) noexcept nogil:
    """The i-th time in seconds since 1970, rounded down."""
    cdef int64_t value = (<const int64_t*>cells.values)[i + cells.offset] if cells.wide \
        else (<const int32_t*>cells.values)[i + cells.offset]
    cdef int64_t rest = value % cells.ticks
    if rest < 0:
        rest += cells.ticks
    return (value - rest) // cells.ticks * cells.seconds


cdef inline const uint8_t* text_at(const Cells* cells, int64_t i, size_t* n) noexcept nogil:
    """The i-th text."""
    cdef int64_t begin, j = i + cells.offset
    cdef const uint8_t* one
    cdef int32_t[4] parts
    if cells.kind == TEXT:
        begin = (<const int32_t*>cells.values)[j]
        n[0] = (<const int32_t*>cells.values)[j + 1] - begin
        return cells.text + begin
    if cells.kind == LARGE_TEXT:
        begin = (<const int64_t*>cells.values)[j]
        n[0] = (<const int64_t*>cells.values)[j + 1] - begin
        return cells.text + begin
    one = <const uint8_t*>cells.values + 16 * j
    memcpy(parts, one, 16)            # length, then 12 bytes of text, or: prefix, buffer, offset
    n[0] = parts[0]
    if parts[0] <= 12:
        return one + 4
    return <const uint8_t*>cells.views[2 + parts[2]] + parts[3]
