"""Multi-line examples, such as decisions: an optional `shared` line, then a line for each action.

Design:
a) A MultiExample has the tag, label and prediction of the whole. bind_lines() merges its lines with the shared features
   and crosses them once, into one array; select(i) only points `line` into it. `line` is the Example of one line for
   learners of single lines; what a learner writes into it doesn't change the whole.
b) As in VW, shared features of a namespace that a line has too follow the line's own; then come the other shared ones.
c) Lines beyond MOST_KEPT features are built again at each visit, so that one example doesn't need gigabytes.
d) The label: each line has the choices of its row. `chosen` is the first line whose cost is known. The weight is that
   of the first row; learners weigh by it their losses, and what they teach their bases (`LineLearner.teach`).
e) If a learner above sets `joint`, the joint distribution of the lines' scores is collected there (joint.pxd).
"""
from libc.float cimport FLT_MAX
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.example cimport Block, Choice, Example, Expander, Extent, Feature, NameSpan, Row
from vwlite.core.joint cimport JointScores

cdef enum:
    MOST_KEPT = 1 << 22               # features stored of one multi-line example, with the crossed ones: 32 MB

cdef struct Line:
    # indices into the arrays of the MultiExample
    size_t parsed, n_parsed
    size_t parsed_extents, n_parsed_extents
    size_t linear, n_linear           # after --ignore and the like
    size_t extents, n_extents
    size_t features, n, n_counted
    bint kept                         # stored; otherwise built at each visit

cdef class MultiExample(Example):
    cdef Example line                 # view of the selected line
    cdef size_t selected, n_visited   # index of the selected line; number of select() calls
    cdef Block block
    cdef Expander expander            # None: features are used as they are
    cdef bint constant
    cdef const Row* rows              # rows of the lines, without the shared one
    cdef const Row* shared            # NULL if there is none
    cdef size_t n_lines
    cdef size_t chosen, n_known       # first line with a known cost, n_lines if none; number of them
    cdef float cost, probability      # of the line chosen, as logged; NaN: not known
    cdef uint64_t number              # counts the examples of a run that have no tag
    # results of the reduction that scores the lines, for each line: the score, its variance (if
    # known.wants_variance), the expected cost
    cdef const float* scores
    cdef const float* variances
    cdef const float* costs_predicted
    cdef bint rewards                 # scores are of rewards: larger is better
    # results of a learner of decisions, for off-policy evaluation
    cdef float policy                 # the policy's probability of the action taken
    cdef float predicted_cost         # of that action
    cdef double policy_cost           # predicted expected cost of the policy
    cdef JointScores joint
    cdef bint draws                   # the joint needs the random terms of the scores, too
    cdef uint8_t[256] shares          # the shared line has a namespace of this index
    # arrays
    cdef Line* lines
    cdef size_t line_capacity
    cdef Feature* features_kept
    cdef NameSpan* names_kept         # one for each feature, if block.wants_names
    cdef size_t end, feature_capacity, name_capacity
    cdef Extent* extents_kept
    cdef size_t extents_end, extent_capacity
    cdef int bind_lines(self, const Row* rows, size_t n, size_t limit) except -1 nogil
    cdef int foresee(self, const Row* last) except -1 nogil
    cdef int lay(self, size_t i) except -1 nogil
    cdef int expand(self, size_t i) except -1 nogil
    cdef bint meets_shared(self, const Row* own) noexcept nogil
    cdef int put_after(self, const Row* own, Line* line) except -1 nogil
    cdef int merge_shared(self, const Row* own, Line* line) except -1 nogil
    cdef int append(self, const Row* row, size_t begin, size_t end) except -1 nogil
    cdef size_t keep(self, const Feature* features, const NameSpan* names, size_t n) except? 0xFFFFFFFF nogil
    cdef size_t keep_extents(self, const Extent* extents, size_t n) except? 0xFFFFFFFF nogil
    cdef int select(self, size_t i) except -1 nogil
    cdef void point(self, size_t i) noexcept nogil
    cdef inline const Choice* choice_of(self, size_t i) noexcept nogil:
        """The first choice of a line's label, NULL if it has none."""
        return self.block.choices + self.rows[i].choice if self.rows[i].n_choices else NULL


cdef inline float bounded(double loss) noexcept nogil:
    """A loss clipped to the largest float, so that the sum of a run stays finite."""
    return <float>max(min(loss, FLT_MAX), -FLT_MAX)
