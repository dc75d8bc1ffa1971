"""Tally: what is counted of the rows of data, in one pass and in bounded memory, for their description.

Design:
a) Features are numbered by their hash (KnownFeatures); each has its count and the sum of labels. One that has a value
   is a number, with moments and range. Parsers mark those without a value by NaN, and keep those of value 0, as they
   do for transforms.
b) A column is what stands before '=' in a name, of one namespace: `city` of `city=Bonn`; or the namespace, for names
   without '='. In how many rows it is, is counted as rows are read; everything else of it follows from its features.
c) Quantiles and AUCs are those of a sample: rows whose hash is a multiple of a power of two, which grows. Duplicates
   are counted among rows that are chosen alike. So neither depends on the order of the rows, and both are exact as long
   as memory suffices.
d) Nothing is allocated per row or feature, and no Python object is made.
"""
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, fabs, isnan
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy, memset

from cpython.bytes cimport PyBytes_FromStringAndSize

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport (
    NO_NUMBER, ROW_EXAMPLE, ROW_PROBLEM, ROW_SHARED, Block, Choice, Example, Extent, Feature, Row, extent_name_length,
)
from vwlite.core.name_index cimport NameIndex, free_index, names_in, number_of
from vwlite.features.interactions cimport Interactions
from vwlite.features.known cimport KnownFeatures
from vwlite.features.spelling cimport Speller

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void* address)

cdef enum:
    PENDING = 8                       # rows between prefetch and comparison
    FEW = 24                          # distinct values of a number that are told apart
    MOST_LABELS = 1000                # distinct labels that are told apart
    LONGEST_STEM = 200                # bytes of the name of a column
    MOST_COLUMNS = 1 << 16
    NO_COLUMN = 0xFFFFFFFF

cdef struct Value:
    # a feature
    uint64_t count, labelled          # rows; a name that comes twice in a row counts twice
    double y, yy                      # sums of labels, and of their squares
    uint32_t column, number           # of the column; of the Number + 1, 0 while it has no values

cdef struct Number:
    uint64_t count, labelled, whole, ordered             # values that are integers; that are not below the one before
    double x, xx, y, yy, xy           # sums; y, yy and xy of labelled rows, as the next two
    double lx, lxx
    float low, high, previous
    uint32_t n_few                    # of the distinct values; FEW + 1: more
    uint32_t feature
    float[FEW] few

cdef struct Column:
    uint64_t rows, last, labelled     # rows that have it; the last of them + 1
    double y, yy
    uint64_t features                 # in all rows
    uint32_t space

cdef struct Space:
    uint64_t rows, last, features
    uint32_t hash

cdef struct Sample:
    uint64_t row
    uint32_t feature
    float x, y

cdef struct Mark:
    uint64_t hash                     # of a row; 0: free
    uint64_t count


