"""thompson: decisions that explore.        CONTEXTUAL_BANDIT -> ACTION_PROBABILITIES over SIMPLE -> SCALAR

A decision is an optional line of shared features and a line for each action. The learners below score each action; what
they learn is the cost of the action taken (with the logistic loss: whether it was rewarded), an ordinary example of
weight 1 (the direct method). A decision of which no cost is known is only made.

    thompson   each action with the probability that it is the best one under coefficients from N(m, a^2 H^-1), a being
               --ts_alpha (Thompson 1933; Chapelle and Li 2011); joint.pyx has how these probabilities are worked out.
               --ts_optimistic: the better of draw and mean counts
    ucb        the best score plus a standard deviations (Auer, Cesa-Bianchi and Fischer 2002; Li and others
               2010, LinUCB)
    epsilon    the best
    greedy     the best
    uniform    any

Actions that are equally good share what falls to the best. --explore_rate E then spreads a share E of the probability
evenly over all actions; with epsilon it is 0.05 unless given. The action taken is drawn from what results, so the
probability that is reported is the one with which it was taken.

Probabilities are a function of the model, the decision and --random_seed; which action is taken, of --random_seed and
the decision's tag too, or of its number if it has none: any decision can be made again. The loss reported is the cost
that this policy would have had: cost * probability here / probability logged, as in VW.
"""
import math

from libc.math cimport expf, sqrt
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.example cimport Example
from vwlite.joint cimport JointScores
from vwlite.learner cimport Learner
from vwlite.parser cimport COST_RANGE, FINE
from vwlite.random cimport mix, uniform

from vwlite.errors import OptionError
from vwlite.learner import walk
from vwlite.options import Option, OptionGroup
from vwlite.types import LabelType, PredictionType

DRAWS = ("thompson", "explore=thompson")

OPTIONS = OptionGroup("thompson: contextual bandits", (
    Option("thompson", bool, "choose actions by draws from the posterior", necessary=True, keep=True),
    Option("explore", str, "choose actions so", necessary=True, keep=True,
           choices=("thompson", "ucb", "epsilon", "greedy", "uniform")),
    Option("ts_alpha", float, "standard deviations of the draws, as a share of the posterior's", default=0.5, least=0,
           keep=True, needs=DRAWS),
    Option("ts_optimistic", bool, "take the better of draw and mean for the score of an action", keep=True,
           needs=DRAWS),
    Option("ts_samples", int, "probabilities of actions are as accurate as so many draws would make them", default=100,
           least=1, most=100000, keep=True, needs=DRAWS),
    Option("ucb_alpha", float, "standard deviations that --explore ucb adds", default=1.0, least=0, keep=True,
           needs=("explore=ucb",)),
    Option("explore_rate", float, "share of each decision's probability that is spread evenly over all actions, "
           "whatever the policy (default: 0; 0.05 with --explore epsilon)", least=0, most=1, keep=True, metavar="E",
           needs=(*DRAWS, "explore=ucb", "explore=epsilon", "explore=greedy")),
    Option("cost_range", str, "with the logistic loss: the cost of a rewarded action, and of any other", default="-1,0",
           keep=True, metavar="LOW,HIGH"),
), needs=("thompson", "explore"))

cdef extern from "bytescan.h" nogil:
    uint32_t vwl_murmur3_32_padded(const uint8_t* data, size_t n, uint32_t seed)

cdef enum Policy:
    THOMPSON
    UCB
    EPSILON
    GREEDY
    UNIFORM

EPSILON_RATE = 0.05
ALPHA_OF_FIRST_MODELS = 1.0           # --ts_alpha of version 0.1.0, whose models don't name it

POLICIES = {"thompson": THOMPSON, "ucb": UCB, "epsilon": EPSILON, "greedy": GREEDY, "uniform": UNIFORM}


def setup(options, base):
    """There when --thompson or --explore is given."""
    policy = policy_of(options)
    if policy in ("thompson", "ucb") and not any(learner.has_posterior for learner in walk(base)):
        raise OptionError([f"--explore {policy} needs a learner that knows how sure it is: add --bayes_logistic "
                           "(rewards) or --bayes_linear (costs)"])
    if policy == "thompson" and not options.given("ts_alpha"):
        options.set("ts_alpha", options["ts_alpha"])  # so that a model keeps it, whatever later versions choose
    return Thompson(base, options, policy)


def upgrade(kept, typed):
    """What a model keeps, as options of today that do the same; `typed` has the options given for this run.

    --explore_rate belongs to the policy it was given with.
    """
    kept = dict(kept)
    policy = kept.get("explore") or ("thompson" if kept.get("thompson") else None)
    now = typed["explore"] or ("thompson" if typed["thompson"] else policy)
    rate = kept.pop("epsilon", None)
    if rate is not None and policy == "epsilon":
        kept["explore_rate"] = rate   # beside other policies it did nothing
    if now != policy:
        kept.pop("explore_rate", None)
    if policy == "thompson":
        kept.setdefault("ts_alpha", ALPHA_OF_FIRST_MODELS)
    return kept


