"""Labels, weights and tags of rows, given beside their features. See beside.pxd."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_AsDouble, PyLong_CheckExact
from cpython.unicode cimport PyUnicode_Check
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t

from numbers import Number

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL


cdef double number_of(object key, object value) except? -1:
    """A number of any type; `key` is its name in messages."""
    if hasattr(value, "__float__") and not isinstance(value, complex):
        try:
            return float(value)
        except OverflowError:
            return INFINITY
        except (TypeError, ValueError) as error:
            raise type(error)(f"{key!r}: {error}") from None
    raise TypeError(f"{key!r} is of type {type(value).__name__}, where a number, a text, true or false is expected"
                    f"{advice(value)}")


def advice(value):
    """How to give a value of another type, for a message."""
    if hasattr(value, "isoformat"):
        return "; of a time, give the parts that matter, such as its hour and weekday"
    return ""


cdef double whole_number(object value) except? -1:
    """An integer as a number; infinity if it is too large."""
    try:
        return PyLong_AsDouble(value)
    except OverflowError:
        return INFINITY


cdef int set_label(Rows rows, object value) except -1:
    """Set the label: a number, a class, or what is before the '|' of a line; None for none."""
    cdef const uint8_t* text
    cdef Py_ssize_t n
    if value is None:
        return 0
    if PyFloat_Check(value):
        return rows.label_number(PyFloat_AS_DOUBLE(value))
    if PyLong_CheckExact(value):
        return rows.label_number(whole_number(value))
    if PyBytes_Check(value):
        return rows.label_words(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    if PyUnicode_Check(value):
        text = <const uint8_t*>PyUnicode_AsUTF8AndSize(value, &n)
        return rows.label_words(text, n)
    return rows.label_number(number_of("label", value))


cdef int set_tag(Rows rows, object value) except -1:
    """Set the tag, a text or a number."""
    cdef const uint8_t* text
    cdef Py_ssize_t n
    if value is None:
        return 0
    if not PyUnicode_Check(value):
        value = value.decode() if PyBytes_Check(value) else str(value)
    text = <const uint8_t*>PyUnicode_AsUTF8AndSize(value, &n)
    return rows.tag(text, n)


cdef class Beside:
    """Labels, weights and tags, one for each of n rows.

    Args:
        n: The number of rows; None if it is not known.
        labels, weights, tags: Arrays, lists or other iterables; None for none. A single weight is that of all rows.

    Raises:
        ValueError: If one has another length.
        TypeError: If weights are no numbers.
    """

    def __init__(self, n, labels=None, weights=None, tags=None):
        import numpy as np
        if isinstance(weights, Number):
            weights = np.full(n, weights, np.float64)
        for name, values in (("y", labels), ("weight", weights), ("tag", tags)):
            if values is not None:
                self.take(np, name, values)
                self.given = True
                length = len(self.tags if name == "tag" else self.weights if name == "weight" else
                             self.numbers if self.has_numbers else self.labels)
                if n is not None and length != n:
                    raise ValueError(f"{name} has {length:,} values, and there are {n:,} rows")
                n = length
        self.n = n or 0

    cdef int take(self, np, str name, object values) except -1:
        if isinstance(values, (str, bytes)):
            raise TypeError(f"{name} is the text {values!r}, where one value for each row is expected")
        if name == "tag":
            self.tags = list(values)
            return 0
        array = values if hasattr(values, "dtype") else np.asarray(values if hasattr(values, "__len__")
                                                                   else list(values))
        array = np.asarray(array)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise ValueError(f"{name} has {array.ndim} dimensions, where one value for each row is expected")
        if array.dtype.kind in "fiub":
            numbers = np.ascontiguousarray(array, np.float64)
            if name == "weight":
                self.weights, self.has_weights = numbers, True
            else:
                self.numbers, self.has_numbers = numbers, True
        elif name == "weight":
            raise TypeError(f"weight holds values of type {array.dtype}, where numbers are expected")
        else:
            self.labels = array.tolist()
        return 0

    cdef int set(self, Rows rows, size_t i) except -1:
        """Set what belongs to the i-th row, which is the current one."""
        if self.has_numbers:
            rows.label_number(self.numbers[i])
        elif self.labels is not None:
            set_label(rows, self.labels[i])
        if self.has_weights:
            rows.weigh(self.weights[i])
        if self.tags is not None:
            set_tag(rows, self.tags[i])
        return 0
