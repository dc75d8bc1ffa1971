"""Which features of an example count, and the crossed ones: --ignore, --keep, -q, --cubic, --interactions ...

The learning thread calls expand() on each example before it enters the stack, so every learner sees the same flat
list. Without such options the example keeps pointing at what was parsed and nothing is done.
"""
from libc.stdint cimport uint8_t, uint32_t

from vwlite.core.example cimport Block, Example, Expander, Feature
from vwlite.features.choice cimport Choice

cdef enum:
    MAX_FEATURES = 1 << 24            # of one example, with the crossed ones
    MAX_BLOCK_FEATURES = 1 << 19      # of a block that is expanded ahead
    MOST_DOUBLINGS = 16               # from one action to MAX_ACTIONS

cdef struct Span:
    uint32_t begin, end

cdef struct Expansion:
    # of a row, in the features of all rows with the crossed ones
    uint32_t begin, n, n_counted

cdef class Interactions(Expander):
    cdef readonly list patterns       # as given, b"ab", b"::", ...
    cdef readonly list terms          # patterns without wildcards, in order of evaluation
    cdef readonly list notes
    cdef tuple made_from              # for twins
    cdef Choice choice
    cdef bint active, wildcards, permutations, keep_duplicates
    cdef uint8_t[256] ignored_linear, seen
    cdef readonly tuple aside_names   # namespaces that are no features
    cdef uint8_t* flat_terms          # length, then its namespaces, for each term
    cdef uint32_t* products           # of the example at hand, for each term
    cdef size_t n_terms
    cdef bint stale                   # namespaces were seen that the terms lack
    cdef bint own                     # the terms would be too many: they are those of the example's namespaces alone
    cdef size_t many_terms
    cdef uint8_t[128] letters         # of the terms, if they are an example's own
    cdef dict remembered              # letters -> terms, of examples
    cdef readonly size_t limit        # features of one example, with the crossed ones; what has more is left out
    cdef readonly size_t decision_limit                  # of all actions of a decision together
    cdef size_t[MOST_DOUBLINGS + 1] safe_shares          # of each of 2^k actions, so that all never make too many
    cdef readonly size_t safe         # so many features of an example never make too many when they are crossed
    cdef Feature* features
    cdef size_t capacity, n
    cdef Span[256] spans
    cdef bint constant
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
    """The features of a block's rows with the crossed ones, for one stack: the parsing thread makes it."""

    cdef Interactions interactions    # a twin of the stack's, which the parsing thread may use
    cdef readonly Interactions owner  # the stack's
    cdef Example ex
    cdef Feature* features
    cdef Expansion* expansions        # of each row
    cdef size_t capacity, row_capacity
    cdef bint whole                   # all rows are crossed; else the stack has to do it
    cdef int expand(self, Block block) except -1
    cdef int expand_rows(self, Block block, Example ex) except -1 nogil

cdef inline void use_crossing(const Feature* features, const Expansion* expansion, Example ex) noexcept nogil:
    """Point a bound example at its crossed features."""
    ex.features = features + expansion.begin
    ex.n = expansion.n
    ex.n_counted = expansion.n_counted

cdef Crossing crossing_of(Block block, Interactions owner)