def policy_of(options):
    """The policy asked for; one typed now takes the place of the model's, in what the model keeps too."""
    policy = options["explore"] or "thompson"
    if not options["thompson"] or policy == "thompson":
        return policy
    kept = [name for name in ("thompson", "explore") if options.source(name) == "model"]
    if len(kept) != 1:
        raise OptionError([f"--thompson and --explore {policy} are two policies: give one of them"])
    if kept == ["explore"]:
        policy = "thompson"
        options.set("explore", policy)
    else:
        options.set("thompson", False)
    return policy


cdef class Thompson(Learner):
    """Scores the actions of a decision, chooses one, and learns from the cost of the one taken."""

    name = "thompson"
    takes_label = LabelType.CONTEXTUAL_BANDIT
    gives_prediction = PredictionType.ACTION_PROBABILITIES
    multiline = True
    vets = True

    cdef Policy policy
    cdef bint logistic, optimistic, base_vets
    cdef float alpha, ucb_alpha, explore_rate, low, high, reward_label, other_label
    cdef uint32_t samples
    cdef uint64_t seed
    cdef JointScores joint            # of the actions
    cdef public object decisions      # made so far, in all runs
    cdef readonly tuple costs         # (lowest, highest) there can be; NaN: not known

    def __init__(self, base, options, policy):
        taken = {option.name: options[option.name] for option in OPTIONS.options if options.given(option.name)}
        super().__init__(base, taken | {"explore": policy})
        self.policy = POLICIES[policy]
        self.logistic = self.loss.name == "logistic"
        if self.loss.name not in ("logistic", "squared"):
            raise OptionError([f"--loss_function {self.loss.name} doesn't say what an action costs: take squared "
                               "(costs) or logistic (rewards)"])
        self.low, self.high = cost_range(options["cost_range"])
        self.other_label, self.reward_label = options["logistic_min"], options["logistic_max"]
        if options.given("cost_range") and not self.logistic:
            raise OptionError(["--cost_range says which costs are rewards, for the logistic loss; others learn any"])
        self.costs = cost_range(options["cost_range"]) if self.logistic else (math.nan, math.nan)
        self.optimistic = options["ts_optimistic"]
        self.alpha = options["ts_alpha"]
        self.ucb_alpha = options["ucb_alpha"]
        rate = options["explore_rate"]
        self.explore_rate = rate if rate is not None else EPSILON_RATE if policy == "epsilon" else 0
        self.joint = JointScores()
        self.samples = options["ts_samples"]
        self.seed = options["random_seed"]
        self.base_vets = any(learner.vets for learner in walk(base))
        self.decisions = 0

    cdef int vet(self, Example ex) except -1 nogil:
        cdef size_t i
        cdef int reason = FINE
        if self.logistic and ex.chosen < ex.n_actions and ex.decision_cost not in (self.low, self.high):
            ex.problem_at = ex.block.text + ex.rows[ex.chosen].text
            return COST_RANGE
        for i in range(ex.n_actions if self.base_vets else 0):
            ex.select(i)
            reason = self.base.vet(ex)
            if reason != FINE:
                break
        ex.deselect()
        return reason

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef size_t i, n = ex.n_actions, taken
        cdef bint random = self.policy == THOMPSON and self.alpha > 0 and n > 1
        cdef bint test_only = ex.test_only
        self.joint.clear()
        for i in range(n):
            ex.select(i)
            ex.wants_variance = self.policy == UCB
            self.base.predict(ex)
            ex.action_scores[i] = ex.score
            ex.action_costs[i] = self.cost_of(ex.score)
            ex.action_bounds[i] = self.sign() * ex.score + self.ucb_alpha * <float>sqrt(ex.variance)
            if self.policy == THOMPSON:
                self.joint.begin(self.sign() * ex.score)
            if random:
                self.base.uncertainty(ex, self.joint)
        ex.wants_variance = False
        self.share_out(ex)
        taken = pick(ex.action_probabilities, n, uniform(self.key_of(ex), 0))
        order(ex, taken)
        ex.deselect()
        ex.test_only = test_only
        ex.policy_cost = 0
        for i in range(n):
            ex.policy_cost += ex.action_probabilities[i] * ex.action_costs[i]
        if ex.chosen < n:
            ex.decision_policy = ex.action_probabilities[ex.chosen]
            ex.loss = ex.decision_cost * ex.decision_policy / ex.decision_probability
        ex.prediction = ex.action_probabilities[taken]
        return ex.prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict(ex), loss = ex.loss
        if ex.chosen == ex.n_actions:
            return prediction
        ex.select(ex.chosen)
        ex.label = ex.decision_cost
        if self.logistic:
            ex.label = self.reward_label if ex.decision_cost == self.low else self.other_label
        ex.labelled = True
        ex.test_only = False
        self.base.learn(ex)
        ex.deselect()
        ex.prediction = prediction
        ex.loss = loss
        return prediction

    cdef int share_out(self, Example ex) except -1 nogil:
        """The probabilities of the actions; as in VW those that are equally good share."""
        cdef size_t i, n = ex.n_actions, ties = 0
        cdef float* p = ex.action_probabilities
        cdef float best
        if self.policy == UNIFORM:
            for i in range(n):
                p[i] = <float>1 / n
            return 0
        if self.policy == THOMPSON:
            self.joint.best(self.alpha, self.optimistic, self.samples, self.seed, p)
        else:
            if self.policy != UCB:
                for i in range(n):
                    ex.action_bounds[i] = self.sign() * ex.action_scores[i]
            best = ex.action_bounds[0]
            for i in range(1, n):
                best = max(best, ex.action_bounds[i])
            for i in range(n):
                ties += ex.action_bounds[i] == best
            for i in range(n):
                p[i] = <float>1 / ties if ex.action_bounds[i] == best else 0
        for i in range(n if self.explore_rate > 0 else 0):
            p[i] = self.explore_rate / n + (1 - self.explore_rate) * p[i]
        return 0

    cdef inline float sign(self) noexcept nogil:
        """Scores times this are the better, the larger: scores of costs are the better, the smaller."""
        return 1 if self.logistic else -1

    cdef inline float cost_of(self, float score) noexcept nogil:
        """The expected cost of an action."""
        if not self.logistic:
            return score
        return self.high + (self.low - self.high) / (1 + expf(-score))

    cdef uint64_t key_of(self, Example ex) noexcept nogil:
        """What the choice is a function of."""
        cdef uint32_t first
        if ex.tag_length == 0:
            return mix(mix(self.seed, 0), ex.number)
        first = vwl_murmur3_32_padded(<const uint8_t*>ex.tag, ex.tag_length, 1)
        return mix(mix(self.seed, 1), <uint64_t>first << 32
                   | vwl_murmur3_32_padded(<const uint8_t*>ex.tag, ex.tag_length, 2))

    def save_load(self, io):
        # not there in a model that has learnt from single lines so far
        if io.saving or io.has("decisions"):
            self.decisions = io.int64("decisions", self.decisions)
            if self.decisions < 0:
                io.refuse("it has made less than no decisions")


