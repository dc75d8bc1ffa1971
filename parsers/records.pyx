"""Records: reads Python dicts into rows, by the rule of names of vwlite/input/rows.pxd.

    {"price": 2.5, "city": "Bonn", "new": True, "user": {"age": 31}, "words": ["red", "large"]}

is the example `| price:2.5 city=Bonn new |user age:31 |words red large`. A list is a namespace: a text in it is a
feature of that name, a number is numbered by its place, a dict adds its members. The keys `_label`, `_weight`,
`_initial` and `_tag` are not features. With a column map, its rules say what keys are, and keys inside by
`outer.inner`, as of JSON (members.pyx).
"""
from cpython.bool cimport PyBool_Check
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Check, PyDict_Next
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_Check
from cpython.ref cimport PyObject
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport uint8_t

from vwlite.core.example cimport Block
from vwlite.core.reasons cimport ENTITY_NAMELESS
from vwlite.input.beside cimport number_of, set_label, set_tag, whole_number
from vwlite.input.columns cimport Columns, is_unused
from vwlite.input.naming cimport Naming
from vwlite.input.rows cimport LONGEST_NUMBER, MADE, ROWS_IN_A_BLOCK, Rows, Space, number_in_words

import numbers
from collections.abc import Mapping
from itertools import islice, repeat

from vwlite.input.column_map import Rule

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL

cdef enum:
    MOST_DEEP = 64                    # records inside records

cdef struct Text:                     # in UTF-8
    const uint8_t* at
    Py_ssize_t n

cdef inline Text text_of(object value) except *:
    """The bytes of a text; they live as long as it."""
    cdef Text text
    if PyBytes_Check(value):
        text.at, text.n = <const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
    else:
        text.at = <const uint8_t*>PyUnicode_AsUTF8AndSize(value, &text.n)
    return text


cdef int read_members(Rows rows, object members, int depth) except -1:
    """Reads a dict into the current namespace."""
    cdef PyObject* key
    cdef PyObject* value
    cdef Py_ssize_t at = 0
    if depth > MOST_DEEP:
        raise ValueError(f"more than {MOST_DEEP} records inside each other")
    if not PyDict_Check(members):
        members = dict(members)
    while PyDict_Next(members, &at, &key, &value):
        read_member(rows, <object>key, <object>value, depth)
    return 0


cdef inline bint is_integer(object value) except -1:
    """Whether a value is a whole number: of Python, or of NumPy."""
    return (PyLong_Check(value) and not PyBool_Check(value)) or isinstance(value, numbers.Integral) \
        and not PyBool_Check(value)


cdef int read_member(Rows rows, object key, object value, int depth) except -1:
    """Reads a key and its value."""
    cdef Text name, text
    cdef uint8_t[LONGEST_NUMBER] words
    cdef double number
    if not PyUnicode_Check(key):
        key = name_of(key)
    name = text_of(key)
    if name.n and name.at[0] == b"_" and not rows.all_features and key in SPECIAL:
        return SPECIAL[key](rows, value)
    if rows.naming.n_entities and value is not None and is_entity(rows, name) and not is_nested(value):
        if not PyUnicode_Check(value) and is_integer(value):
            value = str(value)            # all of its digits
        if PyUnicode_Check(value) or PyBytes_Check(value):
            text = text_of(value)
        elif PyBool_Check(value):
            return rows.refuse(ENTITY_NAMELESS, name.at, name.n, NULL, 0)
        else:
            number = number_of(key, value)
            text.at, text.n = words, number_in_words(number, words)
        if text.n == 0:
            return rows.refuse(ENTITY_NAMELESS, name.at, name.n, NULL, 0)
        return rows.entity(name.at, name.n, text.at, text.n)
    if PyFloat_Check(value):
        return rows.number(name.at, name.n, PyFloat_AS_DOUBLE(value))
    if PyUnicode_Check(value) or PyBytes_Check(value):
        text = text_of(value)
        return rows.word(name.at, name.n, text.at, text.n)
    if value is None or value is False:
        return 0
    if value is True:
        return rows.plain_word(name.at, name.n)
    if PyLong_Check(value):
        return rows.number(name.at, name.n, whole_number(value))
    return read_other(rows, key, name, value, depth)


cdef int read_other(Rows rows, object key, Text name, object value, int depth) except -1:
    """Reads a value that is neither a number nor a text of Python: one of NumPy, a record, a list."""
    cdef Space outer = rows.space, space
    if is_nested(value):
        if name.n == 0:
            raise ValueError("a record or list without a name")
        rows.namespace(name.at, name.n, &space)
        if is_list(value):
            read_list(rows, key, value, depth + 1)
        else:
            read_members(rows, value, depth + 1)
        rows.space = outer
        rows.open = False
        return 0
    return rows.number(name.at, name.n, number_of(key, value))


