"""Examples of several lines, such as decisions: an optional `shared` line, then a line for each action.

Design:
a) A MultiExample stands for the whole: tag, label, prediction. Its lines are bound, merged with the shared features and
   crossed once, into one array; select(i) then only points `line`, the Example of one line that learners of single
   lines see, at what is there. What a learner writes into `line` doesn't touch the whole.
b) As in VW, shared features of a namespace that a line has too follow the line's own; then come the other shared ones.
c) Lines beyond MOST_KEPT features are made anew at each visit: nobody needs gigabytes for one example.
d) The label: each line has the choices of its row. `chosen` is the first whose cost is known.
e) `joint`, if a learner above sets it, is told how the scores of the lines depend on each other (joint.pxd).
"""
from libc.float cimport FLT_MAX
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.core.example cimport Block, Choice, Example, Expander, Extent, Feature, NameSpan, Row
from vwlite.core.joint cimport JointScores

cdef enum:
    MOST_KEPT = 1 << 22               # features of one multi-line example, with the crossed ones: 32 MB

cdef struct Line:
    # places in the arrays of the MultiExample
    size_t parsed, n_parsed
    size_t parsed_extents, n_parsed_extents
    size_t linear, n_linear           # what --ignore and the like leave
    size_t extents, n_extents
    size_t features, n, n_counted
    bint kept                         # else to be made again

cdef class MultiExample(Example):
    cdef Example line                 # the line selected
    cdef size_t selected, n_visited   # the line at hand, and how many have been at hand
    cdef Block block
    cdef Expander expander
    cdef bint constant
    cdef const Row* rows              # of the lines, without the shared one
    cdef const Row* shared            # NULL if there is none
    cdef size_t n_lines
    cdef size_t chosen, n_known       # the first line whose cost is known, n_lines if none; how many are
    cdef float cost, probability      # of the line chosen, as logged; NaN: not known
    cdef uint64_t number              # counts the examples of a run that have no tag
    # of each line, from the reduction that scores them: the score, its variance (if known.wants_variance), the cost
    # expected
    cdef const float* scores
    cdef const float* variances
    cdef const float* costs_predicted
    cdef bint rewards                 # scores are of rewards: the larger, the better
    # what a learner of decisions leaves for estimates of its policy
    cdef float policy                 # the probability with which it takes the action that was taken
    cdef float predicted_cost         # of that action
    cdef double policy_cost           # the cost expected of the policy, as predicted
    cdef JointScores joint
    cdef bint draws                   # the joint needs what is random of the scores, too
    cdef uint8_t[256] shares          # whether the shared line has a namespace of this index
    # arrays
    cdef Line* lines
    cdef size_t line_capacity
    cdef Feature* features_kept
    cdef NameSpan* names_kept         # one for each feature, if names are wanted
    cdef size_t end, feature_capacity, name_capacity
    cdef Extent* extents_kept
    cdef size_t extents_end, extent_capacity
    cdef int bind_lines(self, const Row* rows, size_t n, size_t limit) except -1 nogil
    cdef int foresee(self, const Row* last) except -1 nogil
    cdef int lay(self, size_t i) except -1 nogil
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
    """A loss as the largest float at most: the sum of a run stays a number."""
    return <float>max(min(loss, FLT_MAX), -FLT_MAX)
