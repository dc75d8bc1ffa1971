"""cb_adf: contextual bandits with action-dependent features.        CONTEXTUAL_BANDIT -> ACTION over SIMPLE -> SCALAR

An example has one line for each action. A logged decision gives the cost c of one action k and its propensity p, the
probability with which it was taken. The base scores each line: the score is the expected cost, and the action with the
lowest score is chosen. --cb_type sets the labels that the base learns; q is the larger of p and --clip_p:

    mtr     line k: c, with importance (1 / q) * decisions / actions, both counted so far (multi-task regression;
            Bietti, Agarwal and Langford 2021, "A contextual bandit bake-off", 3.3)
    ips     line k: c / q, each other line: 0 (inverse propensity score; Horvitz and Thompson 1952)
    dr      line k: f_k + (c - f_k) / q, each other line i: f_i. f is a second model, which learns c with importance
            1 / p from line k (doubly robust; Dudik, Langford and Li 2011)
    dm      line k: c, each other line: 0 (VW's direct method)
    sm      a step towards the action with low cost, by the softmax of the scores: see Softmax below
    direct  line k: c, as an ordinary example of weight 1 (the direct method proper: costs of actions as they are)

With the logistic loss (mtr, direct) a score is of the reward, and the highest is chosen: the lower of the two costs of
--cost_range is a reward. The base learns the lines one after the other, each with the weights that the one before left,
as in VW. Loss: an estimate of the cost of the chosen action, c / p if it is k, else 0; under dr f + (c - f) / p, with
the f of action k.

Softmax: with P_i = e^-s_i / sum e^-s and w = P_k |c / p|, the line of action k has the label s_k + 1 with importance
w (1 - P_k), each other line i the label s_i - 1 with importance w P_i; if c < 0, 1 has the other sign. That is a step
of gradient descent on the expected cost of the softmax policy (Williams 1992, REINFORCE). VW sorts these labels by
score and assigns them to the lines in the order of the input: --vw_compat does so, too.
"""
import math

from libc.math cimport NAN, fabsf
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free

from vwlite.bases.lines cimport LineLearner
from vwlite.bases.ranking cimport rank
from vwlite.core.arrays cimport grow
from vwlite.core.elementary cimport expf
from vwlite.core.example cimport Example
from vwlite.core.multiline cimport MultiExample, bounded
from vwlite.core.reasons cimport COST_RANGE, COST_TWICE, FINE

from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError

OPTIONS = OptionGroup("cb_adf: contextual bandits", (
    Option("cb_adf", bool, "learn from logged decisions, and choose the action of lowest cost", necessary=True,
           keep=True, fixed=True),
    Option("cb_type", str, "what is learned from a decision: the cost of the action taken, weighted by its probability "
           "(mtr) or not (direct); an estimate of every action's cost (ips, dm, or dr by a second model); the softmax "
           "of the scores (sm); default: mtr, but direct with --thompson and --explore", keep=True, fixed=True,
           choices=("mtr", "ips", "dr", "dm", "sm", "direct")),
    Option("clip_p", float, "use this for lower logged probabilities", default=0.0, least=0, most=1, keep=True,
           needs=("decisions & learning",)),
    Option("rank_all", bool, "predict the scores of all actions, best first", keep=True,
           needs=("cb_adf & !cb_explore_adf & !thompson & !explore",)),
    Option("cost_range", str, "with the logistic loss: the cost of a rewarded action, and of any other", default="-1,0",
           keep=True, metavar="LOW,HIGH"),
), needs=("decisions",), examples=(
    "vwlite decisions.vw --cb_adf --cb_type dr --clip_p 0.05 --rank_all -p predictions",
    "vwlite decisions.vw --cb_adf --bayes_logistic --cost_range=-1,0",
))

cdef enum Kind:
    MTR
    IPS
    DR
    DM
    SM
    DIRECT

KINDS = {"mtr": MTR, "ips": IPS, "dr": DR, "dm": DM, "sm": SM, "direct": DIRECT}
OF_REWARDS = ("mtr", "direct")        # their labels can be rewards

cdef float VANISHING = 1e-15          # importances below this count as 0, as in VW

KINDS_OF_LEARNERS = ("decisions",)


def setup(builder):
    """The learner, if --cb_adf is given or a learner above explores."""
    kind = builder.options["cb_type"] or "mtr"
    base = builder.vectors(2, "--cb_type dr") if kind == "dr" else builder.base
    return CbAdf(base, builder.options, kind)


