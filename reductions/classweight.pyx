"""classweight: importance weights by label.        SIMPLE -> SCALAR over SIMPLE -> SCALAR

--classweight 1:2,-1:0.5 multiplies the weight of examples labelled 1 by 2 and of those labelled -1 by 0.5.
"""
import math

from libc.math cimport isnan

from vwlite.core.example cimport Example
from vwlite.core.learner cimport Learner

from vwlite.core.options import Option, OptionGroup
from vwlite.errors import OptionError

OPTIONS = OptionGroup("classweight: importance by label", (
    Option("classweight", str, "factors on the importance of labels, e.g. 1:2,-1:0.5", many=True, necessary=True,
           keep=True, metavar="LABEL:WEIGHT,..", needs=("learning",), mild=("learning",)),
), examples=(
    "vwlite data.vw --loss_function logistic --classweight 1:2,-1:0.5",
))

cdef enum:
    MOST = 64                         # labels


def setup(builder):
    """The learner, if --classweight is given."""
    return ClassWeight(builder.base, builder.options["classweight"])


cdef class ClassWeight(Learner):
    """Multiplies importance weights by a factor of the label."""

    name = "classweight-scalar"
    holds_vectors = True
    adds_up = True
    cdef float[MOST] labels, factors
    cdef bint[MOST] come               # the label was seen in an example that was learned
    cdef size_t n
    cdef bint learns

    def __init__(self, base, rules):
        super().__init__(base, {"classweight": rules})
        for rule in ",".join(rules).split(","):
            label, _, factor = rule.partition(":")
            try:
                values = float(label), float(factor)
            except ValueError:
                values = (math.nan, math.nan)
            if not (math.isfinite(values[0]) and math.isfinite(values[1]) and values[1] >= 0):
                raise OptionError([f"--classweight {rule}: expected LABEL:WEIGHT with a weight of 0 or more"])
            if self.n == MOST:
                raise OptionError([f"--classweight: at most {MOST} labels"])
            self.labels[self.n], self.factors[self.n] = values
            self.n += 1

    def across_entities(self, learns):
        """Nothing."""
        return []

    cdef inline float factor(self, Example ex) noexcept nogil:
        cdef size_t i
        cdef float label = ex.label
        if ex.labelled:
            if self.loss.as_vw and -1e9 < label < 1e9:
                label = <float><int>label     # VW's classes are whole numbers
            elif label == self.loss.low and not isnan(self.loss.negative):
                label = self.loss.negative    # the label before --binary changed it to -1
            for i in range(self.n):
                if self.labels[i] == label:
                    self.come[i] = True
                    return self.factors[i]
        return 1

    # The driver reads the new weight when it counts the example, so it is not restored: bind() sets it for each
    # example. As in VW predictions are not weighted.
    cdef float learn(self, Example ex) except? -1e10 nogil:
        self.learns = True
        ex.weight *= self.factor(ex)
        return self.base.learn(ex)

    def unmatched(self):
        """Warnings of labels that no example had."""
        return [f"nothing matched {self.labels[i]:g} of --classweight {','.join(self.options['classweight'])}: no "
                "example that was learned from has this label" for i in range(self.n if self.learns else 0)
                if not self.come[i]]