cdef void order(Example ex, size_t taken) noexcept nogil:
    """As reported: the action taken, then the others, most probable first, equally probable ones as they come.

    Only those more probable than the least probable are sorted: mostly few, however many actions there are.
    """
    cdef const float* p = ex.action_probabilities
    cdef uint32_t* to = ex.action_order
    cdef float least = 2
    cdef size_t i, n = 1
    to[0] = <uint32_t>taken
    for i in range(ex.n_actions):
        if i != taken and p[i] < least:
            least = p[i]
    for i in range(ex.n_actions):
        if i != taken and p[i] > least:
            to[n] = <uint32_t>i
            n += 1
    sort(to + 1, n - 1, p)
    for i in range(ex.n_actions):
        if i != taken and not p[i] > least:
            to[n] = <uint32_t>i
            n += 1


cdef void sort(uint32_t* actions, size_t n, const float* p) noexcept nogil:
    """Heapsort (Williams 1964): in place, and n log n whatever the numbers."""
    cdef size_t i
    for i in range(n // 2, 0, -1):
        sink(actions, i - 1, n, p)
    for i in range(n - 1 if n else 0, 0, -1):
        actions[0], actions[i] = actions[i], actions[0]
        sink(actions, 0, i, p)


cdef inline void sink(uint32_t* actions, size_t i, size_t n, const float* p) noexcept nogil:
    """Put actions[i] where no action below it in the heap comes after it."""
    cdef size_t below
    while 2 * i + 1 < n:
        below = 2 * i + 1
        if below + 1 < n and comes_before(actions[below], actions[below + 1], p):
            below += 1
        if not comes_before(actions[i], actions[below], p):
            return
        actions[i], actions[below] = actions[below], actions[i]
        i = below


cdef inline bint comes_before(uint32_t a, uint32_t b, const float* p) noexcept nogil:
    return p[a] > p[b] or (p[a] == p[b] and a < b)


cdef size_t pick(const float* probabilities, size_t n, double u) noexcept nogil:
    """The action at share u of all; never one of probability 0, whatever rounding leaves over."""
    cdef size_t i, last = 0
    for i in range(n):
        if probabilities[i] > 0:
            last = i
            u -= probabilities[i]
            if u < 0:
                break
    return last


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
