"""cb_explore_adf: epsilon-greedy exploration.        CONTEXTUAL_BANDIT -> ACTION_PROBABILITIES

Each action has the probability epsilon / n, and the actions of the best score share the remaining 1 - epsilon
(--first_only: the first of them has it all). Scores count as equal if they lie within 1e-4 of each other, relative to
their sum. The prediction lists the actions with their probabilities, best first, as in VW: the caller draws the action
from them. --thompson and --explore are other policies, which draw the action themselves.
"""
from libc.math cimport fabsf

from vwlite.bases.explorer cimport Explorer
from vwlite.bases.ranking cimport rank
from vwlite.core.multiline cimport MultiExample

from vwlite.core.options import Option, OptionGroup

OPTIONS = OptionGroup("cb_explore_adf: contextual bandits that explore", (
    Option("cb_explore_adf", bool, "learn from logged decisions, and give each action a probability: epsilon-greedy, "
           "or by --thompson or --explore", necessary=True, keep=True, fixed=True, task="choose"),
    Option("epsilon", float, "share of the probability that is spread evenly over all actions", default=0.05, least=0,
           most=1, keep=True, needs=("cb_explore_adf & !thompson & !explore",)),
    Option("first_only", bool, "of actions with equally good scores, the first has the probability of all", keep=True,
           needs=("cb_explore_adf & !thompson & !explore",)),
), examples=(
    "vwlite decisions.vw --cb_explore_adf --epsilon 0.1 --first_only -q sa -p probabilities",
))

cdef float TIED = 1e-4

KINDS_OF_LEARNERS = ("decisions",)


def setup(builder):
    """The learner, if --cb_explore_adf is given and no other policy."""
    options = builder.options
    if options["thompson"] or options["explore"]:
        return None
    return CbExploreAdf(builder.require("cb_adf"), options)


cdef class CbExploreAdf(Explorer):
    """Epsilon-greedy policy."""

    name = "cb_explore_adf"

    cdef float epsilon
    cdef bint first_only

    def __init__(self, base, options):
        taken = {option.name: options[option.name] for option in OPTIONS.options if options.given(option.name)}
        super().__init__(base, taken, options)
        self.epsilon = options["epsilon"]
        self.first_only = options["first_only"]

    cdef int share_out(self, MultiExample lines) except -1 nogil:
        cdef size_t i, n = lines.n_lines, tied = 1
        cdef const float* scores = lines.scores
        cdef float best, each = self.epsilon / n
        rank(self.ranked, scores, n, lines.rewards)
        best = scores[self.ranked[0]]
        while tied < n and fabsf(scores[self.ranked[tied]] - best) <= TIED * fabsf(scores[self.ranked[tied]] + best):
            tied += 1
        if self.first_only:
            tied = 1
        for i in range(n):
            self.probabilities[self.ranked[i]] = each + (1 - self.epsilon) / tied if i < tied else each
        return 0
