"""Feature selection and crossing. The hash of a crossed feature is FNV-1 over the hashes of its parts:
h = (P h) xor i for each further part i, P = 16777619 (Fowler, Noll and Vo); its value is the product.
"""
import os
from bisect import bisect_right

from libc.float cimport FLT_MAX
from libc.stdint cimport uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from vwlite.core.arrays cimport grow, resize
from vwlite.core.example cimport (
    CONSTANT_HASH, MAX_ACTIONS, PADDING, ROW_EXAMPLE, extent_end, extent_index, problem_in,
)
from vwlite.core.reasons cimport CROSSED_MANY, FINE

from vwlite.core.hashing import feature_hash, murmur3_32
from vwlite.core.options import Option, OptionGroup
from vwlite.features.terms import WILDCARD, decode_names, given_patterns, most_terms, terms_of
from vwlite.features.transform_rules import transforms

CROSSING = ("quadratic", "cubic", "interactions")

OPTIONS = OptionGroup("Features", (
    Option("quadratic", str, "cross each feature of one namespace with each of another; ':' stands for any namespace",
           short="q", many=True, keep=True, metavar="AB", task="learn"),
    Option("cubic", str, "cross three namespaces", many=True, keep=True, metavar="ABC"),
    Option("interactions", str, "cross as many namespaces as letters are given", many=True, keep=True, metavar="ABC.."),
    Option("permutations", bool, "cross a namespace with itself in every order, not only in one", keep=True,
           vw_forgets=True, needs=CROSSING),
    Option("leave_duplicate_interactions", bool, "use interactions that differ only in the order of letters", keep=True,
           vw_forgets=True, needs=CROSSING),
    Option("ignore", str, "drop the namespaces that begin with one of these letters", many=True, keep=True,
           metavar="LETTERS", needs=("!keep",)),
    Option("ignore_linear", str, "use these namespaces only in interactions", many=True, keep=True, metavar="LETTERS"),
    Option("keep", str, "drop all other namespaces", many=True, keep=True, metavar="LETTERS"),
    Option("feature_limit", str, "use at most N different features of each namespace, or of namespace X (XN or X:N)",
           many=True, keep=True, vw_forgets=True, metavar="N"),
    Option("crossing_limit", int, "skip examples of more features than N, with the crossed ones, as malformed; "
           f"{MAX_FEATURES} by default, {DAEMON_LIMIT} in a daemon. If given, and in a daemon, also decisions of more "
           "in all their actions", least=1, most=MAX_FEATURES, metavar="N",
           needs=(*CROSSING, "fixed_effect", "serving")),
    Option("noconstant", bool, "no constant feature", keep=True),
), examples=(
    "vwlite data.vw -q ua --cubic uua --noconstant",
    "vwlite data.vw --interactions ua --permutations --leave_duplicate_interactions --crossing_limit 10000",
    "vwlite data.vw --ignore u",
    "vwlite data.vw --keep a --feature_limit a10",
    "vwlite data.vw -q ua --ignore_linear u",
))

cdef enum:
    FNV_PRIME = 16777619
    DAEMON_LIMIT = 1 << 15

# Each example iterates over the terms of all namespaces seen so far; if these are more than this, only over its own.
MANY_TERMS = 1 << 15
REMEMBERED = 1 << 10                  # size of the cache of terms by namespaces, and the most terms of an entry

LIMIT_OF_A_DAEMON = DAEMON_LIMIT      # a Bayesian learner needs 30 to 90 ms for new ones, and all clients wait


def namespace_hash(options, name):
    """Hash of a namespace's name under the options of the text format."""
    raw = os.fsencode(name)
    return (murmur3_32 if options["hash"] == "all" else feature_hash)(raw, options["hash_seed"])