cdef int read_list(Rows rows, object key, object values, int depth) except -1:
    """Reads a list, which is a namespace."""
    cdef Text text
    cdef uint8_t[LONGEST_NUMBER] words
    cdef size_t place = 0
    for value in values:
        if PyUnicode_Check(value) or PyBytes_Check(value):
            text = text_of(value)
            rows.plain_word(text.at, text.n)
        elif isinstance(value, dict):
            read_members(rows, value, depth)
        elif is_nested(value):
            raise ValueError(f"{key!r} has a list inside a list: the features of a list are numbers, texts and records")
        elif value is not None:
            rows.number(words, number_in_words(place, words), number_of(key, value))
        place += 1
    return 0


cdef bint is_list(object value) except -1:
    """Whether a value is a list of values; arrays of NumPy are."""
    return isinstance(value, (list, tuple, set, frozenset)) or (
        getattr(value, "ndim", 0) == 1 and hasattr(value, "__len__"))


cdef bint is_nested(object value) except -1:
    """Whether a value has values inside."""
    if PyFloat_Check(value) or PyUnicode_Check(value) or PyLong_Check(value) or value is None or PyBytes_Check(value):
        return False
    return isinstance(value, Mapping) or is_list(value)


cdef bint is_entity(Rows rows, Text name) except -1:
    """Whether the name is that of a namespace of entities."""
    rows.more_text(name.n)
    return rows.is_entity(<uint8_t*>rows.block.text + rows.put(name.at, name.n), name.n)


def name_of(key):
    """The name of a key that is no text: a number."""
    if isinstance(key, bool) or not isinstance(key, (int, bytes)):
        raise TypeError(f"the key {key!r} is of type {type(key).__name__}: names of features are texts")
    return key.decode() if isinstance(key, bytes) else str(int(key))


SPECIAL = {
    "_label": lambda Rows rows, value: set_label(rows, value),
    "_weight": lambda Rows rows, value: rows.weigh(number_of("_weight", value)),
    "_initial": lambda Rows rows, value: rows.begin_at(number_of("_initial", value)),
    "_tag": lambda Rows rows, value: set_tag(rows, value),
}


cdef class Mapped:
    """Reads dicts by a column map, into one block.

    Args:
        rows: The Rows of the block.
        column_map: A ColumnMap.
        rules: The rules that were found before, by the path of the key; more are added.
    """

    cdef Rows rows
    cdef Columns columns              # of keys by the map, as they were met
    cdef object column_map
    cdef dict rules, numbers          # of columns, by the path of the key

    def __init__(self, Rows rows not None, column_map, dict rules):
        self.rows, self.column_map, self.rules = rows, column_map, rules
        self.columns = Columns([], [], rows)
        self.columns.start = 0
        self.numbers = {}

    cdef int read(self, members, str outer, int depth) except -1:
        """Read a dict into the current namespace."""
        cdef Text name
        cdef Space own = self.rows.space
        if depth > MOST_DEEP:
            raise ValueError(f"more than {MOST_DEEP} records inside each other")
        for key, value in members.items():
            if not PyUnicode_Check(key):
                key = name_of(key)
            if key in SPECIAL and not self.rows.all_features:
                SPECIAL[key](self.rows, value)
                continue
            column = self.column_of(key, outer)
            if column is not None:
                if not is_nested(value):
                    self.put(column, key, value)
                    if self.rows.space.hash != own.hash:
                        self.rows.space = own      # of the keys that no rule names
                        self.rows.open = False
                    continue
                if is_unused(self.columns.columns[<size_t>column].role):
                    continue
            name = text_of(key)
            if isinstance(value, Mapping):
                self.read_inside(name, key, value, depth)
            else:
                read_member(self.rows, key, value, depth)
        return 0

    cdef int read_inside(self, Text name, str key, members, int depth) except -1:
        """Read a dict inside, which is a namespace."""
        cdef Space outer = self.rows.space, space
        if name.n == 0:
            raise ValueError("a record or list without a name")
        self.rows.namespace(name.at, name.n, &space)
        self.read(members, key, depth + 1)
        self.rows.space = outer
        self.rows.open = False
        return 0

    cdef object column_of(self, str key, str outer):
        """The number of the column that the map makes of a key; None if the key is what its value says."""
        path = f"{outer}.{key}" if outer else key
        if path in self.numbers:
            return self.numbers[path]
        if path not in self.rules:
            self.rules[path] = self.rule_of(path, outer)
        rule = self.rules[path]
        if rule is None:
            raise ValueError(f"no rule of the column map matches the key {path!r}: add {path}:ROLE, or /.*/:auto or "
                             "/.*/:ignore for all that are left")
        number = None
        if rule.role != "auto":
            number = self.columns.append(self.rows, key, rule.inside(outer), path)
        self.numbers[path] = number
        return number

    cdef object rule_of(self, str path, str outer):
        rule = self.column_map.rule_of(path, self.rows.naming.entities if not outer else ())
        if rule is None and outer and self.numbers.get(outer, 0) is None:
            return Rule(path, "auto")         # as the record that it is in
        return rule

    cdef int put(self, size_t column, str key, value) except -1:
        """Put a value into the row."""
        cdef Text text
        if value is None:
            return 0
        if PyBool_Check(value):
            return self.columns.flag(self.rows, column, value)
        if hasattr(value, "isoformat"):
            value = value.isoformat()         # a date or time
        if PyUnicode_Check(value) or PyBytes_Check(value):
            text = text_of(value)
            return self.columns.word(self.rows, column, text.at, text.n)
        if PyLong_Check(value):
            return self.columns.integer(self.rows, column, value)
        return self.columns.number(self.rows, column, number_of(key, value))


