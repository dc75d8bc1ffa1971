"""Data structures between parsers and learners: Block, Row, Feature, Choice and Example.

Design:
a) A Block is some hundred kilobytes of whole lines and their parsed arrays; the parser fills it in one thread while
   learners read earlier blocks in another. Nothing is allocated per example. A block belongs to no stack: what a
   stack derives from it, such as crossed features, is stored in the stack (interactions.pxd).
b) A Feature is 8 bytes. Hashes have 32 bits because murmur3_32 has; tables have at most 2^32 slots, and the
   interaction hash of any length depends on no higher bit.
c) A Row is one cache line. A simple label (a number) lies in the row, where the hot path reads it; all other kinds are
   Choices in an array of the block: classes or actions with costs and probabilities. One layout serves every kind of
   label (types.py); the label type of the stack's top learner is the kind of the lines.
d) An Example is one reused view of a row. `features` are in VW's order of evaluation: namespaces as first seen,
   the constant, then interactions. They stay readable for PADDING features past the end, so learners prefetch
   ahead without checking for the end of the example. multiline.pxd has the examples of several lines.
e) If crossing features needs only the line itself, the parsing thread does it (`Crossing`): it has idle time, and
   examples are then adjacent in memory, so that prefetching reaches into the next one.
f) The prediction type of a learner sets where its prediction is: SCALAR in `prediction`, CLASS in `class_predicted`,
   the others in arrays that the learner owns (`values`, `order`).
g) A SimpleExample is what learners need of an ordinary line: the driver fills an array of them, and a learner that can
   works through it without a call for each.
h) A Block can hand its content over to another one, and be filled again while threads read what it had.
i) Knowledge has the variance, the intervals and the parts of a score: requests to and results of learners with a
   posterior.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.outcome cimport Outcome

cdef enum:
    PADDING = 64                  # readable features past the last one, readable bytes past the text
    CONSTANT_HASH = 11650396
    MOST_PARTS = 16
    MAX_ACTIONS = 1 << 16         # of one multi-line example
    NO_NUMBER = 0xFFFFFFFF        # of a Choice: its name is not a number

cdef enum RowKind:
    ROW_EXAMPLE
    ROW_EMPTY                     # an empty line: ends a multi-line example
    ROW_PROBLEM                   # malformed and skipped, with the position and the Reason

cdef struct Feature:
    uint32_t hash                 # not yet masked to the size of a table
    float value

cdef struct Extent:
    uint32_t hash                 # of the namespace's whole name
    uint32_t begin                # index of its first feature in the example; it ends where the next extent begins
    uint32_t name                 # position of the name in the text
    uint32_t name_length_index    # length << 8 | first byte (the namespace's index)

cdef struct Choice:
    # a class or an action named by a label
    uint32_t number               # as written, or NO_NUMBER
    float cost                    # NaN: not known
    float probability             # propensity: with which the logging policy took the action; NaN: not logged
    uint32_t name, name_length    # as written: its position in the text

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
    uint8_t reason                # Reason of a problem, see reasons.pxd
    uint8_t warned                # Reason of which VW would have warned

cdef enum RowFlag:
    ROW_SHARED = 1                # features of every line of a multi-line example

cdef struct SimpleExample:
    # one of several examples with simple labels, without an initial prediction; no object, for learn_many()
    const Feature* features
    uint32_t n, n_counted         # as in an Example
    float label, weight           # label: NaN without one; weight: positive
    float score, prediction, loss  # results; the loss is weighted

cdef struct NameSpan:
    uint32_t begin, length        # the feature as written, `name` or `name:text`; length 0: anonymous

cdef struct Noted:
    # what only --where and the like look at: a feature of value 0, which is left out of the features; a text of VW's
    # JSON, whose feature is not called `name=text`; the cell of a column that is ignored
    uint32_t row, space           # the number of its row; the hash of its namespace
    uint32_t begin, length        # its name
    uint32_t text_length          # of the text, which follows the name
    bint is_text
    float number                  # if it is none
    bint is_shared                # of all lines of a multi-line example, whatever its row is

cdef class Block:
    cdef char* text
    cdef size_t text_length, text_capacity
    cdef Feature* features
    cdef Extent* extents
    cdef Row* rows
    cdef Choice* choices
    cdef NameSpan* names          # NULL unless wants_names; one for each feature
    cdef bint wants_names
    cdef Noted* noted             # by row; only if the parser's Naming says so
    cdef size_t n_noted, noted_capacity
    cdef list crossings           # of the stacks whose features the parsing thread crosses
    cdef size_t n_features, n_extents, n_lines, n_choices
    cdef readonly size_t n_rows
    cdef size_t feature_capacity, extent_capacity, row_capacity, choice_capacity
    cdef size_t first_line        # 1-based number of the block's first line in its source
    cdef readonly uint32_t source  # index of the source in the run
    cdef uint32_t* sources        # the same of each row, where rows of several sources were gathered; else NULL
    cdef size_t source_capacity
    cdef size_t lines_left_out    # skipped by the block's producer before its first line
    cdef bint numbered            # first_line is set by the block's producer
    cdef uint64_t checksum        # of the block's record in a cache
    cdef bint truncated           # its only line is over the limit and truncated
    cdef bint joined              # its text has not a line for each row
    cdef bint begins              # its text is the first of its source
    cdef int reserve_text(self, size_t n) except -1 nogil
    cdef int reserve_parsed(self) except -1 nogil
    cdef int reserve_choices(self, size_t n) except -1 nogil
    cdef int reserve_exactly(self, size_t rows, size_t extents, size_t features) except -1 nogil
    cdef void hand_over(self, Block other) noexcept nogil

cdef class Example

cdef class Expander:
    # sets an example's features to the selected and crossed ones, see interactions.pxd; returns a Reason of reasons.pxd
    # if the example must be skipped, else FINE
    cdef int expand(self, Example ex) except -1 nogil

cdef class Knowledge:
    # requested
    cdef bint wants_variance      # of the score
    cdef bint newcomer            # predict by the prior alone, as if the entity were new
    cdef double interval          # compute low and high, this many standard deviations from the score; 0: don't
    # results
    cdef double variance          # posterior variance of the score
    cdef double noise             # noise variance of a label around its expectation; 0 if the model has none
    cdef float low, high          # predictions at the ends of the interval
    cdef float label_low, label_high  # the same for a new observation, with its noise
    cdef float[MOST_PARTS] parts  # of the score: fixed, then each effect, if there are effects

cdef class Example:
    # features, in the order of evaluation; those that are not crossed are `linear`
    cdef const Feature* features
    cdef size_t n
    cdef size_t n_counted         # as reported: --ignore_linear hides features but VW counts them
    cdef const Feature* linear
    cdef size_t n_linear
    cdef const Extent* extents
    cdef size_t n_extents
    cdef const NameSpan* names
    cdef const char* text         # of the block: the tag and the names of a label are positions in it
    cdef const char* names_text   # the names of features and namespaces are positions in it; mostly the same
    # the namespaces as parsed, before --ignore and the like; the constant follows here too
    cdef const Feature* parsed
    cdef size_t n_parsed
    cdef const Extent* parsed_extents
    cdef size_t n_parsed_extents
    cdef const NameSpan* parsed_names
    cdef const char* tag
    cdef size_t tag_length
    # the label: a number, or choices; a reduction that sets its own writes it here, and restores the old one
    cdef float label, weight, initial
    cdef const Choice* choices
    cdef size_t n_choices
    cdef uint32_t class_label     # number of the class by the stack's ClassNames; NO_NUMBER: not known
    cdef bint labelled            # has a label
    cdef bint test_only           # predict only: unlabelled, held out, or -t
    cdef bint first_visit         # no learner has processed it yet
    # a part of a larger example: `age` is its share of the larger one's time; otherwise the time is the weight
    cdef bint is_part
    cdef float age
    # selects one of several weight vectors, in slots: a reduction adds i * self.step, see learner.pxd
    cdef uint32_t offset
    # entity, for a learner with parameters for each one; its name is readable text
    cdef uint64_t entity
    cdef const char* entity_name
    cdef uint32_t entity_name_length
    # with several threads: where the outcome is written, or if it `recalls`, read; else NULL
    cdef Outcome* outcome
    cdef bint recalls
    # position of the problem, set by a learner that refuses the example
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

# the selected namespaces as Groups of view.py, with names if there are any
cdef list groups_of(Example ex)

cdef void gather_namespaces(Extent* extents, size_t n, Feature* features, size_t n_features, NameSpan* names) \
    noexcept nogil

cdef inline const char* problem_in(Example ex, size_t place) noexcept nogil:
    """Where in the block a name is; the start of the line if a transform has made it."""
    return ex.text + place if ex.names_text == ex.text else ex.problem_at

cdef inline size_t first_noted(Block block, size_t i) noexcept nogil:
    """The number of the first feature that is noted of the i-th row, or of a row after it."""
    cdef size_t k = 0, end = block.n_noted, middle
    while k < end:
        middle = (k + end) // 2
        if block.noted[middle].row < i:
            k = middle + 1
        else:
            end = middle
    return k

cdef inline uint32_t source_of(Block block, const Row* row) noexcept nogil:
    """The index of the source of a row."""
    return block.source if block.sources == NULL else block.sources[row - block.rows]

cdef inline size_t extent_end(Example ex, size_t i) noexcept nogil:
    return ex.extents[i + 1].begin if i + 1 < ex.n_extents else ex.n_linear

cdef inline uint8_t extent_index(const Extent* extent) noexcept nogil:
    return extent.name_length_index & 0xFF

cdef inline uint32_t extent_name_length(const Extent* extent) noexcept nogil:
    return extent.name_length_index >> 8