cdef class Interactions:
    """Feature selection and crossing by the options; raises OptionError for interactions of the wrong length.

    The features of the namespaces `aside` (full names) are used in interactions only, and all of them are; learners
    read them in the linear part.
    """

    def __init__(self, options, bits, aside=()):
        self.made_from = options, bits, aside
        self.permutations = options["permutations"]
        self.keep_duplicates = options["leave_duplicate_interactions"]
        self.notes = []
        self.constant = not options["noconstant"]
        self.transformed = transforms(options)
        self.many_terms = MANY_TERMS
        self.remembered = {}
        self.patterns, left_out = given_patterns(options)
        if left_out:
            self.notes.append(f"{left_out} interactions dropped that differ only in the order of letters "
                              "(--leave_duplicate_interactions uses them)")
        self.wildcards = any(WILDCARD in pattern for pattern in self.patterns)
        for byte in b"".join(map(decode_names, options["ignore_linear"])):
            self.ignored_linear[byte] = True
        self.aside_names = tuple(aside)
        self.choice = Choice(options, bits, [namespace_hash(options, name) for name in self.aside_names])
        self.active = bool(self.patterns or self.choice.removes or options["ignore_linear"] or self.aside_names)
        self.bound(options["crossing_limit"])
        self.compile(self.fixed_terms())

    def __dealloc__(self):
        free(self.flat_terms)
        free(self.products)
        free(self.features)

    def bound(self, limit):
        """Set the limit on features of examples and decisions; None: the hard limits."""
        self.limit = limit or MAX_FEATURES
        self.decision_limit = limit or <size_t>MAX_ACTIONS * MAX_FEATURES

        def safe(most):
            # n features make at most n^length products of each pattern, for any wildcards
            return max(0, bisect_right(range(min(most, MAX_FEATURES)), most,
                                       key=lambda n: n + 1 + sum(n ** len(pattern) for pattern in self.patterns)) - 1)

        self.safe = safe(self.limit)
        for k in range(MOST_DOUBLINGS + 1):
            self.safe_shares[k] = safe(self.decision_limit >> k)

    @property
    def in_every_order(self):
        """Whether --permutations is given."""
        return self.permutations

    @property
    def has_wildcards(self):
        """Whether terms depend on the namespaces seen."""
        return self.wildcards

    def is_ignored(self, index):
        """Whether --ignore or --keep drops the features of a namespace."""
        return self.choice.ignored[index]

    def is_linear_ignored(self, index, name):
        """Whether the features of a namespace are used in interactions only."""
        return self.ignored_linear[index] or name in [os.fsencode(other) for other in self.aside_names]

    def fixed_terms(self):
        """The terms, with wildcards expanded to the namespaces seen so far."""
        return terms_of(self.patterns, [i for i in range(32, 127) if self.seen[i]], self.keep_duplicates)

    cdef int compile(self, list terms) except -1:
        """Compile the terms into flat arrays."""
        flat = b"".join(bytes([len(term)]) + term for term in terms)
        resize(&self.flat_terms, len(flat) + 1, 1)
        resize(&self.products, len(terms) + 1, sizeof(uint32_t))
        memcpy(self.flat_terms, <const uint8_t*>flat, len(flat))
        self.n_terms = len(terms)
        self.terms = terms
        return 0

    cdef int expand(self, Example ex) except -1 nogil:
        """Point ex.features to the selected and crossed features.

        Returns FINE; or sets ex.problem_at and returns CROSSED_MANY, without changing the features.
        """
        cdef size_t i
        cdef uint8_t index
        cdef bint constant = ex.n > ex.n_linear
        if not self.active:
            return FINE
        if self.choice.removes:
            self.choice.remove(ex)
        if self.wildcards and self.see(ex) != FINE:
            return CROSSED_MANY
        for i in range(ex.n_extents):
            index = extent_index(&ex.extents[i])
            if self.choice.ignored[index]:   # ignored, but read by a learner
                continue
            if self.spans[index].end == 0:
                self.spans[index].begin = ex.extents[i].begin
            self.spans[index].end = <uint32_t>extent_end(ex, i)
        try:
            return self.expand_marked(ex, constant)
        finally:
            for i in range(ex.n_extents):
                index = extent_index(&ex.extents[i])
                self.spans[index].begin = 0
                self.spans[index].end = 0

    cdef int expand_marked(self, Example ex, bint constant) except -1 nogil:
        """expand() after `spans` are set for the example."""
        cdef size_t i, begin, end, n
        cdef uint8_t index
        cdef const uint8_t* term = self.flat_terms
        n = self.count_products(ex, ex.n_linear + constant)
        if n > self.limit and n > ex.n_linear + constant:
            return CROSSED_MANY
        self.reserve(n)
        self.n = 0
        for i in range(ex.n_extents):
            begin = ex.extents[i].begin
            end = extent_end(ex, i)
            index = extent_index(&ex.extents[i])
            if not (self.choice.ignored[index] or self.ignored_linear[index]
                    or self.choice.n_aside and self.choice.is_aside(ex.extents[i].hash)):
                memcpy(self.features + self.n, ex.linear + begin, (end - begin) * sizeof(Feature))
                self.n += end - begin
        if constant:
            self.features[self.n].hash = CONSTANT_HASH
            self.features[self.n].value = 1
            self.n += 1
        ex.n_counted = ex.n_linear + constant - self.n
        for i in range(self.n_terms):
            if self.products[i]:
                self.cross(ex.linear, term + 1, term[0], 0, 1, 0, -1)
            term += term[0] + 1
        assert self.n + ex.n_counted == n
        memset(self.features + self.n, 0, PADDING * sizeof(Feature))
        ex.features = self.features
        ex.n = self.n
        ex.n_counted += self.n
        return FINE

    cdef size_t count_products(self, Example ex, size_t n) noexcept nogil:
        """n plus the number of crossed features, or a number above the limit and ex.problem_at.

        k adjacent letters of one namespace with m features stand for m (m+1) ... (m+k-1) / k! products, or m^k
        with --permutations.
        """
        cdef const uint8_t* term = self.flat_terms
        cdef size_t i, j, k
        cdef uint64_t count, m
        for i in range(self.n_terms):
            count = 1
            k = 0
            for j in range(1, term[0] + 1):
                m = self.spans[term[j]].end - self.spans[term[j]].begin
                if j > 1 and term[j] == term[j - 1] and not self.permutations:
                    k += 1
                    count = count * (m + k) // (k + 1)
                else:
                    k = 0
                    count *= m
                # capped against overflow; a later factor of 0 still makes it 0
                count = min(count, <uint64_t>MAX_FEATURES + 1)
            self.products[i] = <uint32_t>count
            n += count
            if n > self.limit and count:
                for j in range(ex.n_extents):
                    if extent_index(&ex.extents[j]) == term[1]:
                        ex.problem_at = problem_in(ex, ex.extents[j].name)
                        break
                return n
            term += term[0] + 1
        return n

    def ahead(self):
        """Factory of a Crossing for each block; None if crossing depends on earlier lines or features are changed."""
        if not self.active or self.wildcards or self.choice.removes or self.transformed:
            return None
        return lambda: Crossing(self, Interactions(*self.made_from))

    cdef void cross(self, const Feature* linear, const uint8_t* term, size_t left, uint32_t hash, float value,
                    uint32_t from_feature, int previous) noexcept nogil:
        """Append all products of the namespaces term[:left], combined with hash and value so far."""
        cdef Span span = self.spans[term[0]]
        cdef uint32_t i = span.begin
        cdef Feature* out
        cdef float crossed
        if previous == term[0] and not self.permutations:
            i = from_feature          # with repetition, but each pair once
        if left == 1:
            out = self.features + self.n
            self.n += span.end - i
            hash *= FNV_PRIME
            for i in range(i, span.end):
                out.hash = hash ^ linear[i].hash
                crossed = value * linear[i].value
                out.value = max(-FLT_MAX, min(FLT_MAX, crossed))
                out += 1
            return
        for i in range(i, span.end):
            self.cross(linear, term + 1, left - 1,
                       linear[i].hash if previous < 0 else (hash * FNV_PRIME) ^ linear[i].hash,
                       value * linear[i].value, i, term[0])

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate the buffer for n features and the padding."""
        if n + PADDING > self.capacity:
            resize(&self.features, 2 * (n + PADDING), sizeof(Feature))
            self.capacity = 2 * (n + PADDING)
        return 0

    cdef int see(self, Example ex) except -1 nogil:
        """Recompile the terms after a new namespace: wildcards stand for all namespaces seen so far.

        If that makes too many terms, wildcards stand for the namespaces of the example: other terms have no products,
        and the order stays the same. Returns FINE or CROSSED_MANY, as expand().
        """
        cdef size_t i
        for i in range(ex.n_extents):
            if not self.seen[extent_index(&ex.extents[i])]:
                self.seen[extent_index(&ex.extents[i])] = True
                self.stale = True
        if self.stale:
            with gil:
                present = sum(1 for i in range(32, 127) if self.seen[i])
                self.own = sum(most_terms(self.patterns, present, self.keep_duplicates)) > self.many_terms
                if not self.own:
                    self.compile(self.fixed_terms())
            self.stale = False
        return self.see_own(ex) if self.own else FINE

    cdef int see_own(self, Example ex) except -1 nogil:
        """Compile the terms of the example's namespaces."""
        cdef uint8_t[128] letters
        cdef size_t i
        cdef uint8_t index
        memset(letters, 0, sizeof(letters))
        for i in range(ex.n_extents):
            index = extent_index(&ex.extents[i])
            if 32 <= index < 127 and extent_end(ex, i) > ex.extents[i].begin:
                letters[index] = True
        if memcmp(letters, self.letters, sizeof(letters)) == 0:
            return FINE
        with gil:
            return self.compile_own(ex, letters)

    cdef int compile_own(self, Example ex, const uint8_t* letters) except -1:
        """Compile the terms of these letters; CROSSED_MANY if they make more features than the limit."""
        key = letters[:128]
        terms = self.remembered.get(key)
        if terms is None:
            present = [i for i in range(32, 127) if letters[i]]
            everywhere = [pattern for pattern in self.patterns if pattern.count(WILDCARD) == len(pattern)]
            if max(most_terms(everywhere, len(present), self.keep_duplicates), default=0) > self.limit:
                ex.problem_at = problem_in(ex, ex.extents[0].name)
                return CROSSED_MANY
            terms = terms_of(self.patterns, present, self.keep_duplicates)
            if len(self.remembered) >= REMEMBERED:
                self.remembered.clear()
            if len(terms) <= REMEMBERED:
                self.remembered[key] = terms
        self.compile(terms)
        memcpy(self.letters, letters, 128)
        return FINE


