"""multilabel_oaa: multilabel one against all.        MULTILABEL -> CLASSES over SIMPLE -> SCALAR

One model for each of K classes, with the label 1 if its class is in the example's label, and otherwise -1 (binary
relevance; Tsoumakas and Katakis 2007, "Multi-label classification: an overview"). Classes are numbered from 0, as in
VW, or have names. A class is predicted if its model's prediction is above 0 (with --link logistic: 1/2). Loss: the
number of classes that are in the label or predicted, but not both (Hamming loss).
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from vwlite.core.class_names cimport ClassNames
from vwlite.core.example cimport Example
from vwlite.core.learner cimport Learner, Scored

from vwlite.core.class_names import class_names
from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError

OPTIONS = OptionGroup("multilabel_oaa: several classes at once", (
    Option("multilabel_oaa", int, "predict which of K classes apply, each by a model of its own", least=2, most=1 << 20,
           necessary=True, keep=True, fixed=True, metavar="K"),
), needs=("multilabel_oaa",), examples=(
    "vwlite several.vw --multilabel_oaa 4 -p predictions",
))

KINDS_OF_LEARNERS = ("classes",)


def setup(builder):
    """The learner, if --multilabel_oaa is given."""
    return MultilabelOAA(builder.vectors(builder.options["multilabel_oaa"], "--multilabel_oaa"), builder.options)


cdef class MultilabelOAA(Learner):
    """Binary relevance: one weight vector for each class."""

    name = "multilabel_oaa"
    takes_label = LabelType.MULTILABEL
    gives_prediction = PredictionType.CLASSES

    cdef readonly uint32_t feature_width
    cdef readonly ClassNames classes
    cdef uint32_t k
    cdef float threshold
    cdef Scored* found                # results of each class
    cdef float* values
    cdef float* labels                # label of each model
    cdef uint32_t* holding            # classes predicted
    cdef uint64_t* marks              # of each class, the last example whose label has it
    cdef uint64_t number              # of the example

    def __init__(self, base, options):
        k = options["multilabel_oaa"]
        super().__init__(base, {"multilabel_oaa": k})
        if self.loss.name == "poisson":
            raise OptionError(["--multilabel_oaa learns the labels 1 and -1; --loss_function poisson needs "
                               "counts"])
        if options.given("classweight"):
            raise OptionError(["--classweight weighs labels of one number, and those of --multilabel_oaa are lists of "
                               "classes"])
        if options["indexing"]:
            raise OptionError(["--multilabel_oaa numbers its classes from 0, as Vowpal Wabbit does: leave --indexing "
                               "out"])
        self.k = self.feature_width = k
        self.classes = class_names(options, "multilabel_oaa", k, 0)
        self.threshold = 0.5 if options["link"] == "logistic" else 0
        self.found = <Scored*>malloc(k * sizeof(Scored))
        self.values = <float*>malloc(k * sizeof(float))
        self.labels = <float*>malloc(k * sizeof(float))
        self.holding = <uint32_t*>malloc(k * sizeof(uint32_t))
        self.marks = <uint64_t*>calloc(k, sizeof(uint64_t))
        if self.found == NULL or self.values == NULL or self.labels == NULL or self.holding == NULL \
                or self.marks == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.found)
        free(self.values)
        free(self.labels)
        free(self.holding)
        free(self.marks)

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return self.classes.check_all(ex, settles)

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef bint labelled = ex.labelled
        cdef uint32_t i, n = self.classes.begin_prediction(), holding = 0, right = 0
        ex.labelled = False
        self.base.multipredict(ex, n, self.step, self.found)
        ex.labelled = labelled
        self.mark(ex)
        for i in range(n):
            self.values[i] = self.found[i].score
            if self.found[i].prediction > self.threshold:
                self.holding[holding] = self.classes.first + i
                holding += 1
                right += self.marks[i] == self.number
        ex.order, ex.n_values, ex.values = self.holding, holding, self.values
        ex.n_scores = n
        ex.loss = holding + ex.n_choices - 2 * <float>right if labelled else 0
        ex.score = ex.prediction = <float>holding
        return ex.prediction

    cdef void mark(self, Example ex) noexcept nogil:
        """Mark the known classes of the label."""
        cdef size_t i
        self.number += 1
        for i in range(ex.n_choices if ex.labelled else 0):
            if self.classes.numbers[i] - self.classes.first < self.k:
                self.marks[self.classes.numbers[i] - self.classes.first] = self.number

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef uint32_t i, n, offset = ex.offset
        cdef float loss
        self.predict(ex)
        loss, n = ex.loss, <uint32_t>ex.n_scores
        self.classes.take_all(ex)
        self.mark(ex)
        for i in range(<uint32_t>ex.n_choices):
            self.classes.note(self.classes.numbers[i])
        for i in range(self.k):
            self.labels[i] = 1 if self.marks[i] == self.number else -1
        self.base.multiupdate(ex, n, self.step, self.labels, self.found)
        for i in range(n, self.k):
            ex.label = self.labels[i]
            ex.offset = offset + i * self.step
            self.base.learn(ex)
        ex.offset, ex.label, ex.loss = offset, 0, loss
        ex.score = ex.prediction = <float>ex.n_values
        return ex.prediction

    def save_load(self, io):
        self.classes.save_load(io)
