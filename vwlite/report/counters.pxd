"""The counts of a run: examples, weights, losses, in double precision as in VW; held-out examples separately."""
from vwlite.core.example cimport Example, SimpleExample

cdef class Counters:
    cdef public size_t example_number, total_features, problems
    cdef public size_t constants      # among the features counted: one per line
    cdef public size_t left_out       # examples that were not learned, because their label is not finite
    cdef public size_t held_out       # examples, in all passes; example_number does not count them
    cdef public double weighted_labeled, weighted_labels, weighted_unlabeled, sum_loss
    cdef public double sum_loss_since, weighted_labeled_before
    cdef public double holdout_loss, holdout_weight, holdout_loss_since, holdout_weight_since
    cdef public double holdout_loss_of_pass, holdout_weight_of_pass
    # the first two different labels seen
    cdef public float first_label, second_label
    cdef public bint more_labels
    cdef void count(self, Example ex, size_t constants) noexcept nogil
    cdef void count_many(self, const SimpleExample* examples, size_t n, size_t constants) noexcept nogil
    cdef void see_label(self, float label) noexcept nogil
