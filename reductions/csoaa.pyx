"""csoaa: cost-sensitive one against all.        COST_SENSITIVE -> CLASS over SIMPLE -> SCALAR

One regression for each of K classes, of the cost of predicting that class (Beygelzimer, Dani, Hayes, Langford and
Zadrozny 2005). A label lists classes with their costs: these are the candidates, and the model of each learns its cost.
Without a label, all K classes are candidates. The candidate with the lowest score is predicted; of equal ones, the one
with the lowest number. Loss: the cost of the predicted class minus the lowest cost of the label (--cs_absolute_loss:
without the subtraction).
"""
from libc.math cimport INFINITY, isnan
from libc.stdint cimport uint32_t
from libc.stdlib cimport free

from vwlite.core.arrays cimport grow
from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport NO_NUMBER, Example
from vwlite.core.learner cimport Learner, Scored
from vwlite.core.reasons cimport COSTS_ABSENT, FINE

from vwlite.core.class_names import class_names
from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError

OPTIONS = OptionGroup("csoaa: costs of classes", (
    Option("csoaa", int, "learn what each of K classes costs, and choose the one that costs least", least=2,
           most=1 << 20, necessary=True, keep=True, fixed=True, metavar="K"),
    Option("cs_absolute_loss", bool, "report the cost of the chosen class, not its difference from the lowest cost",
           keep=True),
), needs=("csoaa",), examples=(
    "vwlite costs.vw --csoaa 3 --cs_absolute_loss -p predictions",
))

KINDS_OF_LEARNERS = ("classes",)


def setup(builder):
    """The learner, if --csoaa is given."""
    return Csoaa(builder.vectors(builder.options["csoaa"], "--csoaa"), builder.options)


cdef class Csoaa(Learner):
    """Cost-sensitive one against all: one weight vector for each class."""

    name = "csoaa"
    takes_label = LabelType.COST_SENSITIVE
    gives_prediction = PredictionType.CLASS

    cdef readonly uint32_t feature_width
    cdef readonly ClassNames classes
    cdef uint32_t k
    cdef bint absolute, compat
    cdef Scored* found                # results of each class listed, or of all classes
    cdef size_t n_found
    cdef float* values                # scores of the same
    cdef uint32_t* listed             # the known classes of a label
    cdef size_t n_values, n_listed

    def __init__(self, base, options):
        k = options["csoaa"]
        super().__init__(base, {option.name: options[option.name] for option in OPTIONS.options
                                if options.given(option.name)})
        if options.given("classweight"):
            raise OptionError(["--classweight weighs labels of one number, and --csoaa has costs: scale these"])
        self.k = self.feature_width = k
        self.classes = class_names(options, "csoaa", k)
        self.absolute, self.compat = options["cs_absolute_loss"], options["vw_compat"]

    def __dealloc__(self):
        free(self.found)
        free(self.values)
        free(self.listed)

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        cdef size_t i
        cdef float cost
        cdef int reason = self.classes.check_all(ex, settles)
        for i in range(ex.n_choices if reason == FINE else 0):
            cost = ex.choices[i].cost
            ex.problem_at = ex.text + ex.choices[i].name
            if isnan(cost):
                if not self.compat:
                    return COSTS_ABSENT
                continue
            ex.label = cost
            reason = self.base.vet_label(ex, settles)
            ex.label = 0
            if reason != FINE:
                break
        return reason

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef bint labelled = ex.labelled
        cdef size_t i, n
        if not labelled and ex.n_choices and self.classes.check_all(ex, False) != FINE:
            ex.n_choices = 0              # candidates of an unlabelled example that are no classes
        ex.labelled = False
        n = self.score_listed(ex) if ex.n_choices else self.score_all(ex)
        ex.labelled = labelled
        ex.class_predicted, ex.score = NO_NUMBER, INFINITY
        for i in range(n):
            self.values[i] = self.found[i].score
            if self.values[i] < ex.score or (self.values[i] == ex.score and self.listed[i] < ex.class_predicted):
                ex.class_predicted, ex.score = self.listed[i], self.values[i]
        ex.values, ex.order, ex.n_values = self.values, self.listed, n
        ex.loss = self.judge(ex) if labelled else 0
        ex.prediction = <float>ex.class_predicted
        return ex.prediction

    cdef int reserve(self, size_t n) except -1 nogil:
        """Allocate buffers for the scores of n classes."""
        grow(&self.found, &self.n_found, n, sizeof(Scored))
        grow(&self.values, &self.n_values, n, sizeof(float))
        grow(&self.listed, &self.n_listed, n, sizeof(uint32_t))
        return 0

    cdef size_t score_listed(self, Example ex) except? 0xFFFFFFFF nogil:
        """Score the label's known classes; returns their number. Unknown classes have no score."""
        cdef size_t i, n = 0
        cdef uint32_t offset = ex.offset
        self.reserve(ex.n_choices)
        self.classes.begin_prediction()
        for i in range(ex.n_choices):
            if self.classes.numbers[i] - self.classes.first >= self.k:       # NO_NUMBER is beyond, too
                continue
            ex.offset = offset + self.classes.place(self.classes.numbers[i] - self.classes.first) * self.step
            self.base.predict(ex)
            self.listed[n] = self.classes.numbers[i]
            self.found[n].score = 0 if isnan(ex.score) else ex.score
            n += 1
        ex.offset = offset
        return n

    cdef size_t score_all(self, Example ex) except? 0xFFFFFFFF nogil:
        """Score all classes; returns their number."""
        cdef uint32_t i, n = self.classes.begin_prediction()
        self.reserve(self.k)
        self.base.multipredict(ex, n, self.step, self.found)
        for i in range(n):
            self.listed[self.classes.place(i)] = self.classes.first + i
        return n

    cdef float judge(self, Example ex) noexcept nogil:
        """Loss of the prediction; if no class of the label is known, the loss of the class with the highest cost."""
        cdef size_t i
        cdef float least = INFINITY, most = -INFINITY, cost, own = INFINITY
        for i in range(ex.n_choices):
            cost = ex.choices[i].cost
            if isnan(cost):
                continue
            least, most = min(least, cost), max(most, cost)
            if ex.class_predicted != NO_NUMBER and self.classes.numbers[i] == ex.class_predicted:
                own = cost
        if own == INFINITY:
            own = most
        return own if self.absolute else own - least

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef size_t i
        cdef uint32_t offset = ex.offset, predicted
        cdef float loss, score
        self.predict(ex)
        self.classes.take_all(ex)
        loss, score, predicted = ex.loss, ex.score, ex.class_predicted
        for i in range(ex.n_choices):
            if isnan(ex.choices[i].cost):
                continue
            self.classes.note(self.classes.numbers[i])
            ex.label = ex.choices[i].cost
            ex.offset = offset + self.classes.place(self.classes.numbers[i] - self.classes.first) * self.step
            self.base.learn(ex)
        ex.offset, ex.label, ex.loss, ex.score, ex.class_predicted = offset, 0, loss, score, predicted
        ex.prediction = <float>predicted
        return ex.prediction

    def save_load(self, io):
        self.classes.save_load(io)
