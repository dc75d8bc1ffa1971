"""Columns: what the features of a Tally say together, as Python objects, one for each column or number."""
from libc.math cimport sqrt
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free

from cpython.unicode cimport PyUnicode_DecodeUTF8

from vwlite.core.arrays cimport resize
from vwlite.describing.column_names cimport Column
from vwlite.describing.tally cimport FEW, Number, Tally, Value, count_of, labelled_of


def name_of(Tally tally not None, size_t feature):
    """The name of a feature, as in audits; what is not UTF-8 is replaced."""
    cdef uint64_t begin = tally.known.ends[feature - 1] if feature else 0
    if feature >= tally.known.n:
        raise IndexError(feature)
    return PyUnicode_DecodeUTF8(tally.known.text + begin, <Py_ssize_t>(tally.known.ends[feature] - begin), "replace")


def numbers_of(Tally tally not None):
    """Features that are numbers, in order of their first value.

    Returns:
        For each the number of the feature, rows, labelled rows, sum of labels, facts, the correlation with the label,
        and the distinct values, None if they are many.
    """
    cdef size_t i, k
    cdef const Number* number
    cdef double n, mean, variance
    found = []
    for i in range(tally.n_numbers):
        number = &tally.numbers[i]
        n = <double>number.count
        mean = number.x / max(n, 1.0)
        variance = max(number.xx / max(n, 1.0) - mean * mean, 0.0) * n / max(n - 1, 1.0)
        facts = {
            "min": <double>number.low,
            "max": <double>number.high,
            "mean": mean,
            "sd": (<object>variance) ** 0.5,
            "whole": number.whole == number.count,
            "ordered": number.ordered == number.count,
        }
        few = None if number.n_few > FEW else sorted([number.few[k] for k in range(number.n_few)])
        found.append((number.feature, number.count, number.labelled, number.y, facts, correlation_of(number), few))
    return found


cdef double correlation_of(const Number* number):
    """The correlation with the label; 0 where it is not known."""
    cdef double n = <double>max(number.labelled, <uint64_t>1)
    cdef double xy = number.xy - number.lx * number.y / n
    cdef double xx = number.lxx - number.lx * number.lx / n
    cdef double yy = number.yy - number.y * number.y / n
    if number.labelled > 2 and xx > 1e-12 * max(number.lxx, 1e-300) and yy > 1e-12 * max(number.yy, 1e-300):
        return xy / sqrt(xx * yy)
    return 0


