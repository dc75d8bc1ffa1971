"""thompson: decisions that explore.        CONTEXTUAL_BANDIT -> ACTION_PROBABILITIES over SIMPLE -> SCALAR

A decision is an optional line of shared features and a line for each action. The learners below score each action; what
they learn is the cost of the action taken (with the logistic loss: whether it was rewarded), an ordinary example of
weight 1 (the direct method). A decision of which no cost is known is only made.

    thompson   coefficients are drawn from N(m, a^2 H^-1) once a decision, and the best action under them is taken
               (Thompson 1933; Chapelle and Li 2011). Its probability is the share of --ts_samples such draws, the one
               that decides among them, in which it is best. --ts_optimistic: the better of draw and mean
    ucb        the best score plus a standard deviations (Auer, Cesa-Bianchi and Fischer 2002; Li and others
               2010, LinUCB)
    epsilon    the best, or with probability --epsilon any
    greedy     the best
    uniform    any

Actions that are equally good share what falls to the best.

Draws are functions of --random_seed and of the decision's tag, or of its number if it has none: any decision can be
made again. The loss that is reported is the cost that this policy would have had: cost * probability here / probability
logged, as in Vowpal Wabbit.
"""
from libc.math cimport expf, sqrt
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from vwlite.example cimport Example
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
    Option("ts_alpha", float, "width of the draws, in standard deviations", default=1.0, least=0, keep=True,
           needs=DRAWS),
    Option("ts_optimistic", bool, "take the better of draw and mean for the score of an action", keep=True,
           needs=DRAWS),
    Option("ts_samples", int, "draws that the probabilities of actions are worked out with", default=100, least=1,
           most=100000, keep=True, needs=DRAWS),
    Option("ucb_alpha", float, "standard deviations that --explore ucb adds", default=1.0, least=0, keep=True,
           needs=("explore=ucb",)),
    Option("epsilon", float, "share of decisions of --explore epsilon that are left to chance", default=0.05, least=0,
           most=1, keep=True, needs=("explore=epsilon",)),
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

POLICIES = {"thompson": THOMPSON, "ucb": UCB, "epsilon": EPSILON, "greedy": GREEDY, "uniform": UNIFORM}


def setup(options, base):
    """There when --thompson or --explore is given."""
    policy = policy_of(options)
    if policy in ("thompson", "ucb") and not any(learner.has_posterior for learner in walk(base)):
        raise OptionError([f"--explore {policy} needs a learner that knows how sure it is: add --bayes_logistic "
                           "(rewards) or --bayes_linear (costs)"])
    return Thompson(base, options, policy)


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
    cdef float alpha, ucb_alpha, epsilon, low, high, reward_label, other_label
    cdef uint32_t samples
    cdef uint64_t seed
    cdef public object decisions      # made so far, in all runs

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
        self.optimistic = options["ts_optimistic"]
        self.alpha = options["ts_alpha"]
        self.ucb_alpha = options["ucb_alpha"]
        self.epsilon = options["epsilon"]
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
        cdef uint64_t key = self.key_of(ex)
        ex.draw = 0
        for i in range(n):
            ex.select(i)
            ex.wants_variance = self.policy == UCB
            self.base.predict(ex)
            ex.action_scores[i] = ex.score
            ex.action_costs[i] = self.cost_of(ex.score)
            ex.action_bounds[i] = ex.score + self.sign() * self.ucb_alpha * <float>sqrt(ex.variance)
            ex.action_probabilities[i] = 0
        ex.wants_variance = False
        if self.policy == THOMPSON:
            taken = self.sample(ex, key)
        else:
            taken = self.share_out(ex, ex.action_bounds if self.policy == UCB else ex.action_scores, uniform(key, 0))
        order(ex, taken)
        ex.deselect()
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

    cdef size_t share_out(self, Example ex, const float* scores, double u) noexcept nogil:
        """Probabilities of all policies but thompson: as in VW actions that are equally good share; returns one."""
        cdef size_t i, n = ex.n_actions, ties = 0
        cdef float best = scores[self.best_of(scores, n)], chance = 0
        if self.policy == UNIFORM:
            chance = 1
        elif self.policy == EPSILON:
            chance = self.epsilon
        for i in range(n):
            ties += scores[i] == best
        for i in range(n):
            ex.action_probabilities[i] = chance / n + ((1 - chance) / ties if scores[i] == best else 0)
        return pick(ex.action_probabilities, n, u)

    cdef size_t sample(self, Example ex, uint64_t key) except? 0xFFFFFFFF nogil:
        """Count how often each action is best; returns the best of the draw that decides."""
        cdef size_t i, n = ex.n_actions, taken = 0, best
        cdef uint32_t s
        ex.draw_scale = self.alpha
        for s in range(self.samples):
            for i in range(n):
                ex.select(i)
                ex.draw = mix(key, s) | 1
                self.base.predict(ex)
                ex.draw = 0
                ex.action_bounds[i] = ex.score
                if self.optimistic and ex.action_scores[i] * self.sign() > ex.score * self.sign():
                    ex.action_bounds[i] = ex.action_scores[i]
            best = self.best_of(ex.action_bounds, n)
            if s == 0:
                taken = best
            ex.action_probabilities[best] += 1
        for i in range(n):
            ex.action_probabilities[i] /= self.samples
        return taken

    cdef inline float sign(self) noexcept nogil:
        """Scores times this are the better, the larger: scores of costs are the better, the smaller."""
        return 1 if self.logistic else -1

    cdef size_t best_of(self, const float* scores, size_t n) noexcept nogil:
        """The first of the best."""
        cdef size_t i, best = 0
        for i in range(1, n):
            if scores[i] * self.sign() > scores[best] * self.sign():
                best = i
        return best

    cdef inline float cost_of(self, float score) noexcept nogil:
        """The expected cost of an action."""
        if not self.logistic:
            return score
        return self.high + (self.low - self.high) / (1 + expf(-score))

    cdef uint64_t key_of(self, Example ex) noexcept nogil:
        """What the draws of a decision are a function of."""
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
    """The action at share u of all."""
    cdef size_t i
    for i in range(n - 1):
        u -= probabilities[i]
        if u < 0:
            return i
    return n - 1


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
