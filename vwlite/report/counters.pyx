"""The counts of a run, described in counters.pxd."""
from libc.math cimport isnan

from vwlite.core.example cimport Example, SimpleExample


cdef class Counters:
    """Counts the examples of a run, their weights, labels and losses."""

    FIELDS = ("example_number", "total_features", "problems", "constants", "left_out", "held_out", "weighted_labeled",
              "weighted_labels", "weighted_unlabeled", "sum_loss", "sum_loss_since", "weighted_labeled_before",
              "holdout_loss", "holdout_weight", "holdout_loss_since", "holdout_weight_since", "holdout_loss_of_pass",
              "holdout_weight_of_pass", "first_label", "second_label", "more_labels")

    def __init__(self):
        self.first_label = self.second_label = float("nan")

    cdef void count(self, Example ex, size_t constants) noexcept nogil:
        """Counts an example; `constants` is the number of constants among its features."""
        # both are compared without branches: the next of two labels is unpredictable for a processor
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

    cdef void count_many(self, const SimpleExample* examples, size_t n, size_t constants) noexcept nogil:
        """Counts n examples, none held out, as count() does."""
        cdef double labeled = self.weighted_labeled, labels = self.weighted_labels
        cdef double losses = self.sum_loss, losses_since = self.sum_loss_since
        cdef size_t i, features = 0
        cdef float label
        for i in range(n):
            label = examples[i].label
            losses += examples[i].loss
            losses_since += examples[i].loss
            features += examples[i].n_counted
            if isnan(label):
                self.weighted_unlabeled += examples[i].weight
                continue
            if (label != self.first_label) & (label != self.second_label) & (not self.more_labels):
                self.see_label(label)
            labeled += examples[i].weight
            labels += <double>(label * examples[i].weight)
        self.weighted_labeled, self.weighted_labels = labeled, labels
        self.sum_loss, self.sum_loss_since = losses, losses_since
        self.total_features += features
        self.constants += n * constants
        self.example_number += n

    cdef void see_label(self, float label) noexcept nogil:
        """Stores a label that differs from the first two different ones (NaN while there are none)."""
        if isnan(self.first_label):
            self.first_label = label
        elif isnan(self.second_label):
            self.second_label = label
        else:
            self.more_labels = True

    def features_seen(self):
        """The number of features other than the constant in the examples so far, in all passes."""
        return self.total_features - self.constants

    def end_pass(self):
        """Ends the counts of a pass; returns its holdout loss, or None if nothing was held out."""
        cdef double loss = self.holdout_loss_of_pass, weight = self.holdout_weight_of_pass
        self.holdout_loss_of_pass = self.holdout_weight_of_pass = 0
        return loss / weight if weight > 0 else None

    def begin_row(self, bint with_holdout):
        """Resets the counts `since` the last row of the table."""
        self.sum_loss_since = 0
        if with_holdout:
            self.holdout_loss_since = self.holdout_weight_since = 0
        self.weighted_labeled_before = self.weighted_labeled
