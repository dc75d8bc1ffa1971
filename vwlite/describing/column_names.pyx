"""Names of columns and namespaces, with their counts. Design notes are in column_names.pxd."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcmp, memcpy, memset

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport PADDING, Block, Extent, NameSpan, extent_name_length
from vwlite.core.name_index cimport NameIndex, free_index, number_of

cdef enum:
    LONGEST_STEM = 200                # bytes of the name of a column
    BEFORE_STEM = 5                   # bytes of a key before it: the number of the namespace, whether there is a value


cdef class ColumnNames:
    """The columns and namespaces of features."""

    def __dealloc__(self):
        free(self.columns)
        free(self.spaces)
        free_index(&self.column_names)
        free_index(&self.space_names)

    cdef uint32_t column_of(self, Block block, const Extent* extent, const NameSpan* name, size_t place) \
            except? 0xFFFFFFFE nogil:
        """The column of the feature at this place of a row, by its name as it is written."""
        cdef char[LONGEST_STEM + BEFORE_STEM + PADDING] key     # hashing reads past the end
        cdef const char* text = block.text + name.begin
        cdef const char* sign
        cdef uint32_t n, space
        cdef size_t number = self.guesses[place % GUESSES], stem
        cdef Column* column
        if number < self.n_columns:   # mostly it is that of the new feature before, at the same place
            column = &self.columns[number]
            n = column.stem_length
            if (column.valued and n < LONGEST_STEM and name.length > n and text[n] == 61
                    and self.is_in(block, extent, column) and self.has_stem(column, text)):
                return <uint32_t>number
        sign = <const char*>memchr(text, 61, name.length)
        if sign == NULL:
            sign = <const char*>memchr(text, 58, name.length)   # name:text
        n = 0 if sign == NULL else min(<uint32_t>(sign - text), <uint32_t>LONGEST_STEM)
        if number < self.n_columns and (column.valued == (sign != NULL) and column.stem_length == n
                                        and self.is_in(block, extent, column) and self.has_stem(column, text)):
            return <uint32_t>number
        space = self.space_of(block, extent)
        memset(key, 0, sizeof(key))
        memcpy(key, &space, 4)
        key[4] = sign != NULL
        memcpy(key + BEFORE_STEM, text, n)
        stem = self.column_names.text_length + BEFORE_STEM
        number = number_of(&self.column_names, key, n + BEFORE_STEM, 0)
        if number >= self.n_columns:
            grow(&self.columns, &self.column_capacity, number + 1, sizeof(Column))
            column = &self.columns[number]
            memset(column, 0, sizeof(Column))
            column.space, column.stem, column.stem_length, column.valued = space, stem, n, sign != NULL
            self.n_columns = number + 1
        self.guesses[place % GUESSES] = <uint32_t>number
        return <uint32_t>number

    cdef inline bint is_in(self, Block block, const Extent* extent, const Column* column) noexcept nogil:
        """Whether a column is of the namespace of an extent."""
        cdef const Space* space = &self.spaces[column.space]
        return (extent_name_length(extent) == space.name_length
                and memcmp(block.text + extent.name, self.space_names.text + space.name, space.name_length) == 0)

    cdef inline bint has_stem(self, const Column* column, const char* text) noexcept nogil:
        """Whether a text of at least its length begins with the name of a column."""
        return memcmp(text, self.column_names.text + column.stem, column.stem_length) == 0

    cdef uint32_t space_of(self, Block block, const Extent* extent) except? 0xFFFFFFFE nogil:
        """The namespace of an extent."""
        cdef size_t name = self.space_names.text_length
        cdef uint32_t length = extent_name_length(extent)
        cdef size_t number = number_of(&self.space_names, block.text + extent.name, length, 0)
        if number >= self.n_spaces:
            grow(&self.spaces, &self.space_capacity, number + 1, sizeof(Space))
            memset(&self.spaces[number], 0, sizeof(Space))
            self.spaces[number].name, self.spaces[number].name_length = name, length
            self.n_spaces = number + 1
        return <uint32_t>number

    def of_columns(self):
        """(number of the namespace, whether names have a value after it, the name) of each column."""
        cdef size_t i
        return [(self.columns[i].space, bool(self.columns[i].valued),
                 text_in(&self.column_names, self.columns[i].stem, self.columns[i].stem_length))
                for i in range(self.n_columns)]

    def of_spaces(self):
        """The names of the namespaces; that of the one without a name is empty."""
        cdef size_t i
        return [text_in(&self.space_names, self.spaces[i].name, self.spaces[i].name_length)
                for i in range(self.n_spaces)]

    def spaces_seen(self):
        """(rows, features) of each namespace."""
        cdef size_t i
        return [(self.spaces[i].rows, self.spaces[i].features) for i in range(self.n_spaces)]


cdef bytes text_in(const NameIndex* names, size_t begin, uint32_t length):
    """A part of the text of names."""
    return PyBytes_FromStringAndSize(names.text + begin, length) if length else b""
