"""The figures of a run. What they are is in counters.pxd."""
from libc.math cimport isnan

from vwlite.core.example cimport Example


cdef class Counters:
    """Counts examples that went through a stack."""

    def __init__(self):
        self.first_label = self.second_label = float("nan")

    cdef void count(self, Example ex, size_t constants) noexcept nogil:
        """Count an example; so many of its features are constants."""
        # both compared at once: which of two labels comes next is nothing a branch could learn
        if ex.labelled and (ex.label != self.first_label) & (ex.label != self.second_label) & (not self.more_labels):
            self.see_label(ex.label)
        if ex.labelled and ex.test_only:
            self.held_out += 1
            self.holdout_weight += ex.weight
            self.holdout_weight_since += ex.weight
            self.holdout_weight_of_pass += ex.weight
            self.holdout_loss += ex.loss
            self.holdout_loss_since += ex.loss
            self.holdout_loss_of_pass += ex.loss
            return
        if ex.labelled:
            self.weighted_labeled += ex.weight
            self.weighted_labels += <double>(ex.label * ex.weight)
        else:
            self.weighted_unlabeled += ex.weight
        self.sum_loss += ex.loss
        self.sum_loss_since += ex.loss
        self.total_features += ex.n_counted
        self.constants += constants
        self.example_number += 1

    cdef void see_label(self, float label) noexcept nogil:
        """A label that is neither of the first two different ones (NaN while there are none)."""
        if isnan(self.first_label):
            self.first_label = label
        elif isnan(self.second_label):
            self.second_label = label
        else:
            self.more_labels = True

    def features_seen(self):
        """How many features other than the constant the examples counted so far had, in all passes."""
        return self.total_features - self.constants

    def end_pass(self):
        """Close the books of a pass; returns its holdout loss, or None when nothing was held out."""
        cdef double loss = self.holdout_loss_of_pass, weight = self.holdout_weight_of_pass
        self.holdout_loss_of_pass = self.holdout_weight_of_pass = 0
        return loss / weight if weight > 0 else None

    def begin_row(self, bint with_holdout):
        """A row of the table was shown: what is said `since` starts anew."""
        self.sum_loss_since = 0
        if with_holdout:
            self.holdout_loss_since = self.holdout_weight_since = 0
        self.weighted_labeled_before = self.weighted_labeled
