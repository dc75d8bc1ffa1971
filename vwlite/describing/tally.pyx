"""Tally: what is counted of the rows of data, in one pass and in bounded memory. Design notes are in tally.pxd."""
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, fabs, isnan
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport (
    NO_NUMBER, ROW_EXAMPLE, ROW_PROBLEM, ROW_SHARED, Block, Choice, Example, Extent, Feature, Row,
)
from vwlite.core.fetch cimport fetch_names
from vwlite.core.name_index cimport free_index, names_in, number_of
from vwlite.core.pages cimport free_pages, grow_pages
from vwlite.describing.column_names cimport Column, ColumnNames, Space
from vwlite.describing.repeats cimport Repeats
from vwlite.describing.sample cimport Sample
from vwlite.features.interactions cimport Interactions
from vwlite.features.known cimport KnownFeatures, vwl_known
from vwlite.features.spelling cimport Speller

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void* address)

cdef extern from "vwlite/features/known.h" nogil:
    void vwl_foresee(const vwl_known* known, const void* features, size_t n)

cdef enum:
    AHEAD = 64                        # features between prefetch and use
    ROWS_AHEAD = 6                    # rows between prefetch and use
    MOST_FETCHED = 128                # features of a row that are prefetched so


cdef class Tally:
    """Counts of the rows of blocks.

    Args:
        interactions: Of a stack without crossed features.
        limit: The most features that are told apart.
        classes: Whether labels are classes.
        most_marks: The places of the largest table of rows that are compared with each other, a power of two.
        most_samples: The most features in the sample.
        most_uncarried: Features after which counts of 32 bits are carried to those of 64.
    """

    def __init__(self, Interactions interactions not None, size_t limit, bint classes=False,
                 size_t most_marks=1 << 21, size_t most_samples=1 << 19, size_t most_uncarried=1 << 31):
        self.known = KnownFeatures(limit, False, numbered=True)
        self.speller = Speller(interactions, self.known)
        self.names = ColumnNames()
        self.repeats = Repeats(most_marks)
        self.sample = Sample(most_samples)
        self.ex = Example()
        self.classes, self.most_uncarried = classes, most_uncarried
        self.y_low, self.y_high = INFINITY, -INFINITY
        self.whole_labels = True
        self.reasons = {}
        grow_pages(&self.values, &self.value_capacity, 1, sizeof(Value), b"for features")

    def __dealloc__(self):
        free_pages(self.values)
        free_pages(self.carried)
        free(self.numbers)
        free(self.hashes)
        free_index(&self.label_names)

    def read(self, Block block not None):
        """Counts the rows of a block. Raises ValueError for one without the names of features."""
        if block.names == NULL and block.n_features:
            raise ValueError("a block without names")
        with nogil:
            self.find_rows(block)
            self.read_rows(block)
            self.uncarried += block.n_features
            if self.uncarried >= self.most_uncarried:
                self.carry()

    cdef int find_rows(self, Block block) except -1 nogil:
        """Finds the numbers of the features of a block, one row after the other."""
        cdef size_t i
        cdef const Row* row
        self.known.n_numbers = 0
        for i in range(block.n_rows):
            row = &block.rows[i]
            if i + ROWS_AHEAD < block.n_rows:
                fetch(&self.known.table, block, row + ROWS_AHEAD)
            if row.kind == ROW_EXAMPLE:
                self.known.find(block.features + row.feature, row.n_features)
                if self.known.n_missed:
                    self.begin_features(block, row)
        grow(&self.known.numbers, &self.known.number_capacity, self.known.n_numbers + AHEAD, sizeof(uint32_t))
        memset(self.known.numbers + self.known.n_numbers, 0, AHEAD * sizeof(uint32_t))
        return 0

    cdef int read_rows(self, Block block) except -1 nogil:
        """Counts the rows of a block, by the numbers of their features."""
        cdef size_t i, n = 0
        cdef const Row* row
        cdef const uint32_t* numbers = self.known.numbers
        grow(&self.hashes, &self.hash_capacity, block.n_rows, sizeof(uint64_t))
        for i in range(block.n_rows):
            row = &block.rows[i]
            if row.kind == ROW_EXAMPLE:
                self.shared = self.shared or row.flags & ROW_SHARED
                self.read_row(block, row, numbers, &self.hashes[n])
                numbers += row.n_features
                n += 1
            elif row.kind == ROW_PROBLEM:
                self.malformed += 1
                with gil:
                    self.note_problem(block, i)
        self.repeats.see(self.hashes, n)
        return 0

    cdef int note_problem(self, Block block, size_t i) except -1:
        """Stores the first place of each Reason of malformed rows."""
        cdef const Row* row = &block.rows[i]
        count, place = self.reasons.get(row.reason, (0, (block.first_line + row.line, row.column)))
        self.reasons[row.reason] = (count + 1, place)
        return 0

    cdef int read_row(self, Block block, const Row* row, const uint32_t* numbers, uint64_t* hash) except -1 nogil:
        """Counts an example; stores its hash."""
        cdef size_t i, j, begin, end
        cdef const Extent* extents = block.extents + row.extent
        cdef const Feature* features = block.features + row.feature
        cdef uint64_t mixed = 0x9E3779B97F4A7C15, bits
        cdef float y = row.label
        cdef bint has_label = row.n_choices > 0 if self.classes else not isnan(y)
        cdef double counted, squared      # the label, and its square; 0 without one
        cdef Value* values = self.values
        cdef Value* value
        cdef Column* columns = self.names.columns
        cdef Column* column
        cdef Space* space
        self.rows += 1
        self.weight += row.weight
        self.weights_given += row.weight != 1
        self.tagged += row.tag_length > 0
        if has_label and self.classes:
            y = self.see_class(block, &block.choices[row.choice])
        elif has_label:
            self.see_label(row)
        counted = y if has_label else 0
        squared = counted * counted
        for j in range(row.n_features):
            memcpy(&bits, &features[j], sizeof(Feature))
            mixed += mix(bits)        # in any order
        mixed = mix(mixed ^ self.label_bits(block, row))
        hash[0] = mixed or 1
        for i in range(row.n_extents):
            begin, end = extents[i].begin, extents[i + 1].begin if i + 1 < row.n_extents else row.n_features
            if end > begin and numbers[begin]:
                space = &self.names.spaces[columns[values[numbers[begin]].column].space]
                space.features += end - begin
                space.rows += space.last != self.rows
                space.last = self.rows
            for j in range(begin, end):
                prefetch(&values[numbers[j + AHEAD]])
                if numbers[j] == 0:
                    self.left_out += 1
                    continue
                value = &values[numbers[j]]
                if value.number or not isnan(features[j].value):
                    if value.number == 0:
                        self.begin_number(numbers[j])
                    see_number(&self.numbers[value.number - 1],
                               1 if isnan(features[j].value) else features[j].value, counted, has_label)
                value.count += 1
                value.labelled += has_label
                value.y += counted
                value.yy += squared
                column = &columns[value.column]
                column.features += 1
                if column.last != self.rows:
                    column.last = self.rows
                    column.rows += 1
                    column.labelled += has_label
                    column.y += counted
                    column.yy += squared
        if (mixed & self.sample.mask) == 0:
            self.sample.take(mixed, y, features, numbers, row.n_features)
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
        for i in range(min(self.n_labels, <size_t>MOST_LABELS)):
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

    cdef int begin_features(self, Block block, const Row* row) except -1 nogil:
        """Stores the names of the new features of the row just looked up, and their columns."""
        cdef size_t before = self.known.n, i, j, k = 0
        cdef uint32_t number
        cdef const Extent* extents = block.extents + row.extent
        self.ex.bind(block, row, False)
        self.speller.spell(self.ex)
        if self.known.n == before:
            return 0
        grow_pages(&self.values, &self.value_capacity, self.known.n + 1, sizeof(Value), b"for features (--limit)")
        if self.carried != NULL:
            grow_pages(&self.carried, &self.carried_capacity, self.known.n + 1, sizeof(Carried),
                       b"for features (--limit)")
        for i in range(self.known.n_missed):
            j = self.known.missed[i]
            number = self.known.numbers[self.known.n_numbers - row.n_features + j]
            while k + 1 < row.n_extents and extents[k + 1].begin <= j:
                k += 1
            if number:
                self.values[number].column = self.names.column_of(block, &extents[k], &self.ex.names[j], j)
        return 0

    cdef int begin_number(self, uint32_t feature) except -1 nogil:
        """Makes a number of a feature that had no values so far: they count as 1."""
        cdef Value* value = &self.values[feature]
        cdef uint64_t count = count_of(self, feature), labelled = labelled_of(self, feature)
        cdef Number* number
        grow(&self.numbers, &self.number_capacity, self.n_numbers + 1, sizeof(Number))
        number = &self.numbers[self.n_numbers]
        memset(number, 0, sizeof(Number))
        number.feature = feature - 1
        number.count = number.whole = number.ordered = count
        number.x = number.xx = <double>count
        number.labelled, number.lx, number.lxx = labelled, <double>labelled, <double>labelled
        number.y, number.yy, number.xy = value.y, value.yy, value.y
        number.low, number.high, number.previous = FLT_MAX, -FLT_MAX, -FLT_MAX
        if count:
            number.low = number.high = number.previous = number.few[0] = 1
            number.n_few = 1
        self.n_numbers += 1
        value.number = <uint32_t>self.n_numbers
        return 0

    cdef int carry(self) except -1 nogil:
        """Carries the counts of 32 bits to those of 64."""
        cdef size_t i
        grow_pages(&self.carried, &self.carried_capacity, self.known.n + 1, sizeof(Carried), b"for counts of features")
        for i in range(1, self.known.n + 1):
            self.carried[i].count += self.values[i].count
            self.carried[i].labelled += self.values[i].labelled
            self.values[i].count = self.values[i].labelled = 0
        self.uncarried = 0
        return 0

    # results; more of them in columns.pyx and column_names.pyx

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


cdef inline void fetch(const vwl_known* known, Block block, const Row* row) noexcept nogil:
    """Prefetches where the features of a row are looked up, and what names new ones.

    Of a long row, only the beginning: looking up prefetches, too.
    """
    if row.kind == ROW_EXAMPLE:
        vwl_foresee(known, block.features + row.feature, min(row.n_features, <uint32_t>MOST_FETCHED))
        fetch_names(block, row)


cdef inline void see_number(Number* number, double x, double y, bint has_label) noexcept nogil:
    """Counts a value of a number."""
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
        return
    for i in range(number.n_few):
        if number.few[i] == <float>x:
            return
    if number.n_few < FEW:
        number.few[number.n_few] = <float>x
    number.n_few += 1


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
