"""csoaa_ldf: cost-sensitive, label-dependent features.        COST_SENSITIVE -> LINE_CHOICE over SIMPLE -> SCALAR

Each line of a multi-line example is one class with its own features. The line with the lowest score is chosen, of equal
ones the first. With `m` the base is a regression of the cost, and a score is the expected cost. With `mc` the base is a
classifier: lines of the lowest cost c_min have the label -1 with importance c_max - c_min, each other line has the
label 1 with importance c - c_min. (One against all with label-dependent features; the weights are those of Beygelzimer,
Dani, Hayes, Langford and Zadrozny 2005, "Error limiting reductions between classification tasks".) The base learns the
lines one after the other, each with the weights that the one before left, as in VW. Loss: the cost of the chosen line.

With --probabilities, the scores s of lines give q = 1 / (1 + e^s), and the lines have the probabilities q / sum q.
"""
from libc.math cimport isnan
from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from vwlite.bases.lines cimport LineLearner
from vwlite.bases.ranking cimport rank
from vwlite.core.arrays cimport grow
from vwlite.core.elementary cimport expf, log
from vwlite.core.example cimport Example
from vwlite.core.multiline cimport MultiExample, bounded
from vwlite.core.reasons cimport COST_SECOND, COSTS_ABSENT, FINE

from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError

OPTIONS = OptionGroup("csoaa_ldf: costs of lines", (
    Option("csoaa_ldf", str, "learn the cost of each line of a multi-line example, and choose the line that costs "
           "least: by regression (m, multiline) or by classification (mc, multiline-classifier)", necessary=True,
           keep=True, fixed=True, choices=("m", "mc", "multiline", "multiline-classifier")),
    Option("csoaa_rank", bool, "predict the scores of all lines, the lowest first", keep=True),
), needs=("csoaa_ldf",), examples=(
    "vwlite lines.vw --csoaa_ldf m --csoaa_rank -p predictions",
))

KINDS_OF_LEARNERS = ("probable",)


def setup(builder):
    """The learner, if --csoaa_ldf is given."""
    return CsoaaLdf(builder.base, builder.options)