cdef class Groups:
    """The features without values of each column.

    Args:
        tally: The counts of all rows, which must not change any more.
    """

    cdef Tally tally
    cdef uint32_t* order              # numbers of features, from 1, by column, then by number
    cdef size_t* ends                 # of each column in it
    cdef double* terms                # of a sum

    def __init__(self, Tally tally not None):
        cdef size_t i, total = 0, n
        cdef const Value* value
        self.tally = tally
        resize(&self.order, tally.known.n + 1, sizeof(uint32_t))
        resize(&self.terms, tally.known.n + 1, sizeof(double))
        resize(&self.ends, tally.names.n_columns + 1, sizeof(size_t))
        for i in range(tally.names.n_columns + 1):
            self.ends[i] = 0
        for i in range(1, tally.known.n + 1):
            value = &tally.values[i]
            self.ends[value.column] += value.number == 0
        for i in range(tally.names.n_columns):
            n, self.ends[i] = self.ends[i], total     # where it begins, until it is filled
            total += n
        for i in range(1, tally.known.n + 1):
            value = &tally.values[i]
            if value.number == 0:
                self.order[self.ends[value.column]] = <uint32_t>i
                self.ends[value.column] += 1

    def __dealloc__(self):
        free(self.order)
        free(self.ends)
        free(self.terms)

    def columns(self):
        """The columns with such features, in order of appearance.

        Returns:
            For each its number, rows, labelled rows, sum of labels, and its features: how many there are and in how
            many rows.
        """
        cdef size_t i, j, begin = 0
        cdef uint64_t rows
        cdef const Column* column
        found = []
        for i in range(self.tally.names.n_columns):
            column = &self.tally.names.columns[i]
            rows = 0
            for j in range(begin, self.ends[i]):
                rows += count_of(self.tally, self.order[j])
            if self.ends[i] > begin:
                found.append((i, column.rows, column.labelled, column.y, self.ends[i] - begin, rows))
            begin = self.ends[i]
        return found

    def features(self, size_t column):
        """Number, rows, labelled rows and sum of labels of each feature of a column, for those with few of them."""
        cdef size_t i
        return [(self.order[i] - 1, count_of(self.tally, self.order[i]), labelled_of(self.tally, self.order[i]),
                 self.tally.values[self.order[i]].y) for i in range(self.begin(column), self.ends[column])]

    def most_frequent(self, size_t column, size_t most):
        """(number, rows) of the features of a column with most rows, the first one of equals first."""
        cdef size_t i
        cdef uint64_t rows, least = 0
        found = []
        for i in range(self.begin(column), self.ends[column]):
            rows = count_of(self.tally, self.order[i])
            if rows > least:
                found.append((self.order[i] - 1, rows))
                found.sort(key=most_rows)     # the order of equals stays
                if <size_t>len(found) > most:
                    found.pop()
                if <size_t>len(found) == most:
                    least = found[most - 1][1]
        return found

    def explained(self, size_t column):
        """The share of the label's variance that the values of a category explain: adjusted R^2 of its means.

        None where there are too few rows or values to tell.
        """
        cdef size_t i, m = 0, begin = self.begin(column), end = self.ends[column]
        cdef const Value* value
        cdef uint64_t labelled, rows = 0
        cdef double n, k, y, yy, total, within
        for i in range(begin, end):
            labelled = labelled_of(self.tally, self.order[i])
            rows += labelled
            m += labelled != 0
        n, k = <double>rows, <double>m
        if n - k < 20 or k < 2:
            return None
        for i in range(begin, end):
            self.terms[i - begin] = self.tally.values[self.order[i]].y
        y = sum_of(self.terms, end - begin)
        for i in range(begin, end):
            self.terms[i - begin] = self.tally.values[self.order[i]].yy
        yy = sum_of(self.terms, end - begin)
        for i in range(begin, end):
            value = &self.tally.values[self.order[i]]
            labelled = labelled_of(self.tally, self.order[i])
            self.terms[i - begin] = value.y * value.y / <double>max(labelled, <uint64_t>1)
        total = yy - y * y / n
        within = total - (sum_of(self.terms, end - begin) - y * y / n)
        if total <= 1e-12 * yy:
            return None
        return 1 - (max(within, 0.0) / (n - k)) / (total / (n - 1))

    cdef size_t begin(self, size_t column) except? 0:
        """Where the features of a column begin."""
        if column >= self.tally.names.n_columns:
            raise IndexError(column)
        return self.ends[column - 1] if column else 0


def most_rows(pair):
    """The key by which the features with most rows come first."""
    return -pair[1]


cdef double sum_of(const double* terms, size_t n):
    """The sum of numbers, halves first: the error grows with the logarithm of n (Higham 1993), as of NumPy's `sum`."""
    cdef double[8] sums
    cdef double found = 0
    cdef size_t i, k
    if n < 8:
        for i in range(n):
            found += terms[i]
        return found
    if n <= 128:
        for k in range(8):
            sums[k] = terms[k]
        for i in range(8, n - n % 8, 8):
            for k in range(8):
                sums[k] += terms[i + k]
        found = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
        for i in range(n - n % 8, n):
            found += terms[i]
        return found
    k = n // 2
    k -= k % 8
    return sum_of(terms, k) + sum_of(terms + k, n - k)
