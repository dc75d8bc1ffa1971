"""scorer: loss and link.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

Widens the range of predictions to the label, learns from examples with a label and a positive weight, works out
their loss on the unlinked prediction, and applies the link: identity, logistic 1/(1 + e^-p),
glf1 2/(1 + e^-p) - 1, poisson e^p.
"""
from libc.math cimport expf, sqrt

from vwlite.example cimport Example
from vwlite.learner cimport Learner

from vwlite.options import Option, OptionGroup

OPTIONS = OptionGroup("scorer: what is reported", (
    Option("link", str, "what turns scores into predictions", default="identity", keep=True,
           choices=("identity", "logistic", "glf1", "poisson"), needs=("!thompson & !explore",)),
))

cdef enum Link:
    IDENTITY
    LOGISTIC
    GLF1
    POISSON

LINKS = {"identity": IDENTITY, "logistic": LOGISTIC, "glf1": GLF1, "poisson": POISSON}


def setup(options, base):
    """Every stack of simple labels has a scorer."""
    return Scorer(base, options["link"], options["vw_compat"] and options["classweight"])


cdef class Scorer(Learner):
    """Loss and link over any scalar learner."""

    cdef Link link
    cdef readonly str name
    cdef bint predicts_first          # VW with --classweight: before it has seen the label

    def __init__(self, base, link, predicts_first=False):
        super().__init__(base, {"link": link})
        self.predicts_first = bool(predicts_first)
        self.link = LINKS[link]
        self.name = f"scorer-{link}"

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
        if self.predicts_first:
            ex.prediction = max(low, min(high, ex.prediction))
        return self.linked(ex)

    cdef inline float linked(self, Example ex) noexcept nogil:
        cdef double reach
        if ex.interval > 0:
            reach = ex.interval * sqrt(ex.variance)
            ex.low = self.link_of(self.loss.clip(<float>(ex.score - reach)))
            ex.high = self.link_of(self.loss.clip(<float>(ex.score + reach)))
            reach = ex.interval * sqrt(ex.variance + ex.noise)
            ex.label_low = self.link_of(self.loss.clip(<float>(ex.score - reach)))
            ex.label_high = self.link_of(self.loss.clip(<float>(ex.score + reach)))
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
