"""thompson: Thompson sampling and UCB.        CONTEXTUAL_BANDIT -> ACTION_PROBABILITIES over -> ACTION_SCORES

The learners below score each action. Unless --cb_type is given, they learn the cost of the action taken (with the
logistic loss: whether it was rewarded) as an ordinary example of weight 1 (the direct method). A decision without a
known cost is only predicted.

    thompson   each action with the probability that it is the best one under coefficients drawn from N(m, a^2 H^-1),
               where a is --ts_alpha (Thompson 1933; Chapelle and Li 2011). joint.pyx computes these probabilities.
               --ts_optimistic: the better of draw and mean is used
    ucb        the action with the best upper confidence bound: score plus --ucb_alpha standard deviations (Auer,
               Cesa-Bianchi and Fischer 2002; Li and others 2010, LinUCB)
    epsilon    the action with the best score
    greedy     the action with the best score
    uniform    any action

Equally good actions share the probability of the best. --explore_rate E then spreads a share E of the probability
evenly over all actions; with epsilon it is 0.05 unless given. The action is drawn from the resulting probabilities
(explorer.pyx).
"""
from libc.math cimport sqrt
from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from vwlite.bases.explorer cimport Explorer
from vwlite.core.arrays cimport grow
from vwlite.core.joint cimport JointScores
from vwlite.core.multiline cimport MultiExample

from vwlite.core.learner import walk
from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError

DRAWS = ("thompson", "explore=thompson")

OPTIONS = OptionGroup("thompson: contextual bandits", (
    Option("thompson", bool, "choose actions by Thompson sampling: draws from the posterior", necessary=True, keep=True,
           task="choose"),
    Option("explore", str, "policy that chooses actions", necessary=True, keep=True,
           choices=("thompson", "ucb", "epsilon", "greedy", "uniform")),
    Option("ts_alpha", float, "factor on the posterior's standard deviations in the draws", default=0.5, least=0,
           keep=True, needs=DRAWS),
    Option("ts_optimistic", bool, "use the better of draw and mean as the score of an action", keep=True,
           needs=DRAWS),
    Option("ts_samples", int, "accuracy of the probabilities of actions: that of so many draws", default=100,
           least=1, most=100000, keep=True, needs=DRAWS),
    Option("ucb_alpha", float, "standard deviations that --explore ucb adds to scores", default=1.0, least=0, keep=True,
           needs=("explore=ucb",)),
    Option("explore_rate", float, "share of each decision's probability that is spread evenly over all actions, "
           "whatever the policy (default: 0; 0.05 with --explore epsilon)", least=0, most=1, keep=True, metavar="E",
           needs=(*DRAWS, "explore=ucb", "explore=epsilon", "explore=greedy")),
), needs=("thompson", "explore"), examples=(
    "vwlite decisions.vw --thompson --bayes_linear --ts_alpha 0.5 --ts_samples 1000 -p probabilities",
    "vwlite decisions.vw --explore ucb --bayes_linear --ucb_alpha 2 --explore_rate 0.02",
    "vwlite decisions.vw --thompson --bayes_linear --ts_optimistic",
))

cdef enum Policy:
    THOMPSON
    UCB
    EPSILON
    GREEDY
    UNIFORM

EPSILON_RATE = 0.05
ALPHA_OF_FIRST_MODELS = 1.0           # --ts_alpha of version 0.1.0, whose models don't name it

POLICIES = {"thompson": THOMPSON, "ucb": UCB, "epsilon": EPSILON, "greedy": GREEDY, "uniform": UNIFORM}

KINDS_OF_LEARNERS = ("decisions",)


def setup(builder):
    """The learner, if --thompson or --explore is given."""
    options, base = builder.options, builder.base
    policy = policy_of(options)
    if policy in ("thompson", "ucb") and not any(learner.has_posterior for learner in walk(base)):
        raise OptionError([f"--explore {policy} needs a learner with a posterior: add --bayes_logistic "
                           "(rewards) or --bayes_linear (costs)"])
    if policy == "thompson" and not options.given("ts_alpha"):
        options.set("ts_alpha", options["ts_alpha"])  # so that a model keeps it, whatever later versions choose
    if options["cb_type"] is None:
        options.set("cb_type", "direct", "model")
    return Thompson(builder.require("cb_adf"), options, policy)


def upgrade(kept, typed):
    """Convert the saved options of an older model to current ones; `typed` has the options given for this run.

    --explore_rate belongs to the policy it was given with.
    """
    kept = dict(kept)
    policy = kept.get("explore") or ("thompson" if kept.get("thompson") else None)
    now = typed["explore"] or ("thompson" if typed["thompson"] else policy)
    rate = kept.pop("epsilon", None)
    if rate is not None and policy is None:
        kept["epsilon"] = rate        # of --cb_explore_adf
    elif rate is not None and policy == "epsilon":
        kept["explore_rate"] = rate   # it had no effect with other policies
    if now != policy:
        kept.pop("explore_rate", None)
    if policy == "thompson":
        kept.setdefault("ts_alpha", ALPHA_OF_FIRST_MODELS)
    return kept


def policy_of(options):
    """The policy; one given for this run replaces the model's, also in the saved options."""
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


cdef class Thompson(Explorer):
    """The policies of --thompson and --explore."""

    name = "thompson"

    cdef Policy policy
    cdef bint optimistic
    cdef float alpha, ucb_alpha, explore_rate
    cdef uint32_t samples
    cdef float* bounds                # upper confidence bounds of scores; larger is better
    cdef size_t n_bounds

    def __init__(self, base, options, policy):
        taken = {option.name: options[option.name] for option in OPTIONS.options if options.given(option.name)}
        super().__init__(base, taken | {"explore": policy}, options)
        self.takes = True
        self.policy = POLICIES[policy]
        self.optimistic = options["ts_optimistic"]
        self.alpha = options["ts_alpha"]
        self.ucb_alpha = options["ucb_alpha"]
        rate = options["explore_rate"]
        self.explore_rate = rate if rate is not None else EPSILON_RATE if policy == "epsilon" else 0
        self.wants_variances = policy == "ucb"
        if policy == "thompson":
            self.joint = JointScores()
            self.draws = self.alpha > 0
        self.samples = options["ts_samples"]

    def __dealloc__(self):
        free(self.bounds)

    cdef int share_out(self, MultiExample lines) except -1 nogil:
        """Set the probabilities of the actions; as in VW, equally good actions share."""
        cdef size_t i, n = lines.n_lines, ties = 0
        cdef float* p = self.probabilities
        cdef float best
        if self.policy == UNIFORM:
            for i in range(n):
                p[i] = <float>1 / n
            return 0
        if self.policy == THOMPSON:
            self.joint.best(self.alpha, self.optimistic, self.samples, self.seed, p)
        else:
            grow(&self.bounds, &self.n_bounds, n, sizeof(float))
            for i in range(n):
                self.bounds[i] = lines.scores[i] if lines.rewards else -lines.scores[i]
                if self.policy == UCB:
                    self.bounds[i] += self.ucb_alpha * <float>sqrt(lines.variances[i])
            best = self.bounds[0]
            for i in range(1, n):
                best = max(best, self.bounds[i])
            for i in range(n):
                ties += self.bounds[i] == best
            for i in range(n):
                p[i] = <float>1 / ties if self.bounds[i] == best else 0
        for i in range(n if self.explore_rate > 0 else 0):
            p[i] = self.explore_rate / n + (1 - self.explore_rate) * p[i]
        return 0