cdef class CbAdf(LineLearner):
    """Contextual bandit learner: scores the actions of a decision, and learns from the cost of the one taken."""

    name = "cb_adf"
    takes_label = LabelType.CONTEXTUAL_BANDIT

    cdef readonly object gives_prediction
    cdef readonly uint32_t feature_width
    cdef Kind kind
    cdef bint ranks, logistic, has_costs, compat
    cdef float clip, low, high, reward_label, other_label
    cdef float* targets               # labels of the lines, where these are not their costs
    cdef float* weights
    cdef size_t n_targets, n_weights
    cdef int64_t events, actions      # decisions with known costs, and the sum of their actions
    cdef public object decisions      # number made so far, in all runs
    cdef readonly tuple costs_allowed   # (lowest, highest) possible cost; NaN: not known

    def __init__(self, base, options, kind):
        taken = {option.name: options[option.name] for option in OPTIONS.options if options.given(option.name)}
        super().__init__(base, taken | {"cb_type": kind})
        self.kind = KINDS[kind]
        self.logistic = self.loss.name == "logistic"
        if self.loss.name not in ("logistic", "squared"):
            raise OptionError([f"--loss_function {self.loss.name} gives no costs of actions: use squared "
                               "(costs) or logistic (rewards)"])
        if self.logistic and kind not in OF_REWARDS:
            raise OptionError([f"--cb_type {kind} learns estimated costs, and the logistic loss needs rewards: use "
                               f"--cb_type {' or '.join(OF_REWARDS)}, or the squared loss"])
        if options.given("classweight"):
            raise OptionError(["--classweight weighs labels of one number, and decisions have costs: scale these"])
        self.low, self.high = cost_range(options["cost_range"])
        self.other_label, self.reward_label = options["logistic_min"], options["logistic_max"]
        if options.given("cost_range") and not self.logistic:
            raise OptionError(["--cost_range says which costs are rewards, for the logistic loss; others learn any"])
        self.costs_allowed = (<object>self.low, <object>self.high) if self.logistic else (math.nan, math.nan)
        self.clip = options["clip_p"]
        self.ranks = options["rank_all"]
        self.has_costs = kind != "sm"
        self.compat = options["vw_compat"]
        self.gives_prediction = PredictionType.ACTION_SCORES if self.ranks else PredictionType.ACTION
        self.feature_width = 2 if kind == "dr" else 1
        self.decisions = 0

    def __dealloc__(self):
        free(self.targets)
        free(self.weights)

    def give_scores(self):
        """Leaves the scores of all actions, in the order of the lines, to a learner above, which sorts them itself."""
        self.gives_prediction = PredictionType.ACTION_SCORES

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return self.vet_cost(<MultiExample>ex)

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return self.predict_lines(<MultiExample>ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict_lines(<MultiExample>ex)
        self.update(ex)
        return prediction

    cdef float update(self, Example ex) except? -1e10 nogil:
        return self.update_lines(<MultiExample>ex)

    cdef float update_lines(self, MultiExample lines) except? -1e10 nogil:
        """Learn from the label; the prediction stays."""
        if lines.chosen < lines.n_lines:
            self.teach_cost(lines, lines.chosen, lines.cost, lines.probability, lines.line)
        return lines.prediction

    cdef int vet_cost(self, MultiExample lines) except -1 nogil:
        """Check the label of a decision: the Reason why its cost can't be learned, or FINE."""
        cdef size_t i = lines.chosen
        if lines.n_known > 1:
            for i in range(lines.chosen + 1, lines.n_lines):
                if lines.choice_of(i) != NULL:
                    break
            lines.problem_at = lines.block.text + lines.rows[i].text
            return COST_TWICE
        if self.logistic and lines.cost != self.low and lines.cost != self.high:
            lines.problem_at = lines.block.text + lines.rows[i].text
            return COST_RANGE
        return FINE

    cdef float predict_lines(self, MultiExample lines) except? -1e10 nogil:
        """Score the actions and choose one."""
        cdef size_t i, n = lines.n_lines
        cdef uint32_t best = 0
        lines.rewards = self.logistic
        self.score_lines(lines, lines.line)
        for i in range(n):
            self.costs[i] = self.cost_of(self.scores[i])
            if self.scores[i] > self.scores[best] if self.logistic else self.scores[i] < self.scores[best]:
                best = <uint32_t>i
        if self.ranks:
            rank(self.ranked, self.scores, n, self.logistic)
        else:
            self.ranked[0] = best
        lines.values, lines.order, lines.n_values = self.scores, self.ranked, n
        lines.score = lines.prediction = self.scores[best]
        lines.policy_cost = self.costs[best]
        lines.loss = 0
        if lines.chosen < n:
            lines.policy = lines.chosen == best
            lines.predicted_cost = self.costs[lines.chosen]
            if lines.chosen == best:
                lines.loss = bounded(<double>lines.cost / lines.probability * lines.weight)
        return lines.prediction

    cdef inline float cost_of(self, float score) noexcept nogil:
        """Expected cost of an action, from its score."""
        if not self.has_costs:
            return NAN
        if not self.logistic:
            return score
        return self.high + (self.low - self.high) / (1 + expf(-score))

    cdef int teach_cost(self, MultiExample lines, size_t k, float cost, float p, Example line) except -1 nogil:
        """Update the base by the cost c of action k, which was taken with probability p."""
        cdef size_t i, n = lines.n_lines, last = 0
        cdef float q = max(p, self.clip), label = cost
        if self.logistic:
            label = self.reward_label if cost == self.low else self.other_label
        if self.kind == DIRECT:
            self.teach(lines, lines.line, k, label, 1, 1)
            return 0
        if self.kind == MTR:
            self.events += 1
            self.actions += n
            self.teach(lines, lines.line, k, label, 1 / q * (<float>self.events / <float>self.actions), 1)
            return 0
        grow(&self.targets, &self.n_targets, n, sizeof(float))
        grow(&self.weights, &self.n_weights, n, sizeof(float))
        for i in range(n):
            self.targets[i], self.weights[i] = 0, 1
        if self.kind == DR:
            self.estimate_costs(lines, k, cost, p, line)
            label = self.targets[k]
            self.targets[k] += (cost - label) / q
            i = lines.order[0]
            lines.loss = bounded((self.targets[i] if i != k else label + (<double>cost - label) / p) * lines.weight)
        elif self.kind == SM:
            self.find_softmax(lines, k, cost, p)
        else:
            self.targets[k] = cost / q if self.kind == IPS else cost
        for i in range(n):
            if self.weights[i] > 0:
                last = i
        for i in range(n):
            self.teach(lines, lines.line, i, self.targets[i], self.weights[i], i == last)
        return 0

    cdef int estimate_costs(self, MultiExample lines, size_t k, float cost, float p, Example line) except -1 nogil:
        """Doubly robust: estimate the cost of each line by the second model, which learns k before later lines."""
        cdef size_t i
        cdef uint32_t offset = lines.offset
        lines.offset = offset + self.step
        for i in range(lines.n_lines):
            if i == k and 1 / p <= 1e30:
                self.loss.see(cost)
                self.targets[i] = self.teach(lines, lines.line, i, cost, 1 / p, 1)
            else:
                lines.select(i)
                self.targets[i] = self.base.predict(line)
        lines.offset = offset
        return 0

    cdef int find_softmax(self, MultiExample lines, size_t k, float cost, float p) except -1 nogil:
        """Labels and importances of --cb_type sm (policy gradient)."""
        cdef size_t i, n = lines.n_lines
        cdef uint32_t a
        cdef float sign = -1 if cost < 0 else 1, weight = fabsf(cost / p), total = 0, share, least
        least = self.scores[0]
        for i in range(1, n):
            least = min(least, self.scores[i])
        if self.compat:
            rank(self.ranked, self.scores, n, False)
        for i in range(n):
            a = self.ranked[i] if self.compat else <uint32_t>i
            self.targets[i] = self.scores[a] + (sign if a == k else -sign)
            self.weights[i] = expf(least - self.scores[i])
        for i in range(n):
            total += self.weights[i]
        weight *= self.weights[k] / total
        for i in range(n):
            share = self.weights[i] / total
            self.weights[i] = weight * (1 - share if i == k else share)
            if not self.weights[i] > VANISHING:
                self.weights[i] = 0
        return 0

    def save_load(self, io):
        # missing in a model that has learned only from single lines so far
        if io.saving or io.has("decisions"):
            self.decisions = io.int64("decisions", self.decisions)
            if not 0 <= self.decisions < 1 << 62:
                io.refuse("its number of decisions is negative or too large")
        if self.kind == MTR and (io.saving or io.has("events")):
            self.events = io.int64("events", self.events)
            self.actions = io.int64("actions", self.actions)
            if not 0 <= self.events <= self.actions < 1 << 62:
                io.refuse("it has learned from decisions without actions")


def cost_range(text):
    """(cost of a rewarded action, cost of any other)."""
    low, _, high = text.partition(",")
    try:
        values = float(low), float(high)
    except ValueError:
        values = (0.0, 0.0)
    if not -3e38 < values[0] < values[1] < 3e38:
        raise OptionError([f"--cost_range {text}: expected two numbers LOW,HIGH, such as -1,0"])
    return values
