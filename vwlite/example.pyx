"""Blocks of parsed lines and the one Example that walks over them. Design notes are in example.pxd."""
from libc.math cimport NAN, isnan
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

cdef enum:
    TAKEN = 1 << 31                   # marks an extent in gather_namespaces


cdef int grow(void** buffer, size_t* capacity, size_t wanted, size_t size) except -1 nogil:
    """Room for `wanted` items in a buffer whose content need not survive. Untouched pages cost nothing."""
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
    """A run of whole lines and what they parse into."""

    def examples(self):
        """The rows as plain Python values, for tests and for looking at what a parser made of a line.

        A list of dicts: kind ("example", "empty", "problem"), line (from 0), reason and column of a problem, label,
        weight, initial, probability (label NaN when there is none), shared, tag, and namespaces as
        (index, hash, [(hash, value), ...]).
        """
        cdef size_t i, j, k, end
        cdef const Row* row
        cdef const Extent* extent
        cdef const Feature* feature
        found = []
        for i in range(self.n_rows):
            row = &self.rows[i]
            namespaces = []
            for j in range(row.n_extents):
                extent = &self.extents[row.extent + j]
                end = (extent + 1).begin if j + 1 < row.n_extents else row.n_features
                feature = self.features + row.feature
                namespaces.append((extent_index(extent), extent.hash,
                                   [(feature[k].hash, feature[k].value) for k in range(extent.begin, end)]))
            found.append({
                "kind": ("example", "empty", "problem")[row.kind], "line": row.line, "reason": row.reason,
                "column": row.column, "label": row.label, "weight": row.weight, "initial": row.initial,
                "probability": row.probability, "shared": bool(row.shared),
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
        free(self.names)
        free(self.expanded)
        free(self.expansions)

    cdef int reserve_text(self, size_t n) except -1 nogil:
        """Room for n bytes and the padding; what is there already stays."""
        cdef char* text
        if n + PADDING > self.text_capacity:
            text = <char*>realloc(self.text, n + PADDING)
            if text == NULL:
                with gil:
                    raise MemoryError(f"{n:,} bytes for a line")
            self.text = text
            self.text_capacity = n + PADDING
        return 0

    cdef int reserve_parsed(self) except -1 nogil:
        """Room for the worst that the text can hold: a feature takes 2 bytes, a line or a namespace 1.

        Goes by the capacity of the text, not its length, so that blocks of one size never allocate again.
        """
        cdef size_t n = self.text_capacity
        return self.reserve_exactly(n + 1, n + 1, n // 2 + n)

    cdef int reserve_exactly(self, size_t rows, size_t extents, size_t features) except -1 nogil:
        cdef size_t names = 0
        if self.wants_names and (self.names == NULL or features + PADDING > self.feature_capacity):
            grow(<void**>&self.names, &names, features + PADDING, sizeof(NameSpan))
        grow(<void**>&self.features, &self.feature_capacity, features + PADDING, sizeof(Feature))
        grow(<void**>&self.extents, &self.extent_capacity, extents, sizeof(Extent))
        grow(<void**>&self.rows, &self.row_capacity, rows, sizeof(Row))
        return 0


cdef class Expander:
    """What chooses and crosses an example's features."""

    cdef int expand(self, Example ex) except -1 nogil:
        return 0


cdef class Example:
    """One line as learners see it, or a decision and one of its actions; reused for every line."""

    def __dealloc__(self):
        free(self.action_costs)
        free(self.action_scores)
        free(self.action_bounds)
        free(self.action_probabilities)
        free(self.action_order)
        free(self.merged)
        free(self.merged_extents)
        free(self.merged_names)

    cdef void bind(self, Block block, const Row* row, bint constant) noexcept nogil:
        """Look at a row of a block; `constant` says whether the constant feature counts."""
        cdef const Expansion* expansion
        self.linear = self.features = block.features + row.feature
        self.n_linear = row.n_features
        if block.is_expanded:
            expansion = block.expansions + (row - block.rows)
            self.features = block.expanded + expansion.begin
            self.n = expansion.n
            self.n_counted = expansion.n_counted
        else:
            self.n = self.n_counted = row.n_features + constant
        self.extents = block.extents + row.extent
        self.n_extents = row.n_extents
        self.names = block.names + row.feature if block.names != NULL else NULL
        self.parsed = self.linear
        self.n_parsed = self.n_linear
        self.parsed_extents = self.extents
        self.n_parsed_extents = self.n_extents
        self.parsed_names = self.names
        self.text = block.text
        self.tag = block.text + row.tag
        self.tag_length = row.tag_length
        self.label = row.label
        self.weight = row.weight
        self.initial = row.initial
        self.labelled = not isnan(row.label)
        self.offset = 0
        self.problem_at = block.text + row.text
        self.variance = self.noise = 0
        self.score = 0
        self.prediction = 0
        self.loss = 0

    cdef void look_again(self, Example other, bint constant) noexcept nogil:
        """Look at the line of another example as it was parsed, to predict only: without label and initial prediction.

        Neither example notices which features are chosen or crossed for the other.
        """
        self.features = self.linear = self.parsed = other.parsed
        self.n_linear = self.n_parsed = other.n_parsed
        self.n = self.n_counted = other.n_parsed + constant
        self.extents = self.parsed_extents = other.parsed_extents
        self.n_extents = self.n_parsed_extents = other.n_parsed_extents
        self.names = self.parsed_names = other.parsed_names
        self.text = other.text
        self.tag = other.tag
        self.tag_length = other.tag_length
        self.label = NAN
        self.weight = 1
        self.initial = 0
        self.labelled = False
        self.test_only = True
        self.offset = 0
        self.problem_at = other.problem_at
        self.wants_variance = False
        self.variance = 0
        self.score = 0
        self.prediction = 0
        self.loss = 0

    cdef int bind_decision(self, const Row* rows, size_t n) except -1 nogil:
        """Look at a decision: n rows of self.block, at least one of which is an action's."""
        cdef size_t i, capacity
        self.shared = rows if rows[0].shared else NULL
        self.rows = rows + (self.shared != NULL)
        self.n_actions = n - (self.shared != NULL)
        self.bind(self.block, rows, self.constant)
        self.chosen = self.n_actions
        self.decision_cost = self.decision_probability = self.decision_policy = NAN
        for i in range(self.n_actions):
            if not isnan(self.rows[i].label):
                self.chosen = i
                self.decision_cost = self.rows[i].label
                self.decision_probability = self.rows[i].probability
                break
        self.n_visited = self.n_decision_features = 0
        self.wants_variance = False
        if self.n_actions > self.action_capacity:
            capacity = 0
            grow(<void**>&self.action_costs, &capacity, 2 * self.n_actions, sizeof(float))
            capacity = 0
            grow(<void**>&self.action_scores, &capacity, 2 * self.n_actions, sizeof(float))
            capacity = 0
            grow(<void**>&self.action_bounds, &capacity, 2 * self.n_actions, sizeof(float))
            capacity = 0
            grow(<void**>&self.action_probabilities, &capacity, 2 * self.n_actions, sizeof(float))
            self.action_capacity = 0
            grow(<void**>&self.action_order, &self.action_capacity, 2 * self.n_actions, sizeof(uint32_t))
        self.deselect()
        return 0

    cdef int select(self, size_t i) except -1 nogil:
        """Look at action i of the decision: its line's features, then the shared ones; unlabelled, of weight 1.

        As in VW, the shared features of a namespace the action has too follow the action's own; then come the other
        shared namespaces. Returns why the action's features can't be crossed, which is FINE in a decision that the
        driver has let through.
        """
        cdef int reason
        cdef const char* tag = self.tag
        cdef size_t tag_length = self.tag_length
        self.bind(self.block, self.rows + i, self.constant)
        self.tag = tag
        self.tag_length = tag_length
        self.selected = i
        self.label = NAN
        self.labelled = False
        self.test_only = True
        if self.shared != NULL and self.shared.n_features:
            self.merge_shared()
        reason = self.expander.expand(self)
        if i == self.n_visited:
            self.n_visited += 1
            self.n_decision_features += self.n_counted
        return reason

    cdef void deselect(self) noexcept nogil:
        """Stand for the decision as a whole again: labelled if its action's cost is known, of weight 1.

        There is no label that one could sum up over decisions: as in VW it counts as 0.
        """
        self.labelled = self.chosen < self.n_actions
        self.label = 0 if self.labelled else NAN
        self.weight = 1
        self.n_counted = self.n_decision_features

    cdef int merge_shared(self) except -1 nogil:
        """Put the features of the selected action and of the shared line into one list."""
        cdef const Row* own = self.rows + self.selected
        cdef const Row* shared = self.shared
        cdef const Extent* own_extents = self.block.extents + own.extent
        cdef const Extent* shared_extents = self.block.extents + shared.extent
        cdef size_t n = own.n_features + shared.n_features + 1 + PADDING, i, j
        cdef size_t n_extents = own.n_extents + shared.n_extents, capacity
        cdef uint8_t[256] taken
        if n > self.merged_capacity:
            capacity = 0
            grow(<void**>&self.merged_names, &capacity, 2 * n, sizeof(NameSpan))
            self.merged_capacity = 0
            grow(<void**>&self.merged, &self.merged_capacity, 2 * n, sizeof(Feature))
        if n_extents > self.merged_extent_capacity:
            grow(<void**>&self.merged_extents, &self.merged_extent_capacity, 2 * n_extents, sizeof(Extent))
        self.n_linear = self.n_extents = 0
        memset(taken, 0, 256)
        for i in range(own.n_extents):
            self.merge_extents(own, i, i + 1)
            taken[extent_index(&own_extents[i])] = True
            # the extents of a namespace are neighbours: behind its last one come the shared ones
            if i + 1 == own.n_extents or extent_index(&own_extents[i + 1]) != extent_index(&own_extents[i]):
                for j in range(shared.n_extents):
                    if extent_index(&shared_extents[j]) == extent_index(&own_extents[i]):
                        self.merge_extents(shared, j, j + 1)
        i = 0
        while i < shared.n_extents:
            j = i
            while j < shared.n_extents and not taken[extent_index(&shared_extents[j])]:
                j += 1
            if j > i:
                self.merge_extents(shared, i, j)
            i = j + 1
        self.merged[self.n_linear].hash = CONSTANT_HASH
        self.merged[self.n_linear].value = 1
        memset(self.merged + self.n_linear + 1, 0, PADDING * sizeof(Feature))
        self.linear = self.features = self.parsed = self.merged
        self.extents = self.parsed_extents = self.merged_extents
        self.n_parsed = self.n_linear
        self.n_parsed_extents = self.n_extents
        self.n = self.n_counted = self.n_linear + self.constant
        if self.names != NULL:
            memset(self.merged_names + self.n_linear, 0, sizeof(NameSpan))
            self.names = self.parsed_names = self.merged_names
        return 0

    cdef void merge_extents(self, const Row* row, size_t begin, size_t end) noexcept nogil:
        """Append namespaces begin..end of a row."""
        cdef const Extent* extents = self.block.extents + row.extent
        cdef size_t first = extents[begin].begin, i
        cdef size_t n = (extents[end].begin if end < row.n_extents else row.n_features) - first
        for i in range(begin, end):
            self.merged_extents[self.n_extents] = extents[i]
            self.merged_extents[self.n_extents].begin += <uint32_t>(self.n_linear - first)
            self.n_extents += 1
        memcpy(self.merged + self.n_linear, self.block.features + row.feature + first, n * sizeof(Feature))
        if self.block.names != NULL:
            memcpy(self.merged_names + self.n_linear, self.block.names + row.feature + first, n * sizeof(NameSpan))
        self.n_linear += n


cdef void gather_namespaces(Extent* extents, size_t n, Feature* features, size_t n_features, NameSpan* names) \
        noexcept nogil:
    """Bring a line's extents of the same index together, with their features and names (NULL: there are none).

    They stay in the order in which indices appear. As much room behind each array serves for the copy.
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
