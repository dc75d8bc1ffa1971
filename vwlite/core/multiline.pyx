"""Multi-line example: layout of its lines. Design notes are in multiline.pxd."""
from libc.math cimport NAN, isnan
from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport CONSTANT_HASH, PADDING, ROW_SHARED, Example, extent_index
from vwlite.core.reasons cimport CROSSED_MANY, FINE


cdef class MultiExample(Example):
    """Multi-line example: a sequence of lines."""

    def __cinit__(self):
        self.line = Example()
        self.line.is_part = True

    def __dealloc__(self):
        free(self.lines)
        free(self.features_kept)
        free(self.names_kept)
        free(self.extents_kept)

    cdef int bind_lines(self, const Row* rows, size_t n, size_t limit) except -1 nogil:
        """Bind n rows of self.block, at least one of them not shared, and lay out their features.

        Returns FINE, or sets problem_at and returns the Reason why features can't be crossed: those of one line, or all
        of them together if they are more than `limit`.
        """
        cdef size_t i, total = 0
        cdef int reason = FINE
        cdef const Choice* choice
        self.shared = rows if rows[0].flags & ROW_SHARED else NULL
        self.rows = rows + (self.shared != NULL)
        self.n_lines = n - (self.shared != NULL)
        self.bind(self.block, rows, self.constant)
        self.chosen, self.n_known = self.n_lines, 0
        self.cost = self.probability = self.policy = self.predicted_cost = NAN
        self.policy_cost = 0
        for i in range(self.n_lines):
            choice = self.choice_of(i)
            if choice == NULL or isnan(choice.cost):
                continue
            if self.n_known == 0:
                self.chosen = i
                self.cost, self.probability = choice.cost, choice.probability
            self.n_known += 1
        # a multi-line label is not a number to sum up over examples: as in VW it counts as 0
        self.labelled = self.n_known > 0
        self.label = 0 if self.labelled else NAN
        self.weight = rows.weight
        self.n_counted = self.n_visited = 0
        self.n_values = 0
        self.end = self.extents_end = 0
        grow(&self.lines, &self.line_capacity, self.n_lines, sizeof(Line))
        self.line.text = self.line.names_text = self.text
        self.line.tag, self.line.tag_length = self.tag, self.tag_length
        if self.shared != NULL:
            memset(self.shares, 0, 256)
            for i in range(self.shared.n_extents):
                self.shares[extent_index(self.block.extents + self.shared.extent + i)] = True
        for i in range(self.n_lines):
            reason = self.lay(i)
            self.n_counted += self.lines[i].n_counted
            total += self.lines[i].n
            if reason == FINE and total > limit:
                reason = CROSSED_MANY
                self.line.problem_at = self.block.text + self.rows[i].text
            if reason != FINE:
                self.problem_at = self.line.problem_at
                break
        self.foresee(rows + n - 1)
        return reason

    cdef int foresee(self, const Row* last) except -1 nogil:
        """Copy the features that follow in the block behind those of all lines, for prefetching."""
        grow(&self.features_kept, &self.feature_capacity, self.end + PADDING, sizeof(Feature))
        memcpy(self.features_kept + self.end, self.block.features + last.feature + last.n_features + 1,
               PADDING * sizeof(Feature))
        return 0

    cdef int lay(self, size_t i) except -1 nogil:
        """Lay out the features of a line; returns the Reason why they can't be crossed, or FINE."""
        cdef Line* line = &self.lines[i]
        cdef const Row* own = self.rows + i
        cdef size_t first = self.end, first_extent = self.extents_end
        cdef int reason = FINE
        line.kept = True
        if self.shared != NULL and self.meets_shared(own):
            self.merge_shared(own, line)
        else:
            self.put_after(own, line)
        line.linear, line.n_linear = line.parsed, line.n_parsed
        line.extents, line.n_extents = line.parsed_extents, line.n_parsed_extents
        line.features, line.n = line.parsed, line.n_parsed + self.constant
        line.n_counted = line.n
        if self.expander is not None:
            reason = self.expand(i)
        if reason == FINE and self.end > MOST_KEPT:
            line.kept = False
            self.end, self.extents_end = first, first_extent
        return reason

    cdef int expand(self, size_t i) except -1 nogil:
        """Choose and cross the features of a line; returns the Reason why they can't be crossed, or FINE."""
        cdef Line* line = &self.lines[i]
        cdef const Feature* parsed
        cdef int reason
        self.line.problem_at = self.text + self.rows[i].text
        self.point(i)
        parsed = self.line.features
        reason = self.expander.expand(self.line)
        if reason != FINE:
            return reason
        if self.line.linear != parsed:           # some were dropped, the others are in a reused buffer
            line.linear = self.keep(self.line.linear, self.line.names, self.line.n_linear + 1)
            line.n_linear = self.line.n_linear
            line.extents = self.keep_extents(self.line.extents, self.line.n_extents)
            line.n_extents = self.line.n_extents
            line.features = line.linear
        if self.line.features != parsed and self.line.features != self.line.linear:
            line.features = self.keep(self.line.features, NULL, self.line.n)
        line.n, line.n_counted = self.line.n, self.line.n_counted
        return FINE

    cdef bint meets_shared(self, const Row* own) noexcept nogil:
        """Whether a line and the shared line have a namespace in common."""
        cdef size_t i
        for i in range(own.n_extents):
            if self.shares[extent_index(self.block.extents + own.extent + i)]:
                return True
        return False

    cdef int put_after(self, const Row* own, Line* line) except -1 nogil:
        """Append the features of a line, then those of the shared one, if there is one, then the constant."""
        cdef const Row* shared = self.shared
        cdef size_t i, n = own.n_features, n_shared = shared.n_features if shared != NULL else 0
        cdef size_t n_extents = own.n_extents + (shared.n_extents if n_shared else 0)
        cdef Feature* features
        cdef Extent* extents
        grow(&self.features_kept, &self.feature_capacity, self.end + n + n_shared + 1 + PADDING, sizeof(Feature))
        grow(&self.extents_kept, &self.extent_capacity, self.extents_end + n_extents + 1, sizeof(Extent))
        features, extents = self.features_kept + self.end, self.extents_kept + self.extents_end
        memcpy(features, self.block.features + own.feature, n * sizeof(Feature))
        memcpy(extents, self.block.extents + own.extent, own.n_extents * sizeof(Extent))
        if n_shared:
            memcpy(features + n, self.block.features + shared.feature, n_shared * sizeof(Feature))
            for i in range(shared.n_extents):
                extents[own.n_extents + i] = self.block.extents[shared.extent + i]
                extents[own.n_extents + i].begin += <uint32_t>n
        features[n + n_shared].hash, features[n + n_shared].value = CONSTANT_HASH, 1
        if self.block.names != NULL:
            grow(&self.names_kept, &self.name_capacity, self.end + n + n_shared + 1, sizeof(NameSpan))
            memcpy(self.names_kept + self.end, self.block.names + own.feature, n * sizeof(NameSpan))
            if n_shared:
                memcpy(self.names_kept + self.end + n, self.block.names + shared.feature, n_shared * sizeof(NameSpan))
            memset(self.names_kept + self.end + n + n_shared, 0, sizeof(NameSpan))
        line.parsed, line.n_parsed = self.end, n + n_shared
        line.parsed_extents, line.n_parsed_extents = self.extents_end, n_extents
        self.end += n + n_shared + 1
        self.extents_end += n_extents
        return 0

    cdef size_t keep(self, const Feature* features, const NameSpan* names, size_t n) except? 0xFFFFFFFF nogil:
        """Append features and their names; returns the index of the first."""
        cdef size_t begin = self.end
        grow(&self.features_kept, &self.feature_capacity, begin + n + PADDING, sizeof(Feature))
        memcpy(self.features_kept + begin, features, n * sizeof(Feature))
        if self.block.names != NULL:
            grow(&self.names_kept, &self.name_capacity, begin + n, sizeof(NameSpan))
            if names != NULL:
                memcpy(self.names_kept + begin, names, n * sizeof(NameSpan))
        self.end += n
        return begin

    cdef size_t keep_extents(self, const Extent* extents, size_t n) except? 0xFFFFFFFF nogil:
        """Append namespaces; returns the index of the first."""
        cdef size_t begin = self.extents_end
        grow(&self.extents_kept, &self.extent_capacity, begin + n + 1, sizeof(Extent))
        memcpy(self.extents_kept + begin, extents, n * sizeof(Extent))
        self.extents_end += n
        return begin

    cdef int merge_shared(self, const Row* own, Line* line) except -1 nogil:
        """Merge the features of a line and of the shared one, by namespace."""
        cdef const Row* shared = self.shared
        cdef const Extent* own_extents = self.block.extents + own.extent
        cdef const Extent* shared_extents = self.block.extents + shared.extent
        cdef size_t i, j
        cdef Feature constant
        cdef NameSpan nameless
        cdef uint8_t[256] taken
        memset(taken, 0, 256)
        line.parsed, line.parsed_extents = self.end, self.extents_end
        for i in range(own.n_extents):
            self.append(own, i, i + 1)
            taken[extent_index(&own_extents[i])] = True
            # the extents of a namespace are adjacent: the shared ones follow its last one
            if i + 1 == own.n_extents or extent_index(&own_extents[i + 1]) != extent_index(&own_extents[i]):
                for j in range(shared.n_extents):
                    if extent_index(&shared_extents[j]) == extent_index(&own_extents[i]):
                        self.append(shared, j, j + 1)
        i = 0
        while i < shared.n_extents:
            j = i
            while j < shared.n_extents and not taken[extent_index(&shared_extents[j])]:
                j += 1
            if j > i:
                self.append(shared, i, j)
            i = j + 1
        line.n_parsed = self.end - line.parsed
        line.n_parsed_extents = self.extents_end - line.parsed_extents
        for i in range(line.n_parsed_extents):
            self.extents_kept[line.parsed_extents + i].begin -= <uint32_t>line.parsed
        constant.hash, constant.value = CONSTANT_HASH, 1
        nameless.begin = nameless.length = 0
        self.keep(&constant, &nameless, 1)
        return 0

    cdef int append(self, const Row* row, size_t begin, size_t end) except -1 nogil:
        """Append namespaces begin..end of a row and their features; extents are absolute indices at first."""
        cdef const Extent* extents = self.block.extents + row.extent
        cdef size_t first = extents[begin].begin, i
        cdef size_t n = (extents[end].begin if end < row.n_extents else row.n_features) - first
        cdef size_t at_extent = self.keep_extents(extents + begin, end - begin)
        cdef size_t at = self.keep(
            self.block.features + row.feature + first,
            self.block.names + row.feature + first if self.block.names != NULL else NULL, n,
        )
        for i in range(end - begin):
            self.extents_kept[at_extent + i].begin += <uint32_t>at - <uint32_t>first
        return 0

    cdef int select(self, size_t i) except -1 nogil:
        """Point self.line at line i: unlabelled, of weight 1, with the tag of the whole.

        Returns the Reason why its features can't be crossed; FINE in an example that the driver has vetted.
        """
        cdef int reason = FINE
        self.selected = i
        if not self.lines[i].kept:
            reason = self.lay(i)
        self.point(i)
        self.line.offset = self.offset
        self.line.label, self.line.weight, self.line.initial = NAN, 1, 0
        self.line.labelled, self.line.test_only = False, True
        self.line.first_visit = i == self.n_visited
        self.n_visited += self.line.first_visit
        self.line.problem_at = self.text + self.rows[i].text
        self.line.known.variance = self.line.known.noise = 0
        self.line.score = self.line.prediction = self.line.loss = 0
        return reason

    cdef void point(self, size_t i) noexcept nogil:
        """Point self.line at the stored features of line i."""
        cdef const Line* line = &self.lines[i]
        self.line.parsed = self.features_kept + line.parsed
        self.line.n_parsed = line.n_parsed
        self.line.parsed_extents = self.extents_kept + line.parsed_extents
        self.line.n_parsed_extents = line.n_parsed_extents
        self.line.linear = self.features_kept + line.linear
        self.line.n_linear = line.n_linear
        self.line.extents = self.extents_kept + line.extents
        self.line.n_extents = line.n_extents
        self.line.features = self.features_kept + line.features
        self.line.n, self.line.n_counted = line.n, line.n_counted
        if self.block.names != NULL:
            self.line.names, self.line.parsed_names = self.names_kept + line.linear, self.names_kept + line.parsed
