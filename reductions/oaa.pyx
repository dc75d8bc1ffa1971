"""oaa: one against all.        MULTICLASS -> CLASS over SIMPLE -> SCALAR

One model for each of k classes, with the label 1 for examples of its class and -1 for all others. The class with the
largest score is predicted, of equal ones the first (Rifkin and Klautau 2004, "In defense of one-vs-all
classification"). Loss: 0/1 loss times the importance.

With --probabilities, the score s of each class gives q = 1/(1 + e^-s), and the classes have the probabilities
q / sum q. With --oaa_subsample N, only N of the other classes learn from an example, each with k/N of its importance;
they follow in a random order.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from vwlite.core.class_names cimport ClassNames
from vwlite.core.draws cimport vw_random
from vwlite.core.elementary cimport expf, log
from vwlite.core.example cimport NO_NUMBER, Example
from vwlite.core.learner cimport Learner, Scored

from vwlite.core.class_names import class_names
from vwlite.core.options import Option, OptionGroup
from vwlite.core.types import LabelType, PredictionType
from vwlite.errors import OptionError

OPTIONS = OptionGroup("oaa: one class against all", (
    Option("oaa", int, "learn K classes, one against all others", least=2, most=1 << 20, necessary=True, keep=True,
           fixed=True, metavar="K", task="choose"),
    Option("oaa_subsample", int, "update only N of the other classes with each example, drawn at random", least=1,
           keep=True, metavar="N", needs=("oaa & learning",)),
    Option("scores", bool, "predict the score of each class", keep=True),
), needs=("oaa",), examples=(
    "vwlite classes.vw --oaa 3 -f model",
    "vwlite classes.vw --oaa 3 --scores --oaa_subsample 1",
    "vwlite classes.vw --oaa 3 --bayes_logistic --random_effect user",
))


OWN = tuple(option.name for option in OPTIONS.options)

KINDS_OF_LEARNERS = ("classes", "probable")


def setup(builder):
    """The learner, if --oaa is given."""
    return OAA(builder.vectors(builder.options["oaa"], "--oaa"), builder.options)


cdef class OAA(Learner):
    """One against all: one weight vector for each class."""

    name = "oaa"
    takes_label = LabelType.MULTICLASS
    finishes = gives_probabilities = True

    cdef readonly object gives_prediction
    cdef readonly uint32_t feature_width
    cdef readonly ClassNames classes
    cdef uint32_t k, taught           # number of classes; how many other classes learn
    cdef bint probable
    cdef Scored* found                # results of each class
    cdef float* values                # scores or probabilities
    cdef float* labels                # label of each model: -1, but 1 for the class of the last example
    cdef uint32_t right
    cdef uint32_t* others             # the order in which other classes are drawn
    cdef uint32_t next                # index in others
    cdef double log_loss, log_loss_weight

    def __init__(self, base, options):
        k = options["oaa"]
        taken = {name: options[name] for name in (*OWN, "probabilities") if options.given(name)}
        super().__init__(base, taken)
        if options["probabilities"] and options["scores"]:
            raise OptionError(["--probabilities and --scores are two ways to predict: give one of them"])
        if self.loss.name == "poisson":
            raise OptionError(["--oaa learns the labels 1 and -1; --loss_function poisson needs counts"])
        if options.given("classweight"):
            raise OptionError(["--classweight weighs labels of one number: with --oaa give a weight in each line's "
                               "label, such as `3 2 | a`"])
        self.probable = options["probabilities"]
        if self.probable and self.loss.name != "logistic" and not options["vw_compat"]:
            raise OptionError([f"--probabilities are those of the logistic loss, and this is the {self.loss.name} one: "
                               "add --loss_function logistic"])
        self.gives_prediction = (PredictionType.PROBABILITIES if self.probable else
                                 PredictionType.SCORES if options["scores"] else PredictionType.CLASS)
        self.k = self.feature_width = k
        self.classes = class_names(options, "oaa", k)
        wanted = options["oaa_subsample"]
        self.taught = wanted if wanted is not None and wanted < k else 0
        self.found = <Scored*>malloc(k * sizeof(Scored))
        self.values = <float*>malloc(k * sizeof(float))
        self.labels = <float*>malloc(k * sizeof(float))
        self.others = <uint32_t*>malloc(k * sizeof(uint32_t))
        if self.found == NULL or self.values == NULL or self.labels == NULL or self.others == NULL:
            raise MemoryError
        for i in range(k):
            self.labels[i] = -1
        self.shuffle(options["random_seed"])

    def __dealloc__(self):
        free(self.found)
        free(self.values)
        free(self.labels)
        free(self.others)

    def shuffle(self, uint64_t seed):
        """Shuffle the classes by VW's generator: each place gets one of those not yet placed (Fisher-Yates)."""
        cdef uint32_t i, j
        for i in range(self.k):
            self.others[i] = i
        for i in range(self.k if self.taught else 0):
            j = <uint32_t>(vw_random(&seed) * (self.k - i)) + i
            self.others[i], self.others[j] = self.others[j], self.others[i]

    cdef int vet_label(self, Example ex, bint settles) except -1 nogil:
        return self.classes.check(ex, ex.choices, settles, &ex.class_label)

    cdef float predict(self, Example ex) except? -1e10 nogil:
        cdef bint labelled = ex.labelled, asked = ex.known.wants_variance
        ex.labelled = ex.known.wants_variance = False
        try:
            self.base.multipredict(ex, self.k, self.step, self.found)
        finally:
            ex.known.wants_variance = asked   # bind() does not reset it
        self.choose(ex)
        if asked:
            self.measure(ex)
        ex.labelled = labelled
        return self.judge(ex)

    cdef void choose(self, Example ex) noexcept nogil:
        """Choose the class with the largest score, of those that can be predicted."""
        cdef uint32_t i, best = 0, n = self.classes.begin_prediction()
        cdef float total = 0, most = 0, value
        for i in range(n):
            value = self.values[i] = self.found[self.classes.place(i)].prediction
            if i == 0 or value > most:
                best, most = i, value
        ex.class_predicted = best + self.classes.first if n else NO_NUMBER
        ex.score = self.found[self.classes.place(best)].score
        for i in range(n if self.probable else 0):
            self.values[i] = 1 / (1 + expf(-self.found[self.classes.place(i)].score))
            total += self.values[i]
        for i in range(n if self.probable else 0):
            self.values[i] = self.values[i] / total if total > 0 else <float>1 / n
        ex.values, ex.order, ex.n_values = self.values, NULL, n

    cdef int measure(self, Example ex) except -1 nogil:
        """Compute the variance of the predicted class's score."""
        cdef uint32_t offset = ex.offset
        ex.offset = offset + self.classes.place(ex.class_predicted - self.classes.first) * self.step
        self.base.predict(ex)
        ex.offset = offset
        return 0

    cdef float judge(self, Example ex) noexcept nogil:
        """Set the loss and the prediction."""
        ex.loss = 0
        if ex.labelled and (ex.class_predicted != ex.class_label or ex.class_label == NO_NUMBER):
            ex.loss = ex.weight
        ex.prediction = <float>ex.class_predicted
        return ex.prediction

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef uint32_t right, offset = ex.offset, predicted
        cdef float loss, score
        self.predict(ex)
        self.classes.take(ex, ex.choices, &ex.class_label)
        if not ex.weight > 0:
            return ex.prediction
        right = ex.class_label - self.classes.first
        self.classes.note(ex.class_label)
        loss, score, predicted = ex.loss, ex.score, ex.class_predicted
        if self.taught:
            self.teach_some(ex, right)
        else:
            self.teach_all(ex, right)
        ex.offset, ex.label, ex.loss, ex.score, ex.class_predicted = offset, 0, loss, score, predicted
        ex.prediction = <float>predicted
        return ex.prediction

    cdef inline int teach(self, Example ex, uint32_t i, float label, uint32_t offset) except -1 nogil:
        """Update the model of a class, whose score is known."""
        i = self.classes.place(i)
        ex.label = label
        ex.offset = offset + i * self.step
        ex.score, ex.prediction = self.found[i].score, self.found[i].prediction
        self.base.update(ex)
        return 0

    cdef int teach_all(self, Example ex, uint32_t right) except -1 nogil:
        """Update all classes in the order of their numbers; if vectors are in another order, the first has the last."""
        cdef uint32_t offset = ex.offset
        self.labels[self.right] = -1
        if right < self.k:
            self.right = self.classes.place(right)
            self.labels[self.right] = 1
        if self.classes.turned:
            self.teach(ex, 0, self.labels[self.k - 1], offset)
            ex.offset = offset
        return self.base.multiupdate(ex, self.k - self.classes.turned, self.step, self.labels, self.found)

    cdef int teach_some(self, Example ex, uint32_t right) except -1 nogil:
        """Update the right class and some of the others (subsampling)."""
        cdef uint32_t left = self.taught, offset = ex.offset, i
        cdef float weight = ex.weight
        self.teach(ex, right, 1, offset)
        ex.weight = weight * (<float>self.k / self.taught)
        while left:
            i = self.others[self.next]
            self.next = (self.next + 1) % self.k
            if i != right:
                self.teach(ex, i, -1, offset)
                left -= 1
        ex.weight = weight
        return 0

    cdef int finish_example(self, Example ex) except -1 nogil:
        cdef uint32_t i = ex.class_label - self.classes.first if ex.labelled else 0
        if self.probable and ex.labelled and not ex.test_only and i < ex.n_values:
            self.log_loss -= ex.weight * log(max(<double>ex.values[i], 1e-15))
            self.log_loss_weight += ex.weight
        return 0

    def metrics(self):
        if self.log_loss_weight <= 0:
            return {}
        return {"average multiclass log loss": self.log_loss / self.log_loss_weight}

    def save_load(self, io):
        self.classes.save_load(io)
        if self.taught and (io.saving or io.has("next")):
            at = io.int64("next", self.next)
            if not 0 <= at < self.k:
                io.refuse("its next class is out of range")
            self.next = at
