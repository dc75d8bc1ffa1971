"""Base class of exploration policies.        CONTEXTUAL_BANDIT -> ACTION_PROBABILITIES over -> ACTION_SCORES

The learner below scores the actions of a decision, and learns. A policy has one method, share_out(lines), which sets
`probabilities` (they sum to 1) and, unless it `takes` an action, the order in which actions are reported.

A policy that takes an action draws it by these probabilities, so the reported probability is its propensity.
Probabilities are a function of the model, the decision and --random_seed; the action taken also depends on the
decision's tag, or on its number if it has none: any decision can be reproduced. The reported loss is an inverse
propensity estimate of the policy's cost: cost * probability here / probability logged, as in VW.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from vwlite.bases.ranking cimport pick, rank_taken
from vwlite.core.arrays cimport grow_together
from vwlite.core.draws cimport mix, uniform
from vwlite.core.example cimport Example
from vwlite.core.learner cimport Learner
from vwlite.core.multiline cimport MultiExample, bounded

from vwlite.core.types import LabelType, PredictionType

cdef extern from "vwlite/core/bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)


cdef class Explorer(Learner):
    """Exploration policy: distributes probability among the actions of a decision."""

    takes_label = base_label = LabelType.CONTEXTUAL_BANDIT
    gives_prediction = PredictionType.ACTION_PROBABILITIES
    base_prediction = PredictionType.ACTION_SCORES
    multiline = base_multiline = True

    def __init__(self, base, taken, options):
        base.give_scores()
        super().__init__(base, taken)
        self.seed = options["random_seed"]

    def __dealloc__(self):
        free(self.probabilities)
        free(self.ranked)

    @property
    def decisions(self):
        """Number of decisions made in all runs."""
        return self.base.decisions

    @decisions.setter
    def decisions(self, number):
        self.base.decisions = number

    @property
    def costs_allowed(self):
        """(lowest, highest) possible cost; NaN: not known."""
        return self.base.costs_allowed

    def init_driver(self, driver):
        """Set the policy's requests on the driver's example, for the learner that scores its lines."""
        cdef MultiExample lines = driver.ex
        lines.known.wants_variance, lines.joint, lines.draws = self.wants_variances, self.joint, self.draws

    cdef int share_out(self, MultiExample lines) except -1 nogil:
        """Abstract: compute the probabilities of the actions from their scores."""
        with gil:
            raise NotImplementedError

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate arrays for n actions."""
        cdef void** arrays = [&self.probabilities, &self.ranked]
        return grow_together(arrays, 2, &self.capacity, n, sizeof(float))

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return self.predict_lines(<MultiExample>ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        return self.learn_lines(<MultiExample>ex)

    cdef float predict_lines(self, MultiExample lines) except? -1e10 nogil:
        """Score the actions, compute their probabilities and draw an action."""
        cdef size_t i, n = lines.n_lines, taken
        self.reserve(n)
        self.base.predict(lines)
        self.share_out(lines)
        if self.takes:
            taken = pick(self.probabilities, n, uniform(self.key_of(lines), 0))
            rank_taken(self.ranked, self.probabilities, n, taken)
        lines.policy_cost = lines.loss = 0
        for i in range(n):
            lines.policy_cost += self.probabilities[i] * lines.costs_predicted[i]
        if lines.chosen < n:
            lines.policy = self.probabilities[lines.chosen]
            lines.loss = bounded(<double>lines.cost * lines.policy / lines.probability * lines.weight)
        lines.values, lines.order, lines.n_values = self.probabilities, self.ranked, n
        lines.prediction = self.probabilities[self.ranked[0]]
        return lines.prediction

    cdef float learn_lines(self, MultiExample lines) except? -1e10 nogil:
        """Predict, and update the base by the cost of the action taken."""
        cdef float prediction = self.predict_lines(lines), loss = lines.loss
        if lines.chosen < lines.n_lines:
            self.base.update(lines)
            lines.prediction, lines.loss = prediction, loss
        return prediction

    cdef uint64_t key_of(self, MultiExample lines) noexcept nogil:
        """Random key of a decision: by seed and tag or number."""
        cdef uint32_t first
        if lines.tag_length == 0:
            return mix(mix(self.seed, 0), lines.number)
        first = vwl_murmur3_32_padded(<const uint8_t*>lines.tag, lines.tag_length, 1)
        return mix(mix(self.seed, 1), <uint64_t>first << 32
                   | vwl_murmur3_32_padded(<const uint8_t*>lines.tag, lines.tag_length, 2))

    def save_load(self, io):
        if not io.saving and io.has("decisions"):        # of version 0.1.0
            self.decisions = io.int64("decisions", 0)
            if self.decisions < 0:
                io.refuse("its number of decisions is negative")