cdef class Records:
    """Reads dicts into blocks of rows.

    Args:
        naming: The Naming of the run.
        labels: The LabelType of the stack.
        names: Whether learners read the names of features.
        skips_nan: Whether NaN is a value that is missing.
        all_features: Whether keys such as `_label` are features as all others: the label is given beside the record.
    """

    cdef Rows rows
    cdef Block block
    cdef object column_map            # of the examples at hand, or None
    cdef dict rules                   # that it has for keys
    cdef Mapped mapped

    def __init__(self, Naming naming not None, labels, bint names, bint skips_nan, bint all_features=False):
        self.block = Block()
        self.block.source = MADE
        self.rows = Rows(naming, labels, self.block, names, skips_nan)
        self.rows.all_features = all_features

    def use(self, column_map):
        """Sets the ColumnMap of the records that follow; None: keys are what their values say."""
        if column_map != self.column_map:
            self.column_map, self.rules = column_map, {}

    def restart(self):
        """Begins a block."""
        self.rows.restart()
        self.mapped = None if self.column_map is None else Mapped(self.rows, self.column_map, self.rules)

    def one(self, record, label, weight, tag):
        """The block of one record."""
        self.restart()
        self.block.first_line = 1
        self.read(record, label, weight, tag)
        self.rows.end_block()
        return self.block

    def blocks(self, records, labels, weights, tags):
        """Yields blocks of records, always the same object; before an error, the block of the records before it.

        `labels`, `weights` and `tags` are iterables of the same length, or None. Raises TypeError or ValueError for a
        record that can't be read, and ValueError if one of the others is shorter or longer.
        """
        cdef size_t count = 0
        records = iter(records)
        parts = [None if part is None else iter(part) for part in (labels, weights, tags)]
        while chunk := list(islice(records, ROWS_IN_A_BLOCK)):
            columns = [None if part is None else list(islice(part, len(chunk))) for part in parts]
            for name, column in zip(NAMES, columns, strict=True):
                if column is not None and len(column) < len(chunk):
                    raise ValueError(f"{name} has {count + len(column):,} values and x more records")
            self.restart()
            self.block.first_line = 1 + count
            error = self.fill(chunk, columns)
            self.rows.end_block()
            count += self.block.n_rows
            yield self.block
            if error is not None:
                raise error
        for name, part in zip(NAMES, parts, strict=True):
            if part is not None and not isinstance(part, repeat) and next(part, END) is not END:
                raise ValueError(f"{name} has more values than x has records ({count:,}): these were run")

    cdef object fill(self, list chunk, list columns):
        """Reads records into the block, up to one that can't be read; returns the error."""
        cdef size_t i
        labels, weights, tags = columns
        for i, record in enumerate(chunk):
            try:
                self.read(record, None if labels is None else labels[i], None if weights is None else weights[i],
                          None if tags is None else tags[i])
            except (TypeError, ValueError, OverflowError) as error:
                self.rows.drop_row()
                kind = TypeError if isinstance(error, TypeError) else ValueError
                return kind(f"row {self.block.first_line + i}: {error}")
        return None

    cdef int read(self, record, label, weight, tag) except -1:
        self.rows.next_row(self.rows.n_rows, 0, 0)
        if not PyDict_Check(record) and not isinstance(record, Mapping):
            raise TypeError(f"a record is a dict of names and values, not {type(record).__name__}")
        if self.mapped is None:
            read_members(self.rows, record, 1)
        else:
            self.mapped.read(record, "", 1)
        if label is not None:
            set_label(self.rows, label)
        if weight is not None:
            self.rows.weigh(number_of("weight", weight))
        if tag is not None:
            set_tag(self.rows, tag)
        return self.rows.end_row()


END = object()
NAMES = ("y", "weight", "tag")
