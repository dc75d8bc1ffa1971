"""scorer: loss and link.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Widens the range of predictions to the label, learns from examples with a label and a positive weight, computes their
loss on the prediction before the link, and applies the link: identity, logistic 1/(1 + e^-p), glf1 2/(1 + e^-p) - 1,
poisson e^p.
"""
from libc.math cimport isnan, sqrt
from libc.stdint cimport uint32_t

from vwlite.core.elementary cimport expf
from vwlite.core.example cimport Example, SimpleExample
from vwlite.core.learner cimport Learner, Scored

from vwlite.core.learner import chain
from vwlite.core.options import Option, OptionGroup

OPTIONS = OptionGroup("scorer: what is reported", (
    Option("link", str, "link function, which maps scores to predictions", default="identity", keep=True,
           choices=("identity", "logistic", "glf1", "poisson"), needs=("!thompson & !explore",), task="predict"),
), examples=(
    "vwlite data.vw --loss_function logistic --link logistic -p predictions",
))

cdef enum Link:
    IDENTITY
    LOGISTIC
    GLF1
    POISSON

LINKS = {"identity": IDENTITY, "logistic": LOGISTIC, "glf1": GLF1, "poisson": POISSON}


def setup(builder):
    """The learner, in every stack of simple labels."""
    options = builder.options
    first = options["classweight"] or any([learner.predicts_first for learner in chain(builder.base)])
    return Scorer(builder.base, options["link"], options["vw_compat"] and first)


cdef class Scorer(Learner):
    """Loss and link over any scalar learner."""

    holds_vectors = True
    adds_up = True
    links = True
    cdef Link link
    cdef readonly str name
    cdef bint before_label            # report the prediction by the range before the label, as VW with --classweight

    def __init__(self, base, link, before_label=False):
        super().__init__(base, {"link": link})
        self.before_label = bool(before_label)
        self.link = LINKS[link]
        self.name = f"scorer-{link}"

    def across_entities(self, learns):
        """Nothing."""
        return []

    cdef float predict(self, Example ex) except? -1e10 nogil:
        self.base.predict(ex)
        if ex.labelled and ex.weight > 0:
            ex.loss = self.loss.loss(ex.prediction, ex.label) * ex.weight
        return self.linked(ex)

    cdef float learn(self, Example ex) except? -1e10 nogil:
        cdef float low = self.loss.min_label, high = self.loss.max_label
        if ex.labelled:
            self.loss.see(ex.label)
        if not ex.labelled or ex.weight <= 0:
            return self.predict(ex)
        self.base.learn(ex)
        ex.loss *= ex.weight
        if self.before_label:
            ex.prediction = max(low, min(high, ex.prediction))
        return self.linked(ex)

    cdef float update(self, Example ex) except? -1e10 nogil:
        if not ex.labelled or ex.weight <= 0:
            return ex.prediction
        self.loss.see(ex.label)
        if self.link != IDENTITY:
            ex.prediction = self.loss.clip(ex.score)
        self.base.update(ex)
        ex.loss *= ex.weight
        return self.linked(ex)

    cdef Py_ssize_t learn_many(self, SimpleExample* examples, size_t n) except -1 nogil:
        cdef Py_ssize_t i, done
        if self.before_label:
            return 0
        done = self.base.learn_many(examples, n)
        for i in range(done):
            examples[i].loss *= examples[i].weight
        self.link_many(examples, done)
        return done

    cdef Py_ssize_t predict_many(self, SimpleExample* examples, size_t n) except -1 nogil:
        cdef Py_ssize_t i, done = self.base.predict_many(examples, n)
        for i in range(done):
            examples[i].loss = 0
            if not isnan(examples[i].label):
                examples[i].loss = self.loss.loss(examples[i].prediction, examples[i].label) * examples[i].weight
        self.link_many(examples, done)
        return done

    cdef void link_many(self, SimpleExample* examples, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n if self.link != IDENTITY else 0):
            examples[i].prediction = self.link_of(examples[i].prediction)

    cdef int multipredict(self, Example ex, uint32_t count, uint32_t step, Scored* to) except -1 nogil:
        cdef uint32_t i
        self.base.multipredict(ex, count, step, to)
        for i in range(count if self.link != IDENTITY else 0):
            to[i].prediction = self.link_of(to[i].prediction)
        return 0

    cdef int multiupdate(self, Example ex, uint32_t count, uint32_t step, const float* labels, Scored* at) \
            except -1 nogil:
        """Update one vector after the other if a label widens the range: earlier ones must use the old range."""
        cdef uint32_t i
        cdef float low = self.loss.min_label, high = self.loss.max_label
        if not ex.labelled or ex.weight <= 0:
            return 0
        for i in range(count):
            if i == 0 or labels[i] != labels[i - 1]:
                self.loss.see(labels[i])
        if low != self.loss.min_label or high != self.loss.max_label or ex.known.interval > 0:
            self.loss.min_label, self.loss.max_label = low, high
            return Learner.multiupdate(self, ex, count, step, labels, at)
        for i in range(count if self.link != IDENTITY else 0):
            at[i].prediction = self.loss.clip(at[i].score)
        return self.base.multiupdate(ex, count, step, labels, at)

    cdef inline float linked(self, Example ex) noexcept nogil:
        cdef double reach
        if ex.known.interval > 0:
            reach = ex.known.interval * sqrt(ex.known.variance)
            ex.known.low = self.link_of(self.loss.clip(<float>(ex.score - reach)))
            ex.known.high = self.link_of(self.loss.clip(<float>(ex.score + reach)))
            reach = ex.known.interval * sqrt(ex.known.variance + ex.known.noise)
            ex.known.label_low = self.link_of(self.loss.clip(<float>(ex.score - reach)))
            ex.known.label_high = self.link_of(self.loss.clip(<float>(ex.score + reach)))
        ex.prediction = self.link_of(ex.prediction)
        return ex.prediction

    cdef inline float link_of(self, float p) noexcept nogil:
        if self.link == LOGISTIC:
            p = 1 / (1 + expf(-p))
        elif self.link == GLF1:
            p = 2 / (1 + expf(-p)) - 1
        elif self.link == POISSON:
            p = expf(p)
        return p