cdef class CsoaaLdf(LineLearner):
    """Cost-sensitive learner of multi-line examples: one score for each line."""

    name = "csoaa_ldf"
    takes_label = LabelType.COST_SENSITIVE
    finishes = gives_probabilities = True

    cdef readonly object gives_prediction
    cdef bint classifies, ranks, probable, compat
    cdef float* probabilities
    cdef size_t n_probabilities
    cdef double log_loss, log_loss_weight

    def __init__(self, base, options):
        names = ("csoaa_ldf", "csoaa_rank", "probabilities")
        super().__init__(base, {name: options[name] for name in names if options.given(name)})
        self.classifies = options["csoaa_ldf"] in ("mc", "multiline-classifier")
        self.ranks, self.probable = options["csoaa_rank"], options["probabilities"]
        self.compat = options["vw_compat"]
        if self.ranks and self.probable:
            raise OptionError(["--probabilities and --csoaa_rank are two ways to predict: give one of them"])
        if self.loss.name == "poisson" and self.classifies:
            raise OptionError(["--csoaa_ldf mc learns the labels 1 and -1; --loss_function poisson needs counts"])
        if self.probable and not self.compat and not (self.classifies and self.loss.name == "logistic"):
            raise OptionError(["--probabilities are those of a classifier with the logistic loss: add --csoaa_ldf mc "
                               "--loss_function logistic"])
        if options.given("classweight"):
            raise OptionError(["--classweight weighs labels of one number, and --csoaa_ldf has costs: scale these"])
        self.gives_prediction = (PredictionType.ACTION_SCORES if self.ranks else
                                 PredictionType.LINE_PROBABILITIES if self.probable else PredictionType.LINE_CHOICE)

    def __dealloc__(self):
        free(self.probabilities)

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return self.vet_costs(<MultiExample>ex, settles)

    cdef float predict(self, Example ex) except? -1e10 nogil:
        return self.predict_lines(<MultiExample>ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float prediction = self.predict_lines(<MultiExample>ex)
        self.teach_all(<MultiExample>ex)
        return prediction

    cdef int vet_costs(self, MultiExample lines, bint settles) except -1 nogil:
        """Check the labels of the lines: the Reason why their costs can't be learned, or FINE."""
        cdef size_t i
        cdef int reason
        for i in range(lines.n_lines):
            if lines.rows[i].n_choices > 1:
                lines.problem_at = lines.text + (lines.choice_of(i) + 1).name
                return COST_SECOND
            if lines.n_known < lines.n_lines and (lines.rows[i].n_choices == 0 or isnan(lines.choice_of(i).cost)):
                if self.compat:               # as in VW, such an example is only predicted
                    lines.labelled, lines.test_only = False, True
                    return FINE
                lines.problem_at = lines.text + lines.rows[i].text
                return COSTS_ABSENT
        if self.classifies:
            return FINE
        for i in range(lines.n_lines):
            lines.line.label = lines.choice_of(i).cost
            reason = self.base.vet_label(lines.line, settles)
            if reason != FINE:
                lines.problem_at = lines.text + lines.choice_of(i).name
                return reason
        return FINE

    cdef float predict_lines(self, MultiExample lines) except? -1e10 nogil:
        """Score the lines and choose one."""
        cdef size_t i, n = lines.n_lines
        cdef uint32_t best = 0
        lines.rewards = False
        self.score_lines(lines, lines.line)
        for i in range(n):
            self.costs[i] = self.scores[i]
            if self.scores[i] < self.scores[best]:
                best = <uint32_t>i
        if self.ranks:
            rank(self.ranked, self.scores, n, False)
        else:
            self.ranked[0] = best
        lines.values, lines.order, lines.n_values = self.scores, self.ranked, n
        if self.probable:
            self.find_probabilities(lines)
        lines.score = lines.prediction = self.scores[best]
        lines.loss = bounded(<double>lines.choice_of(best).cost * lines.weight) if lines.labelled else 0
        return lines.prediction

    cdef int find_probabilities(self, MultiExample lines) except -1 nogil:
        cdef size_t i, n = lines.n_lines
        cdef float total = 0
        grow(&self.probabilities, &self.n_probabilities, n, sizeof(float))
        for i in range(n):
            self.probabilities[i] = 1 / (1 + expf(self.scores[i]))
            total += self.probabilities[i]
        for i in range(n):
            self.probabilities[i] = self.probabilities[i] / total if total > 0 else <float>1 / n
        lines.values = self.probabilities
        return 0

    cdef int teach_all(self, MultiExample lines) except -1 nogil:
        """Update the base by each line, one after the other."""
        cdef size_t i
        cdef float cost, least, most, age
        least = most = lines.choice_of(0).cost
        for i in range(1, lines.n_lines):
            cost = lines.choice_of(i).cost
            least, most = min(least, cost), max(most, cost)
        for i in range(lines.n_lines):
            cost = lines.choice_of(i).cost
            age = i + 1 == lines.n_lines
            if not self.classifies:
                self.teach(lines, lines.line, i, cost, 1, age)
            elif cost <= least:
                self.teach(lines, lines.line, i, -1, most - least, age)
            else:
                self.teach(lines, lines.line, i, 1, cost - least, age)
        return 0

    cdef int finish_example(self, Example ex) except -1 nogil:
        if self.probable and ex.labelled and not ex.test_only:
            self.count_log_loss(<MultiExample>ex)
        return 0

    cdef void count_log_loss(self, MultiExample lines) noexcept nogil:
        """Multiclass log loss: -log of the probability of the first line with the lowest cost."""
        cdef size_t i, best = 0
        for i in range(1, lines.n_lines):
            if lines.choice_of(i).cost < lines.choice_of(best).cost:
                best = i
        self.log_loss -= lines.weight * log(max(<double>lines.values[best], 1e-15))
        self.log_loss_weight += lines.weight

    def metrics(self):
        if self.log_loss_weight <= 0:
            return {}
        return {"average multiclass log loss": self.log_loss / self.log_loss_weight}
