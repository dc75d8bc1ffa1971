"""Values: reads rows of Python values, such as those of a database, by a column map."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_Check
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport int64_t, uint8_t, uint32_t

from vwlite.core.example cimport Block
from vwlite.input.beside cimport number_of
from vwlite.input.columns cimport ASKED, IGNORE, Columns
from vwlite.input.naming cimport Naming
from vwlite.input.rows cimport Rows

import datetime

from vwlite.errors import VwliteError
from vwlite.input.column_map import Rule

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL

cdef object EPOCH = datetime.date(1970, 1, 1)


cdef class Values:
    """Reads tuples of values into blocks of rows. The arguments are those of Tables (arrow.pyx)."""

    cdef Rows rows
    cdef Block block
    cdef Columns columns

    def __init__(self, Naming naming not None, labels, bint names, bint skips_nan, uint32_t source=0):
        self.block = Block()
        self.block.source = source
        self.rows = Rows(naming, labels, self.block, names, skips_nan)

    def blocks(self, names, chunks, column_map, bint learning, source, decided=None):
        """Yields blocks of rows, always the same object.

        Args:
            names: Of the columns.
            chunks: An iterable of lists of rows, each a tuple of values: numbers, texts, bytes, dates, None.
            column_map: A ColumnMap.
            learning: Whether a label is needed.
            source: The name of the input, for messages.
            decided: Called with the rules of the columns.

        Raises:
            OptionError: If the column map doesn't fit the columns.
            VwliteError: If a value is of another type.
        """
        cdef size_t count = 0, i
        rules = column_map.resolve(names, source, learning, self.rows.naming.entities)
        for chunk in chunks:
            if self.columns is None:
                rules = [settled(*each) for each in zip(rules, names, chunk[0], strict=True)]
                self.rows.restart()
                self.columns = Columns(names, rules, self.rows)
                if decided is not None:
                    decided(rules)
            self.rows.restart()
            self.columns.begin(self.rows)
            self.block.first_line = 1 + count
            for i, row in enumerate(chunk):
                self.rows.next_row(i, 0, 0)
                self.read(row, source, 1 + count + i)
                self.rows.end_row()
            self.rows.end_block()
            count += self.block.n_rows
            yield self.block

    cdef int read(self, tuple row, source, size_t number) except -1:
        cdef size_t k
        for k in range(self.columns.n):
            try:
                self.value(k, row[k])
            except (TypeError, ValueError, OverflowError) as error:
                raise VwliteError(f"{source}: row {number}, column {self.columns.names[k]!r}: {error}") from None
        return 0

    cdef int value(self, size_t k, object value) except -1:
        """Put a value into the row."""
        cdef const char* text
        cdef Py_ssize_t n
        if value is None or self.columns.columns[k].role == IGNORE:
            return 0
        if PyFloat_Check(value):
            return self.columns.number(self.rows, k, PyFloat_AS_DOUBLE(value))
        if PyUnicode_Check(value):
            text = PyUnicode_AsUTF8AndSize(value, &n)
            return self.columns.word(self.rows, k, <const uint8_t*>text, n)
        if value is True or value is False:
            return self.columns.flag(self.rows, k, value is True)
        if PyBytes_Check(value):
            return self.columns.word(self.rows, k, <const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        if isinstance(value, datetime.date):
            return self.columns.time(self.rows, k, seconds_of(value), not isinstance(value, datetime.datetime))
        if PyLong_Check(value):
            return self.columns.integer(self.rows, k, value)
        if self.columns.columns[k].role == ASKED:
            return 0
        return self.columns.number(self.rows, k, number_of(self.columns.names[k], value))


cdef int64_t seconds_of(value) except? -1:
    """Seconds from 1970 to a date or a time, by its own clock."""
    if not isinstance(value, datetime.datetime):
        return (value - EPOCH).days * 86400
    day = (value.date() - EPOCH).days
    return day * 86400 + value.hour * 3600 + value.minute * 60 + value.second


def settled(rule, name, value):
    """The rule of a column by its first value, where the map leaves it open."""
    if rule.role != "auto" or value is None:
        return rule
    if isinstance(value, datetime.date):
        raise TypeError(f"the column {name!r} holds times: say what matters of them in --columns_in, such as "
                        f"'{name}:date(month,dow,hour)' or '{name}:ignore'")
    role = "flag" if isinstance(value, bool) else "category" if isinstance(value, (str, bytes)) else "number"
    return Rule(name, role, namespace=rule.namespace)