cdef class Crossing:
    """Expands whole blocks in the parsing thread, with a twin of the stack's Interactions."""

    def __cinit__(self, Interactions owner not None, Interactions twin not None):
        self.owner = owner
        self.interactions = twin
        self.ex = Example()

    def __dealloc__(self):
        free(self.features)
        free(self.expansions)

    cdef int expand(self, Block block) except -1:
        """Expand all rows of a block; one that is too large is left to the learning thread."""
        cdef Example ex = self.ex
        with nogil:
            self.expand_rows(block, ex)
        return 0

    cdef int expand_rows(self, Block block, Example ex) except -1 nogil:
        cdef size_t i, n = 0
        self.whole = False
        self.interactions.limit = self.owner.limit
        grow(&self.expansions, &self.row_capacity, block.n_rows, sizeof(Expansion))
        for i in range(block.n_rows):
            if block.rows[i].kind != ROW_EXAMPLE:
                continue
            ex.bind(block, &block.rows[i], self.interactions.constant)
            if self.interactions.expand(ex) != FINE or n + ex.n > MAX_BLOCK_FEATURES:
                return 0
            grow(&self.features, &self.capacity, n + ex.n + PADDING, sizeof(Feature))
            memcpy(self.features + n, ex.features, ex.n * sizeof(Feature))
            self.expansions[i].begin = <uint32_t>n
            self.expansions[i].n = <uint32_t>ex.n
            self.expansions[i].n_counted = <uint32_t>ex.n_counted
            n += ex.n
        if n:
            memset(self.features + n, 0, PADDING * sizeof(Feature))
        self.whole = True
        return 0


cdef Crossing crossing_of(Block block, Interactions owner):
    """The Crossing of a block for a stack, or None."""
    for crossing in block.crossings or ():
        if (<Crossing>crossing).owner is (owner if owner.like is None else owner.like):
            return crossing if (<Crossing>crossing).whole else None
    return None
