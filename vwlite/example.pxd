"""What a parser hands to the learners.

Design:
a) A Block is some hundred kilobytes of whole lines and what they parse into, in flat arrays; the parser fills it
   in one thread while learners read earlier blocks in another. Nothing is allocated per example.
b) A Feature is 8 bytes. Hashes have 32 bits because murmur3_32 has; tables have at most 2^32 slots, and the
   interaction hash of any length depends on no higher bit.
c) An Example is one reused view of a row. `features` are in VW's order of evaluation: namespaces as first seen,
   the constant, then interactions. They stay readable for PADDING features past the end, so learners prefetch
   ahead without asking where the example ends.
d) Where crossing features needs no more than the line itself, the parsing thread does it (`expanded`): it has time to
   spare, and examples then lie one behind the other, so that prefetching reaches into the next one.
e) A decision (a multi-line example) is a run of rows: an optional `shared` one, then one for each action. The same
   Example stands for the whole of it and, after select(i), for one of its actions.
f) What a learner knows beyond a score travels in the Example too: how sure it is (`variance`, when `wants_variance`),
   and a draw from its posterior instead of the mean (`draw`), the same for the same number.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    PADDING = 64                  # readable features past the last one, readable bytes past the text
    CONSTANT_HASH = 11650396
    MOST_PARTS = 16
    MAX_ACTIONS = 1 << 16         # of one decision

cdef enum RowKind:
    ROW_EXAMPLE
    ROW_EMPTY                     # an empty line: ends a multi-line example
    ROW_PROBLEM                   # malformed and left out; says where and why

cdef struct Feature:
    uint32_t hash                 # not yet masked to the size of a table
    float value

cdef struct Extent:
    uint32_t hash                 # of the namespace's whole name
    uint32_t begin                # its first feature, counted from the example's first; ends where the next begins
    uint32_t name                 # where the name stands in the text
    uint32_t name_length_index    # length << 8 | first byte (the namespace's index)

cdef struct Row:
    uint32_t feature, n_features  # n_features does not count the constant, which always follows them
    uint32_t extent, n_extents
    uint32_t text, text_length    # the line, without its end
    uint32_t tag, tag_length
    uint32_t line                 # counted from the block's first line
    float label, weight, initial  # of a decision's row, label is the cost of the action taken, NaN of all others
    float probability             # with which the action was taken
    uint8_t kind
    uint8_t reason                # why a problem is one, see parser.pxd
    uint8_t warned                # VW would have warned about this one
    uint8_t shared                # features of every action of the decision
    uint32_t column               # of the problem, counted from 1

cdef struct Expansion:
    # of a row, in the features of all rows with the crossed ones
    uint32_t begin, n, n_counted

cdef struct NameSpan:
    uint32_t begin, length        # the feature as written, `name` or `name:text`; length 0: anonymous

cdef class Block:
    cdef char* text
    cdef size_t text_length, text_capacity
    cdef Feature* features
    cdef Extent* extents
    cdef Row* rows
    cdef NameSpan* names          # NULL unless names are wanted; one for each feature
    cdef bint wants_names
    cdef object expander          # an Interactions of its own, or None
    cdef bint is_expanded
    cdef Feature* expanded
    cdef Expansion* expansions    # of each row
    cdef size_t expanded_capacity, expansion_capacity
    cdef size_t n_features, n_extents, n_rows, n_lines
    cdef size_t feature_capacity, extent_capacity, row_capacity
    cdef size_t first_line        # 1-based number of the block's first line in its source
    cdef uint32_t source          # which of the run's sources
    cdef size_t lines_left_out    # before the block's first, by whoever filled the block
    cdef bint numbered            # first_line is set by whoever filled the block
    cdef uint64_t checksum        # what a cache says about its block
    cdef bint truncated           # its one line is over the limit and cut short
    cdef int reserve_text(self, size_t n) except -1 nogil
    cdef int reserve_parsed(self) except -1 nogil
    cdef int reserve_exactly(self, size_t rows, size_t extents, size_t features) except -1 nogil

cdef class Example

cdef class Expander:
    # points an example at the features that count, see interactions.pxd; returns a Reason of parser.pxd, and then the
    # example is to be left out
    cdef int expand(self, Example ex) except -1 nogil

cdef class Example:
    # features, in the order of evaluation; the namespaces' own are `linear`
    cdef const Feature* features
    cdef size_t n
    cdef size_t n_counted         # as reported: --ignore_linear hides features but VW counts them
    cdef const Feature* linear
    cdef size_t n_linear
    cdef const Extent* extents
    cdef size_t n_extents
    cdef const NameSpan* names
    cdef const char* text         # of the block: names and tag are positions in it
    # the namespaces as they were parsed, before any was left out; the constant follows here too
    cdef const Feature* parsed
    cdef size_t n_parsed
    cdef const Extent* parsed_extents
    cdef size_t n_parsed_extents
    cdef const NameSpan* parsed_names
    cdef const char* tag
    cdef size_t tag_length
    # simple label
    cdef float label, weight, initial
    cdef bint labelled            # has a label
    cdef bint test_only           # predict only: unlabelled, held out, or -t
    # which of several weight vectors, in slots; see Learner.feature_width
    cdef uint32_t offset
    # which entity's parameters, for a learner that keeps some for each; its name is readable text
    cdef uint64_t entity
    cdef const char* entity_name
    cdef uint32_t entity_name_length
    cdef bint newcomer            # predict as for an entity that nobody knows, though something is known
    cdef bint wants_variance      # of the score
    cdef double interval          # low and high are wanted, so many standard deviations from the score; 0: not
    # where a learner that can't use the example found the reason
    cdef const char* problem_at
    # results
    cdef float[MOST_PARTS] parts  # of the score: fixed, then each effect, where there are effects
    cdef float low, high          # what would be predicted at the ends of the interval
    cdef float label_low, label_high  # the same of an observation to come, with its noise
    cdef double variance          # of the score, by what learners with a posterior know
    cdef double noise             # of a label around its expectation, by the same; 0 if it has none of its own
    cdef float score              # unclipped sum, before any link ("partial prediction")
    cdef float prediction
    cdef float loss               # weighted
    # a decision: its rows, the shared one apart (NULL if there is none), and the one that stands for it in messages
    cdef Block block
    cdef Expander expander
    cdef bint constant
    cdef const Row* rows          # of the actions
    cdef const Row* shared
    cdef size_t n_actions
    cdef size_t selected          # the action that the fields above describe
    cdef size_t chosen            # the action taken, n_actions if that is not known
    cdef float decision_cost, decision_probability       # of the action taken, as logged
    cdef uint64_t number          # counts the decisions of a run that have no tag
    cdef size_t n_visited, n_decision_features           # selected so far, and their features
    # what a decision's learner leaves, in arrays of n_actions
    cdef float decision_policy    # the probability with which it takes the action that was taken
    cdef double policy_cost       # the cost expected of it, as predicted
    cdef float* action_costs      # predicted
    cdef float* action_scores     # of the base
    cdef float* action_bounds     # scores as drawn, or as confidence has it
    cdef float* action_probabilities
    cdef uint32_t* action_order   # as reported: the action it takes, then the others, most probable first
    cdef size_t action_capacity
    cdef Feature* merged          # an action's features with the shared ones
    cdef Extent* merged_extents
    cdef NameSpan* merged_names
    cdef size_t merged_capacity, merged_extent_capacity
    cdef void bind(self, Block block, const Row* row, bint constant) noexcept nogil
    cdef void look_again(self, Example other, bint constant) noexcept nogil
    cdef int bind_decision(self, const Row* rows, size_t n) except -1 nogil
    cdef int select(self, size_t i) except -1 nogil
    cdef void deselect(self) noexcept nogil
    cdef int merge_shared(self) except -1 nogil
    cdef void merge_extents(self, const Row* row, size_t begin, size_t end) noexcept nogil

cdef void gather_namespaces(Extent* extents, size_t n, Feature* features, size_t n_features, NameSpan* names) \
    noexcept nogil

cdef inline size_t extent_end(Example ex, size_t i) noexcept nogil:
    return ex.extents[i + 1].begin if i + 1 < ex.n_extents else ex.n_linear

cdef inline uint8_t extent_index(const Extent* extent) noexcept nogil:
    return extent.name_length_index & 0xFF

cdef inline uint32_t extent_name_length(const Extent* extent) noexcept nogil:
    return extent.name_length_index >> 8
