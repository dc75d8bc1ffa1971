"""Feature selection and crossing (interactions): --ignore, --keep, -q, --cubic, --interactions ...

The learning thread calls expand() on each example before it enters the stack, so all learners get the same flat list.
Without such options the example still points to the parsed features.
"""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Block, Example, Expander, Feature
from vwlite.features.choice cimport Choice

cdef enum:
    MAX_FEATURES = 1 << 24            # of one example, with the crossed ones
    MAX_BLOCK_FEATURES = 1 << 19      # of a block that the parsing thread expands
    MOST_DOUBLINGS = 16               # log2 of MAX_ACTIONS

cdef struct Span:
    uint32_t begin, end

cdef struct Expansion:
    # the expanded features of a row, in those of all rows
    uint32_t begin, n, n_counted

cdef class Interactions(Expander):
    cdef readonly list patterns       # as given: b"ab", b"::", ...
    cdef readonly list terms          # patterns without wildcards, in order of evaluation
    cdef readonly list notes
    cdef tuple made_from              # arguments, to make twins
    cdef public Interactions like     # those of another stack, whose crossings are the same; or None
    cdef Choice choice
    cdef bint active, wildcards, permutations, keep_duplicates
    cdef uint8_t[256] ignored_linear, seen
    cdef readonly tuple aside_names   # namespaces that are no features
    cdef uint8_t* flat_terms          # for each term, its length and its namespaces
    cdef uint32_t* products           # number of products of each term in the current example
    cdef size_t n_terms
    cdef bint stale                   # new namespaces were seen that the terms lack
    cdef bint own                     # too many terms: only those of the example's namespaces are used
    cdef size_t many_terms
    cdef uint8_t[128] letters         # namespaces of the terms, if `own`
    cdef dict remembered              # cache: letters of an example -> terms
    cdef readonly size_t limit        # most features of one example, with the crossed ones; beyond, it is skipped
    cdef readonly size_t decision_limit                  # the same for all actions of a decision together
    cdef size_t[MOST_DOUBLINGS + 1] safe_shares          # for each of 2^k actions: safe for decision_limit
    cdef readonly size_t safe         # features of an example that never exceed the limit when crossed
    cdef Feature* features
    cdef size_t capacity, n
    cdef Span[256] spans
    cdef bint constant
    cdef bint transformed             # values of features are not yet those of the data
    cdef int expand_marked(self, Example ex, bint constant) except -1 nogil
    cdef int see(self, Example ex) except -1 nogil
    cdef int see_own(self, Example ex) except -1 nogil
    cdef int compile_own(self, Example ex, const uint8_t* letters) except -1
    cdef int reserve(self, size_t n) except -1 nogil
    cdef size_t count_products(self, Example ex, size_t n) noexcept nogil
    cdef void cross(self, const Feature* linear, const uint8_t* term, size_t left, uint32_t hash, float value,
                    uint32_t from_feature, int previous) noexcept nogil
    cdef int compile(self, list terms) except -1


cdef class Crossing:
    """Expanded features of a block's rows for one stack, made by the parsing thread."""

    cdef Interactions interactions    # a twin of the stack's, for the parsing thread
    cdef readonly Interactions owner  # the stack's
    cdef Example ex
    cdef Feature* features
    cdef Expansion* expansions        # one for each row
    cdef size_t capacity, row_capacity
    cdef bint whole                   # all rows are crossed; otherwise the stack crosses them
    cdef int expand(self, Block block) except -1
    cdef int expand_rows(self, Block block, Example ex) except -1 nogil

cdef inline void use_crossing(const Feature* features, const Expansion* expansion, Example ex) noexcept nogil:
    """Point a bound example to its expanded features."""
    ex.features = features + expansion.begin
    ex.n = expansion.n
    ex.n_counted = expansion.n_counted

cdef Crossing crossing_of(Block block, Interactions owner)
