"""What a parser hands to the learners.

Design:
a) A Block is some hundred kilobytes of whole lines and what they parse into, in flat arrays; the parser fills it
   in one thread while learners read earlier blocks in another. Nothing is allocated per example. A block belongs to
   no stack: what a stack makes of it, such as crossed features, stays with the stack (interactions.pxd).
b) A Feature is 8 bytes. Hashes have 32 bits because murmur3_32 has; tables have at most 2^32 slots, and the
   interaction hash of any length depends on no higher bit.
c) A Row is one cache line. A simple label (a number) lies in the row, where the hot path reads it; all other kinds are
   Choices in an array of the block: classes or actions with costs and probabilities. One layout serves every kind of
   label (types.py), and which kind a line has is said by the type that the stack's top learner takes.
d) An Example is one reused view of a row. `features` are in VW's order of evaluation: namespaces as first seen,
   the constant, then interactions. They stay readable for PADDING features past the end, so learners prefetch
   ahead without asking where the example ends. multiline.pxd has the examples of several lines.
e) Where crossing features needs no more than the line itself, the parsing thread does it (`Crossing`): it has time to
   spare, and examples then lie one behind the other, so that prefetching reaches into the next one.
f) What a learner leaves as its prediction is said by its type: SCALAR in `prediction`, CLASS in `class_predicted`, the
   others in arrays that the learner owns (`values`, `order`).
g) What a learner with a posterior is asked and says of a score, beyond its mean, is its Knowledge.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    PADDING = 64                  # readable features past the last one, readable bytes past the text
    CONSTANT_HASH = 11650396
    MOST_PARTS = 16
    MAX_ACTIONS = 1 << 16         # of one multi-line example
    NO_NUMBER = 0xFFFFFFFF        # of a Choice: its name is no number

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

cdef struct Choice:
    # a class or an action that a label speaks of
    uint32_t number               # as written, or NO_NUMBER
    float cost                    # NaN: not known
    float probability             # with which the logging policy took the action; NaN: not logged
    uint32_t name, name_length    # as written, a place in the text

cdef struct Row:
    uint32_t feature, n_features  # n_features does not count the constant, which always follows them
    uint32_t extent, n_extents
    uint32_t text, text_length    # the line, without its end
    uint32_t tag, tag_length
    uint32_t line                 # counted from the block's first line
    uint32_t column               # of the problem, counted from 1
    float label, weight, initial  # label: of a simple one, else NaN
    uint32_t choice, n_choices    # in the block's choices
    uint8_t kind
    uint8_t flags
    uint8_t reason                # why a problem is one, see reasons.pxd
    uint8_t warned                # VW would have warned about this one

cdef enum RowFlag:
    ROW_SHARED = 1                # features of every line of a multi-line example

cdef struct NameSpan:
    uint32_t begin, length        # the feature as written, `name` or `name:text`; length 0: anonymous

cdef class Block:
    cdef char* text
    cdef size_t text_length, text_capacity
    cdef Feature* features
    cdef Extent* extents
    cdef Row* rows
    cdef Choice* choices
    cdef NameSpan* names          # NULL unless names are wanted; one for each feature
    cdef bint wants_names
    cdef list crossings           # of the stacks that run the block and have their features crossed ahead
    cdef size_t n_features, n_extents, n_rows, n_lines, n_choices
    cdef size_t feature_capacity, extent_capacity, row_capacity, choice_capacity
    cdef size_t first_line        # 1-based number of the block's first line in its source
    cdef uint32_t source          # which of the run's sources
    cdef size_t lines_left_out    # before the block's first, by whoever filled the block
    cdef bint numbered            # first_line is set by whoever filled the block
    cdef uint64_t checksum        # what a cache says about its block
    cdef bint truncated           # its one line is over the limit and cut short
    cdef int reserve_text(self, size_t n) except -1 nogil
    cdef int reserve_parsed(self) except -1 nogil
    cdef int reserve_choices(self, size_t n) except -1 nogil
    cdef int reserve_exactly(self, size_t rows, size_t extents, size_t features) except -1 nogil

cdef class Example

cdef class Expander:
    # points an example at the features that count, see interactions.pxd; returns a Reason of reasons.pxd, and then the
    # example is to be left out
    cdef int expand(self, Example ex) except -1 nogil

cdef class Knowledge:
    # asked
    cdef bint wants_variance      # of the score
    cdef bint newcomer            # predict by the prior alone, as if the entity were new
    cdef double interval          # low and high are wanted, so many standard deviations from the score; 0: not
    # said
    cdef double variance          # of the score, by what learners with a posterior know
    cdef double noise             # of a label around its expectation, by the same; 0 if it has none of its own
    cdef float low, high          # what would be predicted at the ends of the interval
    cdef float label_low, label_high  # the same of an observation to come, with its noise
    cdef float[MOST_PARTS] parts  # of the score: fixed, then each effect, where there are effects

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
    # the label: a number, or choices; a reduction that makes its own writes it here, and puts the old one back
    cdef float label, weight, initial
    cdef const Choice* choices
    cdef size_t n_choices
    cdef uint32_t class_label     # one class, by the number that the stack's ClassNames give it; NO_NUMBER: not known
    cdef bint labelled            # has a label
    cdef bint test_only           # predict only: unlabelled, held out, or -t
    cdef bint first_visit         # no learner has been shown it yet
    # of a larger example, in whose time `age` is how much passes with this one; else that is the weight
    cdef bint is_part
    cdef float age
    # which of several weight vectors, in slots: a reduction that needs some adds i * self.step, see learner.pxd
    cdef uint32_t offset
    # which entity's parameters, for a learner that keeps some for each; its name is readable text
    cdef uint64_t entity
    cdef const char* entity_name
    cdef uint32_t entity_name_length
    # where a learner that can't use the example found the reason
    cdef const char* problem_at
    # results
    cdef float prediction         # SCALAR
    cdef float score              # unclipped sum, before any link ("partial prediction")
    cdef float loss               # weighted
    cdef uint32_t class_predicted  # CLASS: its number
    cdef const float* values      # scores or probabilities by class or action
    cdef const uint32_t* order    # of actions as reported, the chosen one first; or the classes that hold
    cdef size_t n_values
    cdef size_t n_scores          # CLASSES: how many classes have a score in `values`
    cdef Knowledge known
    cdef void bind(self, Block block, const Row* row, bint constant) noexcept nogil
    cdef void look_again(self, Example other, bint constant) noexcept nogil

# the namespaces that count as groups of audit.py, with names where there are some
cdef list groups_of(Example ex)

cdef void gather_namespaces(Extent* extents, size_t n, Feature* features, size_t n_features, NameSpan* names) \
    noexcept nogil

cdef inline size_t extent_end(Example ex, size_t i) noexcept nogil:
    return ex.extents[i + 1].begin if i + 1 < ex.n_extents else ex.n_linear

cdef inline uint8_t extent_index(const Extent* extent) noexcept nogil:
    return extent.name_length_index & 0xFF

cdef inline uint32_t extent_name_length(const Extent* extent) noexcept nogil:
    return extent.name_length_index >> 8