cdef class Tally:
    """Counts of the rows of blocks.

    Args:
        interactions: Of a stack without crossed features.
        limit: The most features that are told apart.
        classes: Whether labels are classes.
        most_marks: The most rows that are compared with each other, a power of two.
        most_samples: The most features in the sample.
    """

    cdef readonly uint64_t rows, malformed, labelled, tagged, left_out, first_line
    cdef readonly uint64_t mark_mask, n_repeated       # of the sample of rows for duplicates; those that came before
    cdef readonly uint64_t n_marked, sample_mask, weights_given
    cdef readonly double weight, y, yy, y_low, y_high
    cdef readonly bint whole_labels, shared
    cdef readonly KnownFeatures known
    cdef Speller speller
    cdef Example ex
    cdef bint classes
    cdef Value* values
    cdef Number* numbers
    cdef Column* columns
    cdef Space* spaces
    cdef Sample* samples
    cdef Mark* marks
    cdef size_t value_capacity, number_capacity, column_capacity, space_capacity, sample_capacity
    cdef readonly size_t n_numbers, n_columns, n_spaces, n_samples
    cdef size_t n_marks, mark_places, most_marks, most_samples, n_pending
    cdef uint64_t[PENDING] pending
    cdef NameIndex column_names, space_names, label_names
    cdef uint64_t[MOST_LABELS] label_counts
    cdef float[MOST_LABELS] label_values
    cdef readonly size_t n_labels     # distinct; MOST_LABELS + 1: more
    cdef uint64_t label_after         # labels in order: not below the one before
    cdef dict reasons

    def __init__(self, Interactions interactions not None, size_t limit, bint classes=False,
                 size_t most_marks=1 << 21, size_t most_samples=1 << 19):
        self.known = KnownFeatures(limit, False, numbered=True)
        self.speller = Speller(interactions, self.known)
        self.ex = Example()
        self.classes, self.most_marks, self.most_samples = classes, most_marks, most_samples
        self.y_low, self.y_high = INFINITY, -INFINITY
        self.whole_labels = True
        self.reasons = {}
        self.mark_places = 1 << 10
        self.marks = <Mark*>calloc(self.mark_places, sizeof(Mark))
        if self.marks == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.values)
        free(self.numbers)
        free(self.columns)
        free(self.spaces)
        free(self.samples)
        free(self.marks)
        free_index(&self.column_names)
        free_index(&self.space_names)
        free_index(&self.label_names)

    def read(self, Block block not None):
        """Counts the rows of a block. Raises ValueError for one without the names of features."""
        cdef Example ex = self.ex
        if block.names == NULL and block.n_features:
            raise ValueError("a block without names")
        with nogil:
            self.read_rows(block, ex)

    cdef int read_rows(self, Block block, Example ex) except -1 nogil:
        cdef size_t i
        cdef const Row* row
        for i in range(block.n_rows):
            row = &block.rows[i]
            if row.kind == ROW_EXAMPLE:
                self.shared = self.shared or row.flags & ROW_SHARED
                self.read_row(block, row, ex)
            elif row.kind == ROW_PROBLEM:
                self.malformed += 1
                with gil:
                    self.note_problem(block, i)
        for i in range(self.n_pending):
            self.mark(self.pending[i])
        self.n_pending = 0
        return 0

    cdef int note_problem(self, Block block, size_t i) except -1:
        """Stores the first place of each Reason of malformed rows."""
        cdef const Row* row = &block.rows[i]
        count, place = self.reasons.get(row.reason, (0, (block.first_line + row.line, row.column)))
        self.reasons[row.reason] = (count + 1, place)
        return 0

    cdef int read_row(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Counts an example."""
        cdef size_t i, j, begin, end
        cdef const Extent* extents = block.extents + row.extent
        cdef const Feature* features = block.features + row.feature
        cdef uint64_t hash = 0x9E3779B97F4A7C15, bits
        cdef float y = row.label
        cdef bint has_label = row.n_choices > 0 if self.classes else not isnan(y), sampled
        self.rows += 1
        self.weight += row.weight
        self.weights_given += row.weight != 1
        self.tagged += row.tag_length > 0
        if has_label and self.classes:
            y = self.see_class(block, &block.choices[row.choice])
        elif has_label:
            self.see_label(row)
        ex.bind(block, row, False)
        self.known.n_numbers = 0
        self.known.find(features, row.n_features)
        if self.known.n_missed:
            self.begin_features(block, row, ex)
        for j in range(row.n_features):
            prefetch(&self.values[self.known.numbers[j] - 1])
        for j in range(row.n_features):
            memcpy(&bits, &features[j], sizeof(Feature))
            hash += mix(bits)         # in any order
        hash = mix(hash ^ self.label_bits(block, row))
        self.mark_later(hash or 1)
        sampled = (hash & self.sample_mask) == 0
        for i in range(row.n_extents):
            begin, end = extents[i].begin, extents[i + 1].begin if i + 1 < row.n_extents else row.n_features
            if end > begin and self.known.numbers[begin]:
                self.see_space(self.columns[self.values[self.known.numbers[begin] - 1].column].space, end - begin)
            for j in range(begin, end):
                if self.known.numbers[j] == 0:
                    self.left_out += 1
                else:
                    self.see(self.known.numbers[j] - 1, features[j].value, y, has_label)
                    if sampled:
                        self.take(hash, self.known.numbers[j] - 1, features[j].value, y)
        return 0

    cdef uint64_t label_bits(self, Block block, const Row* row) noexcept nogil:
        """The label and the weight, for the hash of a row."""
        cdef uint32_t[2] bits
        memcpy(&bits[0], &row.label, 4)
        memcpy(&bits[1], &row.weight, 4)
        if self.classes and row.n_choices:
            bits[0] = block.choices[row.choice].number
            if bits[0] == NO_NUMBER:
                bits[0] = checksum(block.text + block.choices[row.choice].name,
                                   block.choices[row.choice].name_length)
        return <uint64_t>bits[0] << 32 | bits[1]

    cdef float see_class(self, Block block, const Choice* choice) except? -1 nogil:
        """Counts a class; returns its number, which is the label if there are two classes."""
        cdef size_t i
        self.labelled += 1
        if self.n_labels > MOST_LABELS:
            return 0
        i = number_of(&self.label_names, block.text + choice.name, choice.name_length, choice.number)
        self.n_labels = self.label_names.n
        if i >= MOST_LABELS:
            self.n_labels = MOST_LABELS + 1
            return 0
        self.label_counts[i] += 1
        self.y += i
        self.yy += i * i
        return i

    cdef int see_label(self, const Row* row) except -1 nogil:
        """Counts a label that is a number."""
        cdef double y = row.label
        cdef size_t i
        self.labelled += 1
        self.y += y
        self.yy += y * y
        self.y_low, self.y_high = min(self.y_low, y), max(self.y_high, y)
        self.whole_labels = self.whole_labels and is_whole(y)
        for i in range(min(self.n_labels, MOST_LABELS)):
            if self.label_values[i] == row.label:
                self.label_counts[i] += 1
                return 0
            if i == 100:
                break                 # a number, most likely
        if self.n_labels > 100:
            self.n_labels = MOST_LABELS + 1
            return 0
        self.label_values[self.n_labels], self.label_counts[self.n_labels] = row.label, 1
        self.n_labels += 1
        return 0

    cdef int begin_features(self, Block block, const Row* row, Example ex) except -1 nogil:
        """Stores the names of new features, and their columns."""
        cdef size_t before = self.known.n, i, j, end
        cdef uint32_t number
        cdef const Extent* extent
        self.speller.spell(ex)
        if self.known.n == before:
            return 0
        grow(&self.values, &self.value_capacity, self.known.n, sizeof(Value))
        memset(self.values + before, 0, (self.known.n - before) * sizeof(Value))
        for i in range(row.n_extents):
            extent = block.extents + row.extent + i
            end = (extent + 1).begin if i + 1 < row.n_extents else row.n_features
            for j in range(extent.begin, end):
                number = self.known.numbers[j]
                if number > before:
                    self.values[number - 1].column = self.column_of(block, extent, ex.names[j].begin,
                                                                    ex.names[j].length)
        return 0

    cdef uint32_t column_of(self, Block block, const Extent* extent, uint32_t name, uint32_t length) \
            except? 0xFFFFFFFE nogil:
        """The column of a feature, by the name as it is written."""
        cdef char[LONGEST_STEM + 80] key
        cdef const char* sign = NULL
        cdef size_t n = 0, column
        cdef uint32_t space
        memset(key, 0, sizeof(key))
        space = <uint32_t>number_of(&self.space_names, block.text + extent.name, extent_name_length(extent), 0)
        if space >= self.n_spaces:
            grow(&self.spaces, &self.space_capacity, space + 1, sizeof(Space))
            memset(&self.spaces[space], 0, sizeof(Space))
            self.n_spaces = space + 1
        if length:
            sign = <const char*>memchr(block.text + name, 61, length)
            if sign == NULL:
                sign = <const char*>memchr(block.text + name, 58, length)   # name:text
        if sign != NULL:
            n = min(<size_t>(sign - (block.text + name)), <size_t>LONGEST_STEM)
        memcpy(key, &space, 4)
        key[4] = sign != NULL
        if n:
            memcpy(key + 5, block.text + name, n)
        column = number_of(&self.column_names, key, <uint32_t>(n + 5), 0)
        if column >= self.n_columns:
            grow(&self.columns, &self.column_capacity, column + 1, sizeof(Column))
            memset(&self.columns[column], 0, sizeof(Column))
            self.columns[column].space = space
            self.n_columns = column + 1
        return <uint32_t>column

    cdef int see(self, uint32_t feature, float x, float y, bint has_label) except -1 nogil:
        """Counts a feature of a row."""
        cdef Value* value = &self.values[feature]
        cdef Column* column = &self.columns[value.column]
        if not isnan(x) or value.number:
            if value.number == 0:
                self.begin_number(feature)
            self.see_number(&self.numbers[value.number - 1], 1 if isnan(x) else x, y, has_label)
        value.count += 1
        column.features += 1
        if has_label:
            value.labelled += 1
            value.y += y
            value.yy += <double>y * y
        if column.last != self.rows:
            column.last = self.rows
            column.rows += 1
            if has_label:
                column.labelled += 1
                column.y += y
                column.yy += <double>y * y
        return 0

    cdef int see_space(self, uint32_t number, size_t features) noexcept nogil:
        """Counts the features of a namespace in a row."""
        cdef Space* space = &self.spaces[number]
        space.features += features
        if space.last != self.rows:
            space.last = self.rows
            space.rows += 1
        return 0

    cdef int begin_number(self, uint32_t feature) except -1 nogil:
        """Makes a number of a feature that had no values so far: they count as 1."""
        cdef Value* value = &self.values[feature]
        cdef Number* number
        grow(&self.numbers, &self.number_capacity, self.n_numbers + 1, sizeof(Number))
        number = &self.numbers[self.n_numbers]
        memset(number, 0, sizeof(Number))
        number.feature = feature
        number.count = number.whole = value.count
        number.ordered = value.count
        number.x = number.xx = <double>value.count
        number.labelled, number.lx = value.labelled, <double>value.labelled
        number.lxx = number.lx
        number.y, number.yy, number.xy = value.y, value.yy, value.y
        number.low, number.high, number.previous = FLT_MAX, -FLT_MAX, -FLT_MAX
        if value.count:
            number.low = number.high = number.previous = number.few[0] = 1
            number.n_few = 1
        self.n_numbers += 1
        value.number = <uint32_t>self.n_numbers
        return 0

    cdef int see_number(self, Number* number, double x, double y, bint has_label) noexcept nogil:
        cdef uint32_t i
        number.count += 1
        number.whole += is_whole(x)
        number.ordered += x >= number.previous
        number.previous = <float>x
        number.x += x
        number.xx += x * x
        number.low, number.high = <float>min(<double>number.low, x), <float>max(<double>number.high, x)
        if has_label:
            number.labelled += 1
            number.lx += x
            number.lxx += x * x
            number.y += y
            number.yy += y * y
            number.xy += x * y
        if number.n_few > FEW:
            return 0
        for i in range(number.n_few):
            if number.few[i] == <float>x:
                return 0
        if number.n_few < FEW:
            number.few[number.n_few] = <float>x
        number.n_few += 1
        return 0

    cdef int take(self, uint64_t row, uint32_t feature, float x, float y) except -1 nogil:
        """Adds a feature of a row to the sample; a full one is halved."""
        cdef Sample* sample
        cdef size_t i, n = 0
        if self.n_samples == self.most_samples:
            while self.n_samples == self.most_samples and self.sample_mask < <uint64_t>1 << 40:
                self.sample_mask = 2 * self.sample_mask + 1
                n = 0
                for i in range(self.n_samples):
                    if (self.samples[i].row & self.sample_mask) == 0:
                        self.samples[n] = self.samples[i]
                        n += 1
                self.n_samples = n
            if self.n_samples == self.most_samples:
                return 0              # one row, many times
        if row & self.sample_mask:
            return 0
        grow(&self.samples, &self.sample_capacity, self.n_samples + 1, sizeof(Sample))
        sample = &self.samples[self.n_samples]
        sample.row, sample.feature, sample.x, sample.y = row, feature, 1 if isnan(x) else x, y
        self.n_samples += 1
        return 0

    cdef int mark_later(self, uint64_t hash) except -1 nogil:
        """Compares a row with those before, when its place in the table has come from memory."""
        cdef size_t i
        if hash & self.mark_mask:
            return 0
        if self.n_pending == PENDING:
            for i in range(PENDING):
                self.mark(self.pending[i])
            self.n_pending = 0
        prefetch(&self.marks[home_of(hash, self.mark_places)])
        self.pending[self.n_pending] = hash
        self.n_pending += 1
        return 0

    cdef int mark(self, uint64_t hash) except -1 nogil:
        """Compares a row with those before, by its hash; a full table is halved."""
        cdef Mark* mark
        if hash & self.mark_mask:
            return 0
        self.n_marked += 1
        mark = self.place(self.marks, self.mark_places, hash)
        if mark.count:
            mark.count += 1
            self.n_repeated += 1
            return 0
        if 2 * (self.n_marks + 1) > self.mark_places:
            if self.n_marks >= self.most_marks // 2:
                self.mark_mask = 2 * self.mark_mask + 1
            self.rebuild(self.mark_places if self.n_marks >= self.most_marks // 2 else 2 * self.mark_places)
            if hash & self.mark_mask:
                self.n_marked -= 1
                return 0
            mark = self.place(self.marks, self.mark_places, hash)
        mark.hash, mark.count = hash, 1
        self.n_marks += 1
        return 0

    cdef Mark* place(self, Mark* marks, size_t n, uint64_t hash) noexcept nogil:
        cdef size_t i = home_of(hash, n)
        while marks[i].count and marks[i].hash != hash:
            i = (i + 1) & (n - 1)
        return &marks[i]

    cdef int rebuild(self, size_t n) except -1 nogil:
        """Moves the marks that are in the sample to a table of n places."""
        cdef Mark* marks = <Mark*>calloc(n, sizeof(Mark))
        cdef size_t i
        if marks == NULL:
            with gil:
                raise MemoryError(f"{n * sizeof(Mark):,} bytes for rows")
        self.n_marks = self.n_marked = self.n_repeated = 0
        for i in range(self.mark_places):
            if self.marks[i].count and (self.marks[i].hash & self.mark_mask) == 0:
                self.place(marks, n, self.marks[i].hash)[0] = self.marks[i]
                self.n_marks += 1
                self.n_marked += self.marks[i].count
                self.n_repeated += self.marks[i].count - 1
        free(self.marks)
        self.marks, self.mark_places = marks, n
        return 0

    # results, as bytes of records for NumPy (description.py)

    def records(self):
        """The features, numbers, columns, namespaces and the sample, as bytes of C structures."""
        return {
            "values": copied(self.values, self.known.n * sizeof(Value)),
            "numbers": copied(self.numbers, self.n_numbers * sizeof(Number)),
            "columns": copied(self.columns, self.n_columns * sizeof(Column)),
            "spaces": copied(self.spaces, self.n_spaces * sizeof(Space)),
            "samples": copied(self.samples, self.n_samples * sizeof(Sample)),
        }

    def names_of_columns(self):
        """(number of the namespace, whether names have a value after it, the name) of each column."""
        return [(int.from_bytes(key[:4], "little"), bool(key[4]), key[5:]) for key in names_in(&self.column_names)]

    def names_of_spaces(self):
        """The names of the namespaces; that of the one without a name is empty."""
        return [b"" if name == b"0" and i == self.anonymous() else name
                for i, name in enumerate(names_in(&self.space_names))]

    cdef anonymous(self):
        """The number of the namespace without a name; None without one."""
        cdef size_t i
        for i in range(self.space_names.n_places):
            if self.space_names.places[i].number and self.space_names.places[i].length == 0:
                return self.space_names.places[i].number - 1
        return None

    def labels(self):
        """(label, rows) of each distinct label, as long as there are few; None if there are many."""
        cdef size_t i
        if self.n_labels > MOST_LABELS:
            return None
        if self.classes:
            return list(zip(names_in(&self.label_names), [self.label_counts[i] for i in range(self.n_labels)],
                            strict=True))
        return [(self.label_values[i], self.label_counts[i]) for i in range(self.n_labels)]

    def problems(self):
        """Reason -> (rows, (line, column) of the first)."""
        return dict(self.reasons)


cdef inline size_t home_of(uint64_t hash, size_t n) noexcept nogil:
    """The first place of a row in a table of n; the low bits of its hash may all be 0."""
    return (hash >> 24) & (n - 1)


cdef inline bint is_whole(double x) noexcept nogil:
    return fabs(x) >= 1e15 or x == <double><long long>x


cdef inline uint64_t mix(uint64_t x) noexcept nogil:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint32_t checksum(const char* text, size_t n) noexcept nogil:
    """FNV-1a of a class's name."""
    cdef uint32_t hash = 2166136261
    cdef size_t i
    for i in range(n):
        hash = (hash ^ <uint8_t>text[i]) * 16777619
    return hash


cdef bytes copied(const void* start, size_t n):
    return PyBytes_FromStringAndSize(<const char*>start, n) if n else b""
