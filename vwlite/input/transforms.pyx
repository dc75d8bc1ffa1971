"""Transforms of features. Design notes are in transforms.pxd."""
from libc.math cimport isnan
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from vwlite.core.arrays cimport grow
from vwlite.core.example cimport CONSTANT_HASH, PADDING, extent_end, extent_name_length
from vwlite.core.reasons cimport FINE, TRANSFORM_TWICE
from vwlite.input.naming cimport hash_name
from vwlite.input.statistics cimport BINS, Chain, Op, Slot, Statistics
from vwlite.input.writing cimport shortest

from vwlite.core.hashing import feature_hash, murmur3_32
from vwlite.features.interactions import namespace_hash
from vwlite.features.transform_rules import STEPS

cdef extern from "vwlite/core/clocale.h" nogil:
    int vwl_print(char* to, size_t size, const char* format, double value)

cdef enum:
    NONE = -1                         # no rule
    TWICE = -2
    MOST_GUESTS = 1 << 20
    LONGEST_NUMBER = 40
    READABLE = 16                     # bytes past a name that is hashed


cdef class Transforms:
    """Transforms of an Example's features by the rules of --transform (transform_rules.py)."""

    def __init__(self, options, Naming naming not None, rules):
        self.naming = naming
        self.rules = list(rules)
        self.statistics = Statistics(self.rules)
        self.rule_of_all = NONE
        steps = [STEPS[name] for rule in self.rules for name, _ in rule.steps]
        self.learns = any(step.state for step in steps)
        self.renames = any(step.renames for step in steps)
        for i, rule in enumerate(self.rules):
            self.place(i, rule, options)

    def __dealloc__(self):
        free(self.features)
        free(self.own_extents)
        free(self.own_names)
        free(self.text)
        free(self.members)
        free(self.saved)

    def place(self, i, rule, options):
        """Notes which features the i-th rule is for."""
        if rule.pattern is not None:
            self.has_patterns = True
        elif rule.selector == "*":
            self.rule_of_all = i
        elif rule.name:
            space = namespace_hash(options, rule.namespace) if rule.namespace else self.naming.anonymous
            hash_of = murmur3_32 if self.naming.all_names else feature_hash
            self.own_hash[self.n_own] = hash_of(rule.name.encode("utf-8", "surrogateescape"), space)
            self.own_rule[self.n_own] = i
            self.n_own += 1
        else:
            self.space_hash[self.n_spaces] = namespace_hash(options, rule.namespace)
            self.space_rule[self.n_spaces] = i
            self.n_spaces += 1

    @property
    def needs_names(self):
        """Whether names of features are read."""
        return self.has_patterns or self.renames

    # an example

    cdef int apply(self, Example ex) except -1 nogil:
        """Point a bound example to its features as the statistics so far transform them.

        Returns FINE; or sets ex.problem_at, and returns TRANSFORM_TWICE.
        """
        self.linear, self.n_linear = ex.linear, ex.n_linear
        self.extents, self.n_extents = ex.extents, ex.n_extents
        self.names = ex.names
        self.constant = ex.n > ex.n_linear
        self.looked = True
        return self.run(ex, False)

    cdef int learn(self, Example ex) except -1 nogil:
        """Learn from the example of the last apply(), and point it to its features as they are transformed now."""
        self.statistics.examples += 1
        return self.run(ex, True)

    cdef int run(self, Example ex, bint learns) except -1 nogil:
        cdef size_t i
        cdef Extent* extent
        ex.linear, ex.n_linear, ex.extents, ex.n_extents = self.linear, self.n_linear, self.extents, self.n_extents
        ex.names, ex.names_text = self.names, ex.text
        self.n = self.n_own_extents = self.used = 0
        grow(&self.own_extents, &self.extent_capacity, self.n_extents + 1, sizeof(Extent))
        for i in range(self.n_extents):
            extent = &self.own_extents[self.n_own_extents]
            extent[0] = self.extents[i]
            extent.begin = <uint32_t>self.n
            if self.enter(ex, i, learns) != FINE:
                return TRANSFORM_TWICE
            if self.n == extent.begin:
                continue
            if self.renames:
                self.room_for_text(extent_name_length(extent))
                memcpy(self.text + self.used, ex.text + extent.name, extent_name_length(extent))
                extent.name = <uint32_t>self.used
                self.used += extent_name_length(extent)
            self.n_own_extents += 1
        grow(&self.features, &self.feature_capacity, self.n + PADDING + 1, sizeof(Feature))
        memset(self.features + self.n, 0, (PADDING + 1) * sizeof(Feature))
        self.features[self.n].hash = CONSTANT_HASH
        self.features[self.n].value = 1
        ex.features = ex.linear = ex.parsed = self.features
        ex.n_linear = ex.n_parsed = self.n
        ex.n = self.n + self.constant
        ex.n_counted = self.n_linear + self.constant
        ex.extents = ex.parsed_extents = self.own_extents
        ex.n_extents = ex.n_parsed_extents = self.n_own_extents
        if self.names != NULL:
            ex.names = ex.parsed_names = self.own_names
        if self.renames:
            ex.names_text = self.text
        return FINE

    cdef int enter(self, Example ex, size_t i, bint learns) except -1 nogil:
        """Append the features of the i-th extent, transformed."""
        cdef const Extent* extent = &self.extents[i]
        cdef bint aside = self.naming.names_entities(extent.hash)
        cdef const char* name = NULL
        cdef NameSpan span
        cdef size_t j, n_members = 0
        cdef int32_t rule
        cdef float x
        span.begin = span.length = 0
        for j in range(extent.begin, extent_end(ex, i)):
            x = self.linear[j].value
            if self.names != NULL:
                span = self.names[j]
                name = ex.text + span.begin
            rule = NONE if aside else self.rule_for(ex.text, extent, self.linear[j].hash, &span)
            if rule == TWICE:
                ex.problem_at = name
                return TRANSFORM_TWICE
            if rule != NONE and isnan(x) and not self.statistics.chains[rule].of_all:
                rule = NONE
            if isnan(x):
                x = 1
            if rule == NONE:
                if x != 0 or aside:
                    self.append(self.linear[j].hash, x, name, span.length, span)
                continue
            if self.statistics.chains[rule].ngrams:
                grow(&self.members, &self.member_capacity, n_members + 1, sizeof(uint32_t))
                self.members[n_members] = <uint32_t>j
                n_members += 1
            self.put(ex, i, self.linear[j].hash, x, rule, name, span.length, learns)
        if n_members > 1:
            self.add_ngrams(ex, i, n_members, learns)
        return FINE

    cdef int put(self, Example ex, size_t i, uint32_t hash, double x, int32_t rule, const char* name, size_t n,
                 bint learns) except -1 nogil:
        """Append a feature after the steps of its rule."""
        cdef const Chain* chain = &self.statistics.chains[rule]
        cdef double* state = NULL
        cdef NameSpan span
        cdef size_t made
        if chain.n_state:
            state = self.statistics.state_of(hash, rule, learns)
        x = self.statistics.flow(chain, state, x, learns)
        if isnan(x):
            return 0
        if chain.renames:
            made = self.renamed(chain.steps[chain.n - 1].op, x, name, n)
            hash = hash_name(self.naming, <const uint8_t*>self.text + self.used, made, self.extents[i].hash)
            span.begin, span.length = <uint32_t>self.used, <uint32_t>made
            self.used += made
            return self.append(hash, 1, NULL, made, span)
        if <float>x == 0:
            return 0
        span.begin, span.length = <uint32_t>(name - ex.text if name != NULL else 0), <uint32_t>n
        return self.append(hash, <float>x, name, n, span)

    cdef int append(self, uint32_t hash, float value, const char* name, size_t n, NameSpan span) except -1 nogil:
        """Append a feature; `name` is copied if the example has names of its own, NULL: it is there."""
        grow(&self.features, &self.feature_capacity, self.n + 1, sizeof(Feature))
        self.features[self.n].hash = hash
        self.features[self.n].value = value
        if self.names != NULL:
            grow(&self.own_names, &self.name_capacity, self.n + 1, sizeof(NameSpan))
            if self.renames and name != NULL:
                self.room_for_text(n)
                memcpy(self.text + self.used, name, n)
                span.begin = <uint32_t>self.used
                self.used += n
            self.own_names[self.n] = span
        self.n += 1
        return 0

    cdef int add_ngrams(self, Example ex, size_t i, size_t n_members, bint learns) except -1 nogil:
        """Append the sequences of 2 and more members of the i-th extent; the value is the product of theirs."""
        cdef int32_t rule
        cdef size_t k, length, j, begin, end
        cdef double x
        cdef const NameSpan* span
        for k in range(n_members):
            rule = self.rule_for(ex.text, &self.extents[i], self.linear[self.members[k]].hash,
                                 &self.names[self.members[k]])
            for length in range(2, min(<size_t>self.statistics.chains[rule].ngrams, n_members - k) + 1):
                begin = end = self.used
                x = 1
                for j in range(k, k + length):
                    span = &self.names[self.members[j]]
                    self.used = end
                    self.room_for_text(span.length + 1)
                    if j > k:
                        self.text[end] = b"_"
                        end += 1
                    memcpy(self.text + end, ex.text + span.begin, span.length)
                    end += span.length
                    if not isnan(self.linear[self.members[j]].value):
                        x *= self.linear[self.members[j]].value
                self.used = end
                self.room_for_text(0)
                self.put(ex, i, hash_name(self.naming, <const uint8_t*>self.text + begin, end - begin,
                                          self.extents[i].hash), x, rule, self.text + begin, end - begin, learns)
        return 0

    # rules

    cdef int32_t rule_for(self, const char* text, const Extent* extent, uint32_t hash,
                          const NameSpan* name) except -4 nogil:
        """The rule for a feature; NONE, or TWICE if two are for it by name or by regular expressions."""
        cdef size_t i
        cdef int32_t rule = NONE
        cdef Slot* slot
        if self.has_patterns:
            slot = self.statistics.find(hash)
            if slot != NULL:
                return slot.rule
        for i in range(self.n_own):
            if self.own_hash[i] == hash:
                rule = self.own_rule[i]
        if self.has_patterns:
            with gil:
                rule = self.by_patterns(text, extent, name, rule)
        if rule == NONE:
            rule = self.rule_of_all
            for i in range(self.n_spaces):
                if self.space_hash[i] == extent.hash:
                    rule = self.space_rule[i]
        if rule >= 0:
            self.matched[rule] = True
        if self.has_patterns and self.statistics.n_guests < MOST_GUESTS:
            self.statistics.insert(hash, rule)   # so that expressions are matched once
            self.statistics.n_guests += 1
        return rule

    cdef int32_t by_patterns(self, const char* text, const Extent* extent, const NameSpan* name,
                             int32_t own) except -4:
        """The rule for a feature of its own, by regular expressions or as found by name; NONE, or TWICE."""
        space = <bytes>text[extent.name:extent.name + extent_name_length(extent)]
        feature = (<bytes>text[name.begin:name.begin + name.length]).decode("utf-8", "replace")
        whole = f"{space.decode('utf-8', 'replace')}^{feature}" if space else feature
        found = [i for i, rule in enumerate(self.rules) if i == own or (
            rule.pattern is not None and (rule.pattern.search(feature) or rule.pattern.search(whole)))]
        return NONE if not found else found[0] if len(found) == 1 else TWICE

    cdef size_t renamed(self, Op op, double x, const char* name, size_t n) except? 0 nogil:
        """Write the name `name=value` or `name=binK` at the end of the text; returns its length."""
        cdef char* to
        cdef bint here = self.text <= name < self.text + self.text_capacity
        cdef size_t at = name - self.text
        self.room_for_text(n + 4 + LONGEST_NUMBER)
        if here:
            name = self.text + at
        to = self.text + self.used
        memcpy(to, name, n)
        to[n] = b"="
        if op == BINS:
            memcpy(to + n + 1, b"bin", 3)
            return n + 4 + vwl_print(to + n + 4, LONGEST_NUMBER, b"%.0f", x)
        return n + 1 + shortest(<float>x, <uint8_t*>to + n + 1)

    cdef int room_for_text(self, size_t n) except -1 nogil:
        """Ensure memory for n more bytes of text, which can be hashed."""
        return grow(&self.text, &self.text_capacity, self.used + n + READABLE, 1)

    # lines of a multi-line example

    cdef int change_lines(self, Block block, const Row* rows, size_t n) except -1 nogil:
        """Transform the features of n rows of a block where they are; returns FINE, or TRANSFORM_TWICE."""
        return self.walk_lines(block, rows, n, True, False)

    cdef int change_back(self, Block block, const Row* rows, size_t n, bint learns) except -1 nogil:
        """Restore the features after change_lines(), and let statistics learn from them."""
        self.statistics.examples += learns
        return self.walk_lines(block, rows, n, False, learns)

    cdef int walk_lines(self, Block block, const Row* rows, size_t n, bint changes, bint learns) except -1 nogil:
        """Transform all features of n rows, or restore them and learn from them."""
        cdef const Extent* extents
        cdef NameSpan span
        cdef Feature* feature
        cdef size_t i, j, k, end, place = 0
        cdef int32_t rule
        cdef int reason = FINE
        span.begin = span.length = 0
        self.looked = True
        for i in range(n):
            extents = block.extents + rows[i].extent
            for j in range(rows[i].n_extents):
                if self.naming.names_entities(extents[j].hash):
                    continue
                end = extents[j + 1].begin if j + 1 < rows[i].n_extents else rows[i].n_features
                for k in range(extents[j].begin, end):
                    feature = block.features + rows[i].feature + k
                    if changes:
                        grow(&self.saved, &self.saved_capacity, place + 1, sizeof(float))
                        self.saved[place] = feature.value
                    else:
                        feature.value = self.saved[place]
                    place += 1
                    if not (changes or learns):
                        continue
                    if block.names != NULL:
                        span = block.names[rows[i].feature + k]
                    rule = self.rule_for(block.text, &extents[j], feature.hash, &span)
                    if rule == TWICE:
                        self.problem = block.text + span.begin
                        rule, reason = NONE, TRANSFORM_TWICE
                    if changes:
                        feature.value = self.value_of(rule, feature.hash, feature.value, False)
                    else:
                        self.value_of(rule, feature.hash, feature.value, True)
        return reason

    cdef float value_of(self, int32_t rule, uint32_t hash, float x, bint learns) except? -1e30 nogil:
        """The value of a feature that keeps its name; 0 if it is left out."""
        cdef const Chain* chain
        if rule == NONE or (isnan(x) and not self.statistics.chains[rule].of_all):
            return 1 if isnan(x) else x
        chain = &self.statistics.chains[rule]
        x = <float>self.statistics.flow(chain, self.statistics.state_of(hash, rule, learns) if chain.n_state else NULL,
                                        1 if isnan(x) else x, learns)
        return 0 if isnan(x) else x

    def add_seen(self, Transforms other not None):
        """Notes what other transforms by the same rules have seen."""
        cdef size_t i
        self.looked |= other.looked
        for i in range(len(self.rules)):
            self.matched[i] |= other.matched[i]

    def unmatched(self):
        """The rules that no feature has matched; none before the first example."""
        return [str(rule) for i, rule in enumerate(self.rules) if self.looked and not self.matched[i]]
