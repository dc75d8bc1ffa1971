"""Block of parsed lines, and Example, a view of one line. Design notes are in example.pxd."""
from libc.math cimport NAN, isnan
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from vwlite.core.arrays cimport resize

cdef enum:
    TAKEN = 1 << 31                   # marks an extent in gather_namespaces


cdef int replace(void** buffer, size_t* capacity, size_t wanted, size_t size) except -1 nogil:
    """Enlarge a buffer without preserving its content. Untouched pages cost nothing."""
    if wanted <= capacity[0]:
        return 0
    free(buffer[0])
    capacity[0] = 0
    buffer[0] = malloc(wanted * size)
    if buffer[0] == NULL:
        with gil:
            raise MemoryError(f"{wanted * size:,} bytes for a block of examples")
    capacity[0] = wanted
    return 0


cdef class Block:
    """Buffer of whole lines and of the arrays that they parse into."""

    def examples(self):
        """The rows as Python values, for tests and for inspecting the result of a parser.

        A list of dicts: kind ("example", "empty", "problem"), line (from 0), reason and column of a problem, label,
        weight, initial (label NaN when there is none), choices as (number, cost, probability, name), shared, tag, and
        namespaces as (index, hash, [(hash, value), ...]).
        """
        cdef size_t i, j, k, end
        cdef const Row* row
        cdef const Extent* extent
        cdef const Feature* feature
        cdef const Choice* choice
        found = []
        for i in range(self.n_rows):
            row = &self.rows[i]
            namespaces = []
            choices = []
            for j in range(row.choice, row.choice + row.n_choices):
                choice = &self.choices[j]
                choices.append((choice.number, choice.cost, choice.probability,
                                self.text[choice.name:choice.name + choice.name_length]))
            for j in range(row.n_extents):
                extent = &self.extents[row.extent + j]
                end = (extent + 1).begin if j + 1 < row.n_extents else row.n_features
                feature = self.features + row.feature
                namespaces.append((extent_index(extent), extent.hash,
                                   [(feature[k].hash, feature[k].value) for k in range(extent.begin, end)]))
            found.append({
                "kind": ("example", "empty", "problem")[row.kind], "line": row.line, "reason": row.reason,
                "column": row.column, "label": row.label, "weight": row.weight, "initial": row.initial,
                "choices": choices, "shared": bool(row.flags & ROW_SHARED),
                "tag": self.text[row.tag:row.tag + row.tag_length], "namespaces": namespaces,
            })
        return found

    def head(self, size_t n):
        """The first bytes of the text, at most n."""
        return self.text[:min(n, self.text_length)] if self.text_length else b""

    def __dealloc__(self):
        free(self.text)
        free(self.features)
        free(self.extents)
        free(self.rows)
        free(self.choices)
        free(self.names)
        free(self.sources)
        free(self.noted)

    cdef int reserve_text(self, size_t n) except -1 nogil:
        """Allocate n bytes of text and the padding; the content is preserved."""
        if n + PADDING > self.text_capacity:
            resize(&self.text, n + PADDING, 1, b"for a line")
            self.text_capacity = n + PADDING
        return 0

    cdef int reserve_parsed(self) except -1 nogil:
        """Allocate arrays for the worst case of the text: a feature has 2 bytes at least, a line or a namespace 1.

        The worst case is that of the text's capacity, not its length, so that blocks of one size allocate once.
        """
        cdef size_t n = self.text_capacity
        return self.reserve_exactly(n + 1, n + 1, n // 2 + n)

    cdef int reserve_exactly(self, size_t rows, size_t extents, size_t features) except -1 nogil:
        cdef size_t names = 0
        if self.wants_names and (self.names == NULL or features + PADDING > self.feature_capacity):
            replace(<void**>&self.names, &names, features + PADDING, sizeof(NameSpan))
        replace(<void**>&self.features, &self.feature_capacity, features + PADDING, sizeof(Feature))
        replace(<void**>&self.extents, &self.extent_capacity, extents, sizeof(Extent))
        replace(<void**>&self.rows, &self.row_capacity, rows, sizeof(Row))
        return 0

    cdef int reserve_choices(self, size_t n) except -1 nogil:
        """Allocate n choices; the content is preserved."""
        if n > self.choice_capacity:
            resize(&self.choices, 2 * n, sizeof(Choice), b"for labels")
            self.choice_capacity = 2 * n
        return 0

    cdef void hand_over(self, Block other) noexcept nogil:
        """Give the content to another block, and get that one's memory, to be filled again.

        What the producer of the blocks may have set once and for all stays: whether lines are numbered, and the like.
        """
        self.text, other.text = other.text, self.text
        self.text_length, other.text_length = other.text_length, self.text_length
        self.text_capacity, other.text_capacity = other.text_capacity, self.text_capacity
        self.features, other.features = other.features, self.features
        self.n_features, other.n_features = other.n_features, self.n_features
        self.feature_capacity, other.feature_capacity = other.feature_capacity, self.feature_capacity
        self.extents, other.extents = other.extents, self.extents
        self.n_extents, other.n_extents = other.n_extents, self.n_extents
        self.extent_capacity, other.extent_capacity = other.extent_capacity, self.extent_capacity
        self.rows, other.rows = other.rows, self.rows
        self.n_rows, other.n_rows = other.n_rows, self.n_rows
        self.row_capacity, other.row_capacity = other.row_capacity, self.row_capacity
        self.choices, other.choices = other.choices, self.choices
        self.n_choices, other.n_choices = other.n_choices, self.n_choices
        self.choice_capacity, other.choice_capacity = other.choice_capacity, self.choice_capacity
        self.names, other.names = other.names, self.names
        self.noted, other.noted = other.noted, self.noted
        self.n_noted, other.n_noted = other.n_noted, self.n_noted
        self.noted_capacity, other.noted_capacity = other.noted_capacity, self.noted_capacity
        self.sources, other.sources = other.sources, self.sources
        self.source_capacity, other.source_capacity = other.source_capacity, self.source_capacity
        other.wants_names, other.n_lines, other.first_line = self.wants_names, self.n_lines, self.first_line
        other.source, other.lines_left_out, other.numbered = self.source, self.lines_left_out, self.numbered
        other.truncated, other.joined, other.begins = self.truncated, self.joined, self.begins


cdef class Knowledge:
    """Variance, intervals and parts of a score: requests to and results of learners with a posterior."""


cdef class Expander:
    """Base class of feature selection and crossing."""

    cdef int expand(self, Example ex) except -1 nogil:
        return 0


cdef class Example:
    """View of one line for learners, reused for every line."""

    def __cinit__(self):
        self.known = Knowledge()

    cdef void bind(self, Block block, const Row* row, bint constant) noexcept nogil:
        """Point the example at a row of a block; `constant`: whether it has the constant feature."""
        self.linear = self.features = block.features + row.feature
        self.n_linear = row.n_features
        self.n = self.n_counted = row.n_features + constant
        self.extents = block.extents + row.extent
        self.n_extents = row.n_extents
        self.names = block.names + row.feature if block.names != NULL else NULL
        self.parsed = self.linear
        self.n_parsed = self.n_linear
        self.parsed_extents = self.extents
        self.n_parsed_extents = self.n_extents
        self.parsed_names = self.names
        self.text = self.names_text = block.text
        self.tag = block.text + row.tag
        self.tag_length = row.tag_length
        self.label = row.label
        self.weight = row.weight
        self.initial = row.initial
        self.choices = block.choices + row.choice
        self.n_choices = row.n_choices
        self.labelled = not isnan(row.label)
        self.first_visit = True
        self.offset = 0
        self.problem_at = block.text + row.text
        self.known.variance = self.known.noise = 0
        self.score = 0
        self.prediction = 0
        self.loss = 0

    cdef void look_again(self, Example other, bint constant) noexcept nogil:
        """Point the example at the parsed line of another one, to predict only: without label and initial prediction.

        Features selected or crossed for one of the two don't affect the other.
        """
        self.features = self.linear = self.parsed = other.parsed
        self.n_linear = self.n_parsed = other.n_parsed
        self.n = self.n_counted = other.n_parsed + constant
        self.extents = self.parsed_extents = other.parsed_extents
        self.n_extents = self.n_parsed_extents = other.n_parsed_extents
        self.names = self.parsed_names = other.parsed_names
        self.text, self.names_text = other.text, other.names_text
        self.tag = other.tag
        self.tag_length = other.tag_length
        self.label = NAN
        self.n_choices = 0
        self.weight = 1
        self.initial = 0
        self.labelled = False
        self.test_only = True
        self.offset = 0
        self.problem_at = other.problem_at
        self.known.wants_variance = False
        self.known.variance = self.known.noise = 0
        self.score = 0
        self.prediction = 0
        self.loss = 0


cdef list groups_of(Example ex):
    from vwlite.core.view import Group
    cdef size_t i, j, begin, end
    groups = []
    for i in range(ex.n_extents):
        begin = ex.extents[i].begin
        end = extent_end(ex, i)
        name = ex.names_text[ex.extents[i].name:ex.extents[i].name + extent_name_length(&ex.extents[i])]
        names = [None if ex.names == NULL else
                 <bytes>ex.names_text[ex.names[j].begin:ex.names[j].begin + ex.names[j].length]
                 for j in range(begin, end)]
        groups.append(Group(extent_index(&ex.extents[i]), name, names,
                            [(ex.linear[j].hash, ex.linear[j].value) for j in range(begin, end)]))
    return groups


cdef void gather_namespaces(Extent* extents, size_t n, Feature* features, size_t n_features, NameSpan* names) \
        noexcept nogil:
    """Group a line's extents by namespace index, with their features and names (NULL: none).

    Indices stay in order of appearance. Each array must have spare capacity of its own size behind it, for the copy.
    """
    cdef size_t i, j, begin, length, to = 0, k = 0
    cdef Extent* sorted_extents = extents + n
    cdef Feature* sorted_features = features + n_features
    for i in range(n):
        if extents[i].name_length_index & TAKEN:
            continue
        for j in range(i, n):
            if (extents[j].name_length_index ^ extents[i].name_length_index) & 0xFF:
                continue
            begin = extents[j].begin
            length = (extents[j + 1].begin if j + 1 < n else n_features) - begin
            sorted_extents[k] = extents[j]
            sorted_extents[k].begin = <uint32_t>to
            memcpy(sorted_features + to, features + begin, length * sizeof(Feature))
            if names != NULL:
                memcpy(names + n_features + to, names + begin, length * sizeof(NameSpan))
            to += length
            k += 1
            if j > i:
                extents[j].name_length_index |= TAKEN
    memcpy(extents, sorted_extents, n * sizeof(Extent))
    memcpy(features, sorted_features, n_features * sizeof(Feature))
    if names != NULL:
        memcpy(names, names + n_features, n_features * sizeof(NameSpan))
